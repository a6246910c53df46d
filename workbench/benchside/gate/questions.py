"""Checks of a suite's questions beside each other: one answer each, and not anyone's answer.

Nothing is executed. A grader's *chance level* is taken from the golds of other tasks of the same
kind: an answer to another question should not pass.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from benchside.graders import grade
from benchside.library import Suite
from benchside.state import untouched
from benchside.task import Split, TaskSpec, content_hash

OTHERS = 24  # golds of other tasks that each grader is tried with
FEWEST_OTHERS = 4  # fewer say nothing about chance
MOST_ACCEPTED = 0.25


@dataclass(frozen=True, slots=True)
class _Asked:
    """Where a question was seen."""

    task_id: str
    split: Split


def ambiguous(suite: Suite) -> dict[str, str]:
    """Return tasks whose question another task asks too: with another answer, or in another split.

    Two tasks ask the same if prompt, image, files and form of the answer are equal. Of a question
    that stands in two splits, the task outside `train` is reported.
    """
    asked: dict[str, list[_Asked]] = defaultdict(list)
    for task in suite.tasks:
        asked[_question(task)].append(_Asked(task.task_id, task.split))
    found: dict[str, str] = {}
    for alike in asked.values():
        for one in alike if len(alike) > 1 else ():
            others = [other for other in alike if other != one]
            if reason := _conflict(suite, one, others):
                found[one.task_id] = reason
    return found


def _question(task: TaskSpec) -> str:
    """A task's question as a digest: what a policy is shown and given."""
    return content_hash(
        [
            " ".join(task.prompt.split()), task.image, list(task.files),
            task.answer.model_dump(mode="json"),
        ]
    )  # fmt: skip


def _conflict(suite: Suite, one: _Asked, others: Sequence[_Asked]) -> str | None:
    task, key = suite.task(one.task_id), suite.answer_key(one.task_id)
    for other in others:
        gold = suite.answer_key(other.task_id).value
        if not grade(task, key, gold, untouched(task)).passed:
            return f"ambiguous: {other.task_id} asks the same and has another answer"
    for other in others:
        if one.split not in (other.split, "train"):
            return f"duplicate: {other.task_id} of split {other.split} asks the same"
    return None


def guessable(suite: Suite, tasks: Iterable[TaskSpec]) -> dict[str, str]:
    """Return tasks whose grader accepts the golds of many other tasks of the same kind."""
    golds = _golds_by_kind(suite)
    found = {}
    for task in tasks:
        key = suite.answer_key(task.task_id)
        own = _canonical(key.value)
        pool = golds[task.answer.kind]
        start = int(task.hash[:8], 16) % max(len(pool), 1)  # other golds for each task
        others = [gold for gold in _circle(pool, start) if _canonical(gold) != own][:OTHERS]
        accepted = sum(grade(task, key, gold, untouched(task)).passed for gold in others)
        if len(others) >= FEWEST_OTHERS and accepted > MOST_ACCEPTED * len(others):
            found[task.task_id] = (
                f"guessable: its grader accepts {accepted} of {len(others)} answers to other tasks"
            )
    return found


def _golds_by_kind(suite: Suite) -> dict[str, list[JsonValue]]:
    """Distinct golds of all tasks, by the kind of their answers."""
    distinct: dict[str, dict[str, JsonValue]] = defaultdict(dict)
    for task in suite.tasks:
        value = suite.answer_key(task.task_id).value
        if value is not None:
            distinct[task.answer.kind][_canonical(value)] = value
    return defaultdict(list, {kind: list(values.values()) for kind, values in distinct.items()})


def _circle(pool: list[JsonValue], start: int) -> list[JsonValue]:
    """Enough of a list from a place on, around its end."""
    return [pool[(start + step) % len(pool)] for step in range(min(len(pool), OTHERS + 1))]


def _canonical(value: JsonValue) -> str:
    return json.dumps(value, sort_keys=True)
