"""The second path to each answer: from the server's own searches, knowing only what is asked.

Shares no code with the first, which goes by the charts that the resources were written from.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from benchside.fhir.outcome import Resource
from benchside.fhir.search import MAX_COUNT, search
from benchside.fhir.store import FhirStore
from benchside.suites.charts.draft import Asked, Found

PRESENT = "2024-05-06T09:30:00+00:00"
DAY_AGO = "2024-05-05T09:30:00+00:00"
YEAR_AGO = "2023-05-06T09:30:00+00:00"
PER_MMOL = {"MG": 2.431, "GLU": 18.016}
Level = tuple[str, float]


def second_answer(store: FhirStore, asked: Asked) -> Found:
    """Return what a store says to a request."""
    return _WAYS[asked.kind](store, asked)


def _all(store: FhirStore, kind: str, *query: tuple[str, str]) -> list[Resource]:
    found = search(store, kind, [*query, ("_count", str(MAX_COUNT))], "http://fhir")
    if found["total"] > MAX_COUNT:
        raise ValueError(f"{kind} {query}: {found['total']} match, which is more than a page")
    return [entry["resource"] for entry in found.get("entry", [])]


def _key(store: FhirStore, mrn: str) -> str:
    (person,) = _all(store, "Patient", ("identifier", mrn))
    return str(person["id"])


def _levels(store: FhirStore, mrn: str, code: str, since: str = "") -> list[Level]:
    """Time and value, newest first, in the test's own unit."""
    query = [("subject", f"Patient/{_key(store, mrn)}"), ("code", code), ("_sort", "-date")]
    query += [("status:not", "entered-in-error")] + ([("date", f"ge{since}")] if since else [])
    found = []
    for one in _all(store, "Observation", *query):
        value, unit = one["valueQuantity"]["value"], one["valueQuantity"]["unit"]
        times = PER_MMOL[code] if unit == "mmol/L" and code in PER_MMOL else 1
        found.append((one["effectiveDateTime"], value * times))
    return found


def _find(store: FhirStore, asked: Asked) -> Found:
    family, given, born = asked.detail
    people = _all(store, "Patient", ("name", family), ("birthdate", born))
    named = [
        one for one in people
        if one["name"][0]["family"] == family and given in one["name"][0]["given"]
    ]  # fmt: skip
    return Found(named[0]["identifier"][0]["value"] if named else "Patient not found")


def _age(store: FhirStore, asked: Asked) -> Found:
    (person,) = _all(store, "Patient", ("identifier", asked.subject))
    born, now = person["birthDate"], PRESENT[:10]
    return Found(int(now[:4]) - int(born[:4]) - (now[5:] < born[5:]))


def _newest(store: FhirStore, asked: Asked) -> Found:
    code, window = asked.detail
    levels = _levels(store, asked.subject, code, DAY_AGO if window else "")
    return Found(round(levels[0][1], 6) if levels else -1)


def _mean(store: FhirStore, asked: Asked) -> Found:
    values = [value for _, value in _levels(store, asked.subject, asked.detail[0], DAY_AGO)]
    return Found(round(sum(values) / len(values), 6) if values else -1)


def _problems(store: FhirStore, asked: Asked) -> Found:
    found = _all(store, "Condition", ("patient", _key(store, asked.subject)))
    active = [one for one in found if one["clinicalStatus"]["coding"][0]["code"] == "active"]
    return Found(sorted(one["code"]["coding"][0]["code"] for one in active))


def _procedure(store: FhirStore, asked: Asked) -> Found:
    key = _key(store, asked.subject)
    newest = _all(
        store, "Procedure", ("patient", key), ("code", asked.detail[0]), ("_sort", "-date")
    )
    return Found(newest[0]["performedDateTime"])


def _cohort(store: FhirStore, asked: Asked) -> Found:
    city, code, year = asked.detail
    people = _all(store, "Patient", ("address-city:exact", city), ("birthdate", f"lt{year}-01-01"))
    found = []
    for person in people:
        query = (("patient", person["id"]), ("code", code), ("clinical-status", "active"))
        if _all(store, "Condition", *query):
            found.append(person["identifier"][0]["value"])
    return Found(sorted(found))


def _magnesium(store: FhirStore, asked: Asked) -> Found:
    levels = _levels(store, asked.subject, "MG", DAY_AGO)
    if not levels:
        return Found(-1)
    level = levels[0][1]
    doses = [dose for limit, dose in ((1.0, 4.0), (1.5, 2.0), (1.9, 1.0)) if level < limit]
    return Found(round(level, 6), (("0338-1709-40", doses[0]),) if doses else ())


def _potassium(store: FhirStore, asked: Asked) -> Found:
    level = _levels(store, asked.subject, "K")[0][1]
    tenths = 35 - round(10 * level)
    if tenths <= 0:
        return Found(level)
    return Found(level, (("0245-0041-11", 10.0 * tenths), ("2823-3", 1.0)))


def _overdue(store: FhirStore, asked: Asked) -> Found:
    time, level = _levels(store, asked.subject, "A1C")[0]
    late = datetime.fromisoformat(time) < datetime.fromisoformat(YEAR_AGO)
    return Found({"value": level, "date": time[:10]}, (("4548-4", 1.0),) if late else ())


def _pressure(store: FhirStore, asked: Asked) -> Found:
    return Found("done", ((_key(store, asked.subject), 1.0),))


def _referral(store: FhirStore, asked: Asked) -> Found:
    _key(store, asked.subject)
    return Found("done", ((asked.detail[0], 1.0),))


def _stop(store: FhirStore, asked: Asked) -> Found:
    key = _key(store, asked.subject)
    query = (("patient", key), ("code", asked.detail[0]), ("status", "active"))
    (order,) = _all(store, "MedicationRequest", *query)
    return Found("done", ((order["id"], 1.0),))


def _mistaken(store: FhirStore, asked: Asked) -> Found:
    code, time = asked.detail
    query = (("patient", _key(store, asked.subject)), ("code", code), ("date", time))
    (wrong,) = _all(store, "Observation", *query)
    return Found("done", ((wrong["id"], 1.0),))


_WAYS: dict[str, Callable[[FhirStore, Asked], Found]] = {
    "find": _find, "age": _age, "newest": _newest, "mean": _mean, "problems": _problems,
    "procedure": _procedure, "cohort": _cohort, "magnesium": _magnesium,
    "potassium": _potassium, "overdue": _overdue, "pressure": _pressure, "referral": _referral,
    "stop": _stop, "mistaken": _mistaken,
}  # fmt: skip
