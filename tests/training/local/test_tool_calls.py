"""Replies in each family's style, as their published templates have the models write them."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchside.errors import InputError
from benchside.policy import Usage
from benchside.protocol import action_from_message
from benchside_training.tool_calls import STYLES, ReplyReader
from tests.training.local.small import QWEN, SPECIAL, TEMPLATES, tokenizer

CODE = 'print("a\\n{}")'
JSON = json.dumps({"code": CODE})
READERS = {
    style: ReplyReader(tokenizer(source), takes_tools=style != "fenced")
    for style, source in TEMPLATES.items()
}

# style, reply without its stop token, visible text, hidden reasoning
GOLDEN = [
    ("qwen", f'<tool_call>\n{{"name": "run_cell", "arguments": {JSON}}}\n</tool_call>', None, None),
    (
        "qwen",
        "<think>\nHm.\n</think>\n\nI count.\n"
        f'<tool_call>\n{{"name": "run_cell", "arguments": {JSON}}}\n</tool_call>',
        "I count.", "Hm.",
    ),
    ("llama", f'{{"name": "run_cell", "parameters": {JSON}}}', None, None),
    ("llama", f'<|python_tag|>{{"name": "run_cell", "parameters": {JSON}}}', None, None),
    ("llama", f"<|python_tag|>{CODE}", None, None),
    ("llama", f'{{"type": "function", "name": "run_cell", "parameters": {JSON}}}', None, None),
    ("mistral", f'[TOOL_CALLS] [{{"name": "run_cell", "arguments": {JSON}}}]', None, None),
    ("mistral", f"Look.[TOOL_CALLS]run_cell[ARGS]{JSON}", "Look.", None),
    ("mistral", f"[TOOL_CALLS]run_cell{JSON}", None, None),
    (
        "harmony",
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary "
        f"to=functions.run_cell <|constrain|>json<|message|>{JSON}",
        None, "Hm.",
    ),
    (
        "harmony",
        "<|channel|>commentary<|message|>I count.<|end|><|start|>assistant to=functions.run_cell"
        f"<|channel|>commentary json<|message|>{JSON}<|call|>",
        "I count.", None,
    ),
    ("harmony", f"<|channel|>analysis to=python code<|message|>{CODE}", None, None),
    ("fenced", f"I count.\n```python\n{CODE}\n```", ..., None),
    ("fenced", f'```tool_code\n{{"name": "run_cell", "arguments": {JSON}}}\n```', ..., None),
    ("fenced", f"```tool_code\nrun_cell(code={CODE!r})\n```", ..., None),
    ("fenced", f'```json\n{{"name": "run_cell", "parameters": {JSON}}}\n```', ..., None),
    ("fenced", f"```tool_code\n{CODE}\n```", ..., None),
]  # fmt: skip


@pytest.mark.parametrize(("style", "text", "said", "reasoning"), GOLDEN)
def test_a_call_by_family(style: str, text: str, said: str | None, reasoning: str | None) -> None:
    assert READERS[style].style == style
    reply = READERS[style].read(text, "", 3)
    assert reply.message.content == (text if said is ... else said)
    assert reply.reasoning == reasoning
    assert [call.id for call in reply.message.tool_calls] == ["000003000"]
    action = action_from_message(reply.message, Usage())
    assert (action.code, action.problem) == (CODE, None)


@pytest.mark.parametrize(
    ("style", "text"),
    [
        ("qwen", "Two patients."),
        ("llama", 'The answer {"n": 2} it is.'),
        ("mistral", "Two patients."),
        ("harmony", "<|channel|>final<|message|>Two patients."),
        ("fenced", "Two `patients`."),
    ],
)
def test_plain_text_is_no_call(style: str, text: str) -> None:
    reply = READERS[style].read(text, "", 0)
    assert not reply.message.tool_calls
    assert reply.message.content == text.rpartition("<|message|>")[2]


@pytest.mark.parametrize(
    ("style", "text"),
    [
        ("qwen", '<tool_call>\n{"name": "run_cell", "arguments": {"code": "print("a")"}}\n'),
        ("llama", '{"name": "run_cell", "parameters": {"code": 1,}}'),
        ("mistral", '[TOOL_CALLS]run_cell[ARGS]{"code": '),
        ("harmony", "<|channel|>commentary to=functions.run_cell json<|message|>code: 1"),
        ("fenced", '```json\n{"name": "run_cell", "arguments": {"code": "}\n```'),
    ],
)
def test_malformed_calls_say_what_is_wrong(style: str, text: str) -> None:
    reply = READERS[style].read(text, "", 0)
    problem = action_from_message(reply.message, Usage()).problem
    assert problem is not None and "The arguments of run_cell are wrong: not valid JSON" in problem


def test_a_reply_that_the_template_has_begun() -> None:
    """As templates with thinking do: the opening mark stands in the prompt."""
    before = "...<|im_end|>\n<|im_start|>assistant\n<think>\n"
    call = f'<tool_call>{{"name": "run_cell", "arguments": {JSON}}}</tool_call>'
    reply = READERS["qwen"].read(f"Hm.\n</think>\n{call}", before, 0)
    assert reply.reasoning == "Hm."
    assert action_from_message(reply.message, Usage()).code == CODE


def test_a_tokenizers_own_response_template_goes_first_and_unknown_styles_are_refused() -> None:
    made = tokenizer(QWEN.replace("tool_call>", "act>"))
    with pytest.raises(InputError, match="style in which this model calls tools is not known"):
        ReplyReader(made, takes_tools=True)
    made.response_template = {
        "start_anchor": "assistant\n",
        "fields": {
            "tool_calls": {
                "open": "<act>", "close": "</act>", "content": "json", "repeats": True,
                "transform": {"type": "function", "function": "{content}"},
            },
            "content": {"content": "text"},
        },
    }  # fmt: skip
    reader = ReplyReader(made, takes_tools=True)
    text = f'<act>{{"name": "run_cell", "arguments": {JSON}}}</act>'
    assert action_from_message(reader.read(text, "", 0).message, Usage()).code == CODE
    reply = reader.read("<act>{</act>", "", 0)  # it refuses what is no JSON
    assert (reply.message.content, reply.message.tool_calls) == ("<act>{</act>", ())


PIECES = st.sampled_from(
    [
        *SPECIAL, "<tool_call>", "</tool_call>", "<think>", "</think>", "[THINK]", "```",
        "```python\n", "```tool_code\n", '{"name": "run_cell", "arguments": {"code": "1"}}',
        '{"name": "', "run_cell", "submit", "(value=1)", " to=functions.", "commentary", "analysis",
        "final", "json", "{", "}", "[", "]", '"', ":", ",", "\n", "\\", "[" * 20_000, "\ud800",
        "NaN", "1e999", "é",
    ]
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([*STYLES, "fenced"]), st.lists(PIECES | st.text(max_size=5), max_size=12))
def test_no_reply_breaks_a_reader(style: str, pieces: list[str]) -> None:
    reply = READERS[style].read("".join(pieces), "", 0)
    action = action_from_message(reply.message, Usage(), reply.reasoning)
    assert (action.code is None) == (action.problem is not None)
    ids = [call.id for call in reply.message.tool_calls]
    assert len(set(ids)) == len(ids) and all(len(one) == 9 for one in ids)
