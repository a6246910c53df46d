"""Two policies on the same tasks: difference, interval, and tests that it is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import comb

import numpy as np
import pandas as pd

from benchside.episode import UNSCORED
from benchside.errors import InputError
from benchside.statistics.estimate import Estimate, clustered_mean

MAX_FLIPS = 20_000


@dataclass(frozen=True, slots=True)
class Comparison:
    """How much better `first` did than `second`, task by task.

    Args:
        difference: mean over tasks of the difference of success rates; n counts tasks.
        only_first, only_second: tasks that the one solved more often than the other.
        mcnemar_p: exact and two-sided; None where a task has several samples of a policy. It takes
            tasks as independent, `permutation_p` does not: whole clusters change their sign.
        permutation_p: two-sided; exact with up to 14 clusters, else of 20,000 random sign changes.
    """

    first: str
    second: str
    difference: Estimate
    only_first: int
    only_second: int
    mcnemar_p: float | None
    permutation_p: float


def compare(episodes: pd.DataFrame, first: str, second: str) -> Comparison:
    """Compare two policies over the tasks that both have scored episodes of.

    Args:
        episodes: as of `benchside.load_run(…).episodes`.

    Raises:
        InputError: there is no such task.
    """
    scored = episodes[~episodes["outcome"].isin(UNSCORED)]
    scored = scored[scored["policy"].isin((first, second))]
    solved = (scored["outcome"] == "solved").astype(float).rename("solved")
    keys = [scored["suite"], scored["task_hash"], scored["group"], scored["policy"]]
    both = scored["policy"].nunique() == 2
    by_task = solved.groupby(keys).agg(["mean", "size"]).unstack("policy").dropna()
    if by_task.empty or not both:
        raise InputError(
            "there is no task that both policies have scored episodes of", where="policies",
            value=(first, second),
            fix=f"choose two of {', '.join(sorted(episodes['policy'].unique()))}",
        )  # fmt: skip
    difference = (by_task["mean"][first] - by_task["mean"][second]).to_numpy()
    groups = list(zip(by_task.index.get_level_values("suite"),
                      by_task.index.get_level_values("group"), strict=True))  # fmt: skip
    tasks = by_task.index.get_level_values("task_hash").tolist()
    only = int((difference > 0).sum()), int((difference < 0).sum())
    single = bool((by_task["size"].to_numpy() == 1).all())
    return Comparison(
        first, second, clustered_mean(difference.tolist(), groups, tasks, (-1.0, 1.0)), *only,
        mcnemar(*only) if single else None, permutation(difference, groups),
    )  # fmt: skip


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided exact p of McNemar's test: a binomial test over the tasks that differ.

    Source: Q. McNemar, Psychometrika 12 (1947) 153-157.
    """
    n = only_first + only_second
    tail = sum(comb(n, i) for i in range(min(only_first, only_second) + 1))
    return min(1.0, 2 * tail / float(2**n))


def permutation(differences: np.ndarray, clusters: Sequence[object]) -> float:
    """Return the two-sided p of the sign-flip test, with one sign for each cluster."""
    codes, found = pd.factorize(pd.Series(list(clusters)))
    sums = np.bincount(codes, weights=differences)
    seen = abs(sums.sum()) - 1e-9
    if 2 ** len(found) <= MAX_FLIPS:
        signs = np.array(list(product((1, -1), repeat=len(found))))
        return float(np.mean(np.abs(signs @ sums) >= seen))
    generator = np.random.default_rng(0)
    hits = sum(
        int((abs(generator.choice((1, -1), (1_000, len(found))) @ sums) >= seen).sum())
        for _ in range(MAX_FLIPS // 1_000)
    )
    return (hits + 1) / (MAX_FLIPS + 1)
