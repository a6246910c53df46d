"""`Stay` and `Fact`: a hospital stay with the rows that a note can speak of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchside.hospital.questions.view import stretches

Source = Literal[
    "labevents", "chartevents", "inputevents_cv", "outputevents", "prescriptions", "procedures_icd",
    "diagnoses_icd", "microbiologyevents",
]  # fmt: skip
Frames = Mapping[str, pd.DataFrame]
NO_GROWTH = "no growth"

# source → dictionary, its key, name, time, value, unit ("ml" where the table has none)
_COLUMNS: dict[Source, tuple[str, str, str, str, str, str]] = {
    "labevents": ("d_labitems", "itemid", "label", "charttime", "valuenum", "valueuom"),
    "chartevents": ("d_items", "itemid", "label", "charttime", "valuenum", "valueuom"),
    "inputevents_cv": ("d_items", "itemid", "label", "charttime", "amount", ""),
    "outputevents": ("d_items", "itemid", "label", "charttime", "value", ""),
    "prescriptions": ("", "", "drug", "startdate", "dose_val_rx", "dose_unit_rx"),
    "procedures_icd": ("d_icd_procedures", "icd9_code", "short_title", "charttime", "", ""),
    "diagnoses_icd": ("d_icd_diagnoses", "icd9_code", "short_title", "charttime", "", ""),
    "microbiologyevents": ("", "", "spec_type_desc", "charttime", "org_name", ""),
}
FLUIDS = ("inputevents_cv", "outputevents")


@dataclass(frozen=True, slots=True)
class Fact:
    """A row of a table, or what a note says of one.

    Args:
        name: as the data has it; `value` as text, "" where the kind has none.
        time: to the minute; None of what a note leaves undated.
        unit, route: "" where there is none or the note leaves it out.
        precise: False where only the date is told.
    """

    source: Source
    name: str
    time: np.datetime64 | None
    value: str = ""
    unit: str = ""
    route: str = ""
    precise: bool = True


@dataclass(frozen=True, slots=True)
class Stay:
    """A hospital stay with all its facts, by source and in order of time.

    Args:
        end: discharge, or the present where the stay lasts.
        days: dates in intensive care.
    """

    subject: int
    hadm: int
    gender: str
    age: int
    admit: np.datetime64
    end: np.datetime64
    finished: bool
    days: tuple[np.datetime64, ...]
    facts: Mapping[Source, tuple[Fact, ...]]

    def of(self, source: Source, name: str) -> list[Fact]:
        """All facts of one item."""
        return [fact for fact in self.facts[source] if fact.name == name]


@dataclass(frozen=True, slots=True)
class _Rows:
    """One table as arrays sorted by stay."""

    name: NDArray[Any]
    time: NDArray[np.datetime64]
    value: NDArray[Any]
    unit: NDArray[Any]
    route: NDArray[Any]
    slices: dict[int, slice]


@dataclass(slots=True)
class Stays:
    """All stays of a hospital; their facts are made when asked for.

    Args:
        names: source → all names of its items, sorted.
        titles: source → short title → long title.
        organisms: all that ever grew, and no growth.
    """

    frames: Frames
    now: np.datetime64
    names: dict[Source, tuple[str, ...]] = field(init=False)
    titles: dict[Source, dict[str, str]] = field(init=False)
    organisms: tuple[str, ...] = field(init=False)
    _rows: dict[Source, _Rows] = field(init=False)

    def __post_init__(self) -> None:
        self._rows = {source: _read(self.frames, source) for source in _COLUMNS}
        self.names = {
            source: tuple(sorted({str(name) for name in rows.name.tolist()}))
            for source, rows in self._rows.items()
        }
        self.organisms = tuple(sorted(set(self._rows["microbiologyevents"].value.tolist())))
        self.titles = {}
        for source in ("procedures_icd", "diagnoses_icd"):
            found = self.frames[_COLUMNS[source][0]]
            pairs = zip(found["short_title"], found["long_title"], strict=True)
            self.titles[source] = {str(short): str(long) for short, long in pairs}

    def stay(self, row: int) -> Stay:
        """One stay, by its row in `admissions`."""
        line = self.frames["admissions"].iloc[row]
        hadm = int(line["hadm_id"])
        patients = self.frames["patients"]
        sex = patients["gender"].to_numpy()[patients["subject_id"].to_numpy() == line["subject_id"]]
        finished = bool(pd.notna(line["dischtime"]))
        icu = self.frames["icustays"]
        held = icu[icu["hadm_id"].to_numpy() == hadm]
        days: set[np.datetime64] = set()
        for begin, end in zip(held["intime"], held["outtime"], strict=True):
            first = np.datetime64(begin, "D")
            last = np.datetime64(end, "D") if pd.notna(end) else self.now.astype("datetime64[D]")
            days |= set(np.arange(first, last + 1))
        return Stay(
            int(line["subject_id"]), hadm, str(sex[0]), int(line["age"]),
            np.datetime64(line["admittime"], "s"),
            np.datetime64(line["dischtime"], "s") if finished else self.now, finished,
            tuple(sorted(days)), {source: self._facts(source, hadm) for source in _COLUMNS},
        )  # fmt: skip

    def _facts(self, source: Source, hadm: int) -> tuple[Fact, ...]:
        rows = self._rows[source]
        part = rows.slices.get(hadm, slice(0, 0))
        return tuple(
            Fact(source, *cells)
            for cells in zip(
                rows.name[part], rows.time[part], rows.value[part], rows.unit[part],
                rows.route[part], strict=True,
            )
        )  # fmt: skip


def _read(frames: Frames, source: Source) -> _Rows:
    dictionary, key, name, time, value, unit = _COLUMNS[source]
    frame = frames[source]
    if dictionary:
        frame = frame.merge(frames[dictionary][[key, name]], on=key, how="left")
    frame = frame.sort_values(["hadm_id", time], kind="stable", ignore_index=True)
    blank = np.full(len(frame), "", dtype=object)
    hadm = frame["hadm_id"].to_numpy()
    return _Rows(
        frame[name].to_numpy(dtype=object),
        frame[time].to_numpy().astype("datetime64[m]"),
        _text(frame[value], source) if value else blank,
        _text(frame[unit], source) if unit else blank if source not in FLUIDS else blank + "ml",
        frame["route"].to_numpy(dtype=object) if source == "prescriptions" else blank,
        stretches(hadm),
    )


def _text(column: pd.Series, source: Source) -> NDArray[Any]:
    """Cells as text: numbers as short as they are, no organism as no growth."""
    if column.dtype.kind in "if":
        return np.array([f"{number:g}" for number in column.tolist()], dtype=object)
    missing = NO_GROWTH if source == "microbiologyevents" else ""
    cells = [missing if pd.isna(cell) else str(cell).strip() for cell in column]
    return np.array(cells, dtype=object)
