"""Reading the published rows and refusing those that are not what they should be.

The authors' CSV files and MedAgentGym's JSON lines have the same fields; those of `COLUMNS` are
read, further ones (category, output type, note id and type, explanation) are not.
"""

from __future__ import annotations

import ast
import csv
import datetime as dt
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from benchside.errors import InputError
from benchside.suites.medcalcbench.calculators import answer_kind
from benchside.suites.medcalcbench.entities import DATE_FORMAT
from benchside.task import AnswerKind

HOW_TO_GET = (
    "get the file again: test_data.csv and train_data.csv come from the authors of MedCalc-Bench "
    "or of MedCalc-Bench-Verified, test_tasks.jsonl and train_tasks.jsonl from MedAgentGym"
)
COLUMNS = (
    "Row Number", "Calculator ID", "Calculator Name", "Patient Note", "Question",
    "Relevant Entities", "Ground Truth Answer", "Lower Limit", "Upper Limit",
)  # fmt: skip
Answer: TypeAlias = int | float | dt.date | dt.timedelta

_AGE = re.compile(r"\('(\d+) weeks?', '(\d+) days?'\)")


@dataclass(frozen=True, slots=True)
class Row:
    """One published item.

    Args:
        label: the gold: a number, a date, or a timedelta for gestational ages.
        limits: what passes, both ends included; the label twice where it has to be exact.
        entities: what the annotators extracted from the note, as published.
    """

    number: int
    calculator: int
    name: str
    kind: AnswerKind
    note: str
    question: str
    entities: dict[str, object]
    label: Answer
    limits: tuple[Answer, Answer]

    def accepts(self, value: Answer) -> bool:
        """Whether a value counts as right by the benchmark's rule for its type."""
        lower, upper = self.limits
        if isinstance(value, (int, float)) and isinstance(lower, (int, float)):
            assert isinstance(upper, (int, float))  # both limits are read alike
            return lower <= value <= upper
        return value == self.label


def read_rows(path: Path) -> list[Row]:
    """Return all rows of a file in its order.

    Args:
        path: `.csv` as the authors publish it, `.jsonl` as MedAgentGym does, or either with `.gz`.

    Raises:
        InputError: the file is damaged, or a row lacks a field, repeats a number or cannot be read.
    """
    text = _text(path)
    sources = _csv_rows(text, path) if ".csv" in path.suffixes else _json_rows(text, path)
    rows: dict[int, Row] = {}
    for source in sources:
        row = _row(source)
        if row.number in rows:
            source.refuse("a row number occurs twice", "Row Number")
        rows[row.number] = row
    if not rows:
        raise InputError("the file has no rows", where=path, fix=HOW_TO_GET)
    return list(rows.values())


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        return content.decode("utf-8-sig")
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError) as error:
        raise InputError(
            "the file is damaged or cut off", where=path, value=str(error), fix=HOW_TO_GET
        ) from None


def _json_rows(text: str, path: Path) -> Iterator[_Source]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _Source(f"{path}, line {number}", _parse(line, path, number))


def _csv_rows(text: str, path: Path) -> Iterator[_Source]:
    """Rows are told by their count, as notes run over many lines."""
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    number = 0
    try:
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise InputError(
                "columns are missing", where=f"{path}, header", value=missing, fix=HOW_TO_GET
            )
        for number, fields in enumerate(reader, start=1):
            where = f"{path}, row {number}"
            extra = fields.pop(None, None)  # fields without a column
            if extra is not None:
                raise InputError(
                    "a row has more fields than the header", where=where, value=extra,
                    fix=HOW_TO_GET,
                )  # fmt: skip
            yield _Source(where, dict(fields))
    except csv.Error as error:
        raise InputError(
            "not a CSV file", where=f"{path}, row {number + 1}", value=str(error), fix=HOW_TO_GET
        ) from None


def _parse(line: str, path: Path, line_number: int) -> dict[str, object]:
    try:
        content = json.loads(line)
    except json.JSONDecodeError as error:
        content = str(error)
    if not isinstance(content, dict):
        raise InputError(
            "a line is not a JSON object",
            where=f"{path}, line {line_number}",
            value=content,
            fix=HOW_TO_GET,
        )
    return content


@dataclass(frozen=True, slots=True)
class _Source:
    """The raw fields of one line, and where it stands."""

    where: str
    fields: dict[str, object]

    def refuse(self, what: str, field: str) -> None:
        raise InputError(
            what,
            where=f"{self.where}, field {field!r}",
            value=self.fields.get(field),
            fix=HOW_TO_GET,
        )

    def text(self, field: str) -> str:
        value = self.fields.get(field)
        if not isinstance(value, (str, int, float)) or not str(value).strip():
            self.refuse("a field is missing, empty or of the wrong type", field)
        return str(value).strip()

    def integer(self, field: str) -> int:
        text = self.text(field)
        if not text.isdecimal():
            self.refuse("a field is not a whole number", field)
        return int(text)


def _row(source: _Source) -> Row:
    calculator = source.integer("Calculator ID")
    kind = answer_kind(calculator)
    if kind is None:
        source.refuse("the calculator's type of answer is not known", "Calculator ID")
    assert kind is not None  # refused above
    label, lower, upper = (
        _answer(source, field, kind)
        for field in ("Ground Truth Answer", "Lower Limit", "Upper Limit")
    )
    if not _in_order(lower, label) or not _in_order(label, upper):
        source.refuse("the label is not within its limits", "Ground Truth Answer")
    return Row(
        number=source.integer("Row Number"),
        calculator=calculator,
        name=source.text("Calculator Name"),
        kind=kind,
        note=source.text("Patient Note"),
        question=source.text("Question"),
        entities=_entities(source),
        label=label,
        limits=(lower, upper),
    )


def _answer(source: _Source, field: str, kind: AnswerKind) -> Answer:
    text = source.text(field)
    try:
        if kind == "date":
            return dt.datetime.strptime(text, DATE_FORMAT).date()
        if kind == "duration":
            found = _AGE.fullmatch(text)
            if found is None:
                raise ValueError(text)
            return dt.timedelta(weeks=int(found[1]), days=int(found[2]))
        number = float(text)
    except ValueError:
        number = float("nan")
    if not abs(number) < float("inf") or (kind == "integer" and number != int(number)):
        source.refuse(f"a {kind} was expected", field)
    return int(number) if kind == "integer" else number


def _in_order(lower: Answer, upper: Answer) -> bool:
    """Whether lower <= upper; all answers of one row have one type."""
    return bool(lower <= upper)  # type: ignore[operator]


def _entities(source: _Source) -> dict[str, object]:
    text = source.text("Relevant Entities")
    try:
        entities = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        entities = None
    if not isinstance(entities, dict) or not all(isinstance(name, str) for name in entities):
        source.refuse("the entities are not the text of a dict", "Relevant Entities")
    assert isinstance(entities, dict)  # refused above
    return entities
