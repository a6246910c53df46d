"""A chart as FHIR resources."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from benchside.fhir.outcome import Resource
from benchside.suites.charts.chart import Chart, Result

MRN_SYSTEM = "http://benchside.example/mrn"
LAB_SYSTEM = "http://benchside.example/lab"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
NDC = "http://hl7.org/fhir/sid/ndc"
SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"


def moment(time: datetime) -> str:
    """Return a time as FHIR writes it."""
    return time.isoformat(timespec="seconds")


def resources(chart: Chart) -> Iterator[Resource]:
    """Yield the person and all that is charted."""
    person = chart.person
    yield {
        "resourceType": "Patient", "id": person.key,
        "identifier": [{"use": "usual", "system": MRN_SYSTEM, "value": person.mrn}],
        "name": [{"use": "official", "family": person.family, "given": [person.given]}],
        "gender": person.sex, "birthDate": person.born.isoformat(),
        "address": [{"city": person.city, "country": "US"}],
        "telecom": [{"system": "phone", "value": person.phone, "use": "home"}],
    }  # fmt: skip
    subject = {"reference": f"Patient/{person.key}"}
    for result in chart.results:
        yield _observation(result, subject)
    for problem in chart.problems:
        yield {
            "resourceType": "Condition", "id": problem.key, "subject": subject,
            "category": [_concept(
                "http://terminology.hl7.org/CodeSystem/condition-category", "problem-list-item"
            )],
            "clinicalStatus": _concept(_CLINICAL, "active" if problem.active else "resolved"),
            "code": _concept(ICD, problem.code, problem.name),
            "onsetDateTime": problem.onset.isoformat(),
        }  # fmt: skip
    for order in chart.orders:
        yield {
            "resourceType": "MedicationRequest", "id": order.key, "subject": subject,
            "status": order.status, "intent": "order", "authoredOn": moment(order.authored),
            "medicationCodeableConcept": _concept(NDC, order.code, order.name),
        }  # fmt: skip
    for done in chart.procedures:
        yield {
            "resourceType": "Procedure", "id": done.key, "subject": subject, "status": "completed",
            "code": _concept(SNOMED, done.code, done.name),
            "performedDateTime": done.day.isoformat(),
        }  # fmt: skip


def _observation(result: Result, subject: Resource) -> Resource:
    return {
        "resourceType": "Observation", "id": result.key, "subject": subject,
        "status": "entered-in-error" if result.void else "final",
        "category": [_concept(CATEGORY, "laboratory")],
        "code": _concept(LAB_SYSTEM, result.test.code, result.test.name),
        "effectiveDateTime": moment(result.time),
        "valueQuantity": {"value": result.value, "unit": result.unit},
    }  # fmt: skip


def _concept(system: str, code: str, name: str | None = None) -> Resource:
    coding = {"system": system, "code": code}
    return {"coding": [coding | ({"display": name} if name else {})]} | (
        {"text": name} if name else {}
    )
