"""Reading question files and refusing those that are not what they should be.

Three formats are read, each as one JSON list or as one object a line, gzipped or not:

- EHRSQL as published: db_id, question, query, is_impossible, id, and where the database can answer,
  q_tag and value; the query of the others is "null";
- the same with `answer` (a list of cells), as MedAgentGym has it in `train_tasks.jsonl` and so on;
- EHRSQL's templates filled with values of another database: `db` for db_id, `answer` (a list of
  rows, perhaps cut to the first of `n_rows`) and `text_clean`, False where the filling spoilt the
  text.
"""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchside.errors import InputError

DatabaseId = Literal["mimic_iii", "eicu", "treqs"]
FETCH_AGAIN = "fetch the file again, and use it with the database that its questions are about"
NO_QUERY = "null"


@dataclass(frozen=True, slots=True)
class Published:
    """The answer that came with a question.

    Args:
        rows: in any order; one cell each where only the first column was published.
        count: how many rows there are in full.
    """

    rows: tuple[tuple[object, ...], ...]
    count: int
    first_column_only: bool


@dataclass(frozen=True, slots=True)
class Question:
    """One item.

    Args:
        sql: the gold SQL as published; None where the database cannot answer.
        tag: the template, with slots in braces; None where there is none.
        patient: the patient whom the question names, as it stands in its text.
        clean: False where the text is known to be spoilt.
    """

    id: str
    text: str
    sql: str | None
    tag: str | None = None
    patient: str | None = None
    published: Published | None = None
    clean: bool = True


def read_questions(path: Path, database: DatabaseId) -> list[Question]:
    """Return the questions of one file in order.

    Raises:
        InputError: the file is damaged, or an item lacks a field or is about another database.
    """
    return [question(item, database) for item in read_items(path)]


def _read_text(path: Path) -> str:
    """Return the text of a file, gzipped or not; `InputError` if it is damaged."""
    try:
        content = path.read_bytes()
        return (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError) as error:
        raise InputError(
            "the file is damaged or cut off", where=path, value=str(error), fix=FETCH_AGAIN
        ) from None


def read_items(path: Path) -> list[Item]:
    """Return the items of one file, whatever their fields.

    Raises:
        InputError: the file is damaged, holds none, or one that is no JSON object.
    """
    text = _read_text(path)
    if text.lstrip().startswith("["):
        listed = [(f"{path}, item {n}", item) for n, item in enumerate(_parse_list(text, path))]
    else:
        lines = [(f"{path}, line {n}", line) for n, line in enumerate(text.split("\n"), start=1)]
        listed = [(where, _parse(line, where)) for where, line in lines if line.strip()]
    if not listed:
        raise InputError("the file has no questions", where=path, fix=FETCH_AGAIN)
    return [Item(where, item) for where, item in listed]


def _parse_list(text: str, path: Path) -> list[object]:
    content = _parse(text, str(path))
    assert isinstance(content, list)  # it begins with a bracket
    return content


def _parse(text: str, where: str) -> object:
    try:
        content: object = json.loads(text)
    except (ValueError, RecursionError) as error:  # too long a number, too deep a nesting
        raise InputError(
            "not JSON, or cut off", where=where, value=str(error), fix=FETCH_AGAIN
        ) from None
    return content


class Item:
    """The raw fields of one item, and where it stands."""

    def __init__(self, where: str, fields: object) -> None:
        self.where, self.fields = where, fields if isinstance(fields, dict) else {}
        if not isinstance(fields, dict):
            raise InputError(
                "an item is not a JSON object", where=where, value=fields, fix=FETCH_AGAIN
            )

    def refuse(self, what: str, field: str) -> InputError:
        """Return the error that names this field."""
        return InputError(
            what, where=f"{self.where}, field {field!r}", value=self.fields.get(field),
            fix=FETCH_AGAIN,
        )  # fmt: skip

    def text(self, field: str) -> str:
        """Return a text that has to be there."""
        value = self.fields.get(field)
        if not isinstance(value, str) or not value.strip():
            raise self.refuse("a field is missing, empty or no text", field)
        return value.strip()

    def flag(self, field: str, default: bool) -> bool:
        """Return true or false."""
        value = self.fields.get(field, default)
        if not isinstance(value, bool):
            raise self.refuse("a field is neither true nor false", field)
        return value

    def choice(self, field: str, other: str) -> str:
        """Return the text of the one of two fields that is there."""
        return self.text(field if field in self.fields else other)


def question(item: Item, database: DatabaseId) -> Question:
    """Return an item in one of the three formats; `InputError` names the wrong field."""
    about = item.choice("db_id", "db")
    if about != database:
        field = "db_id" if "db_id" in item.fields else "db"
        raise item.refuse(f"the question is not about the database {database!r}", field)
    impossible = item.flag("is_impossible", default=False)
    query = item.text("query")
    if impossible != (query == NO_QUERY):
        raise item.refuse(
            "the field disagrees with the query on whether there is an answer", "is_impossible"
        )
    if impossible:
        return Question(item.text("id"), item.text("question"), None)
    values = item.fields.get("value", {})
    if not isinstance(values, dict):
        raise item.refuse("the field is not an object from slot to value", "value")
    patient = values.get("patient_id")
    return Question(
        id=item.text("id"),
        text=item.text("question"),
        sql=query,
        tag=item.text("q_tag") if database != "treqs" else None,
        patient=None if patient is None else str(patient),
        published=_published(item),
        clean=item.flag("text_clean", default=True),
    )


def _published(item: Item) -> Published | None:
    if "answer" not in item.fields:
        return None
    answer = item.fields["answer"]
    if not isinstance(answer, list):
        raise item.refuse("the field is not a list of cells or rows", "answer")
    first_column_only = not any(isinstance(row, list) for row in answer)
    rows = tuple(tuple(row) if isinstance(row, list) else (row,) for row in answer)
    count = item.fields.get("n_rows", len(rows))
    if not isinstance(count, int) or count < len(rows):
        raise item.refuse("the field is not the number of rows", "n_rows")
    return Published(rows, count, first_column_only)
