"""`Scaffold`: a policy that works through another one, and asks models for more than its actions.

A scaffold holds no state of an episode, as no policy does: what it has asked before stands in the
`calls` of the recorded actions, and is read from there. So an episode can be continued, replayed
and priced step by step from its transcript.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from pydantic import JsonValue

from benchside.completer import Completer
from benchside.errors import InputError
from benchside.manner import Manner, manner_of
from benchside.policy import Action, Conversation, Message, ModelCall, Policy, Turn
from benchside.protocol import cut_middle

Result = TypeVar("Result")

CELL_CHARS = 2_000  # of each cell and each output, where a model is told what was done


class Backend(Policy, Protocol):
    """What a scaffold works through: any policy that can be recorded, checked and closed."""

    @property
    def config(self) -> dict[str, JsonValue]:
        """What the run record keeps."""
        ...

    async def check(self) -> None:
        """Called once before a run."""
        ...

    async def aclose(self) -> None:
        """Called once after a run."""
        ...


class Scaffold(ABC):
    """What all scaffolds share: a name, a record, and whom they ask.

    Args:
        kind: name of the scaffold.
        inner: acts in the episode.
        second: answers what the scaffold asks; None: the same model that acts.
        options: numbers that were chosen, for name and record.
    """

    def __init__(
        self, kind: str, inner: Backend, second: Backend | None = None, **options: int | str
    ) -> None:
        self.inner, self.second = inner, second
        named = [inner.name, *([second.name] if second else [])]
        named += [f"{name}={value}" for name, value in options.items()]
        self.name = f"{kind}({', '.join(named)})"
        self.config: dict[str, JsonValue] = {"policy": kind, "inner": inner.config, **options}
        if second is not None:
            self.config["second"] = second.config
        self.manner: Manner = manner_of(inner)

    @abstractmethod
    async def act(self, conversation: Conversation) -> Action:
        """Return the next action, as any policy does."""

    @property
    def completer(self) -> Completer:
        """Whom the scaffold asks.

        Raises:
            InputError: that policy is no model.
        """
        asked = self.second or self.inner
        if not isinstance(asked, Completer):
            raise InputError(
                "a scaffold asks a model for texts, and this policy gives none",
                where=self.name, value=asked.name, fix="name a model, such as openai:MODEL",
            )  # fmt: skip
        return asked

    async def check(self) -> None:
        """Check all policies it works through."""
        for policy in (self.inner, self.second):
            if policy is not None:
                await policy.check()

    async def aclose(self) -> None:
        """Close all policies it works through."""
        for policy in (self.inner, self.second):
            if policy is not None:
                await policy.aclose()


class Calls:
    """What is asked on the way to one action."""

    def __init__(self, completer: Completer) -> None:
        self.completer = completer
        self.made: list[ModelCall] = []

    async def ask(self, step: str, prompt: str, system: str = "") -> str:
        """Ask one question and return the answer."""
        return (await self.ask_all(step, [prompt], [system]))[0]

    async def ask_all(
        self, step: str, prompts: Sequence[str], systems: Sequence[str] = ()
    ) -> list[str]:
        """Ask questions at once and return the answers in their order.

        Args:
            systems: who is to answer each; equal questions are drawn anew.
        """
        roles = list(systems) or [""] * len(prompts)
        asked = [
            (*([Message(role="system", content=role)] if role else []),
             Message(role="user", content=prompt))
            for prompt, role in zip(prompts, roles, strict=True)
        ]  # fmt: skip
        seen = [asked[:place].count(messages) for place, messages in enumerate(asked)]
        done = await together(
            self.completer.complete(messages, draw)
            for messages, draw in zip(asked, seen, strict=True)
        )
        self.made += [
            ModelCall(step=step, prompt=messages, reply=one.text, usage=one.usage)
            for messages, one in zip(asked, done, strict=True)
        ]
        return [one.text for one in done]

    def onto(self, action: Action) -> Action:
        """Return an action with these calls, and their cost."""
        usage = sum((call.usage for call in self.made), action.usage)
        return action.model_copy(update={"calls": (*self.made, *action.calls), "usage": usage})


async def together(work: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Await all at once; the first error ends the others and is raised as it is, in no group."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except* Exception as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


def question(conversation: Conversation) -> str:
    """Return what is asked, with the form of the answer and the card of the data."""
    return conversation.opening[-1].content or ""


def briefed(conversation: Conversation, brief: str) -> Conversation:
    """Return a conversation that opens with a text more."""
    *before, last = conversation.opening
    longer = last.model_copy(update={"content": f"{last.content}\n\n{brief}"})
    return replace(conversation, opening=(*before, longer))


def noted(conversation: Conversation, place: int, note: str) -> Conversation:
    """Return a conversation in which the observation of one turn ends with a note."""
    turns = list(conversation.turns)
    first, *rest = turns[place].observations
    longer = first.model_copy(update={"content": f"{first.content}\n\n{note}"})
    turns[place] = replace(turns[place], observations=(longer, *rest))
    return replace(conversation, turns=tuple(turns))


def calls_of(turn: Turn, *steps: str) -> list[ModelCall]:
    """Return what was asked on the way to a turn's action, of these steps."""
    return [call for call in turn.action.calls if call.step in steps]


def account(conversation: Conversation) -> str:
    """Return what was done and shown so far, each part cut to its head and tail."""
    return "\n\n".join(_told(conversation)) or "Nothing was done yet."


def _told(conversation: Conversation) -> Iterator[str]:
    for number, turn in enumerate(conversation.turns, start=1):
        action = turn.action
        did = action.code or str(action.asks or action.thought or "nothing")
        shown = "\n".join(message.content or "" for message in turn.observations[:1])
        yield (
            f"[{number}] {cut_middle(did, CELL_CHARS)}\n"
            f"[{number} gave] {cut_middle(shown, CELL_CHARS)}"
        )
