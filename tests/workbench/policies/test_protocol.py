"""Messages become actions whatever they hold, and policies are shown what really happened."""

from __future__ import annotations

import ast
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchside.policy import Message, ToolCall, Usage
from benchside.protocol import (
    TOOLS,
    action_from_message,
    observation_messages,
    observation_text,
    opening_messages,
    parse_json,
    run_cell_action,
    submit_action,
    text_action,
)
from benchside.task import AnswerSchema, GraderRef, Limits, TaskSpec
from benchside.tools import TOOL_NAMES
from benchside_kernels.cell import CellResult

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip
raw_arguments = st.one_of(
    st.text(),
    json_values.map(json.dumps),
    st.dictionaries(
        st.sampled_from(["code", "value", "x", "about", "term", "command"]), json_values
    ).map(json.dumps),
    st.sampled_from(
        ["{", "NaN", '{"value": 1e999}', '{"code": "\\ud800"}', "[" * 5000, "9" * 5000]
    ),
)
tool_calls = st.builds(
    ToolCall,
    id=st.text(max_size=5),
    name=st.sampled_from(["run_cell", "submit", *TOOL_NAMES]) | st.text(),
    arguments=raw_arguments,
)
messages = st.builds(
    Message,
    role=st.sampled_from(["assistant", "user", "tool", "system"]),
    content=st.none() | st.text(),
    tool_calls=st.lists(tool_calls, max_size=3).map(tuple),
)


def call(name: str, arguments: str) -> Message:
    made = ToolCall(id="c1", name=name, arguments=arguments)
    return Message(role="assistant", content="Why.", tool_calls=(made,))


def task(**changes: Any) -> TaskSpec:
    fields: dict[str, Any] = {
        "task_id": "t", "suite": "s", "version": "1", "category": "c", "split": "test",
        "group": "g", "prompt": "What is the mean?", "image": "i",
        "answer": AnswerSchema(kind="number"), "grader": GraderRef(name="number"),
    }  # fmt: skip
    return TaskSpec(**{**fields, **changes})


def result(*outputs: dict[str, Any], **changes: Any) -> CellResult:
    fields: dict[str, Any] = {"status": "ok", "duration_s": 1.0, **changes}
    return CellResult(cell_id="c", source="", outputs=outputs, **fields)


def stream(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def display(**data: str) -> dict[str, Any]:
    bundle = {mime.replace("_", "/"): text for mime, text in data.items()}
    return {"output_type": "display_data", "data": bundle, "metadata": {}}


@given(messages)
def test_any_message_becomes_an_action_that_can_be_stored_and_answered(message: Message) -> None:
    action = action_from_message(message, Usage(), tools=TOOL_NAMES)
    given = [action.code, action.asks, action.problem]
    assert sum(one is not None for one in given) == 1
    assert action.message == message
    assert type(action).model_validate_json(action.model_dump_json()) == action
    shown = observation_messages(action, action.problem or "ok")
    assert [reply.tool_call_id for reply in shown] == [made.id for made in message.tool_calls] or (
        [reply.role for reply in shown] == ["user"] and not message.tool_calls
    )


@given(json_values)
def test_submit_becomes_a_python_literal_of_the_same_value(value: Any) -> None:
    action = action_from_message(call("submit", json.dumps({"value": value})), Usage())
    assert action.code is not None
    [expression] = ast.parse(action.code).body
    assert isinstance(expression, ast.Expr) and isinstance(expression.value, ast.Call)
    [argument] = expression.value.args
    assert json.dumps(ast.literal_eval(argument)) == json.dumps(value)
    assert action == action_from_message(action.message, Usage())


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("null", "submit(None)"),
        ("true", "submit(True)"),
        ("12345678901234567890123", "submit(12345678901234567890123)"),
        ('"µg/dL"', "submit('µg/dL')"),
        ('{"a": [1, {"b": null}]}', "submit({'a': [1, {'b': None}]})"),
        ('{"$date": "2024-02-29"}', "submit({'$date': '2024-02-29'})"),
    ],
)
def test_json_literals_become_python_literals(value: str, code: str) -> None:
    assert action_from_message(call("submit", f'{{"value": {value}}}'), Usage()).code == code


def test_a_run_cell_call_becomes_its_code_and_the_text_its_thought() -> None:
    action = action_from_message(call("run_cell", '{"code": "x = 1\\nx"}'), Usage(), "hidden")
    assert (action.code, action.thought, action.reasoning) == ("x = 1\nx", "Why.", "hidden")


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("run_cell", "", "not valid JSON"),
        ("run_cell", "[1]", "JSON object, not list"),
        ("run_cell", "{}", 'run_cell have no field "code"'),
        ("run_cell", '{"code": 5}', "must be a string, not int"),
        ("run_cell", '{"code": " \\n"}', "is empty"),
        ("run_cell", '{"code": "\\ud800"}', "not valid Unicode"),
        ("submit", "{}", 'have no field "value"'),
        ("submit", '{"value": NaN}', "a number that JSON does not allow (NaN)"),
        ("submit", '{"value": -Infinity}', "a number that JSON does not allow"),
        ("submit", '{"value": 1e999}', "a number that JSON does not allow"),
        ("submit", '{"value": ' + "9" * 5000 + "}", "a number that JSON does not allow"),
        ("submit", '{"value": ' + "[" * 100_000, "nested too deeply"),
        ("python", '{"code": "1"}', "There is no tool named 'python'"),
    ],
)
def test_a_problem_says_what_was_wrong_and_shows_the_right_form(
    name: str, arguments: str, words: str
) -> None:
    action = action_from_message(call(name, arguments), Usage())
    assert action.code is None and action.problem is not None
    assert words in action.problem
    assert '{"code": "..."}' in action.problem and '{"value": ...}' in action.problem


def test_only_the_first_of_parallel_calls_is_executed_and_the_others_are_told() -> None:
    calls = tuple(ToolCall(id=f"c{i}", name="run_cell", arguments='{"code": "1"}') for i in (1, 2))
    action = action_from_message(Message(role="assistant", tool_calls=calls), Usage())
    first, second = observation_messages(action, "out")
    assert (first.role, first.tool_call_id, first.content) == ("tool", "c1", "out")
    assert second.tool_call_id == "c2" and "Not executed" in str(second.content)


def test_scripted_actions_are_what_a_model_would_have_sent() -> None:
    made = run_cell_action("print('ü')", "Look.", turn=4)
    assert (made.code, made.thought) == ("print('ü')", "Look.")
    assert made == action_from_message(made.message, Usage())
    assert made.message.tool_calls[0].id != run_cell_action("1", turn=5).message.tool_calls[0].id
    assert submit_action([1, None]).code == "submit([1, None])"
    assert text_action("Done.").problem is not None


def test_parse_json_returns_any_json_value() -> None:
    assert parse_json('[1, {"a": null}]') == [1, {"a": None}]
    with pytest.raises(ValueError, match="not valid JSON"):
        parse_json('1, "a": 2')


def test_tools_are_json_and_leave_the_submitted_value_open() -> None:
    tools = json.loads(json.dumps(TOOLS))
    submit = tools[1]["function"]["parameters"]
    assert submit["required"] == ["value"]
    assert "type" not in submit["properties"]["value"]


def test_the_opening_tells_the_task_the_answer_the_data_and_the_limits() -> None:
    answer = AnswerSchema(
        kind="table", description="mean per arm", unit="mg/dL", columns=("arm", "mean")
    )
    spec = task(answer=answer, files=("notes.txt",), limits=Limits(max_turns=7, cell_timeout_s=9))
    system, user = opening_messages(spec, "`df`: one row per patient")
    assert (system.role, user.role) == ("system", "user")
    for words in ("run_cell", "submit exactly once", "7 turns", "9 seconds per cell", "4096 MiB"):
        assert words in str(system.content)
    for words in ("What is the mean?", "mean per arm", "a table", "mg/dL", "arm, mean",
                  "`df`: one row per patient", "notes.txt"):  # fmt: skip
        assert words in str(user.content)


@pytest.mark.parametrize("may_abstain", [True, False])
def test_abstaining_is_offered_only_where_it_can_be_right(may_abstain: bool) -> None:
    answer = AnswerSchema(kind="text", choices=("a", "b"), may_abstain=may_abstain)
    system, user = opening_messages(task(answer=answer), "")
    assert ("submit null" in str(system.content)) is may_abstain
    assert "One of: a, b" in str(user.content)
    assert "No data are loaded." in str(user.content)


def test_outputs_are_shown_in_order_without_colours_and_with_images_named() -> None:
    shown = observation_text(
        result(
            stream("half "),
            stream("line\n"),
            stream("careful\n", "stderr"),
            display(text_plain="<Figure>", image_png="aGk="),
            display(text_html="<b>x</b>"),
            {"output_type": "execute_result", "data": {"text/plain": ["4", "2"]}},
            {"output_type": "error", "ename": "E", "evalue": "v",
             "traceback": ["\x1b[0;31mE\x1b[0m", "at line 1: v"]},
            status="error",
        ),
        1000,
    )  # fmt: skip
    assert shown == ("half line\ncareful\n<Figure>\n[image/png]\n[text/html]\n42\nE\nat line 1: v")


def test_an_error_without_a_traceback_still_shows() -> None:
    error = {"output_type": "error", "ename": "E", "evalue": "v", "traceback": []}
    assert observation_text(result(error, status="error"), 100) == "E: v"


def test_no_output_is_said() -> None:
    assert observation_text(result(), 100) == "(no output)"
    submission = {"application_vnd.benchside.submission+json": "1"}
    assert observation_text(result(display(**submission)), 100) == "(no output)"


@given(st.integers(200, 2000), st.integers(0, 10_000))
def test_long_output_keeps_head_and_tail_and_says_so(max_chars: int, length: int) -> None:
    text = "head" + "." * length + "tail"
    shown = observation_text(result(stream(text)), max_chars)
    assert len(shown) <= max_chars
    assert shown.startswith("head") and shown.endswith("tail")
    assert (shown == text) == (len(text) <= max_chars)
    assert (f"{len(text):,} characters in all" in shown) == (len(text) > max_chars)


@pytest.mark.parametrize(
    ("changes", "said", "unsaid"),
    [
        ({"dropped_chars": 12345}, "12,345 characters of output were not kept", "kernel"),
        ({"status": "timeout", "duration_s": 60.04}, "stopped after 60.0 s", "gone"),
        ({"status": "timeout"}, "variables of earlier cells are kept", "gone"),
        ({"status": "timeout", "state_survived": False}, "The kernel is gone", "still running"),
        ({"status": "dead", "state_survived": False}, "The kernel ended", "still running"),
        ({"state_survived": False}, "The kernel is gone", "still running"),
        ({"note": "Some output was lost."}, "[Some output was lost.]", "gone"),
        ({"status": "dead", "state_survived": False, "note": "Ended by SIGSEGV: all is lost."},
         "[Ended by SIGSEGV: all is lost.]", "The kernel"),
    ],
)  # fmt: skip
def test_what_befell_the_kernel_is_told_truthfully(
    changes: dict[str, Any], said: str, unsaid: str
) -> None:
    shown = observation_text(result(stream("x" * 500), **changes), 200)
    assert said in shown
    assert unsaid not in shown


def test_floats_survive_as_numbers() -> None:
    code = submit_action(0.1 + 0.2).code
    assert code is not None and math.isclose(float(code[7:-1]), 0.3)
