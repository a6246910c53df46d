"""`View`: one schema as questions see it, once as SQL fragments and once as sorted arrays.

The SQL side (`Source`, `Spell`) knows tables and columns; the array side (`Events`, `Spells`) is
built from the DataFrames by merges and never sees the database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchside.hospital.questions.window import Which

Array: TypeAlias = NDArray[Any]
Times: TypeAlias = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class Span:
    """SQL expressions that place an event: its time, hospital visit and ICU visit ("" if none)."""

    time: str
    visit: str
    icu: str


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of event in SQL.

    Args:
        tables: what follows FROM, with alias e for the events.
        patient, time, visit, icu, name, value: expressions; `value` and `icu` may be "".
        value_of: name → value expression, where each name has a column of its own.
        key: the key of an event.
    """

    tables: str
    patient: str
    time: str
    visit: str
    icu: str
    name: str
    value: str = ""
    value_of: Mapping[str, str] = field(default_factory=dict)
    key: str = "e.row_id"

    @property
    def span(self) -> Span:
        """Where its events lie."""
        return Span(self.time, self.visit, self.icu)

    def named(self, name: str) -> str:
        """The condition that an event has a name."""
        if self.value_of:
            return f"{self.value_of[name]} IS NOT NULL"
        return f"{self.name} = {literal(name)}"

    def measured(self, name: str | None) -> str:
        """The expression of the value of an event with that name."""
        return self.value_of[name] if self.value_of and name is not None else self.value


@dataclass(frozen=True, slots=True)
class Spell:
    """Visits in SQL: a table with patient, id, start and end (NULL while it lasts)."""

    table: str
    patient: str
    id: str
    start: str
    end: str

    def pick(self, patient: str, which: Which) -> str:
        """The id of a patient's first or last finished visit, or of the one that lasts."""
        if which == "current":
            return (
                f"SELECT {self.id} FROM {self.table} WHERE {self.patient} = {patient} "
                f"AND {self.end} IS NULL"
            )
        order = " DESC" if which == "last" else ""
        return (
            f"SELECT {self.id} FROM {self.table} WHERE {self.patient} = {patient} "
            f"AND {self.end} IS NOT NULL ORDER BY {self.start}{order} LIMIT 1"
        )


@dataclass(frozen=True, slots=True)
class Spells:
    """Visits as arrays, sorted by patient and start; `rows` gives each patient's stretch."""

    patient: Array
    id: Array
    start: Times
    end: Times
    rows: dict[Any, slice]

    def of(self, patient: object) -> slice:
        """A patient's visits; an empty stretch if there are none."""
        return self.rows.get(patient, slice(0, 0))

    def pick(self, patient: object, which: Which) -> object:
        """As `Spell.pick`; None where there is no such visit."""
        rows = self.of(patient)
        lasting = np.isnat(self.end[rows])
        ids = self.id[rows][lasting if which == "current" else ~lasting]
        if len(ids) == 0:
            return None
        return ids[-1] if which == "last" else ids[0]


@dataclass(frozen=True, slots=True)
class Events:
    """One kind of event as arrays, sorted by patient and time.

    Args:
        value: nan where the kind has none.
        icu: None where the kind is not tied to intensive care.
        code: position of the name in `of_name`.
        rows: patient → stretch of rows; `of_name`: name → its rows, ascending.
    """

    patient: Array
    time: Times
    visit: Array
    icu: Array
    name: Array
    code: NDArray[np.int64]
    value: NDArray[np.float64]
    rows: dict[Any, slice]
    of_name: dict[str, NDArray[np.int64]]

    def of(self, patient: object) -> slice:
        """A patient's events; an empty stretch if there are none."""
        return self.rows.get(patient, slice(0, 0))


def events(frame: pd.DataFrame) -> Events:
    """Build events from columns patient, time, visit, icu, name, value (unsorted)."""
    frame = frame.sort_values(["patient", "time"], kind="stable", ignore_index=True)
    names = frame["name"].to_numpy(dtype=object)
    codes, found = pd.factorize(names)
    order = np.argsort(codes, kind="stable")
    edges = np.searchsorted(codes[order], np.arange(len(found) + 1))
    return Events(
        frame["patient"].to_numpy(),
        frame["time"].to_numpy().astype("datetime64[s]"),
        frame["visit"].to_numpy(),
        frame["icu"].to_numpy(),
        names,
        codes.astype(np.int64),
        frame["value"].to_numpy(dtype=np.float64),
        stretches(frame["patient"].to_numpy()),
        {str(name): order[edges[number] : edges[number + 1]] for number, name in enumerate(found)},
    )


def spells(frame: pd.DataFrame) -> Spells:
    """Build visits from columns patient, id, start, end (unsorted)."""
    frame = frame.sort_values(["patient", "start"], kind="stable", ignore_index=True)
    return Spells(
        frame["patient"].to_numpy(),
        frame["id"].to_numpy(),
        frame["start"].to_numpy().astype("datetime64[s]"),
        frame["end"].to_numpy().astype("datetime64[s]"),
        stretches(frame["patient"].to_numpy()),
    )


def stretches(patient: Array) -> dict[Any, slice]:
    """The stretch of rows of each value of a sorted array."""
    if len(patient) == 0:
        return {}
    starts = np.flatnonzero(np.append(True, patient[1:] != patient[:-1]))
    ends = np.append(starts[1:], len(patient))
    return {
        patient[start]: slice(int(start), int(end)) for start, end in zip(starts, ends, strict=True)
    }


@dataclass(frozen=True, slots=True)
class Words:
    """How questions speak of a kind of event.

    Args:
        noun: "diagnosis"; `plural` "diagnoses".
        had: past tense with {name}, "was diagnosed with {name}".
        have: the same after "did patient 1": "get diagnosed with {name}"; `been` after "has".
        thing: how a named event is called alone: "a diagnosis of {name}".
    """

    noun: str
    plural: str
    had: str
    have: str
    thing: str


Role = Literal[
    "diagnosis", "procedure", "drug", "lab", "vital", "intake", "output", "culture", "allergy"
]


@dataclass(frozen=True, slots=True)
class Fact:
    """Something known of a visit or of a patient, in both worlds.

    Args:
        sql: column expression; `spell` says of which visits ("visit" or "icu") it is one.
        values: visit id → value.
        words: "insurance"; asked as "What was the insurance of patient 1 ...".
    """

    sql: str
    spell: Literal["visit", "icu"]
    values: Mapping[Any, Any]
    words: str
    kind: Literal["text", "integer", "number"] = "text"


@dataclass(frozen=True, slots=True)
class Money:
    """Costs: where they stand in SQL, and as arrays sorted by patient.

    Args:
        kinds: role → event type in the cost table.
        event_key: role → expression of the event's id in its `Source`.
        price: role and name → the one price of it.
    """

    table: str
    patient: str
    visit: str
    time: str
    amount: str
    type: str
    event: str
    kinds: Mapping[Role, str]
    event_key: Mapping[Role, str]
    by_visit: Mapping[Any, float]
    charges: Events
    price: Mapping[tuple[Role, str], float]


@dataclass(frozen=True, slots=True)
class View:
    """A schema ready for questions.

    Args:
        con: the database.
        literal_ids: patient ids are written 'in quotes' in SQL where True.
        died: visit id → True where the patient died in that visit; `died_sql` the condition on the
            visits table.
        deaths: patient → time of death, NaT while alive; None where the schema has none.
    """

    con: sqlite3.Connection
    literal_ids: bool
    sources: Mapping[Role, Source]
    events: Mapping[Role, Events]
    words: Mapping[Role, Words]
    visits: Spell
    units: Spell
    spells: Spells
    icu_spells: Spells
    facts: Mapping[str, Fact]
    money: Money
    died_sql: str
    died: Mapping[Any, bool]
    deaths: Mapping[Any, np.datetime64] | None
    gender_sql: str
    gender: Mapping[Any, str]
    patients: Array

    def id(self, patient: object) -> str:
        """A patient's id as an SQL literal."""
        return literal(str(patient)) if self.literal_ids else str(patient)


def literal(text: str) -> str:
    """Text as an SQL literal."""
    quoted = text.replace("'", "''")
    return f"'{quoted}'"
