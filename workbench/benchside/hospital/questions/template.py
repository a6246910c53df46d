"""`Family`: one kind of question; `Template`: one about a `View`, drawn as a `Request`."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from numpy.random import Generator

from benchside.hospital.questions.form import Form, Value
from benchside.hospital.questions.view import Array, Role, View
from benchside.hospital.questions.window import EVER, Window

Comparison = Literal[">", "<"]
Aggregate = Literal["max", "min", "avg", "sum"]


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked, as data; each template uses the fields that it needs.

    Args:
        patient: None for questions about all patients.
        role, name: kind of event and which one; `role2`, `name2` of a second event.
        window, window2: when.
        order, order2: which of several, counted from 1; -1 is the last.
        limit: a threshold, a number of days or of ranks.
    """

    patient: Any = None
    role: Role = "lab"
    name: str | None = None
    role2: Role = "lab"
    name2: str | None = None
    window: Window = EVER
    window2: Window = EVER
    order: int = 1
    order2: int = -1
    aggregate: Aggregate = "max"
    comparison: Comparison = ">"
    limit: float = 0
    fact: str = ""


class Asked(Protocol):
    """What posing needs of the data that questions are about."""

    @property
    def con(self) -> sqlite3.Connection:
        """The database."""

    @property
    def patients(self) -> Array:
        """The ids of all patients."""


R = TypeVar("R")
V = TypeVar("V", bound=Asked)


@dataclass(frozen=True, slots=True)
class Family(ABC, Generic[R, V]):
    """A kind of question about data V, drawn as a request R.

    Args:
        family: all wordings of a family stay in one split.
        category: what reports group by.
        wordings: with {patient}, {window}, {name} and the other slots of `slots`.
        draw: a random request; None where this one came to nothing.
        sql: the query that answers it.
        answer: the same from the arrays; None where there is no answer or no single one.
        unit: unit of a number, from the request.
        level: whose patients it takes: those of its split, or all.
    """

    family: str
    category: str
    form: Form
    wordings: tuple[str, ...]
    draw: Callable[[Generator, V, Any], R | None]
    sql: Callable[[R, V], str]
    answer: Callable[[R, V], Value]
    unit: Callable[[R, V], str | None] = lambda request, view: None
    level: Literal["patient", "all"] = "patient"

    @abstractmethod
    def slots(self, request: R, view: V, style: int) -> dict[str, str]:
        """The words that fill a wording's slots; `style` chooses among equal ones."""


class Template(Family[Request, View]):
    """A kind of question about a view of the hospital."""

    __slots__ = ()

    def slots(self, request: Request, view: View, style: int) -> dict[str, str]:
        """The words of the view, see `slots`."""
        return slots(request, view, style)


ORDINALS = {1: "first", 2: "second", 3: "third", 4: "fourth", -1: "last"}
RANKS = {2: "second-", 3: "third-", 4: "fourth-", 5: "fifth-"}
AGGREGATES: dict[Aggregate, tuple[str, ...]] = {
    "max": ("maximum", "highest"), "min": ("minimum", "lowest"), "avg": ("average", "mean"),
    "sum": ("total", "total"),
}  # fmt: skip


SAME_VISIT = "later in the same hospital visit"


def _fact_place(request: Request, view: View) -> str:
    return view.facts[request.fact].spell if request.fact in view.facts else ""


def slots(request: Request, view: View, style: int) -> dict[str, str]:
    """The words that fill a wording's slots."""
    words, second = view.words[request.role], view.words[request.role2]
    name, other = request.name or "", request.name2 or ""
    return {
        "patient": f"patient {request.patient}",
        "name": name,
        "name2": other,
        "noun": words.noun,
        "plural": words.plural,
        "noun2": second.noun,
        "plural2": second.plural,
        "had": words.had.format(name=name),
        "have_all": words.had.format(name=name).replace("was ", "were ", 1),
        "have_all2": second.had.format(name=other).replace("was ", "were ", 1),
        "have": words.have.format(name=name),
        "thing": words.thing.format(name=name),
        "had2": second.had.format(name=other),
        "thing2": second.thing.format(name=other),
        "window": request.window.words(style),
        "window2": request.window2.words(style + 1),
        "order": ORDINALS.get(request.order, ""),
        "order2": ORDINALS.get(request.order2, ""),
        "nth_extreme": RANKS.get(request.order, "")
        + {"max": "highest", "min": "lowest"}.get(request.aggregate, ""),
        "aggregate": AGGREGATES[request.aggregate][style % 2],
        "comparison": {">": "greater", "<": "less"}[request.comparison],
        "above": {">": "above", "<": "below"}[request.comparison],
        "limit": f"{request.limit:g}",
        "within": f"within {request.limit:g} days" if request.limit else SAME_VISIT,
        "group": {"": "patients", "m": "male patients", "f": "female patients"}.get(
            request.fact, f"{request.fact} patients"
        ),
        "decade": f"{request.limit:g} and {request.limit + 9:g}",
        "edge": "was admitted to"
        if request.window.which == "current"
        else "was last discharged from",
        "place": "ICU" if _fact_place(request, view) == "icu" else "hospital",
        "fact": view.facts[request.fact].words if request.fact in view.facts else request.fact,
    }
