# ruff: noqa: E501 — the schema is a table, and its rows stay whole
"""The record in the schema of MIMIC-III as EHRSQL uses it: 17 tables, lower-case values.

Source of the schema: Johnson et al., MIMIC-III, Scientific Data 2016; Lee et al., EHRSQL, NeurIPS
2022 (Datasets and Benchmarks), which adds times to diagnoses and procedures and the table cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchside.hospital.bedside import HEIGHT, INTAKES, OUTPUTS, VITALS, WEIGHT
from benchside.hospital.conditions import CONDITIONS
from benchside.hospital.laboratory import LABS
from benchside.hospital.prices import prices
from benchside.hospital.record import Record
from benchside.hospital.schema import tables
from benchside.hospital.treatments import CULTURES, DRUGS, PROCEDURES

Array: TypeAlias = NDArray[Any]

TABLES = tables("""
patients|row_id INT*,subject_id INT*,gender VARCHAR(5)*,dob TIMESTAMP(0)*,dod TIMESTAMP(0)|subject_id
admissions|row_id INT*,subject_id INT*,hadm_id INT*,admittime TIMESTAMP(0)*,dischtime TIMESTAMP(0),admission_type VARCHAR(50)*,admission_location VARCHAR(50)*,discharge_location VARCHAR(50),insurance VARCHAR(255)*,language VARCHAR(10),marital_status VARCHAR(50),ethnicity VARCHAR(200)*,age INT*|subject_id admittime;hadm_id
d_icd_diagnoses|row_id INT*,icd9_code VARCHAR(10)*,short_title VARCHAR(50)*,long_title VARCHAR(255)*|icd9_code;short_title
d_icd_procedures|row_id INT*,icd9_code VARCHAR(10)*,short_title VARCHAR(50)*,long_title VARCHAR(255)*|icd9_code;short_title
d_labitems|row_id INT*,itemid INT*,label VARCHAR(200)*|itemid;label
d_items|row_id INT*,itemid INT*,label VARCHAR(200)*,linksto VARCHAR(50)*|itemid;label
diagnoses_icd|row_id INT*,subject_id INT*,hadm_id INT*,icd9_code VARCHAR(10)*,charttime TIMESTAMP(0)*|subject_id charttime;hadm_id;icd9_code charttime
procedures_icd|row_id INT*,subject_id INT*,hadm_id INT*,icd9_code VARCHAR(10)*,charttime TIMESTAMP(0)*|subject_id charttime;hadm_id;icd9_code charttime
labevents|row_id INT*,subject_id INT*,hadm_id INT*,itemid INT*,charttime TIMESTAMP(0),valuenum DOUBLE PRECISION,valueuom VARCHAR(20)|subject_id itemid charttime;hadm_id;itemid charttime
prescriptions|row_id INT*,subject_id INT*,hadm_id INT*,startdate TIMESTAMP(0)*,enddate TIMESTAMP(0),drug VARCHAR(100)*,dose_val_rx VARCHAR(120)*,dose_unit_rx VARCHAR(120)*,route VARCHAR(120)*|subject_id startdate;hadm_id;drug startdate
cost|row_id INT*,subject_id INT*,hadm_id INT*,event_type VARCHAR(20)*,event_id INT*,chargetime TIMESTAMP(0)*,cost DOUBLE PRECISION*|hadm_id;subject_id chargetime;event_type event_id
chartevents|row_id INT*,subject_id INT*,hadm_id INT*,icustay_id INT*,itemid INT*,charttime TIMESTAMP(0)*,valuenum DOUBLE PRECISION,valueuom VARCHAR(50)|subject_id itemid charttime;icustay_id
inputevents_cv|row_id INT*,subject_id INT*,hadm_id INT*,icustay_id INT*,charttime TIMESTAMP(0)*,itemid INT*,amount DOUBLE PRECISION|subject_id charttime;icustay_id;itemid charttime
outputevents|row_id INT*,subject_id INT*,hadm_id INT*,icustay_id INT*,charttime TIMESTAMP(0)*,itemid INT*,value DOUBLE PRECISION|subject_id charttime;icustay_id;itemid charttime
microbiologyevents|row_id INT*,subject_id INT*,hadm_id INT*,charttime TIMESTAMP(0)*,spec_type_desc VARCHAR(100),org_name VARCHAR(100)|subject_id charttime;hadm_id;spec_type_desc charttime
icustays|row_id INT*,subject_id INT*,hadm_id INT*,icustay_id INT*,first_careunit VARCHAR(20)*,last_careunit VARCHAR(20)*,first_wardid SMALLINT*,last_wardid SMALLINT*,intime TIMESTAMP(0)*,outtime TIMESTAMP(0)|subject_id intime;hadm_id;icustay_id
transfers|row_id INT*,subject_id INT*,hadm_id INT*,icustay_id INT,eventtype VARCHAR(20)*,careunit VARCHAR(20),wardid SMALLINT,intime TIMESTAMP(0)*,outtime TIMESTAMP(0)|subject_id intime;hadm_id
""")  # fmt: skip


def frames(record: Record) -> dict[str, pd.DataFrame]:
    """All 17 tables by name; columns in the order of `TABLES`."""
    stays = record.stays
    subject = stays["patient"].to_numpy()
    hadm = stays["stay"].to_numpy()
    icu_hadm = hadm[record.icu["stay"].to_numpy()]
    icu_subject = subject[record.icu["stay"].to_numpy()]
    icustay = record.icu["icu"].to_numpy()

    def by_stay(events: pd.DataFrame) -> dict[str, NDArray[np.int64]]:
        stay = events["stay"].to_numpy()
        return {"subject_id": subject[stay], "hadm_id": hadm[stay]}

    def by_icu(events: pd.DataFrame) -> dict[str, NDArray[np.int64]]:
        row = events["icu"].to_numpy()
        ids = {"subject_id": icu_subject[row], "hadm_id": icu_hadm[row]}
        return {**ids, "icustay_id": icustay[row]}

    charted = (*VITALS, WEIGHT, HEIGHT)
    tall = record.vitals["vital"] == len(VITALS) + 1  # this schema has heights in inches
    charts = record.vitals["value"].mask(tall, (record.vitals["value"] / 2.54).round())
    found: dict[str, pd.DataFrame] = {
        **_dictionaries(),
        "patients": pd.DataFrame(
            {
                "subject_id": record.patients["patient"],
                "gender": record.patients["gender"],
                "dob": record.patients["dob"],
                "dod": record.patients["dod"],
            }
        ),
        "admissions": pd.DataFrame(
            {
                "subject_id": subject,
                "hadm_id": hadm,
                "admittime": stays["admit"],
                "dischtime": stays["disch"],
                "admission_type": stays["kind"],
                "admission_location": stays["source"],
                "discharge_location": stays["destination"],
                "insurance": stays["insurance"],
                "language": known(stays["language"]),
                "marital_status": known(stays["marital"]),
                "ethnicity": stays["ethnicity"],
                "age": stays["age"],
            }
        ),
        "diagnoses_icd": pd.DataFrame(
            {
                **by_stay(record.diagnoses),
                "icd9_code": pick([c.icd9 for c in CONDITIONS], record.diagnoses["condition"]),
                "charttime": record.diagnoses["time"],
            }
        ),
        "procedures_icd": pd.DataFrame(
            {
                **by_stay(record.procedures),
                "icd9_code": pick([p.icd9 for p in PROCEDURES], record.procedures["procedure"]),
                "charttime": record.procedures["time"],
            }
        ),
        "labevents": pd.DataFrame(
            {
                **by_stay(record.labs),
                "itemid": pick([item.itemid for item in LABS], record.labs["item"]),
                "charttime": record.labs["time"],
                "valuenum": record.labs["value"],
                "valueuom": pick([item.unit or None for item in LABS], record.labs["item"]),
            }
        ),
        "prescriptions": pd.DataFrame(
            {
                **by_stay(record.prescriptions),
                "startdate": record.prescriptions["start"],
                "enddate": record.prescriptions["end"],
                "drug": pick([drug.name for drug in DRUGS], record.prescriptions["drug"]),
                "dose_val_rx": doses(record),
                "dose_unit_rx": pick([drug.unit for drug in DRUGS], record.prescriptions["drug"]),
                "route": pick([drug.route for drug in DRUGS], record.prescriptions["drug"]),
            }
        ),
        "chartevents": pd.DataFrame(
            {
                **by_icu(record.vitals),
                "itemid": pick([item.itemid for item in charted], record.vitals["vital"]),
                "charttime": record.vitals["time"],
                "valuenum": charts,
                "valueuom": pick(
                    [item.unit for item in (*VITALS, WEIGHT)] + ["inches"], record.vitals["vital"]
                ),
            }
        ),
        "inputevents_cv": pd.DataFrame(
            {
                **by_icu(record.intakes),
                "charttime": record.intakes["time"],
                "itemid": pick([item.itemid for item in INTAKES], record.intakes["fluid"]),
                "amount": record.intakes["volume"],
            }
        ),
        "outputevents": pd.DataFrame(
            {
                **by_icu(record.outputs),
                "charttime": record.outputs["time"],
                "itemid": pick([item.itemid for item in OUTPUTS], record.outputs["fluid"]),
                "value": record.outputs["volume"],
            }
        ),
        "microbiologyevents": pd.DataFrame(
            {
                **by_stay(record.cultures),
                "charttime": record.cultures["time"],
                "spec_type_desc": pick([c.specimen for c in CULTURES], record.cultures["culture"]),
                "org_name": record.cultures["organism"],
            }
        ),
        "icustays": pd.DataFrame(
            {
                "subject_id": icu_subject,
                "hadm_id": icu_hadm,
                "icustay_id": icustay,
                "first_careunit": record.icu["unit"],
                "last_careunit": record.icu["unit"],
                "first_wardid": record.icu["ward"],
                "last_wardid": record.icu["ward"],
                "intime": record.icu["intime"],
                "outtime": record.icu["outtime"].mask(record.icu["here"]),
            }
        ),
        "transfers": _transfers(record, subject, hadm, icustay),
    }
    for name, frame in found.items():
        frame.insert(0, "row_id", np.arange(1, len(frame) + 1))
        found[name] = frame
    found["cost"] = _cost(found)
    return {table.name: found[table.name][list(table.columns)] for table in TABLES}


def known(column: pd.Series) -> pd.Series:
    """The column with None for empty text."""
    return column.where(column != "", None)


def pick(names: Sequence[str | int | None], index: pd.Series) -> Array:
    """The catalogue entries that an event column of row numbers points to."""
    numbers = all(isinstance(name, int) for name in names)
    values = np.array(names, dtype=np.int64 if numbers else object)
    picked: Array = values[index.to_numpy()]
    return picked


def doses(record: Record) -> list[str]:
    """The dose of each prescription as text."""
    orders = record.prescriptions
    return [
        DRUGS[drug].doses[dose] for drug, dose in zip(orders["drug"], orders["dose"], strict=True)
    ]


def _dictionaries() -> dict[str, pd.DataFrame]:
    """The four dictionary tables."""
    items = [
        *((item.itemid, item.label, "chartevents") for item in (*VITALS, WEIGHT, HEIGHT)),
        *((item.itemid, item.label, "inputevents_cv") for item in INTAKES),
        *((item.itemid, item.label, "outputevents") for item in OUTPUTS),
    ]
    titles = ["icd9_code", "short_title", "long_title"]
    return {
        "d_icd_diagnoses": pd.DataFrame([(c.icd9, c.short, c.long) for c in CONDITIONS], columns=titles),
        "d_icd_procedures": pd.DataFrame([(p.icd9, p.short, p.long) for p in PROCEDURES], columns=titles),
        "d_labitems": pd.DataFrame([(i.itemid, i.label) for i in LABS], columns=["itemid", "label"]),
        "d_items": pd.DataFrame(items, columns=["itemid", "label", "linksto"]),
    }  # fmt: skip


def _transfers(
    record: Record,
    subject: NDArray[np.int64],
    hadm: NDArray[np.int64],
    icustay: NDArray[np.int64],
) -> pd.DataFrame:
    moves = record.moves
    stay = moves["stay"].to_numpy()
    row = moves["icu"].to_numpy()
    inside = ~np.isnan(row)
    ids = np.full(len(moves), np.nan)
    ids[inside] = icustay[row[inside].astype(np.int64)]
    return pd.DataFrame(
        {
            "subject_id": subject[stay],
            "hadm_id": hadm[stay],
            "icustay_id": pd.array(ids, dtype="Float64").astype("Int64"),
            "eventtype": moves["event"],
            "careunit": moves["unit"].where(moves["unit"].notna(), None),
            "wardid": moves["ward"].astype("Int64"),
            "intime": moves["intime"],
            "outtime": moves["outtime"],
        }
    )


def _cost(found: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One charge for each diagnosis, procedure, laboratory value and prescription."""
    charged: dict[str, tuple[str, str, Mapping[Any, float]]] = {
        "diagnoses_icd": ("icd9_code", "charttime", prices("diagnosis", [c.icd9 for c in CONDITIONS])),
        "procedures_icd": ("icd9_code", "charttime", prices("procedure", [p.icd9 for p in PROCEDURES])),
        "labevents": ("itemid", "charttime", prices("lab", [item.itemid for item in LABS])),
        "prescriptions": ("drug", "startdate", prices("drug", [drug.name for drug in DRUGS])),
    }  # fmt: skip
    parts = [
        pd.DataFrame(
            {
                "subject_id": found[name]["subject_id"],
                "hadm_id": found[name]["hadm_id"],
                "event_type": name,
                "event_id": found[name]["row_id"],
                "chargetime": found[name][time],
                "cost": found[name][item].map(price).astype(float),
            }
        )
        for name, (item, time, price) in charged.items()
    ]
    cost = pd.concat(parts, ignore_index=True)
    cost.insert(0, "row_id", np.arange(1, len(cost) + 1))
    return cost
