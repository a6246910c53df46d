# ruff: noqa: E501 — wordings and queries stay whole
"""Questions about a patient's hospital and ICU visits: how many, when, how long, what is on file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.random import Generator

from benchside.hospital.questions.form import DATE, DAYS, INTEGER, NUMBER, TEXT, Value
from benchside.hospital.questions.template import Request, Template
from benchside.hospital.questions.view import Span, Spell, Spells, View
from benchside.hospital.questions.window import NOW_TEXT, Window, around
from benchside.hospital.record import NOW

Place = Literal["visit", "icu"]
NAMES: dict[Place, str] = {"visit": "hospital", "icu": "ICU"}
FORMS = {"text": TEXT, "integer": INTEGER, "number": NUMBER}
DAY = np.timedelta64(86_400, "s")


def templates(view: View) -> list[Template]:
    """The families of this topic; those on facts follow what the view knows."""
    found = []
    for place in NAMES:
        found += [_number(place), _length(place), _since(place)]
        found += [_begin(place, "start"), _begin(place, "end")]
    found += [_fact(view, name) for name in view.facts]
    return found


def _spell(view: View, place: Place) -> Spell:
    return view.visits if place == "visit" else view.units


def _spells(view: View, place: Place) -> Spells:
    return view.spells if place == "visit" else view.icu_spells


def _pick(rng: Generator, view: View, pool: Any, place: Place) -> tuple[Any, slice] | None:
    """A patient with visits; those with several are preferred."""
    for _ in range(3):
        patient = pool[rng.integers(len(pool))]
        rows = _spells(view, place).of(patient)
        if rows.stop - rows.start > 1:
            return patient, rows
    return (patient, rows) if rows.stop > rows.start else None


def _number(place: Place) -> Template:
    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        picked = _pick(rng, view, pool, place)
        if picked is None:
            return None
        start = _spells(view, place).start[picked[1]]
        return Request(picked[0], window=around(rng, start[rng.integers(len(start))]))

    def sql(request: Request, view: View) -> str:
        spell = _spell(view, place)
        condition = request.window.sql(Span(spell.start, "", ""), "", view)
        return (
            f"SELECT COUNT(DISTINCT {spell.id}) FROM {spell.table} "
            f"WHERE {spell.patient} = {view.id(request.patient)} AND {condition}"
        )

    def answer(request: Request, view: View) -> Value:
        spells = _spells(view, place)
        rows = spells.of(request.patient)
        none = spells.id[rows]
        return int(request.window.mask(spells.start[rows], none, none, None, view).sum())

    name = NAMES[place]
    return Template(
        f"visits/{place}", "count/visits", INTEGER,
        (
            f"How many {name} visits of {{patient}} began {{window}}?",
            f"Count the {name} admissions of {{patient}} {{window}}.",
            f"How many times was {{patient}} admitted to the {name} {{window}}?",
        ),
        draw, sql, answer,
    )  # fmt: skip


def _nth(spells: Spells, request: Request) -> int | None:
    """Row of the nth finished visit."""
    rows = spells.of(request.patient)
    ended = np.flatnonzero(~np.isnat(spells.end[rows])) + rows.start
    if len(ended) < abs(request.order):
        return None
    return int(ended[request.order - 1 if request.order > 0 else request.order])


def _nth_sql(spell: Spell, request: Request, view: View, what: str) -> str:
    descending = " DESC" if request.order < 0 else ""
    return (
        f"SELECT {what} FROM (SELECT DISTINCT {spell.id}, {spell.start}, {spell.end} "
        f"FROM {spell.table} WHERE {spell.patient} = {view.id(request.patient)} "
        f"AND {spell.end} IS NOT NULL) ORDER BY {spell.start}{descending} "
        f"LIMIT 1 OFFSET {abs(request.order) - 1}"
    )


def _draw_nth(rng: Generator, view: View, pool: Any, place: Place) -> Request | None:
    picked = _pick(rng, view, pool, place)
    return picked and Request(picked[0], order=(1, -1, 1, -1, 2)[rng.integers(5)])


def _length(place: Place) -> Template:
    def sql(request: Request, view: View) -> str:
        spell = _spell(view, place)
        what = f"julianday({spell.end}) - julianday({spell.start})"
        return _nth_sql(spell, request, view, what)

    def answer(request: Request, view: View) -> Value:
        spells = _spells(view, place)
        row = _nth(spells, request)
        return None if row is None else float((spells.end[row] - spells.start[row]) / DAY)

    name = NAMES[place]
    return Template(
        f"length/{place}", "duration/length of stay", DAYS,
        (
            f"How long, in days, was the {{order}} {name} stay of {{patient}}?",
            f"What was the length in days of the {{order}} {name} visit of {{patient}}?",
            f"For how many days was {{patient}} in the {name} on the {{order}} visit?",
        ),
        lambda rng, view, pool: _draw_nth(rng, view, pool, place), sql, answer,
        unit=lambda request, view: "days",
    )  # fmt: skip


def _begin(place: Place, edge: Literal["start", "end"]) -> Template:
    def sql(request: Request, view: View) -> str:
        spell = _spell(view, place)
        return _nth_sql(spell, request, view, spell.start if edge == "start" else spell.end)

    def answer(request: Request, view: View) -> Value:
        spells = _spells(view, place)
        row = _nth(spells, request)
        if row is None:
            return None
        return str((spells.start if edge == "start" else spells.end)[row])[:10]

    name = NAMES[place]
    verb = "admitted to" if edge == "start" else "discharged from"
    what = "admission" if edge == "start" else "discharge"
    return Template(
        f"{edge}/{place}", f"time/{what}", DATE,
        (
            f"On which date was {{patient}} {verb} the {name} for the {{order}} time?",
            f"What is the date of the {{order}} {name} {what} of {{patient}}?",
            f"When was {{patient}} {verb} the {name} on the {{order}} visit?",
        ),
        lambda rng, view, pool: _draw_nth(rng, view, pool, place), sql, answer,
    )  # fmt: skip


def _since(place: Place) -> Template:
    """Days since the beginning of the visit that lasts; or since the last discharge."""

    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        picked = _pick(rng, view, pool, place)
        if picked is None:
            return None
        here = _spells(view, place).pick(picked[0], "current") is not None
        return Request(picked[0], window=Window("visit", which="current" if here else "last"))

    def sql(request: Request, view: View) -> str:
        spell = _spell(view, place)
        current = request.window.which == "current"
        ended = "IS NULL" if current else "IS NOT NULL"
        moment = spell.start if current else spell.end
        return (
            f"SELECT julianday('{NOW_TEXT}') - julianday(MAX({moment})) FROM {spell.table} "
            f"WHERE {spell.patient} = {view.id(request.patient)} AND {spell.end} {ended}"
        )

    def answer(request: Request, view: View) -> Value:
        spells = _spells(view, place)
        rows = spells.of(request.patient)
        start, end = spells.start[rows], spells.end[rows]
        lasting = np.isnat(end)
        moments = start[lasting] if request.window.which == "current" else end[~lasting]
        return float((NOW - moments.max()) / DAY) if len(moments) else None

    name = NAMES[place]
    return Template(
        f"since/{place}", "duration/since a visit", DAYS,
        (
            f"How many days have passed since {{patient}} {{edge}} the {name}?",
            f"How long ago, in days, was it that {{patient}} {{edge}} the {name}?",
            f"Since {{patient}} {{edge}} the {name}, how many days have gone by?",
        ),
        draw, sql, answer, unit=lambda request, view: "days",
    )  # fmt: skip


def _fact(view: View, name: str) -> Template:
    """Something on file for a visit."""

    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        place: Place = view.facts[name].spell
        request = _draw_nth(rng, view, pool, place)
        return request and replace(request, fact=name)

    def sql(request: Request, view: View) -> str:
        fact = view.facts[name]
        spell = _spell(view, fact.spell)
        inner = _nth_sql(spell, request, view, spell.id)
        return f"SELECT {fact.sql} FROM {spell.table} WHERE {spell.id} = ({inner}) LIMIT 1"

    def answer(request: Request, view: View) -> Value:
        fact = view.facts[name]
        spells = _spells(view, fact.spell)
        row = _nth(spells, request)
        if row is None:
            return None
        value = fact.values[spells.id[row]]
        if pd.isna(value):
            return None
        if fact.kind == "text":
            return str(value)
        return int(value) if fact.kind == "integer" else float(value)

    return Template(
        f"fact/{name}", "lookup/visit", FORMS[view.facts[name].kind],
        (
            "What was the {fact} of {patient} on the {order} {place} visit?",
            "Give the {fact} of {patient} at the time of the {order} {place} visit.",
            "Which {fact} is recorded for the {order} {place} visit of {patient}?",
        ),
        draw, sql, answer,
    )  # fmt: skip
