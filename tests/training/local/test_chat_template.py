"""Deltas are what the template itself would have written, for each family's shape."""

import pytest

from benchside.errors import InputError, PolicyError
from benchside.policy import Message, ToolCall
from benchside.protocol import all_tools
from benchside_training.chat_template import ChatTemplate
from benchside_training.tool_calls import ReplyReader, call_id
from tests.training.local.small import FORGETFUL, QWEN, STOPS, TEMPLATES, tokenizer

TOOLS = all_tools(())
OPENING = [Message(role="system", content="You act."), Message(role="user", content="How many?")]


def template_of(style: str, source: str | None = None) -> ChatTemplate:
    made = tokenizer(source or TEMPLATES[style])
    return ChatTemplate(made, made.convert_tokens_to_ids(STOPS[style]))


def called(turn: int, *codes: str) -> list[Message]:
    """An assistant's message with calls, and what it is shown."""
    calls = tuple(
        ToolCall(id=call_id(turn, n), name="run_cell", arguments=f'{{"code": "{code}"}}')
        for n, code in enumerate(codes)
    )
    shown = [Message(role="tool", content="42\nok", tool_call_id=call.id) for call in calls]
    return [Message(role="assistant", tool_calls=calls), *shown]


SAID = [Message(role="assistant", content="No."), Message(role="user", content="Nothing was run.")]

# what follows the stop token of a call; and what follows that of plain text
GOLDEN = {
    "qwen": (
        "\n<|im_start|>user\n<tool_response>\n42\nok\n</tool_response><|im_end|>\n"
        "<|im_start|>assistant\n",
        "\n<|im_start|>user\nNothing was run.<|im_end|>\n<|im_start|>assistant\n",
    ),
    "llama": (
        "<|start_header_id|>ipython<|end_header_id|>\n\n42\nok<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        "<|start_header_id|>user<|end_header_id|>\n\nNothing was run.<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
    ),
    "mistral": ("[TOOL_RESULTS]42\nok[/TOOL_RESULTS]", None),  # it moves the tools to the last user
    "harmony": (
        '<|start|>functions.run_cell to=assistant<|channel|>commentary<|message|>"42\\nok"<|end|>'
        "<|start|>assistant",
        "<|start|>user<|message|>Nothing was run.<|end|><|start|>assistant",
    ),
    "fenced": (
        "\n<start_of_turn>user\n```tool_output\n42\nok\n```<end_of_turn>\n<start_of_turn>model\n",
        "\n<start_of_turn>user\nNothing was run.<end_of_turn>\n<start_of_turn>model\n",
    ),
}


@pytest.mark.parametrize("style", TEMPLATES)
def test_deltas_by_family(style: str) -> None:
    template = template_of(style)
    made = template.tokenizer
    for (said, *shown), expected in zip((called(0, "1"), SAID), GOLDEN[style], strict=True):
        ids = template.delta(said, shown, TOOLS, ended=True)
        assert (ids and made.decode(ids)) == expected
        if ids is not None:
            open_turn = template.delta(said, shown, TOOLS, ended=False)
            assert open_turn is not None and open_turn[1:] == ids
            assert made.decode(open_turn[:1]) in STOPS[style]  # the turn that was cut off is ended


@pytest.mark.parametrize("style", TEMPLATES)
def test_an_opening_and_deltas_make_the_whole_conversation(style: str) -> None:
    """Where the model answers as its template writes, the ids are those of the whole rendering."""
    template = template_of(style)
    messages = list(OPENING)
    ids = template.whole(messages, TOOLS)
    for turn in range(2):
        said, *shown = called(turn, "1 + 1")
        if style == "fenced":
            said = said.model_copy(update={"content": "```python\n1 + 1\n```"})
        after = template.whole([*messages, said, *shown], TOOLS)
        delta = template.delta(said, shown, TOOLS, ended=True)
        assert delta is not None and after[-len(delta) :] == delta
        assert after[: len(ids)] == ids  # between them, what the model itself would have sampled
        reader = ReplyReader(template.tokenizer, takes_tools=template.takes_tools)
        text = template.tokenizer.decode(after[len(ids) : -len(delta) - 1])
        reply = reader.read(text, template.tokenizer.decode(ids[-64:]), turn)
        assert reader.style == style
        assert [call.name for call in reply.message.tool_calls] == ["run_cell"]
        messages, ids = [*messages, said, *shown], after


def test_several_observations_are_told_together() -> None:
    template = template_of("qwen")
    said, *shown = called(0, "1", "2")
    delta = template.delta(said, shown, TOOLS, ended=True)
    assert delta is not None
    assert template.whole([*OPENING, said, *shown], TOOLS)[-len(delta) :] == delta
    assert template.tokenizer.decode(delta).count("<tool_response>") == 2


def test_templates_that_rewrite_or_refuse_what_stands_before_give_no_delta() -> None:
    assert FORGETFUL != QWEN
    template = template_of("qwen", FORGETFUL)
    assert template.delta(SAID[0], SAID[1:], TOOLS, ended=True) is None
    template = template_of("llama")
    said, *shown = called(0, "1", "2")  # it takes one call
    assert template.delta(said, shown, TOOLS, ended=True) is None
    with pytest.raises(PolicyError, match="single tool-calls only"):
        template.whole([*OPENING, said, *shown], TOOLS)


def test_models_without_tools_or_system_are_told_of_them_by_the_user() -> None:
    template = template_of("fenced")
    assert not template.takes_tools and not template.takes_system
    text = template.tokenizer.decode(template.whole(OPENING, TOOLS))
    assert text.startswith("<s><start_of_turn>user\nYou act.\n\nYou call one tool per turn")
    assert '{"name": "submit"' in text and text.count("<start_of_turn>user") == 1


def test_a_tokenizer_without_template_is_refused() -> None:
    made = tokenizer(QWEN)
    made.chat_template = None
    with pytest.raises(InputError, match="no chat template"):
        ChatTemplate(made, [1])
