"""What a patient's resources say, by the server's searches and by going through all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from benchside.errors import InputError
from benchside.fhir.outcome import Resource
from benchside.fhir.search import search
from benchside.fhir.store import FhirStore


class Level(NamedTuple):
    """A result: when, and its value in the unit it was written in."""

    time: datetime
    value: float
    unit: str


class Reader(Protocol):
    """One way to come to what is charted."""

    def has(self, mrn: str) -> bool:
        """Tell whether there is such a patient."""
        ...

    def born(self, mrn: str) -> str:
        """Return the birth date of a patient that is there."""
        ...

    def find(self, name: str, born: str) -> list[str]:
        """Return the MRNs of the people of this name and birth date."""
        ...

    def levels(self, mrn: str, code: str) -> list[Level]:
        """Return results, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class Searching:
    """By the server's searches."""

    store: FhirStore

    def has(self, mrn: str) -> bool:
        """See `Reader`."""
        return self.store.find("Patient", mrn) is not None

    def born(self, mrn: str) -> str:
        """See `Reader`."""
        return str(self.store.read("Patient", mrn)["birthDate"])

    def find(self, name: str, born: str) -> list[str]:
        """See `Reader`."""
        query = [*(("name", part) for part in name.split()), ("birthdate", born)]
        return [one["id"] for one in _pages(self.store, "Patient", query)]

    def levels(self, mrn: str, code: str) -> list[Level]:
        """See `Reader`."""
        query = [("patient", mrn), ("code", code), ("_sort", "date")]
        return [_level(one) for one in _pages(self.store, "Observation", query)]


@dataclass(frozen=True, slots=True)
class Scanning:
    """By going through the resources, which lie by type and patient."""

    patients: Mapping[str, Resource]
    observations: Mapping[str, Sequence[Resource]]

    def has(self, mrn: str) -> bool:
        """See `Reader`."""
        return mrn in self.patients

    def born(self, mrn: str) -> str:
        """See `Reader`."""
        return str(self.patients[mrn]["birthDate"])

    def find(self, name: str, born: str) -> list[str]:
        """See `Reader`."""
        return [
            mrn
            for mrn, one in self.patients.items()
            if one["birthDate"] == born
            and any(f"{' '.join(n['given'])} {n['family']}" == name for n in one["name"])
        ]

    def levels(self, mrn: str, code: str) -> list[Level]:
        """See `Reader`."""
        found = [
            _level(one)
            for one in self.observations.get(mrn, ())
            if any(coding.get("code") == code for coding in one["code"].get("coding", ()))
        ]
        return sorted(found, key=lambda level: level.time)


def scanning(resources: Sequence[Resource]) -> Scanning:
    """Return the second way over the same resources."""
    observations: dict[str, list[Resource]] = {}
    for one in resources:
        if one["resourceType"] == "Observation":
            owner = one["subject"]["reference"].rpartition("/")[2]
            observations.setdefault(owner, []).append(one)
    patients = {one["id"]: one for one in resources if one["resourceType"] == "Patient"}
    return Scanning(patients, observations)


def _pages(store: FhirStore, kind: str, query: list[tuple[str, str]]) -> list[Resource]:
    found: list[Resource] = []
    while True:
        page = search(
            store, kind, [*query, ("_count", "500"), ("_offset", str(len(found)))], "http://fhir"
        )
        found += [entry["resource"] for entry in page.get("entry", [])]
        if len(found) >= page["total"]:
            return found


def _level(resource: Resource) -> Level:
    try:
        quantity = resource["valueQuantity"]
        time = datetime.fromisoformat(resource["effectiveDateTime"])
        return Level(time, float(quantity["value"]), str(quantity.get("unit", "")))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"a laboratory result cannot be read: {type(error).__name__} {error}",
            where=f"Observation/{resource.get('id')}",
            fix="results need effectiveDateTime and valueQuantity",
        ) from None
