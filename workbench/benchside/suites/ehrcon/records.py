"""The notes, and the tables they are compared with: MIMIC-III's own dates, of their stays only.

EHRSQL's database will not do, as it shifts all times. Source of tables, columns and lower case:
`make_database.py` of https://github.com/dustn1259/EHRCon.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pandas as pd

from benchside.errors import InputError
from benchside.suite import BuildOptions
from benchside.suites.ehrsql.database import find_files, find_release, is_database
from benchside.suites.ehrsql.gold import open_database
from benchside.suites.ehrsql.release import FETCH_AGAIN, Kind, Release

_ITEM: Mapping[str, Kind] = {"hadm_id": "number", "itemid": "integer", "charttime": "raw"}
_TITLES: Mapping[str, Kind] = {"icd9_code": "text", "short_title": "text", "long_title": "text"}
TABLES: Mapping[str, Mapping[str, Kind]] = {
    "d_items": {"itemid": "integer", "label": "text"},
    "d_labitems": {"itemid": "integer", "label": "text"},
    "d_icd_diagnoses": _TITLES,
    "d_icd_procedures": _TITLES,
    "chartevents": {**_ITEM, "valuenum": "number", "valueuom": "text"},
    "labevents": {**_ITEM, "valuenum": "number", "valueuom": "text"},
    "inputevents_cv": {
        **_ITEM, "amount": "number", "amountuom": "text", "rate": "number", "rateuom": "text",
    },
    "inputevents_mv": {
        "hadm_id": "number", "itemid": "integer", "starttime": "raw", "endtime": "raw",
        "amount": "number", "amountuom": "text", "rate": "number", "rateuom": "text",
    },
    "outputevents": {**_ITEM, "value": "number", "valueuom": "text"},
    "microbiologyevents": {
        "hadm_id": "number", "chartdate": "raw", "charttime": "raw", "spec_type_desc": "text",
        "org_name": "text",
    },
    "prescriptions": {
        "hadm_id": "number", "startdate": "raw", "enddate": "raw", "drug": "text",
        "dose_val_rx": "text", "dose_unit_rx": "text", "route": "text",
    },
    "diagnoses_icd": {"hadm_id": "number", "icd9_code": "text"},
    "procedures_icd": {"hadm_id": "number", "icd9_code": "text"},
}  # fmt: skip
NOTE_COLUMNS = ("row_id", "subject_id", "hadm_id", "chartdate", "charttime", "category", "text")


def read_notes(paths: Sequence[Path]) -> pd.DataFrame:
    """Return all notes, each once; `row_id` and `hadm_id` as text without decimals.

    Raises:
        InputError: a file is damaged or lacks a column.
    """
    parts = []
    for path in paths:
        try:
            frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
            raise InputError(
                "the notes cannot be read", where=path, value=str(error), fix=FETCH_AGAIN
            ) from None
        frame = frame.rename(columns=str.lower)
        missing = [column for column in NOTE_COLUMNS if column not in frame]
        if missing:
            raise InputError(
                f"the notes have no column {', '.join(missing)}", where=f"{path}, row 1",
                value=", ".join(frame.columns), fix=FETCH_AGAIN,
            )  # fmt: skip
        for column in ("row_id", "subject_id", "hadm_id"):
            frame[column] = frame[column].str.strip().str.removesuffix(".0")
            wrong = ~frame[column].str.fullmatch("[0-9]{1,15}")
            if wrong.any():
                row = int(wrong.to_numpy().argmax())
                raise InputError(
                    "not a number of a note, patient or stay",
                    where=f"{path}, row {row + 1}, field {column!r}", value=frame[column].iloc[row],
                    fix=FETCH_AGAIN,
                )  # fmt: skip
        parts.append(frame[list(NOTE_COLUMNS)])
    return pd.concat(parts, ignore_index=True).drop_duplicates("row_id", ignore_index=True)


def prepare_records(options: BuildOptions, data: Path, notes: pd.DataFrame) -> Path:
    """Return a database with the tables of the notes' stays, and the notes as `noteevents`.

    Raises:
        DataMissingError: there is neither a database nor a release.
        InputError: damaged, or with cells that cannot be read.
    """
    path = options.scratch / "records.sqlite"
    found = find_files(options, data, is_database)
    if found:
        source = next(iter(found.values()))
        _check(source)
        shutil.copyfile(source, path)
    else:
        release = find_release(options, data, tuple(TABLES))
        _preprocess(release, path, {float(hadm) for hadm in notes["hadm_id"]})
    with closing(sqlite3.connect(path)) as con:
        notes.to_sql("noteevents", con, index=False, if_exists="replace")
        con.commit()
    return path


def _preprocess(release: Release, path: Path, stays: set[float]) -> None:
    with closing(sqlite3.connect(path)) as con:
        for table, columns in TABLES.items():
            keep = (lambda rows: rows["hadm_id"].isin(stays)) if "hadm_id" in columns else None
            for number, chunk in enumerate(release.chunks(table, columns, keep)):
                rows = chunk.astype({"hadm_id": "int64"}) if "hadm_id" in columns else chunk
                rows.to_sql(table, con, index=False, if_exists="append" if number else "replace")
            if "hadm_id" in columns:
                con.execute(f"CREATE INDEX {table}_hadm ON {table} (hadm_id)")
        con.commit()


def _check(source: Path) -> None:
    try:
        with closing(open_database(source)) as con:
            names = {row[0].lower() for row in con.execute("SELECT name FROM sqlite_master")}
    except sqlite3.DatabaseError as error:
        raise InputError(
            "the file is no SQLite database, or a damaged one", where=source, value=str(error),
            fix=FETCH_AGAIN,
        ) from None  # fmt: skip
    lacking = [
        table for table in ("chartevents", "labevents", "prescriptions") if table not in names
    ]
    if lacking:
        raise InputError(
            f"the database lacks tables: {', '.join(lacking)}", where=source,
            value=", ".join(sorted(names)), fix=FETCH_AGAIN,
        )  # fmt: skip


def describe(path: Path) -> str:
    """Tables with their columns and numbers of rows, for policies."""
    lines = [
        "Notes of MIMIC-III and the tables of their hospital stays, text in lower case. `con` is a "
        "read-only SQLite connection to the tables below; `noteevents` is a DataFrame, too.",
        "",
    ]
    with closing(open_database(path)) as con:
        names = [
            row[0] for row in con.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        for name in names:
            columns = ", ".join(row[1] for row in con.execute(f'PRAGMA table_info("{name}")'))
            rows = con.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0]
            lines.append(f"- `{name}` ({rows} rows): {columns}")
    return "\n".join(lines)
