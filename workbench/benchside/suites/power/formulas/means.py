"""Power of tests on means: t tests, analysis of variance, non-inferiority, equivalence.

The t and F tests use the exact noncentral distributions; non-inferiority and equivalence of two
parallel groups use the normal approximation; bioequivalence integrates the t test exactly.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import chi2, f, ncf, nct, norm, t

from benchside.suites.power.formulas.normal import normal_power

NODES, WEIGHTS = np.polynomial.legendre.leggauss(200)


def t_power(noncentrality: float, df: float, alpha: float, sides: int) -> float:
    """Power of a t test, both tails counted when `sides` is 2.

        P(T > t[1 - alpha/sides; df]), T noncentral t with df degrees of freedom
        (+ P(T < -t[1 - alpha/2; df]) for two-sided tests)

    Source: Cohen J. Statistical Power Analysis for the Behavioral Sciences, 2nd ed. 1988.
    """
    critical = t.isf(alpha / sides, df)
    power = float(nct.sf(critical, df, noncentrality))
    if sides == 2 and noncentrality < 5.5:  # beyond, the other tail is below 2e-8 (scipy: nan)
        power += float(nct.cdf(-critical, df, noncentrality))
    return power


def one_sample_t(n: float, *, difference: float, sd: float, alpha: float, sides: int) -> float:
    """Power with n values (or n pairs, `sd` then being that of the differences).

    The noncentrality is √n difference / sd, with n - 1 degrees of freedom (Cohen 1988, chapter 2).
    """
    return t_power(math.sqrt(n) * difference / sd, n - 1, alpha, sides)


def two_sample_t(
    n: float, *, ratio: float, difference: float, sd: float, alpha: float, sides: int
) -> float:
    """Power with n values in one group and ratio × n in the other, common `sd`.

    The noncentrality is difference / (sd √(1/n1 + 1/n2)), with n1 + n2 - 2 degrees of freedom
    (Cohen 1988, chapter 2).
    """
    noncentrality = difference / (sd * math.sqrt((1 + 1 / ratio) / n))
    return t_power(noncentrality, n * (1 + ratio) - 2, alpha, sides)


def anova(n: float, *, groups: int, effect: float, alpha: float) -> float:
    """Power of the one-way F test with n values in each of the groups.

        P(F > f[1 - alpha; k-1, kn-k]), F noncentral with noncentrality k n effect²

    Args:
        effect: Cohen's f, the standard deviation of the group means (divisor k) over the common
            within-group standard deviation.

    Source: Cohen 1988, chapter 8.
    """
    numerator, denominator = groups - 1, groups * (n - 1)
    critical = f.isf(alpha, numerator, denominator)
    return float(ncf.sf(critical, numerator, denominator, groups * n * effect**2))


def cohen_f(means: tuple[float, ...], sd: float) -> float:
    """Cohen's f of equally large groups: √(Σ(mean - grand mean)² / k) / sd (Cohen 1988, 8)."""
    grand = sum(means) / len(means)
    return math.sqrt(sum((mean - grand) ** 2 for mean in means) / len(means)) / sd


def noninferiority(
    n: float, *, ratio: float, margin: float, difference: float, sd: float, alpha: float
) -> float:
    """Power to show that the new treatment is worse by less than the margin.

        n_new = sd² (1 + 1/ratio) (z[1-alpha] + z[power])² / (margin + difference)²

    Args:
        n: number on the new treatment; ratio × n get the standard one.
        difference: true mean of new minus standard, positive when the new one is better.

    Source: Julious SA. Sample sizes for clinical trials with normal data. Stat Med
        2004;23:1921-86.
    """
    spread = sd * math.sqrt(1 + 1 / ratio)
    return normal_power(margin + difference, n, alpha, 1, sd_null=spread, sd_true=spread)


def equivalence(n: float, *, margin: float, difference: float, sd: float, alpha: float) -> float:
    """Power of two one-sided z tests with n per group and limits ±margin.

        Φ((margin - |δ|)/se - z[1-alpha]) + Φ((margin + |δ|)/se - z[1-alpha]) - 1, se = sd √(2/n)

    Source: Chow SC, Shao J, Wang H. Sample Size Calculations in Clinical Research, 2nd ed. 2008,
        3.2.3; Julious 2004.
    """
    error = sd * math.sqrt(2 / n)
    critical = norm.isf(alpha)
    nearer = norm.cdf((margin - abs(difference)) / error - critical)
    farther = norm.cdf((margin + abs(difference)) / error - critical)
    return max(0.0, float(nearer + farther - 1))


def bioequivalence(n: float, *, ratio: float, cv: float, alpha: float) -> float:
    """Exact power of two one-sided t tests for the limits 0.80 to 1.25 in a 2×2 crossover.

    With N = 2n subjects, se = √(2 log(1 + cv²) / N) and N - 2 degrees of freedom, the power is

        ∫ max(0, Φ((log 1.25 - δ)/se - t u) - Φ((log 0.80 - δ)/se + t u)) g(u) du

    where δ = log(ratio), t = t[1-alpha; N-2], and u² ~ χ²(N-2)/(N-2) has density g.

    Args:
        n: subjects per sequence.
        ratio: true ratio of geometric means, test over reference.
        cv: within-subject coefficient of variation, as a fraction.

    Source: Diletti E, Hauschke D, Steinijans VW. Sample size determination for bioequivalence
        assessment by means of confidence intervals. Int J Clin Pharmacol 1991;29:1-8.
    """
    df = 2 * n - 2
    error = math.sqrt(math.log1p(cv**2) / n)
    critical = t.isf(alpha, df)
    upper = (math.log(1.25) - math.log(ratio)) / error
    lower = (math.log(0.8) - math.log(ratio)) / error
    widest = (upper - lower) / (2 * critical)  # beyond it the confidence interval cannot fit
    low = math.sqrt(float(chi2.isf(1 - 1e-13, df)) / df)
    high = min(widest, math.sqrt(float(chi2.isf(1e-13, df)) / df))
    if high <= low:
        return 0.0
    u = low + (high - low) * (NODES + 1) / 2
    inside = norm.cdf(upper - critical * u) - norm.cdf(lower + critical * u)
    density = chi2.pdf(df * u**2, df) * 2 * df * u
    return float(np.sum(WEIGHTS * inside * density) * (high - low) / 2)
