"""Power of parallel cluster-randomised trials through the design effect."""

from __future__ import annotations

import math

from benchside.suites.power.formulas.normal import normal_power


def design_effect(size: float, icc: float, size_cv: float = 0.0) -> float:
    """Factor by which clustering raises the sample size: 1 + ((1 + cv²) m - 1) ICC.

    Args:
        size: mean number m of subjects per cluster.
        icc: intracluster correlation coefficient.
        size_cv: coefficient of variation of the cluster sizes, 0 for equal clusters.

    Source: Donner A, Klar N. Design and Analysis of Cluster Randomization Trials. 2000; Eldridge
        SM, Ashby D, Kerry S. Int J Epidemiol 2006;35:1292-300 for unequal sizes.
    """
    return 1 + ((1 + size_cv**2) * size - 1) * icc


def cluster_means(
    clusters: float,
    *,
    size: float,
    icc: float,
    size_cv: float,
    difference: float,
    sd: float,
    alpha: float,
    sides: int,
) -> float:
    """Power to compare two means with the given number of clusters per arm.

        clusters = 2 sd² (z[1-alpha/sides] + z[power])² DE / (size difference²)

    Source: Donner and Klar 2000.
    """
    effective = clusters * size / design_effect(size, icc, size_cv)
    spread = sd * math.sqrt(2)
    return normal_power(difference, effective, alpha, sides, sd_null=spread, sd_true=spread)


def cluster_proportions(
    clusters: float,
    *,
    size: float,
    icc: float,
    size_cv: float,
    p1: float,
    p2: float,
    alpha: float,
    sides: int,
) -> float:
    """Power to compare two proportions with the given number of clusters per arm.

        clusters = (z[1-alpha/sides] + z[power])² (p1 q1 + p2 q2) DE / (size (p1 - p2)²)

    Source: Donner and Klar 2000.
    """
    effective = clusters * size / design_effect(size, icc, size_cv)
    spread = math.sqrt(p1 * (1 - p1) + p2 * (1 - p2))
    return normal_power(abs(p1 - p2), effective, alpha, sides, sd_null=spread, sd_true=spread)
