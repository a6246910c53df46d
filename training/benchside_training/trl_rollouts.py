"""`TrlRollouts`: TRL's own `GRPOTrainer` over live kernels, through its `rollout_func`.

    with TrlRollouts(config) as rollouts:
        GRPOTrainer(
            model=rollouts.loaded.model, processing_class=rollouts.loaded.tokenizer, args=…,
            train_dataset=rollouts.dataset(), reward_funcs=rollouts.reward, rollout_func=rollouts,
        ).train()

The trainer hands over prompts, and gets back ids and log-probabilities as they were sampled, with
`env_mask` False on what kernels have printed. Kernels live in an event loop of a thread of its own,
since the trainer is not asynchronous, and stay warm from step to step.

TRL 1.16 has a second way, `environment_factory`, in which the trainer parses tool calls and renders
what they return itself; `rollout_func` is taken here because nothing is tokenised twice.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self, TypeVar

from datasets import Dataset

from benchside.batch import select
from benchside.episode import Episode
from benchside.library import open_suite
from benchside_kernels.startup import home_folder
from benchside_training.learner import Learner
from benchside_training.local.engine import Engine
from benchside_training.rl_config import RlConfig
from benchside_training.rollouts import Rollouts, Tasks, limited, open_rollouts
from benchside_training.trajectory import only_trajectory

Result = TypeVar("Result")


class TrlRollouts:
    """Plays what a trainer asks for; `with` owns kernels and engine.

    Args:
        config: model, suites, limits, reward and `parallel`; how to train is the trainer's.
        home: where suites are prepared; the user's by default.
    """

    def __init__(self, config: RlConfig, home: Path | None = None):
        self.config = config
        self.loaded = Learner(config).loaded
        suites = [open_suite(name, home or home_folder()) for name in config.suites]
        self._tasks: dict[str, Any] = {
            f"{suite.name}/{task.task_id}": (suite, limited(task, config.limits))
            for suite in suites
            for task in select(suite, "train", None)
        }
        self._calls = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="benchside-rollouts")
        self._owned = AsyncExitStack()
        self._rollouts: Rollouts | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._wait(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._wait(self._owned.aclose())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def dataset(self) -> Dataset:
        """Return one row for each task; its prompt is the task's name, which only we read."""
        return Dataset.from_list(
            [{"prompt": [{"role": "user", "content": name}]} for name in self._tasks]
        )

    def reward(self, episode_reward: Sequence[float | None], **_: Any) -> list[float | None]:
        """Return the rewards of the episodes; None where infrastructure or a grader failed."""
        return list(episode_reward)

    def __call__(self, prompts: Sequence[Any], trainer: Any) -> dict[str, list[Any]]:
        """Called by the trainer with each batch: each prompt as often as it wants attempts."""
        names = [prompt[-1]["content"] for prompt in prompts]
        different = list(dict.fromkeys(names))
        samples = max(names.count(name) for name in different)
        tasks = [self._tasks[name] for name in different]
        training = trainer.model.training
        found = self._wait(self._play(tasks, samples))
        trainer.model.train(training)  # the engine has turned dropout off
        by_name: dict[str, list[Episode]] = defaultdict(list)
        for number, episode in enumerate(found):
            by_name[different[number // samples]].append(episode)
        columns: dict[str, list[Any]] = defaultdict(list)
        for name in names:
            episode = by_name[name].pop(0)
            one = only_trajectory(episode)
            start = int(one.loss_mask.int().argmax())  # all before the first sampled token
            columns["prompt_ids"].append(one.input_ids[:start].tolist())
            columns["completion_ids"].append(one.input_ids[start:].tolist())
            columns["logprobs"].append(one.logprobs[start:].tolist())
            columns["env_mask"].append(one.loss_mask[start:].int().tolist())
            columns["episode_reward"].append(self.config.reward.reward(episode))
        return dict(columns)

    async def _open(self) -> None:
        engine = Engine(
            self.loaded.model, max_batch=self.config.parallel,
            kv_memory_mib=self.config.kv_memory_mib,
        )  # fmt: skip
        self._owned.push_async_callback(engine.aclose)
        self._engine = engine
        self._rollouts = await self._owned.enter_async_context(
            open_rollouts(self.config, self.loaded, engine, self.config.out)
        )

    async def _play(self, tasks: Tasks, samples: int) -> list[Episode]:
        assert self._rollouts is not None
        self._calls += 1
        await self._engine.update(None, self._calls)  # the trainer has changed them in place
        return await self._rollouts.attempt(tasks, samples, self._calls)

    def _wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
