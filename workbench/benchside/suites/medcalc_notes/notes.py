"""Writing the note of a patient, in one of five styles.

Styles differ in layout and in wording. All of them state the same facts: who it is, criteria that
are met, denied or a relative's, graded findings, and measured values by day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np

from benchside.suites.medcalc_notes.findings import OTHERS, RELATIVES
from benchside.suites.medcalc_notes.measurements import DISTRACTORS, MEASUREMENTS
from benchside.suites.medcalc_notes.patients import OPIOIDS, STEROIDS, Patient, Reading

STYLES = ("discharge letter", "progress notes", "laboratory table", "trends", "referral")

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
COMPLAINTS = (
    "feeling unwell", "abdominal discomfort", "dizziness", "a fall at home", "shortness of breath",
    "weakness", "palpitations", "loss of appetite", "back pain", "a planned check-up",
)  # fmt: skip
PRESENT = (
    "The history is notable for {}.", "Documented: {}.", "The team recorded {}.",
    "{He} has {}.", "Findings at assessment include {}.",
)  # fmt: skip
DENIED = (
    "There is no evidence of {}.", "{He} denies {}.", "The record is negative for {}.",
    "{He} does not have {}.", "The following were ruled out: {}.",
)  # fmt: skip
FAMILIAL = ("{His} {relative} had {}.", "In the family, {his} {relative} suffered from {}.")
PLACES = ("the outpatient clinic", "the emergency department", "our ward", "the county hospital")


def write_note(patient: Patient, style: int, rng: np.random.Generator) -> str:
    """Return the note of a patient.

    Args:
        style: place in `STYLES`.
    """
    return _Writer(patient, style, rng).write()


class _Writer:
    def __init__(self, patient: Patient, style: int, rng: np.random.Generator):
        self.patient, self.style, self.rng = patient, style, rng
        self.date_form = int(rng.integers(4))
        self.he, self.his = ("She", "her") if patient.sex == "Female" else ("He", "his")
        self.labels = {
            name: str(rng.choice(MEASUREMENTS[name].labels))
            for name in {reading.name for reading in patient.readings}
        }

    def write(self) -> str:
        """Return the parts in the order of the style."""
        history = [self._conditions(), self._findings(), self._drugs(), self._pregnancy()]
        if self.style in (1, 4):
            self.rng.shuffle(history)
        parts = [self._opening(), *history]
        measured = self._measured()
        if self.style == 4:
            parts.insert(1, measured)
        else:
            parts.append(measured)
        parts.append(self._closing())
        return "\n\n".join(part for part in parts if part)

    def _date(self, day: dt.date) -> str:
        match self.date_form:
            case 0:
                return f"{day:%m/%d/%Y}"
            case 1:
                return day.isoformat()
            case 2:
                return f"{day.day} {MONTHS[day.month - 1]} {day.year}"
        return f"{MONTHS[day.month - 1]} {day.day}, {day.year}"

    def _pick(self, options: Sequence[str]) -> str:
        return options[int(self.rng.integers(len(options)))]

    def _opening(self) -> str:
        patient = self.patient
        young = patient.age < 18
        words = {
            ("Female", True): ("girl",), ("Male", True): ("boy",),
            ("Female", False): ("woman", "lady"), ("Male", False): ("man", "gentleman"),
        }[patient.sex, young]  # fmt: skip
        who = f"{patient.age}-year-old {patient.race} {self._pick(words)}".replace("  ", " ")
        article = "An" if str(patient.age).startswith(("8", "11", "18")) else "A"
        seen = self._date(patient.days[0])
        reason, place = self._pick(COMPLAINTS), self._pick(PLACES)
        return self._pick(
            (
                f"{article} {who} came to {place} on {seen} with {reason}.",
                f"{article} {who} was seen at {place} on {seen} for {reason}.",
                f"Date of visit: {seen}. {article} {who} presented to {place} with {reason}.",
            )
        )

    def _fill(self, frame: str, filling: str) -> str:
        words = {"He": self.he, "His": self.his.capitalize(), "his": self.his}
        return frame.format(filling, relative=self._pick(RELATIVES), **words)

    def _conditions(self) -> str:
        """Criteria in sentences of one to three; others that nobody counts stand among them."""
        rng = self.rng
        groups: dict[str, list[str]] = {"present": [], "denied": [], "familial": []}
        for condition in self.patient.conditions:
            groups[condition.state].append(condition.phrase)
        groups["present"].append(self._pick(OTHERS))
        if rng.random() < 0.5:
            groups["denied"].append(self._pick(OTHERS))
        sentences = []
        for state, frames in (("present", PRESENT), ("denied", DENIED), ("familial", FAMILIAL)):
            phrases = list(dict.fromkeys(groups[state]))
            rng.shuffle(phrases)
            while phrases:
                several = 1 if state == "familial" else int(rng.integers(1, 4))
                taken, phrases = phrases[:several], phrases[several:]
                last = " or " if state == "denied" else " and "
                listed = ", ".join(taken[:-1]) + last + taken[-1] if len(taken) > 1 else taken[0]
                sentences.append(self._fill(self._pick(frames), listed))
        rng.shuffle(sentences)
        return " ".join(sentences)

    def _findings(self) -> str:
        phrases = list(self.patient.findings.values())
        self.rng.shuffle(phrases)
        if not phrases:
            return ""
        if self.rng.random() < 0.5:
            return " ".join(f"Noted: {phrase}." for phrase in phrases)
        return "On examination and review: " + "; ".join(phrases) + "."

    def _drugs(self) -> str:
        sentences = []
        for dose in self.patient.doses:
            name = STEROIDS.get(dose.drug) or OPIOIDS[dose.drug][0]
            often = {1: "once a day", 2: "twice a day"}.get(
                dose.per_day, f"{dose.per_day} times a day"
            )
            amount = f"{name} {dose.amount} mg {often}"
            frames: tuple[str, ...]
            if dose.stopped:
                frames = ("Until last winter {he} took {}, which was then stopped.",
                          "A former prescription of {} was discontinued.")  # fmt: skip
            else:
                frames = ("{He} currently takes {}.", "Current medication: {}.",
                          "The present prescription is {}.")  # fmt: skip
            frame = self._pick(frames)
            sentences.append(frame.format(amount, He=self.he, he=self.he.lower()))
        self.rng.shuffle(sentences)
        return " ".join(sentences)

    def _pregnancy(self) -> str:
        values = self.patient.values
        if "last_period" not in values:
            return ""
        began = dt.date.fromisoformat(str(values["last_period"]))
        before = began - dt.timedelta(days=int(self.rng.integers(25, 36)))
        sentences = [
            self._pick(
                (
                    f"Her last menstrual period began on {self._date(began)}.",
                    f"She gives {self._date(began)} as the first day of her last menstrual period.",
                )
            ),
            f"The menstrual period before it had started on {self._date(before)}.",
        ]
        if "today" in values:
            today = dt.date.fromisoformat(str(values["today"]))
            sentences.append(f"Gestational age is asked for today, {self._date(today)}.")
        self.rng.shuffle(sentences)
        return " ".join(sentences)

    def _measured(self) -> str:
        if not self.patient.readings:
            return ""
        match self.style:
            case 2:
                return self._table()
            case 3:
                return self._trends()
        days = list(range(len(self.patient.days)))
        if self.style == 4:
            days.reverse()
        measured = {reading.day for reading in self.patient.readings}
        return "\n".join(self._of_day(day) for day in days if day in measured)

    def _items(self, day: int) -> list[str]:
        """What was measured on a day, in words; blood pressures are pairs."""
        found = [one for one in self.patient.readings if one.day == day]
        systolic = {one.name: one for one in found if one.name in ("systolic", "diastolic")}
        items = [
            f"{self._label(one)} {one.text}{self._unit(one)}"
            for one in found if one.name not in systolic
        ]  # fmt: skip
        if systolic:
            items.append(f"{self._label(systolic['systolic'])} {self._pair(systolic)}")
        for label, low, high, decimals, unit in self._others(day):
            items.append(f"{label} {self.rng.uniform(low, high):.{decimals}f} {unit}")
        self.rng.shuffle(items)
        return items

    def _others(self, day: int) -> list[tuple[str, float, float, int, str]]:
        """Tests that no calculator asks for."""
        if day > 0 and self.rng.random() < 0.5:
            return []
        chosen = self.rng.choice(len(DISTRACTORS), size=int(self.rng.integers(1, 4)), replace=False)
        return [DISTRACTORS[int(place)] for place in chosen]

    def _label(self, reading: Reading) -> str:
        return self.labels[reading.name]

    def _unit(self, reading: Reading) -> str:
        text = self._pick(reading.way.texts)
        return "" if not text else text if text[0] in "%/" else f" {text}"

    def _pair(self, pressures: dict[str, Reading]) -> str:
        unit = self._unit(pressures["systolic"])
        return f"{pressures['systolic'].text}/{pressures['diastolic'].text}{unit}"

    def _of_day(self, day: int) -> str:
        date, items = self._date(self.patient.days[day]), self._items(day)
        if self.style == 1:
            return f"{date}\n" + "\n".join(f"- {_capital(item)}" for item in items)
        if self.style == 4:
            when = "most recent values" if day == len(self.patient.days) - 1 else "values"
            return f"{when.capitalize()} of {date}: " + "; ".join(items) + "."
        listed = ", ".join(items[:-1]) + " and " + items[-1] if len(items) > 1 else items[0]
        verb = self._pick(("were recorded", "were measured", "were found"))
        return f"On {date}, the following {verb}: {listed}."

    def _names(self) -> list[str]:
        names = list(dict.fromkeys(one.name for one in self.patient.readings))
        self.rng.shuffle(names)
        return names

    def _table(self) -> str:
        """One row per test, one column per day; a row has one unit, else it becomes two rows."""
        days = range(len(self.patient.days))
        lines = ["Test | " + " | ".join(self._date(day) for day in self.patient.days)]
        for name in self._names():
            if name == "diastolic":
                continue
            readings = self.patient.of(name)
            for way in dict.fromkeys(one.way for one in readings):
                shown = {one.day: one.text for one in readings if one.way == way}
                if name == "systolic":
                    low = {one.day: one.text for one in self.patient.of("diastolic")}
                    shown = {day: f"{text}/{low[day]}" for day, text in shown.items()}
                unit = self._pick(way.texts)
                label = self.labels[name] + (f" ({unit})" if unit else "")
                cells = " | ".join(shown.get(day, "-") for day in days)
                lines.append(f"{_capital(label)} | {cells}")
        for label, low_end, high_end, decimals, unit in self._others(0):
            values = (f"{self.rng.uniform(low_end, high_end):.{decimals}f}" for _ in days)
            lines.append(f"{_capital(label)} ({unit}) | " + " | ".join(values))
        return "\n".join(lines)

    def _trends(self) -> str:
        """One sentence per test, its values in the order of days or the other way round."""
        sentences = []
        for name in self._names():
            if name == "diastolic":
                continue
            readings = self.patient.of(name)
            if len(readings) > 1 and self.rng.random() < 0.4:
                readings.reverse()
            shown = []
            for one in readings:
                text = f"{one.text}{self._unit(one)}"
                if name == "systolic":
                    (low,) = (low for low in self.patient.of("diastolic") if low.day == one.day)
                    text = self._pair({"systolic": one, "diastolic": low})
                shown.append(f"{text} on {self._date(self.patient.days[one.day])}")
            label = self.labels[name]
            verb = self._pick(("was", "measured", "came to"))
            sentences.append(f"{_capital(label)} {verb} " + ", ".join(shown) + ".")
        for label, low_end, high_end, decimals, unit in self._others(0):
            value = f"{self.rng.uniform(low_end, high_end):.{decimals}f} {unit}"
            sentences.append(f"{_capital(label)} was {value}.")
        self.rng.shuffle(sentences)
        return " ".join(sentences)

    def _closing(self) -> str:
        return self._pick(
            (
                f"{self.he} lives with a {int(self.rng.integers(19, 60))}-year-old sibling.",
                "A follow-up visit was arranged.",
                "The findings were discussed with the family.",
                "",
            )
        )


def _capital(text: str) -> str:
    """Begin with a capital, except in names such as pH."""
    return text if text[1].isupper() else text[0].upper() + text[1:]
