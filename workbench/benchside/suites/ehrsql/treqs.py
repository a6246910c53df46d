"""MIMICSQL (TREQS): questions over five tables of MIMIC-III, made here from the release.

Source: Wang, Shi, Reddy: Text-to-SQL Generation for Question Answering on Electronic Medical
Records, WWW 2020; https://github.com/wangpinggl/TREQS (MIT). The five tables follow its
`process_mimic_db`, over all admissions. The names of patients are made up there, in `id2name.csv`;
without that file they are missing, and so are the questions about them.

Published queries lower-cased, as MedAgentGym has them, are asked of a lower-cased database.
"""

from __future__ import annotations

import csv
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

import pandas as pd
from pydantic import JsonValue

from benchside.errors import InputError
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites.ehrsql.build import (
    DIFFERS,
    GUESSED,
    distinct,
    json_rows,
    question_files,
    require_answers,
    split,
    template,
)
from benchside.suites.ehrsql.database import (
    Database,
    Schema,
    database_image,
    prepare_database,
)
from benchside.suites.ehrsql.gold import Rows, agrees, comparable, open_gold
from benchside.suites.ehrsql.question import Item, Question, question, read_items
from benchside.suites.ehrsql.release import Kind, Release
from benchside.suites.ehrsql.writer import TableWriter
from benchside.suites.ehrsql2024.answer import DECIMALS, ROWS_GRADER
from benchside.task import AnswerKey, AnswerSchema, GraderRef, Sensitivity, TaskSpec

TABLES: dict[str, str] = {
    "demographic": "subject_id TEXT, hadm_id TEXT, name TEXT, marital_status TEXT, age INTEGER, "
    "dob TEXT, gender TEXT, language TEXT, religion TEXT, admission_type TEXT, "
    "days_stay INTEGER, insurance TEXT, ethnicity TEXT, expire_flag INTEGER, "
    "admission_location TEXT, discharge_location TEXT, diagnosis TEXT, dod TEXT, "
    "dob_year INTEGER, dod_year REAL, admittime TEXT, dischtime TEXT, admityear INTEGER",
    "diagnoses": "subject_id TEXT, hadm_id TEXT, icd9_code TEXT, short_title TEXT, long_title TEXT",
    "procedures": "subject_id TEXT, hadm_id TEXT, icd9_code TEXT, short_title TEXT, "
    "long_title TEXT",
    "prescriptions": "subject_id TEXT, hadm_id TEXT, icustay_id TEXT, drug_type TEXT, drug TEXT, "
    "formulary_drug_cd TEXT, route TEXT, drug_dose TEXT",
    "lab": "subject_id TEXT, hadm_id TEXT, itemid TEXT, charttime TEXT, flag TEXT, "
    "value_unit TEXT, label TEXT, fluid TEXT, category TEXT",
}
SOURCES = (
    "patients", "admissions", "diagnoses_icd", "d_icd_diagnoses", "procedures_icd",
    "d_icd_procedures", "prescriptions", "labevents", "d_labitems",
)  # fmt: skip
INDEXES = tuple(f"{table}({column})" for table in TABLES for column in ("hadm_id", "subject_id"))
MAX_AGE = 89  # MIMIC-III makes those who are older 300 years old
CONVENTIONS = f"""\
Conventions of the data set:
- The five tables are joined on hadm_id. Patients are counted by different subject_id.
- Ages and years stand in demographic: age, dob_year, dod_year, admityear, and the days of a \
hospital stay in days_stay.
- Where several values or rows are asked for, submit each different one once, in any order; \
numbers count to {DECIMALS} decimals."""
COUNT = AnswerSchema(kind="integer", description="a whole number")
ROWS = AnswerSchema(
    kind="table",
    description="the different rows that answer the question: a value, a list of values or of "
    "rows, or a DataFrame",
)
COUNT_GRADER = GraderRef(name="integer")
IMAGE = "mimicsql.records"

_LITERAL = re.compile(r"(<=|>=|=|<|>)\s*\"([^\"]*)\"")
_QUOTED_COLUMN = re.compile(r"\.'(\w+)'")


def build(options: BuildOptions) -> SuiteBuild:
    """Build the suite from the user's question files and database or release.

    Raises:
        DataMissingError: a file is not there.
        InputError: a file is damaged, or not in a format that is read here.
    """
    data, counts = options.data_folder, Counter[str]()
    read = (item for path in question_files(options, data) for item in _read(path))
    questions = distinct(read, counts)
    names = next((f.find(data) for f in options.manifest.data if "id2name" in f.path), None)
    schema = Schema(
        tables=TABLES,
        sources=SOURCES,
        indexes=INDEXES,
        preprocess=partial(preprocess, names=_read_names(names) if names else {}),
        patients="SELECT DISTINCT subject_id FROM demographic ORDER BY subject_id",
        demo_ids="SELECT DISTINCT subject_id FROM demographic",
    )
    database = prepare_database(options, schema, data)
    if all(question.sql == (question.sql or "").lower() for question in questions):
        _lower(database.path)
        counts["database: lower-cased, as the questions are"] = 1
    tasks, keys = _tasks(questions, options.manifest, database, counts)
    require_answers(keys, counts, data)
    counts[GUESSED] = sum(key.value in (1, [[1]]) for key in keys)
    counts["database: preprocessed here from the tables"] = int(database.preprocessed)
    counts["database: open demo"] = int(database.sensitivity == "open")
    counts["patients in the database"] = len(database.patients)
    image = database_image(database, IMAGE, "MIMIC-III in the five tables of MIMICSQL.")
    return SuiteBuild(tasks, keys, [image], dict(counts))


def _read(path: Path) -> list[Question]:
    """Read a file as TREQS or as MedAgentGym has it."""
    return [
        question(item, "treqs") if "db_id" in item.fields else _published(item)
        for item in read_items(path)
    ]


def _published(item: Item) -> Question:
    return Question(id=item.text("key"), text=item.text("question_refine"), sql=item.text("sql"))


def runnable(sql: str) -> str:
    """Return the gold SQL with values in single quotes, and columns in none.

    SQLite takes a double-quoted value for text only where no column is called so, and some builds
    of it never do.
    """
    sql = _QUOTED_COLUMN.sub(r".\1", sql.strip())
    return _LITERAL.sub(lambda m: f"{m[1]} '{m[2].replace(chr(39), chr(39) * 2)}'", sql)


def category(sql: str) -> str:
    """Return count, extreme, average or lookup, by what the query selects."""
    head = sql.lower().split()[1]
    return {"count": "count", "max": "extreme", "min": "extreme", "avg": "average"}.get(
        head.partition("(")[0], "lookup"
    )


def _tasks(
    questions: Iterable[Question],
    manifest: SuiteManifest,
    database: Database,
    counts: Counter[str],
) -> tuple[list[TaskSpec], list[AnswerKey]]:
    tasks, keys = [], []
    with open_gold(database.path) as gold:
        for item in questions:
            assert item.sql is not None  # there are no unanswerable ones
            sql = runnable(item.sql)
            found = gold.run(sql)
            rows = tuple(dict.fromkeys(found.rows))
            if found.standing != "found":
                counts[f"left out, gold SQL {found.standing}"] += 1
            elif comparable(rows) == [["0.0"]]:
                counts["left out, gold is zero"] += 1
            else:
                task = _task(item, sql, manifest, database.sensitivity)
                tasks.append(task)
                keys.append(_key(item, sql, rows, task))
                counts[f"{task.split}: answerable"] += 1
                counts.update(f"flagged {flag}" for flag in keys[-1].flags)
    return tasks, keys


def _task(item: Question, sql: str, manifest: SuiteManifest, sensitivity: Sensitivity) -> TaskSpec:
    counted = category(sql) == "count"
    answer = COUNT if counted else ROWS
    group = template(re.sub(r"'[^']*'", "?", sql))
    return TaskSpec(
        task_id=item.id,
        suite=manifest.name,
        version=manifest.version,
        category=category(sql),
        split=split(group),
        group=group,
        prompt="Answer a question about the electronic health records of MIMIC-III. The tables "
        "are DataFrames in the kernel, and `con` is a read-only SQLite connection to them.\n\n"
        f"Question: {item.text}\n\n{CONVENTIONS}\n\nSubmit {answer.description}.",
        image=IMAGE,
        answer=answer,
        grader=COUNT_GRADER if counted else ROWS_GRADER,
        licence=manifest.licence,
        sensitivity=sensitivity,
    )


def _key(item: Question, sql: str, rows: Rows, task: TaskSpec) -> AnswerKey:
    counted = task.answer.kind == "integer"
    value: JsonValue = json_rows(rows)
    if counted:
        value = int(str(rows[0][0]))
    query = f"sql = {sql!r}\nrows = list(dict.fromkeys(con.execute(sql).fetchall()))\nrows[:10]"
    differs = item.published is not None and not agrees(rows, item.published)
    return AnswerKey(
        task_id=item.id,
        value=value,
        solution=(query, "submit(rows[0][0])" if counted else "submit(rows)"),
        flags=(DIFFERS,) if differs else (),
    )


def _lower(path: Path) -> None:
    """Lower-case all text of a database."""
    with closing(sqlite3.connect(path)) as con:
        for table in TABLES:
            info = con.execute(f"PRAGMA table_info({table})")
            columns = [row[1] for row in info if row[2] == "TEXT"]
            changes = ", ".join(f'"{column}" = lower("{column}")' for column in columns)
            con.execute(f"UPDATE {table} SET {changes}")
        con.commit()


def _read_names(path: Path) -> dict[int, str]:
    """Return subject → made-up name of TREQS' `id2name.csv`."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    for number, row in enumerate(rows, start=1):
        if len(row) < 2 or not row[0].isdecimal():
            raise InputError(
                "a row is not a subject's number and name", where=f"{path}, row {number}",
                value=row, fix="fetch evaluation/process_mimic_db/id2name.csv of TREQS again",
            )  # fmt: skip
    return {int(row[0]): row[1] for row in rows}


def preprocess(release: Release, con: sqlite3.Connection, names: Mapping[int, str]) -> None:
    """Write the five tables into an empty database.

    Args:
        names: subject → name; empty where there are none.

    Raises:
        InputError: a table is not as it was released.
    """
    _write(con, "demographic", [_demographic(release, names)])
    _write_codes(release, con, "diagnoses")
    _write_codes(release, con, "procedures")
    _write_prescriptions(release, con)
    _write_lab(release, con)


def _write(con: sqlite3.Connection, table: str, chunks: Iterable[pd.DataFrame]) -> None:
    with TableWriter(con, table, TABLES[table], numbered=False) as writer:
        for rows in chunks:
            writer.add(rows)


def _demographic(release: Release, names: Mapping[int, str]) -> pd.DataFrame:
    patients = release.whole(
        "patients",
        {
            "subject_id": "integer", "gender": "raw", "dob": "time", "dod": "time",
            "expire_flag": "integer",
        },
    )  # fmt: skip
    text: dict[str, Kind] = dict.fromkeys(
        (
            "admission_type", "admission_location", "discharge_location", "insurance", "language",
            "religion", "marital_status", "ethnicity", "diagnosis",
        ),
        "raw",
    )  # fmt: skip
    stays = release.whole(
        "admissions",
        {
            "subject_id": "integer",
            "hadm_id": "integer",
            "admittime": "time",
            "dischtime": "time",
            **text,
        },
    )
    rows = stays.merge(patients, on="subject_id")
    age = rows.admittime.dt.year - rows.dob.dt.year
    return rows.assign(
        name=rows.subject_id.map(dict(names)).astype(object),
        age=age.where(age <= MAX_AGE, age + MAX_AGE - 300),
        days_stay=(rows.dischtime - rows.admittime).dt.days,
        dob_year=rows.dob.dt.year,
        dod_year=rows.dod.dt.year,
        admityear=rows.admittime.dt.year,
        subject_id=rows.subject_id.astype(str),
        hadm_id=rows.hadm_id.astype(str),
    )


def _write_codes(release: Release, con: sqlite3.Connection, table: str) -> None:
    """Write diagnoses or procedures with their titles; codes without a title are left out."""
    titles = release.whole(
        f"d_icd_{table}", {"icd9_code": "raw", "short_title": "raw", "long_title": "raw"}
    )
    columns: dict[str, Kind] = dict.fromkeys(("subject_id", "hadm_id", "icd9_code"), "raw")
    chunks = release.chunks(f"{table}_icd", columns)
    _write(con, table, (rows.merge(titles, on="icd9_code") for rows in chunks))


def _write_prescriptions(release: Release, con: sqlite3.Connection) -> None:
    columns: dict[str, Kind] = dict.fromkeys(
        (
            "subject_id", "hadm_id", "icustay_id", "drug_type", "drug", "formulary_drug_cd",
            "route", "dose_val_rx", "dose_unit_rx",
        ),
        "raw",
    )  # fmt: skip
    chunks = release.chunks(
        "prescriptions", columns, lambda rows: rows.dose_val_rx.notna() & rows.dose_unit_rx.notna()
    )
    _write(
        con,
        "prescriptions",
        (rows.assign(drug_dose=rows.dose_val_rx + rows.dose_unit_rx) for rows in chunks),
    )


def _write_lab(release: Release, con: sqlite3.Connection) -> None:
    items = release.whole(
        "d_labitems", {"itemid": "raw", "label": "raw", "fluid": "raw", "category": "raw"}
    )
    columns: dict[str, Kind] = dict.fromkeys(
        ("subject_id", "hadm_id", "itemid", "charttime", "value", "valueuom", "flag"), "raw"
    )
    chunks = release.chunks(
        "labevents",
        columns,
        lambda rows: rows.hadm_id.notna() & rows["value"].notna() & rows.valueuom.notna(),
    )
    _write(
        con,
        "lab",
        (
            rows.assign(value_unit=rows["value"] + rows.valueuom).merge(items, on="itemid")
            for rows in chunks
        ),
    )
