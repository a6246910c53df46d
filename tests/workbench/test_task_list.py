"""Lists of tasks: a run takes these and no others, and no other task under the same id."""

import io
from pathlib import Path

import pytest
from rich.console import Console

import benchside
from benchside.commands import RunRequest, run_suites
from benchside.errors import InputError
from benchside.evaluation import Evaluation
from benchside.library import Suite
from benchside.task_list import listed_tasks, read_task_list, task_line


def test_a_list_is_read_by_suite(suite: Suite, tmp_path: Path) -> None:
    path = tmp_path / "tasks.txt"
    lines = [task_line(suite.tasks[3]), "other/x", "", f"power/{suite.tasks[1].task_id}"]
    path.write_text("\n".join([*lines, lines[0]]) + "\n")
    listed = read_task_list(path, ["power"])
    assert listed_tasks(suite, listed["power"]) == {
        suite.tasks[3].task_id, suite.tasks[1].task_id
    }  # fmt: skip
    with pytest.raises(InputError, match="no task of suite cohorts"):
        read_task_list(path, ["power", "cohorts"])
    with pytest.raises(InputError, match="absent"):
        read_task_list(tmp_path / "absent.txt", ["power"])


def test_another_task_of_that_id_is_refused(suite: Suite) -> None:
    task = suite.tasks[0]
    with pytest.raises(InputError, match="benchside prepare power"):
        listed_tasks(suite, [f"{task.task_id}@{suite.tasks[1].hash[:16]}"])
    with pytest.raises(InputError, match="no such task"):
        listed_tasks(suite, ["absent"])


async def test_a_run_takes_the_listed_tasks(home: Path, suite: Suite, tmp_path: Path) -> None:
    few = [task.task_id for task in suite.tasks[:9:4]]

    async def run(tasks: list[str], *, resume: bool = False) -> None:
        choice = {"name": "power", "tasks": tasks}
        asked = Evaluation.model_validate({"suites": [choice], "policies": ["do-nothing"]})
        request = RunRequest(asked, tmp_path / "run", resume)
        await run_suites(request, home, Console(file=io.StringIO()))

    await run(few)
    assert sorted(benchside.load_run(tmp_path / "run").episodes.task_id) == sorted(few)
    await run(few[::-1], resume=True)
    with pytest.raises(InputError, match="other suites"):
        await run(few[:1], resume=True)
