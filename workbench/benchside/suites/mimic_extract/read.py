"""Reading `all_hourly_data.h5` as MIMIC-Extract's pipeline writes it, checked as it is read."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from benchside.errors import InputError
from benchside.suites.mimic_extract.extract import INTERVENTIONS, Extract

IDS = ["subject_id", "hadm_id", "icustay_id"]
KEYS = [*IDS, "hours_in"]
NEEDED = ("age", "gender", "mort_icu", "mort_hosp", "los_icu", "max_hours")
TIMES = ("admittime", "dischtime", "deathtime", "intime", "outtime")
LARGEST = 1e30  # value, as models take float32
FIX = "write the file again with mimic_direct_extract.py of https://github.com/MLforHealth/MIMIC_Extract"


def read_extract(path: Path) -> Extract:
    """Read the four tables.

    Raises:
        InputError: PyTables is missing, or the file is damaged or lacks a table, level, column or
            hour; it names file, table, row and field.
    """
    patients = _patients(_table(path, "patients", IDS), path)
    hours = _means(path)
    interventions = _table(path, "interventions", KEYS)
    for name in INTERVENTIONS:
        if name not in interventions:
            raise _error("a column is missing", path, "interventions", name, list(interventions))
        wrong = ~interventions[name].isin([0, 1])
        _refuse(wrong, interventions, "an intervention is not 0 or 1", path, "interventions", name)
    on = _hourly(interventions[[*INTERVENTIONS]].astype("int64"), path, "interventions", patients)
    gaps = on.groupby("icustay_id")["hour"].diff().fillna(1) != 1
    _refuse(gaps, on, "an hour is missing", path, "interventions", "hour")
    return Extract(_hourly(hours, path, "vitals_labs_mean", patients), on, patients)


def _table(path: Path, key: str, levels: list[str]) -> pd.DataFrame:
    try:
        frame = pd.read_hdf(path, key)
    except ImportError:
        raise InputError(
            "reading HDF5 files needs PyTables", where=path,
            fix="pip install 'benchside[hdf5]'",
        ) from None  # fmt: skip
    except KeyError:
        raise _error("a table is missing", path, key, None, None) from None
    except (OSError, ValueError, AttributeError, pickle.UnpicklingError, RuntimeError) as error:
        raise InputError(
            "the file is damaged, cut off or not HDF5", where=f"{path}, table {key}",
            value=str(error).strip().partition("\n")[0], fix=FIX,
        ) from None  # fmt: skip
    if not isinstance(frame, pd.DataFrame):
        raise _error("not a table but a single column", path, key, None, type(frame).__name__)
    missing = [level for level in levels if level not in frame.index.names]
    if missing:
        raise _error("a level of the index is missing", path, key, missing[0], frame.index.names)
    if not len(frame):
        raise _error("the table has no rows", path, key, None, None)
    return frame


def _means(path: Path) -> pd.DataFrame:
    """Hourly means, one column a measurement; of several of one name the first."""
    frame = _table(path, "vitals_labs_mean", KEYS)
    names = [
        column if isinstance(column, str) else str(column[-2]) for column in frame.columns.to_list()
    ]
    frame = frame.set_axis(names, axis=1)
    frame = frame.loc[:, ~frame.columns.duplicated()]
    for name in frame:
        if not is_numeric_dtype(frame[name]):
            value = str(frame[name].iloc[0])
            raise _error("a measurement is not a number", path, "vitals_labs_mean", name, value)
        wrong = frame[name].abs() > LARGEST
        _refuse(wrong, frame, "a value is too large", path, "vitals_labs_mean", str(name))
    return frame.astype("float32")


def _patients(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    for name in NEEDED:
        if name not in frame:
            raise _error("a column is missing", path, "patients", name, list(frame)[:20])
    frame = frame.reset_index()
    _refuse(
        frame["icustay_id"].duplicated(), frame, "a stay occurs twice", path, "patients",
        "icustay_id",
    )  # fmt: skip
    for name in ("mort_icu", "mort_hosp"):
        wrong = ~frame[name].isin([0, 1])
        _refuse(wrong, frame, "an outcome is not 0 or 1", path, "patients", name)
    for name in ("los_icu", "max_hours", "age"):
        number = pd.to_numeric(frame[name], errors="coerce")
        wrong = ~number.between(0, LARGEST)
        _refuse(wrong, frame, "not a number of 0 or more", path, "patients", name)
        frame[name] = number
    for name in TIMES:
        if name in frame:
            read = pd.to_datetime(frame[name], errors="coerce")
            wrong = read.isna() & frame[name].notna()
            _refuse(wrong, frame, "not a time", path, "patients", name)
            frame[name] = read
    return frame.set_index("icustay_id").sort_index()


def _hourly(frame: pd.DataFrame, path: Path, key: str, patients: pd.DataFrame) -> pd.DataFrame:
    """Index levels as columns, sorted; stays must be those of the patients."""
    stay = np.asarray(frame.index.get_level_values("icustay_id"))
    hour = np.asarray(frame.index.get_level_values("hours_in"))
    frame = frame.reset_index(drop=True)
    frame.insert(0, "icustay_id", stay)
    frame.insert(1, "hour", hour)
    unknown = ~frame["icustay_id"].isin(patients.index)
    _refuse(unknown, frame, "a stay is not among the patients", path, key, "icustay_id")
    _refuse(frame["hour"] < 0, frame, "an hour is before admission", path, key, "hour")
    twice = frame.duplicated(["icustay_id", "hour"])
    _refuse(twice, frame, "an hour of a stay occurs twice", path, key, "hour")
    return frame.sort_values(["icustay_id", "hour"], ignore_index=True)


def _error(what: str, path: Path, key: str, field: object, value: object) -> InputError:
    place = f"{path}, table {key}" + (f", field {field!r}" if field else "")
    return InputError(what, where=place, value=None if value is None else str(value), fix=FIX)


def _refuse(
    wrong: pd.Series, frame: pd.DataFrame, what: str, path: Path, key: str, field: str
) -> None:
    """Raise for the first wrong row."""
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise InputError(
            what, where=f"{path}, table {key}, row {row + 1}, field {field!r}",
            value=str(frame[field].iloc[row]), fix=FIX,
        )  # fmt: skip
