"""Structured patients: what a note is written from, and what the gold is computed from.

A patient is drawn for one calculator. Each measured value is rounded as the note will show it, in
the unit that the note will show, so that the gold follows from what can be read.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from benchside.calculators import Calculator, Choice, Day, Doses, Flag, Measured, Quantity
from benchside.suites.medcalc_notes.findings import FAMILIAL, GRADED, INVERTED, PHRASES
from benchside.suites.medcalc_notes.measurements import MEASUREMENTS, RANGES, Way

Rule: TypeAlias = Literal["latest", "first"]
State: TypeAlias = Literal["present", "denied", "familial"]
MANY = 12  # criteria of a calculator, of which patients then have fewer
BODY = frozenset({"body-mass-index", "body-surface-area", "maintenance-fluids"})
STEROIDS: Mapping[str, str] = {
    "Betamethasone IV": "betamethasone", "Cortisone PO": "cortisone",
    "Dexamethasone PO": "dexamethasone", "Hydrocortisone PO": "hydrocortisone",
    "MethylPrednisoLONE PO": "methylprednisolone", "PrednisoLONE PO": "prednisolone",
    "PredniSONE PO": "prednisone", "Triamcinolone IV": "triamcinolone",
}  # fmt: skip
OPIOIDS: Mapping[str, tuple[str, tuple[int, ...]]] = {
    "Codeine": ("codeine", (15, 30, 60)), "HYDROcodone": ("hydrocodone", (5, 10, 15)),
    "HYDROmorphone": ("hydromorphone", (2, 4, 8)), "Methadone": ("methadone", (5, 10)),
    "Morphine": ("morphine", (15, 30, 45)), "OxyCODONE": ("oxycodone", (5, 10, 20, 30)),
    "OxyMORphone": ("oxymorphone", (5, 10)), "Tapentadol": ("tapentadol", (50, 75, 100)),
    "TraMADol": ("tramadol", (50, 100)),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reading:
    """One measured value on one day.

    Args:
        text: the number as the note shows it; `value` is the same as a float.
        way: the unit with its spellings.
        day: place among the patient's days.
    """

    name: str
    text: str
    value: float
    way: Way
    day: int


@dataclass(frozen=True, slots=True)
class Condition:
    """A criterion in words, and whether the patient has it, denies it, or a relative had it."""

    name: str
    phrase: str
    state: State


@dataclass(frozen=True, slots=True)
class Dose:
    """A drug that is taken, or was stopped."""

    drug: str
    amount: int
    per_day: int
    stopped: bool = False


@dataclass(slots=True)
class Patient:
    """One patient, for one calculator.

    Args:
        rule: which of several values counts.
        days: the days of the note, ascending.
        values: the calculator's inputs; what the gold is computed from.
        findings: input → phrase of a graded finding.
    """

    calculator: Calculator
    rule: Rule
    sex: str
    age: int
    days: list[dt.date]
    values: dict[str, object] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    findings: dict[str, str] = field(default_factory=dict)
    doses: list[Dose] = field(default_factory=list)
    race: str = ""

    def of(self, name: str) -> list[Reading]:
        """Return the readings of one measurement, by day."""
        return [reading for reading in self.readings if reading.name == name]


def draw_patient(calculator: Calculator, rng: np.random.Generator) -> Patient:
    """Draw one patient."""
    return _Drawing(calculator, rng).draw()


class _Drawing:
    """Draws one patient; `severity` makes all of its criteria more or less likely together."""

    def __init__(self, calculator: Calculator, rng: np.random.Generator):
        self.rng, self.key = rng, calculator.key
        many = sum(isinstance(item, Flag) for item in calculator.inputs) > MANY
        self.severity = float(rng.uniform(0.02, 0.35) if many else rng.uniform(0.05, 0.9))
        first = dt.date(2019, 1, 1) + dt.timedelta(days=int(rng.integers(0, 2100)))
        gaps = rng.integers(1, 6, size=2)
        days = [first, first + dt.timedelta(days=int(gaps[0]))]
        days.append(days[1] + dt.timedelta(days=int(gaps[1])))
        pregnant = any(isinstance(item, Day) for item in calculator.inputs)
        self.patient = Patient(
            calculator,
            rule="latest" if rng.random() < 0.6 else "first",
            sex="Female" if pregnant or rng.random() < 0.5 else "Male",
            age=self._age(pregnant),
            days=days[: int(rng.integers(1, 4))],
        )

    def draw(self) -> Patient:
        """Draw all inputs."""
        patient = self.patient
        for item in patient.calculator.inputs:
            match item:
                case Measured():
                    self._measure(item)
                case Choice():
                    self._choose(item)
                case Flag():
                    self._criterion(item)
                case Day():
                    self._day(item)
                case Doses():
                    self._doses(item)
        if patient.of("systolic") and not patient.of("diastolic"):
            self._repeat("diastolic", 40, 110)  # pressures come in pairs
        self._fit()
        self._count()
        return patient

    def _age(self, pregnant: bool) -> int:
        if pregnant:
            return int(self.rng.integers(19, 43))
        if self.key in BODY and self.rng.random() < 0.5:
            return int(self.rng.integers(2, 13))
        if self.key == "centor-score":
            return int(self.rng.choice([*range(3, 15), *range(15, 45, 3), *range(45, 75, 3)]))
        if self.key == "framingham-risk":
            return int(self.rng.integers(32, 79))
        return int(self.rng.integers(20, 95))

    def _measure(self, item: Measured) -> None:
        name, rng, patient = item.name, self.rng, self.patient
        if name == "age":
            patient.values["age"] = patient.age
            return
        if name == "dose":
            return  # comes with the steroid
        if name == "diastolic":
            if patient.of("systolic"):
                self._repeat(name, 38, 118)
            return
        vasopressor = name in ("dopamine", "dobutamine", "epinephrine", "norepinephrine")
        chance = 0.6 * self.severity if vasopressor else 0.7
        if (
            not item.required
            and name not in ("bmi", "oxygen", "gradient")
            and rng.random() > chance
        ):
            return  # not measured; the formula's default counts
        measured = MEASUREMENTS[name]
        low, high = RANGES.get((self.key, name), (measured.low, measured.high))
        self._repeat(name, low, high)

    def _repeat(self, name: str, low: float, high: float) -> None:
        """Draw a value for each day, in one unit or in two."""
        measured, rng = MEASUREMENTS[name], self.rng
        days = range(len(self.patient.days)) if measured.repeated else range(1)
        single = name in ("systolic", "diastolic") or rng.random() < 0.7
        chosen = int(rng.integers(len(measured.ways)))
        value = float(rng.uniform(low, high))
        for day in days:
            place = chosen if single else int(rng.integers(len(measured.ways)))
            self._read(name, value, measured.ways[place], day)
            value = float(np.clip(value + rng.normal(0, 0.25 * (high - low)), low, high))

    def _read(self, name: str, value: float, way: Way, day: int) -> None:
        """Add a reading of a value given in the quantity's own unit."""
        quantity = _quantity(self.patient.calculator, name)
        shown = quantity.express(value, way.unit) if quantity is not None else value
        if way.decimals == 0 and shown >= 1000:
            shown = round(shown, -2)
        text = f"{shown:.{way.decimals}f}"
        self.patient.readings.append(Reading(name, text, float(text), way, day))

    def _fit(self) -> None:
        """Make values fit each other: bodies to ages, chloride to the anion gap."""
        patient, rng = self.patient, self.rng
        names = {reading.name for reading in patient.readings}
        if patient.age < 13 and "weight" in names:
            self._again("weight", lambda _: (2.2 * patient.age + 8) * float(rng.uniform(0.8, 1.35)))
            self._again("height", lambda _: (6 * patient.age + 77) * float(rng.uniform(0.93, 1.07)))
        elif {"weight", "height"} <= names:
            (height,) = patient.of("height")
            quantity = _quantity(patient.calculator, "height")
            assert quantity is not None  # it was measured for this calculator
            metres = quantity.convert(height.value, height.way.unit) / 100
            self._again("weight", lambda _: float(rng.uniform(16.5, 44)) * metres**2)
        if {"sodium", "chloride", "bicarbonate"} <= names:
            self._again("chloride", self._chloride)

    def _chloride(self, day: int) -> float:
        level = {reading.name: reading.value for reading in self.patient.readings
                 if reading.day == day}  # fmt: skip
        gap = float(self.rng.uniform(15, 37))
        return max(level["sodium"] - level["bicarbonate"] - gap, 62)

    def _again(self, name: str, value: Callable[[int], float]) -> None:
        """Replace the readings of one measurement by new values in the same units, by day."""
        old = self.patient.of(name)
        self.patient.readings = [one for one in self.patient.readings if one.name != name]
        for reading in old:
            self._read(name, value(reading.day), reading.way, reading.day)

    def _choose(self, item: Choice) -> None:
        patient, rng = self.patient, self.rng
        if item.name == "sex":
            patient.values["sex"] = patient.sex
        elif item.name == "race":
            patient.race = str(rng.choice(["", "Black", "White", "Asian"], p=[0.3, 0.4, 0.2, 0.1]))
            patient.values["race"] = patient.race or None
        elif item.name in ("steroid", "target"):
            self._steroid(item.name)
        else:
            phrasings = GRADED[self.key, item.name]
            value = str(rng.choice(list(phrasings)))
            patient.values[item.name] = value
            if phrasings[value]:
                patient.findings[item.name] = str(rng.choice(phrasings[value]))

    def _steroid(self, name: str) -> None:
        patient, rng = self.patient, self.rng
        others = [drug for drug in STEROIDS if drug != patient.values.get("steroid")]
        drug = str(rng.choice(others))
        patient.values[name] = drug
        if name == "steroid":
            amount = int(rng.choice([2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 30, 40, 50, 60, 80, 100]))
            patient.values["dose"] = amount
            before = str(rng.choice([other for other in STEROIDS if other != drug]))
            patient.doses = [
                Dose(drug, amount, 1), Dose(before, int(rng.integers(1, 9)) * 5, 1, stopped=True)
            ]  # fmt: skip

    def _criterion(self, item: Flag) -> None:
        rng, patient = self.rng, self.patient
        present = bool(rng.random() < self.severity)
        patient.values[item.name] = present
        phrases = PHRASES[item.meaning]
        if item.meaning in INVERTED:  # "no cough" is said, else it would not be documented
            state: State = "denied" if present else "present"
            patient.conditions.append(Condition(item.name, str(rng.choice(phrases)), state))
            return
        phrase = str(rng.choice((item.meaning, *phrases)))
        chance = rng.random()
        if present:
            patient.conditions.append(Condition(item.name, phrase, "present"))
        elif item.meaning in FAMILIAL and chance < 0.3:
            patient.conditions.append(Condition(item.name, item.meaning, "familial"))
        elif chance < 0.6:
            patient.conditions.append(Condition(item.name, phrase, "denied"))

    def _day(self, item: Day) -> None:
        patient, rng = self.patient, self.rng
        if item.name == "today":
            patient.values["today"] = patient.days[0].isoformat()
            return
        before = int(rng.integers(15, 270))
        patient.values[item.name] = (patient.days[0] - dt.timedelta(days=before)).isoformat()

    def _doses(self, item: Doses) -> None:
        patient, rng = self.patient, self.rng
        drugs = [str(drug) for drug in rng.choice(list(OPIOIDS), size=4, replace=False)]
        for drug in drugs[: int(rng.integers(1, 4))]:
            patient.doses.append(Dose(drug, int(rng.choice(OPIOIDS[drug][1])),
                                      int(rng.integers(1, 7))))  # fmt: skip
        patient.values[item.name] = {
            dose.drug: (dose.amount, dose.per_day) for dose in patient.doses
        }
        if rng.random() < 0.6:
            stopped = Dose(drugs[3], int(rng.choice(OPIOIDS[drugs[3]][1])), 3, stopped=True)
            patient.doses.append(stopped)

    def _count(self) -> None:
        """Set the measured inputs: of each measurement, the value that the rule picks."""
        patient = self.patient
        names = {item.name for item in patient.calculator.inputs}
        for reading in sorted(patient.readings, key=lambda one: one.day):
            if reading.name in names and (
                patient.rule == "latest" or reading.name not in patient.values
            ):
                patient.values[reading.name] = (reading.value, reading.way.unit)


def _quantity(calculator: Calculator, name: str) -> Quantity | None:
    for item in calculator.inputs:
        if isinstance(item, Measured) and item.name == name:
            return item.quantity
    return None
