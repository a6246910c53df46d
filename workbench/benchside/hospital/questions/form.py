"""`Form`: the types of answer, each with its schema, grader, and way from query rows to a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from benchside.task import AnswerKind, AnswerSchema, GraderRef


@dataclass(frozen=True, slots=True)
class Form:
    """A type of answer.

    Args:
        kind: of the answer schema.
        grader: by name and parameters.
        asks: what the prompt asks to submit.
        take: expression over `rows` that a solution submits.
    """

    kind: AnswerKind
    grader: GraderRef
    asks: str
    take: str

    def schema(self, unit: str | None) -> AnswerSchema:
        """The schema; every task of these suites may be one that cannot be answered."""
        return AnswerSchema(kind=self.kind, description=self.asks, unit=unit, may_abstain=True)


INTEGER = Form("integer", GraderRef(name="integer"), "an integer", "rows[0][0]")
NUMBER = Form(
    "number", GraderRef(name="number", params={"abs_tol": 0.01}), "a number, right to 2 decimals",
    "rows[0][0]",
)  # fmt: skip
SHARE = Form(
    "number", GraderRef(name="number", params={"abs_tol": 0.001}),
    "a fraction between 0 and 1, right to 3 decimals", "rows[0][0]",
)  # fmt: skip
DAYS = Form(
    "duration", GraderRef(name="duration", params={"units": ["days"], "abs_tol_s": 900}),
    "a number of days with decimals, or a timedelta", "rows[0][0]",
)  # fmt: skip
TEXT = Form("text", GraderRef(name="text"), "a text as it stands in the data", "rows[0][0]")
BOOLEAN = Form(
    "boolean", GraderRef(name="boolean", params={"numeric": True}), "True or False",
    "bool(rows[0][0])",
)  # fmt: skip
DATE = Form("date", GraderRef(name="date"), "the date, as YYYY-MM-DD", "rows[0][0][:10]")
NAMES = Form(
    "set", GraderRef(name="set", params={"item": "text"}), "a set or list of names",
    "{row[0] for row in rows}",
)  # fmt: skip
NUMBERS = Form(
    "set", GraderRef(name="set", params={"item": "integer"}), "a set or list of ids",
    "{row[0] for row in rows}",
)  # fmt: skip

Value = int | float | str | bool | frozenset[Any] | None


def from_rows(form: Form, rows: Sequence[tuple[Any, ...]]) -> Value:
    """The value that a query's rows hold; None where there is no answer."""
    if form.kind == "set":
        return frozenset(row[0] for row in rows)
    if not rows or rows[0][0] is None:
        return None
    value = rows[0][0]
    match form.kind:
        case "boolean":
            return bool(value)
        case "date":
            return str(value)[:10]
        case "integer":
            return int(value)
        case "number" | "duration":
            return float(value)
        case _:
            return str(value)


def agree(form: Form, first: Value, second: Value) -> bool:
    """True where two ways give the same answer, more closely than the grader asks for."""
    if first is None or second is None:
        return first is second
    if form.kind in ("number", "duration"):
        assert isinstance(first, int | float) and isinstance(second, int | float)
        # times are whole seconds, julianday() keeps about a millisecond of a day
        return abs(first - second) <= 1e-5 * max(1.0, abs(first))
    return first == second


def key(form: Form, value: Value) -> JsonValue:
    """The gold as a submission's JSON."""
    if isinstance(value, frozenset):
        return {"$set": sorted(value)}
    if form.kind == "duration" and value is not None:
        assert isinstance(value, int | float)
        return {"$duration_s": round(float(value) * 86_400, 3)}
    if form.kind == "date":
        return {"$date": str(value)}
    if form.kind == "number":
        assert isinstance(value, int | float)
        return round(float(value), 6)
    assert not isinstance(value, frozenset)
    return value


def canonical(form: Form, value: Value) -> str:
    """What a constant answer would have to be, to count how often one would be right."""
    if isinstance(value, frozenset):
        return f"set:{sorted(value)}"
    if form.kind in ("integer", "number", "duration"):
        assert isinstance(value, int | float)
        return f"number:{value:.1f}"
    return f"{form.kind}:{value}"
