"""The database of a suite: found or preprocessed, checked, indexed; its tables as an image.

It is always a copy in the build's own folder: the user's file stays as it is, and a build that
fails leaves nothing behind.
"""

from __future__ import annotations

import gzip
import io
import lzma
import shutil
import sqlite3
import zlib
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchside.errors import DataMissingError, InputError
from benchside.suite import BuildOptions, DataFile
from benchside.suites.ehrsql.demos import is_demo
from benchside.suites.ehrsql.gold import open_database
from benchside.suites.ehrsql.release import TIME_FORMAT, Release
from benchside.task import Sensitivity
from benchside_kernels.image import ImageSource

MAX_FRAME_ROWS = 2_000_000
"""Tables with more rows are in the database only: a DataFrame of them would fill a kernel."""

Preprocess = Callable[[Release, sqlite3.Connection], None]


@dataclass(frozen=True, slots=True)
class Schema:
    """What a suite's database looks like.

    Args:
        tables: name → column definitions; these are checked, and become DataFrames.
        sources: tables of the release that preprocessing needs.
        indexes: made so that gold queries and agents' queries end soon.
        patients: SQL for the names of all patients.
        demo_ids: SQL for the ids by which an open demo is known.
    """

    tables: Mapping[str, str]
    sources: tuple[str, ...]
    indexes: tuple[str, ...]
    preprocess: Preprocess
    patients: str
    demo_ids: str

    def columns(self, table: str) -> dict[str, str]:
        """Return a table's columns with their types."""
        parted = (column.split(maxsplit=1) for column in self.tables[table].split(", "))
        return {name: kind.upper() for name, kind in parted}


@dataclass(frozen=True, slots=True)
class Database:
    """A checked database.

    Args:
        preprocessed: True where it was made here from the tables of a release.
    """

    path: Path
    schema: Schema
    preprocessed: bool
    patients: tuple[str, ...]
    sensitivity: Sensitivity


def prepare_database(options: BuildOptions, schema: Schema, data: Path) -> Database:
    """Return the user's database, or the one made from the user's tables.

    Raises:
        DataMissingError: there is neither.
        InputError: damaged, of another data set, or with cells that cannot be read.
    """
    path = options.scratch / "database.sqlite"
    found = find_files(options, data, is_database)
    if found:
        source = next(iter(found.values()))
        _unpack(source, path)
        _check(path, schema, source)
    else:
        release = find_release(options, data, schema.sources)
        with closing(sqlite3.connect(path)) as con:
            con.execute("PRAGMA journal_mode = OFF")
            con.execute("PRAGMA synchronous = OFF")
            schema.preprocess(release, con)
    with closing(sqlite3.connect(path)) as con:
        for number, index in enumerate(schema.indexes):
            con.execute(f"CREATE INDEX benchside_{number} ON {index}")
        con.execute("ANALYZE")
        con.commit()
        patients = tuple(str(row[0]) for row in con.execute(schema.patients))
        demo = is_demo(row[0] for row in con.execute(schema.demo_ids))
    return Database(path, schema, not found, patients, "open" if demo else "credentialed")


def is_database(file: DataFile) -> bool:
    """Return whether the manifest's file is a database."""
    return file.path.endswith((".sqlite", ".db"))


def is_table(file: DataFile) -> bool:
    """Return whether the manifest's file is a table of a release."""
    return ".csv" in file.path


def find_files(
    options: BuildOptions, data: Path, wanted: Callable[[DataFile], bool]
) -> dict[str, Path]:
    """Return lower-case table or file name → file, of those that are there."""
    found = {
        Path(file.path).name.partition(".")[0].lower(): file.find(data)
        for file in options.manifest.data
        if wanted(file)
    }
    return {name: path for name, path in found.items() if path is not None}


def find_release(options: BuildOptions, data: Path, tables: tuple[str, ...]) -> Release:
    """Return the user's release, for those who have no database.

    Raises:
        DataMissingError: there is none, or it lacks one of these tables.
        InputError: the tables lie in several folders.
    """
    release = Release(find_files(options, data, is_table))
    if not release.tables:
        raise DataMissingError(
            f"there is neither a database nor a release for {options.manifest.name}",
            where=data, fix=options.manifest.how_to_get,
        )  # fmt: skip
    release.check(tables, options.manifest.how_to_get)
    return release


def _unpack(source: Path, target: Path) -> None:
    try:
        with _open(source) as packed, target.open("wb") as sink:
            shutil.copyfileobj(packed, sink, 1 << 20)
    except (lzma.LZMAError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            "the packed database is damaged or cut off", where=source, value=str(error),
            fix="copy or pack it again",
        ) from None  # fmt: skip


def _open(source: Path) -> gzip.GzipFile | lzma.LZMAFile | io.BufferedReader:
    if source.suffix == ".xz":
        return lzma.open(source)
    return gzip.open(source) if source.suffix == ".gz" else source.open("rb")


def _check(path: Path, schema: Schema, source: Path) -> None:
    """Check that the file is a whole database with all tables and columns.

    Raises:
        InputError: naming what is wrong.
    """
    fix = "use the database of this suite, or the tables of the release, and copy them again"
    try:
        with closing(open_database(path)) as con:
            problem = con.execute("PRAGMA quick_check(1)").fetchone()[0]
            names = {row[0].lower() for row in con.execute("SELECT name FROM sqlite_master")}
            columns = {
                table: {row[1].lower() for row in con.execute(f"PRAGMA table_info({table})")}
                for table in schema.tables
            }
    except sqlite3.DatabaseError as error:
        raise InputError(
            "the file is no SQLite database, or a damaged one", where=source, value=str(error),
            fix=fix,
        ) from None  # fmt: skip
    if problem != "ok":
        raise InputError("the database is damaged", where=source, value=problem, fix=fix)
    missing = [table for table in schema.tables if table not in names]
    if missing:
        raise InputError(
            f"the database lacks tables: {', '.join(missing)}", where=source,
            value=", ".join(sorted(name for name in names if not name.startswith("sqlite_"))),
            fix=fix,
        )  # fmt: skip
    for table in schema.tables:
        lacking = [name for name in schema.columns(table) if name not in columns[table]]
        if lacking:
            raise InputError(
                f"a table lacks columns: {', '.join(lacking)}", where=f"{source}, table {table}",
                value=", ".join(sorted(columns[table])), fix=fix,
            )  # fmt: skip


def database_image(database: Database, name: str, about: str) -> ImageSource:
    """Return the image: DataFrames named like the tables, and the database as `con`.

    Args:
        about: what database this is, a sentence for policies.

    Raises:
        InputError: a time is not written as 2100-12-31 23:59:00.
    """
    variables: dict[str, pd.DataFrame] = {}
    lines = []
    with closing(open_database(database.path)) as con:
        for table in database.schema.tables:
            rows = con.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
            columns = database.schema.columns(table)
            if rows <= MAX_FRAME_ROWS:
                variables[table] = _load(con, table, columns)
                kinds = {column: _kind(variables[table][column]) for column in columns}
                where = ""
            else:
                kinds, where = columns, ", in the database only"
            listed = ", ".join(f"{column} {kind}" for column, kind in kinds.items())
            lines.append(f"- `{table}` ({rows} rows{where}): {listed}")
    description = (
        f"{about} `con` is a read-only SQLite connection to the tables below; the same tables are "
        "there as DataFrames of the same names. In the DataFrames times are datetime64; in SQLite "
        "they are text such as '2105-12-31 23:59:00'.\n\n"
    )
    return ImageSource(
        name=name, variables=variables, database=database.path,
        description=description + "\n".join(lines),
    )  # fmt: skip


def _load(con: sqlite3.Connection, table: str, columns: Mapping[str, str]) -> pd.DataFrame:
    frame = pd.read_sql_query(f"SELECT {', '.join(columns)} FROM {table}", con)
    frame.columns = pd.Index(list(columns))
    for column, kind in columns.items():
        if kind.startswith("TIMESTAMP"):
            times = pd.to_datetime(frame[column], format=TIME_FORMAT, errors="coerce")
            wrong = times.isna() & frame[column].notna()
            if wrong.any():
                row = int(wrong.to_numpy().argmax())
                raise InputError(
                    "a time in the database is not written as 2100-12-31 23:59:00",
                    where=f"table {table}, row {row + 1}, column {column}",
                    value=frame[column][row], fix="make the database again",
                )  # fmt: skip
            frame[column] = times
    return frame


def _kind(column: pd.Series) -> str:
    names = {"i": "int", "f": "float", "M": "datetime", "O": "text"}
    return names.get(column.dtype.kind, str(column.dtype))
