"""Exact and closed tests written out, as a second path beside scipy and statsmodels.

Sources: Fisher, Statistical Methods for Research Workers (1934), two-sided by the sum of all tables
no more probable; Welch, Biometrika 34 (1947) 28; Benjamini & Hochberg, JRSS B 57 (1995) 289.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import betainc, gammaincc

from benchside.suites.oncology.study import Array


def hypergeometric(hits: int, drawn: int, marked: int, total: int) -> float:
    """Probability of `hits` marked among `drawn` of `total`."""
    ways = math.comb(marked, hits) * math.comb(total - marked, drawn - hits)
    return ways / math.comb(total, drawn)


def upper_tail(hits: int, drawn: int, marked: int, total: int) -> float:
    """Probability of `hits` or more."""
    most = min(drawn, marked)
    return math.fsum(hypergeometric(one, drawn, marked, total) for one in range(hits, most + 1))


def fisher(both: int, first: int, second: int, neither: int) -> float:
    """Two-sided p of a 2x2 table."""
    drawn, marked = both + first, both + second
    total = both + first + second + neither
    least, most = max(0, drawn + marked - total), min(drawn, marked)
    chances = [hypergeometric(one, drawn, marked, total) for one in range(least, most + 1)]
    seen = hypergeometric(both, drawn, marked, total)
    return min(1.0, math.fsum(one for one in chances if one <= seen * (1 + 1e-7)))


def welch(first: Array, second: Array) -> tuple[float, float]:
    """Welch's t and its two-sided p."""
    parts = [float(one.var(ddof=1)) / len(one) for one in (first, second)]
    t = float(first.mean() - second.mean()) / math.sqrt(sum(parts))
    free = sum(parts) ** 2 / sum(
        part**2 / (len(one) - 1) for part, one in zip(parts, (first, second), strict=True)
    )
    return t, float(betainc(free / 2, 0.5, free / (free + t * t)))


def adjusted(p: Sequence[float]) -> Array:
    """Benjamini and Hochberg's q."""
    order = np.argsort(p)
    n = len(p)
    q = np.empty(n)
    least = 1.0
    for rank in range(n, 0, -1):
        place = order[rank - 1]
        least = min(least, p[place] * n / rank)
        q[place] = least
    return q


def chi_square(counts: Array) -> tuple[float, float]:
    """Pearson's chi-square of a table of counts, and its p; no correction."""
    expected = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / counts.sum()
    chi2 = float(((counts - expected) ** 2 / expected).sum())
    free = (counts.shape[0] - 1) * (counts.shape[1] - 1)
    return chi2, float(gammaincc(free / 2, chi2 / 2))


def ranks(values: Array) -> Array:
    """Ranks from 1, ties at their mean."""
    ordered = np.sort(values)
    low = np.searchsorted(ordered, values, "left")
    high = np.searchsorted(ordered, values, "right")
    return (low + high + 1) / 2


def correlation(first: Array, second: Array) -> float:
    """Pearson's correlation."""
    x, y = first - first.mean(), second - second.mean()
    return float((x * y).sum() / math.sqrt((x * x).sum() * (y * y).sum()))
