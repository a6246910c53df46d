"""Power of tests on proportions, all by the normal approximation."""

from __future__ import annotations

import math
from typing import Literal

from benchside.suites.power.formulas.normal import normal_power

Comparison = Literal["pooled", "unpooled", "arcsine", "continuity"]


def one_proportion(n: float, *, null: float, true: float, alpha: float, sides: int) -> float:
    """Power of the z test of one proportion against a fixed one.

        n = (z[1-alpha/sides] √(p0 q0) + z[power] √(p1 q1))² / (p1 - p0)²

    Source: Fleiss JL, Levin B, Paik MC. Statistical Methods for Rates and Proportions, 3rd ed.
        2003, chapter 2.
    """
    sd_null, sd_true = math.sqrt(null * (1 - null)), math.sqrt(true * (1 - true))
    return normal_power(abs(true - null), n, alpha, sides, sd_null=sd_null, sd_true=sd_true)


def two_proportions(
    n: float, *, ratio: float, p1: float, p2: float, alpha: float, sides: int, by: Comparison
) -> float:
    """Power with n subjects at p1 and ratio × n at p2.

        pooled      n = (z[1-alpha/sides] √((1 + 1/ratio) p̄ q̄) + z[power] √(p1 q1 + p2 q2/ratio))²
                        / (p1 - p2)²,  p̄ = (p1 + ratio p2) / (1 + ratio)
        unpooled    n = (z[1-alpha/sides] + z[power])² (p1 q1 + p2 q2/ratio) / (p1 - p2)²
        arcsine     n = (z[1-alpha/sides] + z[power])² (1 + 1/ratio) / (2 asin √p1 - 2 asin √p2)²
        continuity  n = m/4 (1 + √(1 + 2 (1 + ratio) / (m ratio |p1 - p2|)))², m as for pooled

    Source: Fleiss, Levin and Paik 2003, chapter 4 (pooled, continuity; the latter from Fleiss JL,
        Tytun A, Ury HK. Biometrics 1980;36:343-6); Chow, Shao and Wang 2008, 4.2 (unpooled);
        Cohen 1988, chapter 6 (arcsine).
    """
    difference = abs(p1 - p2)
    sd_true = math.sqrt(p1 * (1 - p1) + p2 * (1 - p2) / ratio)
    if by == "unpooled":
        return normal_power(difference, n, alpha, sides, sd_null=sd_true, sd_true=sd_true)
    if by == "arcsine":
        angle = 2 * abs(math.asin(math.sqrt(p1)) - math.asin(math.sqrt(p2)))
        spread = math.sqrt(1 + 1 / ratio)
        return normal_power(angle, n, alpha, sides, sd_null=spread, sd_true=spread)
    pooled = (p1 + ratio * p2) / (1 + ratio)
    sd_null = math.sqrt((1 + 1 / ratio) * pooled * (1 - pooled))
    if by == "continuity":
        n = uncorrected(n, ratio, difference)
    return normal_power(difference, n, alpha, sides, sd_null=sd_null, sd_true=sd_true)


def uncorrected(n: float, ratio: float, difference: float) -> float:
    """Return the sample size m that the continuity correction raises to n, at least 0.

    From √n = √m/2 (1 + √(1 + 4c/m)) with c = (1 + ratio) / (2 ratio |difference|) it follows that
    n - √n √m - c = 0.
    """
    correction = (1 + ratio) / (2 * ratio * difference)
    return max(0.0, n - correction) ** 2 / n


def noninferiority(
    n: float, *, ratio: float, new: float, standard: float, margin: float, alpha: float
) -> float:
    """Power to show that the success probability is lower by less than the margin.

        n_new = (z[1-alpha] + z[power])² (p_new q_new + p_std q_std / ratio)
                    / (p_new - p_std + margin)²

    Args:
        n: number on the new treatment; ratio × n get the standard one.

    Source: Chow, Shao and Wang 2008, 4.2.2.
    """
    spread = math.sqrt(new * (1 - new) + standard * (1 - standard) / ratio)
    return normal_power(new - standard + margin, n, alpha, 1, sd_null=spread, sd_true=spread)


def mcnemar(n: float, *, difference: float, discordant: float, alpha: float, sides: int) -> float:
    """Power of McNemar's test with n pairs.

        n = (z[1-alpha/sides] √ψ + z[power] √(ψ - δ²))² / δ²

    Args:
        difference: δ = p10 - p01, the difference of the discordant probabilities.
        discordant: ψ = p10 + p01.

    Source: Connor RJ. Sample size for testing differences in proportions for the paired-sample
        design. Biometrics 1987;43:207-11.
    """
    sd_true = math.sqrt(discordant - difference**2)
    return normal_power(
        abs(difference), n, alpha, sides, sd_null=math.sqrt(discordant), sd_true=sd_true
    )
