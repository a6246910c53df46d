# ruff: noqa: E501 — wordings and queries stay whole
"""Series about one patient: into a visit, and onwards from an event."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator

from benchside.hospital.questions.form import DATE, INTEGER, NAMES, NUMBER
from benchside.hospital.questions.select import anchor, selected, where
from benchside.hospital.questions.template import Request
from benchside.hospital.questions.view import Role, View
from benchside.hospital.questions.window import EVER, Which, Window
from benchside.suites.rounds.course import Course, Turn, mean

DAY = np.timedelta64(86_400, "s")
FEWEST = 3  # values of an item, below which there is nothing to follow


def courses() -> list[Course]:
    """The courses of this topic."""
    listed: tuple[Role, ...] = ("drug", "procedure", "diagnosis")
    return [
        *(_visit(measured, role) for measured in ("lab", "vital") for role in listed),
        *(_sequel(role, later) for role in listed for later in ("drug", "procedure")),
    ]


def _visit(measured: Role, role: Role) -> Course:
    """A visit, a measurement in it, its extreme, and what had happened by then."""

    def draw(rng: Generator, view: View, pool: Any) -> list[Turn] | None:
        held = anchor(rng, view, measured, pool)
        if held is None:
            return None
        events = view.events[measured]
        fitting: list[Which] = [
            which for which in ("first", "last", "current")
            if view.spells.pick(held.patient, which) == events.visit[held.row]
        ]  # fmt: skip
        if not fitting:
            return None
        window = Window("visit", which=fitting[rng.integers(len(fitting))])
        item = str(events.name[held.row])
        asked = Request(held.patient, measured, item, window=window)
        rows = selected(asked, view, measured, item, window)
        high = rng.random() < 0.5
        values = events.value[rows]
        if len(rows) < FEWEST:
            return None
        edge = values.max() if high else values.min()
        moment = events.time[rows[values == edge][0]]
        begun = view.spells.start[view.spells.id == events.visit[held.row]].min()
        other, source = view.sources[role], view.sources[measured]
        done = selected(asked, view, role, None, window)
        before = done[view.events[role].time[done] <= moment]
        spell, patient = view.visits, view.id(held.patient)
        value = source.measured(item)
        inside = f"FROM {source.tables} WHERE {where(asked, view)}"
        when = f"SELECT {source.time} {inside} ORDER BY {value}{' DESC' if high else ''}, {source.time} LIMIT 1"
        by_then = (
            f"FROM {other.tables} WHERE {other.patient} = {patient} "
            f"AND {window.sql(other.span, patient, view)} AND {other.time} <= ({when})"
        )
        words = (
            "hospital visit" if window.which != "current" else "hospital visit, the one that lasts"
        )
        noun = view.words[role].plural
        return [
            Turn(
                f"On which date did the {window.which} {words}, of patient {held.patient} begin?"
                if window.which == "current"
                else f"On which date did the {window.which} {words} of patient {held.patient} begin?",
                DATE,
                f"SELECT MIN({spell.start}) FROM {spell.table} WHERE {spell.id} = ({spell.pick(patient, window.which)})",
                str(begun)[:10],
            ),
            Turn(
                f"How many {item} values were measured in that visit?",
                INTEGER, f"SELECT COUNT({value}) {inside}", len(rows),
            ),
            Turn(
                f"What was the {'highest' if high else 'lowest'} of them?",
                NUMBER, f"SELECT {'MAX' if high else 'MIN'}({value}) {inside}", float(edge),
            ),
            Turn(
                "On which date was this value reached for the first time in the visit?",
                DATE, when, str(moment)[:10],
            ),
            Turn(
                f"How many different {noun} does the visit have from its beginning up to that moment?",
                INTEGER, f"SELECT COUNT(DISTINCT {other.name}) {by_then}",
                len(set(view.events[role].name[before].tolist())),
            ),
        ]  # fmt: skip

    return Course(f"visit/{measured}-{role}", "visit", draw, level="patient")


def _sequel(role: Role, later: Role) -> Course:
    """An event, what came in the days after it, and a measurement in these days."""

    def draw(rng: Generator, view: View, pool: Any) -> list[Turn] | None:
        held = anchor(rng, view, role, pool)
        if held is None:
            return None
        events, name = view.events[role], str(view.events[role].name[held.row])
        asked = Request(held.patient, role, name, window=EVER)
        first = events.time[selected(asked, view, role, name, EVER)[0]]
        days = int(rng.integers(2, 8))

        def within(kind: Role, named: str | None) -> Any:
            rows = selected(asked, view, kind, named, EVER)
            time = view.events[kind].time[rows]
            return rows[(time > first) & (time <= first + days * DAY)]

        came, labs = within(later, None), within("lab", None)
        if len(came) == 0 or len(labs) == 0:
            return None
        item = str(view.events["lab"].name[labs[rng.integers(len(labs))]])
        measured = within("lab", item)
        values = view.events["lab"].value[measured]
        if len(measured) < 2:
            return None
        source = view.sources[role]
        start = f"SELECT MIN({source.time}) FROM {source.tables} WHERE {where(asked, view)}"

        def within_sql(kind: Role) -> str:
            other = view.sources[kind]
            named = f" AND {other.named(item)}" if kind == "lab" else ""
            return (
                f"FROM {other.tables} WHERE {other.patient} = {view.id(held.patient)}{named} "
                f"AND {other.time} > ({start}) AND {other.time} <= datetime(({start}), '+{days} days')"
            )

        lab, value = within_sql("lab"), view.sources["lab"].measured(item)
        have = view.words[role].had.format(name=name)
        return [
            Turn(
                f"On which date was the first time that patient {held.patient} {have}?",
                DATE, start, str(first)[:10],
            ),
            Turn(
                f"Which {view.words[later].plural} are recorded after that moment, up to {days} days later? Name each "
                "once.",
                NAMES, f"SELECT DISTINCT {view.sources[later].name} {within_sql(later)}",
                frozenset(str(found) for found in view.events[later].name[came]),
            ),
            Turn(
                f"How many {item} values fall into the same stretch of time?",
                INTEGER, f"SELECT COUNT({value}) {lab}", len(measured),
            ),
            Turn("What is their mean?", NUMBER, f"SELECT AVG({value}) {lab}", mean(values)),
            Turn(
                "By how much does the highest of them exceed the lowest?",
                NUMBER, f"SELECT MAX({value}) - MIN({value}) {lab}", float(values.max() - values.min()),
            ),
        ]  # fmt: skip

    return Course(f"sequel/{role}-{later}", "sequel", draw, level="patient")
