"""What is context and what trains, in each family of chat templates, as text."""

from pathlib import Path

import pytest
import torch

from benchside.errors import InputError
from benchside.policy import Message, ToolCall
from benchside.protocol import all_tools
from benchside_training.chat_template import ChatTemplate
from benchside_training.example import Example
from benchside_training.render import Renderer, Row, draw_lengths, fitting
from tests.training.families import stop_ids_of, tokenizer_of

CODE = 'import json\nprint(json.dumps({"é": [1]}))'


def example(*, system: bool = True, unlearned: tuple[int, ...] = ()) -> Example:
    """Two cells, the first with a thought, and a submission."""

    def call(number: int, name: str, arguments: str) -> tuple[ToolCall, ...]:
        return (ToolCall(id=f"{number:09d}", name=name, arguments=arguments),)

    def told(number: int, text: str) -> Message:
        return Message(role="tool", content=text, tool_call_id=f"{number:09d}")

    messages = [
        Message(role="user", content="How many?"),
        Message(role="assistant", content="Look.", tool_calls=call(0, "run_cell", '{"code": "n"}')),
        told(0, "7 <rows>"),
        Message(role="assistant", tool_calls=call(1, "run_cell", '{"code": "n + 1"}')),
        told(1, "8"),
        Message(role="assistant", tool_calls=call(2, "submit", '{"value": 8}')),
    ]
    if system:
        messages.insert(0, Message(role="system", content="Solve."))
    return Example(
        run="r", episode_id="e1", suite="s", task_id="t", task_hash="h", split="train", policy="p",
        outcome="solved", reward=1.0, licence="", sensitivity="open", tools=(),
        messages=tuple(messages), unlearned=unlearned,
    )  # fmt: skip


def trained(family: str, row: Row) -> list[str]:
    """The runs of tokens that train, as text."""
    tokenizer = tokenizer_of(family)
    found: list[list[int]] = []
    last = False
    for id_, own in zip(row.input_ids.tolist(), row.loss_mask.tolist(), strict=True):
        if own:
            found = found if last else [*found, []]
            found[-1].append(id_)
        last = own
    return [str(tokenizer.decode(ids)) for ids in found]


def call_of(code: str) -> str:
    return f'<tool_call>\n{{"name": "run_cell", "arguments": {{"code": "{code}"}}}}\n</tool_call>'


GOLDEN = {
    "qwen": [
        f"Look.\n{call_of('n')}<|im_end|>",
        f"{call_of('n + 1')}<|im_end|>",
        '<tool_call>\n{"name": "submit", "arguments": {"value": 8}}\n</tool_call><|im_end|>',
    ],
    "llama": [
        '{"name": "run_cell", "parameters": {"code": "n"}}<|eot_id|>',
        '{"name": "run_cell", "parameters": {"code": "n + 1"}}<|eot_id|>',
        '{"name": "submit", "parameters": {"value": 8}}<|eot_id|>',
    ],
    "mistral": [
        '[TOOL_CALLS][{"name": "run_cell", "arguments": {"code": "n"}}]</s>',
        '[TOOL_CALLS][{"name": "run_cell", "arguments": {"code": "n + 1"}}]</s>',
        '[TOOL_CALLS][{"name": "submit", "arguments": {"value": 8}}]</s>',
    ],
    "gemma": [
        "Look.\n\n```python\nn\n```<end_of_turn>",
        "```python\nn + 1\n```<end_of_turn>",
        '```tool_code\n{"name": "submit", "arguments": {"value": 8}}\n```<end_of_turn>',
    ],
    "harmony": [
        '<|channel|>commentary to=functions.run_cell<|message|>{"code": "n"}<|call|>',
        '<|channel|>commentary to=functions.run_cell<|message|>{"code": "n + 1"}<|call|>',
        '<|channel|>commentary to=functions.submit<|message|>{"value": 8}<|call|>',
    ],
}


@pytest.mark.parametrize("family", GOLDEN)
def test_turns_train_with_their_ends_and_nothing_else_does(family: str) -> None:
    renderer = Renderer(tokenizer_of(family), stop_ids_of(family))
    (row,) = renderer.rows(example())
    assert trained(family, row) == GOLDEN[family]
    context = str(tokenizer_of(family).decode(row.input_ids[~row.loss_mask].tolist()))
    assert "7 <rows>" in context
    assert context.count("How many?") == 1
    assert row.input_ids.dtype == torch.int64
    assert row.labels[0] == -100
    assert row.labels[-1] == row.input_ids[-1] == stop_ids_of(family)[-1]


@pytest.mark.parametrize("family", [name for name in GOLDEN if name != "gemma"])
def test_a_row_is_the_templates_own_rendering(family: str) -> None:
    """Of a template that rewrites nothing, up to what it writes after the last turn."""
    tokenizer = tokenizer_of(family)
    (row,) = Renderer(tokenizer, stop_ids_of(family)).rows(example())
    template = ChatTemplate(tokenizer, stop_ids_of(family))
    closing = Message(role="user", content="*")
    whole = template.whole([*example().messages, closing], all_tools(()))
    assert row.input_ids.tolist() == whole[: len(row)]


def test_a_rewritten_history_gives_a_row_for_each_turn() -> None:
    renderer = Renderer(tokenizer_of("rewriting"), stop_ids_of("rewriting"))
    said = [
        Message(role="user", content="How many?"), Message(role="assistant", content="One?"),
        Message(role="user", content="No."), Message(role="assistant", content="Two."),
    ]  # fmt: skip
    rows = renderer.rows(example().model_copy(update={"messages": tuple(said)}))
    assert [trained("rewriting", row) for row in rows] == [["One?<|im_end|>"], ["Two.<|im_end|>"]]
    second = str(tokenizer_of("rewriting").decode(rows[1].input_ids.tolist()))
    assert "(earlier)" in second and "One?" not in second


def test_malformed_actions_stay_in_the_context() -> None:
    renderer = Renderer(tokenizer_of("qwen"), stop_ids_of("qwen"))
    (row,) = renderer.rows(example(unlearned=(2,)))
    assert trained("qwen", row) == GOLDEN["qwen"][1:]
    assert "Look." in str(tokenizer_of("qwen").decode(row.input_ids[~row.loss_mask].tolist()))


def test_templates_that_cannot_be_learned_from_are_refused_by_episode() -> None:
    tokenizer = tokenizer_of("qwen")
    with pytest.raises(InputError, match=r"ends a turn with no stop[\s\S]*episode e1"):
        Renderer(tokenizer, [0]).rows(example())
    template = str(tokenizer.chat_template)
    opening = "{%- if add_generation_prompt -%}<|im_start|>assistant\n"
    tokenizer.chat_template = template.replace(opening, f"{opening}<think>")
    with pytest.raises(InputError, match=r"opens a turn otherwise[\s\S]*<think>"):
        Renderer(tokenizer, stop_ids_of("qwen")).rows(example())
    refusal = "{%- if messages | length > 5 -%}{{ raise_exception('long') }}{%- endif -%}"
    tokenizer.chat_template = refusal + template
    with pytest.raises(InputError, match=r"refuses the conversation: long[\s\S]*episode e1"):
        Renderer(tokenizer, stop_ids_of("qwen")).rows(example())
    tokenizer.chat_template = None
    with pytest.raises(InputError, match="no chat template"):
        Renderer(tokenizer, stop_ids_of("qwen"))


def test_rows_that_are_too_long_are_left_out_whole_and_counted(tmp_path: Path) -> None:
    def row(length: int) -> Row:
        return Row(torch.arange(length), torch.arange(length) >= length - 2)

    rows = [row(4), row(10), row(6)]
    kept, lengths = fitting(rows, 8)
    assert kept == [rows[0], rows[2]]
    found = (lengths.rows, lengths.tokens, lengths.trained, lengths.median, lengths.longest)
    assert (*found, lengths.too_long) == (3, 20, 6, 6, 10, 1)
    draw_lengths(rows, 8, tmp_path / "lengths.png")
    assert (tmp_path / "lengths.png").read_bytes()[1:4] == b"PNG"
    with pytest.raises(InputError, match=r"max_tokens[\s\S]*the shortest of 3 has 4"):
        fitting(rows, 3)
