# ruff: noqa: E501 — wordings and queries stay whole
"""The families of questions of the registry, after the kinds that MIMICSQL has."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator

from benchside.hospital.questions.form import BOOLEAN, INTEGER, NAMES, NUMBER, TEXT, Form, Value
from benchside.hospital.questions.measurements import aggregate
from benchside.hospital.questions.template import AGGREGATES, Aggregate, Family
from benchside.hospital.questions.unanswerable import CATEGORY, IMPERSONAL
from benchside.suites.registry.query import (
    DEMOGRAPHIC,
    EVENT_TABLES,
    Condition,
    Operator,
    Query,
    Registry,
)

# Column → how a condition on it is said of patients ("patients who ..."), with {} for the value.
DEMOGRAPHY = {
    "GENDER": "are of gender {}", "MARITAL_STATUS": "have the marital status {}",
    "INSURANCE": "are insured by {}", "ETHNICITY": "are of ethnicity {}",
    "LANGUAGE": "speak {}", "RELIGION": "are of religion {}",
    "ADMISSION_TYPE": "had an admission of type {}",
    "ADMISSION_LOCATION": "were admitted from {}", "DISCHARGE_LOCATION": "were discharged to {}",
    "DIAGNOSIS": "were admitted with the primary complaint {}",
}  # fmt: skip
NUMBERS = {
    "AGE": "were {} {} years old", "DAYS_STAY": "stayed {} {} days",
    "ADMITYEAR": "were admitted {} {}", "DOB_YEAR": "were born {} {}",
}  # fmt: skip
SAYINGS: dict[str, dict[Operator, str]] = {
    "AGE": {"<": "less than", ">": "more than", ">=": "at least", "<=": "at most"},
    "DAYS_STAY": {"<": "less than", ">": "more than", ">=": "at least", "<=": "at most"},
    "ADMITYEAR": {"<": "before", ">": "after", ">=": "in or after", "<=": "in or before"},
    "DOB_YEAR": {"<": "before", ">": "after", ">=": "in or after", "<=": "in or before"},
}
EVENTS = {
    "DIAGNOSES": {
        "SHORT_TITLE": "have a diagnosis with the short title {}",
        "LONG_TITLE": "have a diagnosis with the long title {}",
        "ICD9_CODE": "have the diagnosis code {}",
    },
    "PROCEDURES": {
        "SHORT_TITLE": "had a procedure with the short title {}",
        "LONG_TITLE": "had a procedure with the long title {}",
        "ICD9_CODE": "had the procedure code {}",
    },
    "PRESCRIPTIONS": {
        "DRUG": "were prescribed {}", "FORMULARY_DRUG_CD": "have a prescription with drug code {}",
        "ROUTE": "got a drug by the route {}",
    },
    "LAB": {"LABEL": "had the lab test {}", "ITEMID": "had the lab test with item id {}"},
}  # fmt: skip
ALSO = {  # a second condition on the same row
    "PRESCRIPTIONS": ("ROUTE", " by route {}"), "LAB": ("FLAG", " with the flag {}"),
}  # fmt: skip
TITLE = {
    "DIAGNOSES": "SHORT_TITLE",
    "PROCEDURES": "SHORT_TITLE",
    "PRESCRIPTIONS": "DRUG",
    "LAB": "LABEL",
}
NOUN = {
    "DIAGNOSES": ("diagnosis", "diagnoses"), "PROCEDURES": ("procedure", "procedures"),
    "PRESCRIPTIONS": ("drug", "drugs"), "LAB": ("lab test", "lab tests"),
}  # fmt: skip
FACTS = {  # column of DEMOGRAPHIC → its name
    "MARITAL_STATUS": "marital status", "AGE": "age", "INSURANCE": "insurance",
    "ETHNICITY": "ethnicity", "LANGUAGE": "language", "RELIGION": "religion",
    "ADMISSION_TYPE": "admission type", "ADMISSION_LOCATION": "admission location",
    "DISCHARGE_LOCATION": "discharge location", "DAYS_STAY": "length of stay in days",
    "DOB_YEAR": "year of birth", "ADMITYEAR": "year of admission", "DIAGNOSIS": "primary complaint",
    "DOD_YEAR": "year of death",
}  # fmt: skip
DETAILS = (  # table, column that is asked, its name
    ("DIAGNOSES", "LONG_TITLE", "long title of the diagnosis"),
    ("DIAGNOSES", "ICD9_CODE", "code of the diagnosis"),
    ("PROCEDURES", "LONG_TITLE", "long title of the procedure"),
    ("PROCEDURES", "ICD9_CODE", "code of the procedure"),
    ("PRESCRIPTIONS", "DRUG_DOSE", "dose of the drug"),
    ("PRESCRIPTIONS", "FORMULARY_DRUG_CD", "formulary code of the drug"),
    ("LAB", "VALUE_UNIT", "value with unit of the lab test"),
    ("LAB", "ITEMID", "item id of the lab test"),
)


class Selection(Family[Query, Registry]):
    """A kind of question about the registry."""

    __slots__ = ()

    def slots(self, request: Query, view: Registry, style: int) -> dict[str, str]:
        """The words of conditions, patient and columns."""
        noun, plural = NOUN.get(request.table, ("stay", "stays"))
        item = request.conditions[0].value if request.conditions else ""
        return {
            "patient": request.name or f"the patient with subject id {request.patient}",
            "conditions": " and ".join(said(request.conditions)),
            "aggregate": AGGREGATES[request.aggregate][style % 2],
            "fact": FACTS.get(request.column, request.column),
            "noun": noun,
            "plural": plural,
            "item": str(item),
            "limit": str(request.limit),
            "time": next((str(c.value) for c in request.conditions if c.column == "CHARTTIME"), ""),
        }


def said(conditions: tuple[Condition, ...]) -> list[str]:
    """The conditions in words; the second one on an event table is joined to its first."""
    parts: list[str] = []
    tables: list[str] = []
    for condition in conditions:
        table, column, value = condition.table, condition.column, condition.value
        if column in NUMBERS:
            parts.append(NUMBERS[column].format(SAYINGS[column][condition.operator], value))
        elif table == DEMOGRAPHIC:
            parts.append(
                "have died" if column == "EXPIRE_FLAG" else DEMOGRAPHY[column].format(value)
            )
        elif table in tables:
            parts[-1] += ALSO[table][1].format(value)
        elif column in EVENTS[table]:  # flags and times stand in the wordings themselves
            parts.append(EVENTS[table][column].format(value))
        tables.append(table)
    return parts


def families() -> list[Selection]:
    """All families of the suite."""
    pairs = [(DEMOGRAPHIC, DEMOGRAPHIC)]
    pairs += [(DEMOGRAPHIC, table) for table in EVENT_TABLES]
    pairs += [
        (first, second)
        for place, first in enumerate(EVENT_TABLES)
        for second in EVENT_TABLES[place + 1 :]
    ]
    found = [_count(*pair) for pair in pairs]
    for column in ("AGE", "DAYS_STAY"):
        found += [_summary(column, table) for table in (DEMOGRAPHIC, *EVENT_TABLES)]
    found += [_fact(column) for column in FACTS]
    found += [_detail(*detail) for detail in DETAILS]
    for table in EVENT_TABLES:
        found += [_names(table), _distinct(table), _whether(table), _top(table), _records(table)]
    return found + [_impersonal(name, wordings) for name, wordings in IMPERSONAL]


def _condition(rng: Generator, view: Registry, table: str, stay: int) -> Condition | None:
    """A condition that a stay (row of DEMOGRAPHIC) meets."""
    if table != DEMOGRAPHIC:
        rows = np.flatnonzero(view.stay_of[table] == stay)
        if len(rows) == 0:
            return None
        options = list(EVENTS[table])
        column = options[rng.integers(len(options))]
        return Condition(
            table, column, "=", str(view.columns[table, column][rows[rng.integers(len(rows))]])
        )
    luck = rng.random()
    if luck < 0.08:
        died = view.columns[DEMOGRAPHIC, "EXPIRE_FLAG"][stay]
        return Condition(table, "EXPIRE_FLAG", "=", 1) if died else None
    if luck < 0.5:
        column = list(NUMBERS)[rng.integers(len(NUMBERS))]
        value = view.columns[DEMOGRAPHIC, column][stay]
        if np.isnan(value):
            return None
        operators: tuple[Operator, ...] = ("<", ">", ">=", "<=")
        operator = operators[rng.integers(4)]
        slack = {"AGE": 15, "DAYS_STAY": 5, "ADMITYEAR": 2, "DOB_YEAR": 15}[column]
        away = int(rng.integers(1, slack + 1))
        shift = {"<": away, "<=": away - 1, ">": -away, ">=": 1 - away}
        return Condition(table, column, operator, int(value) + shift[operator])
    column = list(DEMOGRAPHY)[rng.integers(len(DEMOGRAPHY))]
    value = view.columns[DEMOGRAPHIC, column][stay]
    return None if value is None else Condition(table, column, "=", str(value))


def _conditions(
    rng: Generator, view: Registry, tables: tuple[str, ...]
) -> tuple[Condition, ...] | None:
    """Conditions that one random stay meets; sometimes a second one on the same event."""
    stay = int(rng.integers(len(view.frames[DEMOGRAPHIC])))
    found: list[Condition] = []
    for table in tables:
        condition = _condition(rng, view, table, stay)
        if condition is None or condition.column in {c.column for c in found if c.table == table}:
            return None
        found.append(condition)
        if table in ALSO and condition.column in ("DRUG", "LABEL") and rng.random() < 0.4:
            column = ALSO[table][0]
            rows = (view.stay_of[table] == stay) & view.holds(condition)
            extra = view.columns[table, column][np.flatnonzero(rows)[0]]
            if extra is not None:
                found.append(Condition(table, column, "=", str(extra)))
    return tuple(found)


def _count(first: str, second: str) -> Selection:
    def draw(rng: Generator, view: Registry, pool: Any) -> Query | None:
        conditions = _conditions(rng, view, (first, second))
        return None if conditions is None else Query(conditions)

    def answer(request: Query, view: Registry) -> Value:
        found = view.stays(request)
        return len(set(view.columns[DEMOGRAPHIC, "SUBJECT_ID"][found]))

    kind = "demographics" if second == DEMOGRAPHIC else "events"
    return Selection(
        f"count/{first}-{second}".lower(), f"count/{kind}", INTEGER,
        (
            "How many patients {conditions}?",
            "Count the patients who {conditions}.",
            "What is the number of patients who {conditions}?",
            "Give the number of different patients who {conditions}.",
        ),
        draw,
        lambda request, view: f"SELECT COUNT(DISTINCT SUBJECT_ID) FROM DEMOGRAPHIC WHERE {request.stays}",
        answer, level="all",
    )  # fmt: skip


def _summary(column: str, table: str) -> Selection:
    ways: tuple[Aggregate, ...] = ("avg", "avg", "max", "min")

    def draw(rng: Generator, view: Registry, pool: Any) -> Query | None:
        tables = (DEMOGRAPHIC, table) if rng.random() < 0.6 else (table,)
        conditions = _conditions(rng, view, tables)
        if conditions is None or column in {c.column for c in conditions}:
            return None
        return Query(conditions, column=column, aggregate=ways[rng.integers(4)])

    def answer(request: Query, view: Registry) -> Value:
        values = view.columns[DEMOGRAPHIC, column][view.stays(request)]
        values = values[~np.isnan(values)]
        return aggregate(values, request.aggregate) if len(values) > 1 else None

    return Selection(
        f"summary/{column}-{table}".lower(), f"aggregate/{column.lower().replace('_', ' ')}", NUMBER,
        (
            "What is the {aggregate} {fact} over the hospital stays of patients who {conditions}?",
            "Find the {aggregate} {fact} over all stays of patients who {conditions}.",
            "Over the stays of patients who {conditions}, what is the {aggregate} {fact}?",
        ),
        draw,
        lambda request, view: f"SELECT {request.aggregate.upper()}({column}) FROM DEMOGRAPHIC WHERE {request.stays}",
        answer, level="all",
    )  # fmt: skip


def _one(rng: Generator, view: Registry, pool: Any) -> tuple[str, str]:
    """A patient, said by name half of the time."""
    patient = str(pool[rng.integers(len(pool))])
    return patient, view.names[patient] if rng.random() < 0.5 else ""


def _single(view: Registry, request: Query, *, number: bool) -> Value:
    """The one value that the patient's rows have; None where they have none or several."""
    values = view.columns[request.table, request.column][view.own(request)]
    if number:
        known = {int(value) for value in values if not np.isnan(value)}
        return known.pop() if len(known) == 1 else None
    texts = {str(value) for value in values if value is not None}
    return texts.pop() if len(texts) == 1 else None


def _own_sql(request: Query, view: Registry) -> str:
    condition = f"{request.own} AND {request.column} IS NOT NULL"
    return f"SELECT DISTINCT {request.column} FROM {request.table} WHERE {condition}"


def _fact(column: str) -> Selection:
    number = column in ("AGE", "DAYS_STAY", "DOB_YEAR", "ADMITYEAR", "DOD_YEAR")

    def draw(rng: Generator, view: Registry, pool: Any) -> Query | None:
        patient, name = _one(rng, view, pool)
        if (
            number
            and column in ("AGE", "DAYS_STAY")
            and len(view.rows_of[DEMOGRAPHIC][patient]) > 1
        ):
            return None
        return Query(patient=patient, name=name, column=column)

    return Selection(
        f"fact/{column.lower()}", "lookup/demographics", INTEGER if number else TEXT,
        (
            "What is the {fact} of {patient}?", "Give the {fact} of {patient}.",
            "Tell me the {fact} recorded for {patient}.", "Look up the {fact} of {patient}.",
        ),
        draw, _own_sql, lambda request, view: _single(view, request, number=number),
    )  # fmt: skip


def _detail(table: str, column: str, name: str) -> Selection:
    """A column of one event of a patient; of lab values also by time."""

    def draw(rng: Generator, view: Registry, pool: Any) -> Query | None:
        patient, said_name = _one(rng, view, pool)
        rows = view.rows_of[table].get(patient)
        if rows is None:
            return None
        row = rows[rng.integers(len(rows))]
        title = view.columns[table, TITLE[table]][row]
        conditions = [Condition(table, TITLE[table], "=", str(title))]
        if column == "VALUE_UNIT":
            conditions.append(
                Condition(table, "CHARTTIME", "=", str(view.columns[table, "CHARTTIME"][row]))
            )
        return Query(tuple(conditions), patient, said_name, table, column)

    at = " at {time}" if column == "VALUE_UNIT" else ""
    return Selection(
        f"detail/{table}-{column}".lower(), "lookup/events", TEXT,
        (
            f"What is the {name} {{item}} of {{patient}}{at}?",
            f"Give the {name} {{item}} that is recorded for {{patient}}{at}.",
            f"For {{patient}}, look up the {name} {{item}}{at}.",
        ),
        draw, _own_sql, lambda request, view: _single(view, request, number=False),
    )  # fmt: skip


def _of_patient(
    table: str, family: str, category: str, form: Form, wordings: tuple[str, ...]
) -> Selection:
    """All names, or their number, of a patient's events."""
    counted = form is INTEGER
    title = TITLE[table]

    def draw(rng: Generator, view: Registry, pool: Any) -> Query | None:
        patient, name = _one(rng, view, pool)
        extra: tuple[Condition, ...] = ()
        if table == "LAB":
            extra = (Condition(table, "FLAG", "=", "abnormal"),)
        return Query(extra, patient, name, table, title)

    def answer(request: Query, view: Registry) -> Value:
        names = {str(name) for name in view.columns[table, title][view.own(request)]}
        return len(names) if counted else frozenset(names)

    def sql(request: Query, view: Registry) -> str:
        what = f"COUNT(DISTINCT {title})" if counted else f"DISTINCT {title}"
        return f"SELECT {what} FROM {table} WHERE {request.own}"

    return Selection(f"{family}/{table}".lower(), category, form, wordings, draw, sql, answer)


def _names(table: str) -> Selection:
    which = " that ever had an abnormal value" if table == "LAB" else ""
    return _of_patient(
        table, "names", "list/of a patient", NAMES,
        (
            f"List the different {{plural}} of {{patient}}{which} (`{TITLE[table]}`).",
            f"Which {{plural}} does {{patient}} have{which}? Give each `{TITLE[table]}` once.",
            f"Name all {{plural}} recorded for {{patient}}{which}, by `{TITLE[table]}`.",
        ),
    )  # fmt: skip


def _distinct(table: str) -> Selection:
    which = " that ever had an abnormal value" if table == "LAB" else ""
    return _of_patient(
        table, "distinct", "count/of a patient", INTEGER,
        (
            f"How many different {{plural}} does {{patient}} have{which} (`{TITLE[table]}`)?",
            f"Count the distinct {{plural}} of {{patient}}{which}, by `{TITLE[table]}`.",
            f"What is the number of different {{plural}} (`{TITLE[table]}`) recorded for {{patient}}{which}?",
        ),
    )  # fmt: skip


def _event(rng: Generator, view: Registry, pool: Any, table: str) -> Query | None:
    """An event by title of a patient."""
    patient, name = _one(rng, view, pool)
    rows = view.rows_of[table].get(patient)
    if rows is None:
        return None
    title = str(view.columns[table, TITLE[table]][rows[rng.integers(len(rows))]])
    return Query((Condition(table, TITLE[table], "=", title),), patient, name, table, TITLE[table])


def _whether(table: str) -> Selection:
    def draw(rng: Generator, view: Registry, pool: Any) -> Query | None:
        request = _event(rng, view, pool, table)
        if request is None or rng.random() < 0.4:
            return request
        known = view.values[table, TITLE[table]][0]
        other = Condition(table, TITLE[table], "=", known[rng.integers(len(known))])
        return Query((other,), request.patient, request.name, table, TITLE[table])

    return Selection(
        f"whether/{table}".lower(), "yes-no/event", BOOLEAN,
        (
            "Does {patient} have the {noun} {item} on record?",
            "Is the {noun} {item} recorded for {patient}?",
            "Tell me whether {patient} has a record of the {noun} {item}.",
        ),
        draw,
        lambda request, view: f"SELECT COUNT(*) > 0 FROM {table} WHERE {request.own}",
        lambda request, view: len(view.own(request)) > 0,
    )  # fmt: skip


def _records(table: str) -> Selection:
    """How many rows there are of a thing, over all patients who meet a condition."""

    def draw(rng: Generator, view: Registry, pool: Any) -> Query | None:
        conditions = _conditions(rng, view, (DEMOGRAPHIC,))
        if conditions is None:
            return None
        return Query(conditions, table=table, column=TITLE[table])

    def answer(request: Query, view: Registry) -> Value:
        return int(view.stays(request)[view.stay_of[table]].sum())

    return Selection(
        f"records/{table}".lower(), "count/records", INTEGER,
        (
            "How many records of {plural} are there for the stays of patients who {conditions}?",
            "Count the rows of {plural} that belong to stays of patients who {conditions}.",
            "For the stays of patients who {conditions}, what is the number of records of {plural}?",
        ),
        draw,
        lambda request, view: f"SELECT COUNT(*) FROM {table} WHERE HADM_ID IN (SELECT HADM_ID FROM DEMOGRAPHIC WHERE {request.stays})",
        answer, level="all",
    )  # fmt: skip


def _top(table: str) -> Selection:
    title = TITLE[table]

    def draw(rng: Generator, view: Registry, pool: Any) -> Query | None:
        tables = (DEMOGRAPHIC, DEMOGRAPHIC) if rng.random() < 0.5 else (DEMOGRAPHIC,)
        conditions = _conditions(rng, view, tables)
        if conditions is None:
            return None
        return Query(conditions, table=table, column=title, limit=int(rng.integers(1, 6)))

    def sql(request: Query, view: Registry) -> str:
        return (
            f"SELECT name FROM (SELECT {title} AS name, DENSE_RANK() OVER (ORDER BY COUNT(*) DESC) AS place "
            f"FROM {table} WHERE HADM_ID IN (SELECT HADM_ID FROM DEMOGRAPHIC WHERE {request.stays}) "
            f"GROUP BY {title}) WHERE place <= {request.limit}"
        )

    def answer(request: Query, view: Registry) -> Value:
        known, codes = view.values[table, title]
        counts = np.bincount(codes[view.stays(request)[view.stay_of[table]]], minlength=len(known))
        edge = sorted(set(counts[counts > 0].tolist()), reverse=True)[: request.limit]
        return frozenset(name for name, count in zip(known, counts, strict=True) if count in edge)

    return Selection(
        f"top/{table}".lower(), "ranking/most frequent", NAMES,
        (
            f"Among the stays of patients who {{conditions}}, what are the {{limit}} most frequent {{plural}} (`{title}`, by records, ties as one rank)?",
            f"Name the top {{limit}} {{plural}} by number of records in the stays of patients who {{conditions}} (`{title}`, dense ranks).",
            f"Which {{plural}} (`{title}`) have the {{limit}} highest numbers of records for stays of patients who {{conditions}}? Ties count as one rank.",
        ),
        draw, sql, answer, level="all",
    )  # fmt: skip


def _impersonal(name: str, wordings: tuple[str, ...]) -> Selection:
    def draw(rng: Generator, view: Registry, pool: Any) -> Query:
        patient, said_name = _one(rng, view, pool)
        return Query(patient=patient, name=said_name)

    return Selection(
        f"{CATEGORY}/{name}", CATEGORY, TEXT, wordings, draw,
        lambda request, view: "", lambda request, view: None,
    )  # fmt: skip
