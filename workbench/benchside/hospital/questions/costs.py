"""Questions about money: costs of a patient's visits, of kinds of event, and prices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator

from benchside.hospital.questions.form import NUMBER, Value
from benchside.hospital.questions.measurements import aggregate
from benchside.hospital.questions.select import Anchor, cohort_rows, cohort_where
from benchside.hospital.questions.template import Aggregate, Request, Template
from benchside.hospital.questions.view import Role, Span, View
from benchside.hospital.questions.window import Window, around

WHICH = ("first", "last", "current")


def templates(roles: tuple[Role, ...]) -> list[Template]:
    """The families of this topic for the kinds of event that are charged."""
    charged = [role for role in roles if role in ("diagnosis", "procedure", "lab", "drug")]
    return [
        _patient_cost(),
        *(_kind_cost(role) for role in charged),
        *(_price(role) for role in charged),
        *(_involving(role) for role in charged),
    ]


def _visit_window(rng: Generator, view: View, pool: Any) -> tuple[Any, Window] | None:
    patient = pool[rng.integers(len(pool))]
    charges = view.money.charges
    rows = charges.of(patient)
    if rows.start == rows.stop:
        return None
    row = int(rng.integers(rows.start, rows.stop))
    if rng.random() < 0.6:
        fitting = [w for w in WHICH if view.spells.pick(patient, w) == charges.visit[row]]  # type: ignore[arg-type]
        if fitting:
            return patient, Window("visit", which=fitting[rng.integers(len(fitting))])  # type: ignore[arg-type]
    held = Anchor(patient, row)
    return patient, around(rng, charges.time[held.row])


def _cost_where(request: Request, view: View) -> str:
    money = view.money
    patient = view.id(request.patient)
    window = request.window.sql(Span(money.time, money.visit, ""), patient, view)
    return f"{money.patient} = {patient} AND {window}"


def _cost_rows(request: Request, view: View) -> Any:
    charges = view.money.charges
    rows = charges.of(request.patient)
    mask = request.window.mask(
        charges.time[rows], charges.visit[rows], charges.icu[rows], request.patient, view
    )
    return np.flatnonzero(mask) + rows.start


def _patient_cost() -> Template:
    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        drawn = _visit_window(rng, view, pool)
        return drawn and Request(drawn[0], window=drawn[1])

    def sql(request: Request, view: View) -> str:
        money = view.money
        return f"SELECT SUM({money.amount}) FROM {money.table} WHERE {_cost_where(request, view)}"

    return Template(
        "cost/patient", "cost/of a patient", NUMBER,
        (
            "What is the total hospital cost of {patient} {window}?",
            "Add up all charges of {patient} {window}.",
            "How much did the care of {patient} cost {window}?",
        ),
        draw, sql,
        lambda request, view: aggregate(view.money.charges.value[_cost_rows(request, view)], "sum"),
        unit=lambda request, view: "$",
    )  # fmt: skip


def _kind_cost(role: Role) -> Template:
    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        drawn = _visit_window(rng, view, pool)
        return drawn and Request(drawn[0], role, window=drawn[1])

    def sql(request: Request, view: View) -> str:
        money = view.money
        return (
            f"SELECT SUM({money.amount}) FROM {money.table} "
            f"WHERE {_cost_where(request, view)} AND {money.type} = '{money.kinds[role]}'"
        )

    def answer(request: Request, view: View) -> Value:
        charges = view.money.charges
        rows = _cost_rows(request, view)
        return aggregate(charges.value[rows[charges.name[rows] == view.money.kinds[role]]], "sum")

    return Template(
        f"cost-kind/{role}", "cost/of a kind", NUMBER,
        (
            "What did the {plural} of {patient} cost in total {window}?",
            "What is the sum of the charges for {plural} of {patient} {window}?",
            "How much was charged for the {plural} of {patient} {window}?",
        ),
        draw, sql, answer, unit=lambda request, view: "$",
    )  # fmt: skip


def _price(role: Role) -> Template:
    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        names = list(view.events[role].of_name)
        return Request(None, role, names[rng.integers(len(names))])

    def sql(request: Request, view: View) -> str:
        money, source = view.money, view.sources[role]
        return (
            f"SELECT DISTINCT {money.amount} FROM {money.table} WHERE {money.type} = "
            f"'{money.kinds[role]}' AND {money.event} IN (SELECT {money.event_key[role]} "
            f"FROM {source.tables} WHERE {source.named(str(request.name))})"
        )

    return Template(
        f"price/{role}", "cost/price", NUMBER,
        (
            "What is the cost of {thing}?",
            "How much is charged for {thing}?",
            "Give the price of {thing}.",
        ),
        draw, sql,
        lambda request, view: view.money.price[role, str(request.name)],
        unit=lambda request, view: "$", level="all",
    )  # fmt: skip


def _involving(role: Role) -> Template:
    """Cost of the hospital visits in which something happened."""
    ways: tuple[Aggregate, ...] = ("avg", "max", "min")

    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        names = list(view.events[role].of_name)
        name = names[rng.integers(len(names))]
        rows = view.events[role].of_name[name]
        row = rows[rng.integers(len(rows))]
        window = around(rng, view.events[role].time[row])
        return Request(None, role, name, window=window, aggregate=ways[rng.integers(3)])

    def sql(request: Request, view: View) -> str:
        money, source = view.money, view.sources[role]
        inner = f"SELECT {source.visit} FROM {source.tables} WHERE {cohort_where(request, view)}"
        return (
            f"SELECT {request.aggregate.upper()}(total) FROM (SELECT SUM({money.amount}) AS total "
            f"FROM {money.table} WHERE {money.visit} IN ({inner}) GROUP BY {money.visit})"
        )

    def answer(request: Request, view: View) -> Value:
        rows = cohort_rows(request, view, role, request.name, request.window)
        visits = np.unique(view.events[role].visit[rows])
        return aggregate([view.money.by_visit[visit] for visit in visits], request.aggregate)

    return Template(
        f"cost-involving/{role}", "cost/of visits", NUMBER,
        (
            "What is the {aggregate} total cost of the hospital visits with {thing} {window}?",
            "Among hospital visits in which there was {thing} {window}, what is the {aggregate} "
            "total cost?",
            "Give the {aggregate} of the total costs of all hospital visits involving {thing} "
            "{window}.",
        ),
        draw, sql, answer, unit=lambda request, view: "$", level="all",
    )  # fmt: skip
