"""What `benchside run` and `benchside evaluate` do, apart from parsing its options."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    track,
)

from benchside.batch import assign, run_on, select, unfinished
from benchside.engines.engine import Engine, EngineName
from benchside.engines.local import open_local
from benchside.errors import InputError, StoreError
from benchside.evaluation import Evaluation, SuiteChoice
from benchside.gate.report import held_back
from benchside.isolation import check_isolation
from benchside.library import Suite, open_suite
from benchside.lookup.index import open_index
from benchside.manner import manner_of
from benchside.policies import Memory, Providers, ShippedPolicy, make_policy
from benchside.services import check_services
from benchside.store import EpisodeRow, RunConfig, RunFolder, SuiteUse
from benchside.task import Sensitivity, TaskSpec, content_hash
from benchside.task_list import listed_tasks
from benchside.transcript import NOT_COMPARABLE
from benchside_kernels.sandbox import Isolation, sandbox_problem


@dataclass(frozen=True, slots=True)
class RunRequest:
    """An evaluation, and where it goes.

    Args:
        out: run folder; None for a new one below `runs/` that is named after suites and time.
        resume: go on with the run in that folder.
        keep_s: how long kernels outlive their episodes; None: not at all.
        engine: where episodes run.
        store: URL of the store in which nodes leave transcripts; None for the run folder itself.
    """

    evaluation: Evaluation
    out: Path | None = None
    resume: bool = False
    keep_s: float | None = None
    engine: EngineName = "local"
    store: str | None = None


async def run_suites(request: RunRequest, home: Path, console: Console) -> RunFolder:
    """Run all policies on all suites and return the run folder."""
    asked = request.evaluation
    if request.resume and request.out is None:
        raise InputError("--resume needs the folder to go on in", where="--out", fix="give --out")
    suites = [open_suite(one.name, home, console.print) for one in asked.suites]
    for suite in suites:
        suite.check_answers()
    held = {
        suite.name: frozenset() if asked.with_quarantined else frozenset(held_back(suite))
        for suite in suites
    }
    for name, tasks in held.items():
        if tasks:
            console.print(
                f"{name}: {len(tasks):,} quarantined tasks are left out; benchside tasks {name} "
                "--quarantined says why, --with-quarantined runs them", soft_wrap=True,
            )  # fmt: skip
    chosen = [
        (suite, _tasks(asked, choice, suite, held[suite.name]))
        for choice, suite in zip(asked.suites, suites, strict=True)
    ]
    folder = RunFolder(request.out or _new_folder([suite.name for suite in suites]))
    async with AsyncExitStack() as stack:
        check_services([task for _, tasks in chosen for task in tasks])
        by_name = {suite.name: suite for suite in suites}
        providers, memory = Providers(), Memory(by_name)
        made = []
        for choice in asked.policies:
            solutions = functools.partial(_solution, by_name)
            policy = make_policy(
                choice.policy, choice.options, solutions, providers, memory, choice.price_list
            )
            made.append(await stack.enter_async_context(aclosing(policy)))
        policies = list({policy.name: policy for policy in made}.values())
        manners = [manner_of(policy) for policy in policies]
        tools = {*asked.tools, *(tool for manner in manners for tool in manner.tools)}
        if tools & {"request_info", "debug"}:
            await asyncio.to_thread(_index, chosen, console)
        if any(manner.feedback == "oracle" for manner in manners):
            console.print(NOT_COMPARABLE, style="bold", soft_wrap=True)
        stack.enter_context(folder.lock())
        opening = _engine(request, folder, chosen, policies, console)
        engine = await stack.enter_async_context(opening)
        say_isolation(engine.isolation, console)
        check_isolation((task for _, tasks in chosen for task in tasks), engine.isolation)
        for policy in policies:
            await policy.check()
        console.print(f"run folder: {folder.path}", soft_wrap=True)
        await _run(request, folder, chosen, held, policies, engine, console)
    return folder


def _engine(
    request: RunRequest,
    folder: RunFolder,
    chosen: list[tuple[Suite, list[TaskSpec]]],
    policies: list[ShippedPolicy],
    console: Console,
) -> AbstractAsyncContextManager[Engine]:
    """The engine that was asked for, not opened yet."""
    asked = request.evaluation
    if request.engine == "local":
        if request.store is not None:
            raise InputError(
                "a store is for the nodes of a cluster", where="--store", value=request.store,
                fix="leave it out, or give --engine ray",
            )  # fmt: skip
        return open_local(folder, asked.isolation, asked.seed, request.keep_s)
    if request.keep_s is not None:
        raise InputError(
            "kernels of a cluster's nodes cannot be kept",
            where="--keep",
            value=request.engine,
            fix="leave it out, or give --engine local",
        )
    try:  # an optional extra, which takes a second to load
        from benchside.engines.handover import open_handover  # noqa: PLC0415
        from benchside.engines.job import Job  # noqa: PLC0415
        from benchside.engines.ray_engine import open_ray  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise InputError(
            f"the engine needs a package that is not installed: {error.name}",
            where="--engine ray", fix="pip install 'benchside[ray]', here and on all nodes",
        ) from None  # fmt: skip
    handover = open_handover(request.store, folder.path, resume=request.resume)
    job = Job.of(asked, chosen, policies, handover, (folder.path.resolve(),))
    return open_ray(job, functools.partial(console.print, soft_wrap=True))


async def _run(
    request: RunRequest,
    folder: RunFolder,
    chosen: list[tuple[Suite, list[TaskSpec]]],
    held: dict[str, frozenset[str]],
    policies: list[ShippedPolicy],
    engine: Engine,
    console: Console,
) -> None:
    asked = request.evaluation
    uses = [
        SuiteUse(
            name=suite.name, version=suite.manifest.version, build=suite.record.build,
            split=choice.split, limit=choice.limit,
            listed=content_hash([*sorted(choice.tasks)]) if choice.tasks else None,
            quarantined=len(held[suite.name]), sensitivity=sensitivity(tasks),
        )
        for choice, (suite, tasks) in zip(asked.suites, chosen, strict=True)
    ]  # fmt: skip
    config = RunConfig(
        suites=tuple(uses),
        policies={policy.name: dict(policy.config) for policy in policies},
        samples=asked.samples,
        seed=asked.seed,
        tools=asked.tools,
        limits=asked.limits.model_dump(exclude_none=True),
        provenance=engine.provenance.model_dump(mode="json"),
    )
    folder.start(config, resume=request.resume)
    assignments = assign(chosen, policies, asked.samples, asked.seed, asked.tools)
    owed = unfinished(assignments, folder)
    if len(owed) < len(assignments):
        console.print(f"{len(assignments) - len(owed)} of {len(assignments)} episodes are done")
    counts: Counter[str] = Counter()
    by_hand = any(name.partition(":")[0] == "human" for name in config.policies)
    with episode_progress(console, hidden=by_hand) as progress:  # a person has the terminal
        bar = progress.add_task("", total=len(owed), counts="")

        def advance(row: EpisodeRow) -> None:
            counts[row.outcome] += 1
            listed = "  ".join(f"{name} {count}" for name, count in sorted(counts.items()))
            progress.update(bar, advance=1, counts=listed)

        spent = await run_on(
            engine, owed, folder, parallel=1 if by_hand else asked.parallel or engine.slots,
            budget=asked.budget, on_episode=advance,
        )  # fmt: skip
    if spent is not None:
        left = len(owed) - sum(counts.values())
        console.print(
            f"the budget is spent ({spent}): {left} episodes were not finished; "
            "raise it and --resume"
        )


def _index(chosen: list[tuple[Suite, list[TaskSpec]]], console: Console) -> None:
    """Make the indexes that tools will ask, so that no episode waits for them."""
    images = {
        suite.image(task).ref: (suite.image(task), suite.home)
        for suite, tasks in chosen
        for task in tasks
    }
    for image, home in track(images.values(), "indexing data", console=console, transient=True):
        open_index(image, home)


def episode_progress(console: Console, *, hidden: bool = False) -> Progress:
    """Return the bar of a batch of episodes, with counts per outcome."""
    return Progress(
        TextColumn("episodes"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(),
        TextColumn("{task.fields[counts]}", markup=False),
        console=console, disable=hidden,
    )  # fmt: skip


def say_isolation(isolation: Isolation, console: Console) -> None:
    """Say at start what this run's kernels are not kept from, and why there is no more."""
    console.print(f"isolation: {isolation.level}; not covered: {'; '.join(isolation.gaps)}")
    if isolation.level != "sandbox" and (problem := sandbox_problem()):
        console.print(f"no sandbox here: {problem}")
    if not isolation.hides_files:
        console.print("kernels here can read answer keys: do not trust these scores", style="bold")


def find_transcript(name: str) -> Path:
    """Return the notebook that a path or RUN/EPISODE-ID names."""
    path = Path(name)
    if path.suffix == ".ipynb":
        return path
    candidate = path.parent / "episodes" / f"{path.name}.ipynb"
    if candidate.exists():
        return candidate
    raise StoreError(
        "there is no such episode", value=name,
        fix="give a transcript (.ipynb) or RUN-FOLDER/EPISODE-ID",
    )  # fmt: skip


def _solution(suites: dict[str, Suite], task: TaskSpec) -> tuple[str, ...]:
    return suites[task.suite].answer_key(task.task_id).solution


def sensitivity(tasks: list[TaskSpec]) -> Sensitivity:
    """Return the strictest sensitivity of some tasks."""
    return "credentialed" if any(t.sensitivity == "credentialed" for t in tasks) else "open"


def _tasks(
    asked: Evaluation, choice: SuiteChoice, suite: Suite, held: frozenset[str]
) -> list[TaskSpec]:
    """The tasks of a suite that were asked for, with the evaluation's limits."""
    only = listed_tasks(suite, choice.tasks) if choice.tasks else None
    chosen = select(suite, choice.split, choice.limit, held, only)
    tasks = [asked.limited(task) for task in chosen]
    if not tasks:
        splits = sorted({task.split for task in suite.tasks if not only or task.task_id in only})
        raise InputError(
            f"suite {suite.name} has no such tasks in this split", where="--split",
            value=choice.split,
            fix=f"its splits are {', '.join(splits)}",
        )  # fmt: skip
    return tasks


def _new_folder(suites: Sequence[str]) -> Path:
    stamp = dt.datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{'-'.join(suites)}-{stamp}"
