"""`Verifier`: how likely an attempt is right, as far as one can tell without the gold answer."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Protocol

from benchside.completer import Completer
from benchside.policy import Conversation, Message, Usage
from benchside.scaffolds.scaffold import Calls, account, question


@dataclass(frozen=True, slots=True)
class Scored:
    """A score, the higher the better, and how it was come by.

    Args:
        prompt, reply: of the model that was asked; of a trained verifier, nothing and the score.
    """

    score: float
    prompt: tuple[Message, ...] = ()
    reply: str = ""
    usage: Usage = field(default_factory=Usage)


class Verifier(Protocol):
    """Scores conversations; packages bring one by an entry point of `benchside.verifiers`."""

    name: str

    async def score(self, conversation: Conversation) -> Scored:
        """Return the score of an attempt, whose last turn submits; called for several at once."""
        ...


class ModelVerifier:
    """Asks a model how probable it is that the answer is right."""

    def __init__(self, completer: Completer) -> None:
        self.name = completer.name
        self._completer = completer

    async def score(self, conversation: Conversation) -> Scored:
        """Return a probability; 0 where the model names none."""
        calls = Calls(self._completer)
        reply = await calls.ask(
            "verify",
            f"{question(conversation)}\n\nRecord of an attempt; its last step submits the answer:"
            f"\n\n{account(conversation)}\n\nHow probable is it that the submitted answer is "
            "right? Look for wrong tables, columns, filters, units and rounding. End with one "
            "line: PROBABILITY: a whole number from 0 to 100.",
        )
        found = re.findall(r"PROBABILITY\W*(\d{1,3})\b", reply, flags=re.IGNORECASE)
        made = calls.made[0]
        score = min(int(found[-1]), 100) / 100 if found else 0.0
        return Scored(score, made.prompt, reply, made.usage)
