# ruff: noqa: E501 — the schema is a table, and its rows stay whole
"""The record as the five tables of MIMICSQL: one row a stay, and its diagnoses, procedures, drugs, labs.

Source of the schema: Wang, Shi, Reddy: Text-to-SQL Generation for Question Answering on Electronic
Medical Records, WWW 2020. Identifiers are text there, values and units are one string, and titles
keep their capitals.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchside.hospital.conditions import CONDITIONS
from benchside.hospital.database import time_text
from benchside.hospital.laboratory import LABS
from benchside.hospital.mimic import doses, pick
from benchside.hospital.record import Record
from benchside.hospital.schema import tables
from benchside.hospital.treatments import DRUGS, PROCEDURES

TABLES = tables("""
DEMOGRAPHIC|SUBJECT_ID TEXT*,HADM_ID TEXT*,NAME TEXT*,MARITAL_STATUS TEXT,AGE INTEGER*,DOB TEXT*,GENDER TEXT*,LANGUAGE TEXT,RELIGION TEXT*,ADMISSION_TYPE TEXT*,DAYS_STAY INTEGER,INSURANCE TEXT*,ETHNICITY TEXT*,EXPIRE_FLAG INTEGER*,ADMISSION_LOCATION TEXT*,DISCHARGE_LOCATION TEXT,DIAGNOSIS TEXT*,DOD TEXT,DOB_YEAR INTEGER*,DOD_YEAR INTEGER,ADMITTIME TEXT*,DISCHTIME TEXT,ADMITYEAR INTEGER*|HADM_ID;SUBJECT_ID;NAME
DIAGNOSES|SUBJECT_ID TEXT*,HADM_ID TEXT*,ICD9_CODE TEXT*,SHORT_TITLE TEXT*,LONG_TITLE TEXT*|HADM_ID;SHORT_TITLE;SUBJECT_ID
PROCEDURES|SUBJECT_ID TEXT*,HADM_ID TEXT*,ICD9_CODE TEXT*,SHORT_TITLE TEXT*,LONG_TITLE TEXT*|HADM_ID;SHORT_TITLE;SUBJECT_ID
PRESCRIPTIONS|SUBJECT_ID TEXT*,HADM_ID TEXT*,ICUSTAY_ID TEXT,DRUG_TYPE TEXT*,DRUG TEXT*,FORMULARY_DRUG_CD TEXT*,ROUTE TEXT*,DRUG_DOSE TEXT*|HADM_ID;DRUG;SUBJECT_ID
LAB|SUBJECT_ID TEXT*,HADM_ID TEXT*,ITEMID TEXT*,CHARTTIME TEXT*,FLAG TEXT,VALUE_UNIT TEXT*,LABEL TEXT*,FLUID TEXT*,CATEGORY TEXT*|HADM_ID;LABEL;SUBJECT_ID
""")


def frames(record: Record) -> dict[str, pd.DataFrame]:
    """All 5 tables by name; columns in the order of `TABLES`."""
    stays = record.stays
    subject = stays["patient"].astype(str).to_numpy()
    hadm = stays["stay"].astype(str).to_numpy()

    def ids(stay: pd.Series) -> dict[str, NDArray[np.object_]]:
        return {"SUBJECT_ID": subject[stay.to_numpy()], "HADM_ID": hadm[stay.to_numpy()]}

    found = {
        "DEMOGRAPHIC": _demographic(record, subject, hadm),
        "DIAGNOSES": pd.DataFrame(
            {
                **ids(record.diagnoses["stay"]),
                "ICD9_CODE": pick(
                    [c.icd9.upper() for c in CONDITIONS], record.diagnoses["condition"]
                ),
                "SHORT_TITLE": pick(
                    [_capital(c.short) for c in CONDITIONS], record.diagnoses["condition"]
                ),
                "LONG_TITLE": pick(
                    [_capital(c.long) for c in CONDITIONS], record.diagnoses["condition"]
                ),
            }
        ),
        "PROCEDURES": pd.DataFrame(
            {
                **ids(record.procedures["stay"]),
                "ICD9_CODE": pick([p.icd9 for p in PROCEDURES], record.procedures["procedure"]),
                "SHORT_TITLE": pick(
                    [_capital(p.short) for p in PROCEDURES], record.procedures["procedure"]
                ),
                "LONG_TITLE": pick(
                    [_capital(p.long) for p in PROCEDURES], record.procedures["procedure"]
                ),
            }
        ),
        "PRESCRIPTIONS": _prescriptions(record, ids(record.prescriptions["stay"])),
        "LAB": _lab(record, ids(record.labs["stay"])),
    }
    return {table.name: found[table.name][list(table.columns)] for table in TABLES}


def _capital(title: str) -> str:
    return title[:1].upper() + title[1:]


def _demographic(
    record: Record, subject: NDArray[np.object_], hadm: NDArray[np.object_]
) -> pd.DataFrame:
    stays, owner = record.stays, record.stays["owner"].to_numpy()
    dod = record.patients["dod"].to_numpy()[owner]
    days = np.round((stays["disch"] - stays["admit"]).dt.total_seconds() / 86_400)
    first = record.diagnoses.drop_duplicates("stay").set_index("stay")["condition"]
    reason = [CONDITIONS[index].bedside.upper() for index in first.reindex(stays.index)]
    languages = stays["language"].str.upper()
    return pd.DataFrame(
        {
            "SUBJECT_ID": subject,
            "HADM_ID": hadm,
            "NAME": record.patients["name"].to_numpy()[owner],
            "MARITAL_STATUS": stays["marital"].str.upper().where(stays["marital"] != "", None),
            "AGE": stays["age"],
            "DOB": time_text(stays["dob"]),
            "GENDER": [letter.upper() for letter in record.patients["gender"].to_numpy()[owner]],
            "LANGUAGE": languages.where(languages != "", None),
            "RELIGION": stays["religion"].str.upper(),
            "ADMISSION_TYPE": stays["kind"].str.upper(),
            "DAYS_STAY": days.astype("Int64"),
            "INSURANCE": [_title(name) for name in stays["insurance"]],
            "ETHNICITY": stays["ethnicity"].str.upper(),
            "EXPIRE_FLAG": (~np.isnat(dod)).astype(np.int64),
            "ADMISSION_LOCATION": stays["source"].str.upper(),
            "DISCHARGE_LOCATION": stays["destination"].str.upper(),
            "DIAGNOSIS": reason,
            "DOD": time_text(pd.Series(dod)),
            "DOB_YEAR": stays["dob"].dt.year,
            "DOD_YEAR": pd.Series(dod).dt.year.astype("Int64"),
            "ADMITTIME": time_text(stays["admit"]),
            "DISCHTIME": time_text(stays["disch"]),
            "ADMITYEAR": stays["admit"].dt.year,
        }
    )


def _title(name: str) -> str:
    return " ".join(word.capitalize() for word in name.split())


def _prescriptions(record: Record, ids: dict[str, NDArray[np.object_]]) -> pd.DataFrame:
    orders = record.prescriptions
    units = pick([drug.unit for drug in DRUGS], orders["drug"])
    icu = record.icu.drop_duplicates("stay").set_index("stay")["icu"]
    unit = icu.reindex(orders["stay"]).to_numpy()
    return pd.DataFrame(
        {
            **ids,
            "ICUSTAY_ID": [None if np.isnan(row) else str(int(row)) for row in unit],
            "DRUG_TYPE": pick([drug.kind for drug in DRUGS], orders["drug"]),
            "DRUG": pick([_title(drug.name) for drug in DRUGS], orders["drug"]),
            "FORMULARY_DRUG_CD": pick([drug.code for drug in DRUGS], orders["drug"]),
            "ROUTE": pick([drug.route.upper() for drug in DRUGS], orders["drug"]),
            "DRUG_DOSE": [f"{dose}{unit}" for dose, unit in zip(doses(record), units, strict=True)],
        }
    )


def _lab(record: Record, ids: dict[str, NDArray[np.object_]]) -> pd.DataFrame:
    results = record.labs
    low = np.array([item.low for item in LABS])[results["item"].to_numpy()]
    high = np.array([item.high for item in LABS])[results["item"].to_numpy()]
    value = results["value"].to_numpy()
    outside = (value < low) | (value > high)
    units = pick([item.unit for item in LABS], results["item"])
    return pd.DataFrame(
        {
            **ids,
            "ITEMID": pick([str(item.itemid) for item in LABS], results["item"]),
            "CHARTTIME": time_text(results["time"]),
            "FLAG": pd.Series("abnormal", results.index, dtype=object).where(outside, None),
            "VALUE_UNIT": [
                f"{number:g}{unit}" for number, unit in zip(value.tolist(), units, strict=True)
            ],
            "LABEL": pick([_capital(item.label) for item in LABS], results["item"]),
            "FLUID": pick([item.fluid for item in LABS], results["item"]),
            "CATEGORY": pick([item.section for item in LABS], results["item"]),
        }
    )
