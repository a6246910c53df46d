"""Writes the index of an image's tables: one SQLite file, made once for each image content.

    tables     name, where it is (variable or database), rows
    columns    name, type, kind, rows with a value, distinct values, lowest and highest
    frequent   a column's most frequent values
    entry      numbers, dates and truth values: value, column, count
    term       distinct texts of all columns, as they are and folded to one case
    occurrence term, column, count
    grams      term → its trigrams (FTS5), without positions: what is found is compared again

Free text (values longer than `MAX_TEXT_CHARS`) is counted, not indexed. Memory is bounded by the
distinct values of one column.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from heapq import nsmallest
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchside_kernels.image import KernelImage

MAX_TEXT_CHARS = 200
FREQUENT = 20  # values of each column that are kept with their counts
_DATES = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?)?")

_SCHEMA = """
CREATE TABLE tables(id INTEGER PRIMARY KEY, name TEXT, place TEXT, row_count INTEGER);
CREATE TABLE columns(id INTEGER PRIMARY KEY, table_id INTEGER, name TEXT, type TEXT, kind TEXT,
    held INTEGER, distinct_count INTEGER, low, high, unindexed INTEGER);
CREATE TABLE frequent(column_id INTEGER, value, n INTEGER);
CREATE TABLE term(id INTEGER PRIMARY KEY, text TEXT UNIQUE, folded TEXT);
CREATE TABLE entry(value, column_id INTEGER, n INTEGER, PRIMARY KEY(value, column_id))
    WITHOUT ROWID;
CREATE TABLE occurrence(term_id INTEGER, column_id INTEGER, n INTEGER,
    PRIMARY KEY(term_id, column_id)) WITHOUT ROWID;
CREATE TEMP TABLE found(value, column_id INTEGER, n INTEGER);
CREATE TEMP TABLE texts(text TEXT, n INTEGER);
CREATE VIRTUAL TABLE grams USING fts5(
    folded, tokenize='trigram', content='', detail='none', columnsize=0);
CREATE VIRTUAL TABLE gram_counts USING fts5vocab(grams, 'row');
"""


@dataclass(frozen=True, slots=True)
class _Column:
    """One column: its distinct values (index) with their counts, missing ones left out."""

    name: str
    type: str
    counts: pd.Series[int]


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    place: str
    row_count: int
    columns: Iterator[_Column]


def write_index(image: KernelImage, path: Path) -> None:
    """Write the index of an image to a new file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as con:
        # the file is renamed into place when whole, so a crash needs no journal
        con.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;" + _SCHEMA)
        con.create_function("folded", 1, str.casefold, deterministic=True)
        con.execute("BEGIN")
        column_ids = count(1)
        for table_id, table in enumerate(_tables(image), start=1):
            con.execute(
                "INSERT INTO tables VALUES (?, ?, ?, ?)",
                (table_id, table.name, table.place, table.row_count),
            )
            for column in table.columns:
                _write_column(con, table_id, next(column_ids), column)
        con.execute("INSERT INTO entry SELECT * FROM found ORDER BY value, column_id")
        con.execute("INSERT INTO grams(rowid, folded) SELECT id, folded FROM term")
        con.execute("CREATE INDEX term_by_folded ON term(folded)")
        con.execute("COMMIT")


def _write_column(con: sqlite3.Connection, table_id: int, column_id: int, column: _Column) -> None:
    kind, counts, unindexed = _indexed(column.counts)
    pairs = list(zip(counts.index.tolist(), counts.tolist(), strict=True))
    ranged = [value for value, _ in pairs] if kind != "text" else []
    con.execute(
        "INSERT INTO columns VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            column_id, table_id, column.name, column.type, kind, int(column.counts.sum()),
            len(column.counts), *((min(ranged), max(ranged)) if ranged else (None, None)),
            unindexed,
        ),
    )  # fmt: skip
    top = nsmallest(FREQUENT, pairs, key=lambda pair: (-pair[1], str(pair[0])))
    con.executemany(
        "INSERT INTO frequent VALUES (?, ?, ?)", [(column_id, value, n) for value, n in top]
    )
    if kind != "text":
        con.executemany(
            "INSERT INTO found VALUES (?, ?, ?)", ((value, column_id, n) for value, n in pairs)
        )
        return
    con.executemany("INSERT INTO texts VALUES (?, ?)", pairs)
    con.execute("INSERT OR IGNORE INTO term(text, folded) SELECT text, folded(text) FROM texts")
    con.execute(
        "INSERT INTO occurrence SELECT id, ?, n FROM texts JOIN term USING (text) ORDER BY id",
        (column_id,),
    )
    con.execute("DELETE FROM texts")


def _indexed(counts: pd.Series[int]) -> tuple[str, pd.Series[int], int]:
    """The kind of a column, its values in SQLite's types, and how many are left out for length."""
    values = counts.index
    if isinstance(values, pd.DatetimeIndex):
        moments = np.datetime_as_string(values.tz_localize(None).to_numpy(), unit="s")
        return "date", _grouped(counts, np.char.replace(moments, "T", " ").tolist()), 0
    if values.dtype.kind == "i":
        return "number", counts, 0
    kind = pd.api.types.infer_dtype(values, skipna=True)
    if kind in ("integer", "floating", "mixed-integer-float", "boolean", "decimal"):
        # an unsigned integer of 64 bits has no place in SQLite, nor has a Decimal
        plain = [value if abs(value) < 2**63 else float(value) for value in values.tolist()]
        return "number", _grouped(counts, [_number(value) for value in plain]), 0
    texts = _grouped(counts, [_text(value) for value in values.tolist()])
    if kind in ("datetime", "date") or all(map(_DATES.fullmatch, texts.index)):
        return "date", texts, 0
    short = texts[[len(text) <= MAX_TEXT_CHARS for text in texts.index]]
    return "text", short, len(texts) - len(short)


def _grouped(counts: pd.Series[int], values: list[Any]) -> pd.Series[int]:
    """Counts of values in another form, some of which may have become equal."""
    changed = pd.Series(counts.to_numpy(), index=pd.Index(values, dtype=object))
    return changed if changed.index.is_unique else changed.groupby(level=0).sum()


def _number(value: Any) -> int | float:
    return value if isinstance(value, int | float) else float(value)


def _text(value: Any) -> str:
    """A value as text that any file can hold: data may have lone surrogates."""
    return str(value).encode("utf-8", "replace").decode()


def _tables(image: KernelImage) -> Iterator[_Table]:
    """All tables; a database's table is left out where a variable of that name has the same."""
    variables = image.load_variables()
    for name, frame in _frames(variables):
        yield _Table(name, "variable", len(frame), _frame_columns(frame))
    known = {name.casefold() for name in variables}
    if image.has_database:
        uri = f"{(image.folder / 'database.sqlite').as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as con:
            con.text_factory = lambda raw: raw.decode("utf-8", "replace")
            named = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"
            for (name,) in con.execute(named).fetchall():
                if name.casefold() not in known:
                    [[rows]] = con.execute(f"SELECT count(*) FROM {_quoted(name)}").fetchall()
                    yield _Table(name, "database", rows, _database_columns(con, name))


def _frames(variables: Mapping[str, Any]) -> Iterator[tuple[str, pd.DataFrame]]:
    """DataFrames and Series, those of a dict under names such as "pilots['x']"."""
    for name, value in variables.items():
        parts = {name: value}
        if isinstance(value, dict):
            parts = {f"{name}[{key!r}]": part for key, part in value.items()}
        for part_name, part in parts.items():
            if isinstance(part, pd.DataFrame | pd.Series):
                yield part_name, part.to_frame() if isinstance(part, pd.Series) else part


def _frame_columns(frame: pd.DataFrame) -> Iterator[_Column]:
    for place, name in enumerate(frame.columns):
        series = frame.iloc[:, place]
        try:
            counts = series.value_counts(sort=False)
        except TypeError:  # lists or dicts as cells
            counts = series.dropna().map(repr).value_counts(sort=False)
        if isinstance(counts.index, pd.CategoricalIndex | pd.IntervalIndex):
            counts = counts[counts > 0]
            counts.index = counts.index.astype(object)
        yield _Column(str(name), str(series.dtype), counts)


def _database_columns(con: sqlite3.Connection, table: str) -> Iterator[_Column]:
    for _, name, declared, *_ in con.execute(f"PRAGMA table_info({_quoted(table)})").fetchall():
        column = _quoted(name)
        found = con.execute(
            f"SELECT {column}, count(*) FROM {_quoted(table)} WHERE {column} IS NOT NULL GROUP BY 1"
        ).fetchall()
        values = pd.Index([value for value, _ in found], dtype=object)
        yield _Column(name, declared, pd.Series([n for _, n in found], index=values, dtype="int64"))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
