# ruff: noqa: E501 — what prompts say stays whole
"""Kinds of task that write to the chart: record, order where it is due, stop, correct."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
from pydantic import JsonValue

from benchside.graders.charted import ExpectedWrite
from benchside.suites.charts.chart import NOW, Chart
from benchside.suites.charts.draft import Asked, Draft, Found, created
from benchside.suites.charts.reads import DAY, level, results_source, valid
from benchside.suites.charts.resources import (
    CATEGORY,
    LOINC,
    NDC,
    SNOMED,
    moment,
    resources,
)
from benchside.task import AnswerSchema

NOW_TEXT = moment(NOW)
TOMORROW = moment((NOW + timedelta(days=1)).replace(hour=8, minute=0))
MAGNESIUM, POTASSIUM = "0338-1709-40", "0245-0041-11"
POTASSIUM_TEST, A1C_TEST = "2823-3", "4548-4"
REFERRALS = (
    ("183545006", "orthopedic surgery", "acute knee injury", "torn cruciate ligament on MRI"),
    ("306114006", "cardiology", "palpitations at rest", "irregular pulse in the ECG"),
    ("306118001", "endocrinology", "weight loss and tremor", "suppressed TSH"),
    ("306140002", "nephrology", "swollen ankles", "protein in the urine"),
    ("183516009", "gastroenterology", "heartburn that does not settle", "anemia"),
)


def pressure(rng: np.random.Generator, chart: Chart, _: Sequence[Chart]) -> Draft:
    """File a blood pressure."""
    who = chart.person
    text = f"{rng.integers(95, 175)}/{rng.integers(55, 105)} mmHg"
    record: dict[str, JsonValue] = {
        "status": "final",
        "category": [{"coding": [{"system": CATEGORY, "code": "vital-signs"}]}],
        "code": {"text": "BP"},
        "subject": _subject(chart),
        "effectiveDateTime": NOW_TEXT,
        "valueString": text,
    }
    return Draft(
        Asked("pressure", who.mrn, (text,)), "vital signs/record", who.mrn,
        f"The blood pressure of the patient with MRN {who.mrn} has just been taken: {text}. Record "
        "it as one Observation: status final, category vital-signs (system "
        f'{CATEGORY}), code.text "BP", effectiveDateTime now, and the reading as valueString, '
        "written as above.",
        Found("done", ((who.key, 1.0),)), (*_person(who.mrn), *_create("Observation", record)),
        writes=(created("Observation", record),),
    )  # fmt: skip


def magnesium(rng: np.random.Generator, chart: Chart, _: Sequence[Chart]) -> Draft | None:
    """Replace magnesium by a table of doses where the level is low."""
    who = chart.person
    results = valid(chart, "MG", DAY)
    value = results[-1].converted if results else -1.0
    if any(abs(value - limit) < 0.02 for limit in (1.0, 1.5, 1.9)):
        return None
    dose = 0 if not results or value >= 1.9 else 1 if value >= 1.5 else 2 if value >= 1 else 4
    if not dose and rng.random() < 0.6:  # most of these tasks end in an order
        return None
    if not results and rng.random() < 0.75:
        return None
    order = _medication(chart, MAGNESIUM, "IV", dose, "g", 1)
    return Draft(
        Asked("magnesium", who.mrn), "orders/magnesium", who.mrn,
        f"Look up the most recent magnesium level (code MG) of the patient with MRN {who.mrn} within "
        "the last 24 hours. If it is below 1.9 mg/dL, order magnesium: 1 g from 1.5 mg/dL up, 2 g "
        "from 1.0 mg/dL up, 4 g below. If it is not low, or there is none, order nothing. "
        f"{_order_form(MAGNESIUM, 'IV', 'g', 'rateQuantity 1 g/h')} Submit the level "
        f"{level('MG')}, or -1 if there is none.",
        Found(round(value, 6), ((MAGNESIUM, float(dose)),) if dose else ()),
        (
            *results_source("MG", who.mrn),
            "last = [value for time, value in results if time >= now - timedelta(hours=24)]",
            "level = last[-1] if last else -1",
            "dose = 0 if not 0 <= level < 1.9 else 1 if level >= 1.5 else 2 if level >= 1 else 4",
            *_person(who.mrn), f"order = {order!r}",
            'order["subject"] = subject',
            'order["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"]["value"] = dose',
            "if dose:", '    create({"resourceType": "MedicationRequest", **order})', "submit(level)",
        ),
        AnswerSchema(kind="number", description=level("MG"), unit="mg/dL"),
        {"grader": "number", "params": {"abs_tol": 0.006}},
        (created("MedicationRequest", order),) if dose else (),
    )  # fmt: skip


def potassium(rng: np.random.Generator, chart: Chart, _: Sequence[Chart]) -> Draft | None:
    """Replace potassium in proportion to what is lacking, and order a control."""
    who = chart.person
    results = valid(chart, "K")
    if not results:
        return None
    value = results[-1].value
    dose = max(0, round((3.5 - value) * 10) * 10)
    if not dose and rng.random() < 0.6:
        return None
    order = _medication(chart, POTASSIUM, "oral", dose, "mEq", None)
    control = _service(chart, LOINC, POTASSIUM_TEST, TOMORROW)
    return Draft(
        Asked("potassium", who.mrn), "orders/potassium", who.mrn,
        f"Look up the most recent potassium level (code K) of the patient with MRN {who.mrn}. If it "
        "is below 3.5 mmol/L, order 10 mEq of potassium for each 0.1 mmol/L that it is below, in one "
        f"order. {_order_form(POTASSIUM, 'oral', 'mEq', 'no rate')} With it, order a "
        f"serum potassium for 8:00 tomorrow: {_service_form(LOINC, POTASSIUM_TEST)}, "
        f"occurrenceDateTime {TOMORROW}. If it is not low, order nothing. Submit the level in mmol/L.",
        Found(value, ((POTASSIUM, float(dose)), (POTASSIUM_TEST, 1.0)) if dose else ()),
        (
            *results_source("K", who.mrn), "level = results[-1][1]",
            "dose = max(0, round((3.5 - level) * 10) * 10)", *_person(who.mrn),
            f"order, control = {order!r}, {control!r}",
            'order["subject"] = control["subject"] = subject',
            'order["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"]["value"] = dose',
            "if dose:", '    create({"resourceType": "MedicationRequest", **order})',
            '    create({"resourceType": "ServiceRequest", **control})', "submit(level)",
        ),
        AnswerSchema(kind="number", description="in mmol/L", unit="mmol/L"),
        {"grader": "number", "params": {"abs_tol": 0.001}},
        (created("MedicationRequest", order), created("ServiceRequest", control)) if dose else (),
    )  # fmt: skip


def overdue(_: np.random.Generator, chart: Chart, __: Sequence[Chart]) -> Draft | None:
    """Report the last HbA1c, and order one where it is over a year old."""
    who = chart.person
    results = valid(chart, "A1C")
    if not results:
        return None
    last = results[-1]
    due = last.time < NOW.replace(year=NOW.year - 1)
    order = _service(chart, LOINC, A1C_TEST)
    return Draft(
        Asked("overdue", who.mrn), "orders/overdue", who.mrn,
        f"What is the last HbA1c (code A1C) of the patient with MRN {who.mrn}, and from which day is "
        f"it? If it is from before {moment(NOW.replace(year=NOW.year - 1))}, order a new one: "
        f"{_service_form(LOINC, A1C_TEST)}. Otherwise order nothing. Submit "
        '{"value": in %, "date": "YYYY-MM-DD"}.',
        Found(
            {"value": last.value, "date": last.time.date().isoformat()},
            ((A1C_TEST, 1.0),) if due else (),
        ),
        (
            *results_source("A1C", who.mrn), "time, level = results[-1]", *_person(who.mrn),
            f"order = {order!r}", 'order["subject"] = subject',
            "if time < now.replace(year=now.year - 1):",
            '    create({"resourceType": "ServiceRequest", **order})',
            'submit({"value": level, "date": time.date().isoformat()})',
        ),
        AnswerSchema(kind="record", description="value and date"),
        {"grader": "record", "params": {"parts": {
            "value": {"grader": "number", "params": {"abs_tol": 0.01}}, "date": {"grader": "date"},
        }}},
        (created("ServiceRequest", order),) if due else (),
    )  # fmt: skip


def referral(rng: np.random.Generator, chart: Chart, _: Sequence[Chart]) -> Draft:
    """Refer somebody, with a note word for word."""
    who = chart.person
    code, service, situation, finding = REFERRALS[rng.integers(len(REFERRALS))]
    text = f"Situation: {situation}. Background: {finding}. Request: please see and advise."
    note: JsonValue = [{"text": text}]
    order = {**_service(chart, SNOMED, code), "note": note}
    return Draft(
        Asked("referral", who.mrn, (code, text)), "orders/referral", who.mrn,
        f"Refer the patient with MRN {who.mrn} to {service}: {_service_form(SNOMED, code)}, and one "
        f'note that reads "{text}"',
        Found("done", ((code, 1.0),)), (*_person(who.mrn), *_create("ServiceRequest", order)),
        writes=(created("ServiceRequest", order),),
    )  # fmt: skip


def stop(rng: np.random.Generator, chart: Chart, _: Sequence[Chart]) -> Draft | None:
    """Stop a medication that is active."""
    who = chart.person
    active = [one for one in chart.orders if one.status == "active"]
    if not active:
        return None
    order = active[rng.integers(len(active))]
    return Draft(
        Asked("stop", who.mrn, (order.code,)), "orders/stop", who.mrn,
        f"Stop {order.name} (NDC {order.code}) of the patient with MRN {who.mrn}: set the status of "
        "its active MedicationRequest to stopped, and leave everything else in it as it is.",
        Found("done", ((order.key, 1.0),)),
        (
            f'(order,) = search("MedicationRequest", code={order.code!r}, status="active", '
            f'**{{"patient.identifier": {who.mrn!r}}})',
            'update({**order, "status": "stopped"})', 'submit("done")',
        ),
        writes=(_updated(chart, order.key, status="stopped"),),
    )  # fmt: skip


def mistaken(rng: np.random.Generator, chart: Chart, _: Sequence[Chart]) -> Draft | None:
    """Mark a result as entered in error."""
    who = chart.person
    results = valid(chart, ("GLU", "NA", "HGB")[rng.integers(3)])
    if not results:
        return None
    wrong = results[rng.integers(len(results))]
    time, code = moment(wrong.time), wrong.test.code
    return Draft(
        Asked("mistaken", who.mrn, (code, time)), "results/mistaken", who.mrn,
        f"The {wrong.test.name.lower()} result (code {code}) of {time} belongs to somebody else than "
        f"the patient with MRN {who.mrn}. Set its status to entered-in-error and leave everything "
        "else in it as it is.",
        Found("done", ((wrong.key, 1.0),)),
        (
            f'(wrong,) = search("Observation", code={code!r}, date={time!r}, '
            f'**{{"patient.identifier": {who.mrn!r}}})',
            'update({**wrong, "status": "entered-in-error"})', 'submit("done")',
        ),
        writes=(_updated(chart, wrong.key, status="entered-in-error"),),
    )  # fmt: skip


def _subject(chart: Chart) -> dict[str, JsonValue]:
    return {"reference": f"Patient/{chart.person.key}"}


def _medication(
    chart: Chart, code: str, route: str, dose: int, unit: str, rate: int | None
) -> dict[str, JsonValue]:
    amount: dict[str, JsonValue] = {"doseQuantity": {"value": dose, "unit": unit}}
    if rate is not None:
        amount["rateQuantity"] = {"value": rate, "unit": f"{unit}/h"}
    return {
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"coding": [{"system": NDC, "code": code}]},
        "subject": _subject(chart),
        "authoredOn": NOW_TEXT,
        "dosageInstruction": [{"route": {"text": route}, "doseAndRate": [amount]}],
    }


def _service(
    chart: Chart, system: str, code: str, occurrence: str | None = None
) -> dict[str, JsonValue]:
    return {
        "status": "active",
        "intent": "order",
        "priority": "stat",
        "code": {"coding": [{"system": system, "code": code}]},
        "subject": _subject(chart),
        "authoredOn": NOW_TEXT,
        **({"occurrenceDateTime": occurrence} if occurrence else {}),
    }


def _updated(chart: Chart, key: str, **changed: JsonValue) -> ExpectedWrite:
    (old,) = [one for one in resources(chart) if one["id"] == key]
    return ExpectedWrite(verb="update", kind=old["resourceType"], id=key, record={**old, **changed})


def _order_form(code: str, route: str, unit: str, rate: str) -> str:
    return (
        f"An order is a MedicationRequest: status active, intent order, authoredOn now, coding {code} "
        f'of system {NDC}; one dosageInstruction with route.text "{route}" and one doseAndRate '
        f"with the doseQuantity in {unit} and {rate}."
    )


def _service_form(system: str, code: str) -> str:
    return (
        "a ServiceRequest with status active, intent order, priority stat, authoredOn now, coding "
        f"{code} of system {system}"
    )


def _person(mrn: str) -> tuple[str, ...]:
    return (
        f'person = search("Patient", identifier={mrn!r})[0]',
        'subject = {"reference": "Patient/" + person["id"]}',
    )


def _create(kind: str, record: dict[str, JsonValue]) -> tuple[str, ...]:
    told = {name: part for name, part in record.items() if name != "subject"}
    return (
        f'create({{"resourceType": {kind!r}, "subject": subject, **{told!r}}})',
        'submit("done")',
    )
