"""Drawing events of a patient, and selecting those that a request is about."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from benchside.hospital.questions.template import Request
from benchside.hospital.questions.view import Array, Role, View
from benchside.hospital.questions.window import Which, Window, around

WHICH: tuple[Which, ...] = ("first", "last", "current")


class Anchor(NamedTuple):
    """A patient and the row of one of their events; the question is made to hold it."""

    patient: Any
    row: int


def anchor(rng: Generator, view: View, role: Role, pool: Array) -> Anchor | None:
    """A random event of a random patient; None if the patient has none of that kind."""
    patient = pool[rng.integers(len(pool))]
    rows = view.events[role].of(patient)
    if rows.start == rows.stop:
        return None
    if role in ("lab", "vital"):  # rare items as often as common ones
        names = view.events[role].name[rows]
        kinds = np.unique(names.astype(str))
        wanted = np.flatnonzero(names == kinds[rng.integers(len(kinds))])
        return Anchor(patient, rows.start + int(wanted[rng.integers(len(wanted))]))
    return Anchor(patient, int(rng.integers(rows.start, rows.stop)))


def window_of(rng: Generator, view: View, role: Role, held: Anchor) -> Window:
    """A window that holds the anchored event: a visit, or a stretch of the calendar."""
    events = view.events[role]
    if rng.random() < 0.5:
        kinds = [("visit", view.spells, events.visit)]
        if view.sources[role].icu:
            kinds.append(("icu", view.icu_spells, events.icu))
        kind, spells, ids = kinds[rng.integers(len(kinds))]
        fitting = [w for w in WHICH if spells.pick(held.patient, w) == ids[held.row]]
        if fitting:
            which = fitting[rng.integers(len(fitting))]
            return Window("visit" if kind == "visit" else "icu", which=which)
    return around(rng, events.time[held.row])


def selected(
    request: Request, view: View, role: Role, name: str | None, window: Window
) -> NDArray[np.int64]:
    """Rows of the patient's events of that kind (and name) in the window, by time."""
    events = view.events[role]
    rows = events.of(request.patient)
    mask = window.mask(
        events.time[rows], events.visit[rows], events.icu[rows], request.patient, view
    )
    if name is not None:
        mask &= events.name[rows] == name
    inside: NDArray[np.int64] = np.flatnonzero(mask) + rows.start
    return inside


def chosen(request: Request, view: View) -> NDArray[np.int64]:
    """Rows of the request's own kind, name and window."""
    return selected(request, view, request.role, request.name, request.window)


def where(request: Request, view: View) -> str:
    """The SQL condition of the same."""
    source = view.sources[request.role]
    patient = view.id(request.patient)
    name = f" AND {source.named(request.name)}" if request.name is not None else ""
    window = request.window.sql(source.span, patient, view)
    return f"{source.patient} = {patient}{name} AND {window}"


def cohort_rows(
    request: Request, view: View, role: Role, name: str | None, window: Window
) -> NDArray[np.int64]:
    """Rows of all patients' events of that kind (and name) in a window of the calendar."""
    events = view.events[role]
    rows = np.arange(len(events.time)) if name is None else events.of_name[name]
    if window.kind == "ever":
        return rows
    mask = window.mask(events.time[rows], events.visit[rows], events.icu[rows], None, view)
    return rows[mask]


def cohort_where(request: Request, view: View) -> str:
    """The SQL condition of the same for the request's own kind, name and window."""
    source = view.sources[request.role]
    name = source.named(request.name) if request.name is not None else "1"
    return f"{name} AND {request.window.sql(source.span, '', view)}"
