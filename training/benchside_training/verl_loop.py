"""`VerlLoop`: verl's own trainers over live kernels, as one of its agent loops.

    # agent_loops.yaml, named by actor_rollout_ref.rollout.agent.agent_loop_config_path
    - name: benchside
      _target_: benchside_training.verl_loop.VerlLoop
      rl: /shared/rl.yaml

verl makes a loop for each attempt and hands it the row of the task, its client of the model and its
tokenizer; it gets back the ids that were given and sampled, the mask, the log-probabilities and the
reward. `python -m benchside_training.verl_loop rl.yaml tasks.parquet` writes the rows. Kernels
belong to the process of verl's worker, stay warm from step to step, and end with it.

Written against the interface of verl 0.9.1 (`verl.experimental.agent_loop`). It was tested with a
double of that interface only: verl asks for other versions of transformers, and for GPUs.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from pydantic import JsonValue
from verl.experimental.agent_loop.agent_loop import AgentLoopMetrics, AgentLoopOutput

from benchside.batch import select
from benchside.engines.local import LocalEngine
from benchside.episode import Episode
from benchside.errors import InfrastructureError, InputError
from benchside.library import Suite, open_suite
from benchside.manifests import read_yaml
from benchside.policies.options import PolicyOptions
from benchside.provenance import provenance
from benchside.rollout import Assignment
from benchside.store import EpisodeRow, row_of
from benchside.task import TaskSpec
from benchside.task_kernel import WARM_MODULES
from benchside.transcript import write_transcript
from benchside_kernels.makers import open_kernels
from benchside_kernels.startup import home_folder
from benchside_training.local.loading import Vocabulary
from benchside_training.local.policy import LocalPolicy
from benchside_training.local.sampling import Sampling
from benchside_training.local.sequence import Sampled
from benchside_training.local.token_engine import refuse_too_long
from benchside_training.rl_config import RlConfig
from benchside_training.rollouts import limited
from benchside_training.trajectory import only_trajectory

AGENT = "benchside"
"""The name that rows call the loop by."""


class VerlEngine:
    """verl's servers as a `TokenEngine`, for one episode: its turns go to the same server.

    Args:
        server: verl's client of them, with `generate`.
        params: how verl wants sampled; how many tokens, the request says.
        limit: tokens of prompt and response together.
    """

    def __init__(self, server: Any, params: Mapping[str, Any], limit: int):
        self._server, self._params, self._limit = server, dict(params), limit
        self._session = uuid.uuid4().hex

    @property
    def config(self) -> dict[str, JsonValue]:
        """Precision and device are the servers' affair."""
        return {"engine": "verl"}

    async def sample(self, ids: Sequence[int], sampling: Sampling, *, known: int = 0) -> Sampled:
        """Sample what follows on `ids`, see `TokenEngine`."""
        refuse_too_long(len(ids), self._limit)
        most = min(sampling.max_tokens, self._limit - len(ids))
        found = await self._server.generate(
            request_id=self._session, prompt_ids=list(ids),
            sampling_params={**self._params, "max_tokens": most, "logprobs": True},
        )  # fmt: skip
        if found.stop_reason == "aborted" or not found.token_ids:
            raise InfrastructureError(f"verl's server has given no tokens: {found.stop_reason}")
        if found.log_probs is None or len(found.log_probs) != len(found.token_ids):
            raise InputError(
                "verl's server gives no log-probabilities",
                where="actor_rollout_ref.rollout.calculate_log_probs", fix="set it to true",
            )  # fmt: skip
        sampled = [int(one) for one in found.token_ids]
        cut_off = sampled[-1] not in sampling.stop_ids
        # the version is verl's affair, too: a token has none here
        return Sampled(
            sampled, [float(one) for one in found.log_probs], [0] * len(sampled), cut_off
        )

    async def update(self, state_dict: Mapping[str, torch.Tensor] | None, version: int) -> None:
        """Not called: verl gives its servers new weights itself."""

    async def aclose(self) -> None:
        """Nothing to close: the servers are verl's."""


@dataclass(frozen=True, slots=True)
class _Kernels:
    """What the loops of a process share."""

    config: RlConfig
    tasks: dict[str, tuple[Suite, TaskSpec]]
    engine: LocalEngine
    kept: dict[str, Episode]
    owned: AsyncExitStack


_shared: dict[str, asyncio.Task[_Kernels]] = {}


class VerlLoop:
    """One attempt; made, run and forgotten by verl's `AgentLoopWorker`.

    Args:
        trainer_config: verl's; its rollout's `prompt_length` and `response_length` are limits.
        server_manager: verl's client of the model's servers.
        rl: file of an `RlConfig`: suites, limits, reward and `max_tokens`; how to train is verl's.
    """

    def __init__(self, trainer_config: Any, server_manager: Any, tokenizer: Any, rl: str, **_: Any):
        rollout = trainer_config.config.actor_rollout_ref.rollout
        self._prompt_length, self._response_length = rollout.prompt_length, rollout.response_length
        self._server, self._tokenizer, self._rl = server_manager, tokenizer, rl

    async def run(self, sampling_params: dict[str, Any], **row: Any) -> Any:
        """Play the row's task; return verl's `AgentLoopOutput`.

        What infrastructure or a grader has spoiled has reward 0 and a mask of zeros, since verl has
        no place for a missing reward: nothing of it trains, but it counts in its group's mean.
        """
        kernels = await open_shared(self._rl)
        name = str(row["raw_prompt"][-1]["content"])
        if name not in kernels.tasks:
            raise InputError(
                "the row names no task of the suites", where=self._rl, value=name,
                fix="write the rows with the same file",
            )  # fmt: skip
        episode = await self._episode(kernels, name, sampling_params)
        return self._output(episode, kernels.config.reward.reward(episode))

    async def _episode(self, kernels: _Kernels, name: str, params: dict[str, Any]) -> Episode:
        config, (suite, task) = kernels.config, kernels.tasks[name]
        engine = VerlEngine(self._server, params, self._prompt_length + self._response_length)
        stops = frozenset({int(self._tokenizer.eos_token_id)})
        vocabulary = Vocabulary(self._tokenizer, stops, "verl")
        attempt = uuid.uuid4().hex[:8]  # verl tells no number of the attempt
        seed = int.from_bytes(hashlib.sha256(f"{config.seed}/{attempt}".encode()).digest()[:4])
        options = PolicyOptions(
            temperature=params.get("temperature", 1.0), max_tokens=config.max_tokens,
            seed=seed % 2**31,
        )  # fmt: skip
        policy = LocalPolicy(f"verl:{attempt}", vocabulary, engine, options)
        asked = Assignment(suite, task, policy, 0, seed % 2**31)
        await kernels.engine.play(asked, lambda _: None)
        return kernels.kept.pop(asked.episode_id)

    def _output(self, episode: Episode, reward: float | None) -> Any:
        prompt, response = [int(self._tokenizer.eos_token_id)], [int(self._tokenizer.eos_token_id)]
        mask, logprobs = [0], [0.0]  # of an episode that has ended before it acted
        if episode.turns:
            one = only_trajectory(episode)
            start = int(one.loss_mask.int().argmax())  # all before the first sampled token
            prompt, response = one.input_ids[:start].tolist(), one.input_ids[start:].tolist()
            mask, logprobs = one.loss_mask[start:].int().tolist(), one.logprobs[start:].tolist()
        if len(prompt) > self._prompt_length:
            raise InputError(
                f"the opening has {len(prompt):,} tokens",
                where="actor_rollout_ref.rollout.prompt_length", value=self._prompt_length,
                fix="raise it",
            )  # fmt: skip
        cut = slice(self._response_length)
        return AgentLoopOutput(
            prompt_ids=prompt,
            response_ids=response[cut],
            response_mask=mask[cut] if reward is not None else [0] * len(mask[cut]),
            response_logprobs=logprobs[cut],
            reward_score=reward or 0.0,
            num_turns=2 * len(episode.turns) + 1,
            metrics=AgentLoopMetrics(
                generate_sequences=episode.usage.policy_s or 0.0,
                tool_calls=episode.usage.kernel_s or 0.0,
            ),
            extra_fields={"outcome": episode.outcome, "turn_scores": [], "tool_rewards": []},
        )


async def open_shared(rl: str, home: Path | None = None) -> _Kernels:
    """Return what this process plays with, opened once for each file."""
    if rl not in _shared:
        _shared[rl] = asyncio.create_task(_open(rl, home or home_folder()))
    return await _shared[rl]


async def close_shared(rl: str) -> None:
    """End the kernels before their process does."""
    await (await _shared.pop(rl)).owned.aclose()


async def _open(rl: str, home: Path) -> _Kernels:
    config = read_yaml(Path(rl), RlConfig)
    kept: dict[str, Episode] = {}
    folder = config.out / "rollouts"
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)

    def store(episode: Episode) -> EpisodeRow:
        kept[episode.episode_id] = episode
        digest = write_transcript(episode, folder / f"{episode.episode_id}.ipynb")
        return row_of(episode, digest)

    owned = AsyncExitStack()
    maker = await owned.enter_async_context(open_kernels(None, WARM_MODULES))
    origin = provenance(config.seed, maker.isolation)
    engine = LocalEngine(maker, origin, (config.out.resolve(),), store)
    return _Kernels(config, tasks_of(config, home), engine, kept, owned)


def tasks_of(config: RlConfig, home: Path) -> dict[str, tuple[Suite, TaskSpec]]:
    """Return the tasks that rows name, as "SUITE/TASK"."""
    return {
        f"{suite.name}/{task.task_id}": (suite, limited(task, config.limits))
        for suite in (open_suite(name, home) for name in config.suites)
        for task in select(suite, "train", None)
    }


def write_rows(config: RlConfig, path: Path, home: Path | None = None) -> None:
    """Write verl's data set: one row for each task; its prompt is the task's name."""
    names = tasks_of(config, home or home_folder())
    rows = [
        {
            "prompt": [{"role": "user", "content": name}], "agent_name": AGENT,
            "data_source": name.partition("/")[0],
            "reward_model": {"style": "rule", "ground_truth": ""},
        }
        for name in names
    ]  # fmt: skip
    Dataset.from_list(rows).to_parquet(path)


if __name__ == "__main__":
    write_rows(read_yaml(Path(sys.argv[1]), RlConfig), Path(sys.argv[2]))
