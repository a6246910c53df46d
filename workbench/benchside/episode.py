"""`Episode`: one attempt at one task by one policy in one fresh kernel, complete and frozen."""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import InstanceOf, JsonValue

from benchside.grade import Grade
from benchside.manner import Feedback, ProtocolName
from benchside.policy import Message, ToolName, Turn
from benchside.state import ServiceState
from benchside.task import Frozen, TaskSpec

Outcome = Literal[
    "solved", "wrong", "truncated", "policy_error", "infrastructure_error", "grader_error"
]
"""The last two say nothing about the policy: they are never a reward, and are run again."""

UNSCORED: frozenset[Outcome] = frozenset({"infrastructure_error", "grader_error"})

EndReason = Literal[
    "submitted", "max_turns", "max_tokens", "max_cost", "episode_timeout", "kernel_restarts",
    "no_action", "failed",
]  # fmt: skip


class Submitted(Frozen):
    """What was submitted, as JSON (see `benchside_kernels.submission`)."""

    value: JsonValue


class Failure(Frozen):
    """The one error that ended an episode."""

    kind: str
    message: str
    traceback: str = ""


class EpisodeUsage(Frozen):
    """What an episode cost; None means not measured.

    Args:
        duration_s: from the first action on; `start_s` is the kernel's start before it.
        policy_s, kernel_s: time spent in the policy and in cells.
        cpu_s, peak_mib: of the kernel processes.
        output_chars: characters that cells have printed or shown, kept or not.
        malformed: messages of the policy of which no action could be made.
    """

    duration_s: float
    start_s: float | None = None
    policy_s: float = 0.0
    kernel_s: float = 0.0
    cpu_s: float | None = None
    peak_mib: float | None = None
    output_chars: int | None = None
    kernel_restarts: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    requests: int | None = None
    cost_usd: float | None = None
    malformed: int | None = None
    cached_tokens: int | None = None
    cache_hits: int | None = None


class Provenance(Frozen):
    """What is needed to make the episode again.

    Args:
        suite_build: id of the prepared suite; `image` is the content-hashed reference.
        isolation: level and Landlock ABI, such as "process, Landlock ABI 7".
        hosts: what the kernel could reach; none: it had no network.
        versions: packages by name; git_commit: of Benchside's checkout, where it is one.
    """

    suite_build: str
    image: str
    isolation: str
    seed: int
    versions: dict[str, str]
    git_commit: str | None
    started_at: str
    hosts: tuple[str, ...] = ()


class Fork(Frozen):
    """Where an episode parted from its siblings: `stem` is the id of the one that all went on from.

    They share the first `turn` turns, and the kernel was copied after those.
    """

    stem: str
    turn: int


class Episode(Frozen):
    """One attempt at one task.

    Args:
        sample: number of the attempt, from 0.
        opening: the messages that the policy was shown first.
        setup_source: the cell that made the data available.
        terminated: the policy ended it by submitting; truncated: a budget cut it off.
        grade: None where the episode is unscored.
        parent: id of the episode that this one was continued from; edited_cell: with other code
            in this cell of its.
        states: what the task's services recorded; it is graded with the submission.
        tools: that were offered beside `run_cell` and `submit`.
        feedback: "oracle" where each answer was graded at once and only a right one ended the
            episode: as in MedAgentGym, and not comparable with what is graded once.
        protocol: in which the policy acted.
        fork: None where its kernel was no copy, and was not copied.
    """

    episode_id: str
    task: TaskSpec
    policy: str
    sample: int
    opening: tuple[Message, ...]
    setup_source: str
    turns: tuple[InstanceOf[Turn], ...]
    outcome: Outcome
    terminated: bool
    truncated: bool
    end_reason: EndReason
    submission: Submitted | None
    grade: Grade | None
    failure: Failure | None
    usage: EpisodeUsage
    provenance: Provenance
    parent: str | None = None
    edited_cell: str | None = None
    states: tuple[ServiceState, ...] = ()
    tools: tuple[ToolName, ...] = ()
    feedback: Feedback = "execution"
    protocol: ProtocolName = "native"
    fork: Fork | None = None


def episode_id(task: TaskSpec, policy: str, sample: int) -> str:
    """Return the id of an attempt: equal in every run of the same task, policy and sample."""
    return hashlib.sha256(f"{task.hash}\n{policy}\n{sample}".encode()).hexdigest()[:16]
