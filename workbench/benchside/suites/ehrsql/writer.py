"""Writing a table into SQLite chunk by chunk."""

from __future__ import annotations

import sqlite3
from types import TracebackType
from typing import Self

import pandas as pd

from benchside.suites.ehrsql.release import TIME_FORMAT


class TableWriter:
    """Appends rows to one new table.

    Args:
        columns: the column definitions; rows may have them in any order, and others besides.
        numbered: the first column is the number of the row, from 0, whatever the rows have there.
    """

    def __init__(
        self, con: sqlite3.Connection, table: str, columns: str, *, numbered: bool = True
    ) -> None:
        self._con, self._table, self._numbered, self._count = con, table, numbered, 0
        self._names = [column.split()[0] for column in columns.split(", ")]
        con.execute(f"CREATE TABLE {table} ({columns})")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self._con.commit()

    def add(self, rows: pd.DataFrame) -> None:
        """Append rows; times become text, missing values and empty text NULL."""
        numbers: list[object] = list(range(self._count, self._count + len(rows)))
        columns = [
            numbers if self._numbered and name == self._names[0] else _values(rows[name])
            for name in self._names
        ]
        marks = ", ".join("?" * len(self._names))
        self._con.executemany(
            f"INSERT INTO {self._table} VALUES ({marks})", zip(*columns, strict=True)
        )
        self._count += len(rows)


def _values(column: pd.Series) -> list[object]:
    if column.dtype.kind == "M":
        column = column.dt.strftime(TIME_FORMAT)
    missing = column.isna() | (column == "")
    values: list[object] = column.astype(object).tolist()
    if not missing.any():
        return values
    return [None if lacks else value for value, lacks in zip(values, missing, strict=True)]
