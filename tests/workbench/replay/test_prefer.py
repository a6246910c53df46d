"""From a notebook that somebody has corrected to a preference pair, as a user does it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from benchside.cli import app
from benchside.errors import BenchsideError, InputError
from benchside.library import Suite
from benchside.preference import FILE, Preference, read_preferences
from benchside.replay.prefer import correction
from benchside.runs import load_run
from benchside.store import COUNTERFACTUALS, RunFolder
from benchside_kernels.startup import HOME_VARIABLE

Call = Callable[..., str]


@pytest.fixture
def call(home: Path) -> Call:
    """The command in this process: what it prints, or the message of its error."""

    def invoke(*arguments: object) -> str:
        done = CliRunner().invoke(app, [*map(str, arguments)], env={HOME_VARIABLE: str(home)})
        if done.exception is not None:
            assert isinstance(done.exception, BenchsideError), done.exc_info
            return str(done.exception)
        return done.stdout

    return invoke


@pytest.fixture
def folder(finished_run: Path, tmp_path: Path) -> RunFolder:
    return RunFolder(shutil.copytree(finished_run, tmp_path / "run"))


def episode_of(folder: RunFolder, policy: str) -> str:
    return next(row.episode_id for row in folder.rows().values() if row.policy.startswith(policy))


def changed(folder: RunFolder, episode: str, to: Path, **cells: str) -> Path:
    """Save a copy of a transcript with other code, as JupyterLab's Save As does."""
    notebook = nbformat.read(folder.transcript_path(episode), as_version=4)
    for cell in notebook.cells:
        cell.source = cells.get(cell.id.replace("-", "_"), cell.source)
    nbformat.write(notebook, to)
    return to


def test_a_corrected_notebook_becomes_a_pair(
    call: Call, folder: RunFolder, suite: Suite, tmp_path: Path
) -> None:
    wrong = episode_of(folder, "scripted")
    task = folder.episode(wrong).task
    answer = "\n".join(suite.answer_key(task.task_id).solution)
    copy = changed(folder, wrong, tmp_path / "corrected.ipynb", cell_001="x = 1")
    named = f"{folder.path}/{wrong}"
    told = ["--why", "it must not divide by zero", "--who", "jane"]
    refused = call("prefer", named, copy, *told)
    assert "has not solved the task" in refused and "wrong, ended by submitted" in refused
    assert not (folder.path / FILE).exists()
    others = RunFolder(folder.path / COUNTERFACTUALS)
    assert len(others.rows()) == 1, "it can be looked at"

    copy = changed(folder, wrong, tmp_path / "corrected.ipynb", cell_001=answer)
    pair = json.loads(call("prefer", named, copy, *told, "--json"))
    (row,) = read_preferences(folder, [])
    assert row == Preference.model_validate(pair)
    assert (row.rejected, row.rejected_outcome, row.cell_id) == (wrong, "wrong", "cell-001")
    assert (row.who, row.why) == ("jane", "it must not divide by zero")
    chosen = others.episode(row.chosen)
    assert (chosen.parent, chosen.outcome) == (wrong, "solved")
    assert (folder.path / row.chosen_transcript).is_file()
    assert {row.episode_id for row in folder.rows().values()} == set(
        load_run(folder.path).episodes.episode_id
    )

    again = f"{folder.path}/{COUNTERFACTUALS}/{row.chosen}"
    assert "is preferred to" in call("prefer", named, again, *told)
    assert read_preferences(folder, []) == [row.model_copy(update={"made_at": _last(folder)})]


def _last(folder: RunFolder) -> str:
    return str(json.loads((folder.path / FILE).read_text().splitlines()[-1])["made_at"])


def test_what_is_no_pair_is_refused(call: Call, folder: RunFolder, tmp_path: Path) -> None:
    wrong, right = episode_of(folder, "scripted"), episode_of(folder, "reference")
    told = ["--why", "better", "--who", "jane"]
    named = f"{folder.path}/{wrong}"
    other = next(
        row.episode_id for row in folder.rows().values()
        if row.policy == "reference" and row.task_id != folder.rows()[wrong].task_id
    )  # fmt: skip
    assert "of other tasks" in call("prefer", named, f"{folder.path}/{other}", *told)
    assert "one episode" in call("prefer", folder.path, named, *told)
    nowhere = call("prefer", named, tmp_path / "none.ipynb", *told)
    assert "not a readable notebook" in nowhere
    changed(folder, wrong, folder.transcript_path(wrong), cell_001="x = 1")
    edited = call("prefer", named, f"{folder.path}/{right}", *told)
    assert "edited after it was graded" in edited and "another name" in edited
    assert not (folder.path / FILE).exists()


def test_the_first_changed_cell_is_the_correction(folder: RunFolder, tmp_path: Path) -> None:
    name = episode_of(folder, "scripted")
    episode, copy = folder.episode(name), tmp_path / "copy.ipynb"
    changed(folder, name, copy, cell_002="submit(1)")
    assert (correction(episode, copy).cell_id, correction(episode, copy).code) == (
        "cell-002", "submit(1)",
    )  # fmt: skip
    changed(folder, name, copy, setup="x = 1", task="another")
    with pytest.raises(InputError, match="no cell of the episode was changed"):
        correction(episode, copy)
    changed(folder, name, copy, cell_001="x = 1", cell_002="submit(1)")
    with pytest.raises(InputError, match="cell-001, cell-002"):
        correction(episode, copy)
    assert correction(episode, copy, f"scripted:{copy}").cell_id == "cell-001"


@pytest.mark.slow
def test_replay_edit_from_the_command_line(
    call: Call, folder: RunFolder, suite: Suite, tmp_path: Path
) -> None:
    wrong = episode_of(folder, "scripted")
    solution = suite.answer_key(folder.episode(wrong).task.task_id).solution
    code = tmp_path / "code.py"
    code.write_text("\n".join(solution))
    edit = ["replay", f"{folder.path}/{wrong}", "--edit", "cell-001"]
    assert "--code FILE" in call(*edit)
    code_option = ["--code", code]
    assert "such cell" in call(*edit[:-1], "cell-9", *code_option)
    shown = call(*edit, *code_option)
    assert f"counterfactual of {wrong}" in shown and "solved" in shown
    (made,) = RunFolder(folder.path / COUNTERFACTUALS).rows().values()
    assert (made.outcome, made.turns) == ("solved", 1)
    nested = f"{folder.path}/{COUNTERFACTUALS}/{made.episode_id}"
    code.write_text("x = 1")
    again = json.loads(call("replay", nested, *edit[2:], *code_option, "--json"))
    assert again["policy"].startswith("scripted:failing.py@"), "who had gone on goes on again"
    assert (again["parent"], again["outcome"]) == (made.episode_id, "wrong")
