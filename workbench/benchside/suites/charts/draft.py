"""`Draft`: a task before it has an id, and the answers that several kinds share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from pydantic import JsonValue

from benchside.graders.charted import ExpectedWrite
from benchside.task import AnswerSchema

DONE = AnswerSchema(kind="text", description='"done" when the records are as asked')
OPEN_ELEMENTS = (
    "requester",
    "performer",
    "recorder",
    "encounter",
    "reasonCode",
    "language",
    "issued",
)
"""Elements that a new record may have beyond those asked for."""


class Asked(NamedTuple):
    """What a task asks, apart from its words: all that the second path gets to see.

    Args:
        subject: MRN of the patient, empty where many are searched.
        detail: of the kind, such as the name and birth date to look up.
    """

    kind: str
    subject: str
    detail: tuple[str, ...] = ()


class Found(NamedTuple):
    """What both ways must agree on: the answer, and the doses, codes or ids to be written."""

    answer: JsonValue
    orders: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """One task.

    Args:
        question: in words, without the notes that all tasks have.
        grader: reference of the answer's grader; None where anything will do.
        solution: lines of its last cell.
    """

    asked: Asked
    category: str
    group: str
    question: str
    found: Found
    solution: tuple[str, ...]
    answer: AnswerSchema = DONE
    grader: dict[str, JsonValue] | None = None
    writes: tuple[ExpectedWrite, ...] = ()


def created(kind: str, record: dict[str, JsonValue]) -> ExpectedWrite:
    """Return the write that makes a new record."""
    whole: dict[str, JsonValue] = {"resourceType": kind, **record}
    return ExpectedWrite(verb="create", kind=kind, record=whole, optional=OPEN_ELEMENTS)


def number(tolerance: float, description: str, unit: str | None = None) -> dict[str, object]:
    """Return answer and grader of a number."""
    return {
        "answer": AnswerSchema(kind="number", description=description, unit=unit),
        "grader": {"grader": "number", "params": {"abs_tol": tolerance}},
    }
