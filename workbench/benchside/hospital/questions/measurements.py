# ruff: noqa: E501 — wordings and queries stay whole
"""Questions about one patient's measured values: nth value, extremes, change, thresholds, volumes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.random import Generator

from benchside.hospital.questions.form import BOOLEAN, DATE, INTEGER, NUMBER, Value
from benchside.hospital.questions.select import Anchor, anchor, chosen, selected, where, window_of
from benchside.hospital.questions.template import Aggregate, Request, Template
from benchside.hospital.questions.view import Role, View

MEASURED: tuple[Role, ...] = ("lab", "vital")


def templates(roles: tuple[Role, ...]) -> list[Template]:
    """The families of this topic for the kinds of event that a view has."""
    found = []
    for role in (role for role in roles if role in MEASURED):
        found += [
            _nth(role), _extreme(role), _mean(role), _change(role), _compare(role), _ever(role),
            _crossing(role), _times(role), _extreme_date(role),
        ]  # fmt: skip
    found += [_total(role) for role in roles if role in ("intake", "output", "drug")]
    if "intake" in roles and "output" in roles:
        found.append(_balance())
    return found


def _drawn(rng: Generator, view: View, pool: Any, role: Role) -> tuple[Request, Anchor] | None:
    held = anchor(rng, view, role, pool)
    if held is None:
        return None
    name = str(view.events[role].name[held.row])
    return Request(held.patient, role, name, window=window_of(rng, view, role, held)), held


def _simple(rng: Generator, view: View, pool: Any, role: Role) -> Request | None:
    drawn = _drawn(rng, view, pool, role)
    return drawn and drawn[0]


def _value(request: Request, view: View) -> str:
    return view.sources[request.role].measured(request.name)


def _nth_sql(request: Request, view: View, order: int, what: str) -> str:
    source = view.sources[request.role]
    descending = " DESC" if order < 0 else ""
    return (
        f"SELECT {what} FROM {source.tables} WHERE {where(request, view)} "
        f"ORDER BY {source.time}{descending} LIMIT 1 OFFSET {abs(order) - 1}"
    )


def _nth_value(request: Request, view: View, order: int) -> float | None:
    rows = chosen(request, view)
    if len(rows) < abs(order):
        return None
    return float(view.events[request.role].value[rows[order - 1 if order > 0 else order]])


def _unit(request: Request, view: View) -> str | None:
    return None  # values are as they stand in the data, which name the unit


def _nth(role: Role) -> Template:
    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        request = _simple(rng, view, pool, role)
        return request and replace(request, order=(1, -1, 1, -1, 2, 3)[rng.integers(6)])

    return Template(
        f"nth/{role}", "lookup/measured value", NUMBER,
        (
            "What was the {order} measured value of {name} of {patient} {window}?",
            "What value did {patient} have in the {order} {name} measurement {window}?",
            "Give the {order} {name} value of {patient} {window}.",
        ),
        draw,
        lambda request, view: _nth_sql(request, view, request.order, _value(request, view)),
        lambda request, view: _nth_value(request, view, request.order),
    )  # fmt: skip


def _aggregated(role: Role, family: str, aggregates: tuple[Aggregate, ...]) -> Template:
    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        request = _simple(rng, view, pool, role)
        return request and replace(request, aggregate=aggregates[rng.integers(len(aggregates))])

    def sql(request: Request, view: View) -> str:
        return (
            f"SELECT {request.aggregate.upper()}({_value(request, view)}) "
            f"FROM {view.sources[role].tables} WHERE {where(request, view)}"
        )

    def answer(request: Request, view: View) -> Value:
        values = view.events[role].value[chosen(request, view)]
        return aggregate(values, request.aggregate)

    return Template(
        f"{family}/{role}", f"aggregate/{family} of a patient", NUMBER,
        (
            "What was the {aggregate} {name} of {patient} {window}?",
            "Calculate the {aggregate} value of {name} that {patient} had {window}.",
            "Tell me the {aggregate} {name} measured in {patient} {window}.",
        ),
        draw, sql, answer,
    )  # fmt: skip


def aggregate(values: Any, how: Aggregate) -> float | None:
    """Maximum, minimum, mean or sum; None of nothing."""
    if len(values) == 0:
        return None
    match how:
        case "max":
            return float(np.max(values))
        case "min":
            return float(np.min(values))
        case "avg":
            return float(np.mean(values))
        case "sum":
            return float(np.sum(values))


def _extreme(role: Role) -> Template:
    return _aggregated(role, "extreme", ("max", "min"))


def _mean(role: Role) -> Template:
    return _aggregated(role, "mean", ("avg",))


def _two_windows(rng: Generator, view: View, pool: Any, role: Role) -> Request | None:
    drawn = _drawn(rng, view, pool, role)
    if drawn is None:
        return None
    request, held = drawn
    events = view.events[role]
    rows = events.of(held.patient)
    same = np.flatnonzero(events.name[rows] == request.name) + rows.start
    if len(same) < 3:
        return None
    other = Anchor(held.patient, int(same[rng.integers(len(same))]))
    second = request.window if rng.random() < 0.4 else window_of(rng, view, role, other)
    orders = ((1, -1), (1, 2), (2, -1), (-1, 1))[rng.integers(4)]
    if second != request.window:
        orders = ((1, -1), (-1, 1), (-1, -1), (1, 1))[rng.integers(4)]
    return replace(request, window2=second, order=orders[0], order2=orders[1])


def _pair(request: Request, view: View) -> tuple[float, float] | None:
    """The value in the first window and the one in the second; None if it is one measurement."""
    first = chosen(request, view)
    second = chosen(replace(request, window=request.window2), view)
    if len(first) < abs(request.order) or len(second) < abs(request.order2):
        return None
    one = first[request.order - 1 if request.order > 0 else request.order]
    two = second[request.order2 - 1 if request.order2 > 0 else request.order2]
    values = view.events[request.role].value
    return None if one == two else (float(values[one]), float(values[two]))


def _pair_sql(request: Request, view: View) -> tuple[str, str]:
    what = _value(request, view)
    first = _nth_sql(request, view, request.order, what)
    return first, _nth_sql(replace(request, window=request.window2), view, request.order2, what)


def _change(role: Role) -> Template:
    def sql(request: Request, view: View) -> str:
        first, second = _pair_sql(request, view)
        return f"SELECT ({second}) - ({first})"

    def answer(request: Request, view: View) -> Value:
        pair = _pair(request, view)
        return None if pair is None else pair[1] - pair[0]

    return Template(
        f"change/{role}", "change/between two measurements", NUMBER,
        (
            "By how much did {name} of {patient} change from the {order} value {window} to the "
            "{order2} value {window2}? A fall is negative.",
            "What is the {order2} {name} of {patient} {window2} minus the {order} one {window}?",
            "Give the difference in {name} of {patient}: {order2} value {window2} minus {order} "
            "value {window}.",
        ),
        lambda rng, view, pool: _two_windows(rng, view, pool, role), sql, answer,
    )  # fmt: skip


def _compare(role: Role) -> Template:
    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        request = _two_windows(rng, view, pool, role)
        return request and replace(request, comparison=(">", "<")[rng.integers(2)])

    def sql(request: Request, view: View) -> str:
        first, second = _pair_sql(request, view)
        return f"SELECT ({second}) {request.comparison} ({first})"

    def answer(request: Request, view: View) -> Value:
        pair = _pair(request, view)
        if pair is None:
            return None
        return pair[1] > pair[0] if request.comparison == ">" else pair[1] < pair[0]

    return Template(
        f"compare/{role}", "yes-no/comparison of measurements", BOOLEAN,
        (
            "Is the {order2} {name} of {patient} {window2} {comparison} than the {order} one {window}?",
            "Was {name} of {patient} {comparison} in the {order2} measurement {window2} than in the "
            "{order} measurement {window}?",
            "Comparing with the {order} value {window}, is the {order2} {name} of {patient} {window2} "
            "{comparison}?",
        ),
        draw, sql, answer,
    )  # fmt: skip


def _with_limit(rng: Generator, view: View, pool: Any, role: Role) -> Request | None:
    """A threshold near the patient's values, so that both answers occur."""
    request = _simple(rng, view, pool, role)
    if request is None:
        return None
    values = view.events[role].value[chosen(request, view)]
    if len(values) == 0:
        return None
    limit = float(
        np.quantile(values, rng.random())
        + rng.normal(0, 0.4) * (values.std() + 0.05 * abs(values.mean()))
    )
    digits = 0 if abs(limit) >= 20 else 1 if abs(limit) >= 2 else 2
    rounded = round(limit, digits)
    if np.any(np.abs(values - rounded) < 1e-9):  # at the limit, wording and floats would decide
        return None
    return replace(request, limit=rounded, comparison=(">", "<")[rng.integers(2)])


def _beyond(request: Request, view: View) -> Any:
    rows = chosen(request, view)
    values = view.events[request.role].value[rows]
    return rows[values > request.limit if request.comparison == ">" else values < request.limit]


def _beyond_sql(request: Request, view: View) -> str:
    return (
        f"{where(request, view)} AND {_value(request, view)} {request.comparison} {request.limit}"
    )


def _ever(role: Role) -> Template:
    def sql(request: Request, view: View) -> str:
        return f"SELECT COUNT(*) > 0 FROM {view.sources[role].tables} WHERE {_beyond_sql(request, view)}"

    return Template(
        f"ever/{role}", "yes-no/threshold", BOOLEAN,
        (
            "Has {name} of {patient} ever been {comparison} than {limit} {window}?",
            "Did {patient} have any {name} value {above} {limit} {window}?",
            "Was a {name} {comparison} than {limit} measured in {patient} {window}?",
        ),
        lambda rng, view, pool: _with_limit(rng, view, pool, role), sql,
        lambda request, view: len(_beyond(request, view)) > 0,
    )  # fmt: skip


def _crossing(role: Role) -> Template:
    def sql(request: Request, view: View) -> str:
        source = view.sources[role]
        return f"SELECT MIN({source.time}) FROM {source.tables} WHERE {_beyond_sql(request, view)}"

    def answer(request: Request, view: View) -> Value:
        rows = _beyond(request, view)
        return str(view.events[role].time[rows[0]])[:10] if len(rows) else None

    return Template(
        f"crossing/{role}", "time/threshold", DATE,
        (
            "On which date was {name} of {patient} first {comparison} than {limit} {window}?",
            "When did {patient} first have a {name} {above} {limit} {window}?",
            "What is the date of the first {name} value {above} {limit} of {patient} {window}?",
        ),
        lambda rng, view, pool: _with_limit(rng, view, pool, role), sql, answer,
    )  # fmt: skip


def _times(role: Role) -> Template:
    def sql(request: Request, view: View) -> str:
        return (
            f"SELECT COUNT(*) FROM {view.sources[role].tables} WHERE {_beyond_sql(request, view)}"
        )

    return Template(
        f"times/{role}", "count/threshold", INTEGER,
        (
            "How many times was {name} of {patient} {comparison} than {limit} {window}?",
            "Count the {name} values {above} {limit} of {patient} {window}.",
            "How many {name} measurements of {patient} {window} gave a value {above} {limit}?",
        ),
        lambda rng, view, pool: _with_limit(rng, view, pool, role), sql,
        lambda request, view: len(_beyond(request, view)),
    )  # fmt: skip


def _extreme_date(role: Role) -> Template:
    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        request = _simple(rng, view, pool, role)
        ways: tuple[Aggregate, ...] = ("max", "min")
        return request and replace(
            request, aggregate=ways[rng.integers(2)], order=(1, -1)[rng.integers(2)]
        )

    def sql(request: Request, view: View) -> str:
        source, value = view.sources[role], _value(request, view)
        down = " DESC" if request.aggregate == "max" else ""
        late = " DESC" if request.order < 0 else ""
        return (
            f"SELECT {source.time} FROM {source.tables} WHERE {where(request, view)} "
            f"ORDER BY {value}{down}, {source.time}{late} LIMIT 1"
        )

    def answer(request: Request, view: View) -> Value:
        rows = chosen(request, view)
        values = view.events[role].value[rows]
        edge = aggregate(values, request.aggregate)
        if edge is None:
            return None
        at = view.events[role].time[rows[values == edge]]
        return str(at[0] if request.order > 0 else at[-1])[:10]

    return Template(
        f"extreme-date/{role}", "time/extreme value", DATE,
        (
            "When did {patient} for the {order} time have the {aggregate} {name} {window}?",
            "On which date was the {aggregate} {name} of {patient} {window} measured for the "
            "{order} time?",
            "What is the {order} date with the {aggregate} value of {name} of {patient} {window}?",
        ),
        draw, sql, answer,
    )  # fmt: skip


def _total(role: Role) -> Template:
    """Total volume of an intake or output, or total dose of a drug."""

    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        request = _simple(rng, view, pool, role)
        if request is not None and role != "drug" and rng.random() < 0.35:
            return replace(request, name=None, aggregate="sum")
        return request and replace(request, aggregate="sum")

    def sql(request: Request, view: View) -> str:
        source = view.sources[role]
        return f"SELECT SUM({source.value}) FROM {source.tables} WHERE {where(request, view)}"

    def answer(request: Request, view: View) -> Value:
        return aggregate(view.events[role].value[chosen(request, view)], "sum")

    what = "dose of the prescriptions" if role == "drug" else "volume"
    return Template(
        f"total/{role}", "aggregate/total of a patient", NUMBER,
        (
            f"What was the total {what} of {{name}} {{noun}} of {{patient}} {{window}}?",
            f"Sum up the {what} of all {{name}} {{plural}} that {{patient}} had {{window}}.",
            f"How much {{name}} {{noun}} did {{patient}} have in total {{window}} ({what})?",
        ),
        draw, sql, answer,
    )  # fmt: skip


def _balance() -> Template:
    def sql(request: Request, view: View) -> str:
        sums = []
        for role in ("intake", "output"):
            source = view.sources[role]
            condition = where(replace(request, role=role), view)
            sums.append(f"(SELECT SUM({source.value}) FROM {source.tables} WHERE {condition})")
        return f"SELECT {sums[0]} - {sums[1]}"

    def answer(request: Request, view: View) -> Value:
        sums = [
            aggregate(
                view.events[role].value[selected(request, view, role, None, request.window)], "sum"
            )
            for role in ("intake", "output")
        ]
        return None if sums[0] is None or sums[1] is None else sums[0] - sums[1]

    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        request = _simple(rng, view, pool, "intake")
        return request and replace(request, name=None)

    return Template(
        "balance/fluids", "change/fluid balance", NUMBER,
        (
            "What is the fluid balance of {patient} {window}: total intake minus total output?",
            "By how much did the total intake volume of {patient} exceed the total output {window}?",
            "Subtract the total output of {patient} {window} from the total intake.",
        ),
        draw, sql, answer,
    )  # fmt: skip
