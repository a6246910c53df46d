"""Writing a view's frames to SQLite, with times as text such as 2105-10-15 09:00:00."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchside.hospital.schema import Table


def write_database(path: Path, tables: Sequence[Table], frames: Mapping[str, pd.DataFrame]) -> None:
    """Create the file with all tables and indexes; the path must be free."""
    con = sqlite3.connect(path)
    try:
        con.execute("PRAGMA journal_mode = OFF")
        con.execute("PRAGMA synchronous = OFF")
        with con:
            for table in tables:
                frame = frames[table.name]
                con.execute(table.definition)
                marks = ", ".join("?" * len(table.columns))
                cells = [column_values(frame[column]) for column in table.columns]
                con.executemany(
                    f"INSERT INTO {table.name} VALUES ({marks})", zip(*cells, strict=True)
                )
            for table in tables:
                for statement in table.index_definitions:
                    con.execute(statement)
        con.execute("ANALYZE")
        con.commit()
    finally:
        con.close()


def column_values(column: pd.Series) -> list[object]:
    """A column as SQLite stores it: plain Python values, None where missing."""
    if column.dtype.kind == "M":
        return list(time_text(column))
    if column.dtype.kind == "f":
        values = column.to_numpy()
        missing = np.isnan(values)
        if not missing.any():
            return list(values.tolist())
        return [None if gap else value for value, gap in zip(values.tolist(), missing, strict=True)]
    return list(column.astype(object).where(column.notna(), None).tolist())


def time_text(times: pd.Series) -> list[str | None]:
    """Times as "YYYY-MM-DD HH:MM:SS", NaT as None."""
    text = np.datetime_as_string(times.to_numpy().astype("datetime64[s]")).tolist()
    return [None if time == "NaT" else f"{time[:10]} {time[11:]}" for time in text]
