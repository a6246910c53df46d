"""The desk of a suite: opens it for others, and hands out episodes that they drive themselves.

It does once what every adapter needs: loads the suite, starts the machine's kernels, opens a run
folder. What is run at it is read, reported and graded again as any run.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from rich.console import Console

from benchside.batch import episode_seed, select
from benchside.commands import say_isolation, sensitivity
from benchside.engines.engine import Engine
from benchside.engines.local import open_local
from benchside.episode import Episode, Provenance, episode_id
from benchside.errors import InputError
from benchside.gate.report import held_back
from benchside.isolation import check_isolation
from benchside.library import Suite, open_suite
from benchside.policy import Policy, Turn
from benchside.rollout import Assignment
from benchside.services import check_services
from benchside.serving.driven import DrivenEpisode
from benchside.store import RunConfig, RunFolder, SuiteUse
from benchside.task import Frozen, Split, TaskSpec
from benchside_kernels.sandbox import Level
from benchside_kernels.startup import home_folder


class Offer(Frozen):
    """What is offered to others, and where their episodes go.

    Args:
        target: a suite, or one task of it as SUITE/TASK-ID.
        policy: name under which their episodes are recorded.
        split, limit: as of `benchside run`.
        out: run folder, which may hold a run of the same offer; None for a new one below `runs/`.
        seed: of the run; each episode's follows from it.
        isolation: None for the strongest that the machine gives.
    """

    target: str
    policy: str
    split: Split | None = None
    limit: int | None = None
    out: Path | None = None
    seed: int = 0
    isolation: Level | None = None

    @property
    def suite(self) -> str:
        """The name of the suite."""
        return self.target.partition("/")[0]


class Desk:
    """An open suite; use `open_desk`."""

    def __init__(
        self, offer: Offer, suite: Suite, tasks: list[TaskSpec], folder: RunFolder, engine: Engine
    ) -> None:
        self.offer, self.suite, self.tasks, self.folder = offer, suite, tasks, folder
        self._by_id = {task.task_id: task for task in tasks}
        self._engine = engine
        self._samples: Counter[str] = Counter()  # the next attempt's number
        for row in folder.all_rows():
            if row.policy == offer.policy:
                self._samples[row.task_id] = max(self._samples[row.task_id], row.sample + 1)

    def task(self, task_id: str) -> TaskSpec:
        """Return one of the tasks that are offered.

        Raises:
            InputError: there is none of that id.
        """
        if task_id not in self._by_id:
            raise InputError(
                f"no such task of {self.offer.target} is offered here", where="task id",
                value=task_id, fix="take one of those that are listed",
            )  # fmt: skip
        return self._by_id[task_id]

    def _begun(self, task: TaskSpec) -> bool:
        """Whether an earlier process has begun the attempt that would be next."""
        name = episode_id(task, self.offer.policy, self._samples[task.task_id])
        left = (self.folder.path / "interrupted").glob(f"{name}.*")
        return self.folder.transcript_path(name).exists() or any(left)

    def episode(self, task: TaskSpec, seed: int | None = None) -> DrivenEpisode:
        """Return a new attempt at a task, to be entered as a context.

        Args:
            seed: of the kernel; None: it follows from the offer's, the task and the attempt.
        """
        while self._begun(task):  # and left, before there was a row
            self._samples[task.task_id] += 1
        sample = self._samples[task.task_id]
        self._samples[task.task_id] += 1
        if seed is None:
            seed = episode_seed(self.offer.seed, task, sample)

        async def play(policy: Policy, on_turn: Callable[[Turn], None]) -> Episode:
            assignment = Assignment(self.suite, task, policy, sample, seed)

            def keep_turn(turn: Turn) -> None:
                self.folder.append_turn(assignment.episode_id, turn)
                on_turn(turn)

            row = await self._engine.play(assignment, keep_turn)
            await asyncio.to_thread(self.folder.append, row)
            return await asyncio.to_thread(self.folder.episode, row.episode_id)

        return DrivenEpisode(self.offer.policy, play)


@asynccontextmanager
async def open_desk(offer: Offer, home: Path, console: Console) -> AsyncIterator[Desk]:
    """Open a suite for others, for as long as the context lasts.

    Raises:
        BenchsideError: the suite, its task, the isolation or the run folder cannot be had.
    """
    suite = open_suite(offer.suite, home, console.print)
    suite.check_answers()
    tasks = offered_tasks(offer, suite)
    stamp = dt.datetime.now().astimezone().strftime("%Y%m%d-%H%M%S-%f")
    folder = RunFolder(offer.out or Path("runs") / f"{offer.suite}-{stamp}")
    check_services(tasks)
    with folder.lock():
        async with open_local(folder, offer.isolation, offer.seed, None) as engine:
            say_isolation(engine.isolation, console)
            check_isolation(tasks, engine.isolation)
            console.print(f"run folder: {folder.path}", soft_wrap=True)
            folder.start(_config(offer, suite, tasks, engine.provenance), resume=True)
            yield Desk(offer, suite, tasks, folder, engine)


def offered_tasks(offer: Offer, suite: Suite) -> list[TaskSpec]:
    """Return the tasks that an offer means; `InputError` if there are none."""
    _, _, task_id = offer.target.partition("/")
    if task_id:
        return [suite.task(task_id)]
    tasks = select(suite, offer.split, offer.limit, frozenset(held_back(suite)))
    if not tasks:
        splits = sorted({task.split for task in suite.tasks})
        raise InputError(
            f"suite {suite.name} has no tasks in this split", where="split", value=offer.split,
            fix=f"its splits are {', '.join(splits)}",
        )  # fmt: skip
    return tasks


def _config(offer: Offer, suite: Suite, tasks: list[TaskSpec], origin: Provenance) -> RunConfig:
    use = SuiteUse(
        name=suite.name, version=suite.manifest.version, build=suite.record.build,
        split=offer.split, limit=offer.limit, sensitivity=sensitivity(tasks),
    )  # fmt: skip
    return RunConfig(
        suites=(use,),
        policies={offer.policy: {"policy": offer.policy, "served": offer.target}},
        samples=1,  # at least: those whom it is served to attempt tasks as often as they like
        seed=offer.seed,
        provenance=origin.model_dump(mode="json"),
    )


class DeskOnDemand:
    """A desk that opens when first asked for, in the event loop of whoever asks.

    One task holds it, so that it may be asked for and closed by others.
    """

    def __init__(self, offer: Offer) -> None:
        self._offer = offer
        self._loop: asyncio.AbstractEventLoop | None = None
        self._holding: asyncio.Task[None] | None = None

    async def get(self) -> Desk:
        """Return the desk; `BenchsideError` if it cannot be opened."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # the tasks of a loop before have ended with it
            self._loop, self._opened, self._stop = loop, loop.create_future(), asyncio.Event()
            self._holding = loop.create_task(self._hold(self._opened, self._stop))
        desk: Desk = await asyncio.shield(self._opened)
        return desk

    async def close(self) -> None:
        """Close it, if it is open."""
        if self._holding is not None and self._loop is asyncio.get_running_loop():
            self._stop.set()
            await self._holding
        self._loop = self._holding = None

    async def _hold(self, opened: asyncio.Future[Desk], stop: asyncio.Event) -> None:
        console = Console(stderr=True, markup=False, highlight=False)
        try:
            async with open_desk(self._offer, home_folder(), console) as desk:
                opened.set_result(desk)
                await stop.wait()
        except Exception as error:
            if opened.done():
                raise
            opened.set_exception(error)
