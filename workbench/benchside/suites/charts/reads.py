# ruff: noqa: E501 — what prompts say stays whole
"""Kinds of task that read the chart and change nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from benchside.suites.charts.chart import BY_CODE, NOW, PROBLEMS, Chart, Result
from benchside.suites.charts.draft import Asked, Draft, Found
from benchside.suites.charts.resources import LAB_SYSTEM
from benchside.task import AnswerSchema

NOT_FOUND = "Patient not found"
DAY = timedelta(hours=24)


def valid(chart: Chart, code: str, since: timedelta | None = None) -> list[Result]:
    """Return results that count, oldest first, of the time before now if one is given."""
    return sorted(
        (
            one for one in chart.results
            if one.test.code == code and not one.void and (since is None or one.time >= NOW - since)
        ),
        key=lambda one: one.time,
    )  # fmt: skip


def level(code: str) -> str:
    """Say which unit an answer has, and how to come to it."""
    test = BY_CODE[code]
    if test.per_mmol is None:
        return f"in {test.unit}"
    return f"in {test.unit} (1 mmol/L is {test.per_mmol} {test.unit})"


def find(rng: np.random.Generator, chart: Chart, _: Sequence[Chart]) -> Draft:
    """Which MRN has a person of this name and birth date."""
    who, born = chart.person, chart.person.born
    unknown = rng.random() < 0.06
    if unknown:
        born += timedelta(days=int(rng.integers(1, 300)))
    return Draft(
        Asked("find", "", (who.family, who.given, born.isoformat())), "patients/find", who.mrn,
        f"Which MRN does the patient {who.given} {who.family}, born on {born}, have? If there is no "
        f'such patient, the answer is "{NOT_FOUND}".',
        Found(NOT_FOUND if unknown else who.mrn),
        (
            f'people = search("Patient", family={who.family!r}, given={who.given!r}, '
            f"birthdate={born.isoformat()!r})",
            f'submit(people[0]["identifier"][0]["value"] if people else {NOT_FOUND!r})',
        ),
        AnswerSchema(kind="text", description="an MRN, such as M1234567"), {"grader": "text"},
    )  # fmt: skip


def age(_: np.random.Generator, chart: Chart, __: Sequence[Chart]) -> Draft:
    """How old somebody is."""
    who, today = chart.person, NOW.date()
    years = today.year - who.born.year - ((today.month, today.day) < (who.born.month, who.born.day))
    return Draft(
        Asked("age", who.mrn), "patients/age", who.mrn,
        f"How old is the patient with MRN {who.mrn}, in completed years?", Found(years),
        (
            f'person = search("Patient", identifier={who.mrn!r})[0]',
            'born = datetime.fromisoformat(person["birthDate"])',
            f"today = datetime({today.year}, {today.month}, {today.day})",
            "submit(today.year - born.year - ((today.month, today.day) < (born.month, born.day)))",
        ),
        AnswerSchema(kind="integer", description="years"), {"grader": "integer"},
    )  # fmt: skip


def results_source(code: str, mrn: str) -> tuple[str, ...]:
    """Return lines that find the results that count, as (time, value) in the test's unit."""
    test = BY_CODE[code]
    factor = f" * ({test.per_mmol} if unit(one) == 'mmol/L' else 1)" if test.per_mmol else ""
    return (
        *(("unit = lambda one: one['valueQuantity']['unit']",) if factor else ()),
        f'found = valid(search("Observation", code="{LAB_SYSTEM}|{code}", '
        f'**{{"patient.identifier": {mrn!r}}}))',
        "results = sorted((datetime.fromisoformat(one['effectiveDateTime']), "
        f"one['valueQuantity']['value']{factor}) for one in found)",
        f"now = datetime.fromisoformat({NOW.isoformat()!r})",
    )


def newest(
    rng: np.random.Generator, chart: Chart, _: Sequence[Chart], *, code: str, window: bool
) -> Draft | None:
    """The newest level, of the last day or of all."""
    who, test = chart.person, BY_CODE[code]
    results = valid(chart, code, DAY if window else None)
    if not results and (not window or rng.random() < 0.75):
        return None
    value = results[-1].converted if results else -1
    said = " within the last 24 hours? If there is none, the answer is -1" if window else "?"
    digits = test.digits + 1
    return Draft(
        Asked("newest", who.mrn, (code, "24" if window else "")),
        f"results/newest {'of a day' if window else 'of all'}", who.mrn,
        f"What is the most recent {test.name.lower()} level (code {code}) of the patient with MRN "
        f"{who.mrn}{said}{'.' if window else ''} Answer {level(code)}.",
        Found(round(value, 6)),
        (
            *results_source(code, who.mrn),
            *(("results = [one for one in results if one[0] >= now - timedelta(hours=24)]",)
              if window else ()),
            "submit(results[-1][1] if results else -1)",
        ),
        AnswerSchema(kind="number", description=level(code), unit=test.unit),
        {"grader": "number", "params": {"abs_tol": 0.6 * 10.0**-digits}},
    )  # fmt: skip


def mean(rng: np.random.Generator, chart: Chart, _: Sequence[Chart]) -> Draft | None:
    """The mean glucose of the last day."""
    who = chart.person
    results = valid(chart, "GLU", DAY)
    if not results and rng.random() < 0.75:
        return None
    value = sum(one.converted for one in results) / len(results) if results else -1
    return Draft(
        Asked("mean", who.mrn, ("GLU", "24")), "results/mean", who.mrn,
        f"What was the mean glucose (code GLU) of the patient with MRN {who.mrn} over the last 24 "
        f"hours? If there is no result, the answer is -1. Answer {level('GLU')}.",
        Found(round(value, 6)),
        (
            *results_source("GLU", who.mrn),
            "last = [value for time, value in results if time >= now - timedelta(hours=24)]",
            "submit(sum(last) / len(last) if last else -1)",
        ),
        AnswerSchema(kind="number", description=level("GLU"), unit="mg/dL"),
        {"grader": "number", "params": {"abs_tol": 0.05}},
    )  # fmt: skip


def problems(_: np.random.Generator, chart: Chart, __: Sequence[Chart]) -> Draft | None:
    """Which problems are active."""
    who = chart.person
    active = sorted(one.code for one in chart.problems if one.active)
    if not active:
        return None
    return Draft(
        Asked("problems", who.mrn), "problems/active", who.mrn,
        f"Which ICD-10-CM codes does the problem list of the patient with MRN {who.mrn} hold as "
        "active?",
        Found(list(active)),
        (
            'found = search("Condition", category="problem-list-item", '
            f'**{{"clinical-status": "active", "patient.identifier": {who.mrn!r}}})',
            "submit([one['code']['coding'][0]['code'] for one in found])",
        ),
        AnswerSchema(kind="set", description="codes, such as I10"),
        {"grader": "set", "params": {"item": "text"}},
    )  # fmt: skip


def procedure(rng: np.random.Generator, chart: Chart, _: Sequence[Chart]) -> Draft:
    """When something was last done."""
    who = chart.person
    done = chart.procedures[rng.integers(len(chart.procedures))]
    last = max(one.day for one in chart.procedures if one.code == done.code)
    return Draft(
        Asked("procedure", who.mrn, (done.code,)), "procedures/last", who.mrn,
        f"On which day did the patient with MRN {who.mrn} last have this procedure: {done.name} "
        f"(SNOMED CT {done.code})?",
        Found(last.isoformat()),
        (
            f'found = search("Procedure", code={done.code!r}, '
            f'**{{"patient.identifier": {who.mrn!r}}})',
            "submit(max(one['performedDateTime'] for one in found))",
        ),
        AnswerSchema(kind="date", description="YYYY-MM-DD"), {"grader": "date"},
    )  # fmt: skip


def cohort(rng: np.random.Generator, chart: Chart, charts: Sequence[Chart]) -> Draft | None:
    """Who of a town, born before a year, has a problem."""
    city = chart.person.city
    code, name = PROBLEMS[rng.integers(len(PROBLEMS))]
    year = int(rng.integers(1940, 2004))
    who = sorted(
        one.person.mrn for one in charts
        if one.person.city == city and one.person.born < date(year, 1, 1)
        and any(problem.code == code and problem.active for problem in one.problems)
    )  # fmt: skip
    if not 1 <= len(who) <= 40:
        return None
    return Draft(
        Asked("cohort", "", (city, code, str(year))), "problems/cohort", f"city {city}",
        f"Which patients who live in {city} and were born before {year} have an active problem "
        f"{name} ({code})? Give their MRNs.",
        Found(list(who)),
        (
            f'found = search("Condition", code={code!r}, **{{"clinical-status": "active", '
            f'"patient.address-city": {city!r}, "patient.birthdate": "lt{year}"}})',
            "people = {one['subject']['reference'].split('/')[1] for one in found}",
            'submit([one["identifier"][0]["value"] for one in search("Patient", '
            '_id=",".join(people))])',
        ),
        AnswerSchema(kind="set", description="MRNs"),
        {"grader": "set", "params": {"item": "text"}},
    )  # fmt: skip
