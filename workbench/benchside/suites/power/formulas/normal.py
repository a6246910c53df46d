"""The large-sample power that most published sample size formulas share."""

from __future__ import annotations

from scipy.stats import norm


def normal_power(
    effect: float, n: float, alpha: float, sides: int, *, sd_null: float, sd_true: float
) -> float:
    """Power of a z test that rejects in the direction of the effect.

        n = (z[1 - alpha/sides] sd_null + z[power] sd_true)² / effect²

    solved for the power; rejections in the wrong direction are not counted.

    Args:
        effect: distance between the truth and the tested limit, above 0.
        n: sample size that the two standard deviations refer to.
        sides: 1 or 2.
        sd_null: standard deviation of √n × estimate under the null hypothesis.
        sd_true: the same under the alternative.

    Source: Lachin JM. Introduction to sample size determination and power analysis for clinical
        trials. Control Clin Trials 1981;2:93-113.
    """
    critical = norm.isf(alpha / sides)
    return float(norm.cdf((effect * n**0.5 - critical * sd_null) / sd_true))
