"""Reinforcement learning in live kernels: roll out groups of episodes, update, and again.

    python -m benchside_training.rl rl.yaml

One process: the local engine samples with the weights that the update then changes in place, so
every token is of the version in training; or, with `max_staleness`, from a copy of them while the
update runs. Each step's episodes lie in `rollouts/step-N`, a run folder like any other. Seeds of
tasks, samples and updates follow from the config's, and a training that was interrupted goes on
from its last checkpoint as if it had not been: to the bit where `parallel` is 1 and nothing is
played ahead. Otherwise chance decides which episodes share a batch, and how sums are rounded.

Sources: see `losses`; the shape of the loop is that of nanochat's `chat_rl.py` (A. Karpathy), that
of playing ahead of AReaL (W. Fu et al., 2025).
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from pydantic import JsonValue

from benchside.batch import select
from benchside.curves import EvaluationRow, MetricsRow
from benchside.episode import Episode
from benchside.errors import InputError
from benchside.library import open_suite
from benchside.statistics import wilson
from benchside.task import TaskSpec, content_hash
from benchside_kernels.startup import home_folder
from benchside_training.accelerator import StepMeter
from benchside_training.group_stream import GroupStream
from benchside_training.learner import Learner
from benchside_training.local.engine import Engine
from benchside_training.model_card import write_model_card
from benchside_training.policy_update import UpdateReport, update
from benchside_training.ratios import fresh
from benchside_training.recipe import run_recipe
from benchside_training.reward import Reward, mean_parts
from benchside_training.rl_config import HeldOut, RlConfig
from benchside_training.rollouts import Group, Rollouts, Tasks, groups_of, limited, open_rollouts
from benchside_training.trainer_log import RowLog, memory_named
from benchside_training.training_folder import TrainingFolder
from benchside_training.trajectory import Trajectory, trajectories

Choice = Callable[[TaskSpec], bool]
"""Whether a task may be asked."""


def main(
    config: RlConfig,
    on_step: Callable[[MetricsRow], None] = lambda _: None,
    *,
    reward: Reward | None = None,
    choose: Choice = lambda _: True,
    home: Path | None = None,
) -> Path:
    """Train a model on its own episodes; return the folder of the result.

    Args:
        on_step: called with the metrics of each step.
        reward: of an episode, instead of the weighted parts of the config's.
        choose: of the suites' `train` tasks, those that are asked.
        home: where suites are prepared; the user's by default.

    Raises:
        InputError: model, suite or folder cannot be used; nothing was overwritten.
        IntegrityError: trainer and generator disagree.
        TrainingError: the loss is no number any more, or memory has run out.
    """
    suites = [open_suite(name, home or home_folder()) for name in config.suites]
    tasks = [
        (suite, limited(task, config.limits))
        for suite in suites
        for task in select(suite, "train", None)
        if choose(task)
    ]
    if not tasks:
        raise InputError(
            "there is no task to learn from", where="suites", value=", ".join(config.suites),
            fix="take suites with tasks in the split train, and choose some of them",
        )  # fmt: skip
    measured = _measured(config, home or home_folder())
    learner = Learner(config)
    folder = TrainingFolder(config.out)
    asked: dict[str, JsonValue] = {
        "config": config.model_dump(mode="json", exclude={"out", "resume", "kv_memory_mib"}),
        "data": {suite.name: suite.record.build for suite in suites},
        "tasks": content_hash([task.hash for _, task in tasks]),
        "weights": learner.loaded.weights,
    }
    with (
        folder.started(asked, resume=config.resume, device=config.device) as checkpoint,
        memory_named(config.stage),
        RowLog(folder) as log,
    ):
        first = 0 if checkpoint is None else learner.restore(checkpoint)
        training = _Training(
            config, learner, folder, log, tasks, measured, reward or config.reward.reward, on_step
        )
        gc.freeze()  # no search for garbage goes through the tasks and libraries again
        try:
            asyncio.run(training.run(first))
        finally:
            gc.unfreeze()
        with folder.result() as result:
            learner.write(result)
            write_model_card(result, folder, {"Data": ", ".join(config.suites) + ", split train"})
    return folder.model


class _Training:
    """The loop, with what does not change in it."""

    def __init__(
        self,
        config: RlConfig,
        learner: Learner,
        folder: TrainingFolder,
        log: RowLog,
        tasks: Tasks,
        measured: Tasks,
        reward: Reward,
        on_step: Callable[[MetricsRow], None],
    ):
        self._config, self._learner, self._folder, self._log = config, learner, folder, log
        self._tasks, self._measured = tasks, measured
        self._reward, self._on_step = reward, on_step

    async def run(self, first: int) -> None:
        """Train from a step on."""
        config, learner = self._config, self._learner
        engine = Engine(
            learner.generator, max_batch=config.parallel, kv_memory_mib=config.kv_memory_mib
        )
        try:
            await engine.update(learner.new_weights, first)
            async with (
                open_rollouts(config, learner.loaded, engine, self._folder.path) as rollouts,
                GroupStream(
                    partial(rollouts.play, self._tasks), first, config.steps, config.max_staleness
                ) as stream,
            ):
                for step in range(first, config.steps):
                    await self._step(step, stream, engine, rollouts)
        finally:
            await engine.aclose()

    async def _step(
        self, step: int, stream: GroupStream[Group], engine: Engine, rollouts: Rollouts
    ) -> None:
        meter = StepMeter(self._learner.loaded.model.device)
        config, learner = self._config, self._learner
        groups = sorted(await stream.take(groups_of(config, self._tasks)), key=lambda one: one[:2])
        episodes = [one for group in groups for one in group.episodes]
        found = [one for episode in episodes for one in self._trajectories(episode)]
        learned, stale = fresh(found, step, config.max_staleness)
        learner.set_rate(step)
        training = time.monotonic()
        report = await asyncio.to_thread(
            update, learner.model, learner.optimiser, learned, config.updating, version=step,
            reference=learner.reference, value_head=learner.value_head,
        )  # fmt: skip
        await engine.update(learner.new_weights, step + 1)
        row = self._row(step, episodes, report, stale).model_copy(
            update={"training_seconds": time.monotonic() - training}
        )
        if config.held_out is not None and (step + 1) % config.held_out.every == 0:
            row = await self._measure(row, config.held_out, rollouts)
        row = row.model_copy(update={"seconds": meter.seconds, "peak_gib": meter.peak_gib})
        self._log.write(row)  # before the checkpoint: rows after it are written again
        if (step + 1) % config.save_every == 0:
            learner.save(self._folder.checkpoints / f"checkpoint-{step + 1}")
        self._on_step(row)
        await stream.updated(step + 1)

    def _trajectories(self, episode: Episode) -> list[Trajectory]:
        """An episode's trajectories; of one that ended before it acted, none."""
        if not episode.turns:
            return []
        masked = self._config.mask_truncated and episode.outcome == "truncated"
        return [
            replace(one, reward=self._reward(episode), masked=masked)
            for one in trajectories(episode)
        ]

    async def _measure(self, row: MetricsRow, asked: HeldOut, rollouts: Rollouts) -> MetricsRow:
        """Measure the policy on held-out tasks: a row for each suite, and the step's own."""
        step = row.step + 1
        episodes = await rollouts.measure(self._measured, step, asked.split)
        scored = [one for one in episodes if one.grade is not None]
        for suite in dict.fromkeys(one.task.suite for one in scored):
            passed = [one.outcome == "solved" for one in scored if one.task.suite == suite]
            low, high = wilson(sum(passed), len(passed))
            self._folder.evaluated(
                EvaluationRow(
                    stage=row.stage, step=step, seed=row.seed, suite=suite, split=asked.split,
                    n=len(passed), success=sum(passed) / len(passed), low=low, high=high,
                )
            )  # fmt: skip
        if not scored:
            return row
        solved = sum(one.outcome == "solved" for one in scored)
        low, high = wilson(solved, len(scored))
        told = {"success": solved / len(scored), "success_low": low, "success_high": high}
        return row.model_copy(update=told)

    def _row(
        self, step: int, episodes: list[Episode], report: UpdateReport, stale: int
    ) -> MetricsRow:
        rewards = [value for one in episodes if (value := self._reward(one)) is not None]
        parts = mean_parts(episodes)
        return MetricsRow(
            step=step,
            stage=self._config.stage,
            seed=self._config.seed,
            loss=report.loss,
            reward_mean=sum(rewards) / len(rewards) if rewards else None,
            **({f"reward_{name}": part for name, part in parts._asdict().items()} if parts else {}),
            entropy=report.entropy,
            kl=report.kl,
            tokens=report.tokens,
            input_tokens=report.input_tokens,
            episodes=len(episodes),
            groups=report.groups,
            without_signal=report.without_signal,
            unscored=len(episodes) - len(rewards),
            stale=stale,
            effective_share=report.effective_share,
        )


def _measured(config: RlConfig, home: Path) -> Tasks:
    """The held-out tasks that the policy is measured on."""
    if config.held_out is None:
        return []
    asked = config.held_out
    return [
        (suite, limited(task, config.limits))
        for suite in (open_suite(name, home) for name in asked.suites or config.suites)
        for task in select(suite, asked.split, asked.tasks)
    ]


if __name__ == "__main__":
    run_recipe(RlConfig, main)
