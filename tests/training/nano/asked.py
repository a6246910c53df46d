"""Tasks of a learned family, and the episodes of a measurement, made by hand."""

from types import SimpleNamespace
from typing import Any

import pandas as pd

from benchside.task import AnswerSchema, GraderRef, TaskSpec


def task(number: int, suite: str = "wards", group: str = "count/drugs") -> TaskSpec:
    return TaskSpec(
        task_id=f"{group}.{number}", suite=suite, version="1", category="count", split="train",
        group=group, prompt=f"Answer.\n\nQuestion: How many took drug {number}?\n\nConventions: -",
        image="wards.hospital", answer=AnswerSchema(kind="integer"),
        grader=GraderRef(name="number"),
    )  # fmt: skip


def suite(
    name: str, tasks: list[TaskSpec] | None = None, solutions: dict[str, str] | None = None
) -> Any:
    """What is asked of a suite where nothing is played.

    Args:
        solutions: by task id; each task has one of its own otherwise.
    """

    def answer_key(task_id: str) -> Any:
        return SimpleNamespace(solution=((solutions or {}).get(task_id, task_id),), value=1)

    record = SimpleNamespace(families=("count/drugs",))
    return SimpleNamespace(name=name, tasks=tasks or [], answer_key=answer_key, record=record)


def episodes(
    method: str, solved: list[bool], measured: str = "held-out", seed: int = 0, suite: str = "wards"
) -> pd.DataFrame:
    """One episode a task, two tasks to a family."""
    return pd.DataFrame(
        {
            "method": method, "seed": seed, "measured": measured, "suite": suite,
            "group": [f"g{number // 2}" for number in range(len(solved))],
            "task_hash": [f"{suite} {number}" for number in range(len(solved))],
            "outcome": ["solved" if one else "wrong" for one in solved],
        }
    )  # fmt: skip
