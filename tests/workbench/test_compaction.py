"""Long conversations keep their shape, and what is left out of them is said."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from benchside.compaction import compacted
from benchside.policy import Conversation, Turn
from benchside.protocol import observation_messages, opening_messages, run_cell_action
from benchside.schema_card import schema_card
from tests.workbench.protocols.test_forms import TASK

OPENING = opening_messages(TASK, "df: a table")


def turn(number: int, output: str) -> Turn:
    action = run_cell_action(f"cell_{number}", turn=number)
    return Turn(action, None, observation_messages(action, output))


def size(conversation: Conversation) -> int:
    return sum(
        len(one.content or "") + sum(len(call.arguments) for call in one.tool_calls)
        for one in conversation.messages
    )


@given(st.lists(st.integers(0, 3000), max_size=12), st.integers(2000, 6000))
def test_the_oldest_observations_become_notes_and_the_shape_stays(
    lengths: list[int], limit: int
) -> None:
    turns = [turn(number, "x" * length) for number, length in enumerate(lengths)]
    whole = Conversation(TASK, OPENING, turns)
    shown, notes = compacted(whole, limit)
    assert compacted(whole, None) == (whole, 0)
    assert [one.role for one in shown.messages] == [one.role for one in whole.messages]
    assert [one.action for one in shown.turns] == [one.action for one in turns]
    assert list(shown.turns[notes:]) == turns[notes:]
    assert notes < max(len(turns), 1), "the newest is always shown"
    assert size(shown) <= size(whole)
    if size(whole) <= limit:
        assert notes == 0
    elif notes < len(turns) - 1:
        assert size(shown) <= limit


def test_a_compacted_beginning_stays_until_the_limit_is_passed_again() -> None:
    turns = [turn(number, "x" * 500) for number in range(12)]
    beginnings = [compacted(Conversation(TASK, OPENING, turns[:n]), 5000)[1] for n in range(13)]
    assert beginnings[:5] == [0] * 5
    changes = sum(a != b for a, b in itertools.pairwise(beginnings))
    assert 1 <= changes <= 4, beginnings
    shown, notes = compacted(Conversation(TASK, OPENING, turns), 5000)
    said = shown.turns[notes - 1].observations[0].content or ""
    assert said.startswith(f"[Output of turn {notes}, 500 characters, is no longer shown: xxx")


def test_a_card_of_many_wide_tables_names_each_and_says_what_is_cut() -> None:
    columns = ", ".join(f"column_{n:02d} int" for n in range(40))
    lines = [f"- `table_{n:02d}` (10 rows): {columns}" for n in range(17)]
    short = "`con` is a connection."
    card = schema_card("\n".join([short, *lines]), 4000)
    assert len(card) <= 4000
    assert card.startswith(short), "short lines are not cut"
    assert all(f"`table_{n:02d}`" in card for n in range(17))
    kept = card.split("\n")[1].count("column_")
    assert f"[{40 - kept} more]" in card
    assert schema_card("\n".join(lines[:3])) == "\n".join(lines[:3])
    words = schema_card("word " * 2000, 500)
    assert words.endswith("[...]") and len(words) <= 500
    many = schema_card("\n".join(f"line {n}" for n in range(5000)), 1000)
    assert "lines of this description are left out]" in many and len(many) <= 1000
