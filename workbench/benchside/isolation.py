"""Which isolation tasks need, and the refusal to run them with less: at the start, not midway."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import benchside
from benchside.errors import InputError
from benchside.task import TaskSpec
from benchside_kernels.sandbox import Isolation, sandbox_problem


def check_isolation(tasks: Iterable[TaskSpec], isolation: Isolation) -> None:
    """Do nothing where all tasks may run in kernels of this isolation.

    Raises:
        InputError: the first task that may not, why, and what would give it the level.
    """
    if isolation.level == "sandbox":
        return
    for task in tasks:
        if task.needed_isolation == "sandbox":
            problem = sandbox_problem()
            raise InputError(
                f"a task needs the isolation level sandbox, {_reason(task)}",
                where=f"{task.suite}: {task.task_id}", value=isolation.level,
                fix="run with --isolation sandbox, which this machine can give"
                if problem is None
                else f"there is no sandbox on this machine: {problem}",
            )  # fmt: skip


def _reason(task: TaskSpec) -> str:
    if task.sensitivity == "credentialed":
        return "since its data are credentialed"
    if task.hosts:
        return f"which alone keeps a kernel to listed hosts ({', '.join(task.hosts)})"
    return "as it says itself"


def hidden_paths(home: Path) -> tuple[Path, ...]:
    """What no kernel may read: Benchside's own code, which computes gold, and answer keys."""
    packages = [Path(folder) for folder in benchside.__path__]
    return (*packages, *(home / name for name in ("answers", "suites")))
