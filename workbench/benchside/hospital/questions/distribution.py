# ruff: noqa: E501 — wordings and queries stay whole
"""Questions about where values lie among those of all patients: percentiles, ranks, nth patients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.random import Generator

from benchside.hospital.questions.form import NUMBER, NUMBERS, SHARE, Form, Value
from benchside.hospital.questions.select import anchor, cohort_rows, cohort_where
from benchside.hospital.questions.template import Aggregate, Request, Template
from benchside.hospital.questions.view import Role, View
from benchside.hospital.questions.window import around

PERCENTS = (5, 10, 20, 25, 30, 40, 50, 60, 70, 75, 80, 90, 95)
FEWEST = 20  # values, below which a percentile says little


def templates(roles: tuple[Role, ...], *, ids: Form = NUMBERS) -> list[Template]:
    """The families of this topic for the kinds of event that a view has."""
    measured: list[Role] = [role for role in roles if role in ("lab", "vital")]
    return [
        *(_percentile(role) for role in measured),
        *(_rank(role) for role in measured),
        *(_nth_patient(role, ids) for role in measured),
    ]


def _draw(rng: Generator, view: View, pool: Any, role: Role) -> Request | None:
    """An item with a window of the calendar, drawn by way of one of its events."""
    held = anchor(rng, view, role, pool)
    if held is None:
        return None
    events = view.events[role]
    name = str(events.name[held.row])
    return Request(held.patient, role, name, window=around(rng, events.time[held.row], fine=False))


def _values(request: Request, view: View) -> Any:
    """All patients' values of the item in the window."""
    rows = cohort_rows(request, view, request.role, request.name, request.window)
    return view.events[request.role].value[rows]


def _numbers_sql(request: Request, view: View) -> str:
    source = view.sources[request.role]
    value = source.measured(request.name)
    return f"SELECT {value} AS value FROM {source.tables} WHERE {cohort_where(request, view)} AND {value} IS NOT NULL"


def _percentile(role: Role) -> Template:
    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        request = _draw(rng, view, pool, role)
        return request and replace(
            request, patient=None, limit=PERCENTS[rng.integers(len(PERCENTS))]
        )

    def sql(request: Request, view: View) -> str:
        return (
            f"SELECT MIN(value) FROM (SELECT value, CUME_DIST() OVER (ORDER BY value) AS share "
            f"FROM ({_numbers_sql(request, view)})) WHERE share * 100 >= {request.limit:g} - 1e-9"
        )

    def answer(request: Request, view: View) -> Value:
        values = _values(request, view)
        if len(values) < FEWEST:
            return None
        place = -(-int(request.limit) * len(values) // 100)  # nearest rank, rounded up
        return float(np.sort(values)[place - 1])

    return Template(
        f"percentile/{role}", "ranking/percentile", NUMBER,
        (
            "What is the {limit}th percentile of all {name} values {window}, by nearest rank (the "
            "smallest value that at least {limit}% of the values do not exceed)?",
            "Which is the smallest {name} value {window} such that at least {limit}% of all values of "
            "that item and time are no greater?",
            "Give the {limit}th percentile (nearest rank: the smallest value with a cumulative share of "
            "at least {limit}%) of {name} over all patients {window}.",
        ),
        draw, sql, answer, level="all",
    )  # fmt: skip


def _rank(role: Role) -> Template:
    """Where a patient's first or last value lies among all."""

    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        request = _draw(rng, view, pool, role)
        return request and replace(request, order=(1, -1)[rng.integers(2)])

    def own(request: Request, view: View) -> Any:
        events = view.events[role]
        rows = cohort_rows(request, view, role, request.name, request.window)
        return rows[events.patient[rows] == request.patient]

    def sql(request: Request, view: View) -> str:
        source = view.sources[role]
        value, late = source.measured(request.name), " DESC" if request.order < 0 else ""
        one = (
            f"SELECT {value} FROM {source.tables} WHERE {cohort_where(request, view)} AND "
            f"{source.patient} = {view.id(request.patient)} ORDER BY {source.time}{late} LIMIT 1"
        )
        return f"SELECT AVG(value < ({one})) FROM ({_numbers_sql(request, view)})"

    def answer(request: Request, view: View) -> Value:
        values, rows = _values(request, view), own(request, view)
        if len(rows) == 0 or len(values) < FEWEST:
            return None
        value = view.events[role].value[rows[0 if request.order > 0 else -1]]
        return float(np.count_nonzero(values < value) / len(values))

    return Template(
        f"percentile-rank/{role}", "ranking/percentile rank", SHARE,
        (
            "What fraction of all {name} values {window}, of whichever patient, lie below the {order} one "
            "of {patient} {window}?",
            "Take the {order} {name} of {patient} {window}: which share of all patients' {name} values "
            "{window} is smaller?",
            "How does the {order} {name} value of {patient} {window} rank: what fraction of the {name} "
            "values of all patients {window} is lower?",
        ),
        draw, sql, answer,
    )  # fmt: skip


def _nth_patient(role: Role, ids: Form) -> Template:
    """Who has the nth highest maximum, or the nth lowest minimum."""
    ways: tuple[Aggregate, ...] = ("max", "min")

    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        request = _draw(rng, view, pool, role)
        return request and replace(
            request, patient=None, aggregate=ways[rng.integers(2)], order=int(rng.integers(1, 6)),
        )  # fmt: skip

    def sql(request: Request, view: View) -> str:
        source = view.sources[role]
        down = " DESC" if request.aggregate == "max" else ""
        each = (
            f"SELECT {source.patient} AS patient, {request.aggregate.upper()}"
            f"({source.measured(request.name)}) AS edge FROM {source.tables} "
            f"WHERE {cohort_where(request, view)} GROUP BY {source.patient}"
        )
        return (
            f"SELECT patient FROM (SELECT patient, DENSE_RANK() OVER (ORDER BY edge{down}) AS place "
            f"FROM ({each})) WHERE place = {request.order}"
        )

    def answer(request: Request, view: View) -> Value:
        rows = cohort_rows(request, view, role, request.name, request.window)
        events = view.events[role]
        edges: dict[Any, float] = {}
        better = max if request.aggregate == "max" else min
        for patient, value in zip(
            events.patient[rows].tolist(), events.value[rows].tolist(), strict=True
        ):
            edges[patient] = better(value, edges.get(patient, value))
        places = sorted(set(edges.values()), reverse=request.aggregate == "max")
        if len(places) < request.order:
            return None
        place = places[request.order - 1]
        return frozenset(patient for patient, edge in edges.items() if edge == place)

    return Template(
        f"nth-patient/{role}", "ranking/nth patient", ids,
        (
            "Which patients had the {nth_extreme} {aggregate} {name} {window}? Equal values share a rank (dense "
            "ranks), so that there may be several.",
            "Take each patient's {aggregate} {name} {window} and rank the patients densely: who has the "
            "{nth_extreme}?",
            "Whose {aggregate} {name} value {window} is the {nth_extreme} among all patients (dense "
            "ranks, ties included)?",
        ),
        draw, sql, answer, level="all",
    )  # fmt: skip
