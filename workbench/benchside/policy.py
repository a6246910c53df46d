"""A policy maps the conversation so far to the next action; it holds no state of an episode.

Statelessness lets one policy serve any number of concurrent episodes, and lets a stored episode be
continued by another policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from pydantic import AfterValidator

from benchside.task import Frozen, TaskSpec
from benchside_kernels.cell import CellResult


def _writable(text: str) -> str:
    """Text that can be stored as UTF-8: a model may send lone surrogates."""
    return text.encode("utf-8", "replace").decode("utf-8")


Text = Annotated[str, AfterValidator(_writable)]


class ToolCall(Frozen):
    """One tool call as the model made it; `arguments` is the raw text, valid JSON or not."""

    id: Text
    name: Text
    arguments: Text


class Message(Frozen):
    """One message of a conversation in the shape of the OpenAI chat API."""

    role: Literal["system", "user", "assistant", "tool"]
    content: Text | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: Text | None = None


class Usage(Frozen):
    """What one action cost; `None` means not measured."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    requests: int | None = None
    latency_s: float | None = None


class Action(Frozen):
    """What the policy wants next.

    Args:
        message: the assistant's message exactly as it is to be shown again.
        thought: visible reasoning, for the transcript's markdown cell.
        code: the cell to run; `None` where the message asks for none.
        problem: why no cell could be made of the message; shown to the policy as the observation.
        reasoning: hidden reasoning, kept in the transcript's metadata.
    """

    message: Message
    thought: Text = ""
    code: Text | None = None
    problem: Text | None = None
    reasoning: Text | None = None
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class Turn:
    """One action, what its cell gave (`None` where no cell ran), and what the policy was shown."""

    action: Action
    result: CellResult | None
    observations: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Conversation:
    """What a policy sees: the task and all turns so far; `messages` is the same as a chat."""

    task: TaskSpec
    opening: tuple[Message, ...]
    turns: Sequence[Turn]

    @property
    def messages(self) -> list[Message]:
        """The opening, then each turn's assistant message and observations."""
        chat = list(self.opening)
        for turn in self.turns:
            chat += [turn.action.message, *turn.observations]
        return chat


class Policy(Protocol):
    """Called by the rollout, once per turn, possibly for many episodes at once."""

    name: str

    async def act(self, conversation: Conversation) -> Action:
        """Return the next action.

        Raises:
            PolicyError: the policy cannot act for its own reason.
            InfrastructureError: what it depends on failed (server down, rate limit, timeout).
        """
        ...
