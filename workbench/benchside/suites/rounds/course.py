"""`Course`: one way in which questions follow each other, and `Turn`: one question of a series."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.random import Generator

from benchside.hospital.questions.form import Form, Value
from benchside.hospital.questions.select import cohort_rows
from benchside.hospital.questions.template import Request
from benchside.hospital.questions.view import Role, View
from benchside.hospital.questions.window import Window


@dataclass(frozen=True, slots=True)
class Turn:
    """A question with its answer in both ways.

    Args:
        text: speaks of what earlier turns have found.
        sql: the query that answers it, whole: earlier queries stand in it.
        value: the same from the arrays; None where there is no single answer.
    """

    text: str
    form: Form
    sql: str
    value: Value


@dataclass(frozen=True, slots=True)
class Course:
    """A kind of series.

    Args:
        family: all series of a family stay in one split.
        draw: a random series about patients of a pool; None where this one came to nothing.
        level: whose patients it takes: those of its split, or all.
    """

    family: str
    category: str
    draw: Callable[[Generator, View, Any], list[Turn] | None]
    level: Literal["patient", "all"] = "all"


def condition(view: View, role: Role, name: str, window: Window) -> str:
    """The SQL condition of all patients' events with a name in a window of the calendar."""
    source = view.sources[role]
    return f"{source.named(name)} AND {window.sql(source.span, '', view)}"


def patients_sql(view: View, role: Role, name: str, window: Window) -> str:
    """The ids of the patients who have such an event."""
    source = view.sources[role]
    return (
        f"SELECT DISTINCT {source.patient} FROM {source.tables} "
        f"WHERE {condition(view, role, name, window)}"
    )


def rows_of(view: View, role: Role, name: str, window: Window) -> Any:
    """The rows of all patients' events with a name in a window of the calendar."""
    return cohort_rows(Request(None), view, role, name, window)


def patients_of(view: View, role: Role, name: str, window: Window) -> frozenset[Any]:
    """The patients who have such an event."""
    rows = rows_of(view, role, name, window)
    return frozenset(view.events[role].patient[rows].tolist())


def name_of(rng: Generator, view: View, role: Role) -> str:
    """The name of a random event: common names more often than rare ones."""
    names = view.events[role].name
    return str(names[rng.integers(len(names))])


def year_of(rng: Generator, view: View, role: Role, name: str) -> int:
    """A year in which there is such an event."""
    rows = view.events[role].of_name[name]
    time = view.events[role].time[rows[rng.integers(len(rows))]]
    return int(time.astype("datetime64[Y]").astype(int)) + 1970


def mean(values: Any) -> float | None:
    """The mean; None of nothing."""
    return float(np.mean(values)) if len(values) else None
