"""`Query`: what is asked of the five tables, as data; `Registry`: the tables, as SQL and as arrays.

Conditions on one event table hold for one and the same row; conditions on different tables meet in
the hospital stay (`HADM_ID`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchside.hospital.questions.template import Aggregate
from benchside.hospital.questions.view import Array, literal

DEMOGRAPHIC = "DEMOGRAPHIC"
EVENT_TABLES = ("DIAGNOSES", "PROCEDURES", "PRESCRIPTIONS", "LAB")
Operator = Literal["=", "<", ">", "<=", ">="]


@dataclass(frozen=True, slots=True)
class Condition:
    """A column compared with a value."""

    table: str
    column: str
    operator: Operator
    value: str | int

    @property
    def sql(self) -> str:
        """The comparison; text is quoted."""
        value = literal(self.value) if isinstance(self.value, str) else str(self.value)
        return f"{self.column} {self.operator} {value}"


@dataclass(frozen=True, slots=True)
class Query:
    """A drawn question.

    Args:
        conditions: all have to hold.
        patient: SUBJECT_ID where the question is about one patient; `name` says it by name.
        column: what is selected, of `table`.
    """

    conditions: tuple[Condition, ...] = ()
    patient: str = ""
    name: str = ""
    table: str = DEMOGRAPHIC
    column: str = "AGE"
    aggregate: Aggregate = "avg"
    limit: int = 0

    @property
    def stays(self) -> str:
        """The SQL condition on rows of DEMOGRAPHIC."""
        parts = [c.sql for c in self.conditions if c.table == DEMOGRAPHIC]
        for table in EVENT_TABLES:
            inner = " AND ".join(c.sql for c in self.conditions if c.table == table)
            if inner:
                parts.append(f"HADM_ID IN (SELECT HADM_ID FROM {table} WHERE {inner})")
        return " AND ".join(parts) or "1"

    @property
    def own(self) -> str:
        """The SQL condition on rows of `table` that belong to the patient."""
        who = (
            f"SUBJECT_ID IN (SELECT SUBJECT_ID FROM DEMOGRAPHIC WHERE NAME = {literal(self.name)})"
            if self.name
            else f"SUBJECT_ID = {literal(self.patient)}"
        )
        return " AND ".join([who, *(c.sql for c in self.conditions if c.table == self.table)])


@dataclass(frozen=True, slots=True)
class Registry:
    """The five tables.

    Args:
        frames: as stored.
        stay_of: event table → (rows,) position of each row's stay in DEMOGRAPHIC.
        rows_of: table → patient → rows.
    """

    con: sqlite3.Connection
    patients: Array
    frames: Mapping[str, pd.DataFrame]
    columns: Mapping[tuple[str, str], Array]
    stay_of: Mapping[str, NDArray[np.int64]]
    rows_of: Mapping[str, Mapping[str, NDArray[np.int64]]]
    names: Mapping[str, str]
    values: Mapping[tuple[str, str], tuple[list[str], NDArray[np.int64]]]

    def holds(self, condition: Condition) -> NDArray[np.bool_]:
        """(rows of the condition's table,) bool; a missing value meets no condition."""
        table, column, value = condition.table, condition.column, condition.value
        if isinstance(value, str):
            known, codes = self.values[table, column]
            place = known.index(value) if value in known else -2
            return np.asarray(codes == place)
        numbers = self.columns[table, column]
        match condition.operator:
            case "=":
                return np.asarray(numbers == value)
            case "<":
                return np.asarray(numbers < value)
            case ">":
                return np.asarray(numbers > value)
            case "<=":
                return np.asarray(numbers <= value)
            case ">=":
                return np.asarray(numbers >= value)

    def stays(self, query: Query) -> NDArray[np.bool_]:
        """(rows of DEMOGRAPHIC,) bool, True where all conditions hold."""
        found = np.ones(len(self.frames[DEMOGRAPHIC]), dtype=bool)
        for table in (DEMOGRAPHIC, *EVENT_TABLES):
            conditions = [c for c in query.conditions if c.table == table]
            if not conditions:
                continue
            rows = np.logical_and.reduce([self.holds(c) for c in conditions])
            if table == DEMOGRAPHIC:
                found &= rows
                continue
            met = np.zeros(len(found), dtype=bool)
            met[self.stay_of[table][rows]] = True
            found &= met
        return found

    def own(self, query: Query) -> NDArray[np.int64]:
        """Rows of the query's table that belong to the patient and meet its conditions there."""
        rows = self.rows_of[query.table].get(query.patient, np.array([], dtype=np.int64))
        for condition in query.conditions:
            if condition.table == query.table:
                rows = rows[self.columns[query.table, condition.column][rows] == condition.value]
        return rows


def registry(frames: Mapping[str, pd.DataFrame], con: sqlite3.Connection) -> Registry:
    """Index the tables; `con` is an open database of the same."""
    stays = frames[DEMOGRAPHIC]
    columns: dict[tuple[str, str], Any] = {}
    values: dict[tuple[str, str], tuple[list[str], NDArray[np.int64]]] = {}
    for table, frame in frames.items():
        for column in frame.columns:
            number = frame[column].dtype.kind not in "O"
            columns[table, column] = (
                frame[column].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
                if number
                else frame[column].to_numpy(dtype=object)
            )
            if not number:
                codes, known = pd.factorize(columns[table, column])
                values[table, column] = ([str(value) for value in known], codes)
    place = pd.Index(stays["HADM_ID"])
    return Registry(
        con=con,
        patients=np.array(sorted(stays["SUBJECT_ID"].unique()), dtype=object),
        frames=frames,
        columns=columns,
        stay_of={
            table: np.asarray(place.get_indexer(pd.Index(frames[table]["HADM_ID"])), dtype=np.int64)
            for table in EVENT_TABLES
        },
        rows_of={
            table: {
                str(key): np.asarray(rows)
                for key, rows in frame.groupby("SUBJECT_ID").indices.items()
            }
            for table, frame in frames.items()
        },
        names=dict(zip(stays["SUBJECT_ID"], stays["NAME"], strict=True)),
        values=values,
    )
