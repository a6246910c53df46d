# ruff: noqa: E501 — wordings and queries stay whole
"""Questions about one patient's events: how often, whether, when, which."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.random import Generator

from benchside.hospital.questions.form import BOOLEAN, DATE, DAYS, INTEGER, NAMES, TEXT, Value
from benchside.hospital.questions.select import anchor, chosen, where, window_of
from benchside.hospital.questions.template import Request, Template
from benchside.hospital.questions.view import Role, View
from benchside.hospital.questions.window import NOW_TEXT, Window
from benchside.hospital.record import NOW

DAY = np.timedelta64(86_400, "s")


def templates(roles: tuple[Role, ...]) -> list[Template]:
    """The families of this topic for the kinds of event that a view has."""
    found = []
    for role in roles:
        found += [_count(role), _exists(role), _when(role)]
        if role in ("diagnosis", "procedure", "drug", "intake", "output", "culture"):
            found += [_which(role), _names(role), _distinct(role)]
        if role in ("lab", "drug", "intake", "procedure", "culture", "diagnosis"):
            found.append(_elapsed(role))
        if role in ("drug", "procedure", "diagnosis"):
            found.append(_new(role))
    return found


def _draw(rng: Generator, view: View, pool: Any, role: Role, *, named: bool) -> Request | None:
    held = anchor(rng, view, role, pool)
    if held is None:
        return None
    name = str(view.events[role].name[held.row]) if named else None
    return Request(held.patient, role, name, window=window_of(rng, view, role, held))


def _count(role: Role) -> Template:
    def sql(request: Request, view: View) -> str:
        return f"SELECT COUNT(*) FROM {view.sources[role].tables} WHERE {where(request, view)}"

    return Template(
        f"count-events/{role}", "count/events of a patient", INTEGER,
        (
            "How many times did {patient} {have} {window}?",
            "Count how often {patient} {had} {window}.",
            "What is the number of times that {patient} {had} {window}?",
            "How often was it recorded that {patient} {had} {window}?",
        ),
        lambda rng, view, pool: _draw(rng, view, pool, role, named=True), sql,
        lambda request, view: len(chosen(request, view)),
    )  # fmt: skip


def _exists(role: Role) -> Template:
    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        request = _draw(rng, view, pool, role, named=True)
        if request is None or rng.random() < 0.5:
            return request
        if rng.random() < 0.5:  # a thing the patient may never have had
            names = list(view.events[role].of_name)
            return replace(request, name=names[rng.integers(len(names))])
        other = _draw(rng, view, pool, role, named=True)  # a time that may not fit
        return None if other is None else replace(request, window=other.window)

    def sql(request: Request, view: View) -> str:
        tables = view.sources[role].tables
        return f"SELECT COUNT(*) > 0 FROM {tables} WHERE {where(request, view)}"

    return Template(
        f"exists/{role}", "yes-no/event", BOOLEAN,
        (
            "Did {patient} {have} {window}?",
            "Tell me whether {patient} {had} {window}.",
            "Is it on record that {patient} {had} {window}?",
            "Can you check if {patient} {had} {window}?",
        ),
        draw, sql, lambda request, view: len(chosen(request, view)) > 0,
    )  # fmt: skip


def _when(role: Role) -> Template:
    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        request = _draw(rng, view, pool, role, named=True)
        return request and replace(request, order=(1, -1, 1, -1, 2)[rng.integers(5)])

    def sql(request: Request, view: View) -> str:
        source = view.sources[role]
        descending = " DESC" if request.order < 0 else ""
        return (
            f"SELECT {source.time} FROM {source.tables} WHERE {where(request, view)} "
            f"ORDER BY {source.time}{descending} LIMIT 1 OFFSET {abs(request.order) - 1}"
        )

    def answer(request: Request, view: View) -> Value:
        rows = chosen(request, view)
        if len(rows) < abs(request.order):
            return None
        times = view.events[role].time[rows]
        return str(times[request.order - 1 if request.order > 0 else request.order])[:10]

    return Template(
        f"when/{role}", "time/date of an event", DATE,
        (
            "On which date did {patient} {have} for the {order} time {window}?",
            "When was the {order} time that {patient} {had} {window}?",
            "What is the date of the {order} time {patient} {had} {window}?",
        ),
        draw, sql, answer,
    )  # fmt: skip


def _which(role: Role) -> Template:
    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        request = _draw(rng, view, pool, role, named=False)
        return request and replace(request, order=(1, -1)[rng.integers(2)])

    def sql(request: Request, view: View) -> str:
        source = view.sources[role]
        descending = " DESC" if request.order < 0 else ""
        return (
            f"SELECT {source.name} FROM {source.tables} WHERE {where(request, view)} "
            f"ORDER BY {source.time}{descending} LIMIT 1"
        )

    def answer(request: Request, view: View) -> Value:
        rows = chosen(request, view)
        if len(rows) == 0:
            return None
        times = view.events[role].time[rows]
        edge = times[0] if request.order > 0 else times[-1]
        names = {str(name) for name in view.events[role].name[rows[times == edge]]}
        return names.pop() if len(names) == 1 else None

    return Template(
        f"which/{role}", "lookup/name of an event", TEXT,
        (
            "What was the {order} {noun} of {patient} {window}?",
            "Which {noun} did {patient} have {order} {window}?",
            "Give the name of the {order} {noun} that is recorded for {patient} {window}.",
        ),
        draw, sql, answer,
    )  # fmt: skip


def _names(role: Role) -> Template:
    def sql(request: Request, view: View) -> str:
        source = view.sources[role]
        return f"SELECT DISTINCT {source.name} FROM {source.tables} WHERE {where(request, view)}"

    def answer(request: Request, view: View) -> Value:
        rows = chosen(request, view)
        return frozenset(str(name) for name in view.events[role].name[rows])

    return Template(
        f"names/{role}", "list/names of a patient", NAMES,
        (
            "List all different {plural} of {patient} {window}.",
            "Which {plural} did {patient} have {window}? Name each once.",
            "What are the names of the {plural} recorded for {patient} {window}?",
        ),
        lambda rng, view, pool: _draw(rng, view, pool, role, named=False), sql, answer,
    )  # fmt: skip


def _distinct(role: Role) -> Template:
    def sql(request: Request, view: View) -> str:
        source = view.sources[role]
        return f"SELECT COUNT(DISTINCT {source.name}) FROM {source.tables} WHERE {where(request, view)}"

    return Template(
        f"distinct/{role}", "count/different things of a patient", INTEGER,
        (
            "How many different {plural} did {patient} have {window}?",
            "Count the distinct {plural} of {patient} {window}.",
            "What is the number of different {plural} recorded for {patient} {window}?",
        ),
        lambda rng, view, pool: _draw(rng, view, pool, role, named=False), sql,
        lambda request, view: len(set(view.events[role].name[chosen(request, view)])),
    )  # fmt: skip


def _elapsed(role: Role) -> Template:
    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        request = _draw(rng, view, pool, role, named=True)
        if request is None:
            return None
        here = view.spells.pick(request.patient, "current") is not None
        window = Window("visit", which="current") if here else Window()
        return replace(request, window=window, order=(1, -1)[rng.integers(2)])

    def sql(request: Request, view: View) -> str:
        source = view.sources[role]
        extreme = "MIN" if request.order > 0 else "MAX"
        return (
            f"SELECT julianday('{NOW_TEXT}') - julianday({extreme}({source.time})) "
            f"FROM {source.tables} WHERE {where(request, view)}"
        )

    def answer(request: Request, view: View) -> Value:
        rows = chosen(request, view)
        if len(rows) == 0:
            return None
        times = view.events[role].time[rows]
        return float((NOW - (times[0] if request.order > 0 else times[-1])) / DAY)

    return Template(
        f"elapsed/{role}", "duration/since an event", DAYS,
        (
            "How many days have passed since {patient} {had} for the {order} time {window}?",
            "How long ago was the {order} time that {patient} {had} {window}, in days?",
            "How much time, in days, has gone by since the {order} time {patient} {had} {window}?",
        ),
        draw, sql, answer, unit=lambda request, view: "days",
    )  # fmt: skip


def _new(role: Role) -> Template:
    """Things of the last visit that the patient did not have in the first."""

    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        patient = pool[rng.integers(len(pool))]
        ends = view.spells.end[view.spells.of(patient)]
        if (~np.isnat(ends)).sum() < 2:
            return None
        first, last = Window("visit", which="first"), Window("visit", which="last")
        swapped = rng.random() < 0.3
        return Request(
            patient,
            role,
            None,
            window=first if swapped else last,
            window2=last if swapped else first,
        )

    def sql(request: Request, view: View) -> str:
        source = view.sources[role]
        earlier = where(replace(request, window=request.window2), view)
        return (
            f"SELECT DISTINCT {source.name} FROM {source.tables} WHERE {where(request, view)} EXCEPT "
            f"SELECT DISTINCT {source.name} FROM {source.tables} WHERE {earlier}"
        )

    def answer(request: Request, view: View) -> Value:
        events = view.events[role]
        now = set(events.name[chosen(request, view)])
        return frozenset(
            now - set(events.name[chosen(replace(request, window=request.window2), view)])
        )

    return Template(
        f"new/{role}", "list/difference between visits", NAMES,
        (
            "Which {plural} did {patient} have {window} but not {window2}?",
            "List the {plural} of {patient} that are recorded {window} and not {window2}.",
            "Compared with those {window2}, what {plural} {window} are new for {patient}?",
        ),
        draw, sql, answer,
    )  # fmt: skip
