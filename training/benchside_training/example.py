"""`Example`: one conversation to learn from, where it came from, and on what terms."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, takewhile

from pydantic import JsonValue

from benchside.episode import Episode, Outcome, Submitted
from benchside.manner import ProtocolName
from benchside.policy import Action, Message, Remark, ToolName, Turn
from benchside.task import Frozen, Sensitivity, Split, content_hash


class Example(Frozen):
    """An episode as a chat that ends with the policy's last message.

    Args:
        run: name of the run folder.
        messages: the opening, then the assistant's messages and what it was told.
        tools: offered beside `run_cell` and `submit`.
        protocol: in which the policy acted: it says which tools the model was told of.
        unlearned: places among the messages of assistant messages that stand in the context, but
            are not to be imitated: no action could be made of them, a scaffold held them back, or
            wrote them itself.
        scaffolded: of them, those that a scaffold wrote itself.
        licence, sensitivity: of the task.
        group: of the task; None in sets of before.
        submission: what the episode submitted.
        score: of a verifier, where one has scored the run.
        parent: episode that this one is an edited continuation of.
    """

    run: str
    episode_id: str
    suite: str
    task_id: str
    task_hash: str
    split: Split
    policy: str
    outcome: Outcome
    reward: float | None
    licence: str
    sensitivity: Sensitivity
    tools: tuple[ToolName, ...]
    messages: tuple[Message, ...]
    unlearned: tuple[int, ...]
    scaffolded: tuple[int, ...] = ()
    protocol: ProtocolName = "native"
    group: str | None = None
    submission: Submitted | None = None
    score: float | None = None
    parent: str | None = None

    @property
    def opening(self) -> tuple[Message, ...]:
        """The messages before the first of the assistant's."""
        return tuple(takewhile(lambda message: message.role != "assistant", self.messages))

    @property
    def chars(self) -> int:
        """Characters of all messages, tool calls included."""
        return sum(
            len(message.content or "") + sum(len(call.arguments) for call in message.tool_calls)
            for message in self.messages
        )

    @property
    def actions_hash(self) -> str:
        """Equal for two examples of one task in which the assistant said the same."""
        said: list[JsonValue] = [
            [message.content, [[call.name, call.arguments] for call in message.tool_calls]]
            for message in self.messages
            if message.role == "assistant"
        ]
        return content_hash([self.suite, self.task_id, said])


def example_of(episode: Episode, run: str, score: float | None = None) -> Example:
    """Return the example of an episode.

    Args:
        run: name of the run folder that it lies in.
        score: of a verifier.
    """
    messages = list(episode.opening)
    unlearned = []
    for turn in episode.turns:
        if not _exemplary(turn.action):
            unlearned.append(len(messages))
        messages += [turn.action.message, *turn.observations]
    while messages and messages[-1].role != "assistant":
        messages.pop()  # nothing was said after it
    task = episode.task
    return Example(
        run=run,
        episode_id=episode.episode_id,
        suite=task.suite,
        task_id=task.task_id,
        task_hash=task.hash,
        split=task.split,
        policy=episode.policy,
        outcome=episode.outcome,
        reward=None if episode.grade is None else episode.grade.reward,
        licence=task.licence,
        sensitivity=task.sensitivity,
        tools=episode.tools,
        messages=tuple(messages),
        unlearned=tuple(unlearned),
        scaffolded=scaffolded_places(episode.opening, episode.turns),
        protocol=episode.protocol,
        group=task.group,
        submission=episode.submission,
        score=score,
        parent=episode.parent,
    )


def scaffolded_places(opening: Sequence[Message], turns: Sequence[Turn]) -> tuple[int, ...]:
    """Return the places among an episode's messages of those that a scaffold wrote itself."""
    lengths = [1 + len(turn.observations) for turn in turns]
    starts = accumulate(lengths, initial=len(opening))
    return tuple(
        place for place, turn in zip(starts, turns, strict=False) if turn.action.scaffolded
    )


def _exemplary(action: Action) -> bool:
    """Said by the policy itself, and followed."""
    held_back = isinstance(action.asks, Remark)
    return action.problem is None and not held_back and not action.scaffolded
