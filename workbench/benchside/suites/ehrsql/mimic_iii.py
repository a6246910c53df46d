"""From the tables of MIMIC-III 1.4, or of its demo, to the database that EHRSQL asks about.

Source: Lee et al.: EHRSQL: A Practical Text-to-SQL Benchmark for Electronic Health Records, NeurIPS
2022 Datasets and Benchmarks, appendix; the rules and their order follow version 1.5.1, with
`--timeshift --current_time "2105-12-31 23:59:00" --start_year 2100 --time_span 5
--cur_patient_ratio 0.1` and without `--deid`.

The big tables are read in chunks and written as they come; only patients, stays and transfers are
held whole.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator

import pandas as pd

from benchside.suites.ehrsql.release import Keep, Kind, Release
from benchside.suites.ehrsql.shifted import MIN_AGE, START_YEAR, STAY_PERCENTILE, Draws, shift
from benchside.suites.ehrsql.writer import TableWriter

MAX_AGE = 89
START = pd.Timestamp(START_YEAR, 1, 1)
CHART_ITEMS = frozenset({677, 834, 211, 618, 51, 8368, 52, 762, 920})
"""Body temperature, SaO2, heart rate, respiration, systolic, diastolic and mean arterial pressure,
admission weight and height, as CareVue recorded them."""
LINKED = ("inputevents_cv", "outputevents", "chartevents")

TABLES: dict[str, str] = {
    "patients": "row_id INT PRIMARY KEY, subject_id INT, gender VARCHAR, dob TIMESTAMP, "
    "dod TIMESTAMP",
    "admissions": "row_id INT PRIMARY KEY, subject_id INT, hadm_id INT, admittime TIMESTAMP, "
    "dischtime TIMESTAMP, admission_type VARCHAR, admission_location VARCHAR, "
    "discharge_location VARCHAR, insurance VARCHAR, language VARCHAR, marital_status VARCHAR, "
    "ethnicity VARCHAR, age INT",
    "d_icd_diagnoses": "row_id INT PRIMARY KEY, icd9_code VARCHAR, short_title VARCHAR, "
    "long_title VARCHAR",
    "d_icd_procedures": "row_id INT PRIMARY KEY, icd9_code VARCHAR, short_title VARCHAR, "
    "long_title VARCHAR",
    "d_labitems": "row_id INT PRIMARY KEY, itemid INT, label VARCHAR",
    "d_items": "row_id INT PRIMARY KEY, itemid INT, label VARCHAR, linksto VARCHAR",
    "diagnoses_icd": "row_id INT PRIMARY KEY, subject_id INT, hadm_id INT, icd9_code VARCHAR, "
    "charttime TIMESTAMP",
    "procedures_icd": "row_id INT PRIMARY KEY, subject_id INT, hadm_id INT, icd9_code VARCHAR, "
    "charttime TIMESTAMP",
    "labevents": "row_id INT PRIMARY KEY, subject_id INT, hadm_id INT, itemid INT, "
    "charttime TIMESTAMP, valuenum DOUBLE, valueuom VARCHAR",
    "prescriptions": "row_id INT PRIMARY KEY, subject_id INT, hadm_id INT, startdate TIMESTAMP, "
    "enddate TIMESTAMP, drug VARCHAR, dose_val_rx VARCHAR, dose_unit_rx VARCHAR, route VARCHAR",
    "cost": "row_id INT PRIMARY KEY, subject_id INT, hadm_id INT, event_type VARCHAR, "
    "event_id INT, chargetime TIMESTAMP, cost DOUBLE",
    "chartevents": "row_id INT PRIMARY KEY, subject_id INT, hadm_id INT, icustay_id INT, "
    "itemid INT, charttime TIMESTAMP, valuenum DOUBLE, valueuom VARCHAR",
    "inputevents_cv": "row_id INT PRIMARY KEY, subject_id INT, hadm_id INT, icustay_id INT, "
    "charttime TIMESTAMP, itemid INT, amount DOUBLE",
    "outputevents": "row_id INT PRIMARY KEY, subject_id INT, hadm_id INT, icustay_id INT, "
    "charttime TIMESTAMP, itemid INT, value DOUBLE",
    "microbiologyevents": "row_id INT PRIMARY KEY, subject_id INT, hadm_id INT, "
    "charttime TIMESTAMP, spec_type_desc VARCHAR, org_name VARCHAR",
    "icustays": "row_id INT PRIMARY KEY, subject_id INT, hadm_id INT, icustay_id INT, "
    "first_careunit VARCHAR, last_careunit VARCHAR, first_wardid INT, last_wardid INT, "
    "intime TIMESTAMP, outtime TIMESTAMP",
    "transfers": "row_id INT PRIMARY KEY, subject_id INT, hadm_id INT, icustay_id INT, "
    "eventtype VARCHAR, careunit VARCHAR, wardid INT, intime TIMESTAMP, outtime TIMESTAMP",
}
SOURCES = tuple(name for name in TABLES if name != "cost")
INDEXES = (
    "patients(subject_id)", "admissions(subject_id)", "admissions(hadm_id)",
    "icustays(subject_id)", "icustays(hadm_id)", "icustays(icustay_id)", "labevents(hadm_id)",
    "diagnoses_icd(hadm_id)", "procedures_icd(hadm_id)", "prescriptions(hadm_id)",
    "microbiologyevents(hadm_id)", "transfers(hadm_id)", "cost(hadm_id)", "cost(event_id)",
    "chartevents(icustay_id)", "inputevents_cv(icustay_id)", "outputevents(icustay_id)",
    "d_items(label)", "d_labitems(label)",
)  # fmt: skip

_STAY: dict[str, Kind] = {"subject_id": "integer", "hadm_id": "integer"}
_UNIT_STAY: dict[str, Kind] = {**_STAY, "icustay_id": "integer"}
_PRESCRIPTION: dict[str, Kind] = {
    "subject_id": "integer", "hadm_id": "integer", "startdate": "time", "enddate": "time",
    "drug": "text", "dose_val_rx": "raw", "dose_unit_rx": "text", "route": "text",
}  # fmt: skip


def preprocess(release: Release, con: sqlite3.Connection) -> None:
    """Write all 17 tables into an empty database.

    Raises:
        InputError: a table is not as it was released.
    """
    _Preprocessing(release, con).run()


class _Preprocessing:
    """One run: the cohort is set by the first step, and the later ones keep its rows."""

    def __init__(self, release: Release, con: sqlite3.Connection) -> None:
        self.release, self.con, self.draws = release, con, Draws()
        self.minutes: dict[int, int] = {}  # subject → shift
        self.stays: frozenset[int] = frozenset()  # hadm_id of the cohort
        self.admitted = self.discharged = pd.Series(dtype="datetime64[s]")  # by hadm_id, unshifted

    def run(self) -> None:
        self._write_stays()
        codes, procedures, labs, items = self._write_dictionaries()
        self._write_codes("diagnoses_icd", codes, self.admitted)
        self._write_codes("procedures_icd", procedures, self.discharged)
        self._write_labs(labs)
        self._write_prescriptions()
        self._write_costs()
        self._write_chart()
        self._write_volumes("inputevents_cv", "amount", items)
        self._write_volumes("outputevents", "value", items)
        self._write_microbiology()

    def _write_stays(self) -> None:
        """Sample the cohort, and write patients, admissions, ICU stays and transfers."""
        read = self.release.whole
        patients = read(
            "patients",
            {"subject_id": "integer", "gender": "text", "dob": "time", "dod": "time"},
        )
        admissions = _plausible(self._admissions(patients))
        by_stay = admissions.set_index("hadm_id")
        self.admitted, self.discharged = by_stay.admittime, by_stay.dischtime
        first_year = admissions.groupby("subject_id", sort=False).admittime.min().dt.year
        # years of 365 days, as EHRSQL shifts them
        self.minutes = {
            subject: (self.draws.first_year() - year) * 365 * 24 * 60
            for subject, year in zip(first_year.index.tolist(), first_year.tolist(), strict=True)
        }
        self._shift(patients, "dob", "dod")
        self._shift(admissions, "admittime", "dischtime")
        admissions = admissions[admissions.admittime.notna()].copy()
        admissions["discharge_location"] = admissions.discharge_location.where(
            admissions.dischtime.notna(), None
        )
        cohort = self.draws.cohort(admissions.subject_id, admissions.dischtime)
        admissions = admissions[admissions.subject_id.isin(cohort)]
        self.stays = frozenset(admissions.hadm_id.tolist())
        self._write("patients", patients[patients.dob.notna() & patients.subject_id.isin(cohort)])
        self._write("admissions", admissions)
        units = read(
            "icustays",
            {
                **_UNIT_STAY, "first_careunit": "text", "last_careunit": "text",
                "first_wardid": "number", "last_wardid": "number", "intime": "time",
                "outtime": "time",
            },
            self._in_cohort,
        )  # fmt: skip
        transfers = read(
            "transfers",
            {
                **_STAY, "icustay_id": "number", "eventtype": "text", "curr_careunit": "text",
                "curr_wardid": "number", "intime": "time", "outtime": "time",
            },
            self._in_cohort,
        )  # fmt: skip
        transfers = transfers.rename(columns={"curr_careunit": "careunit", "curr_wardid": "wardid"})
        for name, table in (("icustays", units), ("transfers", transfers)):
            self._shift(table, "intime", "outtime")
            self._write(name, table[table.intime.notna()])

    def _admissions(self, patients: pd.DataFrame) -> pd.DataFrame:
        admissions = self.release.whole(
            "admissions",
            {
                **_STAY, "admittime": "time", "dischtime": "time", "admission_type": "text",
                "admission_location": "text", "discharge_location": "text", "insurance": "text",
                "language": "text", "marital_status": "text", "ethnicity": "text",
            },
        )  # fmt: skip
        born = admissions.subject_id.map(
            patients.drop_duplicates("subject_id").set_index("subject_id").dob
        )
        age = (admissions.admittime - born).dt.days / 365.25
        return admissions[age.notna()].assign(age=age[age.notna()].astype("int64"))

    def _write_dictionaries(
        self,
    ) -> tuple[frozenset[str], frozenset[str], frozenset[int], frozenset[int]]:
        """Write the four dictionaries; return the codes and items that events may have."""
        read = self.release.whole
        titles: dict[str, Kind] = {"icd9_code": "raw", "short_title": "text", "long_title": "text"}
        diagnoses = read("d_icd_diagnoses", titles)
        diagnoses["icd9_code"] = diagnosis_codes(diagnoses.icd9_code)
        procedures = read("d_icd_procedures", titles)
        procedures["icd9_code"] = procedure_codes(procedures.icd9_code)
        procedures = procedures.drop_duplicates(subset="icd9_code")
        labs = read("d_labitems", {"itemid": "integer", "label": "text"})
        items = read("d_items", {"itemid": "integer", "label": "text", "linksto": "text"})
        items = items[items.label.notna() & items.linksto.isin(LINKED)]
        self._write("d_icd_diagnoses", diagnoses)
        self._write("d_icd_procedures", procedures)
        self._write("d_labitems", labs)
        self._write("d_items", items)
        return (
            frozenset(diagnoses.icd9_code),
            frozenset(procedures.icd9_code),
            frozenset(labs.itemid.tolist()),
            frozenset(items.itemid.tolist()),
        )

    def _write_codes(self, table: str, known: frozenset[str], times: pd.Series) -> None:
        """Write diagnoses or procedures; they have no time of their own but the stay's."""
        codes = diagnosis_codes if table == "diagnoses_icd" else procedure_codes
        with TableWriter(self.con, table, TABLES[table]) as writer:
            for rows in self.release.chunks(table, {**_STAY, "icd9_code": "raw"}, self._in_cohort):
                coded = rows.assign(
                    icd9_code=codes(rows.icd9_code), charttime=rows.hadm_id.map(times)
                )
                writer.add(self._since_start(coded[coded.icd9_code.isin(known)], "charttime"))

    def _write_labs(self, known: frozenset[int]) -> None:
        columns: dict[str, Kind] = {
            **_STAY, "itemid": "integer", "charttime": "time", "valuenum": "number",
            "valueuom": "text",
        }  # fmt: skip

        def keep(rows: pd.DataFrame) -> pd.Series[bool]:
            measured = rows.valuenum.notna() & rows.valueuom.notna()
            return self._in_cohort(rows) & measured & rows.itemid.isin(known)

        self._stream("labevents", columns, keep)

    def _write_prescriptions(self) -> None:
        """Write those with a whole dose, in the unit that the drug mostly has in the release."""
        units: dict[str, Counter[str]] = {}
        for rows in self._doses(lambda rows: rows.hadm_id.notna()):
            for (drug, unit), count in Counter(
                zip(rows.drug, rows.dose_unit_rx, strict=True)
            ).items():
                units.setdefault(drug, Counter())[unit] += count
        usual = {drug: found.most_common(1)[0][0] for drug, found in units.items()}
        with TableWriter(self.con, "prescriptions", TABLES["prescriptions"]) as writer:
            for rows in self._doses(self._in_cohort):
                usually = rows[rows.dose_unit_rx == rows.drug.map(usual)]
                # as "5.0", since EHRSQL had the doses as floats
                doses = usually.dose_val_rx.astype("float64").astype(str)
                given = usually.assign(dose_val_rx=doses)
                self._shift(given, "startdate", "enddate")
                writer.add(given[given.startdate >= START])

    def _doses(self, keep: Keep) -> Iterator[pd.DataFrame]:
        for rows in self.release.chunks("prescriptions", _PRESCRIPTION, keep):
            dose = rows.dose_val_rx.str.replace(",", "").str.strip()
            complete = rows.drop(columns="dose_val_rx").notna().all(axis=1)
            whole = dose.str.fullmatch(r"\d+").fillna(False).astype(bool)
            yield rows.assign(dose_val_rx=dose)[complete & whole]

    def _write_costs(self) -> None:
        """Give each diagnosis, lab test, procedure and prescription the price of its item."""
        means = self.draws.mean_costs()
        kinds = (
            ("diagnoses_icd", "icd9_code", "charttime"),
            ("labevents", "itemid", "charttime"),
            ("procedures_icd", "icd9_code", "charttime"),
            ("prescriptions", "drug", "startdate"),
        )
        with TableWriter(self.con, "cost", TABLES["cost"]) as writer:
            for (table, item, time), mean in zip(kinds, means, strict=True):
                sql = (
                    f"SELECT subject_id, hadm_id, '{table}' AS event_type, row_id AS event_id, "
                    f"{time} AS chargetime, {item} AS item FROM {table} ORDER BY row_id"
                )
                items = sorted(
                    row[0] for row in self.con.execute(f"SELECT DISTINCT {item} FROM {table}")
                )
                prices = self.draws.costs(items, mean)
                for rows in pd.read_sql_query(sql, self.con, chunksize=200_000):
                    writer.add(rows.assign(cost=rows.item.map(prices)).drop(columns="item"))

    def _write_chart(self) -> None:
        columns: dict[str, Kind] = {
            **_UNIT_STAY, "itemid": "integer", "charttime": "time", "valuenum": "number",
            "valueuom": "text",
        }  # fmt: skip

        def keep(rows: pd.DataFrame) -> pd.Series[bool]:
            of_interest = rows.itemid.isin(CHART_ITEMS) & rows.hadm_id.isin(self.stays)
            return of_interest & rows[
                ["icustay_id", "charttime", "valuenum", "valueuom"]
            ].notna().all(axis=1)

        self._stream("chartevents", columns, keep)

    def _write_volumes(self, table: str, amount: str, known: frozenset[int]) -> None:
        """Write intake or output in millilitres."""
        unit = f"{amount}uom"
        columns: dict[str, Kind] = {
            **_UNIT_STAY, "charttime": "time", "itemid": "integer", amount: "number", unit: "text",
        }  # fmt: skip

        def keep(rows: pd.DataFrame) -> pd.Series[bool]:
            given = rows[["icustay_id", amount, unit]].notna().all(axis=1)
            in_ml = rows[unit].str.lower().str.strip() == "ml"
            return self._in_cohort(rows) & given & in_ml & rows.itemid.isin(known)

        self._stream(table, columns, keep)

    def _write_microbiology(self) -> None:
        columns: dict[str, Kind] = {
            **_STAY, "chartdate": "time", "charttime": "time", "spec_type_desc": "text",
            "org_name": "text",
        }  # fmt: skip
        table = "microbiologyevents"
        with TableWriter(self.con, table, TABLES[table]) as writer:
            for rows in self.release.chunks(table, columns, self._in_cohort):
                taken = rows.assign(charttime=rows.charttime.fillna(rows.chartdate))
                writer.add(self._since_start(taken, "charttime"))

    def _stream(self, table: str, columns: dict[str, Kind], keep: Keep) -> None:
        with TableWriter(self.con, table, TABLES[table]) as writer:
            for rows in self.release.chunks(table, columns, keep):
                writer.add(self._since_start(rows, "charttime"))

    def _write(self, table: str, rows: pd.DataFrame) -> None:
        with TableWriter(self.con, table, TABLES[table]) as writer:
            writer.add(rows)

    def _in_cohort(self, rows: pd.DataFrame) -> pd.Series[bool]:
        return rows.hadm_id.isin(self.stays)

    def _shift(self, rows: pd.DataFrame, *columns: str) -> None:
        minutes = rows.subject_id.map(self.minutes)
        for column in columns:
            rows[column] = shift(rows[column], minutes)

    def _since_start(self, rows: pd.DataFrame, column: str) -> pd.DataFrame:
        rows = rows.copy()
        self._shift(rows, column)
        return rows[rows[column] >= START]


def _plausible(admissions: pd.DataFrame) -> pd.DataFrame:
    """Leave out the very young and old, then the longest stays."""
    admissions = admissions[admissions.age.between(MIN_AGE, MAX_AGE)]
    days = (admissions.dischtime - admissions.admittime).dt.days
    return admissions[days < days.quantile(STAY_PERCENTILE / 100)].copy()


def diagnosis_codes(codes: pd.Series) -> pd.Series:
    """Return ICD-9 codes of diagnoses as EHRSQL has them: lower-case text."""
    return codes.str.lower().str.strip()


def procedure_codes(codes: pd.Series) -> pd.Series:
    """Return ICD-9 codes of procedures as EHRSQL has them: without leading zeros.

    They were read as numbers there, so that codes such as 0012 and 12 are one; the first title
    stays. Kept, because the gold queries were made on such a database.
    """
    return codes.str.strip().str.lstrip("0").replace("", "0")
