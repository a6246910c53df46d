"""Scripted policies, and the strings that policies are made from."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchside.errors import InputError
from benchside.policies import POLICY_FORMS, Memory, PolicyOptions, make_policy
from benchside.policies.scripted import read_cells
from benchside.policy import Action, Conversation, Policy, Turn
from benchside.task import AnswerKind, AnswerSchema, GraderRef, TaskSpec
from benchside_kernels.image import ImageSource, build_image, images_folder
from benchside_kernels.session import KernelSession
from benchside_kernels.submission import MAX_SUBMISSION_CHARS, decode, encode

KINDS: tuple[AnswerKind, ...] = (
    "number", "integer", "text", "boolean", "date", "duration", "set", "list", "table", "record",
)  # fmt: skip


def task(kind: AnswerKind = "number", **answer: Any) -> TaskSpec:
    return TaskSpec(
        task_id="t7",
        suite="s",
        version="1",
        category="c",
        split="test",
        group="g",
        prompt="?",
        image="i",
        answer=AnswerSchema(kind=kind, **answer),
        grader=GraderRef(name=kind),
    )


async def play(policy: Policy, spec: TaskSpec, turns: int) -> list[Action]:
    """The actions of the first turns, each answered by nothing."""
    played: list[Turn] = []
    for _ in range(turns):
        played.append(Turn(await policy.act(Conversation(spec, (), played)), None, ()))
    return [turn.action for turn in played]


async def codes(policy: Policy, spec: TaskSpec, turns: int) -> list[str | None]:
    return [action.code for action in await play(policy, spec, turns)]


async def test_reference_plays_the_solution_and_then_stops() -> None:
    policy = make_policy("reference", solutions=lambda spec: ("x = 1", "submit(x)"))
    assert await codes(policy, task(), 3) == ["x = 1", "submit(x)", None]


async def test_reference_names_the_task_that_has_no_solution() -> None:
    policy = make_policy("reference", solutions=lambda spec: ())
    with pytest.raises(InputError, match="s/t7"):
        await play(policy, task(), 1)
    with pytest.raises(InputError, match="answer keys"):
        make_policy("reference")


async def test_scripted_plays_the_cells_of_a_script(tmp_path: Path) -> None:
    path = tmp_path / "cells.py"
    path.write_text(
        "import os\n# %%\nx = 1\nx\n# %% [markdown]\n# words\n#%% last\nsubmit(x)\n# %%\n\n"
    )
    policy = make_policy(f"scripted:{path}")
    assert await codes(policy, task(), 4) == ["import os", "x = 1\nx", "submit(x)", None]
    assert policy.config["cells"] == str(path)
    path.write_text("submit(2)")
    edited = make_policy(f"scripted:{path}")
    assert edited.config["sha256"] != policy.config["sha256"]
    assert edited.name != policy.name  # else a resumed run would take the old episodes for its own


def test_a_transcript_gives_only_the_cells_of_its_policy(tmp_path: Path) -> None:
    new = nbformat.v4
    setup = new.new_code_cell("load()", metadata={"benchside": {"kind": "setup"}})
    action = new.new_code_cell("submit(1)", metadata={"benchside": {"kind": "submission"}})
    cells = [setup, new.new_markdown_cell("why"), new.new_code_cell("y = 2"), action]
    path = tmp_path / "episode.ipynb"
    nbformat.write(new.new_notebook(cells=cells), path)
    assert read_cells(path) == ("y = 2", "submit(1)")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.py", None, "cannot be read"),
        ("cells.txt", b"1", ".py and .ipynb"),
        ("latin.py", b"\xff\xfe\xfd", "cannot be read"),
        ("empty.py", b"# %%\n\n", "no code cell"),
        ("broken.ipynb", b"{", "no notebook"),
        ("list.ipynb", b"[1]", "no notebook"),
        ("other.ipynb", b'{"a": 1}', "no notebook"),
        ("hollow.ipynb", b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}', "no notebook"),
    ],
)
def test_files_without_cells_are_refused_by_name(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        make_policy(f"scripted:{path}")
    assert name in str(caught.value)


async def test_do_nothing_calls_no_tool() -> None:
    [action] = await play(make_policy("do-nothing"), task(), 1)
    assert action.code is None and not action.message.tool_calls
    assert action.message.content


async def test_constant_submits_its_json_once() -> None:
    policy = make_policy('constant:{"a": [0.5, null]}')
    assert await codes(policy, task(), 2) == ["submit({'a': [0.5, None]})", None]
    assert policy.config == {"policy": "constant", "value": {"a": [0.5, None]}}
    assert policy.name == 'constant:{"a": [0.5, null]}'


@pytest.mark.parametrize(
    "spec", ["constant:yes", "constant:NaN", "constant:1e999", "constant:1, 2"]
)
def test_a_constant_that_is_no_json_is_refused_with_the_right_form(spec: str) -> None:
    with pytest.raises(InputError, match="no JSON value") as caught:
        make_policy(spec)
    assert f'constant:"{spec.partition(":")[2]}"' in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
async def test_the_default_constant_suits_the_kind(kind: AnswerKind) -> None:
    [code] = await codes(make_policy("constant"), task(kind), 1)
    assert code is not None
    expected = {"text": "submit('yes')", "boolean": "submit(True)", "record": "submit({})"}
    assert code == expected.get(kind, code)
    assert await codes(make_policy("constant"), task(kind, choices=("up",)), 1) == ["submit('up')"]


def run_dump(namespace: dict[str, Any], kind: str, cells: list[str | None]) -> tuple[str, Any]:
    """Run the dump policy's cells over a namespace; return what was printed and submitted."""
    submitted: list[Any] = []
    scope = {**namespace, "submit": submitted.append, "In": [""], "Out": {}, "_": 1, "np": np}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for cell in cells:
            exec(compile(cell or "", "cell", "exec"), scope)
    [value] = submitted
    encoded = encode(value)
    assert len(json.dumps(encoded)) <= MAX_SUBMISSION_CHARS
    decode(encoded)
    return printed.getvalue(), value


@pytest.fixture
def database(tmp_path: Path) -> Any:
    path = tmp_path / "d.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as con:
        con.executescript("""
            CREATE TABLE "odd ""name" (city TEXT); CREATE TABLE hollow (x);
            CREATE VIEW orphan AS SELECT * FROM gone;
        """)
        con.execute('INSERT INTO "odd ""name" VALUES (\'Basel\'), (NULL)')
        con.commit()
    with contextlib.closing(sqlite3.connect(path)) as con:
        yield con


FRAME = pd.DataFrame(
    {
        "n": [1, 2, 2],
        "x": [0.5, np.nan, np.inf],
        "when": pd.to_datetime(["2024-02-29", "NaT", "2024-03-01"]),
        "parts": [[1], {"a": 2}, None],
        "arm": pd.Categorical(["a", "b", "a"]),
    }
)

IMAGES: dict[str, Callable[[], dict[str, Any]]] = {
    "nothing": dict,
    "frame": lambda: {"df": FRAME},
    "nested": lambda: {"note": {"text": "BMI 22.5", "labs": {"Na": [140]}, "df": FRAME}},
    "others": lambda: {"a": np.arange(3), "s": FRAME["arm"], "t": ({1, 2}, None), "b": b"x",
                       "z": 1 + 2j, "i": FRAME.index, "ts": pd.Timestamp(0), "e": pd.DataFrame(),
                       "m": pd.DataFrame([[1, 2]], columns=["same", "same"]), "na": pd.NA,
                       "big": 10**5000, "f": np.float64("nan"), "long": "x" * 10**6},
    "large": lambda: {"df": pd.DataFrame({"é": ["é" * 300 + str(i) for i in range(20_000)]})},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("image", IMAGES)
async def test_dump_runs_on_any_image_and_its_submission_fits(image: str, kind: AnswerKind) -> None:
    cells = await codes(make_policy("dump"), task(kind), 3)
    assert cells[2] is None
    run_dump(IMAGES[image](), kind, cells[:2])


plain_data = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.sampled_from("abcdef"), plain_data, max_size=4), st.sampled_from(KINDS))
def test_dump_runs_on_any_plain_data(namespace: dict[str, Any], kind: AnswerKind) -> None:
    run_dump(namespace, kind, asyncio.run(codes(make_policy("dump"), task(kind), 2)))


async def test_dump_runs_in_a_real_kernel_and_submits_once(tmp_path: Path, database: Any) -> None:
    source = ImageSource(name="i", variables={"df": FRAME}, database=tmp_path / "d.sqlite")
    image = build_image(source, images_folder(tmp_path))
    async with KernelSession(image) as session:
        first, second = [
            await session.run(code or "") for code in await codes(make_policy("dump"), task(), 2)
        ]
    assert (first.status, second.status) == ("ok", "ok")
    assert "Basel" in json.dumps(first.outputs)
    assert second.submission is not None
    value = second.submission.value
    assert isinstance(value, list)
    assert all(item in value for item in (0, 99, "a", "Basel"))


async def test_dump_prints_and_submits_what_the_data_hold(database: sqlite3.Connection) -> None:
    policy = make_policy("dump")
    printed, value = run_dump(
        {"df": FRAME, "con": database}, "number", await codes(policy, task(), 2)
    )
    for words in ("df: 3 rows", "arm: 2 values", "('a', 2)", "Basel", "hollow: 0 rows"):
        assert words in printed
    assert {0, 99, 0.5, "a", "b", "Basel"} <= set(value)
    _, table = run_dump({"df": FRAME}, "table", await codes(policy, task("table"), 2))
    assert len(table) == 3 and table[0][0] == 1
    _, record = run_dump({"df": FRAME}, "record", await codes(policy, task("record"), 2))
    assert record["n"] == [1, 2, 2]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("referense", "did you mean reference"),
        ("", "known: reference, scripted:FILE"),
        ("dump:1", "takes no argument"),
        ("scripted", "write scripted:FILE"),
        ("openai:", "write openai:MODEL"),
        ("Constant:1", "did you mean constant"),
    ],
)
def test_strings_that_name_no_policy_are_refused_with_the_right_form(spec: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make_policy(spec)


async def test_every_policy_has_a_name_a_config_and_can_be_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    cells = tmp_path / "c.py"
    cells.write_text("1")
    servers = {"openai": ":org/model:free", **dict.fromkeys(("blind", "anthropic", "gemini"), ":m")}
    arguments = {"scripted": f":{cells}", **servers}
    for name in POLICY_FORMS:
        policy = make_policy(
            name + arguments.get(name, ""),
            PolicyOptions(base_url="http://localhost:1/v1"),
            lambda spec: ("1",),
            memory=Memory({}),
        )
        async with contextlib.aclosing(policy):
            assert policy.name.partition(":")[0] == name
            assert json.loads(json.dumps(policy.config))["policy"] == name
        if name not in (*servers, "human"):  # a server, or a terminal
            await policy.check()


def test_importing_policies_leaves_the_client_unloaded() -> None:
    code = (
        "import sys, benchside.policies as p; p.make_policy('dump'); print('openai' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_installed_packages_bring_policies_by_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package on the path whose metadata names a function, as pip installs it."""
    (tmp_path / "ward_policies.py").write_text(
        "from benchside.policies import make_policy\n"
        "def make(argument, options):\n"
        "    return make_policy(f'constant:{argument}', options)\n"
    )
    info = tmp_path / "ward_policies-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ward-policies\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[benchside.policies]\nward = ward_policies:make\nlost = ward_policies.lost:make\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert make_policy("ward:0.5").config == {"policy": "constant", "value": 0.5}
    with pytest.raises(InputError, match=r"policy lost cannot be loaded[\s\S]*ward_policies\.lost"):
        make_policy("lost:1")
    with pytest.raises(InputError, match=r"known: .*ward"):
        make_policy("absent:1")
