"""The MIMIC-IV demo database of EHRSQL-2024: finding it, its tables as DataFrames, its image.

The database is the user's: either as an SQLite file or as that file packed with xz.
"""

from __future__ import annotations

import lzma
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from benchside.errors import DataMissingError, InputError
from benchside.suite import DataFile
from benchside_kernels.image import ImageSource

IMAGE = "ehrsql2024.mimic_iv_demo"
TABLES = (
    "patients", "admissions", "d_icd_diagnoses", "d_icd_procedures", "d_labitems", "d_items",
    "diagnoses_icd", "procedures_icd", "labevents", "prescriptions", "cost", "chartevents",
    "inputevents", "outputevents", "microbiologyevents", "icustays", "transfers",
)  # fmt: skip
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
BUILD_AGAIN = (
    "build it again with preprocess/preprocess_db_mimic_iv.py of "
    "https://github.com/glee4810/ehrsql-2024"
)


def find_database(file: DataFile, data: Path, scratch: Path) -> Path:
    """Return the SQLite file, unpacked into `scratch` where it is packed.

    Raises:
        DataMissingError: there is none.
        InputError: it is damaged, or lacks a table.
    """
    found = file.find(data)
    if found is None:
        raise DataMissingError(
            "the MIMIC-IV demo database of EHRSQL-2024 is missing",
            where=f"{data}: none of {', '.join((file.path, *file.alternatives))}",
            fix=f"{BUILD_AGAIN}, and put it at one of these places",
        )
    path = _unpack(found, scratch / "mimic_iv.sqlite") if found.suffix == ".xz" else found
    with open_database(path) as con:
        try:
            names = {row[0] for row in con.execute("SELECT name FROM sqlite_master")}
        except sqlite3.DatabaseError as error:
            raise InputError(
                "the file is no SQLite database", where=found, value=str(error), fix=BUILD_AGAIN
            ) from None
    missing = [name for name in TABLES if name not in names]
    if missing:
        raise InputError(
            "the database lacks tables of EHRSQL-2024",
            where=found,
            value=", ".join(missing),
            fix=BUILD_AGAIN,
        )
    return path


def _unpack(packed: Path, target: Path) -> Path:
    try:
        with lzma.open(packed) as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink)
    except (lzma.LZMAError, EOFError) as error:
        raise InputError(
            "the xz file is damaged or cut off", where=packed, value=str(error), fix=BUILD_AGAIN
        ) from None
    return target


@contextmanager
def open_database(path: Path) -> Iterator[sqlite3.Connection]:
    """Open an SQLite file read-only and close it again."""
    con = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        yield con
    finally:
        con.close()


def load_tables(path: Path) -> dict[str, pd.DataFrame]:
    """Return all tables; columns declared TIMESTAMP become datetime64, text stays text.

    Raises:
        InputError: a time is not written as 2100-12-31 23:59:00.
    """
    with open_database(path) as con:
        return {name: _load_table(con, name) for name in TABLES}


def _load_table(con: sqlite3.Connection, name: str) -> pd.DataFrame:
    frame = pd.read_sql_query(f"SELECT * FROM {name}", con)
    declared = {row[1]: row[2] for row in con.execute(f"PRAGMA table_info({name})")}
    for column, kind in declared.items():
        if kind.upper().startswith("TIMESTAMP"):
            try:
                frame[column] = pd.to_datetime(frame[column], format=TIME_FORMAT)
            except ValueError as error:
                raise InputError(
                    "a time in the database is not written as 2100-12-31 23:59:00",
                    where=f"table {name}, column {column}",
                    value=str(error).splitlines()[0],
                    fix=BUILD_AGAIN,
                ) from None
    return frame


def database_image(path: Path) -> ImageSource:
    """Return the image: 17 DataFrames named like their tables, and the database as `con`."""
    tables = load_tables(path)
    return ImageSource(name=IMAGE, variables=tables, database=path, description=_describe(tables))


def _describe(tables: dict[str, pd.DataFrame]) -> str:
    lines = [
        "MIMIC-IV demo in the schema of EHRSQL-2024. `con` is a read-only SQLite connection to "
        "the tables below; the same tables are there as DataFrames of the same names. In the "
        "DataFrames times are datetime64; in SQLite they are text such as '2100-12-31 23:59:00'. "
        "Text is lower-case.",
        "",
    ]
    for name, frame in tables.items():
        columns = ", ".join(f"{column} {_kind(frame[column])}" for column in frame.columns)
        lines.append(f"- `{name}` ({len(frame)} rows): {columns}")
    return "\n".join(lines)


def _kind(column: pd.Series) -> str:
    names = {"i": "int", "f": "float", "M": "datetime", "O": "text"}
    return names.get(column.dtype.kind, str(column.dtype))
