"""Whatever a server sends is either a reply or a `ValueError` that says why not."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchside.policies.chat_reply import read_reply

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def loose(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects with the given fields, each of them absent, right or anything."""
    return st.fixed_dictionaries({}, optional={k: v | json_values for k, v in fields.items()})


functions = loose(name=st.text(), arguments=st.text() | st.dictionaries(st.text(), json_values))
calls = loose(id=st.text(), type=st.just("function"), function=functions)
messages = loose(content=st.text(), tool_calls=st.lists(calls, max_size=3), reasoning=st.text())
choices = loose(message=messages, finish_reason=st.sampled_from(["stop", "length"]))
completions = loose(choices=st.lists(choices, max_size=2), usage=loose(prompt_tokens=st.integers()))


@given(completions.map(json.dumps) | st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        reply = read_reply(text)
        ids = [call.id for call in reply.message.tool_calls]
        assert len(set(ids)) == len(ids) and all(ids)


@given(st.lists(st.sampled_from(["a", "a_", "call_1", "", None]), max_size=5))
def test_ids_are_made_different_and_good_ones_are_kept(given_ids: list[str | None]) -> None:
    sent = [{"id": id_, "function": {"name": "f", "arguments": "{}"}} for id_ in given_ids]
    made = read_reply(json.dumps({"choices": [{"message": {"tool_calls": sent}}]}))
    ids = [call.id for call in made.message.tool_calls]
    assert len(set(ids)) == len(given_ids)
    if given_ids and given_ids[0]:
        assert ids[0] == given_ids[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no JSON"),
        ("[]", "the whole"),
        ('{"choices": []}', "choices"),
        ('{"choices": [{}]}', "choices.0.message"),
        ('{"error": {"message": "overloaded"}}', "choices"),
        ("9" * 5000, "4300 digits"),
    ],
)
def test_a_refusal_names_the_place(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_reply(text)
