"""`Question`: a task before it has an id and a split, with the evidence that its gold is right.

Gold comes from the formulas of `estimators` or from numpy and scipy; `check` is the same quantity
by another method or library; `slips` are the values that plausible mistakes give. The builder
drops a question whose check disagrees or that could not tell a slip from the answer.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from pydantic import JsonValue

from benchside.suites.cohorts.cohort import Cohort
from benchside.task import AnswerSchema, GraderRef

FORMULA = 1e-4  # relative tolerance of closed formulas: five significant digits are enough
FIT = 1e-3  # of iterative fits and tail probabilities: four are enough
FINE = 1e-5  # where a plausible slip moves the result by less than FORMULA
DIGITS = {
    FINE: "Give at least six significant digits.",
    FORMULA: "Give at least five significant digits.",
    FIT: "Give at least four significant digits.",
}


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Args:
        cohort: name of the cohort.
        name: slug, unique within cohort and category.
        gold, check: in the JSON form of a submission; `check` is None where there is no second
            method.
        slips: name of a plausible mistake → what it would submit.
        rel_tol: relative tolerance of the numbers in the gold.
        secret: secret grader parameters.
        image: where it is not the cohort's own, such as a held-out split.
    """

    cohort: str
    category: str
    name: str
    prompt: str
    answer: AnswerSchema
    grader: GraderRef
    gold: JsonValue
    solution: tuple[str, ...]
    check: JsonValue = None
    slips: Mapping[str, JsonValue] = field(default_factory=dict)
    rel_tol: float = FINE
    secret: Mapping[str, JsonValue] = field(default_factory=dict)
    image: str = ""

    @property
    def group(self) -> str:
        """Splits never cut through a group: one data set and one kind of question."""
        return f"{self.cohort}/{self.category}"


def cells(text: str) -> tuple[str, ...]:
    """Split an indented script at its `# %%` lines."""
    return tuple(cell.strip("\n") for cell in inspect.cleandoc(text).split("\n# %%\n"))


def slug(*parts: object) -> str:
    """Lower-case words joined by hyphens."""
    kept = [c if c.isalnum() else "-" for c in "-".join(str(part).lower() for part in parts)]
    return "-".join(filter(None, "".join(kept).split("-")))


def plain(value: object) -> JsonValue:
    """numpy scalars and arrays as JSON."""
    if isinstance(value, (np.generic, np.ndarray)):
        converted: JsonValue = value.tolist()
        return converted
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"no JSON form for {type(value).__name__}")


def number(
    cohort: Cohort,
    category: str,
    name: str,
    ask: str,
    gold: float,
    solution: str,
    *,
    check: float | None = None,
    slips: Mapping[str, float] | None = None,
    rel_tol: float = FORMULA,
    unit: str | None = None,
) -> Question:
    """A question for one number, graded at a relative tolerance."""
    return Question(
        cohort=cohort.name,
        category=category,
        name=slug(name),
        prompt=f"{cohort.intro} {ask} {DIGITS[rel_tol]}",
        answer=AnswerSchema(kind="number", description="one number", unit=unit or None),
        grader=GraderRef(name="number", params={"rel_tol": rel_tol, "abs_tol": 0.0}),
        gold=float(gold),
        check=None if check is None else float(check),
        slips={key: float(value) for key, value in (slips or {}).items()},
        rel_tol=rel_tol,
        solution=cells(solution),
    )


def record(
    cohort: Cohort,
    category: str,
    name: str,
    ask: str,
    gold: Mapping[str, float],
    solution: str,
    *,
    check: Mapping[str, float] | None = None,
    slips: Mapping[str, Mapping[str, float]] | None = None,
    rel_tol: float = FORMULA,
) -> Question:
    """A question for several named numbers; integers among them are graded exactly."""
    parts: dict[str, JsonValue] = {
        key: {"grader": "integer", "params": {}}
        if isinstance(value, int)
        else {"grader": "number", "params": {"rel_tol": rel_tol, "abs_tol": 0.0}}
        for key, value in gold.items()
    }
    keys = ", ".join(f'"{key}"' for key in gold)
    return Question(
        cohort=cohort.name,
        category=category,
        name=slug(name),
        prompt=f"{cohort.intro} {ask} Submit a dict with the keys {keys}. {DIGITS[rel_tol]}",
        answer=AnswerSchema(kind="record", description=f"dict with the keys {keys}"),
        grader=GraderRef(name="record", params={"parts": parts}),
        gold=plain(dict(gold)),
        check=None if check is None else plain(dict(check)),
        slips={key: plain(dict(value)) for key, value in (slips or {}).items()},
        rel_tol=rel_tol,
        solution=cells(solution),
    )


def integer(
    cohort: Cohort,
    category: str,
    name: str,
    ask: str,
    gold: int,
    solution: str,
    *,
    check: int | None = None,
    slips: Mapping[str, int] | None = None,
) -> Question:
    """A question for a count."""
    return Question(
        cohort=cohort.name,
        category=category,
        name=slug(name),
        prompt=f"{cohort.intro} {ask}",
        answer=AnswerSchema(kind="integer", description="a count"),
        grader=GraderRef(name="integer"),
        gold=int(gold),
        check=None if check is None else int(check),
        slips={key: int(value) for key, value in (slips or {}).items()},
        solution=cells(solution),
    )


def text(
    cohort: Cohort,
    category: str,
    name: str,
    ask: str,
    gold: str,
    solution: str,
    *,
    choices: Sequence[str],
    check: str | None = None,
    accept: Sequence[str] = (),
) -> Question:
    """A question for one of several names; every other choice is a slip."""
    return Question(
        cohort=cohort.name,
        category=category,
        name=slug(name),
        prompt=f"{cohort.intro} {ask}",
        answer=AnswerSchema(kind="text", description="one name", choices=tuple(choices)),
        grader=GraderRef(name="text"),
        gold=gold,
        check=check,
        slips={f"chose {choice}": choice for choice in choices if choice != gold},
        secret={"accept": list(accept)} if accept else {},
        solution=cells(solution),
    )


def names(
    cohort: Cohort,
    category: str,
    name: str,
    ask: str,
    gold: Sequence[str],
    solution: str,
    *,
    ordered: bool,
    check: Sequence[str] | None = None,
    slips: Mapping[str, Sequence[str]] | None = None,
) -> Question:
    """A question for a set of names, or for a list where `ordered`."""
    kind = "list" if ordered else "set"

    def form(members: Sequence[str]) -> JsonValue:
        return plain(list(members) if ordered else {"$set": sorted(members)})

    return Question(
        cohort=cohort.name,
        category=category,
        name=slug(name),
        prompt=f"{cohort.intro} {ask}",
        answer=AnswerSchema(
            kind="list" if ordered else "set",
            description="names in order" if ordered else "names in any order",
        ),
        grader=GraderRef(name=kind, params={"item": "text"}),
        gold=form(gold),
        check=None if check is None else form(check),
        slips={key: form(value) for key, value in (slips or {}).items()},
        solution=cells(solution),
    )


def truth(
    cohort: Cohort, category: str, name: str, ask: str, gold: bool, solution: str, check: bool
) -> Question:
    """A yes/no question."""
    return Question(
        cohort=cohort.name,
        category=category,
        name=slug(name),
        prompt=f"{cohort.intro} {ask} Submit True or False.",
        answer=AnswerSchema(kind="boolean", description="True or False"),
        grader=GraderRef(name="boolean"),
        gold=bool(gold),
        check=bool(check),
        slips={"the opposite": not gold},
        solution=cells(solution),
    )


def table(
    cohort: Cohort,
    category: str,
    name: str,
    ask: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str | float]],
    solution: str,
    *,
    check: Sequence[Sequence[str | float]] | None = None,
    slips: Mapping[str, Sequence[Sequence[str | float]]] | None = None,
    rel_tol: float = FORMULA,
) -> Question:
    """A question for a table whose columns the prompt names; the order of rows is free."""

    def form(body: Sequence[Sequence[str | float]]) -> JsonValue:
        return plain({"$table": {"columns": list(columns), "rows": body}})

    listed = ", ".join(f"`{column}`" for column in columns)
    return Question(
        cohort=cohort.name,
        category=category,
        name=slug(name),
        prompt=f"{cohort.intro} {ask} Submit a DataFrame with exactly the columns {listed}, in "
        f"any row order. {DIGITS[rel_tol]}",
        answer=AnswerSchema(kind="table", description="a DataFrame", columns=tuple(columns)),
        grader=GraderRef(
            name="table", params={"columns": "by_name", "rel_tol": rel_tol, "abs_tol": 0.0}
        ),
        gold=form(rows),
        check=None if check is None else form(check),
        slips={key: form(value) for key, value in (slips or {}).items()},
        rel_tol=rel_tol,
        solution=cells(solution),
    )
