"""Many episodes side by side: bounded, resumable, each on disk before it is counted."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Sequence, Set
from itertools import zip_longest
from pathlib import Path

from nbformat import ValidationError as NotebookError

import benchside
from benchside.budget import Ledger
from benchside.episode import UNSCORED, Episode, Failure, Provenance
from benchside.evaluation import Budget
from benchside.isolation import check_isolation
from benchside.library import Suite
from benchside.policy import Policy, ToolName, Turn
from benchside.rollout import Assignment, Keep, run_episode
from benchside.store import EpisodeRow, RunFolder
from benchside.task import Split, TaskSpec, content_hash
from benchside_kernels.backend import KernelMaker

ATTEMPTS = 2  # an episode that infrastructure spoiled is run once more


def select(
    suite: Suite, split: Split | None, limit: int | None, without: Set[str] = frozenset()
) -> list[TaskSpec]:
    """Return a suite's tasks of a split; `limit` of them are spread over all categories.

    The choice depends on nothing but the tasks, so that runs with one limit are comparable.

    Args:
        without: ids of tasks to be left out.
    """
    tasks = (
        task for task in suite.tasks
        if split in (None, task.split) and task.task_id not in without
    )  # fmt: skip
    if limit is None:
        return list(tasks)
    by_category: dict[str, list[tuple[str, str]]] = {}  # of many tasks only hash and id are kept
    for task in tasks:
        by_category.setdefault(task.category, []).append((task.hash, task.task_id))
    mixed = sorted(by_category, key=content_hash)  # by name, few tasks would be of one kind
    rounds = zip_longest(*(sorted(by_category[name]) for name in mixed))
    chosen = [one[1] for turn in rounds for one in turn if one is not None][:limit]
    if limit >= sum(map(len, by_category.values())):
        kept = set(chosen)  # all of them: in the suite's own order
        chosen = [task_id for task_id in suite.tasks.ids() if task_id in kept]
    return [suite.task(task_id) for task_id in chosen]


def assign(
    suites: Iterable[tuple[Suite, Sequence[TaskSpec]]],
    policies: Sequence[Policy],
    samples: int,
    seed: int,
    tools: tuple[ToolName, ...] = (),
) -> list[Assignment]:
    """Return all episodes of a run; each has a seed of its own that follows from the run's."""
    return [
        Assignment(suite, task, policy, sample, _episode_seed(seed, task, sample), tools)
        for suite, tasks in suites
        for task in tasks
        for policy in policies
        for sample in range(samples)
    ]


def _episode_seed(seed: int, task: TaskSpec, sample: int) -> int:
    digest = hashlib.sha256(f"{seed}\n{task.suite}\n{task.task_id}\n{sample}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % 2**31


async def run_batch(
    assignments: Sequence[Assignment],
    folder: RunFolder,
    provenance: Provenance,
    *,
    maker: KernelMaker,
    parallel: int,
    budget: Budget | None = None,
    keep_s: float | None = None,
    on_episode: Callable[[EpisodeRow], None] = lambda _: None,
) -> str | None:
    """Run all episodes that have no scored row yet, `parallel` at a time.

    Args:
        budget: no episode is started once it is spent; None for no limit.
        keep_s: how long kernels outlive their episodes, for `benchside attach`; None: not at all.

    Returns:
        What the budget has stopped, in words; None where everything was run.

    Raises:
        InputError: a task needs a stronger isolation; nothing was run.
        StoreError: the folder cannot be written; what was finished before is kept.
    """
    check_isolation((assignment.task for assignment in assignments), maker.isolation)
    queue = iter(assignments)
    ledger = Ledger(budget or Budget(), folder)
    keep = None if keep_s is None else Keep(folder.path, keep_s)

    async def work() -> None:
        while ledger.spent is None and (assignment := next(queue, None)) is not None:
            episode = await _run(assignment, folder, provenance, maker, keep, ledger)
            on_episode(await asyncio.to_thread(_finish, folder, episode))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(parallel, len(assignments))):
                group.create_task(work())
    except* Exception as errors:
        raise errors.exceptions[0] from None  # siblings were cancelled for the first one's sake
    return ledger.spent if next(queue, None) is not None else None


def _finish(folder: RunFolder, episode: Episode) -> EpisodeRow:
    """Store an episode; one that cannot be written is kept without its turns, as unscored."""
    try:
        return folder.finish(episode)
    except (ValueError, TypeError, RecursionError, NotebookError) as error:
        failure = Failure(kind=type(error).__name__, message=f"transcript: {str(error)[:500]}")
        bare = episode.model_copy(
            update={
                "turns": (), "submission": None, "grade": None, "failure": failure,
                "outcome": "infrastructure_error", "end_reason": "failed",
                "terminated": False, "truncated": False,
            }
        )  # fmt: skip
        return folder.finish(bare)


def unfinished(assignments: Sequence[Assignment], folder: RunFolder) -> list[Assignment]:
    """Return the episodes that a run still owes: without a row, or with an unscored one."""
    rows = folder.rows()
    scored = {key for key, row in rows.items() if row.outcome not in UNSCORED}
    return [assignment for assignment in assignments if assignment.episode_id not in scored]


async def _run(
    assignment: Assignment,
    folder: RunFolder,
    provenance: Provenance,
    maker: KernelMaker,
    keep: Keep | None,
    ledger: Ledger,
) -> Episode:
    def keep_turn(turn: Turn) -> None:
        folder.append_turn(assignment.episode_id, turn)
        ledger.charge(turn)

    provenance = provenance.model_copy(update={"suite_build": assignment.suite.record.build})
    for attempt in range(1, ATTEMPTS + 1):
        folder.put_turns_aside(assignment.episode_id)
        episode = await run_episode(
            assignment,
            provenance,
            maker=maker,
            hidden=(*hidden_paths(assignment.suite.home), folder.path.resolve()),
            on_turn=keep_turn,
            keep=keep,
        )
        if episode.outcome != "infrastructure_error" or attempt == ATTEMPTS:
            return episode
    raise AssertionError("unreachable")


def hidden_paths(home: Path) -> tuple[Path, ...]:
    """What no kernel may read: Benchside's own code, which computes gold, and answer keys."""
    packages = [Path(folder) for folder in benchside.__path__]
    return (*packages, *(home / name for name in ("answers", "suites")))
