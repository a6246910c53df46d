"""Reinforcement learning in live kernels: roll out groups of episodes, update, and again.

    python -m benchside_training.rl rl.yaml

One process: the local engine samples with the weights that the update then changes in place, so
every token is of the version in training. Each step's episodes lie in `rollouts/step-N`, a run
folder like any other. Seeds of tasks, samples and updates follow from the config's, and a training
that was interrupted goes on from its last checkpoint as if it had not been: to the bit where
`parallel` is 1. With more, chance decides which episodes share a batch, and how sums are rounded.

Sources: see `losses`; the shape of the loop is that of nanochat's `chat_rl.py` (A. Karpathy).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from pydantic import Field, JsonValue

from benchside.batch import run_batch, select
from benchside.curves import MetricsRow
from benchside.episode import UNSCORED, Episode, Provenance
from benchside.errors import InputError
from benchside.evaluation import LimitChoice
from benchside.library import Suite, open_suite
from benchside.policies.options import PolicyOptions
from benchside.provenance import provenance
from benchside.rollout import Assignment
from benchside.store import RunConfig, RunFolder, SuiteUse
from benchside.task import Frozen, TaskSpec, content_hash
from benchside.task_kernel import WARM_MODULES
from benchside_kernels.backend import KernelMaker
from benchside_kernels.makers import open_kernels
from benchside_kernels.startup import home_folder
from benchside_training.local.engine import Engine
from benchside_training.local.loading import LocalModel, load
from benchside_training.local.policy import LocalPolicy
from benchside_training.model_card import write_model_card
from benchside_training.policy_update import UpdateConfig, UpdateReport, update
from benchside_training.recipe import run_recipe
from benchside_training.trainer_log import memory_named
from benchside_training.training_folder import TrainingFolder, steps_of
from benchside_training.trajectory import Trajectory, trajectories

Reward = Callable[[Episode], float | None]
"""What is learned from an episode; None where it is left out."""

Choice = Callable[[TaskSpec], bool]
"""Whether a task may be asked."""


class RlConfig(Frozen):
    """Options of `main`.

    Args:
        suites: whose `train` tasks are asked.
        tasks, samples: questions per step, and attempts at each: a group.
        method: PPO has a value head beside the model, which is not part of the result.
        max_tokens: of one turn.
        limits: instead of those of the tasks.
        parallel: most episodes at a time.
        save_every: steps between checkpoints.
    """

    model: str
    out: Path
    suites: tuple[str, ...] = Field(min_length=1)
    stage: str = "grpo"
    method: str = Field("grpo", pattern="^(grpo|ppo)$")
    resume: bool = False
    seed: int = 0
    steps: int = Field(100, ge=1)
    tasks: int = Field(16, ge=1)
    samples: int = Field(8, ge=1)
    learning_rate: float = Field(1e-6, gt=0)
    max_tokens: int = Field(1024, ge=1)
    limits: LimitChoice = LimitChoice()
    update: UpdateConfig = UpdateConfig()
    parallel: int = Field(16, ge=1)
    save_every: int = Field(10, ge=1)
    device: str | None = None


@dataclass(slots=True)
class _Learner:
    """What a step changes, and what a checkpoint holds."""

    loaded: LocalModel
    value_head: torch.nn.Module | None
    reference: torch.nn.Module | None
    optimiser: torch.optim.Optimizer


def graded(episode: Episode) -> float | None:
    """Return the grade's reward; None where infrastructure or the grader failed."""
    if episode.outcome in UNSCORED or episode.grade is None:
        return None
    return episode.grade.reward


def main(
    config: RlConfig,
    on_step: Callable[[MetricsRow], None] = lambda _: None,
    *,
    reward: Reward = graded,
    choose: Choice = lambda _: True,
    home: Path | None = None,
) -> Path:
    """Train a model on its own episodes; return the folder of the result.

    Args:
        on_step: called with the metrics of each step.
        reward: of an episode, such as one with partial credit.
        choose: of the suites' `train` tasks, those that are asked.
        home: where suites are prepared; the user's by default.

    Raises:
        InputError: model, suite or folder cannot be used; nothing was overwritten.
        IntegrityError: trainer and generator disagree.
        TrainingError: the loss is no number any more, or memory has run out.
    """
    suites = [open_suite(name, home or home_folder()) for name in config.suites]
    tasks = [
        (suite, TaskSpec.model_validate(_limited(task, config.limits)))
        for suite in suites
        for task in select(suite, "train", None)
        if choose(task)
    ]
    if not tasks:
        raise InputError(
            "there is no task to learn from", where="suites", value=", ".join(config.suites),
            fix="take suites with tasks in the split train, and choose some of them",
        )  # fmt: skip
    learner = _learner(config)
    folder = TrainingFolder(config.out)
    asked: dict[str, JsonValue] = {
        "config": config.model_dump(mode="json", exclude={"out", "resume"}),
        "data": {suite.name: suite.record.build for suite in suites},
        "tasks": content_hash([task.hash for _, task in tasks]),
        "weights": learner.loaded.weights,
    }
    with folder.started(asked, resume=config.resume) as checkpoint, memory_named(config.stage):
        first = 0 if checkpoint is None else _restore(learner, checkpoint)
        asyncio.run(_train(config, learner, folder, tasks, first, reward, on_step))
        with folder.result() as result:
            learner.loaded.model.save_pretrained(result)
            learner.loaded.tokenizer.save_pretrained(result)
            write_model_card(result, folder, {"Data": ", ".join(config.suites) + ", split train"})
    return folder.model


async def _train(
    config: RlConfig,
    learner: _Learner,
    folder: TrainingFolder,
    tasks: list[tuple[Suite, TaskSpec]],
    first: int,
    reward: Reward,
    on_step: Callable[[MetricsRow], None],
) -> None:
    engine = Engine(learner.loaded.model, max_batch=config.parallel)
    try:
        async with open_kernels(None, WARM_MODULES) as maker:
            origin = provenance(config.seed, maker.isolation)
            for step in range(first, config.steps):
                started = time.monotonic()
                await engine.update(None, step)
                run = RunFolder(folder.path / "rollouts" / f"step-{step:05d}")
                asked = _assignments(config, learner.loaded, engine, tasks, step)
                episodes = await _roll_out(config, asked, run, origin, maker)
                learned = [
                    replace(one, reward=reward(episode))
                    for episode in episodes
                    for one in _trajectories(episode)
                ]
                report = update(
                    learner.loaded.model, learner.optimiser, learned, config.update, version=step,
                    reference=learner.reference, value_head=learner.value_head,
                )  # fmt: skip
                row = _row(config, step, episodes, reward, report, time.monotonic() - started)
                if (step + 1) % config.save_every == 0:
                    _save(learner, folder.checkpoints / f"checkpoint-{step + 1}")
                folder.log(row)
                on_step(row)
    finally:
        await engine.aclose()


def _assignments(
    config: RlConfig,
    loaded: LocalModel,
    engine: Engine,
    tasks: list[tuple[Suite, TaskSpec]],
    step: int,
) -> list[Assignment]:
    """A step's episodes: tasks drawn by the step, each sample with a seed of its own."""
    chosen = random.Random(f"{config.seed}/{step}").sample(tasks, min(config.tasks, len(tasks)))
    asked = []
    for suite, task in chosen:
        for sample in range(config.samples):
            told = f"{config.seed}/{step}/{task.hash}/{sample}".encode()
            seed = int.from_bytes(hashlib.sha256(told).digest()[:4], "big") % 2**31
            options = PolicyOptions(
                temperature=config.update.temperature, max_tokens=config.max_tokens, seed=seed
            )
            policy = LocalPolicy(f"hf:{config.model}@{step}", loaded, engine, options)
            asked.append(Assignment(suite, task, policy, sample, seed))
    return asked


async def _roll_out(
    config: RlConfig,
    asked: list[Assignment],
    run: RunFolder,
    origin: Provenance,
    maker: KernelMaker,
) -> list[Episode]:
    """Run a step's episodes anew, whatever an interrupted one has left; return them in order."""
    shutil.rmtree(run.path, ignore_errors=True)
    uses = {
        one.suite.name: SuiteUse(
            name=one.suite.name, version=one.suite.manifest.version, build=one.suite.record.build,
            split="train", limit=config.tasks,
        )
        for one in asked
    }  # fmt: skip
    made = RunConfig(
        suites=tuple(uses.values()), policies={asked[0].policy.name: {"policy": "hf"}},
        samples=config.samples, seed=config.seed,
        limits=config.limits.model_dump(exclude_none=True),
        provenance=origin.model_dump(mode="json"),
    )  # fmt: skip
    with run.lock():
        run.start(made, resume=False)
        await run_batch(asked, run, origin, maker=maker, parallel=config.parallel)
    return [run.episode(one.episode_id) for one in asked]


def _trajectories(episode: Episode) -> tuple[Trajectory, ...]:
    """An episode's trajectories; of one that ended before it acted, none."""
    return trajectories(episode) if episode.turns else ()


def _row(
    config: RlConfig,
    step: int,
    episodes: list[Episode],
    reward: Reward,
    report: UpdateReport,
    seconds: float,
) -> MetricsRow:
    rewards = [value for one in episodes if (value := reward(one)) is not None]
    return MetricsRow(
        step=step,
        stage=config.stage,
        seed=config.seed,
        loss=report.loss,
        reward_mean=sum(rewards) / len(rewards) if rewards else None,
        entropy=report.entropy,
        kl=report.kl,
        tokens=report.tokens,
        seconds=seconds,
    )


def _limited(task: TaskSpec, limits: LimitChoice) -> dict[str, object]:
    chosen = limits.model_dump(exclude_none=True)
    return {**task.model_dump(), "limits": {**task.limits.model_dump(), **chosen}}


def _learner(config: RlConfig) -> _Learner:
    torch.manual_seed(config.seed)
    options = PolicyOptions(device=config.device, dtype="float32")
    loaded = load(config.model, options)
    model = loaded.model
    reference = load(config.model, options).model if config.update.kl_weight else None
    value_head = None
    if config.method == "ppo":
        value_head = torch.nn.Linear(model.config.get_text_config().hidden_size, 1).to(model.device)
        torch.nn.init.zeros_(value_head.weight)
        torch.nn.init.zeros_(value_head.bias)
    learned = [*model.parameters(), *(value_head.parameters() if value_head else ())]
    optimiser = torch.optim.AdamW(
        learned, lr=config.learning_rate, betas=(0.9, 0.95), weight_decay=0.0
    )
    return _Learner(loaded, value_head, reference, optimiser)


def _save(learner: _Learner, checkpoint: Path) -> None:
    """Write a checkpoint; it counts once its last file is there."""
    shutil.rmtree(checkpoint, ignore_errors=True)
    checkpoint.mkdir(parents=True)
    state = {
        "model": learner.loaded.model.state_dict(),
        "optimiser": learner.optimiser.state_dict(),
        "value_head": None if learner.value_head is None else learner.value_head.state_dict(),
    }
    torch.save(state, checkpoint / "state.pt")
    step = steps_of(checkpoint)
    (checkpoint / "trainer_state.json").write_text(json.dumps({"global_step": step}))


def _restore(learner: _Learner, checkpoint: Path) -> int:
    """Take up a checkpoint; return the step to go on with."""
    state = torch.load(checkpoint / "state.pt", map_location="cpu", weights_only=True)
    learner.loaded.model.load_state_dict(state["model"])
    learner.optimiser.load_state_dict(state["optimiser"])
    if learner.value_head is not None:
        learner.value_head.load_state_dict(state["value_head"])
    return steps_of(checkpoint)


if __name__ == "__main__":
    run_recipe(RlConfig, main)
