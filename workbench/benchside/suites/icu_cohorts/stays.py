"""`Stays`: one cohort in YAIB's three files, checked as it is read.

`dyn.parquet` has one row a stay and hour, `outc.parquet` one label a stay (or a stay and hour), and
`sta.parquet` one row a stay. Source of the form: R. van de Water et al., Yet Another ICU Benchmark,
ICLR 2024.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from pandas.api.types import is_numeric_dtype
from pyarrow import ArrowException

from benchside.errors import InputError
from benchside.held_out.brought import read_brought, refuse_row

FILES = ("dyn", "outc", "sta")
STATICS = ("age", "sex", "height", "weight")
LARGEST = 1e30  # value, as models take float32
FIX = "get the file again from demo_data of https://github.com/rvandewater/YAIB"


@dataclass(frozen=True, slots=True)
class Stays:
    """A cohort.

    Args:
        hours: stay_id, hour and measurements; sorted, one row a stay and hour.
        labels: stay_id, value, and hour where labels are hourly.
        statics: by stay_id; sex is 1 for women, 0 for men, NaN where it is not known.
    """

    hours: pd.DataFrame
    labels: pd.DataFrame
    statics: pd.DataFrame

    @property
    def hourly(self) -> bool:
        """Whether there is a label for each hour."""
        return "hour" in self.labels


def read_stays(paths: Mapping[str, Path], *, binary: bool) -> Stays:
    """Read the three files of a cohort.

    Args:
        paths: by the names of `FILES`.
        binary: whether labels are 0 and 1.

    Raises:
        InputError: a file is damaged, lacks a column, or does not fit the others; it names file,
            row and field.
    """
    hours = _hours(_read(paths["dyn"], ("stay_id", "time")), paths["dyn"])
    labels = _read(paths["outc"], ("stay_id", "label"))
    if "time" in labels:
        labels = _hours(labels, paths["outc"])
    statics = _read(paths["sta"], ("stay_id", *STATICS))
    _refuse(
        statics["stay_id"].duplicated(), statics, "a stay occurs twice", paths["sta"], "stay_id"
    )
    keys = ["stay_id", "hour"] if "hour" in labels else ["stay_id"]
    _refuse(labels.duplicated(keys), labels, "a label occurs twice", paths["outc"], "stay_id")
    value = pd.to_numeric(labels["label"], errors="coerce").astype("float64")
    wrong = ~(value.isin([0, 1]) if binary else value.between(0, 1e6))
    _refuse(wrong, labels, "a label is missing or not of this task", paths["outc"], "label")
    known = hours[keys].drop_duplicates()
    matched = labels[keys].merge(known, on=keys, how="left", indicator=True)["_merge"] == "both"
    _refuse(~matched, labels, "a label has no row of measurements", paths["outc"], keys[-1])
    unknown = ~labels["stay_id"].isin(statics["stay_id"])
    _refuse(unknown, labels, "a stay is missing in sta.parquet", paths["outc"], "stay_id")
    named = hours.select_dtypes(exclude="number").columns
    if len(named):
        raise InputError(
            "a measurement is not a number", where=f"{paths['dyn']}, field {named[0]!r}",
            value=str(hours[named[0]].iloc[0]), fix=FIX,
        )  # fmt: skip
    sexes = statics["sex"].map({"Female": 1.0, "Male": 0.0})
    wrong = sexes.isna() & statics["sex"].notna()
    _refuse(wrong, statics, "neither Female nor Male", paths["sta"], "sex")
    for frame, path, names in (
        (hours, paths["dyn"], [name for name in hours if name not in ("stay_id", "hour")]),
        (statics, paths["sta"], ["age", "height", "weight"]),
    ):
        for name in names:
            number = pd.to_numeric(frame[name], errors="coerce")
            wrong = (number.isna() & frame[name].notna()) | (number.abs() > LARGEST)
            _refuse(wrong, frame, "not a number, or too large", path, str(name))
    kinds = {name: "float32" for name in hours if name not in ("stay_id", "hour")}
    hours = hours.astype(kinds)
    return Stays(
        hours=hours.sort_values(["stay_id", "hour"], ignore_index=True),
        labels=labels[keys].assign(value=value),
        statics=statics.assign(sex=sexes).set_index("stay_id")[list(STATICS)].astype("float64"),
    )


def _parquet(path: Path) -> pd.DataFrame:
    try:
        frame: pd.DataFrame = pq.read_table(path).to_pandas()
    except ArrowException as error:
        raise ValueError(str(error)) from None  # some of them are none of Python's own
    return frame


def _read(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    frame = read_brought(path, _parquet, columns, form="Parquet", fix=FIX)
    if not is_numeric_dtype(frame["stay_id"]):
        raise InputError(
            "the stay is not a number", where=f"{path}, row 1, field 'stay_id'",
            value=str(frame["stay_id"].iloc[0]), fix=FIX,
        )  # fmt: skip
    return frame


def _hours(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Times since admission as whole hours."""
    if frame["time"].dtype.kind != "m":
        raise InputError(
            "times are not durations", where=f"{path}, row 1, field 'time'",
            value=str(frame["time"].iloc[0]), fix=FIX,
        )  # fmt: skip
    seconds = frame["time"].dt.total_seconds()
    _refuse(
        seconds.isna() | (seconds < 0) | (seconds % 3600 != 0), frame,
        "a time is not a whole hour after admission", path, "time",
    )  # fmt: skip
    frame = frame.drop(columns="time")
    frame.insert(1, "hour", (seconds // 3600).astype("int64"))
    _refuse(
        frame.duplicated(["stay_id", "hour"]), frame, "an hour of a stay occurs twice", path, "time"
    )
    return frame


_refuse = partial(refuse_row, fix=FIX)
