"""The scores of runs: one row for each policy, suite, category and measure.

What makes a score mean something stands beside it: the exploit floor, which the policies that solve
nothing reach, and the contamination baseline, which the same model reaches without the data. Where
a run lacks them, they may come from other runs of the same tasks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from typing import Literal

import pandas as pd

from benchside.episode import UNSCORED
from benchside.runs import Run
from benchside.statistics.attempts import best_at, pass_at, pass_hat, weighted_at
from benchside.statistics.estimate import Estimate, clustered_mean

By = Literal["suite", "category"]
FLOOR_POLICIES = ("do-nothing", "constant", "dump")
# of "openai:m" it is "m", of "anthropic:m" the whole: so is the name of the blind policy
MODEL = re.compile(r"(?:openai:|(?=(?:anthropic|gemini):))([^,()\[\]]+)")
BLIND, MEMORISER = "blind:", "memoriser"
COSTS = (
    "duration_s", "environment_s", "policy_s", "turns", "input_tokens", "output_tokens", "cost_usd",
)  # fmt: skip
COLUMNS = (
    "policy", "suite", "category", "measure", "k", "value", "low", "high", "n", "clusters",
    "unscored", "source",
)  # fmt: skip


def scores(
    run: Run, by: By = "suite", verifier: pd.Series | None = None, beside: Run | None = None
) -> pd.DataFrame:
    """Return the scores of a run, or of several together.

    Args:
        by: "category" for rows of each category; `category` is missing otherwise.
        verifier: a score of each episode, indexed by run and episode id, for best@k and
            weighted@k; None for those that lie beside the runs (`verifier_scores.jsonl`).
        beside: runs to take floor and contamination from, where `run` has none; only their
            episodes of the same tasks count.

    Returns:
        Columns `COLUMNS`. `measure` is success (of episodes), reward, pass@k, pass^k, majority@k,
        best@k and weighted@k (of tasks; `k` says which), duration_s and the like (means per scored
        episode), floor (success of the best policy of `FLOOR_POLICIES`), contamination (success of
        the same model as `blind:MODEL`) or memorised (success of `memoriser`). Tasks with fewer
        than k scored samples are left out of measures of k; n counts what was averaged, clusters
        the groups of tasks. `source` is the run that a floor or baseline comes from where it is
        another one.
    """
    episodes = run.episodes.assign(
        environment_s=run.episodes["start_s"].fillna(0) + run.episodes["kernel_s"],
        vote=votes(run),
        score=run.episodes["verifier_score"] if verifier is None else _aligned(run, verifier),
    )
    keys = ["suite"] if by == "suite" else ["suite", "category"]
    rows = []
    for names, all_policies in episodes.groupby(keys):
        named = dict(zip(keys, names, strict=True))
        baselines = [*_baselines(all_policies, None), *_baselines_of(beside, run, all_policies)]
        for policy, part in all_policies.groupby("policy"):
            facts = {**named, "unscored": int(part["outcome"].isin(UNSCORED).sum())}
            rows += [
                {"policy": policy, **facts, "measure": measure, "k": k, **asdict(estimate)}
                for measure, k, estimate in _measures(part)
            ]
            rows += [
                {"policy": policy, **facts, "measure": measure, "source": one.source,
                 **asdict(one.solved)}
                for measure, one in _beside(str(policy), baselines)
            ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"k": "Int64"})


def _measures(part: pd.DataFrame) -> Iterator[tuple[str, int | None, Estimate]]:
    scored = _scored(part)
    yield "success", None, _success(part)
    yield "reward", None, _mean(scored, "reward")
    yield from _of_attempts(scored)
    for name in COSTS:
        yield name, None, _mean(scored, name, bounds=(0.0, inf))


def _of_attempts(scored: pd.DataFrame) -> Iterator[tuple[str, int, Estimate]]:
    """Measures of k samples, for k = 1, 2, 4 … as far as any task has so many, and the most."""
    tasks = [task for _, task in scored.groupby(["suite", "task_hash"])]
    most = max((len(task) for task in tasks), default=0)
    for k in sorted({2**power for power in range(most.bit_length()) if 2**power <= most} | {most}):
        enough = [task for task in tasks if len(task) >= k > 0]
        for name, measure in _measures_at(scored, k).items():
            values = [measure(task) for task in enough]
            groups = [_group(task) for task in enough]
            hashes = [str(task["task_hash"].iloc[0]) for task in enough]
            yield name, k, clustered_mean(values, groups, hashes)


def _measures_at(scored: pd.DataFrame, k: int) -> dict[str, Callable[[pd.DataFrame], float]]:
    def solved(task: pd.DataFrame) -> int:
        return int((task["outcome"] == "solved").sum())

    def elected(task: pd.DataFrame, weights: list[float]) -> float:
        rewards = (task["outcome"] == "solved").astype(float).tolist()
        return weighted_at(rewards, task["vote"].tolist(), weights, k)

    measures: dict[str, Callable[[pd.DataFrame], float]] = {
        "pass@k": lambda task: pass_at(len(task), solved(task), k)
    }
    if k == 1:  # the others are the same
        return measures
    measures |= {
        "pass^k": lambda task: pass_hat(len(task), solved(task), k),
        "majority@k": lambda task: elected(task, [1.0] * len(task)),
    }
    if len(scored) and scored["score"].notna().all():
        measures["best@k"] = lambda task: best_at(
            task["reward"].tolist(), task["score"].tolist(), k
        )
        measures["weighted@k"] = lambda task: elected(task, task["score"].tolist())
    return measures


@dataclass(frozen=True, slots=True)
class _Baseline:
    """What a policy solved of some tasks; `source`: the run, where it is another one."""

    policy: str
    solved: Estimate
    source: str | None


def _baselines(episodes: pd.DataFrame, source: str | None) -> Iterator[_Baseline]:
    for name, part in episodes.groupby("policy"):
        policy = str(name)
        plain = policy.partition(":")[0]
        if plain in (*FLOOR_POLICIES, MEMORISER) or policy.startswith(BLIND):
            yield _Baseline(policy, _success(part), source)


def _baselines_of(beside: Run | None, run: Run, asked: pd.DataFrame) -> Iterator[_Baseline]:
    """What policies of other runs solved of the tasks that were asked."""
    if beside is None:
        return
    here = {str(path.resolve()) for path in run.paths}
    same = beside.episodes["task_hash"].isin(asked["task_hash"])
    for source, episodes in beside.episodes[same].groupby("run"):
        if str(Path(str(source)).resolve()) not in here:
            yield from _baselines(episodes, str(source))


def _beside(policy: str, baselines: Sequence[_Baseline]) -> Iterator[tuple[str, _Baseline]]:
    """The floor and the baseline of a policy; those of its own run go before others."""
    measured = [one for one in baselines if one.solved.n and one.policy != policy]
    floors = [one for one in measured if one.policy.partition(":")[0] in FLOOR_POLICIES]
    memorised = [one for one in measured if one.policy == MEMORISER]
    model = MODEL.search(policy)
    blind = [one for one in measured if model and one.policy == BLIND + model[1]]
    if floors:
        own = [one for one in floors if one.source is None]
        yield "floor", max(own or floors, key=lambda one: one.solved.value or 0.0)
    if blind:
        yield "contamination", blind[0]
    if memorised:
        yield "memorised", memorised[0]


def _success(part: pd.DataFrame) -> Estimate:
    scored = _scored(part)
    return _mean(scored.assign(solved=(scored["outcome"] == "solved").astype(float)), "solved")


def _mean(scored: pd.DataFrame, column: str, bounds: tuple[float, float] = (0.0, 1.0)) -> Estimate:
    measured = scored[scored[column].notna()]
    groups: Sequence[Hashable] = list(zip(measured["suite"], measured["group"], strict=True))
    values = measured[column].astype(float).tolist()
    return clustered_mean(values, groups, measured["task_hash"].tolist(), bounds)


def _scored(part: pd.DataFrame) -> pd.DataFrame:
    return part[~part["outcome"].isin(UNSCORED)]


def _group(task: pd.DataFrame) -> Hashable:
    return str(task["suite"].iloc[0]), str(task["group"].iloc[0])


def votes(run: Run) -> pd.Series:
    """Return what each episode submitted, equal for equal answers; None for nothing.

    Where no task has several samples of a policy nothing is voted on, and no transcript is read.
    """
    if not run.episodes.duplicated(["suite", "policy", "task_hash"]).any():
        return pd.Series(None, index=run.episodes.index, dtype=object)
    submitted = run.cells.dropna(subset="submitted").set_index(["run", "episode_id"])["submitted"]
    return _aligned(run, submitted.map(canonical)).astype(object).where(lambda vote: vote.notna())


def canonical(submitted: str) -> str:
    """Return a submission's JSON with numbers to six significant digits, 3.0 as 3."""
    return json.dumps(json.loads(submitted, parse_float=_rounded, parse_int=_rounded))


def _rounded(number: str) -> str:
    return f"{float(number):.6g}"


def _aligned(run: Run, values: pd.Series) -> pd.Series:
    """Values by run and episode id, in the order of the episodes; missing where there is none."""
    places = pd.MultiIndex.from_frame(run.episodes[["run", "episode_id"]])
    return pd.Series(values.reindex(places).to_numpy(), index=run.episodes.index)
