"""`Style`: how a writer of notes puts dates, names and statements into words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchside.hospital.notes.stay import FLUIDS, NO_GROWTH, Fact, Stays

ABBREVIATIONS: Mapping[str, str] = {
    "hemoglobin": "Hgb", "hematocrit": "Hct", "red blood cells": "RBC", "white blood cells": "WBC",
    "platelet count": "Plt", "sodium": "Na", "potassium": "K", "chloride": "Cl",
    "bicarbonate": "HCO3", "urea nitrogen": "BUN", "creatinine": "Cr", "glucose": "Glu",
    "magnesium": "Mg", "phosphate": "Phos", "calcium, total": "Ca", "inr(pt)": "INR",
    "asparate aminotransferase (ast)": "AST",
    "alanine aminotransferase (alt)": "ALT", "alkaline phosphatase": "Alk Phos",
    "bilirubin, total": "T Bili", "albumin": "Alb", "lactate dehydrogenase (ld)": "LDH",
    "troponin t": "Trop T", "creatine kinase (ck)": "CK", "thyroid stimulating hormone": "TSH",
    "% hemoglobin a1c": "HbA1c", "heart rate": "HR", "respiratory rate": "RR",
    "arterial bp [systolic]": "SBP", "arterial bp [diastolic]": "DBP", "arterial bp mean": "MAP",
    "temperature c (calc)": "Temp", "sao2": "SaO2", "daily weight": "Weight",
}  # fmt: skip
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
Dates = Literal["iso", "american", "words", "day"]


@dataclass(frozen=True, slots=True)
class Style:
    """A way of writing.

    Args:
        dates: "day" counts days in the hospital, the day of admission being the first.
        short: names are abbreviated where that is usual, titles are short ones.
        headings: section → heading.
        wordings: sort of statement → text with {name}, {value}, {unit}, {route} and {when}; {at} is
            {when} with its preposition.
    """

    name: str
    dates: Dates
    short: bool
    upper: bool
    headings: Mapping[str, str]
    wordings: Mapping[str, str]

    def date(self, day: np.datetime64, admitted: np.datetime64) -> str:
        """A date in this style."""
        year, month, number = str(day.astype("datetime64[D]")).split("-")
        match self.dates:
            case "iso":
                return f"{year}-{month}-{number}"
            case "american":
                return f"{month}/{number}/{year}"
            case "words":
                return f"{int(number)} {MONTHS[int(month) - 1]} {year}"
            case "day":
                passed = day.astype("datetime64[D]") - admitted.astype("datetime64[D]")
                return f"hospital day {passed.astype(int) + 1}"

    def when(self, fact: Fact, admitted: np.datetime64, today: np.datetime64 | None) -> str:
        """When something was, the date left out where it is that of the note."""
        if fact.time is None:
            return ""
        clock = str(fact.time)[11:16]
        if today is not None and fact.precise and fact.time.astype("datetime64[D]") == today:
            return clock
        day = self.date(fact.time, admitted)
        return f"{day} at {clock}" if fact.precise else day

    def told(
        self, fact: Fact, stays: Stays, admitted: np.datetime64, today: np.datetime64 | None
    ) -> str:
        """One statement."""
        sort: str = "fluid" if fact.source in FLUIDS else fact.source
        if sort == "microbiologyevents":
            sort = "sterile" if fact.value == NO_GROWTH else "grown"
        unit = f" {fact.unit}" if fact.unit else ""
        when = self.when(fact, admitted, today)
        text = self.wordings[sort].format(
            name=self._name(fact, stays), value=fact.value, unit=unit,
            route=fact.route.upper() if self.upper else fact.route,
            when=when, at=f"at {when}" if re.fullmatch(r"\d\d:\d\d", when) else f"on {when}",
        )  # fmt: skip
        return text[0].upper() + text[1:]

    def _name(self, fact: Fact, stays: Stays) -> str:
        if fact.source in ("procedures_icd", "diagnoses_icd"):
            return fact.name if self.short else stays.titles[fact.source][fact.name]
        name = ABBREVIATIONS.get(fact.name, fact.name) if self.short else fact.name
        return name.upper() if self.upper else name


SECTIONS = (
    "complaint", "history", "family", "diagnoses", "procedures", "labs", "vitals", "cultures",
    "drugs", "intake", "output", "plan",
)  # fmt: skip


def _headings(*texts: str) -> dict[str, str]:
    return dict(zip(SECTIONS, texts, strict=True))


def _wordings(
    lab: str, drug: str, event: str, grown: str, sterile: str, fluid: str
) -> dict[str, str]:
    return {
        "labevents": lab, "chartevents": lab, "prescriptions": drug, "procedures_icd": event,
        "diagnoses_icd": "- {name}", "grown": grown, "sterile": sterile, "fluid": fluid,
    }  # fmt: skip


STYLES: tuple[Style, ...] = (
    Style(
        "tabular", "iso", False, False,
        _headings(
            "Chief Complaint:", "History of Present Illness:", "Family History:",
            "Discharge Diagnoses:", "Major Procedures:", "Pertinent Results:", "Vital Signs:",
            "Microbiology:", "Medications:", "Intake:", "Output:", "Plan:",
        ),
        _wordings(
            "{name} | {value}{unit} | {when}", "{name} | {value}{unit} {route} | from {when}",
            "{name} | {when}", "{name} | {value} | {when}", "{name} | no growth | {when}",
            "{name} | {value}{unit} | {when}",
        ),
    ),
    Style(
        "telegraphic", "american", True, True,
        _headings(
            "CC:", "HPI:", "FHX:", "DX:", "PROCS:", "LABS:", "VS:", "MICRO:", "MEDS:", "IN:",
            "OUT:", "PLAN:",
        ),
        _wordings(
            "{when} {name} {value}{unit}", "{name} {value}{unit} {route}, start {when}",
            "{when} {name}", "{when} {name}: grew {value}", "{when} {name}: no growth",
            "{when} {name} {value}{unit}",
        ),
    ),
    Style(
        "narrative", "words", False, False,
        _headings(
            "Reason for admission", "Course before admission", "Family history",
            "Diagnoses of this stay", "Procedures performed", "Laboratory findings",
            "Vital signs", "Cultures", "Drug treatment", "Fluids in", "Fluids out",
            "What comes next",
        ),
        _wordings(
            "{name} was {value}{unit} {at}.",
            "{name} was ordered at {value}{unit} {route}, to start {at}.",
            "{name} was done {at}.", "{name} taken {at} grew {value}.",
            "{name} taken {at} showed no growth.",
            "{name} amounted to {value}{unit} {at}.",
        ),
    ),
    Style(
        "dictated", "day", True, False,
        _headings(
            "Presenting complaint -", "History -", "Family history -", "Diagnoses -",
            "Procedures -", "Labs -", "Vitals -", "Micro -", "Drugs -", "Intake -", "Output -",
            "Plan -",
        ),
        _wordings(
            "{at}, {name} measured {value}{unit}.",
            "From {when}, {name} {value}{unit} {route}.", "{at}, {name}.",
            "{at}, {name} with growth of {value}.", "{at}, {name} with no growth.",
            "{at}, {name} {value}{unit}.",
        ),
    ),
    Style(
        "flowsheet", "iso", True, False,
        _headings(
            "## Complaint", "## History", "## Family", "## Diagnoses", "## Procedures",
            "## Laboratory", "## Vitals", "## Cultures", "## Drugs", "## Intake", "## Output",
            "## To do",
        ),
        _wordings(
            "{name}: {value}{unit} ({when})", "{name}: {value}{unit} {route} (start {when})",
            "{name} ({when})", "{name}: {value} ({when})", "{name}: no growth ({when})",
            "{name}: {value}{unit} ({when})",
        ),
    ),
)  # fmt: skip
