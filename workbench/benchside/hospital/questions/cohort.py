# ruff: noqa: E501 — wordings and queries stay whole
"""Questions about all patients: counts, rankings, sequences of events, outcomes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.random import Generator

from benchside.hospital.questions.form import (
    DAYS,
    INTEGER,
    NAMES,
    NUMBER,
    NUMBERS,
    SHARE,
    Form,
    Value,
)
from benchside.hospital.questions.measurements import aggregate
from benchside.hospital.questions.select import cohort_rows, cohort_where
from benchside.hospital.questions.template import Aggregate, Request, Template
from benchside.hospital.questions.view import Role, Span, View
from benchside.hospital.questions.window import NOW_TEXT, Window, around
from benchside.hospital.record import NOW

RANKED: tuple[Role, ...] = ("diagnosis", "procedure", "drug", "lab", "culture", "intake", "output")
AFTER: tuple[tuple[Role, Role], ...] = (
    ("diagnosis", "procedure"), ("diagnosis", "drug"), ("procedure", "drug"),
    ("diagnosis", "diagnosis"), ("procedure", "procedure"),
)  # fmt: skip
DAY = np.timedelta64(86_400, "s")


def templates(roles: tuple[Role, ...], *, deaths: bool, text_ids: bool) -> list[Template]:
    """The families of this topic for the kinds of event that a view has."""
    found = []
    for role in roles:
        if role not in ("vital",):
            found += [_patients(role), _cases(role)]
        if role in RANKED:
            found += [_top(role)]
        if role in ("diagnosis", "procedure", "drug", "culture", "allergy"):
            found.append(_ids(role, NAMES if text_ids else NUMBERS))
        if role in ("diagnosis", "procedure", "drug"):
            found += [_mortality(role), _mean_stay(role), _busiest(role), _both(role)]
            found += [_aged(role)]
    for first, second in AFTER:
        found += [_after(first, second), _top_after(first, second)]
    found += [_level(role) for role in roles if role == "lab"]
    found += [_admitted()]
    if deaths:
        found += [_survival(role) for role in ("diagnosis", "procedure", "drug")]
    return found


def _named(rng: Generator, view: View, role: Role, *, fine: bool = False) -> Request:
    """A random name with a window of the calendar that holds one of its events."""
    names = list(view.events[role].of_name)
    name = names[rng.integers(len(names))]
    rows = view.events[role].of_name[name]
    row = rows[rng.integers(len(rows))]
    window = around(rng, view.events[role].time[row], fine=fine)
    return Request(None, role, name, window=window)


def _own(request: Request, view: View) -> Any:
    return cohort_rows(request, view, request.role, request.name, request.window)


def _patients(role: Role) -> Template:
    def sql(request: Request, view: View) -> str:
        source = view.sources[role]
        return (
            f"SELECT COUNT(DISTINCT {source.patient}) FROM {source.tables} "
            f"WHERE {cohort_where(request, view)}"
        )

    return Template(
        f"patients/{role}", "count/patients", INTEGER,
        (
            "How many patients {have_all} {window}?",
            "Count the patients who {have_all} {window}.",
            "What is the number of patients who {have_all} {window}?",
        ),
        lambda rng, view, pool: _named(rng, view, role), sql,
        lambda request, view: len(np.unique(view.events[role].patient[_own(request, view)])),
        level="all",
    )  # fmt: skip


def _cases(role: Role) -> Template:
    def sql(request: Request, view: View) -> str:
        source = view.sources[role]
        return f"SELECT COUNT(*) FROM {source.tables} WHERE {cohort_where(request, view)}"

    return Template(
        f"cases/{role}", "count/cases", INTEGER,
        (
            "How many records of {thing} are there {window}?",
            "Over all patients, how often was there {thing} {window}?",
            "Count the records of {thing} {window}, whoever the patient was.",
        ),
        lambda rng, view, pool: _named(rng, view, role), sql,
        lambda request, view: len(_own(request, view)), level="all",
    )  # fmt: skip


def _ranked_names(counts: dict[str, int], limit: int) -> frozenset[str]:
    """Names up to dense rank `limit` by count."""
    ranks = sorted(set(counts.values()), reverse=True)[:limit]
    return frozenset(name for name, count in counts.items() if count in ranks)


def _rank_sql(inner: str, limit: int) -> str:
    """`inner` gives name and count."""
    return (
        f"SELECT name FROM (SELECT name, DENSE_RANK() OVER (ORDER BY number DESC) AS place "
        f"FROM ({inner})) WHERE place <= {limit}"
    )


def _top(role: Role) -> Template:
    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        events = view.events[role]
        window = around(rng, events.time[rng.integers(len(events.time))])
        return Request(None, role, window=window, limit=int(rng.integers(2, 6)))

    def sql(request: Request, view: View) -> str:
        source = view.sources[role]
        inner = (
            f"SELECT {source.name} AS name, COUNT(*) AS number FROM {source.tables} "
            f"WHERE {cohort_where(request, view)} GROUP BY {source.name}"
        )
        return _rank_sql(inner, int(request.limit))

    def answer(request: Request, view: View) -> Value:
        events = view.events[role]
        counts = np.bincount(events.code[_own(request, view)], minlength=len(events.of_name))
        found = {name: int(counts[code]) for code, name in enumerate(events.of_name)}
        return _ranked_names({n: count for n, count in found.items() if count}, int(request.limit))

    return Template(
        f"top/{role}", "ranking/most frequent", NAMES,
        (
            "What were the {limit} most frequent {plural} {window}? Ties count as one rank.",
            "Name the top {limit} {plural} {window} by number of records (dense ranks).",
            "Which {plural} have the {limit} highest numbers of records {window}, ties included?",
        ),
        draw, sql, answer, level="all",
    )  # fmt: skip


def _pairs(request: Request, view: View, first: Role, second: Role, name2: str | None) -> Any:
    """Rows (of `second`) that follow an event of the request within its limit or the same visit."""
    starts = cohort_rows(request, view, first, request.name, request.window)
    earlier, later = view.events[first], view.events[second]
    found: list[Any] = []
    for row in starts:
        rows = later.of(earlier.patient[row])
        time = later.time[rows]
        mask = time > earlier.time[row]
        if request.limit:
            mask &= time <= earlier.time[row] + int(request.limit) * DAY
        else:
            mask &= later.visit[rows] == earlier.visit[row]
        if name2 is not None:
            mask &= later.name[rows] == name2
        found.append(np.flatnonzero(mask) + rows.start)
    return np.unique(np.concatenate(found)) if found else np.array([], dtype=np.int64)


def _pair_sql(request: Request, view: View, first: Role, second: Role) -> tuple[str, str]:
    """FROM and WHERE of events b (subquery) that follow events a (subquery)."""
    one, two = view.sources[first], view.sources[second]
    condition = (
        f"b.time <= datetime(a.time, '+{request.limit:g} days')"
        if request.limit
        else "b.visit = a.visit"
    )
    named = f" AND {two.named(request.name2)}" if request.name2 is not None else ""
    tables = (
        f"(SELECT {one.patient} AS patient, {one.visit} AS visit, {one.time} AS time "
        f"FROM {one.tables} WHERE {cohort_where(request, view)}) a JOIN "
        f"(SELECT {two.patient} AS patient, {two.visit} AS visit, {two.time} AS time, "
        f"{two.name} AS name, {two.key} AS id FROM {two.tables} WHERE 1{named}) b "
        f"ON b.patient = a.patient"
    )
    return tables, f"b.time > a.time AND {condition}"


def _after_request(
    rng: Generator, view: View, first: Role, second: Role, *, named: bool
) -> Request | None:
    request = _named(rng, view, first)
    starts = cohort_rows(request, view, first, request.name, request.window)
    if len(starts) > 400:
        return None
    limit = 0 if rng.random() < 0.5 else int(rng.integers(1, 13) * 5)
    request = replace(request, role2=second, limit=limit)
    if not named:
        return request
    rows = _pairs(request, view, first, second, None)
    if len(rows) == 0:
        return None
    name = str(view.events[second].name[rows[rng.integers(len(rows))]])
    return None if name == request.name else replace(request, name2=name)


def _after(first: Role, second: Role) -> Template:
    def sql(request: Request, view: View) -> str:
        tables, condition = _pair_sql(request, view, first, second)
        return f"SELECT COUNT(DISTINCT a.patient) FROM {tables} WHERE {condition}"

    def answer(request: Request, view: View) -> Value:
        rows = _pairs(request, view, first, second, request.name2)
        return len(np.unique(view.events[second].patient[rows]))

    return Template(
        f"after/{first}-{second}", "sequence/patients", INTEGER,
        (
            "How many patients {have_all2} {within} after they {have_all} {window}?",
            "Count the patients who {have_all2} {within} after they {have_all} {window}.",
            "After they {have_all} {window}, how many patients {have_all2} {within}?",
        ),
        lambda rng, view, pool: _after_request(rng, view, first, second, named=True),
        sql, answer, level="all",
    )  # fmt: skip


def _top_after(first: Role, second: Role) -> Template:
    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        return _after_request(rng, view, first, second, named=False)

    def sql(request: Request, view: View) -> str:
        tables, condition = _pair_sql(request, view, first, second)
        inner = (
            f"SELECT b.name AS name, COUNT(DISTINCT b.id) AS number FROM {tables} "
            f"WHERE {condition} GROUP BY b.name"
        )
        return _rank_sql(inner, 3)

    def answer(request: Request, view: View) -> Value:
        rows = _pairs(request, view, first, second, None)
        return _ranked_names(Counter(str(name) for name in view.events[second].name[rows]), 3)

    return Template(
        f"top-after/{first}-{second}", "sequence/most frequent", NAMES,
        (
            "What are the 3 most frequent {plural2} {within} after a patient {had} {window}? Each "
            "record counts once; ties count as one rank.",
            "After patients {have_all} {window}, which {plural2} {within} were the top 3 by number of "
            "records (each counted once, dense ranks)?",
            "Name the {plural2} with the 3 highest numbers of records {within} after a patient {had} "
            "{window}; count a record once and include ties.",
        ),
        draw, sql, answer, level="all",
    )  # fmt: skip


def _ids(role: Role, form: Form) -> Template:
    def sql(request: Request, view: View) -> str:
        source = view.sources[role]
        return (
            f"SELECT DISTINCT {source.patient} FROM {source.tables} "
            f"WHERE {cohort_where(request, view)}"
        )

    def answer(request: Request, view: View) -> Value:
        return frozenset(view.events[role].patient[_own(request, view)].tolist())

    return Template(
        f"ids/{role}", "list/patients", form,
        (
            "List the ids of the patients who {have_all} {window}.",
            "Which patients {have_all} {window}? Give their ids.",
            "What are the ids of all patients who {have_all} {window}?",
        ),
        lambda rng, view, pool: _named(rng, view, role, fine=True), sql, answer, level="all",
    )  # fmt: skip


def _visit_set(request: Request, view: View) -> Any:
    return np.unique(view.events[request.role].visit[_own(request, view)])


def _ended_sql(request: Request, view: View) -> str:
    """One row (start, end, died) for each finished hospital visit with the request's event."""
    source, spell = view.sources[request.role], view.visits
    return (
        f"SELECT DISTINCT {spell.id}, {spell.start} AS begins, {spell.end} AS ends, "
        f"{view.died_sql} AS died FROM {spell.table} WHERE {spell.end} IS NOT NULL AND {spell.id} IN "
        f"(SELECT {source.visit} FROM {source.tables} WHERE {cohort_where(request, view)})"
    )


def _mortality(role: Role) -> Template:
    def answer(request: Request, view: View) -> Value:
        ended = [visit for visit in _visit_set(request, view) if visit in view.died]
        if len(ended) < 5:
            return None
        return float(np.mean([view.died[visit] for visit in ended]))

    return Template(
        f"mortality/{role}", "outcome/hospital mortality", SHARE,
        (
            "Of the finished hospital visits with {thing} {window}, what fraction ended with the "
            "patient's death?",
            "What is the in-hospital mortality, as a fraction of finished hospital visits, where there "
            "was {thing} {window}?",
            "Which share of the finished hospital visits involving {thing} {window} ended in death?",
        ),
        lambda rng, view, pool: _named(rng, view, role),
        lambda request, view: f"SELECT AVG(died) FROM ({_ended_sql(request, view)})",
        answer, level="all",
    )  # fmt: skip


def _mean_stay(role: Role) -> Template:
    ways: tuple[Aggregate, ...] = ("avg", "max", "min")

    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        return replace(_named(rng, view, role), aggregate=ways[rng.integers(3)])

    def sql(request: Request, view: View) -> str:
        inner = _ended_sql(request, view)
        length = "julianday(ends) - julianday(begins)"
        return f"SELECT {request.aggregate.upper()}({length}) FROM ({inner})"

    def answer(request: Request, view: View) -> Value:
        visits = _visit_set(request, view)
        rows = np.flatnonzero(np.isin(view.spells.id, visits) & ~np.isnat(view.spells.end))
        days = (view.spells.end[rows] - view.spells.start[rows]) / DAY
        return aggregate(days, request.aggregate)

    return Template(
        f"stay/{role}", "duration/of a group", DAYS,
        (
            "What is the {aggregate} length, in days, of finished hospital visits with {thing} "
            "{window}?",
            "How many days did the finished hospital visits with {thing} {window} last: what is the "
            "{aggregate}?",
            "Give the {aggregate} duration in days of the finished hospital visits that involved "
            "{thing} {window}.",
        ),
        draw, sql, answer, unit=lambda request, view: "days", level="all",
    )  # fmt: skip


def _busiest(role: Role) -> Template:
    """The largest or the mean number of patients in a year (with any)."""
    ways: tuple[Aggregate, ...] = ("max", "avg")

    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        request = replace(_named(rng, view, role), aggregate=ways[rng.integers(2)])
        single = request.window.kind in ("year", "years ago", "this month", "last month")
        return None if single else request

    def sql(request: Request, view: View) -> str:
        source = view.sources[role]
        return (
            f"SELECT {request.aggregate.upper()}(number) FROM (SELECT COUNT(DISTINCT {source.patient}) "
            f"AS number FROM {source.tables} WHERE {cohort_where(request, view)} "
            f"GROUP BY strftime('%Y', {source.time}))"
        )

    def answer(request: Request, view: View) -> Value:
        events, rows = view.events[role], _own(request, view)
        years = events.time[rows].astype("datetime64[Y]")
        numbers = [len(np.unique(events.patient[rows[years == year]])) for year in np.unique(years)]
        return aggregate(numbers, request.aggregate)

    return Template(
        f"yearly/{role}", "aggregate/over years", NUMBER,
        (
            "What is the {aggregate} yearly number of patients who {have_all} {window}, over the years "
            "that have any?",
            "Count for each calendar year the patients who {have_all} {window}: what is the {aggregate}, "
            "leaving out years without any?",
            "Per calendar year with at least one, what is the {aggregate} number of patients who {have_all} "
            "{window}?",
        ),
        draw, sql, answer, level="all",
    )  # fmt: skip


def _both(role: Role) -> Template:
    """The share of those with one thing who also have another."""

    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        request = _named(rng, view, role)
        rows = _own(request, view)
        if len(rows) == 0:  # a window of "since 1 year ago" may begin after an event 15 months old
            return None
        of = view.events[role].of(view.events[role].patient[rows[rng.integers(len(rows))]])
        name = str(view.events[role].name[rng.integers(of.start, of.stop)])
        if name == request.name:
            return None
        return replace(request, role2=role, name2=name)

    def sql(request: Request, view: View) -> str:
        source = view.sources[role]
        other = cohort_where(replace(request, name=request.name2), view)
        return (
            f"SELECT AVG(patient IN (SELECT {source.patient} FROM {source.tables} WHERE {other})) "
            f"FROM (SELECT DISTINCT {source.patient} AS patient FROM {source.tables} "
            f"WHERE {cohort_where(request, view)})"
        )

    def answer(request: Request, view: View) -> Value:
        events = view.events[role]
        first = set(events.patient[_own(request, view)].tolist())
        second = set(
            events.patient[cohort_rows(request, view, role, request.name2, request.window)].tolist()
        )
        return len(first & second) / len(first) if len(first) >= 5 else None

    return Template(
        f"both/{role}", "outcome/share of a group", SHARE,
        (
            "Of the patients who {have_all} {window}, what fraction also {have_all2} in that time?",
            "What share of patients who {have_all} {window} also {have_all2} in the same stretch of time?",
            "Among those who {have_all} {window}, which fraction {have_all2} in that time as well?",
        ),
        draw, sql, answer, level="all",
    )  # fmt: skip


def _aged(role: Role) -> Template:
    """The mean age of those who had something, over their visits."""
    ways: tuple[Aggregate, ...] = ("avg", "max", "min")

    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        return replace(_named(rng, view, role), aggregate=ways[rng.choice(3, p=(0.8, 0.1, 0.1))])

    def sql(request: Request, view: View) -> str:
        source, spell = view.sources[role], view.visits
        return (
            f"SELECT {request.aggregate.upper()}(age) FROM (SELECT DISTINCT {spell.id}, "
            f"{view.facts['age'].sql} AS age FROM {spell.table} WHERE {spell.id} IN "
            f"(SELECT {source.visit} FROM {source.tables} WHERE {cohort_where(request, view)}))"
        )

    def answer(request: Request, view: View) -> Value:
        ages = view.facts["age"].values
        found = [float(ages[visit]) for visit in _visit_set(request, view)]
        return aggregate(found, request.aggregate) if len(found) >= 2 else None

    return Template(
        f"aged/{role}", "aggregate/age of a group", NUMBER,
        (
            "What is the {aggregate} age at admission, over all hospital visits with {thing} {window}?",
            "How old were the patients of hospital visits with {thing} {window}: what is the "
            "{aggregate} age over the visits?",
            "Give the {aggregate} patient age over the hospital visits that involved {thing} {window}.",
        ),
        draw, sql, answer, unit=lambda request, view: "years", level="all",
    )  # fmt: skip


def _level(role: Role) -> Template:
    """A laboratory value over all patients of one gender, or over all."""
    ways: tuple[Aggregate, ...] = ("avg", "max", "min")

    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        request = _named(rng, view, role, fine=True)
        genders = sorted(set(view.gender.values()))
        fact = ("", *genders)[rng.integers(len(genders) + 1)]
        return replace(request, aggregate=ways[rng.choice(3, p=(0.7, 0.15, 0.15))], fact=fact)

    def sql(request: Request, view: View) -> str:
        source = view.sources[role]
        gender = (
            f" AND {source.patient} IN ({view.gender_sql} = '{request.fact}')"
            if request.fact
            else ""
        )
        return (
            f"SELECT {request.aggregate.upper()}({source.value}) FROM {source.tables} "
            f"WHERE {cohort_where(request, view)}{gender}"
        )

    def answer(request: Request, view: View) -> Value:
        rows = _own(request, view)
        events = view.events[role]
        if request.fact:
            keep = [view.gender[patient] == request.fact for patient in events.patient[rows]]
            rows = rows[np.array(keep, dtype=bool)]
        return aggregate(events.value[rows], request.aggregate) if len(rows) > 2 else None

    return Template(
        f"level/{role}", "aggregate/over patients", NUMBER,
        (
            "What is the {aggregate} {name} value measured in {group} {window}?",
            "Over all measurements in {group}, what was the {aggregate} {name} {window}?",
            "Calculate the {aggregate} of all {name} results of {group} {window}.",
        ),
        draw, sql, answer, level="all",
    )  # fmt: skip


def _admitted() -> Template:
    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        start = view.spells.start
        window = around(rng, start[rng.integers(len(start))])
        lowest = int(rng.integers(3, 9) * 10)
        return Request(None, window=window, limit=lowest)

    def sql(request: Request, view: View) -> str:
        spell = view.visits
        window = request.window.sql(Span(spell.start, "", ""), "", view)
        age = view.facts["age"].sql
        return (
            f"SELECT COUNT(DISTINCT {spell.patient}) FROM {spell.table} WHERE {window} "
            f"AND {age} >= {request.limit:g} AND {age} < {request.limit + 10:g}"
        )

    def answer(request: Request, view: View) -> Value:
        spells = view.spells
        ages = view.facts["age"].values
        mask = request.window.mask(spells.start, spells.id, spells.id, None, view)
        return len(
            {
                spells.patient[row]
                for row in np.flatnonzero(mask)
                if request.limit <= ages[spells.id[row]] < request.limit + 10
            }
        )

    return Template(
        "admitted/age", "count/admitted patients", INTEGER,
        (
            "How many patients in their {limit}s were admitted to the hospital {window}?",
            "Count the patients admitted {window} who were in their {limit}s at admission.",
            "What is the number of patients between {decade} years old who were admitted {window}?",
        ),
        draw, sql, answer, level="all",
    )  # fmt: skip


def _survival(role: Literal["diagnosis", "procedure", "drug"]) -> Template:
    """The share alive some days after the first event, of those who had it that long ago."""

    def draw(rng: Generator, view: View, pool: Any) -> Request | None:
        request = _named(rng, view, role)
        years = (30, 90, 180, 365, 730, 1095)[rng.integers(6)]
        return replace(request, window=Window(), limit=years)

    def sql(request: Request, view: View) -> str:
        source = view.sources[role]
        return (
            f"SELECT AVG(patients.dod IS NULL OR patients.dod > datetime(first, '+{request.limit:g} "
            f"days')) FROM (SELECT {source.patient} AS patient, MIN({source.time}) AS first FROM "
            f"{source.tables} WHERE {cohort_where(request, view)} GROUP BY {source.patient}) f "
            f"JOIN patients ON patients.subject_id = f.patient "
            f"WHERE first <= datetime('{NOW_TEXT}', '-{request.limit:g} days')"
        )

    def answer(request: Request, view: View) -> Value:
        assert view.deaths is not None
        events = view.events[role]
        rows = _own(request, view)
        order = np.lexsort((events.time[rows], events.patient[rows]))
        patients, first = np.unique(events.patient[rows][order], return_index=True)
        begins = events.time[rows][order][first]
        span = int(request.limit) * DAY
        old = begins <= NOW - span
        died = np.array([view.deaths[patient] for patient in patients], dtype="datetime64[s]")
        alive = np.isnat(died) | (died > begins + span)
        return float(alive[old].mean()) if old.sum() >= 8 else None

    return Template(
        f"survival/{role}", "outcome/survival", SHARE,
        (
            "What fraction of patients were alive {limit} days after they first {have_all}? Take those whose "
            "first time was at least {limit} days ago.",
            "What is the {limit}-day survival rate after the first time that a patient {had}, among "
            "patients for whom that was at least {limit} days ago?",
            "Of the patients who first {have_all} at least {limit} days ago, what share survived {limit} "
            "days from then?",
        ),
        draw, sql, answer, level="all",
    )  # fmt: skip
