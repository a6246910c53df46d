"""The index of a suite's tasks: as if every line were parsed, without doing so."""

import pickle
import shutil
from pathlib import Path

import pytest

from benchside.batch import select
from benchside.errors import DataMissingError, InputError, IntegrityError
from benchside.library import Suite, load_suite
from benchside.task import AnswerSchema, GraderRef, TaskSpec
from benchside.task_index import TaskIndex


def task(task_id: str, category: str = "a") -> TaskSpec:
    return TaskSpec(
        task_id=task_id, suite="s", version="1", category=category, split="test", group="g",
        prompt='two\nlines\u2028{"task_id":"not-me"}\x85', image="i",
        answer=AnswerSchema(kind="number"), grader=GraderRef(name="number"),
    )  # fmt: skip


def index(folder: Path, *tasks: TaskSpec) -> TaskIndex:
    path = folder / f"{len(tasks)}.jsonl"
    path.write_text("".join(one.model_dump_json() + "\n" for one in tasks), "utf-8", newline="\n")
    return TaskIndex(path)


def test_index_equals_parsed_lines_whatever_the_texts_hold(tmp_path: Path) -> None:
    tasks = [task("plain"), task('"quoted" \\ and é\n'), task("0"), task("ü"), task("\u2028")]
    found = index(tmp_path, *tasks)
    again = pickle.loads(pickle.dumps(found))
    assert again == found and hash(again) == hash(found)
    (tmp_path / "5.jsonl").unlink()
    assert list(found) == tasks == [*found[:4], found[-1]]
    assert found[1:] == tuple(tasks[1:])
    assert found.ids() == tuple(one.task_id for one in tasks)
    assert [found.find(one.task_id) for one in tasks] == tasks
    assert found.find("not-me") is None
    assert list(index(tmp_path)) == []
    assert found != index(tmp_path, *tasks[:4], task("other"))
    with pytest.raises(IndexError):
        found[5]
    with pytest.raises(ValueError, match="1 task ids in 2 lines"):
        index(tmp_path, task("twice"), task("twice"))


def test_suite_finds_tasks_and_refuses_changed_files(suite: Suite, tmp_path: Path) -> None:
    for one in suite.tasks:
        assert suite.task(one.task_id) == one
    with pytest.raises(InputError, match="no such task"):
        suite.task("absent")
    shutil.copytree(suite.home / "suites", tmp_path / "suites")
    path = tmp_path / "suites" / "power" / suite.record.build / "tasks.jsonl"
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(IntegrityError):
        load_suite("power", tmp_path)
    path.unlink()
    with pytest.raises(DataMissingError):
        load_suite("power", tmp_path)


def test_selection_is_stable_spread_and_leaves_out(suite: Suite) -> None:
    few = select(suite, None, 5)
    assert len({one.category for one in few}) == 5
    assert select(suite, None, 9)[:5] == few  # a larger limit only adds
    assert select(suite, None, len(suite.tasks)) == select(suite, None, None) == list(suite.tasks)
    without = {one.task_id for one in few[:2]}
    left = select(suite, None, 10_000, without)
    assert [one for one in suite.tasks if one.task_id not in without] == left
