"""How far a verifier's scores are probabilities: temperature, reliability, Brier, ECE and AUROC.

Intervals are percentiles over draws of whole clusters (groups of tasks), since samples of one task
resemble each other. The expected calibration error of few samples is too high by chance, and so are
the bounds of its interval.

Sources: C. Guo et al., On Calibration of Modern Neural Networks (2017), for temperature and ECE;
G. W. Brier, Monthly Weather Review 78 (1950).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from benchside.statistics import wilson
from benchside.task import Frozen

DRAWS = 500
BINS = 10
MAX_LOG_TEMPERATURE = 3.0  # a factor of 20: beyond it, the logits say nothing


class Bin(Frozen):
    """Samples of nearly the same score: their mean score, and the share that was solved."""

    n: int
    predicted: float
    solved: float
    low: float
    high: float


class Interval(Frozen):
    """A measure with its 95% interval; None where it is not defined."""

    value: float | None
    low: float | None
    high: float | None


class Calibration(Frozen):
    """Of `n` samples in `clusters` groups of tasks, a share of which was solved.

    Args:
        brier: mean squared error of the scores, the lower the better.
        ece: mean distance of score and share solved over bins of equally many samples.
        auroc: probability that a solved sample is scored above one that is not.
        bins: of the reliability diagram, each with Wilson's interval.
    """

    n: int
    clusters: int
    solved: float
    brier: Interval
    ece: Interval
    auroc: Interval
    bins: tuple[Bin, ...]


def fit_temperature(logits: np.ndarray, solved: np.ndarray) -> float:
    """Return the temperature that makes the scores most probable.

    Args:
        logits: (N) of samples that the verifier was not trained on.
        solved: (N) bool.
    """

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float(np.mean(np.logaddexp(0.0, scaled) - solved * scaled))

    bounds = (-MAX_LOG_TEMPERATURE, MAX_LOG_TEMPERATURE)
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def crossfitted(
    logits: np.ndarray, solved: np.ndarray, clusters: Sequence[str]
) -> tuple[np.ndarray, float]:
    """Return probabilities, each by a temperature of the other half of the clusters, and the whole.

    So what is measured on the probabilities was not fitted to them.
    """
    names = sorted(set(clusters))
    first = np.isin(np.array(clusters), names[::2])
    probabilities = np.empty(len(logits))
    for half in (first, ~first):
        if half.any():
            other = ~half if (~half).any() else half
            probabilities[half] = expit(
                logits[half] / fit_temperature(logits[other], solved[other])
            )
    return probabilities, fit_temperature(logits, solved)


def calibration(
    probabilities: np.ndarray, solved: np.ndarray, clusters: Sequence[str]
) -> Calibration:
    """Measure probabilities (N) against what was solved (N, bool)."""
    places = _places(clusters)
    generator = np.random.default_rng(0)
    draws = [
        np.concatenate([places[one] for one in generator.integers(len(places), size=len(places))])
        for _ in range(DRAWS)
    ]

    def interval(measure: Callable[[np.ndarray, np.ndarray], float | None]) -> Interval:
        found = [measure(probabilities[drawn], solved[drawn]) for drawn in draws]
        defined = [value for value in found if value is not None]
        low, high = np.percentile(defined, [2.5, 97.5]) if defined else (None, None)
        return Interval(value=measure(probabilities, solved), low=low, high=high)

    return Calibration(
        n=len(solved),
        clusters=len(places),
        solved=float(solved.mean()),
        brier=interval(lambda p, y: float(np.mean((p - y) ** 2))),
        ece=interval(_ece),
        auroc=interval(_auroc),
        bins=tuple(_bins(probabilities, solved)),
    )


def draw_reliability(found: Calibration, path: Path) -> None:
    """Draw the share solved against the score, with n of each bin, to a picture."""
    # imported here: slow, and only drawn where a verifier was trained
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(4.2, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1)
    for one in found.bins:
        axes.errorbar(
            one.predicted, one.solved,
            yerr=[[max(one.solved - one.low, 0)], [max(one.high - one.solved, 0)]],
            fmt="o", color="C0", capsize=2,
        )  # fmt: skip
        axes.annotate(f"{one.n}", (one.predicted, one.high), fontsize=7, ha="center", va="bottom")
    axes.set(xlabel="verifier's score", ylabel="share solved", xlim=(0, 1), ylim=(0, 1.04))
    axes.set_title(
        f"n = {found.n} in {found.clusters} groups; Brier {_told(found.brier)}\n"
        f"ECE {_told(found.ece)}; AUROC {_told(found.auroc)}",
        fontsize=8,
    )
    figure.savefig(path)


def _told(one: Interval) -> str:
    if one.value is None or one.low is None:
        return "not defined"
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"


def _places(clusters: Sequence[str]) -> list[np.ndarray]:
    named = np.array(clusters)
    return [np.flatnonzero(named == name) for name in sorted(set(clusters))]


def _groups(probabilities: np.ndarray) -> list[np.ndarray]:
    """Places of the samples of each bin: equally many, from the lowest score to the highest."""
    parts = np.array_split(np.argsort(probabilities, kind="stable"), BINS)
    return [part for part in parts if len(part)]


def _bins(probabilities: np.ndarray, solved: np.ndarray) -> list[Bin]:
    made = []
    for part in _groups(probabilities):
        low, high = wilson(float(solved[part].sum()), len(part))
        made.append(
            Bin(
                n=len(part), predicted=float(probabilities[part].mean()),
                solved=float(solved[part].mean()), low=low, high=high,
            )
        )  # fmt: skip
    return made


def _ece(probabilities: np.ndarray, solved: np.ndarray) -> float:
    gaps = [
        len(part) * abs(float(probabilities[part].mean() - solved[part].mean()))
        for part in _groups(probabilities)
    ]
    return sum(gaps) / len(solved)


def _auroc(probabilities: np.ndarray, solved: np.ndarray) -> float | None:
    if solved.all() or not solved.any():
        return None
    return float(roc_auc_score(solved, probabilities))
