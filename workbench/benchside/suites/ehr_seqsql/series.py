"""`Series`: questions that build on each other, and how they are read from the user's files.

Two formats are read, each as one JSON list or as one object a line, gzipped or not:

- `data.json` of EHR-SeqSQL: id, seed_question, value, and the lists question, question_template and
  sql with one entry a turn;
- `train_tasks.jsonl` and `test_tasks.jsonl` of MedAgentGym: seed_question, question and ans (a list
  of cells) of a single turn, whose SQL is not given.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from benchside.suites.ehrsql.question import Item, Published, read_items


@dataclass(frozen=True, slots=True)
class Turn:
    """One question; `sql` is None where only its answer was published."""

    text: str
    sql: str | None


@dataclass(frozen=True, slots=True)
class Series:
    """A goal and the turns towards it.

    Args:
        template: of the goal, by which splits go.
        patient: the patient whom the questions name; None where there is none.
        published: the answer to the only turn, where its SQL is not given.
    """

    id: str
    goal: str
    turns: tuple[Turn, ...]
    template: str
    patient: str | None = None
    published: Published | None = None


def read_series(path: Path) -> list[Series]:
    """Return the series of one file in order.

    Raises:
        InputError: the file is damaged, or an item lacks a field or has one of another type.
    """
    return [
        _single(item) if isinstance(item.fields.get("question"), str) else _several(item)
        for item in read_items(path)
    ]


def _several(item: Item) -> Series:
    questions, queries = _texts(item, "question"), _texts(item, "sql")
    if len(questions) != len(queries):
        raise item.refuse("there is not one query for each question", "sql")
    templates = (
        _texts(item, "question_template") if "question_template" in item.fields else questions
    )
    values = item.fields.get("value", {})
    if not isinstance(values, dict):
        raise item.refuse("the field is not an object from slot to value", "value")
    patient = values.get("patient_id")
    return Series(
        id=item.text("id"),
        goal=item.text("seed_question"),
        turns=tuple(Turn(text, sql) for text, sql in zip(questions, queries, strict=True)),
        template=" / ".join(templates),
        patient=None if patient is None else str(patient),
    )


def _single(item: Item) -> Series:
    goal, text = item.text("seed_question"), item.text("question")
    answer = item.fields.get("ans")
    if not isinstance(answer, list):
        raise item.refuse("the field is not a list of cells or rows", "ans")
    rows = tuple(tuple(row) if isinstance(row, list) else (row,) for row in answer)
    digest = hashlib.sha256(f"{goal}\n{text}".encode()).hexdigest()[:16]
    return Series(
        id=f"turn-{digest}",
        goal=goal,
        turns=(Turn(text, None),),
        template=goal,
        published=Published(rows, len(rows), first_column_only=False),
    )


def _texts(item: Item, field: str) -> list[str]:
    """Return a list of texts that has to be there and may not be empty."""
    value = item.fields.get(field)
    if not isinstance(value, list) or not value:
        raise item.refuse("the field is not a list with one entry for each turn", field)
    if not all(isinstance(entry, str) and entry.strip() for entry in value):
        raise item.refuse("an entry of the field is empty or no text", field)
    return [entry.strip() for entry in value]
