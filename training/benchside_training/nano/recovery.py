"""`Recovery`: how much of what k attempts offer a choice among them brings home.

One attempt solves a task with probability pass@1, one of k attempts with pass@k. A choice among the
k solves a share in between: of the difference, (chosen - pass@1) / (pass@k - pass@1) is recovered.
Three choices are measured: the attempt that a verifier scores highest (best@k), the most frequent
answer (majority@k), and the one whose attempts have the highest scores in sum (weighted@k).
Intervals are by draws of whole template families.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchside.statistics.attempts import best_at, majority_at, pass_at, weighted_at
from benchside.statistics.estimate import Estimate, clustered_mean
from benchside_training.nano.episodes import scored

DRAWS = 2000
CHOICES = ("best", "majority", "weighted")


@dataclass(frozen=True, slots=True)
class Choice:
    """What a way to choose solves, and the share that it recovers.

    `recovered` has no value where more attempts solve no more.
    """

    solved: Estimate
    recovered: Estimate


@dataclass(frozen=True, slots=True)
class Recovery:
    """Of `k` attempts; `choices` by the names of `CHOICES`."""

    k: int
    pass_1: Estimate
    pass_k: Estimate
    choices: dict[str, Choice]


def recovery(episodes: pd.DataFrame, k: int) -> Recovery:
    """Return what the episodes of several attempts at each task come to.

    Args:
        episodes: of one policy, as of `load_run`, all with a `verifier_score`, and what they
            submitted as `vote` (see `benchside.statistics.scores.votes`); tasks with fewer than k
            scored attempts are left out.
    """
    rows, families, tasks = [], [], []
    for (family, task), own in scored(episodes).groupby(["family", "task_hash"]):
        if len(own) < k:
            continue
        solved = own["solved"].tolist()
        scores, votes = own["verifier_score"].tolist(), own["vote"].tolist()
        count = int(sum(solved))
        rows.append(
            (
                pass_at(len(own), count, 1), pass_at(len(own), count, k),
                best_at(solved, scores, k), majority_at(solved, votes, k),
                weighted_at(solved, votes, scores, k),
            )
        )  # fmt: skip
        families.append(str(family))
        tasks.append(str(task))
    rates = np.array(rows, dtype=float).reshape(-1, 2 + len(CHOICES))
    one, offered, *chosen = (clustered_mean(column.tolist(), families, tasks) for column in rates.T)
    choices = {
        name: Choice(solved, _share(rates[:, [0, 1, 2 + number]], families))
        for number, (name, solved) in enumerate(zip(CHOICES, chosen, strict=True))
    }
    return Recovery(k, one, offered, choices)


def _share(rates: np.ndarray, families: list[str]) -> Estimate:
    """The share that is recovered, of rates (tasks, 3): pass@1, pass@k, chosen."""
    codes, names = pd.factorize(pd.Series(families, dtype=object))
    sums = np.zeros((len(names), 3))
    np.add.at(sums, codes, rates)
    generator = np.random.default_rng(0)
    draws = DRAWS if len(names) else 0
    picks = generator.integers(max(len(names), 1), size=(draws, len(names)))
    found = [_ratio(sums[drawn].sum(axis=0)) for drawn in picks]
    defined = [value for value in found if value is not None]
    low, high = map(float, np.percentile(defined, [2.5, 97.5])) if defined else (None, None)
    return Estimate(_ratio(sums.sum(axis=0)), low, high, len(rates), len(names))


def _ratio(sums: np.ndarray) -> float | None:
    one, offered, chosen = map(float, sums)
    return (chosen - one) / (offered - one) if offered - one > 1e-9 else None
