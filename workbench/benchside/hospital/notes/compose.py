"""Composing a note: which facts it tells, in which sections, and among what else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator

from benchside.hospital.notes.stay import Fact, Source, Stay, Stays
from benchside.hospital.notes.style import Style

Kind = Literal["discharge", "physician", "nursing"]
KINDS: tuple[Kind, ...] = ("discharge", "physician", "nursing")
CATEGORIES: Mapping[Kind, str] = {
    "discharge": "Discharge summary", "physician": "Physician", "nursing": "Nursing",
}  # fmt: skip
SECTION: Mapping[Source, str] = {
    "diagnoses_icd": "diagnoses", "procedures_icd": "procedures", "labevents": "labs",
    "chartevents": "vitals", "microbiologyevents": "cultures", "prescriptions": "drugs",
    "inputevents_cv": "intake", "outputevents": "output",
}  # fmt: skip
# fewest and most facts of each source that a note tells, in the order of its sections
TELLS: Mapping[Kind, tuple[tuple[Source, int, int], ...]] = {
    "discharge": (
        ("diagnoses_icd", 2, 4), ("procedures_icd", 1, 3), ("labevents", 3, 6),
        ("microbiologyevents", 1, 2), ("prescriptions", 3, 5),
    ),
    "physician": (
        ("chartevents", 2, 4), ("labevents", 3, 6), ("microbiologyevents", 0, 2),
        ("prescriptions", 1, 3),
    ),
    "nursing": (
        ("chartevents", 3, 6), ("inputevents_cv", 1, 3), ("outputevents", 1, 3),
        ("prescriptions", 0, 2),
    ),
}  # fmt: skip
FEWEST = 6
UNSAID = 0.12  # share of laboratory values and vital signs that are told without their unit

COMPLAINTS = (
    "Shortness of breath", "Abdominal pain", "Chest pain", "Fever and chills", "Confusion",
    "Weakness", "Fall at home", "Vomiting",
)  # fmt: skip
RELATIVES = (
    "Mother had breast cancer.", "Father died of a stroke.", "Brother with kidney stones.",
    "Sister has asthma.", "Father had coronary disease, mother diabetes.", "Noncontributory.",
)  # fmt: skip
PLANS = (
    "Recheck potassium and creatinine in the morning.", "Consider starting lisinopril.",
    "Wean oxygen as tolerated.", "Out of bed with physical therapy.", "Goal MAP above 65 mmhg.",
    "Blood cultures if febrile.", "Follow up with primary care within 2 weeks.",
    "Keep potassium above 4 meq/l.", "Family meeting planned.", "Call if heart rate exceeds 120.",
)  # fmt: skip
HISTORIES = (
    "{age}-year-old {sex} brought in by family after several days of feeling unwell.",
    "This {age}-year-old {sex} was seen in the emergency department and admitted.",
    "{age} year old {sex}, history taken from patient and chart.",
    "Patient is a {age}-year-old {sex} who had been in usual health until last week.",
)
SHIFTS = (
    "Patient resting comfortably, turned every two hours.", "Alert, follows commands.",
    "Family at the bedside during the shift.", "Slept in short stretches.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Note:
    """A note.

    Args:
        day: its date; `time` is None for discharge summaries, which have only a date.
        lines: number of a line of the text, counted from 1 → what it states.
    """

    kind: Kind
    style: str
    day: np.datetime64
    time: np.datetime64 | None
    text: str
    lines: Mapping[int, Fact]


def days_for(stay: Stay, kind: Kind) -> tuple[np.datetime64, ...]:
    """The dates on which a kind of note can be written."""
    if kind == "discharge":
        return (stay.end.astype("datetime64[D]"),) if stay.finished else ()
    return stay.days


def choose(rng: Generator, stay: Stay, kind: Kind, day: np.datetime64) -> list[Fact]:
    """Facts to tell, as they stand in the tables; each item once. Empty where too few happened."""
    found: list[Fact] = []
    for source, fewest, most in TELLS[kind]:
        rows = stay.facts[source]
        if kind != "discharge":
            rows = tuple(
                row for row in rows
                if row.time is not None and row.time.astype("datetime64[D]") == day
            )  # fmt: skip
        names = sorted({row.name for row in rows})
        count = min(len(names), int(rng.integers(fewest, most + 1)))
        for name in rng.permutation(names)[:count].tolist():
            same = [row for row in rows if row.name == name]
            found.append(_to_tell(rng, same[rng.integers(len(same))]))
    return found if len(found) >= FEWEST else []


def _to_tell(rng: Generator, fact: Fact) -> Fact:
    """What of a row is told: diagnoses without time, orders and procedures by their date."""
    undated = fact.source == "diagnoses_icd"
    bare = fact.source in ("labevents", "chartevents") and rng.random() < UNSAID
    return Fact(
        fact.source, fact.name, None if undated else fact.time, fact.value,
        "" if bare else fact.unit, fact.route,
        fact.source not in ("prescriptions", "procedures_icd", "diagnoses_icd"),
    )  # fmt: skip


def write(
    rng: Generator, stay: Stay, stays: Stays, kind: Kind, day: np.datetime64,
    facts: Sequence[Fact], style: Style,
) -> Note:  # fmt: skip
    """Write a note that states these facts, one a line, in the order of its sections."""
    today = None if kind == "discharge" else day
    page = [CATEGORIES[kind] + (" note" if kind != "discharge" else "")]
    page.append(
        f"Date: {day}" if today is not None else f"Admitted: {stay.admit.astype('datetime64[D]')}"
    )
    if kind == "discharge":
        page.append(f"Discharged: {day}")
    page.append("")
    sex = {"m": "man", "f": "woman"}.get(stay.gender, "patient")
    if kind == "nursing":
        page += [SHIFTS[rng.integers(len(SHIFTS))], ""]
    else:
        page += [style.headings["complaint"], COMPLAINTS[rng.integers(len(COMPLAINTS))], ""]
        history = HISTORIES[rng.integers(len(HISTORIES))].format(age=stay.age, sex=sex)
        page += [style.headings["history"], history, ""]
    if kind == "discharge" or (kind == "physician" and rng.random() < 0.5):
        page += [style.headings["family"], RELATIVES[rng.integers(len(RELATIVES))], ""]
    lines: dict[int, Fact] = {}
    for source, _, _ in TELLS[kind]:
        told = [fact for fact in facts if fact.source == source]
        if not told:
            continue
        page.append(style.headings[SECTION[source]])
        for fact in told:
            page.append(style.told(fact, stays, stay.admit, today))
            lines[len(page)] = fact
        page.append("")
    page.append(style.headings["plan"])
    page += rng.permutation(np.array(PLANS))[: int(rng.integers(2, 4))].tolist()
    return Note(kind, style.name, day, _written(facts, today), "\n".join(page) + "\n", lines)


def _written(facts: Sequence[Fact], today: np.datetime64 | None) -> np.datetime64 | None:
    """Half an hour after the last thing that it tells, on its day."""
    if today is None:
        return None
    last = today.astype("datetime64[m]") + 1439
    told = [
        fact.time
        for fact in facts
        if fact.time is not None and fact.precise and fact.time.astype("datetime64[D]") == today
    ]
    after: np.datetime64 = min(max(told) + 30, last) if told else last
    return after
