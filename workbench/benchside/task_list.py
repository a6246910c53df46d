"""A list of tasks, so that a run takes these and no others: `SUITE/TASK_ID@HASH` a line of a file.

The hash (16 characters are enough) says which task of that id is meant: in a suite of another seed
or size, the same id may be another question. Without `@HASH` any will do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchside.errors import InputError
from benchside.library import Suite
from benchside.task import TaskSpec

HASH_CHARS = 16


def read_task_list(path: Path, suites: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the `TASK_ID@HASH` of each suite in a file.

    Raises:
        InputError: it cannot be read, or names no task of one of the suites.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise InputError(
            f"cannot read the list of tasks: {error}", where="--tasks", value=str(path),
            fix="give a text file with SUITE/TASK_ID or SUITE/TASK_ID@HASH in each line",
        ) from None  # fmt: skip
    found: dict[str, list[str]] = {name: [] for name in suites}
    for line in filter(None, map(str.strip, lines)):
        suite, _, task = line.partition("/")
        if suite in found and task:
            found[suite].append(task)
    for name, own in found.items():
        if not own:
            raise InputError(
                f"the list names no task of suite {name}", where="--tasks", value=str(path),
                fix=f"leave {name} out, or add lines such as {name}/TASK_ID",
            )  # fmt: skip
    return {name: tuple(dict.fromkeys(own)) for name, own in found.items()}


def listed_tasks(suite: Suite, listed: Sequence[str]) -> frozenset[str]:
    """Return the ids of the tasks that a list names.

    Raises:
        InputError: the suite has no such task, or another one of that id.
    """
    ids = set()
    for one in listed:
        task_id, _, hash_ = one.partition("@")
        if not suite.task(task_id).hash.startswith(hash_):
            raise InputError(
                f"in suite {suite.name} as it is prepared here, this id is another task's",
                where="task id", value=one,
                fix=f"prepare it as it was for the list: benchside prepare {suite.name}, with the "
                "same --seed, --size and --family",
            )  # fmt: skip
        ids.add(task_id)
    return frozenset(ids)


def task_line(task: TaskSpec) -> str:
    """Return the line that names a task."""
    return f"{task.suite}/{task.task_id}@{task.hash[:HASH_CHARS]}"
