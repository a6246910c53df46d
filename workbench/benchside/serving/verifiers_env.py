"""A suite as an environment of `verifiers`: `vf.load_environment("benchside", suite="power")`.

Its data set holds prompts and task ids; answer keys stay with the grader. Each rollout has its own
kernel in its state. A rollout that fails for no fault of the model's ends with the framework's
`SandboxError`, which it can retry, and its reward is not a number, rather than 0.

Source: `MultiTurnEnv` of verifiers 0.3, https://github.com/PrimeIntellect-ai/verifiers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import verifiers as vf
from datasets import Dataset
from rich.console import Console

from benchside.episode import UNSCORED
from benchside.errors import BenchsideError, InfrastructureError, PolicyError
from benchside.library import open_suite
from benchside.policy import Message, ToolCall, Usage
from benchside.protocol import TOOLS, action_from_message, opening_messages
from benchside.serving.desk import DeskOnDemand, Offer, offered_tasks
from benchside.serving.driven import LEFT, DrivenEpisode, reward_of
from benchside.task import Split
from benchside_kernels.errors import KernelError
from benchside_kernels.sandbox import Level
from benchside_kernels.startup import home_folder


def load_environment(
    suite: str,
    split: Split | None = None,
    limit: int | None = None,
    policy: str = "verifiers",
    out: str | None = None,
    isolation: Level | None = None,
) -> SuiteEnv:
    """Return a suite's environment; `vf.load_environment` calls this.

    Args:
        suite: a suite, or one task of it as SUITE/TASK-ID.
        split, limit: as of `benchside run`.
        policy: name under which the episodes are recorded.
        out: run folder; None for a new one below `runs/`.
        isolation: None for the strongest that the machine gives.
    """
    return SuiteEnv(
        Offer(
            target=suite, policy=policy, split=split, limit=limit, isolation=isolation,
            out=None if out is None else Path(out),
        )
    )  # fmt: skip


class SuiteEnv(vf.MultiTurnEnv):
    """Rollouts are episodes: their limits are the tasks' own."""

    def __init__(self, offer: Offer) -> None:
        self._desk = DeskOnDemand(offer)
        console = Console(stderr=True, markup=False, highlight=False)
        suite = open_suite(offer.suite, home_folder(), console.print)
        rows = [
            {
                "prompt": [
                    {"role": message.role, "content": message.content}
                    for message in opening_messages(task, suite.image(task).description)
                ],
                "answer": "", "info": {"task_id": task.task_id},
            }
            for task in offered_tasks(offer, suite)
        ]  # fmt: skip
        from_list: Callable[..., Any] = Dataset.from_list
        super().__init__(
            dataset=from_list(rows), tool_defs=[tool["function"] for tool in TOOLS],
            rubric=vf.Rubric(funcs=[reward]),
        )  # fmt: skip

    async def setup_state(self, state: vf.State) -> vf.State:
        """Start the kernel of a rollout."""
        try:
            desk = await self._desk.get()
            episode = desk.episode(desk.task(state["info"]["task_id"]))
            state["episode"] = await episode.__aenter__()
        except (BenchsideError, KernelError) as error:
            raise vf.SandboxError(str(error)) from error
        return state

    async def env_response(self, messages: vf.Messages, state: vf.State, **_: Any) -> vf.Messages:
        """Do what the model's last message asks for."""
        episode: DrivenEpisode = state["episode"]
        try:
            step = await episode.step(action_from_message(_message(messages[-1]), Usage()))
        except (BenchsideError, KernelError) as error:
            raise vf.SandboxError(str(error)) from error
        told = [] if step.turn is None else [_told(one) for one in step.turn.observations]
        if step.ended is not None:
            state["final_env_response"] = told
        return told

    @vf.cleanup
    async def leave(self, state: vf.State) -> None:
        """End the episode where the framework has stopped it: the model's doing, or an error."""
        episode: DrivenEpisode | None = state.get("episode")
        if episode is not None:
            condition = state.get("stop_condition")
            chosen = condition is not None and state.get("error") is None
            stopped = PolicyError(f"stopped by verifiers: {condition}")
            await episode.leave(stopped if chosen else InfrastructureError(LEFT))

    @vf.teardown
    async def close(self) -> None:
        """Close the desk."""
        await self._desk.close()


async def reward(state: vf.State) -> float:
    """The grade; not a number where there is none."""
    episode: DrivenEpisode | None = state.get("episode")
    ended = None if episode is None else episode.ended
    return math.nan if ended is None or ended.outcome in UNSCORED else reward_of(ended)


def _message(said: Any) -> Message:
    """A message of theirs as one of ours."""
    content = said.content
    if isinstance(content, list):
        content = "".join(getattr(part, "text", "") for part in content)
    calls = tuple(
        ToolCall(id=call.id, name=call.name, arguments=call.arguments)
        for call in said.tool_calls or ()
    )
    return Message(role="assistant", content=content, tool_calls=calls)


def _told(message: Message) -> Any:
    """A message of ours as one of theirs."""
    if message.role == "tool":
        return vf.ToolMessage(content=message.content or "", tool_call_id=message.tool_call_id)
    return vf.UserMessage(content=message.content or "")
