"""What is context and what trains, in each family of chat templates, as text."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
from pydantic import JsonValue

from benchside.errors import InputError
from benchside.manner import ProtocolName
from benchside.policies import PolicyOptions
from benchside.policy import Action, Conversation, Message, Remark, ToolCall, Turn
from benchside.protocol import all_tools, observation_messages, opening_messages
from benchside.protocols import action_form
from benchside_training.chat_template import ChatTemplate
from benchside_training.example import Example, example_of
from benchside_training.local.loading import Vocabulary
from benchside_training.local.policy import LocalPolicy
from benchside_training.local.sampling import Sampling
from benchside_training.local.sequence import Sampled
from benchside_training.render import Renderer, Row, draw_lengths, fitting
from benchside_training.trajectory import trajectories
from tests.training.families import stop_ids_of, tokenizer_of
from tests.training.tiny import episode_of

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


class Saying:
    """An engine that samples what it is told to."""

    config: Mapping[str, JsonValue] = {}

    def __init__(self, replies: Sequence[Sequence[int]]):
        self._replies = iter(replies)

    async def sample(self, ids: Sequence[int], sampling: Sampling, *, known: int = 0) -> Sampled:
        said = list(next(self._replies))
        return Sampled(said, [-1.0] * len(said), [0] * len(said), False)


SAID: dict[ProtocolName, list[str]] = {
    "fenced": ["Look.\n\n```python\nn\n```", "Hm.", "```submit\n8\n```"],
    "medagentgym": [
        '{"action": "validate_code", "params": {"code": "n"}}',
        "Hm.",
        '{"action": "validate_code", "params": {"code": "answer = 8\\nsubmit(answer)"}}',
    ],
}


@pytest.mark.parametrize("protocol", SAID)
@pytest.mark.parametrize("family", ["qwen", "gemma", "llama"])
async def test_a_row_has_the_ids_that_the_policy_was_given_and_sampled(
    family: str, protocol: ProtocolName
) -> None:
    """In plain text, too: no tool is told of that the policy was not told of."""
    tokenizer, stops = tokenizer_of(family), stop_ids_of(family)
    replies = [[*tokenizer(text)["input_ids"], stops[-1]] for text in SAID[protocol]]
    policy = LocalPolicy(
        "hf:m", Vocabulary(tokenizer, frozenset(stops), "w"), Saying(replies),
        PolicyOptions(protocol=protocol),
    )  # fmt: skip
    task = episode_of([]).task
    tools = policy.manner.tools
    system = action_form(protocol).system_prompt(task, tools)
    opening = opening_messages(task, "n: a number", tools, system)
    turns: list[Turn] = []
    for _ in replies:
        action = await policy.act(Conversation(task, opening, turns, tools))
        shown = action.problem or "7 <rows>"
        turns.append(Turn(action, None, observation_messages(action, shown)))
    episode = episode_of([]).model_copy(
        update={"opening": opening, "turns": tuple(turns), "tools": tools, "protocol": protocol}
    )
    (row,) = Renderer(tokenizer, stops).rows(example_of(episode, "r"))
    (lived,) = trajectories(episode)
    assert row.input_ids.tolist() == lived.input_ids.tolist()
    end = tokenizer.decode([stops[-1]])
    first, middle, last = SAID[protocol]
    assert trained(family, row) == [first + end, last + end]  # of "Hm." nothing could be made
    assert "run_cell" not in tokenizer.decode(row.input_ids.tolist())
    assert middle in tokenizer.decode(row.input_ids[~row.loss_mask].tolist())


def test_what_a_scaffold_wrote_or_held_back_is_not_learned() -> None:
    said = Message(role="assistant", content="```python\nsubmit(8)\n```")
    held = Action(message=said, asks=Remark(tool="remark", text="No evidence."))
    good = Action(message=said, code="submit(8)")
    own = good.model_copy(update={"scaffolded": True})
    told = (Message(role="user", content="?"),)
    episode = episode_of([]).model_copy(
        update={
            "opening": told, "turns": tuple(Turn(one, None, told) for one in (held, good, own)),
            "protocol": "fenced",
        }
    )  # fmt: skip
    assert example_of(episode, "r").unlearned == (1, 5)


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
