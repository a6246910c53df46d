"""Every message of every protocol becomes an action; what is wrong with it is told and counted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchside.manner import PARITY, Manner, limits_of_one, suited, tools_of
from benchside.policy import DebugRequest, InfoRequest, Message, ToolCall, Usage
from benchside.protocol import observation_messages
from benchside.protocols import action_form
from benchside.task import AnswerSchema, GraderRef, Limits, TaskSpec
from benchside.tools import TOOL_NAMES

FENCED, PARITY_FORM = action_form("fenced"), action_form("medagentgym")
ORACLE = action_form("medagentgym", "oracle")
TASK = TaskSpec(
    task_id="t", suite="s", version="1", category="c", split="test", group="g", prompt="Mean?",
    image="i", answer=AnswerSchema(kind="number", may_abstain=True),
    grader=GraderRef(name="number"),
)  # fmt: skip

pieces = st.sampled_from(
    [
        "```python\n", "```submit\n", "```terminal\n", "```request_info\n", "```\n", "~~~py\n",
        "```", "<think>",
        "</think>", "\n", "print(1)", '{"action": ', '"validate_code"', '"params": {',
        '"code": "', '"""', "}", "}}", "NaN", "\ud800", "[" * 3000, "9" * 5000, '{"a": 1}',
    ]
)  # fmt: skip
contents = st.lists(pieces | st.text(max_size=8), max_size=12).map("".join) | st.text()
params = st.dictionaries(
    st.sampled_from(["code", "cmd", "data_path", "info_type", "keyterm", "error_msg", "x"]),
    st.text(max_size=6) | st.integers() | st.none(),
    max_size=4,
)
actions = st.fixed_dictionaries(
    {
        "action": st.sampled_from(["request_info", "validate_code", "debug", "terminal", "x"]),
        "params": params,
    }
).map(json.dumps)
said = st.builds(
    Message,
    role=st.just("assistant"),
    content=st.none() | contents | actions,
    tool_calls=st.just(()) | st.just((ToolCall(id="1", name="run_cell", arguments="{"),)),
)


@given(said, st.booleans(), st.sampled_from([(), TOOL_NAMES]))
def test_any_message_becomes_an_action_in_every_form(
    message: Message, cut_off: bool, tools: tuple[Any, ...]
) -> None:
    for form in (action_form("native"), FENCED, PARITY_FORM, ORACLE):
        action = form.action(message, Usage(), cut_off=cut_off, tools=tools)
        assert sum(one is not None for one in (action.code, action.asks, action.problem)) == 1
        assert action.message == message
        assert type(action).model_validate_json(action.model_dump_json()) == action
        assert observation_messages(action, action.problem or "ok")[0].content


def fenced(text: str, **told: Any) -> Any:
    return FENCED.action(Message(role="assistant", content=text), Usage(), **told)


def test_a_fenced_block_is_run_and_its_label_says_how() -> None:
    action = fenced("<think>```python\n0\n```</think>Look.\n```python\nx = 1\nx\n```\nDone.")
    assert (action.code, action.thought, action.reasoning) == (
        "x = 1\nx",
        "Look.",
        "```python\n0\n```",
    )
    assert fenced("```submit\n[1, null]\n```").code == "submit([1, None])"
    assert fenced("~~~~ py\n```\n~~~~").code == "```", "a fence ends at its own kind"
    assert fenced("```\n1 + 1\n```").code == "1 + 1", "where nothing is labelled"
    assert fenced("```json\n{}\n```").problem, "other languages are not run"
    assert fenced("```python\n1 + 1").code == "1 + 1", "some servers leave out the end"
    two = fenced("```python\nfirst\n```\n```\noutput\n```\n```submit\n4\n```")
    assert (two.code, two.ignored) == ("first", 1)
    assert "only the first block" in str(observation_messages(two, "out")[0].content)
    assert observation_messages(two, "out")[0].role == "user"


def test_tools_have_fenced_blocks_where_a_run_offers_them() -> None:
    asked = '```request_info\n{"about": "term", "term": "aspirin"}\n```'
    assert fenced(asked, tools=TOOL_NAMES).asks == InfoRequest(
        tool="request_info", about="term", term="aspirin"
    )
    assert fenced("```debug\n```", tools=TOOL_NAMES).asks == DebugRequest(tool="debug")
    assert fenced("```terminal\nls\npwd\n```", tools=TOOL_NAMES).code == "%%bash\nls\npwd"
    assert "no block of code" in fenced(asked).problem
    prompt = FENCED.system_prompt(TASK, TOOL_NAMES)
    assert "```request_info" in prompt and "```terminal" in prompt
    assert "```debug" in prompt and "```request_info" not in FENCED.system_prompt(TASK, ())
    for words in ("15 turns", "60 seconds per cell", "submit null"):
        assert words in prompt


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I would look at the data.", "Your message has no block of code"),
        ("```python\n\n```", "The block of code is empty"),
        ("```submit\nabout 4\n```", "The submit block must hold one JSON value"),
        ("```submit\nNaN\n```", "a number that JSON does not allow"),
        ("```request_info\n[]\n```", "must hold a JSON object, not list"),
        ("```request_info\n{]\n```", "must hold a JSON object: not valid JSON"),
        ("```terminal\n```", 'The field "command" must be a text'),
    ],
)
def test_what_is_wrong_with_a_block_is_said(text: str, words: str) -> None:
    problem = fenced(text, tools=TOOL_NAMES).problem
    assert words in problem and "Write one block" in problem
    cut = fenced("```python\nx = ", cut_off=True)
    assert "cut off at the token limit. Your block has no end" in str(cut.problem)


def parity(text: str, form: Any = PARITY_FORM) -> Any:
    return form.action(Message(role="assistant", content=text), Usage())


def act(name: str, **given: Any) -> str:
    return json.dumps({"action": name, "params": given})


def test_the_json_actions_of_the_reference_system_are_read_as_leniently_as_there() -> None:
    code = act("validate_code", code="answer = 1")
    assert parity(code).code == "answer = 1\nprint(answer)"
    assert parity(f"Well.\n```json\n{code}\n```").code == parity(code).code
    assert parity(f"<think>{{}}</think>{code}").code == parity(code).code
    quoted = '{"action": "validate_code", "params": {"code": """x = "a"\nprint(x)"""}}'
    assert parity(quoted).code == 'x = "a"\nprint(x)'
    assert parity(act("validate_code", code="answer = 1; submit(answer)")).code.endswith("(answer)")
    assert parity(act("terminal", cmd="ls")).code == "%%bash\nls"
    assert parity(act("debug", code="x", error_msg="e")).asks == DebugRequest(tool="debug")
    look = act("request_info", data_path="data/LAB.csv", info_type="column_values", keyterm="UNIT")
    wanted = InfoRequest(tool="request_info", about="values", table="LAB", column="UNIT")
    assert parity(look).asks == wanted
    term = act("request_info", data_path="data/", info_type="term", keyterm="aspirin")
    assert parity(term).asks == InfoRequest(tool="request_info", about="term", term="aspirin")
    names = act("request_info", data_path="x/LAB.csv", info_type="column_names", keyterm="")
    assert parity(names).asks == InfoRequest(tool="request_info", about="columns", table="LAB")


def test_an_oracle_grades_each_answer_as_a_draft() -> None:
    draft = parity(act("validate_code", code="answer = 1"), ORACLE)
    assert draft.code == "answer = 1\nprint(answer)\nsubmit(answer)"
    assert draft.draft and not parity(act("validate_code", code="answer = 1")).draft
    plain = parity(act("validate_code", code="print(1)"), ORACLE)
    assert plain.code == "print(1)"
    assert "as soon as" in ORACLE.system_prompt(TASK, ())
    assert "submit(answer)" in PARITY_FORM.system_prompt(TASK, ())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Let me think.", "holds no JSON object"),
        ('{"action": "debug"}', 'exactly the fields "action" and "params"'),
        ('{"action": "submit", "params": {}}', "There is no action 'submit'"),
        (act("validate_code"), "The params of validate_code must be exactly: code"),
        (act("validate_code", code=5), 'The field "code" must be a string, not int'),
        (act("validate_code", code=" "), 'The field "code" is empty'),
        (act("request_info", data_path="x", info_type="gold", keyterm=""), 'The field "info_type"'),
        ("{not json}", "not valid JSON"),
    ],
)
def test_what_is_wrong_with_a_json_action_is_said(text: str, words: str) -> None:
    problem = parity(text).problem
    assert words in problem and "Answer with one JSON object" in problem


def test_a_manner_brings_limits_and_tools_and_makes_it_another_task() -> None:
    assert suited(TASK, Manner()) is TASK
    one = suited(TASK, Manner("medagentgym"))
    assert (one.limits.max_turns, one.limits.cell_timeout_s) == tuple(PARITY.values())
    assert one.limits.episode_timeout_s == 1800 and one.hash != TASK.hash
    three = suited(TASK, Manner(attempts=3)).limits
    assert (three.max_turns, three.episode_timeout_s) == (48, 1800)
    assert limits_of_one(three, 3) == Limits()
    assert tools_of(Manner(tools=("debug",)), ("terminal",)) == ("terminal", "debug")
