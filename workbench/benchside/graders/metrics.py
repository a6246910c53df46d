"""Metrics of predictions against labels, as plain functions of arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def auroc(labels: Floats, scores: Floats) -> float:
    """Area under the ROC curve; ties between scores count one half.

    Args:
        labels: (n,) 0 or 1, both present.
        scores: (n,) higher means more likely 1.

    Source: J. A. Hanley, B. J. McNeil, Radiology 143 (1982) 29-36 (the Mann-Whitney form).
    """
    positive = labels == 1
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]  # (n,) from 1; ties share their mean
    n1, n0 = int(positive.sum()), int((~positive).sum())
    return float((rank[positive].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def auprc(labels: Floats, scores: Floats) -> float:
    """Area under the precision-recall curve as average precision; ties are taken together.

    Args:
        labels: (n,) 0 or 1, both present.
        scores: (n,) higher means more likely 1.

    Source: J. Davis, M. Goadrich, Proc. ICML (2006) 233-240; without interpolation.
    """
    levels, inverse, counts = np.unique(-scores, return_inverse=True, return_counts=True)
    found = np.bincount(inverse, weights=labels, minlength=len(levels))  # (levels,) best first
    precision = np.cumsum(found) / np.cumsum(counts)
    return float((precision * found).sum() / found.sum())


def mae(labels: Floats, predicted: Floats) -> float:
    """Mean absolute error, in the labels' unit."""
    return float(np.mean(np.abs(labels - predicted)))


def rmse(labels: Floats, predicted: Floats) -> float:
    """Root of the mean squared error, in the labels' unit."""
    return float(np.sqrt(np.mean((labels - predicted) ** 2)))


def r2(labels: Floats, predicted: Floats) -> float:
    """Coefficient of determination; at most 1, below 0 where worse than the labels' mean."""
    residual = np.sum((labels - predicted) ** 2)
    return float(1 - residual / np.sum((labels - labels.mean()) ** 2))


def c_index(time: Floats, event: Floats, risk: Floats) -> float | None:
    """Harrell's concordance index; None where no pair of patients is comparable.

    A pair is comparable when the earlier time is an event, also if the other one is censored at
    that same time; ties in risk count one half.

    Args:
        time: (n,) follow-up.
        event: (n,) 1 for an event, 0 where censored.
        risk: (n,) higher means an earlier event.

    Source: F. E. Harrell et al., JAMA 247 (1982) 2543-2546.
    """
    concordant = comparable = 0.0
    for i in np.flatnonzero(event == 1):
        later = (time > time[i]) | ((time == time[i]) & (event == 0))
        comparable += later.sum()
        concordant += (risk[later] < risk[i]).sum() + 0.5 * (risk[later] == risk[i]).sum()
    return float(concordant / comparable) if comparable else None
