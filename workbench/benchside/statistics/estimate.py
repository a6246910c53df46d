"""A mean with its 95% interval, where observations come in clusters.

Tasks of one group (a patient, a template, a data set) resemble each other, and so do samples of one
task: an interval that takes them as independent is too narrow. Variances are therefore those of
cluster means (the linearised ratio estimator), with t quantiles of clusters - 1 degrees of freedom.

- Values that are 0 or 1: Wilson's interval with the effective number of observations.
- Other values: t interval, cut to the bounds that the values have.
- All values equal: the variance says nothing. Of n tasks none differed, so that up to the share
  which Wilson's interval gives for 0 of n may; how far they may differ follows from the bounds.
  (Without bounds, as of counts of tokens, the interval is the value.)

One cluster alone has no variance between clusters: tasks are then taken as the clusters.

Sources: W. G. Cochran, Sampling Techniques (1977), 11.8-11.12; E. L. Korn and B. I. Graubard,
Survey Methodology 24 (1998) 193-201 (effective n, degrees of freedom); C. Franco et al., J. Surv.
Stat. Methodol. 7 (2019) 334-364 (with Wilson's interval); E. Miller, arXiv:2411.00640.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import pandas as pd
from scipy.special import stdtrit

Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over `n` observations in `clusters` clusters, with its 95% interval.

    Args:
        value: None where there is no observation.
        low, high: None where they cannot be told: a single task, and values without bounds.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    clusters: int


def wilson(successes: float, n: float) -> tuple[float, float]:
    """Return the 95% Wilson score interval of a proportion; (0, 1) where n is 0.

    Source: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209-212.
    """
    if n == 0:
        return 0.0, 1.0
    p, z2 = successes / n, Z_95**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 * sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return low, high


def clustered_mean(
    values: Sequence[float],
    clusters: Sequence[Hashable],
    tasks: Sequence[Hashable],
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Estimate:
    """Return the mean of values.

    Args:
        clusters, tasks: of each value; a task lies within one cluster.
        bounds: the least and the greatest value that there can be, such as (0, inf).
    """
    n, distinct = len(values), len(set(tasks))
    finite = bool(np.isfinite(bounds).all())
    unknown = bounds if finite else (None, None)
    if n == 0:
        return Estimate(None, unknown[0], unknown[1], 0, 0)
    units = clusters if len(set(clusters)) > 1 else tasks
    count = len(set(units))
    observed = np.asarray(values, dtype=float)
    mean = float(observed.mean())
    if np.all(observed == observed[0]) and (distinct > 1 or finite):
        return Estimate(mean, *_of_equal(mean, distinct, bounds), n, count)
    if count < 2:  # one task: nothing is known of others
        return Estimate(mean, unknown[0], unknown[1], n, count)
    se = clustered_se(observed, units)
    if bounds == (0.0, 1.0) and bool(np.isin(observed, (0.0, 1.0)).all()):
        effective = _effective_n(mean, se, n, count)
        return Estimate(mean, *wilson(mean * effective, effective), n, count)
    half = float(stdtrit(count - 1, 0.975)) * se
    return Estimate(mean, max(mean - half, bounds[0]), min(mean + half, bounds[1]), n, count)


def clustered_se(values: np.ndarray, clusters: Sequence[Hashable]) -> float:
    """Return the standard error of a mean from the sums of deviations within each cluster."""
    codes, found = pd.factorize(pd.Series(list(clusters)))
    sums = np.bincount(codes, weights=values - values.mean())
    count = len(found)
    return float(np.sqrt(count / (count - 1) * np.sum(sums**2)) / len(values))


def _effective_n(p: float, se: float, n: int, clusters: int) -> float:
    """How many independent observations would give this standard error; never more than n."""
    design = se**2 * (n - 1) / (p * (1 - p))  # variance over that of independent observations
    effective = n / max(design, 1.0)
    return float(effective * (stdtrit(n - 1, 0.975) / stdtrit(clusters - 1, 0.975)) ** 2)


def _of_equal(value: float, tasks: int, bounds: tuple[float, float]) -> tuple[float, float]:
    if not np.isfinite(bounds).all():
        return value, value
    share = wilson(0, tasks)[1]
    return value - share * (value - bounds[0]), value + share * (bounds[1] - value)
