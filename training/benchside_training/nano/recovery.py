"""`Recovery`: how much of what k attempts offer a verifier's choice among them brings home.

One attempt solves a task with probability pass@1, one of k attempts with pass@k. Whoever takes the
attempt that a verifier scores highest solves best@k: the share of the difference that is recovered
is (best@k - pass@1) / (pass@k - pass@1). Its interval is by draws of whole template families.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchside.episode import UNSCORED
from benchside.statistics.attempts import best_at, pass_at
from benchside.statistics.estimate import Estimate, clustered_mean

DRAWS = 2000


@dataclass(frozen=True, slots=True)
class Recovery:
    """Of `k` attempts; `share` has no value where more attempts solve no more."""

    k: int
    pass_1: Estimate
    pass_k: Estimate
    best_k: Estimate
    share: Estimate


def recovery(episodes: pd.DataFrame, k: int) -> Recovery:
    """Return what the episodes of several attempts at each task come to.

    Args:
        episodes: of one policy, as of `load_run`, all with a `verifier_score`; tasks with fewer
            than k scored attempts are left out.
    """
    scored = episodes[~episodes["outcome"].isin(UNSCORED)]
    rows, families, tasks = [], [], []
    for (family, task), own in scored.groupby(["group", "task_id"]):
        if len(own) < k:
            continue
        solved = (own["outcome"] == "solved").astype(float).tolist()
        count = int(sum(solved))
        rows.append(
            (
                pass_at(len(own), count, 1), pass_at(len(own), count, k),
                best_at(solved, own["verifier_score"].tolist(), k),
            )
        )  # fmt: skip
        families.append(str(family))
        tasks.append(str(task))
    rates = np.array(rows, dtype=float).reshape(-1, 3)  # (tasks, 3): pass@1, pass@k, best@k
    one, offered, best = (clustered_mean(column.tolist(), families, tasks) for column in rates.T)
    return Recovery(k, one, offered, best, _share(rates, families))


def _share(rates: np.ndarray, families: list[str]) -> Estimate:
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
    one, offered, best = map(float, sums)
    return (best - one) / (offered - one) if offered - one > 1e-9 else None
