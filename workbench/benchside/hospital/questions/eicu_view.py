# ruff: noqa: E501 — wordings and queries stay whole
"""The eICU schema as questions see it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

import numpy as np
import pandas as pd

from benchside.hospital.questions.mimic_view import WORDS as WARD_WORDS
from benchside.hospital.questions.view import (
    Events,
    Fact,
    Money,
    Role,
    Source,
    Spell,
    View,
    Words,
    events,
    spells,
)

Frames = Mapping[str, pd.DataFrame]
SIGNS = {
    "temperature": "temperature", "sao2": "sao2", "heart rate": "heartrate",
    "respiration rate": "respiration", "systolic blood pressure": "systemicsystolic",
    "diastolic blood pressure": "systemicdiastolic", "mean blood pressure": "systemicmean",
}  # fmt: skip
_PATIENT = " JOIN patient p ON p.patientunitstayid = e.patientunitstayid"
_IDS = ("p.patienthealthsystemstayid", "e.patientunitstayid")


def _source(
    table: str, time: str, name: str, value: str = "", columns: Mapping[str, str] | None = None
) -> Source:
    return Source(
        f"{table} e{_PATIENT}", "p.uniquepid", f"e.{time}", *_IDS, f"e.{name}",
        f"e.{value}" if value.isidentifier() else value, columns or {}, f"e.{table}id",
    )  # fmt: skip


def _flow(direction: str) -> Source:
    """Intakes and outputs share a table and differ by the path of their cell."""
    condition = f"e.cellpath LIKE 'flowsheet|flowsheet cell labels|i&o|{direction} (ml)|%'"
    return Source(
        f"intakeoutput e{_PATIENT} AND {condition}", "p.uniquepid", "e.intakeoutputtime", *_IDS,
        "e.celllabel", "e.cellvaluenumeric", {}, "e.intakeoutputid",
    )  # fmt: skip


SOURCES: dict[Role, Source] = {
    "diagnosis": _source("diagnosis", "diagnosistime", "diagnosisname"),
    "procedure": _source("treatment", "treatmenttime", "treatmentname"),
    "drug": _source("medication", "drugstarttime", "drugname", "CAST(e.dosage AS REAL)"),
    "lab": _source("lab", "labresulttime", "labname", "labresult"),
    "vital": _source(
        "vitalperiodic", "observationtime", "observationtime", "",
        {sign: f"e.{column}" for sign, column in SIGNS.items()},
    ),
    "intake": _flow("intake"),
    "output": _flow("output"),
    "culture": _source("microlab", "culturetakentime", "culturesite"),
    "allergy": _source("allergy", "allergytime", "allergyname"),
}  # fmt: skip
WORDS: dict[Role, Words] = {
    **WARD_WORDS,
    "procedure": Words(
        "treatment", "treatments", "received the treatment {name}", "receive the treatment {name}",
        "the treatment {name}",
    ),
    "culture": Words(
        "culture site", "culture sites", "had a culture taken from {name}",
        "have a culture taken from {name}", "a culture from {name}",
    ),
    "allergy": Words(
        "allergy", "allergies", "was noted to be allergic to {name}",
        "get a note of an allergy to {name}", "an allergy to {name}",
    ),
}  # fmt: skip
CHARGED: dict[Role, str] = {
    "diagnosis": "diagnosis", "procedure": "treatment", "lab": "lab", "drug": "medication",
}  # fmt: skip


def eicu_view(frames: Frames, con: sqlite3.Connection) -> View:
    """Build the view from the tables as DataFrames, and from an open database of the same."""
    patient = frames["patient"]
    cost = frames["cost"]
    units = patient.set_index("patientunitstayid")
    stays = patient.drop_duplicates("patienthealthsystemstayid").set_index(
        "patienthealthsystemstayid"
    )
    ended = stays[stays["hospitaldischargetime"].notna()]
    charges = events(
        pd.DataFrame(
            {
                "patient": cost["uniquepid"],
                "time": cost["chargetime"],
                "visit": cost["patienthealthsystemstayid"],
                "icu": -1,
                "name": cost["eventtype"],
                "value": cost["cost"],
            }
        )
    )
    return View(
        con=con,
        literal_ids=True,
        sources=SOURCES,
        events={role: _events(frames, units, role) for role in SOURCES},
        words=WORDS,
        visits=Spell(
            "patient", "uniquepid", "patienthealthsystemstayid", "hospitaladmittime",
            "hospitaldischargetime",
        ),
        units=Spell(
            "patient", "uniquepid", "patientunitstayid", "unitadmittime", "unitdischargetime"
        ),
        spells=spells(
            pd.DataFrame(
                {
                    "patient": stays["uniquepid"],
                    "id": stays.index,
                    "start": stays["hospitaladmittime"],
                    "end": stays["hospitaldischargetime"],
                }
            )
        ),
        icu_spells=spells(
            pd.DataFrame(
                {
                    "patient": units["uniquepid"],
                    "id": units.index,
                    "start": units["unitadmittime"],
                    "end": units["unitdischargetime"],
                }
            )
        ),
        facts={
            "age": Fact(
                "CAST(age AS INTEGER)", "visit", stays["age"].astype(int).to_dict(), "age", "integer"
            ),
            "source": Fact(
                "hospitaladmitsource", "visit", stays["hospitaladmitsource"].to_dict(),
                "hospital admission source",
            ),
            "status": Fact(
                "hospitaldischargestatus", "visit", stays["hospitaldischargestatus"].to_dict(),
                "hospital discharge status",
            ),
            "hospital": Fact(
                "hospitalid", "visit", stays["hospitalid"].to_dict(), "hospital id", "integer"
            ),
            "ward": Fact("wardid", "icu", units["wardid"].to_dict(), "ward id", "integer"),
            "weight": Fact(
                "admissionweight", "icu", units["admissionweight"].to_dict(), "admission weight",
                "number",
            ),
            "left": Fact(
                "dischargeweight", "icu", units["dischargeweight"].to_dict(), "discharge weight",
                "number",
            ),
            "height": Fact(
                "admissionheight", "icu", units["admissionheight"].to_dict(), "admission height",
                "number",
            ),
        },
        money=Money(
            "cost", "uniquepid", "patienthealthsystemstayid", "chargetime", "cost", "eventtype",
            "eventid", CHARGED, {role: f"e.{CHARGED[role]}id" for role in CHARGED},
            cost.groupby("patienthealthsystemstayid")["cost"].sum().to_dict(), charges,
            _prices(frames),
        ),
        died_sql="hospitaldischargestatus = 'expired'",
        died=(ended["hospitaldischargestatus"] == "expired").to_dict(),
        deaths=None,
        gender_sql="SELECT uniquepid FROM patient WHERE gender",
        gender=stays.set_index("uniquepid")["gender"].groupby(level=0).first().to_dict(),
        patients=patient["uniquepid"].unique(),
    )  # fmt: skip


def _events(frames: Frames, units: pd.DataFrame, role: Role) -> Events:
    """Events with patient and hospital stay, merged from the table of ICU stays."""
    if role == "vital":
        wide = frames["vitalperiodic"]
        parts = [
            wide[["patientunitstayid", "observationtime"]]
            .assign(name=sign, value=wide[column])
            .dropna(subset="value")
            for sign, column in SIGNS.items()
        ]
        return _placed(pd.concat(parts, ignore_index=True), units, "observationtime")
    table, time, name, value = {
        "diagnosis": ("diagnosis", "diagnosistime", "diagnosisname", None),
        "procedure": ("treatment", "treatmenttime", "treatmentname", None),
        "drug": ("medication", "drugstarttime", "drugname", "dosage"),
        "lab": ("lab", "labresulttime", "labname", "labresult"),
        "intake": ("intakeoutput", "intakeoutputtime", "celllabel", "cellvaluenumeric"),
        "output": ("intakeoutput", "intakeoutputtime", "celllabel", "cellvaluenumeric"),
        "culture": ("microlab", "culturetakentime", "culturesite", None),
        "allergy": ("allergy", "allergytime", "allergyname", None),
    }[role]
    frame = frames[table]
    if role in ("intake", "output"):
        sides = frame["cellpath"].str.split("|").str[3]
        frame = frame[sides == f"{role} (ml)"]
    if value is None:
        values = pd.Series(np.nan, frame.index)
    elif value == "dosage":
        values = frame["dosage"].str.split(" ").str[0].astype(float)
    else:
        values = frame[value]
    return _placed(frame.assign(name=frame[name], value=values), units, time)


def _placed(frame: pd.DataFrame, units: pd.DataFrame, time: str) -> Events:
    row = units.index.get_indexer(pd.Index(frame["patientunitstayid"]))
    return events(
        pd.DataFrame(
            {
                "patient": units["uniquepid"].to_numpy()[row],
                "time": frame[time].to_numpy(),
                "visit": units["patienthealthsystemstayid"].to_numpy()[row],
                "icu": frame["patientunitstayid"].to_numpy(),
                "name": frame["name"].to_numpy(),
                "value": frame["value"].to_numpy(),
            }
        )
    )


def _prices(frames: Frames) -> dict[tuple[Role, str], float]:
    """The price of each name, from the charges; one that has several gets none."""
    names = {
        "diagnosis": "diagnosisname", "procedure": "treatmentname", "lab": "labname",
        "drug": "drugname",
    }  # fmt: skip
    found: dict[tuple[Role, str], float] = {}
    cost = frames["cost"]
    for role, table in CHARGED.items():
        charged = cost[cost["eventtype"] == table][["eventid", "cost"]]
        merged = charged.merge(frames[table], left_on="eventid", right_on=f"{table}id")
        prices = merged.groupby(names[role])["cost"].agg(["min", "max"])
        single = prices.loc[prices["min"] == prices["max"], "min"]
        found |= {(role, str(name)): float(price) for name, price in single.items()}
    return found
