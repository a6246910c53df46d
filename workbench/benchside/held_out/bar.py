"""`Bar`: the threshold of a prediction, between guessing and a plain model of ours.

A question whose plain model is not far enough above guessing has no bar: on so few held-out rows,
luck could pass for skill. Nor has one whose plain model is no better than a single column.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtri

from benchside.graders import metrics
from benchside.graders.metrics import Floats

Metric = Literal["auroc", "auprc", "mae"]
SHARE = 0.85  # of the way from guessing to the plain model
LUCK = 0.99  # guesses that stay below the bar, at least
GUESSES = 400  # random rankings for the distribution of auprc
ABOVE_SINGLE = 0.005  # of the bar, for other ways with a column's missing values
FEWEST = 8  # held-out rows, of each class for the metrics of classes


@dataclass(frozen=True, slots=True)
class Bar:
    """What a submission has to reach.

    Args:
        guess: the metric of a guess: chance for `auroc` and `auprc`, the training rows' median for
            `mae`.
        plain: the metric of the plain model.
        single: the metric of the best single column, below the threshold; None where not looked at.
    """

    metric: Metric
    threshold: float
    guess: float
    plain: float
    single: float | None = None


def measure(metric: Metric, labels: Floats, scores: Floats) -> float:
    """The metric of scores, (n,) each."""
    match metric:
        case "auroc":
            return metrics.auroc(labels, scores)
        case "auprc":
            return metrics.auprc(labels, scores)
        case "mae":
            return metrics.mae(labels, scores)


def enough(labels: Floats) -> bool:
    """Whether there are `FEWEST` labels of 0 and of 1."""
    positives = int(labels.sum())
    return min(positives, len(labels) - positives) >= FEWEST


def set_bar(
    metric: Metric, train: Floats, labels: Floats, scores: Floats, singles: Sequence[Floats] = ()
) -> Bar | None:
    """Return the bar of a question, or None where guesses or one column could reach it.

    Args:
        train: labels of the training rows.
        labels: (n,) labels of the held-out rows.
        scores: (n,) the plain model's scores of the held-out rows.
        singles: (n,) scores by single columns, which the bar of an area keeps out.
    """
    if metric != "mae" and not enough(labels):
        return None
    plain = measure(metric, labels, scores)
    guess = _guess(metric, train, labels)
    if metric == "mae" and not 0 < plain < guess:
        return None
    raw = guess + SHARE * (plain - guess)
    # four figures of errors, three decimals of areas, rounded towards the guess
    if metric == "mae":
        digits = 3 - math.floor(math.log10(raw))
        threshold = round(math.ceil(raw * 10**digits) / 10**digits, max(digits, 0))
        return Bar(metric, threshold, guess, plain) if threshold < _luck(metric, labels) else None
    single = max((measure(metric, labels, one) for one in singles), default=None)
    threshold = float(np.floor(raw * 1000) / 1000)
    if single is not None:
        threshold = max(threshold, round(single + ABOVE_SINGLE, 3))
    if not _luck(metric, labels) < threshold <= plain:
        return None
    return Bar(metric, threshold, guess, plain, single)


def _guess(metric: Metric, train: Floats, labels: Floats) -> float:
    match metric:
        case "auroc":
            return 0.5
        case "auprc":
            return float(labels.mean())
        case "mae":
            return metrics.mae(labels, np.full(len(labels), np.median(train)))


def _luck(metric: Metric, labels: Floats) -> float:
    """What a lucky guess reaches: one of a hundred random rankings, or the best constant.

    Source of the spread of `auroc`: H. B. Mann, D. R. Whitney, Ann. Math. Stat. 18 (1947) 50-60.
    """
    if metric == "mae":
        return metrics.mae(labels, np.full(len(labels), np.median(labels)))
    if metric == "auroc":
        n, n1 = len(labels), labels.sum()
        return float(0.5 + ndtri(LUCK) * np.sqrt((n + 1) / (12 * n1 * (n - n1))))
    rng = np.random.default_rng(len(labels))
    found = [measure(metric, labels, rng.random(len(labels))) for _ in range(GUESSES)]
    return float(np.quantile(found, LUCK))
