# ruff: noqa: E501 — the schema is a table, and its rows stay whole
"""The record in the schema of eICU as EHRSQL uses it: 10 tables around ICU stays.

Hospital stays without intensive care are not in it. An event belongs to the ICU stay that it falls
into, or to the one before it, or to the first of its hospital stay.

Source of the schema: Pollard et al., eICU, Scientific Data 2018; Lee et al., EHRSQL, NeurIPS 2022,
which turns offsets into times and adds the table cost.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchside.hospital.bedside import INTAKES, OUTPUTS, VITALS
from benchside.hospital.conditions import CONDITIONS
from benchside.hospital.laboratory import LABS
from benchside.hospital.mimic import doses, pick
from benchside.hospital.prices import prices
from benchside.hospital.record import Record
from benchside.hospital.schema import tables
from benchside.hospital.treatments import ALLERGIES, CULTURES, DRUGS, PROCEDURES

TABLES = tables("""
patient|uniquepid VARCHAR(10)*,patienthealthsystemstayid INT*,patientunitstayid INT*,gender VARCHAR(25)*,age VARCHAR(10)*,ethnicity VARCHAR(50),hospitalid INT*,wardid INT*,admissionheight NUMERIC(10,2),admissionweight NUMERIC(10,2),dischargeweight NUMERIC(10,2),hospitaladmittime TIMESTAMP(0)*,hospitaladmitsource VARCHAR(30)*,unitadmittime TIMESTAMP(0)*,unitdischargetime TIMESTAMP(0),hospitaldischargetime TIMESTAMP(0),hospitaldischargestatus VARCHAR(10)|patientunitstayid;uniquepid hospitaladmittime;patienthealthsystemstayid
diagnosis|diagnosisid INT*,patientunitstayid INT*,diagnosisname VARCHAR(200)*,diagnosistime TIMESTAMP(0)*,icd9code VARCHAR(100)|patientunitstayid;diagnosisname
treatment|treatmentid INT*,patientunitstayid INT*,treatmentname VARCHAR(200)*,treatmenttime TIMESTAMP(0)*|patientunitstayid;treatmentname
lab|labid INT*,patientunitstayid INT*,labname VARCHAR(256)*,labresult NUMERIC(11,4)*,labresulttime TIMESTAMP(0)*|patientunitstayid labname;labname
medication|medicationid INT*,patientunitstayid INT*,drugname VARCHAR(220)*,dosage VARCHAR(60)*,routeadmin VARCHAR(120)*,drugstarttime TIMESTAMP(0),drugstoptime TIMESTAMP(0)|patientunitstayid;drugname
cost|costid INT*,uniquepid VARCHAR(10)*,patienthealthsystemstayid INT*,eventtype VARCHAR(20)*,eventid INT*,chargetime TIMESTAMP(0)*,cost DOUBLE PRECISION*|patienthealthsystemstayid;uniquepid;eventtype eventid
allergy|allergyid INT*,patientunitstayid INT*,drugname VARCHAR(255),allergyname VARCHAR(255)*,allergytime TIMESTAMP(0)*|patientunitstayid;allergyname
intakeoutput|intakeoutputid INT*,patientunitstayid INT*,cellpath VARCHAR(500)*,celllabel VARCHAR(255)*,cellvaluenumeric NUMERIC(12,4)*,intakeoutputtime TIMESTAMP(0)*|patientunitstayid celllabel;celllabel
microlab|microlabid INT*,patientunitstayid INT*,culturesite VARCHAR(255)*,organism VARCHAR(255)*,culturetakentime TIMESTAMP(0)*|patientunitstayid;culturesite
vitalperiodic|vitalperiodicid BIGINT*,patientunitstayid INT*,temperature NUMERIC(11,4),sao2 INT,heartrate INT,respiration INT,systemicsystolic INT,systemicdiastolic INT,systemicmean INT,observationtime TIMESTAMP(0)*|patientunitstayid observationtime
""")
PATH = "flowsheet|flowsheet cell labels|i&o|"
ETHNICITY = {
    "white": "caucasian", "black/african american": "african american", "asian": "asian",
    "hispanic or latino": "hispanic", "hispanic/latino - puerto rican": "hispanic",
    "other": "other/unknown", "unknown/not specified": None,
}  # fmt: skip
SOURCE = {
    "emergency room admit": "emergency department", "transfer from hosp/extram": "other hospital",
    "clinic referral/premature": "direct admit", "transfer from skilled nur": "floor",
    "phys referral/normal deli": "operating room",
}  # fmt: skip
ROUTE = {
    "iv": "iv", "iv drip": "iv continuous infusion", "po": "oral", "sc": "subq", "ih": "nebulization",
    "pr": "rectal", "td": "transdermal",
}  # fmt: skip
HOSPITALS = 12
SYSTEM_WARDS = 90  # ward ids start here


def frames(record: Record) -> dict[str, pd.DataFrame]:
    """All 10 tables by name; columns in the order of `TABLES`."""
    patient = _patient(record)
    unit = patient["patientunitstayid"].to_numpy()
    found = {
        "patient": patient,
        "diagnosis": _by_unit(
            record, record.diagnoses, unit,
            diagnosisname=pick([c.bedside for c in CONDITIONS], record.diagnoses["condition"]),
            diagnosistime=record.diagnoses["time"],
            icd9code=pick([f"{c.dotted}, {c.icd10}" for c in CONDITIONS], record.diagnoses["condition"]),
        ),
        "treatment": _by_unit(
            record, record.procedures, unit,
            treatmentname=pick([p.bedside for p in PROCEDURES], record.procedures["procedure"]),
            treatmenttime=record.procedures["time"],
        ),
        "lab": _by_unit(
            record, record.labs, unit,
            labname=pick([item.other for item in LABS], record.labs["item"]),
            labresult=record.labs["value"],
            labresulttime=record.labs["time"],
        ),
        "medication": _medication(record, unit),
        "allergy": _allergy(record, patient),
        "intakeoutput": _intakeoutput(record, unit),
        "microlab": _by_unit(
            record, record.cultures, unit,
            culturesite=pick([c.site for c in CULTURES], record.cultures["culture"]),
            organism=record.cultures["organism"].where(record.cultures["organism"].notna(), "no growth"),
            culturetakentime=record.cultures["time"],
        ),
        "vitalperiodic": _vitalperiodic(record, unit),
    }  # fmt: skip
    for table in TABLES:
        if table.name not in ("patient", "cost"):
            frame = found[table.name]
            frame.insert(0, next(iter(table.columns)), np.arange(1, len(frame) + 1))
    found["cost"] = _cost(found)
    return {table.name: found[table.name][list(table.columns)] for table in TABLES}


def unit_of(
    record: Record, stay: NDArray[np.int64], time: NDArray[np.datetime64]
) -> NDArray[np.int64]:
    """Row of the ICU stay of each event; -1 where its hospital stay has none."""
    icu = record.icu.sort_values(["stay", "intime"])
    seconds = icu["intime"].to_numpy().astype("datetime64[s]").astype(np.int64)
    key = icu["stay"].to_numpy() * 10**11 + seconds
    place = (
        np.searchsorted(key, stay * 10**11 + time.astype("datetime64[s]").astype(np.int64), "right")
        - 1
    )
    first = np.searchsorted(icu["stay"].to_numpy(), stay, "left")
    place = np.maximum(place, first)
    place = np.minimum(place, len(icu) - 1)
    right = icu["stay"].to_numpy()[place] == stay
    return np.where(right, icu.index.to_numpy()[place], -1)


def _by_unit(
    record: Record, events: pd.DataFrame, unit: NDArray[np.int64], **columns: object
) -> pd.DataFrame:
    """A table of events with their ICU stay; those without one are left out."""
    row = unit_of(record, events["stay"].to_numpy(), events["time"].to_numpy())
    frame = pd.DataFrame({"patientunitstayid": unit[row], **columns})
    return frame[row >= 0].reset_index(drop=True)


def _patient(record: Record) -> pd.DataFrame:
    icu, stay = record.icu, record.icu["stay"].to_numpy()
    stays = record.stays.iloc[stay].reset_index(drop=True)
    hospital = 101 + stays["owner"].to_numpy() * 7 % HOSPITALS * 13
    weights = record.vitals[record.vitals["vital"] == len(VITALS)].groupby("icu")["value"]
    heights = record.vitals[record.vitals["vital"] == len(VITALS) + 1].set_index("icu")["value"]
    gone = stays["disch"].notna()
    status = pd.Series(np.where(stays["died"], "expired", "alive"), dtype=object).where(gone, None)
    gender = record.patients["gender"].to_numpy()[stays["owner"]]
    return pd.DataFrame(
        {
            "uniquepid": [
                f"{h % 100:03d}-{p}" for h, p in zip(hospital, stays["patient"], strict=True)
            ],
            "patienthealthsystemstayid": stays["stay"].to_numpy(),
            "patientunitstayid": icu["icu"].to_numpy(),
            "gender": np.where(gender == "f", "female", "male"),
            "age": stays["age"].astype(str).to_numpy(),
            "ethnicity": [ETHNICITY[name] for name in stays["ethnicity"]],
            "hospitalid": hospital,
            "wardid": hospital * 3 + SYSTEM_WARDS + icu["ward"].to_numpy() % 3,
            "admissionheight": heights.reindex(icu.index).to_numpy(),
            "admissionweight": weights.first().reindex(icu.index).to_numpy(),
            "dischargeweight": weights.last().reindex(icu.index).mask(icu["here"]).to_numpy(),
            "hospitaladmittime": stays["admit"].to_numpy(),
            "hospitaladmitsource": [SOURCE[name] for name in stays["source"]],
            "unitadmittime": icu["intime"].to_numpy(),
            "unitdischargetime": icu["outtime"].mask(icu["here"]).to_numpy(),
            "hospitaldischargetime": stays["disch"].to_numpy(),
            "hospitaldischargestatus": status,
        }
    )


def _medication(record: Record, unit: NDArray[np.int64]) -> pd.DataFrame:
    orders = record.prescriptions
    lasts = orders["end"] - orders["start"] + np.timedelta64(4, "h")
    stop = orders["moment"] + lasts
    end = record.stays["disch"].to_numpy()[orders["stay"].to_numpy()]
    stop = stop.where(~(stop > end), pd.Series(end))
    units = pick([drug.unit for drug in DRUGS], orders["drug"])
    return _by_unit(
        record,
        orders.assign(time=orders["moment"]),
        unit,
        drugname=pick([drug.name for drug in DRUGS], orders["drug"]),
        dosage=[f"{dose} {unit}" for dose, unit in zip(doses(record), units, strict=True)],
        routeadmin=pick([ROUTE[drug.route] for drug in DRUGS], orders["drug"]),
        drugstarttime=orders["moment"],
        drugstoptime=stop,
    )


def _allergy(record: Record, patient: pd.DataFrame) -> pd.DataFrame:
    """Allergies, noted when the patient first came to intensive care."""
    owner = record.stays["owner"].to_numpy()[record.icu["stay"].to_numpy()]
    first = pd.Series(np.arange(len(patient)), index=owner).groupby(level=0).first()
    row = first.reindex(record.allergies["owner"]).to_numpy()
    seen = ~np.isnan(row)
    names = pick([name for name, _ in ALLERGIES], record.allergies["allergy"])[seen]
    row = row[seen].astype(np.int64)
    no_drug = ("latex", "shellfish")
    return pd.DataFrame(
        {
            "patientunitstayid": patient["patientunitstayid"].to_numpy()[row],
            "drugname": [None if name in no_drug else name for name in names],
            "allergyname": names,
            "allergytime": record.icu["intime"].to_numpy()[row] + np.timedelta64(1200, "s"),
        }
    )


def _intakeoutput(record: Record, unit: NDArray[np.int64]) -> pd.DataFrame:
    parts = []
    for events, items in ((record.intakes, INTAKES), (record.outputs, OUTPUTS)):
        paths = [PATH + item.path for item in items]
        parts.append(
            pd.DataFrame(
                {
                    "patientunitstayid": unit[events["icu"].to_numpy()],
                    "cellpath": pick(paths, events["fluid"]),
                    "celllabel": pick([path.rpartition("|")[2] for path in paths], events["fluid"]),
                    "cellvaluenumeric": events["volume"],
                    "intakeoutputtime": events["time"],
                }
            )
        )
    both = pd.concat(parts, ignore_index=True)
    return both.sort_values(
        ["patientunitstayid", "intakeoutputtime", "cellpath"], ignore_index=True
    )


def _vitalperiodic(record: Record, unit: NDArray[np.int64]) -> pd.DataFrame:
    """One row for each time of observation, one column for each vital sign."""
    signs = record.vitals[record.vitals["vital"] < len(VITALS)]
    row = signs["icu"].to_numpy()
    seconds = signs["time"].to_numpy().astype("datetime64[s]").astype(np.int64)
    keys, place = np.unique(row * 10**11 + seconds, return_inverse=True)
    wide = np.full((len(keys), len(VITALS)), np.nan)
    wide[place, signs["vital"].to_numpy()] = signs["value"].to_numpy()
    columns = {item.other: wide[:, index] for index, item in enumerate(VITALS)}
    return pd.DataFrame(
        {
            "patientunitstayid": unit[keys // 10**11],
            **columns,
            "observationtime": (keys % 10**11).astype("datetime64[s]"),
        }
    )


def _cost(found: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One charge for each diagnosis, treatment, laboratory value and medication."""
    patient = found["patient"].set_index("patientunitstayid")
    charged = {
        "diagnosis": (
            "diagnosisname",
            "diagnosistime",
            prices("diagnosis", [c.bedside for c in CONDITIONS]),
        ),
        "treatment": (
            "treatmentname",
            "treatmenttime",
            prices("procedure", [p.bedside for p in PROCEDURES]),
        ),
        "lab": ("labname", "labresulttime", prices("lab", [item.other for item in LABS])),
        "medication": ("drugname", "drugstarttime", prices("drug", [drug.name for drug in DRUGS])),
    }
    parts = []
    for name, (item, time, price) in charged.items():
        events = found[name]
        row = patient.index.get_indexer(pd.Index(events["patientunitstayid"]))
        parts.append(
            pd.DataFrame(
                {
                    "uniquepid": patient["uniquepid"].to_numpy()[row],
                    "patienthealthsystemstayid": patient["patienthealthsystemstayid"].to_numpy()[
                        row
                    ],
                    "eventtype": name,
                    "eventid": events[f"{name}id"],
                    "chargetime": events[time],
                    "cost": events[item].map(price).astype(float),
                }
            )
        )
    cost = pd.concat(parts, ignore_index=True)
    cost.insert(0, "costid", np.arange(1, len(cost) + 1))
    return cost
