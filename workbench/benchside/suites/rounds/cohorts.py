# ruff: noqa: E501 — wordings and queries stay whole
"""Series about groups of patients: narrowing, ranking, year by year, with and without."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.random import Generator

from benchside.hospital.questions.form import BOOLEAN, DAYS, INTEGER, NAMES, NUMBER, SHARE
from benchside.hospital.questions.view import Role, View
from benchside.hospital.questions.window import EVER, Window
from benchside.suites.rounds.course import (
    Course,
    Turn,
    condition,
    mean,
    name_of,
    patients_of,
    patients_sql,
    rows_of,
    year_of,
)

DAY = np.timedelta64(86_400, "s")
FEWEST = 4  # patients or visits of a group that is looked at further
PAIRS: tuple[tuple[Role, Role], ...] = (
    ("diagnosis", "drug"), ("diagnosis", "procedure"), ("drug", "drug"), ("procedure", "drug"),
    ("diagnosis", "diagnosis"), ("drug", "diagnosis"), ("procedure", "diagnosis"),
)  # fmt: skip
SEXES = {"f": "women", "female": "women", "m": "men", "male": "men"}


def courses() -> list[Course]:
    """The courses of this topic."""
    return [
        *(_narrowing(first, second) for first, second in PAIRS),
        *(_ranking(role) for role in ("diagnosis", "procedure", "drug")),
        *(_years(role) for role in ("diagnosis", "procedure", "drug", "lab")),
        *(_contrast(role) for role in ("diagnosis", "procedure", "drug")),
    ]


def _all(view: View, role: Role, name: str) -> str:
    return view.words[role].had.format(name=name).replace("was ", "were ", 1)


def _values(view: View, name: str, group: frozenset[Any], window: Window) -> Any:
    events, rows = view.events["lab"], rows_of(view, "lab", name, window)
    return events.value[[row for row in rows if events.patient[row] in group]]


def _values_sql(view: View, what: str, name: str, group: str, window: Window) -> str:
    source = view.sources["lab"]
    return (
        f"SELECT {what}({source.measured(name)}) FROM {source.tables} "
        f"WHERE {condition(view, 'lab', name, window)} AND {source.patient} {group}"
    )


def _narrowing(first: Role, second: Role) -> Course:
    """Patients with one thing, of them those with another, of them the women or the men."""

    def draw(rng: Generator, view: View, pool: Any) -> list[Turn] | None:
        one, two = name_of(rng, view, first), name_of(rng, view, second)
        if (first, one) == (second, two):
            return None
        window = (
            Window("since year", year_of(rng, view, first, one)) if rng.random() < 0.7 else EVER
        )
        sex = sorted(set(view.gender.values()) & set(SEXES))[rng.integers(2)]
        item = name_of(rng, view, "lab")
        having = patients_of(view, first, one, window)
        both = having & patients_of(view, second, two, window)
        left = frozenset(patient for patient in both if view.gender[patient] == sex)
        if len(both) < FEWEST or len(left) < 2 or len(both) == len(having):
            return None
        source = view.sources[first]
        base = f"FROM {source.tables} WHERE {condition(view, first, one, window)}"
        also = f"{source.patient} IN ({patients_sql(view, second, two, window)})"
        kept = f"{source.patient} IN ({view.gender_sql} = '{sex}')"
        final = f"SELECT {source.patient} {base} AND {also} AND {kept}"
        values = _values(view, item, left, window)
        return [
            Turn(
                f"How many patients {_all(view, first, one)} {window.words(int(rng.integers(6)))}?",
                INTEGER, f"SELECT COUNT(DISTINCT {source.patient}) {base}", len(having),
            ),
            Turn(
                f"How many of them also {_all(view, second, two)} in that time?",
                INTEGER, f"SELECT COUNT(DISTINCT {source.patient}) {base} AND {also}", len(both),
            ),
            Turn(
                f"Keep only the {SEXES[sex]} among these. How many remain?",
                INTEGER, f"SELECT COUNT(DISTINCT {source.patient}) {base} AND {also} AND {kept}",
                len(left),
            ),
            Turn(
                f"What is the mean of all {item} values that those who remain had in that time?",
                NUMBER, _values_sql(view, "AVG", item, f"IN ({final})", window), mean(values),
            ),
            Turn(
                "And the highest of these values?",
                NUMBER, _values_sql(view, "MAX", item, f"IN ({final})", window),
                float(max(values)) if len(values) else None,
            ),
        ]  # fmt: skip

    return Course(f"narrowing/{first}-{second}", "narrowing", draw)


def _ranking(role: Role) -> Course:
    """What is most frequent, and what became of those who had it."""

    def draw(rng: Generator, view: View, pool: Any) -> list[Turn] | None:
        events, source = view.events[role], view.sources[role]
        time = events.time[rng.integers(len(events.time))]
        window = (
            Window("year", int(time.astype("datetime64[Y]").astype(int)) + 1970),
            Window("month", str(time.astype("datetime64[M]"))),
        )[rng.integers(2)]
        limit = int(rng.integers(2, 5))
        inside = window.mask(events.time, events.visit, events.icu, None, view)
        counts = Counter(str(name) for name in events.name[inside])
        ranks = sorted(set(counts.values()), reverse=True)
        tops = [name for name, count in counts.items() if ranks and count == ranks[0]]
        if len(tops) != 1:
            return None
        top = tops[0]
        visits = set(events.visit[rows_of(view, role, top, window)].tolist())
        ended = [visit for visit in visits if visit in view.died]
        if len(ended) < FEWEST:
            return None
        starts = dict(zip(view.spells.id.tolist(), view.spells.start, strict=True))
        ends = dict(zip(view.spells.id.tolist(), view.spells.end, strict=True))
        days = [float((ends[visit] - starts[visit]) / DAY) for visit in ended]
        counted = (
            f"SELECT {source.name} AS name, COUNT(*) AS number FROM {source.tables} "
            f"WHERE {window.sql(source.span, '', view)} GROUP BY {source.name}"
        )
        first = f"SELECT name FROM ({counted}) ORDER BY number DESC LIMIT 1"
        base = (
            f"FROM {source.tables} WHERE {source.name} = ({first}) "
            f"AND {window.sql(source.span, '', view)}"
        )
        spell = view.visits
        stays = (
            f"SELECT DISTINCT {spell.id}, {spell.start} AS begins, {spell.end} AS ends, "
            f"{view.died_sql} AS died FROM {spell.table} WHERE {spell.end} IS NOT NULL "
            f"AND {spell.id} IN (SELECT {source.visit} {base})"
        )
        words = view.words[role]
        return [
            Turn(
                f"What were the {limit} most frequent {words.plural} {window.words(int(rng.integers(6)))}, by number "
                "of records, ties included (dense ranks)?",
                NAMES,
                f"SELECT name FROM (SELECT name, DENSE_RANK() OVER (ORDER BY number DESC) AS place "
                f"FROM ({counted})) WHERE place <= {limit}",
                frozenset(name for name, count in counts.items() if count in ranks[:limit]),
            ),
            Turn(
                "How many patients had the most frequent one in that time?",
                INTEGER, f"SELECT COUNT(DISTINCT {source.patient}) {base}",
                len(patients_of(view, role, top, window)),
            ),
            Turn(
                "Take the hospital visits with such a record in that time, as far as they have ended. What was "
                "their mean length in days?",
                DAYS, f"SELECT AVG(julianday(ends) - julianday(begins)) FROM ({stays})", mean(days),
            ),
            Turn(
                "What fraction of these visits ended in death?",
                SHARE, f"SELECT AVG(died) FROM ({stays})",
                mean([float(view.died[visit]) for visit in ended]),
            ),
        ]  # fmt: skip

    return Course(f"ranking/{role}", "ranking", draw)


def _years(role: Role) -> Course:
    """The same in another year, the change, and the same change of something else."""

    def draw(rng: Generator, view: View, pool: Any) -> list[Turn] | None:
        one, two = name_of(rng, view, role), name_of(rng, view, role)
        first, second = (year_of(rng, view, role, one) for _ in range(2))
        if first == second or one == two:
            return None
        windows = [Window("year", year) for year in (first, second)]
        counts = [
            len(patients_of(view, role, name, window)) for name in (one, two) for window in windows
        ]
        if min(counts) < 2:
            return None
        queries = [
            f"SELECT COUNT(*) FROM ({patients_sql(view, role, name, window)})"
            for name in (one, two)
            for window in windows
        ]
        change = f"SELECT ({queries[1]}) - ({queries[0]})"
        other = f"SELECT ({queries[3]}) - ({queries[2]})"
        return [
            Turn(f"How many patients {_all(view, role, one)} in {first}?", INTEGER, queries[0], counts[0]),
            Turn(f"And in {second}?", INTEGER, queries[1], counts[1]),
            Turn(
                f"By how much did the number change from {first} to {second}? A fall is negative.",
                INTEGER, change, counts[1] - counts[0],
            ),
            Turn(
                f"What is the same change of the number of patients who {_all(view, role, two)}?",
                INTEGER, other, counts[3] - counts[2],
            ),
            Turn(
                "Is the second change greater than the first?",
                BOOLEAN, f"SELECT ({other}) > ({change})",
                counts[3] - counts[2] > counts[1] - counts[0],
            ),
        ]  # fmt: skip

    return Course(f"years/{role}", "years", draw)


def _contrast(role: Role) -> Course:
    """A laboratory value of patients with something, of those without, and the difference."""

    def draw(rng: Generator, view: View, pool: Any) -> list[Turn] | None:
        name, item = name_of(rng, view, role), name_of(rng, view, "lab")
        window = Window("year", year_of(rng, view, "lab", item))
        having = patients_of(view, role, name, EVER)
        others = frozenset(view.patients.tolist()) - having
        with_, without = (_values(view, item, group, window) for group in (having, others))
        if min(len(with_), len(without)) < FEWEST:
            return None
        group = patients_sql(view, role, name, EVER)
        queries = [
            _values_sql(view, "AVG", item, f"{where} ({group})", window)
            for where in ("IN", "NOT IN")
        ]
        means = [float(np.mean(values)) for values in (with_, without)]
        if abs(means[0] - means[1]) < 1e-6:
            return None
        return [
            Turn(
                f"How many patients ever {_all(view, role, name)}?",
                INTEGER, f"SELECT COUNT(*) FROM ({group})", len(having),
            ),
            Turn(
                f"What was the mean of all their {item} values {window.words(int(rng.integers(6)))}?",
                NUMBER, queries[0], means[0],
            ),
            Turn(
                "And of all patients who are not among them, in the same time?",
                NUMBER, queries[1], means[1],
            ),
            Turn(
                "Which difference do the two means have, the first minus the second?",
                NUMBER, f"SELECT ({queries[0]}) - ({queries[1]})", means[0] - means[1],
            ),
        ]  # fmt: skip

    return Course(f"contrast/{role}", "contrast", draw)
