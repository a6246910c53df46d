"""MedAgentGym's layout: a task file, features of the model CLMBR as pickles, labels by split.

Pickles are read by an unpickler that knows numpy arrays, times and plain containers, nothing else:
a pickle could run any code.
"""

from __future__ import annotations

import json
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchside.errors import InputError
from benchside.suites.ehrshot.labels import FIX, last_rows, read_labels
from benchside.suites.ehrshot.source import Examples, disjoint
from benchside.suites.longitudinal.catalogue import KINDS

SPLITS = ("train", "val", "test")
PARTS = ("data_matrix", "patient_ids", "labeling_time")
_KNOWN = {
    ("numpy", "ndarray"), ("numpy", "dtype"), ("datetime", "datetime"), ("_codecs", "encode"),
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core")
      for name in ("_reconstruct", "scalar")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
}  # fmt: skip


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
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            task = json.loads(line)
            name = task["task_name"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
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
    return found


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"{module}.{name} is not a numpy array or a time")
        return super().find_class(module, name)


def _read_features(path: Path) -> pd.DataFrame:
    """patient_id, labeling_time, and features named 0, 1, 2 …"""
    try:
        with path.open("rb") as file:
            content = _Unpickler(file).load()
    except (pickle.UnpicklingError, EOFError, ValueError, AttributeError, ImportError) as error:
        raise InputError(
            "the pickle is damaged, cut off, or holds more than numpy arrays", where=path,
            value=str(error), fix=f"{FIX}; features must be numpy arrays",
        ) from None  # fmt: skip
    for part in PARTS:
        if not isinstance(content, dict) or part not in content:
            raise InputError("a part is missing", where=f"{path}, field {part!r}", fix=FIX)
    matrix, ids, times = (np.asarray(content[part]) for part in PARTS)
    if matrix.ndim != 2 or len({len(matrix), len(ids), len(times)}) > 1:
        raise InputError(
            "the parts do not have one row each", where=f"{path}, field 'data_matrix'",
            value=[matrix.shape, ids.shape, times.shape], fix=FIX,
        )  # fmt: skip
    wrong = ~np.isfinite(matrix.astype("float64")).all(axis=1)
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(
            "a feature is not a finite number", where=f"{path}, row {row + 1}, field 'data_matrix'",
            value=int(ids[row]), fix=FIX,
        )  # fmt: skip
    frame = pd.DataFrame(matrix.astype("float32"))
    frame.insert(0, "patient_id", ids.astype("int64"))
    frame.insert(1, "labeling_time", pd.to_datetime(pd.Series(times)).to_numpy("datetime64[ns]"))
    return frame
