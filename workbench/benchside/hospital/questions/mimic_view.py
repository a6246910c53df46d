"""The MIMIC-III schema as questions see it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

import numpy as np
import pandas as pd

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
_DIAGNOSES = "diagnoses_icd e JOIN d_icd_diagnoses d ON d.icd9_code = e.icd9_code"
_PROCEDURES = "procedures_icd e JOIN d_icd_procedures d ON d.icd9_code = e.icd9_code"
_ITEMS = "{} e JOIN d_items d ON d.itemid = e.itemid"
_IDS = ("e.subject_id", "e.charttime", "e.hadm_id")
SOURCES: dict[Role, Source] = {
    "diagnosis": Source(_DIAGNOSES, *_IDS, "", "d.short_title"),
    "procedure": Source(_PROCEDURES, *_IDS, "", "d.short_title"),
    "drug": Source(
        "prescriptions e", "e.subject_id", "e.startdate", "e.hadm_id", "", "e.drug",
        "CAST(e.dose_val_rx AS REAL)",
    ),
    "lab": Source(
        "labevents e JOIN d_labitems d ON d.itemid = e.itemid", *_IDS, "", "d.label", "e.valuenum"
    ),
    "vital": Source(
        _ITEMS.format("chartevents"), *_IDS, "e.icustay_id", "d.label", "e.valuenum"
    ),
    "intake": Source(
        _ITEMS.format("inputevents_cv"), *_IDS, "e.icustay_id", "d.label", "e.amount"
    ),
    "output": Source(_ITEMS.format("outputevents"), *_IDS, "e.icustay_id", "d.label", "e.value"),
    "culture": Source("microbiologyevents e", *_IDS, "", "e.spec_type_desc"),
}  # fmt: skip
WORDS: dict[Role, Words] = {
    "diagnosis": Words(
        "diagnosis", "diagnoses", "was diagnosed with {name}", "receive a diagnosis of {name}",
        "a diagnosis of {name}",
    ),
    "procedure": Words(
        "procedure", "procedures", "had a {name} procedure", "have a {name} procedure",
        "a {name} procedure",
    ),
    "drug": Words(
        "drug", "prescribed drugs", "was prescribed {name}", "get a prescription of {name}",
        "a prescription of {name}",
    ),
    "lab": Words(
        "lab test", "lab tests", "had a {name} lab test", "have a {name} lab test",
        "a {name} lab test",
    ),
    "vital": Words(
        "vital sign", "vital signs", "had {name} measured", "have {name} measured",
        "a {name} measurement",
    ),
    "intake": Words(
        "intake", "intakes", "had an intake of {name}", "have an intake of {name}",
        "an intake of {name}",
    ),
    "output": Words(
        "output", "outputs", "had an output of {name}", "have an output of {name}",
        "an output of {name}",
    ),
    "culture": Words(
        "microbiology specimen", "microbiology specimens", "had a {name} microbiology test",
        "have a {name} microbiology test", "a {name} microbiology test",
    ),
}  # fmt: skip
CHARGED: dict[Role, str] = {
    "diagnosis": "diagnoses_icd", "procedure": "procedures_icd", "lab": "labevents",
    "drug": "prescriptions",
}  # fmt: skip


def mimic_view(frames: Frames, con: sqlite3.Connection) -> View:
    """Build the view from the tables as DataFrames, and from an open database of the same."""
    stays, icu, patients = frames["admissions"], frames["icustays"], frames["patients"]
    found = {role: _events(frames, role) for role in SOURCES}
    cost = frames["cost"]
    charges = events(
        pd.DataFrame(
            {
                "patient": cost["subject_id"],
                "time": cost["chargetime"],
                "visit": cost["hadm_id"],
                "icu": -1,
                "name": cost["event_type"],
                "value": cost["cost"],
            }
        )
    )
    by_stay = stays.set_index("hadm_id")
    by_unit = icu.set_index("icustay_id")
    ended = by_stay[by_stay["dischtime"].notna()]
    return View(
        con=con,
        literal_ids=False,
        sources=SOURCES,
        events=found,
        words=WORDS,
        visits=Spell("admissions", "subject_id", "hadm_id", "admittime", "dischtime"),
        units=Spell("icustays", "subject_id", "icustay_id", "intime", "outtime"),
        spells=spells(_visits(stays, "hadm_id", "admittime", "dischtime")),
        icu_spells=spells(_visits(icu, "icustay_id", "intime", "outtime")),
        facts={
            "age": Fact("age", "visit", by_stay["age"].to_dict(), "age", "integer"),
            "insurance": Fact("insurance", "visit", by_stay["insurance"].to_dict(), "insurance"),
            "marital": Fact(
                "marital_status", "visit", by_stay["marital_status"].to_dict(), "marital status"
            ),
            "type": Fact(
                "admission_type", "visit", by_stay["admission_type"].to_dict(), "admission type"
            ),
            "from": Fact(
                "admission_location", "visit", by_stay["admission_location"].to_dict(),
                "admission location",
            ),
            "to": Fact(
                "discharge_location", "visit", by_stay["discharge_location"].to_dict(),
                "discharge location",
            ),
            "unit": Fact(
                "first_careunit", "icu", by_unit["first_careunit"].to_dict(), "first care unit"
            ),
            "ward": Fact(
                "first_wardid", "icu", by_unit["first_wardid"].to_dict(), "first ward id",
                "integer",
            ),
        },
        money=Money(
            "cost", "subject_id", "hadm_id", "chargetime", "cost", "event_type", "event_id",
            CHARGED, dict.fromkeys(CHARGED, "e.row_id"),
            cost.groupby("hadm_id")["cost"].sum().to_dict(), charges, _prices(frames),
        ),
        died_sql="discharge_location = 'dead/expired'",
        died=(ended["discharge_location"] == "dead/expired").to_dict(),
        deaths={
            patient: np.datetime64(time, "s")
            for patient, time in zip(
                patients["subject_id"], patients["dod"].to_numpy(), strict=True
            )
        },
        gender_sql="SELECT subject_id FROM patients WHERE gender",
        gender=patients.set_index("subject_id")["gender"].to_dict(),
        patients=patients["subject_id"].to_numpy(),
    )  # fmt: skip


def _visits(frame: pd.DataFrame, key: str, start: str, end: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "patient": frame["subject_id"],
            "id": frame[key],
            "start": frame[start],
            "end": frame[end],
        }
    )


def _events(frames: Frames, role: Role) -> Events:
    """Events with their names, merged from the dictionaries."""
    table, dictionary, key, name, value, time = {
        "diagnosis": (
            "diagnoses_icd", "d_icd_diagnoses", "icd9_code", "short_title", "", "charttime"),
        "procedure": (
            "procedures_icd", "d_icd_procedures", "icd9_code", "short_title", "", "charttime"),
        "drug": ("prescriptions", "", "", "drug", "dose_val_rx", "startdate"),
        "lab": ("labevents", "d_labitems", "itemid", "label", "valuenum", "charttime"),
        "vital": ("chartevents", "d_items", "itemid", "label", "valuenum", "charttime"),
        "intake": ("inputevents_cv", "d_items", "itemid", "label", "amount", "charttime"),
        "output": ("outputevents", "d_items", "itemid", "label", "value", "charttime"),
        "culture": ("microbiologyevents", "", "", "spec_type_desc", "", "charttime"),
        "allergy": ("", "", "", "", "", ""),
    }[role]  # fmt: skip
    frame = frames[table]
    if dictionary:
        frame = frame.merge(frames[dictionary][[key, name]], on=key, how="left")
    return events(
        pd.DataFrame(
            {
                "patient": frame["subject_id"],
                "time": frame[time],
                "visit": frame["hadm_id"],
                "icu": frame.get("icustay_id", -1),
                "name": frame[name],
                "value": frame[value].astype(float) if value else np.nan,
            }
        )
    )


def _prices(frames: Frames) -> dict[tuple[Role, str], float]:
    """The price of each name, from the charges; one that has several gets none."""
    names = {
        "diagnosis": ("d_icd_diagnoses", "icd9_code", "short_title"),
        "procedure": ("d_icd_procedures", "icd9_code", "short_title"),
        "lab": ("d_labitems", "itemid", "label"),
        "drug": ("", "drug", "drug"),
    }
    found: dict[tuple[Role, str], float] = {}
    cost = frames["cost"]
    for role, kind in CHARGED.items():
        dictionary, key, name = names[role]
        charged = cost[cost["event_type"] == kind][["event_id", "cost"]]
        merged = charged.merge(frames[kind], left_on="event_id", right_on="row_id")
        prices = merged.groupby(key)["cost"].agg(["min", "max"])
        single = prices.loc[prices["min"] == prices["max"], "min"]
        titles = frames[dictionary].set_index(key)[name].to_dict() if dictionary else {}
        for item, price in single.items():
            found[role, str(titles.get(item, item))] = float(price)
    return found
