"""Search parameters: which there are for each type, and what of a resource they look at.

Paths are the elements' names; lists on the way are walked through. Source: the R4 search parameter
registry, https://hl7.org/fhir/R4/searchparameter-registry.html; `legal-sex` is Epic's.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from benchside.fhir.moments import MAX_MS, MIN_MS, interval
from benchside.fhir.outcome import Resource

Kind = Literal["string", "token", "date", "reference", "quantity"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One search parameter of one type.

    Args:
        targets: the types that a reference may lead to.
    """

    name: str
    kind: Kind
    paths: tuple[str, ...]
    targets: tuple[str, ...] = ()


class Entry(NamedTuple):
    """What the index keeps of a value.

    string: `text` folded, `code` as written
    token: `system`, `code`, `text` of the concept, folded
    date: `low`, `high` in ms
    reference: `system` the type, `code` the id
    quantity: `low` the number, `system`, `code`, `text` the unit
    """

    system: str | None = None
    code: str | None = None
    text: str | None = None
    low: float | None = None
    high: float | None = None


def _patient(*names: str) -> list[Parameter]:
    return [Parameter(name, "reference", ("subject", "patient"), ("Patient",)) for name in names]


def _token(name: str, *paths: str) -> Parameter:
    return Parameter(name, "token", paths or (name,))


def _string(name: str, *paths: str) -> Parameter:
    return Parameter(name, "string", paths)


def _date(name: str, *paths: str) -> Parameter:
    return Parameter(name, "date", paths)


_EVERY = [
    _token("_id", "id"),
    _token("identifier"),
    _date("_lastUpdated", "meta.lastUpdated"),
]
_ENCOUNTER = Parameter("encounter", "reference", ("encounter",), ("Encounter",))

_BY_TYPE: dict[str, list[Parameter]] = {
    "Patient": [
        _string("name", "name"),
        _string("family", "name.family"),
        _string("given", "name.given"),
        _date("birthdate", "birthDate"),
        _date("death-date", "deceasedDateTime"),
        _token("gender"),
        _token("legal-sex", "gender"),
        _token("active"),
        _token("telecom"),
        _token("phone", "telecom"),
        _string("address", "address"),
        _string("address-city", "address.city"),
        _string("address-state", "address.state"),
        _string("address-postalcode", "address.postalCode"),
        _string("address-country", "address.country"),
    ],
    "Observation": [
        *_patient("patient", "subject"),
        _ENCOUNTER,
        _token("code"),
        _token("category"),
        _token("status"),
        _date("date", "effectiveDateTime", "effectivePeriod", "effectiveInstant"),
        Parameter("value-quantity", "quantity", ("valueQuantity",)),
        _string("value-string", "valueString", "valueCodeableConcept.text"),
        _token("value-concept", "valueCodeableConcept"),
    ],
    "Condition": [
        *_patient("patient", "subject"),
        _ENCOUNTER,
        _token("code"),
        _token("category"),
        _token("clinical-status", "clinicalStatus"),
        _token("verification-status", "verificationStatus"),
        _date("onset-date", "onsetDateTime", "onsetPeriod"),
        _date("recorded-date", "recordedDate"),
    ],
    "MedicationRequest": [
        *_patient("patient", "subject"),
        _ENCOUNTER,
        _token("code", "medicationCodeableConcept"),
        _token("category"),
        _token("status"),
        _token("intent"),
        _token("priority"),
        _date("authoredon", "authoredOn"),
        _date("date", "dosageInstruction.timing.event", "authoredOn"),
    ],
    "Procedure": [
        *_patient("patient", "subject"),
        _ENCOUNTER,
        _token("code"),
        _token("category"),
        _token("status"),
        _date("date", "performedDateTime", "performedPeriod"),
    ],
    "ServiceRequest": [
        *_patient("patient", "subject"),
        _ENCOUNTER,
        _token("code"),
        _token("category"),
        _token("status"),
        _token("intent"),
        _token("priority"),
        _date("authored", "authoredOn"),
        _date("occurrence", "occurrenceDateTime", "occurrencePeriod"),
    ],
    "Encounter": [
        *_patient("patient", "subject"),
        _token("class"),
        _token("type"),
        _token("status"),
        _date("date", "period"),
    ],
    "AllergyIntolerance": [
        *_patient("patient"),
        _token("code"),
        _token("category"),
        _token("criticality"),
        _token("clinical-status", "clinicalStatus"),
        _date("date", "recordedDate"),
    ],
}

PARAMETERS: dict[str, dict[str, Parameter]] = {
    kind: {parameter.name: parameter for parameter in [*_EVERY, *own]}
    for kind, own in _BY_TYPE.items()
}
"""Type → name → parameter; its keys are the types that the server knows."""


def entries(resource: Resource) -> Iterator[tuple[str, Entry]]:
    """Yield what the index keeps of a resource, each with its parameter's name."""
    for parameter in PARAMETERS[resource["resourceType"]].values():
        for path in parameter.paths:
            for value in _walk(resource, path.split(".")):
                for entry in _READERS[parameter.kind](value):
                    yield parameter.name, entry


def fold(text: str) -> str:
    """Return text without case and accents, as strings are compared."""
    plain = unicodedata.normalize("NFKD", text)
    return "".join(char for char in plain if not unicodedata.combining(char)).casefold()


def local_reference(text: str) -> tuple[str, str] | None:
    """Return type and id of a reference to a resource, absolute or relative; None for others."""
    parts = text.partition("/_history/")[0].rstrip("/").split("/")
    if len(parts) < 2 or parts[-2] not in PARAMETERS:
        return None
    return parts[-2], parts[-1]


def _walk(value: Any, path: list[str]) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _walk(item, path)
    elif not path:
        yield value
    elif isinstance(value, dict) and path[0] in value:
        yield from _walk(value[path[0]], path[1:])


def _strings(value: Any) -> Iterator[Entry]:
    if isinstance(value, str):
        yield Entry(code=value, text=fold(value))
    elif isinstance(value, dict):  # a name or an address: each of its parts
        for name, part in value.items():
            if name in ("use", "type", "period", "extension", "id"):
                continue
            for text in part if isinstance(part, list) else [part]:
                yield from _strings(text)


def _tokens(value: Any) -> Iterator[Entry]:
    if isinstance(value, bool):
        yield Entry(code=str(value).lower())
    elif isinstance(value, str):
        yield Entry(code=value)
    elif isinstance(value, dict) and ("coding" in value or "text" in value):
        text = value.get("text")
        for coding in value.get("coding") or [{}]:
            said = fold(text or coding.get("display") or "") or None
            yield Entry(coding.get("system"), coding.get("code"), said)
    elif isinstance(value, dict):  # coding, identifier or contact point
        system = value.get("system")
        yield Entry(system, value.get("code", value.get("value")), fold(value.get("display") or ""))


def _dates(value: Any) -> Iterator[Entry]:
    if isinstance(value, str):
        low, high = interval(value)
        yield Entry(low=low, high=high)
    elif isinstance(value, dict):
        start, end = value.get("start"), value.get("end")
        low = interval(start).low if start else MIN_MS
        yield Entry(low=low, high=interval(end).high if end else MAX_MS)


def _references(value: Any) -> Iterator[Entry]:
    target = local_reference(value.get("reference", "")) if isinstance(value, dict) else None
    if target is not None:
        yield Entry(target[0], target[1])


def _quantities(value: Any) -> Iterator[Entry]:
    number = value.get("value") if isinstance(value, dict) else None
    if isinstance(number, int | float) and abs(number) < 1e300:
        yield Entry(value.get("system"), value.get("code"), value.get("unit"), float(number))


_READERS = {
    "string": _strings,
    "token": _tokens,
    "date": _dates,
    "reference": _references,
    "quantity": _quantities,
}
