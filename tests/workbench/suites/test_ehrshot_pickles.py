"""Pickles that users bring: arrays come back as they were, and nothing else gets through."""

from __future__ import annotations

import codecs
import datetime as dt
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchside.errors import InputError
from benchside.suites.ehrshot.gym import _kinds, _read_features
from benchside.suites.ehrshot.labels import read_labels
from benchside.suites.ehrshot.pickled import UNREADABLE, read_pickle

NOON = dt.datetime(2020, 1, 1, 12)


class Calls:
    """Unpickling it calls this."""

    def __init__(self, called: Callable[..., Any], *arguments: Any):
        self.told = (called, arguments)

    def __reduce__(self) -> Any:
        return self.told


def content(**changed: Any) -> bytes:
    whole = {
        "data_matrix": np.zeros((2, 2)), "patient_ids": np.array([7, 8]),
        "labeling_time": np.array([NOON, NOON]), **changed,
    }  # fmt: skip
    return pickle.dumps(whole)


@pytest.mark.parametrize("protocol", range(2, 6))
def test_arrays_come_back_as_they_were(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "some.pkl"
    arrays = [
        np.arange(6, dtype="float32").reshape(2, 3), np.asfortranarray(np.eye(3)[:2]),
        np.array([1, -2, 2**60]), np.array([1, 2], dtype=">i4"), np.array([True, False]),
        np.array(["2020-01-01", "NaT"], dtype="datetime64[ns]"), np.array([NOON, NOON]),
        np.empty((0, 4)),
    ]  # fmt: skip
    scalars = [np.float64(0.5), np.int64(3)]
    path.write_bytes(pickle.dumps([*arrays, *scalars], protocol=protocol))
    found: Any = read_pickle(path)
    for array, read in zip(arrays, found, strict=False):
        np.testing.assert_array_equal(np.asarray(read), array)
        assert np.asarray(read).dtype == array.dtype
    assert found[len(arrays) :] == scalars


@pytest.mark.parametrize(
    "made",
    [
        Calls(np.ndarray, (2,), np.dtype("O"), b"A" * 16),  # objects at addresses of its choice
        Calls(np.ndarray, (10**13,)),
        Calls(np.ndarray),
        Calls(dt.datetime, 1),
        Calls(codecs.encode, "x", "rot13"),
        np.zeros(2, dtype=[("a", "O")]),
        np.array(["text"]),
    ],
)
def test_nothing_of_numpy_is_called(tmp_path: Path, made: Any) -> None:
    path = tmp_path / "some.pkl"
    path.write_bytes(pickle.dumps(made))
    with pytest.raises(UNREADABLE):
        read_pickle(path)


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"data_matrix": np.array([[0, 1], [0, 1e300]])}, "row 2, field 'data_matrix'"),
        ({"data_matrix": [[1], [1, 2]]}, "field 'data_matrix'"),
        ({"patient_ids": np.array([7, 8.5])}, "row 2, field 'patient_ids'"),
        ({"patient_ids": np.array([7, 2**70])}, "row 2, field 'patient_ids'"),
        ({"patient_ids": np.zeros((2, 2))}, "field 'data_matrix'"),
        ({"labeling_time": [NOON, "noon"]}, "row 2, field 'labeling_time'"),
        ({"labeling_time": np.array([NOON, dt.datetime.max])}, "row 2, field 'labeling_time'"),
    ],
)
def test_wrong_rows_are_named(tmp_path: Path, changed: dict[str, Any], where: str) -> None:
    path = tmp_path / "some.pkl"
    path.write_bytes(content())
    assert list(_read_features(path)["patient_id"]) == [7, 8]
    path.write_bytes(content(**changed))
    with pytest.raises(InputError) as found:
        _read_features(path)
    assert str(found.value.where).endswith(where)


@pytest.mark.parametrize(
    ("lines", "where"),
    [
        (b'{"task_name": "guo_los\xff"}', "line 1"),
        (b'{"task_name": "guo_los"}\n' + b"[" * 100_000, "line 2"),
        (b'{"task_name": ' + b"9" * 5000 + b"}", "line 1"),
        (b"\n", "task.jsonl"),
    ],
)
def test_damaged_task_files_are_named(tmp_path: Path, lines: bytes, where: str) -> None:
    path = tmp_path / "task.jsonl"
    path.write_bytes(lines)
    with pytest.raises(InputError) as found:
        _kinds(path)
    assert where in str(found.value.where)


def test_zones_of_times_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    times = ("2020-01-01 12:00:00+01:00", "2020-01-01T12:00:00-0500", "2020-01-01 12:00:00Z")
    rows = [f"{n},{time},True" for n, time in enumerate(times)]
    path.write_text("\n".join(["patient_id,prediction_time,value", *rows]))
    assert list(read_labels(path, "guo_los")["prediction_time"]) == [NOON] * 3
