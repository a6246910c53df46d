"""Reading the CSV tables of a MIMIC-III or eICU release in chunks, packed or not.

A release holds tables of up to 40 GB, so that no table is ever read whole unless its reader asks
for all of it, and rows are dropped by their numbers before any text is looked at. What cannot be
read is refused by file, row and column.
"""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn, TypeAlias

import pandas as pd

from benchside.errors import DataMissingError, InputError

Kind: TypeAlias = Literal["integer", "number", "text", "raw", "time", "clock"]
"""integer: int64, none missing; number: float64; text: lower-case and stripped; raw: as it stands;
time: 2100-12-31 23:59:00 as datetime64; clock: 23:59:00, checked, as text."""
Keep: TypeAlias = Callable[[pd.DataFrame], "pd.Series[bool]"]

CHUNK_ROWS = 500_000
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
CLOCK_FORMAT = "%H:%M:%S"
FETCH_AGAIN = "fetch this table again from the release, and take all tables from the same release"
# the list of pandas before 2.0, which made EHRSQL's databases: later ones also drop "None"
MISSING = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "n/a", "nan", "null",
)  # fmt: skip
_PANDAS_TYPES = {"integer": "float64", "number": "float64"}
_UNREADABLE = (
    EOFError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    UnicodeDecodeError,
    pd.errors.ParserError,
    pd.errors.EmptyDataError,
)


@dataclass(frozen=True, slots=True)
class Release:
    """The tables that were found: lower-case name → file."""

    tables: Mapping[str, Path]

    def check(self, names: tuple[str, ...], how_to_get: str) -> None:
        """Check that all tables are there and lie in one folder, as those of one release do.

        Raises:
            DataMissingError: a table is missing.
            InputError: the tables lie in several folders.
        """
        missing = [name for name in names if name not in self.tables]
        folders = sorted({str(self.tables[name].parent) for name in names if name in self.tables})
        if missing:
            raise DataMissingError(
                f"the release lacks tables: {', '.join(missing)}",
                where=", ".join(folders) or None,
                fix=how_to_get,
            )
        if len(folders) > 1:
            raise InputError(
                "the tables lie in several folders, perhaps of several releases",
                where=", ".join(folders),
                fix="leave one release in the data folder",
            )

    def whole(
        self, table: str, columns: Mapping[str, Kind], keep: Keep | None = None
    ) -> pd.DataFrame:
        """Return all rows of a table that `keep` keeps; for the small ones, or a strict `keep`."""
        chunks = list(self.chunks(table, columns, keep))
        return pd.concat(chunks, ignore_index=True)

    def chunks(
        self, table: str, columns: Mapping[str, Kind], keep: Keep | None = None
    ) -> Iterator[pd.DataFrame]:
        """Yield a table's rows by chunks, the first one also where it is empty.

        Args:
            columns: lower-case name → kind; these columns are read.
            keep: picks rows, given integer and number columns as floats and the others as text.

        Raises:
            InputError: damaged, cut off, without a column, or with a cell of another kind.
        """
        path = self.tables[table]
        try:
            _check_end(path)
            header = _header(path)
            missing = [name for name in columns if name not in header]
            if missing:
                raise InputError(
                    f"the table has no column {', '.join(missing)}",
                    where=f"{path}, row 1",
                    value=", ".join(header),
                    fix=FETCH_AGAIN,
                )
            yield from _read(path, {header[name]: kind for name, kind in columns.items()}, keep)
        except _UNREADABLE as error:
            raise InputError(
                "the table is damaged or cut off", where=path, value=str(error).strip(),
                fix=FETCH_AGAIN,
            ) from None  # fmt: skip


def _check_end(path: Path) -> None:
    """Refuse a plain file that does not end with a line; packed ones tell themselves."""
    if path.suffix != ".csv" or path.stat().st_size == 0:
        return
    with path.open("rb") as file:
        file.seek(-1, 2)
        if file.read(1) != b"\n":
            raise InputError(
                "the table is cut off: its last row has no end", where=path, fix=FETCH_AGAIN
            )


def _header(path: Path) -> dict[str, str]:
    """Return lower-case name → name of the columns.

    Read without a header, since pandas would take cells too many in the first row for an index.
    """
    first = pd.read_csv(path, nrows=2, header=None, dtype=str, keep_default_na=False)
    return {name.lower(): name for name in first.iloc[0]}


def _read(path: Path, kinds: Mapping[str, Kind], keep: Keep | None) -> Iterator[pd.DataFrame]:
    types = {name: _PANDAS_TYPES.get(kind, "str") for name, kind in kinds.items()}
    try:
        with pd.read_csv(
            path, usecols=list(kinds), dtype=types, chunksize=CHUNK_ROWS, na_values=MISSING,
            keep_default_na=False,
        ) as reader:  # fmt: skip
            for chunk in reader:
                yield _typed(chunk, kinds, keep, path)
    except ValueError as error:
        if isinstance(error, UnicodeDecodeError | pd.errors.ParserError):
            raise
        _refuse_number(path, kinds, str(error))


def _typed(
    chunk: pd.DataFrame, kinds: Mapping[str, Kind], keep: Keep | None, path: Path
) -> pd.DataFrame:
    lower = {name.lower(): kind for name, kind in kinds.items()}
    rows = chunk.rename(columns=str.lower)[list(lower)]
    if keep is not None:
        rows = rows[keep(rows)]
    typed = {name: _convert(rows[name], kind, path) for name, kind in lower.items()}
    return pd.DataFrame(typed, index=rows.index)


def _convert(column: pd.Series, kind: Kind, path: Path) -> pd.Series:
    if kind == "integer":
        whole = column.notna() & (column % 1 == 0)
        if not whole.all():
            _refuse(path, column, ~whole, "a whole number was expected")
        return column.astype("int64")
    if kind == "text":
        return column.str.lower().str.strip()
    if kind in ("time", "clock"):
        times = pd.to_datetime(
            column, format=TIME_FORMAT if kind == "time" else CLOCK_FORMAT, errors="coerce"
        )
        wrong = times.isna() & column.notna()
        if wrong.any():
            _refuse(path, column, wrong, "a time is not written as expected")
        # seconds: births 300 years back, as the very old have, overflow nanoseconds
        return times.astype("datetime64[s]") if kind == "time" else column
    return column


def _refuse(path: Path, column: pd.Series, wrong: pd.Series[bool], what: str) -> NoReturn:
    first = int(wrong.to_numpy().argmax())
    value = column.iloc[first]
    raise InputError(
        what,
        where=f"{path}, row {int(column.index[first]) + 2}, column {column.name}",
        value=None if pd.isna(value) else value,
        fix=FETCH_AGAIN,
    )


def _refuse_number(path: Path, kinds: Mapping[str, Kind], problem: str) -> NoReturn:
    """Find the cell for which pandas gave up; it names the value at best."""
    numeric = [name for name, kind in kinds.items() if kind in _PANDAS_TYPES]
    with pd.read_csv(
        path, usecols=numeric, dtype=str, chunksize=CHUNK_ROWS, na_values=MISSING,
        keep_default_na=False,
    ) as reader:  # fmt: skip
        for chunk in reader:
            for name in numeric:
                wrong = pd.to_numeric(chunk[name], errors="coerce").isna() & chunk[name].notna()
                if wrong.any():
                    _refuse(path, chunk[name], wrong, "a number was expected")
    raise InputError("the table cannot be read", where=path, value=problem, fix=FETCH_AGAIN)
