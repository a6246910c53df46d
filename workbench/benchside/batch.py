"""Many episodes side by side: bounded, resumable, each on disk before it is counted."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Sequence, Set
from itertools import takewhile, zip_longest

from benchside.budget import Ledger
from benchside.engines.engine import Engine, NodeLostError
from benchside.engines.local import LocalEngine
from benchside.episode import UNSCORED, Provenance
from benchside.errors import BudgetSpentError, ServerDownError
from benchside.evaluation import Budget
from benchside.isolation import check_isolation
from benchside.library import Suite
from benchside.manner import manner_of, suited, tools_of
from benchside.parallel import side_by_side
from benchside.policy import Policy, ToolName, Turn, Usage
from benchside.rollout import Assignment
from benchside.store import EpisodeRow, RunFolder
from benchside.task import Split, TaskSpec, content_hash
from benchside.uncollected import uncollected
from benchside_kernels.backend import KernelMaker

ATTEMPTS = 2  # an episode that infrastructure spoiled is run once more


def select(
    suite: Suite,
    split: Split | None,
    limit: int | None,
    without: Set[str] = frozenset(),
    only: Set[str] | None = None,
) -> list[TaskSpec]:
    """Return a suite's tasks of a split; `limit` of them are spread over all categories.

    The choice depends on nothing but the tasks, so that runs with one limit are comparable.

    Args:
        without: ids of tasks to be left out.
        only: ids of the tasks that there are to choose from; None for all.
    """
    tasks = (
        task for task in suite.tasks
        if split in (None, task.split) and task.task_id not in without
        and (only is None or task.task_id in only)
    )  # fmt: skip
    if limit is None:
        with uncollected():
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
        Assignment(
            suite, suited(task, manner_of(policy)), policy, sample,
            episode_seed(seed, task, sample), tools_of(manner_of(policy), tools),
        )
        for suite, tasks in suites
        for task in tasks
        for policy in policies
        for sample in range(samples)
    ]  # fmt: skip


def episode_seed(seed: int, task: TaskSpec, sample: int) -> int:
    """Return the seed of an episode's kernel, which follows from the run's."""
    digest = hashlib.sha256(f"{seed}\n{task.suite}\n{task.task_id}\n{sample}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % 2**31


async def run_batch(
    assignments: Sequence[Assignment],
    folder: RunFolder,
    provenance: Provenance,
    *,
    maker: KernelMaker,
    parallel: int,
    on_episode: Callable[[EpisodeRow], None] = lambda _: None,
) -> None:
    """Run all episodes on this machine, in kernels of a maker; see `run_on`."""
    engine = LocalEngine(maker, provenance, (folder.path.resolve(),), folder.put)
    await run_on(engine, assignments, folder, parallel=parallel, on_episode=on_episode)


async def run_on(
    engine: Engine,
    assignments: Sequence[Assignment],
    folder: RunFolder,
    *,
    parallel: int,
    budget: Budget | None = None,
    on_episode: Callable[[EpisodeRow], None] = lambda _: None,
) -> str | None:
    """Run episodes, `parallel` at a time; each row is appended once its transcript is in place.

    Args:
        budget: once it is spent, episodes that are running end after their turn, unfinished; None
            for no limit.

    Returns:
        What the budget has stopped, in words; None where everything was run.

    Raises:
        InputError: a task needs a stronger isolation; nothing was run.
        StoreError: the folder cannot be written; what was finished before is kept.
        ServerDownError: a model server was given up; what is running then stays unfinished.
    """
    check_isolation((assignment.task for assignment in assignments), engine.isolation)
    ledger = Ledger(budget or Budget(), folder)
    left = len(assignments)

    async def work(assignment: Assignment) -> None:
        nonlocal left
        row = await _play(engine, assignment, folder, ledger)
        if row is None:
            return
        left -= 1
        await asyncio.to_thread(folder.append, row)
        on_episode(row)

    affordable = takewhile(lambda _: ledger.spent is None, assignments)
    await side_by_side(affordable, work, parallel)
    return ledger.spent if left else None


def unfinished(assignments: Sequence[Assignment], folder: RunFolder) -> list[Assignment]:
    """Return the episodes that a run still owes: without a row, or with an unscored one."""
    rows = folder.rows()
    scored = {key for key, row in rows.items() if row.outcome not in UNSCORED}
    return [assignment for assignment in assignments if assignment.episode_id not in scored]


async def _play(
    engine: Engine, assignment: Assignment, folder: RunFolder, ledger: Ledger
) -> EpisodeRow | None:
    """Play an episode; again where infrastructure spoiled it, or its node has vanished.

    Returns:
        Its row; None where the budget has cut it short: it stays unfinished.

    Raises:
        ServerDownError: the server of its model was given up.
    """

    charged = Usage()

    def keep_turn(turn: Turn) -> None:
        nonlocal charged
        folder.append_turn(assignment.episode_id, turn)
        charged += turn.action.usage
        ledger.charge(turn)

    attempts = 0
    while True:
        folder.put_turns_aside(assignment.episode_id)
        charged = Usage()
        try:
            row = await engine.play(assignment, keep_turn)
        except NodeLostError:
            continue  # the episode had no part in that
        except BudgetSpentError:  # of an engine that plays elsewhere
            return None
        if row.error_kind == BudgetSpentError.__name__:
            return None
        if row.error_kind == ServerDownError.__name__:
            raise ServerDownError((row.error or "").removeprefix(f"{row.error_kind}: "))
        ledger.charge_rest(row, charged)
        attempts += 1
        if row.outcome != "infrastructure_error" or attempts == ATTEMPTS:
            return row
