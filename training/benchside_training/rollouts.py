"""Rollouts: a step's episodes in live kernels, and those on held-out tasks.

Kernels stay warm from step to step: zygotes live as long as the training, and kernels for the next
step are forked while the model is trained. Each step's episodes lie in a run folder like any other;
what is learned from them is taken from memory.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from benchside.batch import run_on
from benchside.engines.local import LocalEngine
from benchside.episode import Episode, Provenance
from benchside.errors import InputError
from benchside.evaluation import LimitChoice
from benchside.fork_point import ForkPoint
from benchside.library import Suite
from benchside.policies.options import PolicyOptions
from benchside.provenance import provenance
from benchside.rollout import Assignment
from benchside.store import EpisodeRow, RunConfig, RunFolder, SuiteUse
from benchside.task import Split, TaskSpec
from benchside.task_kernel import WARM_MODULES
from benchside_kernels.backend import KernelMaker
from benchside_kernels.makers import open_kernels
from benchside_training.local.engine import Engine
from benchside_training.local.loading import LocalModel
from benchside_training.local.policy import LocalPolicy
from benchside_training.rl_config import Branch, RlConfig

Tasks = Sequence[tuple[Suite, TaskSpec]]
MOST_AHEAD = 32
"""Kernels of one image that are forked in advance; each takes about 10 MiB."""


class Group(NamedTuple):
    """The finished episodes of one question, in the order of their samples."""

    step: int
    number: int
    episodes: tuple[Episode, ...]


@dataclass(frozen=True, slots=True)
class Rollouts:
    """Plays episodes with the weights that the engine has.

    Args:
        folder: of the training; no kernel can read it.
    """

    config: RlConfig
    loaded: LocalModel
    engine: Engine
    maker: KernelMaker
    origin: Provenance
    folder: Path

    async def play(self, tasks: Tasks, step: int, done: Callable[[Group], None]) -> None:
        """Play a step's episodes, anew whatever an interrupted one has left.

        Args:
            done: called with each group as soon as all its episodes are stored.
        """
        config = self.config
        points: list[ForkPoint] = []
        drawn = random.Random(f"{config.seed}/{step}").sample(tasks, groups_of(config, tasks))
        asked = self._asked(drawn, config.samples, step, f"{config.seed}/{step}")
        if config.branch is not None:
            asked = _parting(asked, config.branch, points)
        numbers = {task.hash: number for number, (_, task) in enumerate(drawn)}
        waited = Counter(one.task.hash for one in asked)
        kept: dict[str, Episode] = {}

        def finished(row: EpisodeRow) -> None:
            waited[row.task_hash] -= 1
            if waited[row.task_hash] == 0:
                own = [one for one in asked if one.task.hash == row.task_hash]
                own.sort(key=lambda one: one.sample)
                group = tuple(kept.pop(one.episode_id) for one in own)
                done(Group(step, numbers[row.task_hash], group))

        run = RunFolder(self.folder / "rollouts" / f"step-{step:05d}")
        try:
            await self._run(asked, run, "train", kept, finished)
        finally:
            for point in points:
                await point.aclose()

    async def measure(self, tasks: Tasks, step: int, split: Split) -> list[Episode]:
        """Play one episode on each of some held-out tasks, after so many steps."""
        asked = self._asked(tasks, 1, step, f"{self.config.seed}/held out")
        kept: dict[str, Episode] = {}
        run = RunFolder(self.folder / "held_out" / f"step-{step:05d}")
        await self._run(asked, run, split, kept, lambda _: None)
        return [kept[one.episode_id] for one in asked]

    async def attempt(self, tasks: Tasks, samples: int, step: int) -> list[Episode]:
        """Play so many episodes on each task, for a trainer that has drawn the tasks itself."""
        asked = self._asked(tasks, samples, step, f"{self.config.seed}/{step}")
        kept: dict[str, Episode] = {}
        run = RunFolder(self.folder / "rollouts" / f"step-{step:05d}")
        await self._run(asked, run, "train", kept, lambda _: None)
        return [kept[one.episode_id] for one in asked]

    def _asked(self, tasks: Tasks, samples: int, step: int, seeds: str) -> list[Assignment]:
        """The episodes; each sample has a seed of its own."""
        config = self.config
        asked = []
        for suite, task in tasks:
            for sample in range(samples):
                told = f"{seeds}/{task.hash}/{sample}".encode()
                seed = int.from_bytes(hashlib.sha256(told).digest()[:4], "big") % 2**31
                options = PolicyOptions(
                    temperature=config.update.temperature, max_tokens=config.max_tokens, seed=seed
                )
                name = f"hf:{config.model}@{step}"
                policy = LocalPolicy(name, self.loaded, self.engine, options)
                asked.append(Assignment(suite, task, policy, sample, seed))
        return asked

    async def _run(
        self,
        asked: list[Assignment],
        run: RunFolder,
        split: Split,
        kept: dict[str, Episode],
        on_episode: Callable[[EpisodeRow], None],
    ) -> None:
        config = self.config
        await asyncio.to_thread(shutil.rmtree, run.path, ignore_errors=True)
        made = run_config(asked, config.seed, config.limits, self.origin, split)

        def put(episode: Episode) -> EpisodeRow:
            kept[episode.episode_id] = episode
            return run.put(episode)

        engine = LocalEngine(self.maker, self.origin, (self.folder.resolve(),), put)
        with run.lock():
            run.start(made, resume=False)
            await run_on(engine, asked, run, parallel=config.parallel, on_episode=on_episode)


@asynccontextmanager
async def open_rollouts(
    config: RlConfig, loaded: LocalModel, engine: Engine, folder: Path
) -> AsyncIterator[Rollouts]:
    """Own the kernels of a training for as long as the context lasts."""
    ahead = min(config.parallel, MOST_AHEAD)
    async with open_kernels(None, WARM_MODULES, ahead=ahead) as maker:
        if config.branch is not None and maker.isolation.level == "process":
            raise InputError(
                "kernels of this machine cannot be copied", where="branch",
                value=maker.isolation.level, fix="run benchside doctor, or leave branch out",
            )  # fmt: skip
        origin = provenance(config.seed, maker.isolation)
        yield Rollouts(config, loaded, engine, maker, origin, folder)


def _parting(
    asked: Sequence[Assignment], branch: Branch, points: list[ForkPoint]
) -> list[Assignment]:
    """The same episodes, of which so many each go on from one stem; stems come first.

    Kernels of siblings go on with one random state, so that nothing but what the policy does
    differs. A task with services is played without forks: its kernel talks to those of its episode.

    Args:
        points: the new fork points are added to it.
    """
    stems: list[Assignment] = []
    others: list[Assignment] = []
    for first in range(0, len(asked), branch.continuations):
        stem, *siblings = asked[first : first + branch.continuations]
        if stem.task.hosts:
            stems += [stem, *siblings]
            continue
        point = ForkPoint(stem.episode_id, branch.at, len(siblings))
        points.append(point)
        stems.append(replace(stem, fork=point))
        others += [replace(one, fork=point, seed=stem.seed) for one in siblings]
    return [*stems, *others]


def run_config(
    asked: Sequence[Assignment],
    seed: int,
    limits: LimitChoice,
    origin: Provenance,
    split: Split | None = None,
) -> RunConfig:
    """Return what `run.json` says of a run of these episodes.

    Args:
        limits: that the tasks were given.
        split: of all tasks; None where they are of several.
    """
    uses = {
        one.suite.name: SuiteUse(
            name=one.suite.name, version=one.suite.manifest.version, build=one.suite.record.build,
            split=split, limit=None,
        )
        for one in asked
    }  # fmt: skip
    return RunConfig(
        suites=tuple(uses.values()),
        policies={one.policy.name: {"policy": one.policy.name} for one in asked},
        samples=1 + max(one.sample for one in asked), seed=seed,
        limits=limits.model_dump(exclude_none=True), provenance=origin.model_dump(mode="json"),
    )  # fmt: skip


def groups_of(config: RlConfig, tasks: Tasks) -> int:
    """Return how many groups a step has."""
    return min(config.tasks, len(tasks))


def limited(task: TaskSpec, limits: LimitChoice) -> TaskSpec:
    """Return a task with other limits, where they are given."""
    chosen = {**task.limits.model_dump(), **limits.model_dump(exclude_none=True)}
    return TaskSpec.model_validate({**task.model_dump(), "limits": chosen})
