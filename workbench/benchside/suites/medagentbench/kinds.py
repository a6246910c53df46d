"""The ten types: answer, records to be written, and the solution, from a request and a reader.

Doses and times are those of the published texts. Where these leave something open it stands in
`NOTES` and the prompt says it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from pydantic import JsonValue

from benchside.graders.charted import ExpectedWrite
from benchside.suites.charts.draft import created
from benchside.suites.medagentbench.levels import Level, Reader
from benchside.suites.medagentbench.published import Request
from benchside.task import AnswerSchema

DONE = AnswerSchema(kind="text", description='"done" when the records are as asked')
NDC, LOINC, SNOMED = "http://hl7.org/fhir/sid/ndc", "http://loinc.org", "http://snomed.info/sct"
CATEGORY = "http://hl7.org/fhir/observation-category"
MAGNESIUM, POTASSIUM = "0338-1715-40", "40032-917-01"
REFERRAL, POTASSIUM_TEST, A1C_TEST = "306181000000106", "2823-3", "4548-4"

NEED_RESULTS = frozenset({4, 5, 6, 7, 9, 10})
"""The types that cannot be answered without Observations."""

CATEGORIES = {
    1: "patients/find", 2: "patients/age", 3: "vital signs/record", 4: "results/magnesium",
    5: "orders/magnesium", 6: "results/mean glucose", 7: "results/newest glucose",
    8: "orders/referral", 9: "orders/potassium", 10: "orders/overdue HbA1c",
}  # fmt: skip

_SERVICE = (
    "A service is ordered as a ServiceRequest: status active, intent order, priority stat, "
    "authoredOn now, code.coding with system {system}"
)
_DRUG = (
    f"A medication is ordered as a MedicationRequest: status active, intent order, authoredOn now, "
    f"medicationCodeableConcept.coding with system {NDC}; one dosageInstruction with route.text "
    '"{route}" and one doseAndRate with doseQuantity in {unit}{rate}.'
)
NOTES = {
    3: "Record it as one Observation: status final, effectiveDateTime now, the reading as "
    f"valueString as it is written above, category.coding vital-signs of system {CATEGORY}, and "
    'code.text "BP", which is the flowsheet ID.',
    5: _DRUG.format(route="IV", unit="g", rate=" and rateQuantity in h: the hours")
    + " A level of 1.9 is low. Submit the level in mg/dL, or -1 if there is none.",
    8: _SERVICE.format(system=SNOMED) + "; the free text is the text of its one note.",
    9: _DRUG.format(route="oral", unit="mEq", rate="")
    + " "
    + _SERVICE.format(system=LOINC)
    + ", and occurrenceDateTime. Submit the level.",
    10: _SERVICE.format(system=LOINC) + '. Submit {"value": in %, "date": "YYYY-MM-DD"}.',
}


class Solved(NamedTuple):
    """What a request comes to; `solution` are the lines of its last cell."""

    answer: JsonValue
    schema: AnswerSchema
    grader: dict[str, JsonValue] | None
    writes: tuple[ExpectedWrite, ...]
    solution: tuple[str, ...]


def solve(request: Request, reader: Reader) -> Solved | None:
    """Return what a request comes to by one way of reading; None where the text leaves it open."""
    return _SOLVERS[request.type](request, reader)


def _find(request: Request, reader: Reader) -> Solved | None:
    people = reader.find(request.name, request.born)
    if len(people) > 1:
        return None
    lines = (
        f'people = search("Patient", name={request.name.split()!r}, birthdate={request.born!r})',
        'submit(people[0]["id"] if people else "Patient not found")',
    )
    answer = people[0] if people else "Patient not found"
    return Solved(answer, AnswerSchema(kind="text"), {"grader": "text"}, (), lines)


def _age(request: Request, reader: Reader) -> Solved:
    now, born = (request.now or "")[:10], reader.born(str(request.mrn))
    years = int(now[:4]) - int(born[:4]) - (now[5:] < born[5:])
    lines = (
        f'born = fhir.get("/Patient/{request.mrn}").json()["birthDate"]', f"now = {now!r}",
        "submit(int(now[:4]) - int(born[:4]) - (now[5:] < born[5:]))",
    )  # fmt: skip
    schema = AnswerSchema(kind="integer", description="years")
    return Solved(years, schema, {"grader": "integer"}, (), lines)


def _pressure(request: Request, reader: Reader) -> Solved:
    reader.born(str(request.mrn))
    record: dict[str, JsonValue] = {
        "category": [{"coding": [{"system": CATEGORY, "code": "vital-signs"}]}],
        "code": {"text": "BP"},
        "effectiveDateTime": request.now,
        "status": "final",
        "valueString": request.text,
        "subject": {"reference": f"Patient/{request.mrn}"},
    }
    return _written("Observation", record)


def _referral(request: Request, reader: Reader) -> Solved:
    reader.born(str(request.mrn))
    order = _service(request, SNOMED, REFERRAL)
    return _written("ServiceRequest", {**order, "note": [{"text": request.text}]})


def _newest(request: Request, reader: Reader) -> Solved | None:
    code, days = ("MG", 1) if request.type == 4 else ("GLU", None)
    levels = _in_mg(_recent(request, reader.levels(str(request.mrn), code), days))
    if levels is None:
        return None
    window = (*_LAST_DAY,) if days else ()
    lines = (*_results(request, code), *window, "submit(results[-1][1] if results else -1)")
    return _number(levels[-1] if levels else -1, lines)


def _mean(request: Request, reader: Reader) -> Solved | None:
    levels = _in_mg(_recent(request, reader.levels(str(request.mrn), "GLU"), 1))
    if levels is None:
        return None
    lines = (
        *_results(request, "GLU"), *_LAST_DAY, "values = [value for _, value in results]",
        "submit(sum(values) / len(values) if values else -1)",
    )  # fmt: skip
    return _number(sum(levels) / len(levels) if levels else -1, lines, 0.1)


def _magnesium(request: Request, reader: Reader) -> Solved | None:
    levels = _in_mg(_recent(request, reader.levels(str(request.mrn), "MG"), 1))
    if levels is None:
        return None
    level = levels[-1] if levels else -1.0
    dose = 0 if not levels or level > 1.9 else 1 if level >= 1.5 else 2 if level >= 1 else 4
    hours: dict[str, JsonValue] = {"rateQuantity": {"value": dose, "unit": "h"}}
    order = _drug(request, MAGNESIUM, "IV", {"value": dose, "unit": "g"}, hours)
    lines = (
        *_results(request, "MG"), *_LAST_DAY, "level = results[-1][1] if results else -1",
        "dose = 0 if not 0 <= level <= 1.9 else 1 if level >= 1.5 else 2 if level >= 1 else 4",
        f"order = {order!r}", 'amount = order["dosageInstruction"][0]["doseAndRate"][0]',
        'amount["doseQuantity"]["value"] = amount["rateQuantity"]["value"] = dose', "if dose:",
        '    create({"resourceType": "MedicationRequest", **order})', "submit(level)",
    )  # fmt: skip
    return _number(level, lines, 0.005, (created("MedicationRequest", order),) if dose else ())


def _potassium(request: Request, reader: Reader) -> Solved | None:
    levels = reader.levels(str(request.mrn), "K")
    if not levels:
        return None
    level = levels[-1].value
    dose = max(0.0, round((3.5 - level) * 100, 6))
    order = _drug(request, POTASSIUM, "oral", {"value": dose, "unit": "mEq"}, {})
    morning = datetime.fromisoformat(str(request.now)) + timedelta(days=1)
    control = {
        **_service(request, LOINC, POTASSIUM_TEST),
        "occurrenceDateTime": morning.replace(hour=8, minute=0, second=0).isoformat(),
    }
    lines = (
        *_results(request, "K"), "level = results[-1][1]",
        "dose = max(0.0, round((3.5 - level) * 100, 6))",
        f"order, control = {order!r}, {control!r}",
        'order["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"]["value"] = dose',
        "if dose:", '    create({"resourceType": "MedicationRequest", **order})',
        '    create({"resourceType": "ServiceRequest", **control})', "submit(level)",
    )  # fmt: skip
    writes = (created("MedicationRequest", order), created("ServiceRequest", control))
    return _number(level, lines, 0.005, writes if dose else ())


def _overdue(request: Request, reader: Reader) -> Solved | None:
    levels = reader.levels(str(request.mrn), "A1C")
    if not levels:
        return None  # the text does not say whether a test is to be ordered then
    now = datetime.fromisoformat(str(request.now))
    due = levels[-1].time < now.replace(year=now.year - 1)
    order = _service(request, LOINC, A1C_TEST)
    lines = (
        *_results(request, "A1C"), "time, level = results[-1]", f"order = {order!r}",
        "if time < now.replace(year=now.year - 1):",
        '    create({"resourceType": "ServiceRequest", **order})',
        'submit({"value": level, "date": time.date().isoformat()})',
    )  # fmt: skip
    number: JsonValue = {"grader": "number", "params": {"abs_tol": 0.005}}
    parts: JsonValue = {"value": number, "date": {"grader": "date"}}
    return Solved(
        {"value": levels[-1].value, "date": levels[-1].time.date().isoformat()},
        AnswerSchema(kind="record", description="value and date"),
        {"grader": "record", "params": {"parts": parts}},
        (created("ServiceRequest", order),) if due else (), lines,
    )  # fmt: skip


_SOLVERS = {
    1: _find, 2: _age, 3: _pressure, 4: _newest, 5: _magnesium, 6: _mean, 7: _newest, 8: _referral,
    9: _potassium, 10: _overdue,
}  # fmt: skip

_LAST_DAY = ("results = [one for one in results if one[0] >= now - timedelta(hours=24)]",)


def _results(request: Request, code: str) -> tuple[str, ...]:
    return (
        f'found = search("Observation", patient={request.mrn!r}, code={code!r})',
        "results = sorted((datetime.fromisoformat(one['effectiveDateTime']), "
        "one['valueQuantity']['value']) for one in found)",
        f"now = datetime.fromisoformat({request.now!r})",
    )


def _recent(request: Request, levels: Sequence[Level], days: int | None) -> list[Level]:
    now = datetime.fromisoformat(str(request.now))
    return [one for one in levels if days is None or one.time >= now - timedelta(days=days)]


def _in_mg(levels: Sequence[Level]) -> list[float] | None:
    """Values in mg/dL; None where one is in a unit that the published texts do not convert."""
    if any(one.unit.casefold() not in ("mg/dl", "") for one in levels):
        return None
    return [one.value for one in levels]


def _number(
    value: float, lines: tuple[str, ...], tolerance: float = 0.005,
    writes: tuple[ExpectedWrite, ...] = (),
) -> Solved:  # fmt: skip
    grader: dict[str, JsonValue] = {"grader": "number", "params": {"abs_tol": tolerance}}
    return Solved(value, AnswerSchema(kind="number"), grader, writes, lines)


def _written(kind: str, record: dict[str, JsonValue]) -> Solved:
    lines = (f"create({{'resourceType': {kind!r}, **{record!r}}})", 'submit("done")')
    return Solved("done", DONE, None, (created(kind, record),), lines)


def _service(request: Request, system: str, code: str) -> dict[str, JsonValue]:
    return {
        "code": {"coding": [{"system": system, "code": code}]},
        "authoredOn": request.now,
        "status": "active",
        "intent": "order",
        "priority": "stat",
        "subject": {"reference": f"Patient/{request.mrn}"},
    }


def _drug(
    request: Request, code: str, route: str, dose: JsonValue, rate: dict[str, JsonValue]
) -> dict[str, JsonValue]:
    return {
        "medicationCodeableConcept": {"coding": [{"system": NDC, "code": code}]},
        "authoredOn": request.now,
        "dosageInstruction": [
            {"route": {"text": route}, "doseAndRate": [{"doseQuantity": dose, **rate}]}
        ],
        "status": "active",
        "intent": "order",
        "subject": {"reference": f"Patient/{request.mrn}"},
    }
