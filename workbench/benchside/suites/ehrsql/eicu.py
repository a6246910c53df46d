"""From the tables of eICU 2.0, or of its demo, to the database that EHRSQL asks about.

Source: Lee et al.: EHRSQL: A Practical Text-to-SQL Benchmark for Electronic Health Records, NeurIPS
2022 Datasets and Benchmarks, appendix; the rules and their order follow version 1.5.1, with the
options as for MIMIC-III. eICU has no dates: each hospital stay gets one in the sampled year.

The demo has four patients who are in hospital at the present time, so that EHRSQL's tenth of them
cannot be had: three of 1,000 are sampled there, and ages above 89 are 90 rather than left out.

The big tables are read in chunks and written as they come, some of them twice where a rule looks
at the whole table.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pandas as pd

from benchside.suites.ehrsql.demos import is_demo
from benchside.suites.ehrsql.release import Keep, Kind, Release
from benchside.suites.ehrsql.shifted import (
    CURRENT_PATIENTS,
    MIN_AGE,
    STAY_PERCENTILE,
    Draws,
    shift,
)
from benchside.suites.ehrsql.writer import TableWriter

OLDEST = "> 89"
DEMO_OLDEST_AGE = 90
DEMO_CURRENT_PATIENTS = 3

TABLES: dict[str, str] = {
    "patient": "uniquepid VARCHAR, patienthealthsystemstayid INT, "
    "patientunitstayid INT PRIMARY KEY, gender VARCHAR, age VARCHAR, ethnicity VARCHAR, "
    "hospitalid INT, wardid INT, admissionheight NUMERIC, admissionweight NUMERIC, "
    "dischargeweight NUMERIC, hospitaladmittime TIMESTAMP, hospitaladmitsource VARCHAR, "
    "unitadmittime TIMESTAMP, unitdischargetime TIMESTAMP, hospitaldischargetime TIMESTAMP, "
    "hospitaldischargestatus VARCHAR",
    "diagnosis": "diagnosisid INT PRIMARY KEY, patientunitstayid INT, diagnosisname VARCHAR, "
    "diagnosistime TIMESTAMP, icd9code VARCHAR",
    "treatment": "treatmentid INT PRIMARY KEY, patientunitstayid INT, treatmentname VARCHAR, "
    "treatmenttime TIMESTAMP",
    "lab": "labid INT PRIMARY KEY, patientunitstayid INT, labname VARCHAR, labresult NUMERIC, "
    "labresulttime TIMESTAMP",
    "medication": "medicationid INT PRIMARY KEY, patientunitstayid INT, drugname VARCHAR, "
    "dosage VARCHAR, routeadmin VARCHAR, drugstarttime TIMESTAMP, drugstoptime TIMESTAMP",
    "cost": "costid INT PRIMARY KEY, uniquepid VARCHAR, patienthealthsystemstayid INT, "
    "eventtype VARCHAR, eventid INT, chargetime TIMESTAMP, cost DOUBLE",
    "allergy": "allergyid INT PRIMARY KEY, patientunitstayid INT, drugname VARCHAR, "
    "allergyname VARCHAR, allergytime TIMESTAMP",
    "intakeoutput": "intakeoutputid INT PRIMARY KEY, patientunitstayid INT, cellpath VARCHAR, "
    "celllabel VARCHAR, cellvaluenumeric NUMERIC, intakeoutputtime TIMESTAMP",
    "microlab": "microlabid INT PRIMARY KEY, patientunitstayid INT, culturesite VARCHAR, "
    "organism VARCHAR, culturetakentime TIMESTAMP",
    "vitalperiodic": "vitalperiodicid INT PRIMARY KEY, patientunitstayid INT, "
    "temperature NUMERIC, sao2 INT, heartrate INT, respiration INT, systemicsystolic INT, "
    "systemicdiastolic INT, systemicmean INT, observationtime TIMESTAMP",
}
SOURCES = tuple(name for name in TABLES if name != "cost")
INDEXES = (
    "patient(uniquepid)", "patient(patienthealthsystemstayid)", "diagnosis(patientunitstayid)",
    "diagnosis(diagnosisname)", "treatment(patientunitstayid)", "treatment(treatmentname)",
    "lab(patientunitstayid)", "lab(labname)", "medication(patientunitstayid)",
    "medication(drugname)", "cost(patienthealthsystemstayid)", "cost(eventid)",
    "allergy(patientunitstayid)", "intakeoutput(patientunitstayid)", "intakeoutput(celllabel)",
    "microlab(patientunitstayid)", "vitalperiodic(patientunitstayid)",
)  # fmt: skip

_UNIT: dict[str, Kind] = {"patientunitstayid": "integer"}
_PATIENT: dict[str, Kind] = {
    "uniquepid": "text", "patienthealthsystemstayid": "integer", **_UNIT, "gender": "text",
    "age": "text", "ethnicity": "text", "hospitalid": "integer", "wardid": "integer",
    "admissionheight": "number", "admissionweight": "number", "dischargeweight": "number",
    "hospitaladmitsource": "text", "hospitaldischargestatus": "text",
    "hospitaladmitoffset": "integer", "hospitaladmittime24": "clock",
    "unitdischargeoffset": "integer", "hospitaldischargeoffset": "integer",
    "hospitaldischargeyear": "integer",
}  # fmt: skip
_VITALS = (
    "temperature", "sao2", "heartrate", "respiration", "systemicsystolic", "systemicdiastolic",
    "systemicmean",
)  # fmt: skip


def preprocess(release: Release, con: sqlite3.Connection) -> None:
    """Write all 10 tables into an empty database.

    Raises:
        InputError: a table is not as it was released.
    """
    _Preprocessing(release, con).run()


class _Preprocessing:
    """One run: the cohort is set by the first step, and the later ones keep its rows."""

    def __init__(self, release: Release, con: sqlite3.Connection) -> None:
        self.release, self.con, self.draws = release, con, Draws()
        self.admitted = pd.Series(dtype="datetime64[s]")  # by unit stay: its time 0
        self.units: frozenset[int] = frozenset()  # of the cohort

    def run(self) -> None:
        self._write_patients()
        self._write_named("diagnosis", "icd9code")
        self._write_named("treatment")
        self._write_labs()
        self._write_medication()
        self._write_costs()
        self._write_allergies()
        self._write_volumes()
        self._write_cultures()
        self._write_vitals()

    def _write_patients(self) -> None:
        """Give each stay a date, sample the cohort, and write its unit stays."""
        released = self.release.whole("patient", _PATIENT)
        demo = is_demo(released.patientunitstayid)
        if demo:
            released["age"] = released.age.replace(OLDEST, str(DEMO_OLDEST_AGE))
        patients = _plausible(released)
        times, ages = _dates(patients, self.draws)
        patients = patients[patients.patientunitstayid.isin(ages)].copy()
        patients["age"] = patients.patientunitstayid.map(ages).astype(str)
        patients["unitadmitoffset"] = 0
        self.admitted = pd.Series(times, dtype="datetime64[s]")
        for event in ("hospitaladmit", "unitadmit", "unitdischarge", "hospitaldischarge"):
            patients[f"{event}time"] = self._time(patients, f"{event}offset")
        patients = patients[patients.hospitaladmittime.notna() & patients.unitadmittime.notna()]
        discharged = patients.hospitaldischargetime.notna()
        patients = patients.assign(
            hospitaldischargestatus=patients.hospitaldischargestatus.where(discharged, None),
            dischargeweight=patients.dischargeweight.where(discharged),
        )
        cohort = self.draws.cohort(
            patients.uniquepid,
            patients.hospitaldischargetime,
            DEMO_CURRENT_PATIENTS if demo else CURRENT_PATIENTS,
        )
        patients = patients[patients.uniquepid.isin(cohort)]
        self.units = frozenset(patients.patientunitstayid.tolist())
        with TableWriter(self.con, "patient", TABLES["patient"], numbered=False) as writer:
            writer.add(patients)

    def _write_named(self, table: str, *more: str) -> None:
        """Write diagnoses or treatments, named by levels 3 and 4 of their path.

        A name that stands below several pairs of levels 1 and 2 is kept below its commonest pair.
        """
        path, offset = f"{table}string", f"{table}offset"
        columns: dict[str, Kind] = {**_UNIT, path: "text", offset: "integer"}
        above: dict[str, Counter[str]] = {}
        for rows in self.release.chunks(table, {path: "text"}):
            for text, count in Counter(rows[path].dropna()).items():
                levels = text.split("|")
                if len(levels) > 2:
                    name = "|".join(levels[2:4])
                    above.setdefault(name, Counter())["|".join(levels[:2])] += count
        usual = {name: pairs.most_common(1)[0][0] for name, pairs in above.items()}

        def name_of(text: object) -> str | None:
            levels = str(text).split("|")
            if usual.get("|".join(levels[2:4])) != "|".join(levels[:2]):
                return None
            return " - ".join(levels[2:4])

        def shape(rows: pd.DataFrame) -> pd.DataFrame:
            rows[f"{table}name"] = rows[path].map(name_of)
            return rows[rows[f"{table}name"].notna()]

        self._stream(
            table, {**columns, **dict.fromkeys(more, "text")}, {offset: f"{table}time"}, shape=shape
        )

    def _write_labs(self) -> None:
        columns: dict[str, Kind] = {
            **_UNIT, "labresultoffset": "integer", "labname": "text", "labresult": "number",
        }  # fmt: skip
        self._stream(
            "lab", columns, {"labresultoffset": "labresulttime"},
            lambda rows: rows.labresult.notna(),
        )  # fmt: skip

    def _write_medication(self) -> None:
        columns: dict[str, Kind] = {
            **_UNIT, "drugstartoffset": "number", "drugstopoffset": "number", "drugname": "text",
            "dosage": "text", "routeadmin": "text", "drugordercancelled": "text",
        }  # fmt: skip

        def given(rows: pd.DataFrame) -> pd.Series[bool]:
            named = rows[["drugname", "dosage", "routeadmin"]].notna().all(axis=1)
            return named & (rows.drugordercancelled.str.lower().str.strip() == "no")

        self._stream(
            "medication", columns,
            {"drugstartoffset": "drugstarttime", "drugstopoffset": "drugstoptime"}, given,
        )  # fmt: skip

    def _write_costs(self) -> None:
        """Give each diagnosis, lab test, treatment and medication the price of its item."""
        means = self.draws.mean_costs()
        kinds = (
            ("diagnosis", "diagnosisname", "diagnosistime", means[0]),
            ("lab", "labname", "labresulttime", means[0]),  # not means[1], as in EHRSQL
            ("treatment", "treatmentname", "treatmenttime", means[2]),
            ("medication", "drugname", "drugstarttime", means[3]),
        )
        with TableWriter(self.con, "cost", TABLES["cost"]) as writer:
            for table, item, time, mean in kinds:
                key = f"{table}id"
                sql = (
                    f"SELECT uniquepid, patienthealthsystemstayid, '{table}' AS eventtype, "
                    f"{key} AS eventid, {time} AS chargetime, {item} AS item "
                    f"FROM {table} JOIN patient USING (patientunitstayid) ORDER BY {key}"
                )
                in_order = f"SELECT {item} FROM {table} GROUP BY {item} ORDER BY MIN({key})"
                prices = self.draws.costs((row[0] for row in self.con.execute(in_order)), mean)
                for rows in pd.read_sql_query(sql, self.con, chunksize=200_000):
                    writer.add(rows.assign(cost=rows.item.map(prices)))

    def _write_allergies(self) -> None:
        columns: dict[str, Kind] = {
            **_UNIT, "allergyoffset": "integer", "drugname": "text", "allergyname": "text",
        }  # fmt: skip
        self._stream("allergy", columns, {"allergyoffset": "allergytime"})

    def _write_volumes(self) -> None:
        """Write intake and output by labels that somewhere stand for millilitres."""
        labels: set[str] = set()
        for rows in self.release.chunks("intakeoutput", {"cellpath": "text", "celllabel": "text"}):
            in_ml = rows.cellpath.str.contains(r"(?:intake|output) \(ml\)", na=False)
            labels.update(rows.celllabel[in_ml].dropna().unique())
        labels -= {"intake", "output"}
        names = {label: _without_direction(label) for label in labels}

        def shape(rows: pd.DataFrame) -> pd.DataFrame:
            rows = rows[rows.celllabel.isin(labels)]
            return rows.assign(celllabel=rows.celllabel.map(names))

        columns: dict[str, Kind] = {
            **_UNIT, "intakeoutputoffset": "integer", "cellpath": "text", "celllabel": "text",
            "cellvaluenumeric": "number",
        }  # fmt: skip
        self._stream(
            "intakeoutput", columns, {"intakeoutputoffset": "intakeoutputtime"}, shape=shape
        )

    def _write_cultures(self) -> None:
        columns: dict[str, Kind] = {
            **_UNIT, "culturetakenoffset": "integer", "culturesite": "text", "organism": "text",
        }  # fmt: skip
        self._stream("microlab", columns, {"culturetakenoffset": "culturetakentime"})

    def _write_vitals(self) -> None:
        columns: dict[str, Kind] = {**_UNIT, "observationoffset": "integer"}
        for vital in _VITALS:
            columns[vital] = "number"
        self._stream("vitalperiodic", columns, {"observationoffset": "observationtime"})

    def _stream(
        self,
        table: str,
        columns: dict[str, Kind],
        times: dict[str, str],
        keep: Keep | None = None,
        shape: Callable[[pd.DataFrame], pd.DataFrame] = lambda rows: rows,
    ) -> None:
        """Write the cohort's rows of a table.

        Args:
            times: offset column → time column; rows are left out whose first time is yet to come.
        """

        def wanted(rows: pd.DataFrame) -> pd.Series[bool]:
            of_cohort = rows.patientunitstayid.isin(self.units)
            return of_cohort if keep is None else of_cohort & keep(rows)

        with TableWriter(self.con, table, TABLES[table]) as writer:
            for rows in self.release.chunks(table, columns, wanted):
                timed = rows.assign(
                    **{time: self._time(rows, offset) for offset, time in times.items()}
                )
                shaped = shape(timed)
                writer.add(shaped[shaped[next(iter(times.values()))].notna()])

    def _time(self, rows: pd.DataFrame, offset: str) -> pd.Series:
        return shift(rows.patientunitstayid.map(self.admitted), rows[offset])


def _plausible(patients: pd.DataFrame) -> pd.DataFrame:
    """Leave out stays of unknown source or sex, the very young and old, and the longest."""
    patients = patients[
        patients.hospitaladmitsource.notna() & patients.gender.isin(["male", "female"])
    ]
    age = pd.to_numeric(patients.age, errors="coerce")  # OLDEST is none
    patients = patients.assign(age=age)[age >= MIN_AGE].astype({"age": "int64"})
    minutes = patients.hospitaldischargeoffset - patients.hospitaladmitoffset
    return patients[minutes < minutes.quantile(STAY_PERCENTILE / 100)]


@dataclass(frozen=True, slots=True)
class _UnitStay:
    """What dating needs of a stay in an intensive care unit; offsets in minutes from its start."""

    unit: int
    hospital: int
    year: int
    age: int
    admit_offset: int
    admit_clock: str
    unit_end: int
    hospital_end: int

    def in_order(self) -> bool:
        """Whether the hospital stay begins before, and the unit stay ends within it."""
        return self.admit_offset <= 0 < self.unit_end <= self.hospital_end


def _dates(patients: pd.DataFrame, draws: Draws) -> tuple[dict[int, pd.Timestamp], dict[int, int]]:
    """Draw a date for each hospital stay; return the admission time and the age of unit stays.

    A patient's stays are dated in order of their years, and no further once the times of a unit
    stay contradict each other; that one has an age and no time.
    """
    times: dict[int, pd.Timestamp] = {}
    ages: dict[int, int] = {}
    for stays in _by_patient(patients):
        first_year, youngest = min(stay.year for stay in stays), min(stay.age for stay in stays)
        start = draws.first_year()
        for year in sorted({stay.year for stay in stays}):
            since = year - first_year
            by_hospital: dict[int, list[_UnitStay]] = {}
            for stay in stays:
                if stay.year == year:
                    by_hospital.setdefault(stay.hospital, []).append(stay)
            days = draws.days_in_year(start + since, len(by_hospital))
            dated = zip(by_hospital.values(), days, strict=True)
            if not all(_date(units, day, youngest + since, times, ages) for units, day in dated):
                break
    return times, ages


def _by_patient(patients: pd.DataFrame) -> Iterable[list[_UnitStay]]:
    columns = (
        "patientunitstayid", "patienthealthsystemstayid", "hospitaldischargeyear", "age",
        "hospitaladmitoffset", "hospitaladmittime24", "unitdischargeoffset",
        "hospitaldischargeoffset",
    )  # fmt: skip
    grouped: dict[str, list[_UnitStay]] = {}
    rows = zip(*(patients[column].tolist() for column in columns), strict=True)
    for patient, row in zip(patients.uniquepid, rows, strict=True):
        grouped.setdefault(patient, []).append(_UnitStay(*row))
    return grouped.values()


def _date(
    units: Iterable[_UnitStay],
    day: pd.Timestamp,
    age: int,
    times: dict[int, pd.Timestamp],
    ages: dict[int, int],
) -> bool:
    """Date the unit stays of a hospital stay; return False at one that contradicts itself."""
    for stay in units:
        ages[stay.unit] = age
        if not stay.in_order():
            return False
        admitted = day + pd.Timedelta(stay.admit_clock)
        times[stay.unit] = admitted - pd.Timedelta(minutes=stay.admit_offset)
    return True


def _without_direction(label: str) -> str:
    """Leave out a last word "intake", and then a last word "output"."""
    for direction in ("intake", "output"):
        words = label.split()
        if words and words[-1] == direction:
            label = " ".join(words[:-1])
    return label
