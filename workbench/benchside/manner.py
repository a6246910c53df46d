"""`Manner`: how a policy wants its episodes to be, where it is not as for all others.

Some ways of running a model need more than the model: a protocol in which it acts, tools, several
attempts, limits of their own. A policy says so by an attribute `manner`; without one, nothing is
changed. `assign` heeds it once, so that the task of each episode, and its hash, say what it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from benchside.errors import InputError
from benchside.policy import Policy, ToolName
from benchside.task import Limits, TaskSpec
from benchside.tools import checked_tools

ProtocolName = Literal["native", "fenced", "medagentgym"]
"""How a model acts: by native tool calls, by fenced blocks, or by MedAgentGym's JSON actions."""

Feedback = Literal["execution", "oracle"]
"""What a model learns of its work: what its cells give, or also that an answer was not right."""

PARITY = {"max_turns": 15, "cell_timeout_s": 120.0}
"""Limits of MedAgentGym: `num_steps` of its configurations, `timeout` of its validate_code."""


@dataclass(frozen=True, slots=True)
class Manner:
    """What a policy asks of its episodes.

    Args:
        tools: that it needs, whatever the run offers.
        attempts: that it makes at a task, each with the turns and the time of an episode.
    """

    protocol: ProtocolName = "native"
    feedback: Feedback = "execution"
    tools: tuple[ToolName, ...] = ()
    attempts: int = 1


def manner_of(policy: Policy) -> Manner:
    """Return a policy's manner; the usual one where it has none of its own."""
    manner = getattr(policy, "manner", None)
    return manner if isinstance(manner, Manner) else Manner()


def tools_of(manner: Manner, offered: tuple[ToolName, ...]) -> tuple[ToolName, ...]:
    """Return what is offered to a policy of this manner in a run that offers some tools."""
    return checked_tools((*offered, *manner.tools))


def suited(task: TaskSpec, manner: Manner) -> TaskSpec:
    """Return a task with the limits that a manner asks for.

    Raises:
        InputError: several attempts at a task whose service remembers what was written.
    """
    limits = task.limits.model_dump()
    if manner.protocol == "medagentgym":
        whole_s = PARITY["max_turns"] * PARITY["cell_timeout_s"]
        limits |= {**PARITY, "episode_timeout_s": max(limits["episode_timeout_s"], whole_s)}
    if (manner.attempts > 1 or manner.feedback == "oracle") and task.services:
        raise InputError(
            "several attempts at a task with a service would all write to it",
            where=f"{task.suite}/{task.task_id}: services",
            value=task.services[0].name,
            fix="leave the suite out, or run it with a policy that makes one attempt",
        )
    if manner.attempts > 1:
        limits["max_turns"] = manner.attempts * (limits["max_turns"] + 1)
        limits["episode_timeout_s"] *= manner.attempts
    changed = Limits.model_validate(limits)
    if changed == task.limits:
        return task
    # validated anew: a copy would keep the hash that it was asked for before
    return TaskSpec.model_validate({**task.model_dump(), "limits": limits})


def limits_of_one(limits: Limits, attempts: int) -> Limits:
    """Return the limits of one of several attempts: what `suited` has multiplied."""
    return limits.model_copy(
        update={
            "max_turns": limits.max_turns // attempts - 1,
            "episode_timeout_s": limits.episode_timeout_s / attempts,
        }
    )
