"""`Completer`: plain text from a model, for scaffolds that ask it more than the next action."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from benchside.policy import Message, Usage


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model said, without hidden reasoning, and what that cost."""

    text: str
    usage: Usage


@runtime_checkable
class Completer(Protocol):
    """A policy that can also be asked for plain text, possibly many times at once."""

    name: str

    async def complete(self, messages: Sequence[Message], draw: int = 0) -> Completion:
        """Return the model's answer to a conversation.

        Args:
            draw: number of the answer, where several to the same messages are wanted: a seeded
                model draws another one for each.

        Raises:
            PolicyError: the server refuses the request.
            InfrastructureError: the server failed.
        """
        ...
