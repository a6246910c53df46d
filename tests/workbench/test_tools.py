"""The tools that a run may offer: parsed, answered by the host, kept in the transcript."""

import json
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from benchside.cli import app
from benchside.library import Suite
from benchside.policy import DebugRequest, InfoRequest, Message, ToolCall, Usage
from benchside.protocol import (
    action_from_message,
    all_tools,
    opening_messages,
    run_cell_action,
    submit_action,
    tool_action,
)
from benchside.provenance import provenance
from benchside.rollout import Assignment, run_episode
from benchside.tools import TOOL_NAMES, checked_tools
from benchside.transcript import from_notebook, to_notebook
from benchside_kernels.image import images_folder, load_image
from benchside_kernels.stock import StockKernels
from tests.workbench.chat_server import ChatServer, call, say
from tests.workbench.test_rollout import Played

MAKER = StockKernels()


def action(name: str, arguments: object, tools=TOOL_NAMES):
    made = ToolCall(id="c", name=name, arguments=json.dumps(arguments))
    message = Message(role="assistant", tool_calls=(made,))
    return action_from_message(message, Usage(), tools=tools)


def test_calls_become_requests_cells_or_problems() -> None:
    asked = action(
        "request_info", {"about": "term", "term": "aspirin", "table": "", "column": None}
    )
    assert asked.asks == InfoRequest(tool="request_info", about="term", term="aspirin")
    assert (asked.code, asked.problem) == (None, None)
    assert type(asked).model_validate_json(asked.model_dump_json(exclude_defaults=True)) == asked
    assert action("debug", {}).asks == DebugRequest(tool="debug")
    assert action("terminal", {"command": "ls -l\npwd"}).code == "%%bash\nls -l\npwd"
    for name, arguments, words in [
        ("request_info", {}, 'field "about" of request_info is wrong: Field required'),
        ("request_info", {"about": "gold"}, 'field "about" of request_info is wrong'),
        ("request_info", {"about": "term"}, 'have no field "term"'),
        ("request_info", {"about": "tables", "sql": "x"}, 'field "sql" of request_info is wrong'),
        ("request_info", {"about": "term", "term": 5}, 'field "term" of request_info is wrong'),
        ("request_info", [], "must be a JSON object"),
        ("terminal", {"command": " "}, 'field "command" must be a text'),
        ("terminal", {"command": 5}, 'field "command" must be a text'),
    ]:
        wrong = action(name, arguments)
        assert (wrong.code, wrong.asks) == (None, None)
        assert words in (wrong.problem or "")
    for name in TOOL_NAMES:
        assert f"no tool named '{name}'" in (action(name, {"about": "tables"}, ()).problem or "")


def test_a_run_offers_what_it_names(suite: Suite) -> None:
    offered = all_tools(checked_tools(["terminal", "request_info"]))
    assert [one["function"]["name"] for one in offered] == [
        "run_cell", "submit", "request_info", "terminal",
    ]  # fmt: skip
    plain, told = (opening_messages(suite.tasks[0], "", tools) for tools in ((), TOOL_NAMES))
    assert "request_info" not in str(plain[0].content)
    assert "- request_info: Look up tables" in str(told[0].content)


async def test_the_host_answers_and_the_notebook_keeps_it(suite: Suite, tmp_path: Path) -> None:
    task = next(task for task in suite.tasks if suite.image(task).variables)
    image = load_image(suite.image(task).ref, images_folder(suite.home))
    key, table = next(iter(image.load_variables()["pilots"].items()))
    name, column = f"pilots[{key!r}]", str(table.columns[0])
    actions = [
        tool_action("request_info", {"about": "columns", "table": name}, "Which columns?"),
        run_cell_action(f"{name}[{column + 'x'!r}]"),
        tool_action("debug", {}),
        tool_action("terminal", {"command": "echo $((6 * 7)); exit 3"}),
        tool_action("terminal", {"command": "pwd"}),
        submit_action(1),
    ]
    assignment = Assignment(suite, task, Played(actions), 0, 7, ("request_info", "debug"))
    origin = provenance(7, MAKER.isolation)
    episode = await run_episode(assignment, origin, maker=MAKER)
    texts = [turn.observations[0].content or "" for turn in episode.turns]
    assert f"{column} " in texts[0]
    assert "KeyError" in texts[2]
    assert "Similar names in the data: pilots[" in texts[2]
    assert f".{column}" in texts[2]
    assert "42" in texts[3]
    assert "exit status 3" in texts[3]
    assert episode.end_reason == "submitted"
    assert episode.tools == ("request_info", "debug")
    notebook = to_notebook(episode)
    nbformat.validate(notebook)
    assert from_notebook(nbformat.from_dict(json.loads(json.dumps(notebook)))) == episode
    shown = next(cell.source for cell in notebook.cells if cell.id == "turn-001")
    assert shown.startswith(
        "Which columns?\n\n`request_info`\n\n    request_info('columns', table="
    )
    assert texts[0].splitlines()[0] in shown

    unasked = [tool_action("request_info", {"about": "tables"}), submit_action(1)]
    plain = await run_episode(Assignment(suite, task, Played(unasked), 0, 7), origin, maker=MAKER)
    assert "no tool named 'request_info'" in (plain.turns[0].observations[0].content or "")


def test_the_command_line_offers_tools_to_a_model(
    suite: Suite, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCHSIDE_HOME", str(home))
    ask = call(("request_info", {"about": "tables"}))
    give = call(("submit", {"value": 1}))
    ok = say("ok")
    with ChatServer(ok, ask, give) as server:
        done = CliRunner().invoke(
            app,
            ["run", "power", "--policy", "openai:m", "--base-url", server.url, "--limit", "1",
             "--tool", "request_info", "--out", str(tmp_path / "run")],
        )  # fmt: skip
    assert done.exit_code == 0, done.output
    names = [tool["function"]["name"] for tool in server.bodies[1]["tools"]]
    assert names == ["run_cell", "submit", "request_info"]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["tools"] == ["request_info"]
    told = server.bodies[2]["messages"][-1]
    assert told["role"] == "tool"
    assert "pilots['" in told["content"]
    wrong = CliRunner().invoke(app, ["run", "power", "--policy", "dump", "--tool", "telepathy"])
    assert wrong.exception is not None
    assert "there is no such tool" in str(wrong.exception)
