"""Gates a suite: plays its tasks on real kernels and writes down what that shows.

Each task is played by the reference twice, with different seeds, and by four probes that must not
solve it. What is left out on purpose: whether a question is worth asking.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from rich.console import Console

from benchside import __version__
from benchside.batch import ATTEMPTS, assign, select
from benchside.commands import episode_progress, say_isolation
from benchside.episode import UNSCORED, Episode, Provenance
from benchside.gate.leakage import leakage
from benchside.gate.log import GateLog, GateRow, gate_row
from benchside.gate.questions import ambiguous, guessable
from benchside.gate.report import GateReport, held_back, write_report
from benchside.gate.verdict import (
    FORBIDDEN,
    PROBES,
    REFERENCE,
    above_chance,
    chances,
    floor,
    held,
    judged,
    oracle,
    same,
)
from benchside.isolation import check_isolation, hidden_paths
from benchside.library import Suite
from benchside.parallel import side_by_side
from benchside.policies import make_policy
from benchside.provenance import provenance
from benchside.rollout import Assignment, run_episode
from benchside.task import TaskSpec
from benchside.task_kernel import WARM_MODULES
from benchside_kernels.backend import KernelMaker
from benchside_kernels.makers import open_kernels
from benchside_kernels.sandbox import Level


@dataclass(frozen=True, slots=True)
class GateRequest:
    """A gate as the user asked for it.

    Args:
        limit: tasks to play, spread over categories; None: all.
        parallel: episodes at a time.
        isolation: level of the kernels; None for the strongest that this machine gives.
    """

    limit: int | None
    parallel: int
    isolation: Level | None = None
    seed: int = 0


async def gate_suite(suite: Suite, request: GateRequest, console: Console) -> GateReport:
    """Gate a suite's build and store the result beside its tasks.

    Tasks that an earlier gate of this build held back, and that are not among those played now,
    stay in quarantine.

    Raises:
        DataMissingError, IntegrityError: the answer keys are not as prepared.
        StoreError: another process gates this build, or the result cannot be written.
    """
    suite.check_answers()
    tasks = select(suite, None, request.limit)
    log = GateLog.of(suite)
    with log.lock():
        async with AsyncExitStack() as stack:
            maker = await stack.enter_async_context(open_kernels(request.isolation, WARM_MODULES))
            say_isolation(maker.isolation, console)
            check_isolation(tasks, maker.isolation)
            origin = provenance(request.seed, maker.isolation)
            rows = await _play(suite, tasks, request, log, maker, origin, console)
        console.print(f"comparing the questions of {suite.name}")
        report = await asyncio.to_thread(_report, suite, tasks, rows, request, origin)
        write_report(suite, report)
        if not report.unscored:
            log.finish()
    return report


async def _play(
    suite: Suite,
    tasks: Sequence[TaskSpec],
    request: GateRequest,
    log: GateLog,
    maker: KernelMaker,
    origin: Provenance,
    console: Console,
) -> list[GateRow]:
    """Play what the log does not hold yet; return the rows of all episodes of this gate."""
    reference = make_policy(
        REFERENCE, solutions=lambda task: suite.answer_key(task.task_id).solution
    )
    probes = [make_policy(name) for name in PROBES]
    assignments = [
        *assign([(suite, tasks)], [reference], 2, request.seed),
        *assign([(suite, tasks)], probes, 1, request.seed),
    ]
    assignments.sort(key=lambda one: one.task.hash)  # a task's episodes beside each other
    known = log.rows()
    owed = [one for one in assignments if _key(one) not in known]
    if len(owed) < len(assignments):
        done = len(assignments) - len(owed)
        console.print(f"{done:,} of {len(assignments):,} episodes are done")
    counts: Counter[str] = Counter()
    rows = {_key(one): known[_key(one)] for one in assignments if _key(one) in known}
    with episode_progress(console) as progress:
        bar = progress.add_task("", total=len(owed), counts="")

        def advance(row: GateRow) -> None:
            rows[row.key] = row
            counts[row.outcome] += 1
            listed = "  ".join(f"{name} {count}" for name, count in sorted(counts.items()))
            progress.update(bar, advance=1, counts=listed)

        await _episodes(owed, log, origin, maker, request.parallel, advance)
    return list(rows.values())


async def _episodes(
    owed: Sequence[Assignment],
    log: GateLog,
    origin: Provenance,
    maker: KernelMaker,
    parallel: int,
    advance: Callable[[GateRow], None],
) -> None:
    async def work(assignment: Assignment) -> None:
        episode = await _episode(assignment, origin, maker)
        row = gate_row(episode)
        if _speaks_against(episode):
            await asyncio.to_thread(log.keep_transcript, episode)
        log.append(row)
        advance(row)

    await side_by_side(owed, work, parallel)


async def _episode(assignment: Assignment, origin: Provenance, maker: KernelMaker) -> Episode:
    """Run an episode; what infrastructure spoiled is run once more."""
    suite = assignment.suite
    origin = origin.model_copy(update={"suite_build": suite.record.build})
    hidden = hidden_paths(suite.home)
    episode = await run_episode(assignment, origin, maker=maker, hidden=hidden)
    for _ in range(ATTEMPTS - 1):
        if episode.outcome == "infrastructure_error":
            episode = await run_episode(assignment, origin, maker=maker, hidden=hidden)
    return episode


def _speaks_against(episode: Episode) -> bool:
    """True for episodes whose notebook somebody will want to read."""
    if episode.policy == REFERENCE:
        return episode.outcome != "solved"
    return episode.policy in FORBIDDEN and episode.outcome == "solved"


def _key(assignment: Assignment) -> tuple[str, str, int]:
    return assignment.task.hash, assignment.policy.name, assignment.sample


def _report(
    suite: Suite,
    tasks: Sequence[TaskSpec],
    rows: Sequence[GateRow],
    request: GateRequest,
    origin: Provenance,
) -> GateReport:
    played = {task.task_id for task in tasks}
    before = {
        task_id: reasons for task_id, reasons in held_back(suite).items() if task_id not in played
    }
    probed, guesses = floor(rows), chances(tasks)
    compared = [ambiguous(suite), guessable(suite, tasks)]
    quarantined = held(
        before, judged(rows), *({key: [why] for key, why in one.items()} for one in compared)
    )
    return GateReport(
        suite=suite.name, version=suite.manifest.version, build=suite.record.build,
        benchside=__version__, date=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        isolation=origin.isolation, seed=request.seed, tasks=len(suite.tasks), gated=len(tasks),
        vacuous=sum(suite.answer_key(task_id).vacuous for task_id in played),
        oracle=oracle(rows), floor=probed, chance=sum(guesses), same=same(rows),
        unscored=sum(row.outcome in UNSCORED for row in rows),
        findings=(
            *above_chance(probed["constant"], guesses, len(suite.tasks)),
            *leakage(suite.tasks),
        ),
        quarantined=quarantined,
    )  # fmt: skip
