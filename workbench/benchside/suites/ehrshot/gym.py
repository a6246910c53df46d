"""MedAgentGym's layout: a task file, features of the model CLMBR as pickles, labels by split.

A pickle could run any code, so `pickled` reads numpy arrays, times and plain containers only.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchside.errors import InputError
from benchside.suites.ehrshot.labels import FIX, last_rows, read_labels
from benchside.suites.ehrshot.pickled import UNREADABLE, read_pickle
from benchside.suites.ehrshot.source import Examples, disjoint
from benchside.suites.longitudinal.catalogue import KINDS

SPLITS = ("train", "val", "test")
PARTS = ("data_matrix", "patient_ids", "labeling_time")
Array = NDArray[Any]


class Gym:
    """A copy in MedAgentGym's layout."""

    def __init__(self, tasks: Path, features: dict[str, Path], labels: dict[str, dict[str, Path]]):
        """Read the task file and the features.

        Args:
            features: file by split.
            labels: file by kind and split.

        Raises:
            InputError: a file is damaged; it names line, row or field.
        """
        asked = _kinds(tasks)
        self.kinds = tuple(kind for kind in asked if kind in labels)
        self._labels = labels
        self._features = {split: _read_features(path) for split, path in features.items()}

    def read(self, kind: str, counts: Counter[str]) -> Examples:
        """Rows and features of one kind, joined by patient and time."""
        parts = []
        for split, path in self._labels[kind].items():
            labels = last_rows(read_labels(path, kind), counts).reset_index()
            found = self._features[split]
            joined = labels.merge(found, on="patient_id")
            own = joined[joined["labeling_time"] == joined["prediction_time"]]
            own = own.drop_duplicates("patient_id")
            others = joined[~joined["patient_id"].isin(own["patient_id"])]
            late = others.loc[others["labeling_time"] > others["prediction_time"], "patient_id"]
            counts["rows left out: features of after their time"] += late.nunique()
            left = len(labels) - len(own) - late.nunique()
            counts["rows left out: no features of their time"] += left
            parts.append(own.assign(split=split))
        rows = disjoint(pd.concat(parts, ignore_index=True), counts)
        # a patient who is in train and in val: once is enough
        rows = rows.drop_duplicates("patient_id").set_index("patient_id").sort_index()
        names = [name for name in rows if isinstance(name, int)]
        features = rows[names].astype("float32")
        features.columns = pd.Index([f"f{name}" for name in names])
        known = rows[["prediction_time", "split", "value"]]
        # CLMBR reads a record up to the time, which counts as just before it
        return Examples(known, features, rows["labeling_time"] - pd.Timedelta(seconds=1))


def _kinds(path: Path) -> list[str]:
    """The tasks' names in their order."""
    found: list[str] = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            task = json.loads(line)
            name = task["task_name"]
        except (ValueError, RecursionError, KeyError, TypeError) as error:  # not UTF-8, not JSON
            raise InputError(
                "not a task with a task_name", where=f"{path}, line {number}, field 'task_name'",
                value=str(error), fix=FIX,
            ) from None  # fmt: skip
        if name not in KINDS or name in found:
            raise InputError(
                "an unknown task, or one that occurs twice",
                where=f"{path}, line {number}, field 'task_name'", value=name, fix=FIX,
            )  # fmt: skip
        found.append(name)
    if not found:
        raise InputError("the file has no tasks", where=path, fix=FIX)
    return found


def _read_features(path: Path) -> pd.DataFrame:
    """patient_id, labeling_time, and features named 0, 1, 2 …"""
    try:
        content: Any = read_pickle(path)
    except UNREADABLE as error:
        raise InputError(
            "the pickle is damaged, cut off, or holds more than numpy arrays", where=path,
            value=str(error), fix=f"{FIX}; features must be numpy arrays",
        ) from None  # fmt: skip
    for part in PARTS:
        if not isinstance(content, dict) or part not in content:
            raise InputError("a part is missing", where=f"{path}, field {part!r}", fix=FIX)
    matrix, ids, times = (_rows(content[part], path, part) for part in PARTS)
    if (matrix.ndim, ids.ndim, times.ndim) != (2, 1, 1) or len(
        {len(matrix), len(ids), len(times)}
    ) > 1:
        raise InputError(
            "the parts do not have one row each", where=f"{path}, field 'data_matrix'",
            value=[matrix.shape, ids.shape, times.shape], fix=FIX,
        )  # fmt: skip
    made = [
        _converted(matrix, _numbers, "a feature is not a finite number", path, PARTS[0]),
        _converted(ids, _whole, "not a patient's number", path, PARTS[1]),
        _converted(times, _times, "not a time", path, PARTS[2]),
    ]
    frame = pd.DataFrame(made[0])
    frame.insert(0, "patient_id", made[1])
    frame.insert(1, "labeling_time", made[2])
    return frame


def _rows(value: object, path: Path, part: str) -> Array:
    try:
        return np.asarray(value)
    except (ValueError, TypeError) as error:
        raise InputError(
            "the rows are not all of one length", where=f"{path}, field {part!r}",
            value=str(error), fix=FIX,
        ) from None  # fmt: skip


def _converted(
    values: Array, convert: Callable[[Array], Array], what: str, path: Path, part: str
) -> Array:
    """Convert all rows, or name the first that cannot be."""
    try:
        return convert(values)
    except (ValueError, TypeError, OverflowError):
        row = next(n for n in range(len(values)) if not _converts(values[n : n + 1], convert))
        raise InputError(
            what, where=f"{path}, row {row + 1}, field {part!r}", value=str(values[row])[:80],
            fix=FIX,
        ) from None  # fmt: skip


def _converts(values: Array, convert: Callable[[Array], Array]) -> bool:
    try:
        convert(values)
    except (ValueError, TypeError, OverflowError):
        return False
    return True


def _numbers(matrix: Array) -> Array:
    with np.errstate(over="ignore"):
        found = matrix.astype("float32")
    if not np.isfinite(found).all():
        raise ValueError
    return found


def _whole(ids: Array) -> Array:
    if any(isinstance(one, float) and not one.is_integer() for one in ids.tolist()):
        raise ValueError
    return np.array([int(one) for one in ids.tolist()], dtype="int64")


def _times(times: Array) -> Array:
    return pd.to_datetime(pd.Series(times)).to_numpy("datetime64[ns]")
