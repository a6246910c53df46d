"""The second route: power by statsmodels where it has the design, else by another derivation.

The builder drops every task on which this route and `formulas` disagree.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import statsmodels.stats.api as sms
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import gammaln, ndtr
from scipy.stats import norm, t
from statsmodels.stats.power import normal_power_het

from benchside.suites.power.study import Test


def one_sample_t(n: float, standardised: float, test: Test) -> float:
    """Power of the one-sample or paired t test by statsmodels."""
    return float(
        sms.TTestPower().power(standardised, n, test.alpha, alternative=_alternative(test))
    )


def two_sample_t(n: float, ratio: float, standardised: float, test: Test) -> float:
    """Power of the two-sample t test by statsmodels."""
    solver = sms.TTestIndPower()
    return float(
        solver.power(standardised, n, test.alpha, ratio=ratio, alternative=_alternative(test))
    )


def anova(n: float, groups: int, effect: float, test: Test) -> float:
    """Power of the one-way F test by statsmodels."""
    return float(sms.FTestAnovaPower().power(effect, groups * n, test.alpha, k_groups=groups))


def normal(effect: float, n: float, test: Test, sd_null: float, sd_true: float) -> float:
    """Power of a z test in the direction of the effect, by statsmodels."""
    return float(normal_power_het(effect, n, test.tail, sd_null, sd_true, alternative="larger"))


def two_proportions(n: float, ratio: float, p1: float, p2: float, test: Test) -> float:
    """Power of the pooled z test of two proportions by statsmodels."""
    direction = "larger" if p1 > p2 else "smaller"
    return float(
        sms.power_proportions_2indep(
            p1 - p2, p2, n, ratio, test.tail, alternative=direction, return_results=False
        )
    )


def two_proportions_arcsine(n: float, ratio: float, p1: float, p2: float, test: Test) -> float:
    """Power of the comparison of two arcsine-transformed proportions by statsmodels."""
    effect = abs(float(sms.proportion_effectsize(p1, p2)))
    solver = sms.NormalIndPower()
    return float(solver.power(effect, n, test.tail, ratio=ratio, alternative="larger"))


def two_samples_normal(n: float, ratio: float, standardised: float, test: Test) -> float:
    """Power of the two-sample z test by statsmodels."""
    solver = sms.NormalIndPower()
    return float(solver.power(standardised, n, test.tail, ratio=ratio, alternative="larger"))


def equivalence(n: float, margin: float, difference: float, sd: float, test: Test) -> float:
    """Probability that the estimated difference falls into the acceptance region of both tests."""
    error = sd * math.sqrt(2 / n)
    reach = margin - norm.isf(test.alpha) * error
    if reach <= 0:
        return 0.0
    estimate = norm(difference, error)
    return float(estimate.cdf(reach) - estimate.cdf(-reach))


def bioequivalence(n: float, ratio: float, cv: float, test: Test) -> float:
    """Power of the two one-sided t tests, integrated adaptively over the estimated variance."""
    df = 2 * n - 2
    variance = math.log1p(cv**2)
    error, critical = math.sqrt(variance / n), float(t.isf(test.alpha, df))
    shift, half = math.log(ratio), math.log(1.25)
    scale = float(gammaln(df / 2))

    def integrand(x: float) -> float:  # x = df × estimated / true variance ~ chi-square
        reach = half - critical * error * math.sqrt(x / df)
        density = math.exp((df / 2 - 1) * math.log(x) - x / 2 - df / 2 * math.log(2) - scale)
        return density * float(ndtr((reach - shift) / error) - ndtr((-reach - shift) / error))

    end = df * (half / (critical * error)) ** 2
    top = min(end, df + 12 * math.sqrt(2 * df) + 40)
    bottom = max(1e-12, df - 12 * math.sqrt(2 * df))
    if top <= bottom:
        return 0.0
    return float(quad(integrand, bottom, top, epsabs=1e-11, epsrel=1e-11, limit=200)[0])


def event_probability(rate: float, accrual: float, follow_up: float) -> float:
    """Event probability of a trial arm, integrated over the time of entry."""
    survived: Callable[[float], float] = lambda entry: math.exp(  # noqa: E731 - one-line integrand
        -rate * (accrual + follow_up - entry)
    )
    return 1 - float(quad(survived, 0, accrual, epsabs=1e-12)[0]) / accrual


def _alternative(test: Test) -> str:
    return "two-sided" if test.sides == 2 else "larger"


def without_continuity(n: float, ratio: float, difference: float) -> float:
    """Return the size that the continuity correction of Fleiss, Tytun and Ury raises to n.

    The correction is inverted by root finding; 0 where not even one subject would remain.
    """

    def corrected(m: float) -> float:
        root = math.sqrt(1 + 2 * (1 + ratio) / (m * ratio * difference))
        return m / 4 * (1 + root) ** 2

    smallest = 1e-9
    if corrected(smallest) >= n:
        return 0.0
    return float(brentq(lambda m: corrected(m) - n, smallest, n, xtol=1e-12, rtol=1e-14))
