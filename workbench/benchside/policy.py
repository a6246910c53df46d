"""A policy maps the conversation so far to the next action; it holds no state of an episode.

Statelessness lets one policy serve any number of concurrent episodes, and lets a stored episode be
continued by another policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from pydantic import AfterValidator, Field, JsonValue, model_validator

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


class NativeMessage(Frozen):
    """An assistant's message in a backend's own form, to be sent back to it unchanged.

    Some backends sign their hidden reasoning and refuse a tool call that comes back without it.

    Args:
        form: of which backends, such as "anthropic"; others ignore it.
        parts: blocks or parts of the message.
    """

    form: str
    parts: tuple[dict[str, JsonValue], ...]


class Message(Frozen):
    """One message of a conversation in the shape of the OpenAI chat API.

    Args:
        native: kept where the shape above does not hold all that its backend wants back.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: Text | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: Text | None = None
    native: NativeMessage | None = None


class Usage(Frozen):
    """What one action cost; `None` means not measured.

    Args:
        cached_tokens: of `input_tokens`, those that the server had in its own cache.
        requests: that were sent, failed ones included.
        cache_hits: answers from Benchside's response cache: no request, no cost.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    requests: int | None = None
    latency_s: float | None = None
    cost_usd: float | None = None
    cached_tokens: int | None = None
    cache_hits: int | None = None

    def __add__(self, other: Usage) -> Usage:
        """Return the sum, field by field; None where neither was measured."""
        mine, its = self.model_dump(), other.model_dump()
        return Usage(
            **{
                name: None if value is its[name] is None else (value or 0) + (its[name] or 0)
                for name, value in mine.items()
            }
        )


class ShownImage(Frozen):
    """An image that a model was shown: a reference to the output of a cell, which holds it.

    Args:
        output: place among the cell's outputs.
        width, height: in pixels, as shown; `scaled` from more.
    """

    cell_id: str
    output: int
    mime: str
    width: int
    height: int
    scaled: bool = False


ToolName = Literal["request_info", "terminal", "debug"]
"""The tools that a run may offer beside `run_cell` and `submit`."""


class InfoRequest(Frozen):
    """Asks the host about the data: of a term, where it stands; of a column, its values."""

    tool: Literal["request_info"]
    about: Literal["tables", "columns", "values", "term"]
    table: Text | None = None
    column: Text | None = None
    term: Text | None = None

    def __str__(self) -> str:
        named = {"table": self.table, "column": self.column, "term": self.term}
        shown = [f", {name}={value!r}" for name, value in named.items() if value is not None]
        return f"request_info({self.about!r}{''.join(shown)})"


class DebugRequest(Frozen):
    """Asks the host to explain the last cell that failed."""

    tool: Literal["debug"]

    def __str__(self) -> str:
        return "debug()"


class FreshKernel(Frozen):
    """Asks for a fresh kernel and work folder: a scaffold gives up one attempt for another."""

    tool: Literal["fresh_kernel"]

    def __str__(self) -> str:
        return "fresh_kernel()"


class Remark(Frozen):
    """What a scaffold tells the model that it works with, instead of doing what that asked for."""

    tool: Literal["remark"]
    text: Text

    def __str__(self) -> str:
        return "remark()"


HostRequest = Annotated[
    InfoRequest | DebugRequest | FreshKernel | Remark, Field(discriminator="tool")
]
"""Models ask with `InfoRequest` and `DebugRequest`, scaffolds with the others, too."""


class ModelCall(Frozen):
    """A text that a scaffold has asked a model for, beside the action itself.

    Args:
        step: of the scaffold, such as "plan".
    """

    step: Text
    prompt: tuple[Message, ...]
    reply: Text
    usage: Usage = Usage()


class Tokens(Frozen):
    """The ids behind one action, where the backend gives them: what training trains on, as it was.

    An episode's tokens are its actions' `context_ids` and `sampled_ids` in turn; nothing of it is
    made again from text.

    Args:
        context_ids: (C) that the model was given on top of what it had: before the first action
            the whole prompt, later the observations and what opens the assistant's turn.
        sampled_ids: (S) that it sampled, the end of its turn included.
        logprobs: (S) natural logarithm of the probability with which each was sampled, after
            temperature and truncation; float32.
        versions: (S) of the policy that sampled each: 0 for one that is not being trained.
        restarted: `context_ids` is the whole context again, since the history that the model was
            given does not begin with what it had (it was compacted, or its template rewrites it).
    """

    context_ids: tuple[int, ...]
    sampled_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    versions: tuple[int, ...]
    restarted: bool = False

    @model_validator(mode="after")
    def _of_one_length(self) -> Tokens:
        lengths = {len(self.sampled_ids), len(self.logprobs), len(self.versions)}
        if len(lengths) > 1:
            raise ValueError(f"sampled_ids, logprobs and versions differ in length: {lengths}")
        return self


def token_history(actions: Sequence[Tokens | None]) -> list[int]:
    """Return the ids that a model had after these actions; empty where one has no tokens."""
    ids: list[int] = []
    for tokens in actions:
        if tokens is None:
            return []
        ids = [] if tokens.restarted else ids
        ids += [*tokens.context_ids, *tokens.sampled_ids]
    return ids


class Action(Frozen):
    """What the policy wants next.

    Args:
        message: the assistant's message exactly as it is to be shown again.
        thought: visible reasoning, for the transcript's markdown cell.
        code: the cell to run; `None` where the message asks for none.
        asks: what the host is to answer, instead of a cell.
        problem: why neither could be made of the message; shown to the policy as the observation.
        reasoning: hidden reasoning, kept in the transcript's metadata.
        tokens: kept beside the transcript; None where the backend gives none.
        usage: of all that the action took, `calls` included.
        calls: what a scaffold has asked models for on the way to this action.
        draft: a submission of this action's cell is not the episode's answer: it is noted, and the
            episode goes on in a fresh kernel.
        ignored: code blocks of the message that were not executed, as only the first is.
        compacted: how many of the oldest observations the model was shown as a one-line note.
        images: that the model was shown for the first time before this action.
        scaffolded: the message is a scaffold's own: no model has said it.
    """

    message: Message
    thought: Text = ""
    code: Text | None = None
    asks: HostRequest | None = None
    problem: Text | None = None
    reasoning: Text | None = None
    usage: Usage = Usage()
    tokens: Tokens | None = None
    calls: tuple[ModelCall, ...] = ()
    draft: bool = False
    ignored: int = 0
    compacted: int = 0
    images: tuple[ShownImage, ...] = ()
    scaffolded: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """One action, what its cell gave (`None` where no cell ran), and what the policy was shown."""

    action: Action
    result: CellResult | None
    observations: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Conversation:
    """What a policy sees: the task and all turns so far; `messages` is the same as a chat.

    Args:
        tools: offered beside `run_cell` and `submit`.
        attempt: number of the attempt within the episode, so that a seeded model draws anew.
    """

    task: TaskSpec
    opening: tuple[Message, ...]
    turns: Sequence[Turn]
    tools: tuple[ToolName, ...] = ()
    attempt: int = 0

    @property
    def draw(self) -> int:
        """What tells this turn's draw from those of the episode's other turns and attempts."""
        return len(self.turns) + TURNS_OF_AN_ATTEMPT * self.attempt

    @property
    def messages(self) -> list[Message]:
        """The opening, then each turn's assistant message and observations."""
        chat = list(self.opening)
        for turn in self.turns:
            chat += [turn.action.message, *turn.observations]
        return chat


TURNS_OF_AN_ATTEMPT = 10_000  # more than any has


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
