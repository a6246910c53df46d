"""`Question`: a task before it has an id, and the kinds of answer that it may have.

The gold comes from the study's arrays by numpy and closed formulas; `solution` asks pandas, scipy
or lifelines over the tables. The builder runs it and drops the question where the two differ.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd
from numpy.random import Generator
from pydantic import JsonValue

from benchside.suites.oncology.study import Study
from benchside.task import AnswerKind, AnswerSchema, GraderRef

COUNTS, FORMULA, FIT = 1e-9, 1e-4, 1e-3  # relative tolerances
Part = Literal["number", "integer", "text", "numbers", "texts", "set"]
# reason → the same in words: what a policy has to submit
FORMS: dict[Part, str] = {
    "number": "a number", "integer": "an integer", "text": "a text", "numbers": "a list of numbers",
    "texts": "a list of names in order", "set": "a set or list of names in any order",
}  # fmt: skip
KINDS: dict[Part, AnswerKind] = {
    "number": "number", "integer": "integer", "text": "text", "numbers": "list", "texts": "list",
    "set": "set",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """What is to be submitted.

    Args:
        parts: name → what it is; a single part "" stands for itself, several are a dict.
        columns: of a table, which has no parts.
        rel_tol: of all numbers.
    """

    parts: Mapping[str, Part] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    rel_tol: float = FORMULA

    @property
    def words(self) -> str:
        """What a prompt says."""
        digits = {FORMULA: "five", FIT: "four"}.get(self.rel_tol)
        exact = not self.columns and not set(self.parts.values()) & {"number", "numbers"}
        fine = f" Give at least {digits} significant digits."
        precise = "" if exact or digits is None else fine
        if self.columns:
            listed = ", ".join(f"`{name}`" for name in self.columns)
            return f"Submit a DataFrame with the columns {listed}, in any order of rows.{precise}"
        if "" in self.parts:
            return f"Submit {FORMS[self.parts['']]}.{precise}"
        listed = ", ".join(f'"{name}" ({FORMS[part]})' for name, part in self.parts.items())
        return f"Submit a dict with the keys {listed}.{precise}"

    @property
    def schema(self) -> AnswerSchema:
        """The public type."""
        if self.columns:
            return AnswerSchema(kind="table", description="a DataFrame", columns=self.columns)
        if "" in self.parts:
            kind = self.parts[""]
            return AnswerSchema(kind=KINDS[kind], description=FORMS[kind])
        return AnswerSchema(kind="record", description=f"a dict of {', '.join(self.parts)}")

    def grader(self, strictness: float = 1.0) -> GraderRef:
        """The grader; its tolerance is divided by `strictness`."""
        rel_tol = self.rel_tol / strictness
        if self.columns:
            params: dict[str, JsonValue] = {"columns": "by_name", "rel_tol": rel_tol}
            return GraderRef(name="table", params=params)
        graders = {name: _grader(part, rel_tol) for name, part in self.parts.items()}
        if "" in graders:
            return graders[""]
        nested: JsonValue = {
            name: {"grader": one.name, "params": one.params} for name, one in graders.items()
        }
        return GraderRef(name="record", params={"parts": nested})


def _grader(part: Part, rel_tol: float) -> GraderRef:
    match part:
        case "number":
            return GraderRef(name="number", params={"rel_tol": rel_tol})
        case "numbers":
            # a height or a frequency of nought has no relative tolerance
            item: JsonValue = {"rel_tol": rel_tol, "abs_tol": 1e-9}
            return GraderRef(name="list", params={"item": "number", "item_params": item})
        case "texts" | "set":
            name = "list" if part == "texts" else "set"
            return GraderRef(name=name, params={"item": "text"})
    return GraderRef(name=part)


@dataclass(frozen=True, slots=True)
class Question:
    """One question; `gold` is a Python value as it would be submitted."""

    ask: str
    answer: Answer
    gold: object
    solution: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The solution, split at its `# %%` lines."""
        return tuple(one.strip("\n") for one in self.solution.split("\n# %%\n"))


Maker = Callable[[Generator, Study], Question | None]


def script(*parts: str) -> str:
    """Join indented sources into one solution of several cells."""
    return "\n# %%\n".join(inspect.cleandoc(part) for part in parts)


def number(rel_tol: float = FORMULA) -> Answer:
    """One number."""
    return Answer({"": "number"}, rel_tol=rel_tol)


INTEGER = Answer({"": "integer"})
SET = Answer({"": "set"})
NAMES = Answer({"": "texts"})


def table(columns: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> pd.DataFrame:
    """A gold that is a table."""
    return pd.DataFrame(list(rows), columns=list(columns))
