"""Suites as tasks of Inspect: `inspect eval benchside/power --model ...`.

The solver is an episode's own loop, so that prompts, tools and what a malformed call is told are
those of `benchside run`. Samples hold no gold; the score is the episode's grade. A sample whose
episode failed for no fault of the model's is an error of Inspect, never a score of 0.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    get_model,
)
from inspect_ai.scorer import Score, Scorer, Target, accuracy, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.tool import ToolInfo
from inspect_ai.util import SandboxEnvironmentSpec, sandbox
from rich.console import Console

from benchside.errors import InfrastructureError
from benchside.library import open_suite
from benchside.manifests import suite_names
from benchside.policy import Message, ToolCall, Usage
from benchside.protocol import TOOLS, action_from_message, opening_messages
from benchside.serving.desk import Offer, offered_tasks
from benchside.serving.driven import LEFT, reward_of
from benchside.serving.inspect_sandbox import KernelSandbox
from benchside_kernels.startup import home_folder


def suite_task(offer: Offer) -> Task:
    """Return a suite as a task of Inspect."""
    console = Console(stderr=True, markup=False, highlight=False)
    suite = open_suite(offer.suite, home_folder(), console.print)
    samples = []
    for spec in offered_tasks(offer, suite):
        system, user = opening_messages(spec, suite.image(spec).description)
        samples.append(
            Sample(
                input=[
                    ChatMessageSystem(content=system.content or ""),
                    ChatMessageUser(content=user.content or ""),
                ],
                id=spec.task_id,
                metadata={"task_id": spec.task_id, "category": spec.category, "group": spec.group},
            )
        )
    return Task(
        dataset=MemoryDataset(samples, name=offer.target), solver=episode(), scorer=grade(),
        sandbox=SandboxEnvironmentSpec("benchside", offer), name=offer.suite,
    )  # fmt: skip


@solver
def episode() -> Solver:
    """Let the model act until its episode is over."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        driven = _sandbox().episode
        tools = [ToolInfo.model_validate(tool["function"]) for tool in TOOLS]
        while driven.ended is None:
            state.output = await get_model().generate(state.messages, tools=tools)
            said = state.output.message
            state.messages.append(said)
            step = await driven.step(action_from_message(_message(said), Usage()))
            if step.turn is not None:
                state.messages += [_told(one) for one in step.turn.observations]
        return state

    return solve


@scorer(metrics=[accuracy(), stderr()])
def grade() -> Scorer:
    """The episode's grade, from 0 to 1."""

    async def score(state: TaskState, target: Target) -> Score:
        kernel = _sandbox()
        await kernel.stop()
        ended = kernel.episode.ended
        if ended is None:
            raise InfrastructureError(LEFT)
        value = reward_of(ended)
        submitted = None if ended.submission is None else json.dumps(ended.submission.value)
        return Score(
            value=value, answer=submitted,
            explanation=None if ended.grade is None else ended.grade.evidence,
            metadata={"outcome": ended.outcome, "episode_id": ended.episode_id},
        )  # fmt: skip

    return score


def _sandbox() -> KernelSandbox:
    kernel: KernelSandbox = sandbox().as_type(KernelSandbox)
    return kernel


def _message(said: ChatMessageAssistant) -> Message:
    """A message of theirs as one of ours."""
    calls = tuple(
        ToolCall(
            id=call.id, name=call.function,
            arguments=call.parse_error or json.dumps(call.arguments),
        )
        for call in said.tool_calls or ()
    )  # fmt: skip
    return Message(role="assistant", content=said.text, tool_calls=calls)


def _told(message: Message) -> ChatMessage:
    """A message of ours as one of theirs."""
    if message.role == "tool":
        return ChatMessageTool(content=message.content or "", tool_call_id=message.tool_call_id)
    return ChatMessageUser(content=message.content or "")


def _register(name: str) -> None:
    """Make a suite's task, which Inspect then finds by its name."""

    @task(name=name)
    def offered(
        task_id: str | None = None,
        split: Any = None,
        limit: int | None = None,
        policy: str = "inspect",
        out: str | None = None,
        isolation: Any = None,
    ) -> Task:
        target = name if task_id is None else f"{name}/{task_id}"
        place = None if out is None else Path(out)
        return suite_task(
            Offer(
                target=target, policy=policy, split=split, limit=limit, out=place,
                isolation=isolation,
            )
        )  # fmt: skip


for _name in suite_names():
    _register(_name)
