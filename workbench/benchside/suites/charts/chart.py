"""Made-up charts: people with laboratory results, problems, medication orders and procedures.

A chart is plain data; `resources` writes it as FHIR, `gold` answers questions from it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import numpy as np

NOW = datetime(2024, 5, 6, 9, 30, tzinfo=UTC)

FAMILIES = (
    "Abara", "Adler", "Alvarez", "Bakker", "Banerjee", "Baptiste", "Berg", "Castillo", "Chen",
    "Costa", "Dang", "Dubois", "Eriksen", "Farah", "Fischer", "Fontaine", "Garcia", "Haddad",
    "Hansen", "Hoang", "Ito", "Ivanova", "Jensen", "Kaur", "Kim", "Kowalski", "Larsen", "Lopez",
    "Mbeki", "Meyer", "Moreau", "Nakamura", "Nilsson", "Novak", "Okafor", "Olsen", "Osei",
    "Park", "Patel", "Petrov", "Quinn", "Rahman", "Reyes", "Rossi", "Sato", "Schmidt", "Silva",
    "Singh", "Tanaka", "Thomsen", "Torres", "Usman", "Vargas", "Virtanen", "Wagner", "Weber",
    "Yamada", "Yilmaz", "Zhang", "Ziegler",
)  # fmt: skip
GIVEN = {
    "female": (
        "Ada", "Amina", "Anna", "Bianca", "Carmen", "Chloe", "Clara", "Daria", "Elena", "Emma",
        "Fatima", "Grace", "Hana", "Ines", "Irene", "Julia", "Keiko", "Laila", "Lena", "Maria",
        "Mei", "Nadia", "Nora", "Olga", "Priya", "Rosa", "Ruth", "Sara", "Sofia", "Vera",
    ),
    "male": (
        "Adam", "Ali", "Anton", "Ben", "Carlos", "Daniel", "David", "Emil", "Felix", "Hugo",
        "Ivan", "Jakob", "Jamal", "Jonas", "Kenji", "Lars", "Leo", "Luis", "Marco", "Milan",
        "Noah", "Omar", "Oscar", "Paul", "Ravi", "Samuel", "Tariq", "Theo", "Victor", "Yusuf",
    ),
}  # fmt: skip
CITIES = (
    "Ashford", "Brookdale", "Cedar Falls", "Dunmore", "Eastlake", "Fairview", "Glenwood", "Harwick",
    "Inverness", "Juniper", "Kingsley", "Lakemont",
)  # fmt: skip


class Test(NamedTuple):
    """A laboratory test; `per_mmol` is what 1 mmol/L makes in `unit`, where both are in use."""

    code: str
    name: str
    unit: str
    mean: float
    spread: float
    digits: int
    per_mmol: float | None = None


TESTS = (
    Test("MG", "Magnesium", "mg/dL", 1.75, 0.5, 2, 2.431),
    Test("GLU", "Glucose", "mg/dL", 142, 45, 0, 18.016),
    Test("K", "Potassium", "mmol/L", 3.7, 0.5, 1),
    Test("A1C", "Hemoglobin A1c", "%", 6.9, 1.3, 1),
    Test("NA", "Sodium", "mmol/L", 139, 4, 0),
    Test("HGB", "Hemoglobin", "g/dL", 12.6, 1.8, 1),
)
BY_CODE = {test.code: test for test in TESTS}

PROBLEMS = (
    ("I10", "Essential hypertension"),
    ("E11.9", "Type 2 diabetes mellitus"),
    ("J45.909", "Asthma"),
    ("N18.30", "Chronic kidney disease, stage 3"),
    ("I48.91", "Atrial fibrillation"),
    ("F32.A", "Depression"),
    ("M17.9", "Osteoarthritis of knee"),
    ("K21.9", "Gastro-esophageal reflux disease"),
    ("E78.5", "Hyperlipidemia"),
    ("J44.9", "Chronic obstructive pulmonary disease"),
    ("D64.9", "Anemia"),
    ("G47.33", "Obstructive sleep apnea"),
)
DRUGS = (
    ("0093-1048-01", "Metformin 500 mg tablet"),
    ("68180-513-01", "Lisinopril 10 mg tablet"),
    ("0071-0155-23", "Atorvastatin 10 mg tablet"),
    ("0378-0208-10", "Furosemide 20 mg tablet"),
    ("0591-0405-01", "Lorazepam 0.5 mg tablet"),
    ("0186-5020-31", "Omeprazole 20 mg capsule"),
    ("0003-0893-21", "Apixaban 2.5 mg tablet"),
    ("0378-0018-01", "Metoprolol 50 mg tablet"),
    ("0093-0058-01", "Tramadol 50 mg tablet"),
    ("16729-0168-01", "Escitalopram 5 mg tablet"),
)
PROCEDURES = (
    ("73761001", "Colonoscopy"),
    ("40701008", "Echocardiography"),
    ("169069000", "Computed tomography of chest"),
    ("71651007", "Mammography"),
    ("46680005", "Vital signs monitoring"),
    ("29303009", "Electrocardiographic procedure"),
)


@dataclass(frozen=True, slots=True)
class Person:
    """Who the chart is about; `key` is the id of the resource, `mrn` what people use."""

    key: str
    mrn: str
    family: str
    given: str
    sex: str
    born: date
    city: str
    phone: str


@dataclass(frozen=True, slots=True)
class Result:
    """A laboratory result as written down; `void`: it was entered in error."""

    key: str
    test: Test
    time: datetime
    value: float
    unit: str
    void: bool = False

    @property
    def converted(self) -> float:
        """The value in the test's own unit."""
        if self.unit == self.test.unit:
            return self.value
        assert self.test.per_mmol is not None  # no other unit is in use
        return self.value * self.test.per_mmol


@dataclass(frozen=True, slots=True)
class Problem:
    """An entry of the problem list."""

    key: str
    code: str
    name: str
    onset: date
    active: bool


@dataclass(frozen=True, slots=True)
class Order:
    """A medication order."""

    key: str
    code: str
    name: str
    authored: datetime
    status: str


@dataclass(frozen=True, slots=True)
class Done:
    """A procedure that was performed."""

    key: str
    code: str
    name: str
    day: date


@dataclass(frozen=True, slots=True)
class Chart:
    """All that is known of a person."""

    person: Person
    results: tuple[Result, ...]
    problems: tuple[Problem, ...]
    orders: tuple[Order, ...]
    procedures: tuple[Done, ...]


def make_charts(count: int, seed: int) -> list[Chart]:
    """Return charts of so many people, all MRNs and pairs of name and birth date distinct."""
    rng = np.random.default_rng([seed, count, 911])
    mrns = rng.choice(9_000_000, count, replace=False) + 1_000_000
    seen: set[tuple[str, str, date]] = set()
    charts = []
    for index in range(count):
        person = _person(rng, index, f"M{mrns[index]}")
        while (person.family, person.given, person.born) in seen:
            person = _person(rng, index, person.mrn)
        seen.add((person.family, person.given, person.born))
        charts.append(_chart(rng, person))
    return charts


def _person(rng: np.random.Generator, index: int, mrn: str) -> Person:
    sex = ("female", "male")[rng.integers(2)]
    return Person(
        key=f"p{index:05d}", mrn=mrn, family=FAMILIES[rng.integers(len(FAMILIES))],
        given=GIVEN[sex][rng.integers(len(GIVEN[sex]))], sex=sex,
        born=date(1929, 1, 1) + timedelta(days=int(rng.integers(0, 28_000))),
        city=CITIES[rng.integers(len(CITIES))],
        phone=f"{rng.integers(200, 999)}-555-{rng.integers(100, 9999):04d}",
    )  # fmt: skip


def _chart(rng: np.random.Generator, person: Person) -> Chart:
    results: list[Result] = []
    for test in TESTS:
        results += _results(rng, test, person.key, len(results))
    picked = rng.choice(len(PROBLEMS), int(rng.integers(2, 6)), replace=False)
    problems = tuple(
        Problem(
            f"{person.key}-c{n}", *PROBLEMS[which], active=bool(rng.random() < 0.7),
            onset=NOW.date() - timedelta(days=int(rng.integers(60, 6000))),
        )
        for n, which in enumerate(picked)
    )  # fmt: skip
    drugs = rng.choice(len(DRUGS), int(rng.integers(3, 7)), replace=False)
    orders = tuple(
        Order(
            f"{person.key}-m{n}", *DRUGS[which], authored=_before(rng, 400 * 24 * 60),
            status=("active", "active", "active", "completed", "stopped")[rng.integers(5)],
        )
        for n, which in enumerate(drugs)
    )  # fmt: skip
    done = rng.choice(len(PROCEDURES), int(rng.integers(2, 7)), replace=True)
    days = rng.choice(1500, len(done), replace=False)
    procedures = tuple(
        Done(
            f"{person.key}-p{n}", *PROCEDURES[which], NOW.date() - timedelta(days=int(days[n]) + 1)
        )
        for n, which in enumerate(done)
    )
    return Chart(person, tuple(results), problems, orders, procedures)


def _results(rng: np.random.Generator, test: Test, owner: str, first: int) -> list[Result]:
    """Results of one test, at distinct minutes; the last day may hold none, one or several."""
    reach_h = {"A1C": 24 * 900}.get(test.code, 24 * 6)
    count = int(rng.integers(2, 5)) if test.code == "A1C" else int(rng.integers(4, 11))
    minutes = rng.choice(reach_h * 60, count, replace=False) + 5
    minutes[0] = rng.integers(5, 23 * 60) if test.code != "A1C" else minutes[0]
    if rng.random() < 0.06 and test.code != "A1C":  # nothing in the last day
        minutes = minutes + 24 * 60
    found = []
    for n, ago in enumerate(sorted(set(minutes.tolist()), reverse=True)):
        value = max(rng.normal(test.mean, test.spread), test.mean / 4)
        unit, digits = test.unit, test.digits
        if test.per_mmol is not None and rng.random() < 0.3:
            value, unit, digits = value / test.per_mmol, "mmol/L", test.digits + 1
        found.append(
            Result(
                f"{owner}-o{first + n}", test, NOW - timedelta(minutes=int(ago)),
                round(float(value), digits), unit,
            )
        )  # fmt: skip
    if len(found) > 2 and rng.random() < 0.25:
        found[-1] = replace(found[-1], void=True)
    return found


def _before(rng: np.random.Generator, minutes: int) -> datetime:
    return NOW - timedelta(minutes=int(rng.integers(24 * 60, minutes)))
