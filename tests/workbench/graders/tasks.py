"""Tasks and keys for the grader tests, made from a grader's name, parameters and a gold."""

from __future__ import annotations

from typing import Any

from benchside.graders import Grade, grade
from benchside.task import AnswerKey, AnswerSchema, GraderRef, TaskSpec
from benchside_kernels.submission import encode

# the answer kind of a grader that has another name than it; "nummber" is misspelt on purpose
KINDS = {"any_of": "text", "prediction": "list", "nummber": "number"}


def task_and_key(
    name: str,
    gold: Any,
    params: dict[str, Any] | None = None,
    *,
    secret: dict[str, Any] | None = None,
    **answer: Any,
) -> tuple[TaskSpec, AnswerKey]:
    task = TaskSpec(
        task_id="suite/1",
        suite="suite",
        version="1",
        category="test",
        split="test",
        group="1",
        prompt="What is it?",
        image="image",
        answer=AnswerSchema.model_validate({"kind": KINDS.get(name, name), **answer}),
        grader=GraderRef(name=name, params=params or {}),
    )
    return task, AnswerKey(task_id="suite/1", value=encode(gold), params=secret or {})


def graded(name: str, gold: Any, submitted: Any, params: Any = None, **options: Any) -> Grade:
    """Encode, then grade a Python value."""
    task, key = task_and_key(name, gold, params, **options)
    return grade(task, key, encode(submitted))
