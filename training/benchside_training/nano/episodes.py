"""Episodes of the nano pipeline: a run folder per model, played in live kernels, resumable."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from rich.progress import Progress

from benchside.batch import assign, run_batch, unfinished
from benchside.episode import UNSCORED
from benchside.errors import InfrastructureError
from benchside.evaluation import LimitChoice
from benchside.policies.options import PolicyOptions
from benchside.provenance import provenance
from benchside.rollout import Assignment
from benchside.runs import load_run
from benchside.statistics.estimate import Estimate, clustered_mean
from benchside.store import RunFolder
from benchside.task_kernel import WARM_MODULES
from benchside_kernels.backend import KernelMaker
from benchside_kernels.makers import open_kernels
from benchside_training.accelerator import free_memory
from benchside_training.local.engine import Engine
from benchside_training.local.loading import LocalModel, load
from benchside_training.local.policy import LocalPolicy
from benchside_training.nano.curriculum import AskedTask
from benchside_training.nano.teacher import teacher
from benchside_training.rollouts import limited, run_config

PARALLEL = 64


class Playing(NamedTuple):
    """How episodes are played.

    Args:
        device: of the models, see `device_of`.
        limits: instead of those of the tasks.
        max_tokens: of one turn.
    """

    device: str | None
    limits: LimitChoice
    max_tokens: int


class Run(NamedTuple):
    """Episodes of a model: a run folder, tasks, and how they are played."""

    folder: Path
    tasks: Sequence[AskedTask]
    samples: int = 1
    temperature: float = 1.0


def play_teacher(
    folder: Path, tasks: Sequence[AskedTask], seed: int, limits: LimitChoice
) -> pd.DataFrame:
    """Let the imperfect teacher play; return the episodes as `load_run` gives them."""
    suites = {suite.name: suite for suite, _ in tasks}
    asked = assign(
        [(suite, [limited(task, limits)]) for suite, task in tasks],
        [teacher(suites, 0, seed)], 1, seed,
    )  # fmt: skip
    parallel = min(2 * (os.cpu_count() or 1), 32)
    return asyncio.run(play({folder: asked}, seed, limits, parallel=parallel))[0]


def play_model(model: Path, seed: int, how: Playing, *runs: Run) -> list[pd.DataFrame]:
    """Let a model play some runs; return the episodes of each as `load_run` gives them."""

    async def played() -> list[pd.DataFrame]:
        loaded = load(str(model), PolicyOptions(device=how.device, dtype="float32"))
        engine = Engine(loaded.model, max_batch=PARALLEL)
        try:
            asked = {run.folder: _asked(run, model, seed, how, loaded, engine) for run in runs}
            return await play(asked, seed, how.limits, parallel=PARALLEL)
        finally:
            await engine.aclose()

    try:
        return asyncio.run(played())
    finally:
        free_memory()


def _asked(
    run: Run, model: Path, seed: int, how: Playing, loaded: LocalModel, engine: Engine
) -> list[Assignment]:
    asked = []
    for suite, task in run.tasks:
        for sample in range(run.samples):
            told = hashlib.sha256(f"{seed}/{task.hash}/{sample}".encode()).digest()
            own = int.from_bytes(told[:4], "big") % 2**31
            options = PolicyOptions(
                temperature=run.temperature, max_tokens=how.max_tokens, seed=own
            )
            policy = LocalPolicy(f"hf:{model.parent.name}", loaded, engine, options)
            asked.append(Assignment(suite, limited(task, how.limits), policy, sample, own))
    return asked


def scored(episodes: pd.DataFrame) -> pd.DataFrame:
    """Return the episodes that infrastructure and graders have not spoiled.

    Returns:
        them with `solved`, 1.0 or 0.0, and `family`, the group with its suite: suites share names.
    """
    own = episodes[~episodes["outcome"].isin(UNSCORED)]
    return own.assign(
        solved=(own["outcome"] == "solved").astype(float), family=own["suite"] + "/" + own["group"]
    )


def success(episodes: pd.DataFrame) -> Estimate:
    """Return the share of solved episodes, clustered by template family."""
    own = scored(episodes)
    return clustered_mean(own["solved"].tolist(), own["family"].tolist(), own["task_hash"].tolist())


async def play(
    runs: Mapping[Path, Sequence[Assignment]], seed: int, limits: LimitChoice, *, parallel: int
) -> list[pd.DataFrame]:
    """Play runs one after another in live kernels, or what is left of them.

    Args:
        runs: the episodes by run folder.
        limits: that their tasks were given.

    Returns:
        the episodes of each that were asked for, as `load_run` gives them.

    Raises:
        InfrastructureError: it spoiled all episodes of a run.
    """
    left = {
        folder: asked
        for folder, asked in runs.items()
        if not (folder / "run.json").exists() or unfinished(asked, RunFolder(folder))
    }
    if left:
        async with open_kernels(None, WARM_MODULES) as maker:
            for folder, asked in left.items():
                await _play(folder, asked, seed, limits, maker, parallel)
    found = []
    for folder, asked in runs.items():
        episodes = load_run(folder).episodes
        wanted = {one.episode_id for one in asked}
        found.append(episodes[episodes["episode_id"].isin(wanted)].reset_index(drop=True))
    return found


async def _play(
    folder: Path,
    asked: Sequence[Assignment],
    seed: int,
    limits: LimitChoice,
    maker: KernelMaker,
    parallel: int,
) -> None:
    run = RunFolder(folder)
    with run.lock(), Progress(transient=True) as progress:
        origin = provenance(seed, maker.isolation)
        config = run_config(asked, seed, limits, origin)
        run.start(config, resume=(folder / "run.json").exists())
        left = unfinished(asked, run)
        bar = progress.add_task(f"episodes of {folder.name}", total=len(left))
        await run_batch(
            left, run, origin, maker=maker, parallel=parallel,
            on_episode=lambda _: progress.advance(bar),
        )  # fmt: skip
    played = load_run(folder).episodes
    if played["outcome"].isin(UNSCORED).all():
        raise InfrastructureError(
            "no episode could be scored", where=folder, value=played["error"].iloc[0],
            fix="mend what the error names, then run this again: it goes on where it was",
        )  # fmt: skip
