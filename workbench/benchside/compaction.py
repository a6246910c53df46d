"""Compaction: a conversation that grew too long, with its oldest observations as one-line notes.

The task, what the policy said and ran, and the newest observation stay as they are. It is cut down
to half of the limit at once and then left alone until the limit is passed again, so that the
beginning of the conversation, which servers cache, changes seldom. The same turns always give the
same messages: nothing is remembered between calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from benchside.policy import Conversation, Message, Turn

KEPT_CHARS = 80


def compacted(conversation: Conversation, max_chars: int | None) -> tuple[Conversation, int]:
    """Return what of a conversation is shown, and how many of its observations are notes in it.

    Args:
        max_chars: characters of all messages, tool calls included; None for no limit.
    """
    if max_chars is None:
        return conversation, 0
    turns = list(conversation.turns)
    shown = 0
    total = _chars(conversation.opening)
    sizes: list[int] = []
    for place, turn in enumerate(turns, start=1):
        sizes.append(_chars((turn.action.message, *turn.observations)))
        total += sizes[-1]
        if total <= max_chars:
            continue
        while shown < place - 1 and total > max_chars // 2:
            noted = _noted(turns[shown], shown + 1)
            total += _chars((noted.action.message, *noted.observations)) - sizes[shown]
            turns[shown] = noted
            shown += 1
    return replace(conversation, turns=tuple(turns)), shown


def _noted(turn: Turn, number: int) -> Turn:
    """The turn with its observations as notes, where those are shorter."""
    return replace(turn, observations=tuple(_note(one, number) for one in turn.observations))


def _note(message: Message, number: int) -> Message:
    text = message.content or ""
    first = text.split("\n", 1)[0][:KEPT_CHARS]
    note = f"[Output of turn {number}, {len(text):,} characters, is no longer shown: {first} ...]"
    return message if len(text) <= len(note) else message.model_copy(update={"content": note})


def _chars(messages: Sequence[Message]) -> int:
    calls = (call for message in messages for call in message.tool_calls)
    return sum(len(message.content or "") for message in messages) + sum(
        len(call.arguments) for call in calls
    )
