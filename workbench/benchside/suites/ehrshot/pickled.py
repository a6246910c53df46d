"""Pickles of numpy arrays and times, read without handing numpy to them.

A pickle may call what it names with anything, and numpy's own functions will make an array of
objects over any bytes: pointers of the file's choice. So stand-ins take their calls, and arrays are
made here: of numbers and times from bytes, of objects from lists.
"""

from __future__ import annotations

import pickle
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

# what unpickling raises on damaged input
UNREADABLE = (
    pickle.UnpicklingError, EOFError, ValueError, LookupError, AttributeError, TypeError,
    OverflowError, MemoryError, RecursionError, ImportError,
)  # fmt: skip
_NUMBERS = re.compile(r"[biuf][1248]|M8")
_STATED = re.compile(r"[<>=|]")


def read_pickle(path: Path) -> object:
    """Return plain values, times, and arrays, which `np.asarray` takes; raise `UNREADABLE`."""
    with path.open("rb") as file:
        return _Unpickler(file).load()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            module = "multiarray"
        elif module in ("numpy.core.numeric", "numpy._core.numeric"):
            module = "numeric"
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"{module}.{name} is not a numpy array or a time"
            ) from None


class _Dtype:
    """A dtype: `text` as numpy spells it, without structure."""

    def __init__(self, text: object, *_: object):
        plain = "O" if text == "O8" else str(text)
        if plain != "O" and not _NUMBERS.fullmatch(_STATED.sub("", plain)):
            raise pickle.UnpicklingError(f"arrays of {plain} are not read")
        self.text = plain

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take the order of bytes, and the unit of times."""
        order = str(state[1])
        if _STATED.fullmatch(order) and self.text != "O":
            self.text = order + _STATED.sub("", self.text)
        if "M8" in self.text and len(state) > 8:
            unit, number = state[8][-1][0], int(state[8][-1][1])
            unit = unit.decode() if isinstance(unit, bytes) else str(unit)
            self.text = f"{self.text}[{number}{unit}]"


class _Array:
    """An array, empty until its state is set."""

    def __init__(self, *_: object):
        self.value: Any = np.empty(0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, by_column, data = state
        self.value = _array(data, dtype, shape, "F" if by_column else "C")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self.value if dtype is None else self.value.astype(dtype)


def _array(data: Any, dtype: _Dtype, shape: Any, order: Any) -> Any:
    if dtype.text != "O":
        return np.frombuffer(data, np.dtype(dtype.text)).reshape(shape, order=order)
    if not isinstance(data, list):
        raise pickle.UnpicklingError("an array of objects is no list of them")
    filled = np.empty(len(data), dtype=object)
    filled[:] = data
    return filled.reshape(shape, order=order)


def _from_buffer(data: Any, dtype: _Dtype, shape: Any, order: Any, *_: object) -> _Array:
    made = _Array()
    made.value = _array(data, dtype, shape, order)
    return made


def _scalar(dtype: _Dtype, data: bytes) -> Any:
    return _array(data, dtype, (1,), "C")[0]


def _encode(text: str, encoding: str) -> bytes:
    """How bytes are kept by old protocols."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes as {encoding} are not read")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """How old protocols keep what has none."""
    return b""


_KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): "ndarray", ("numpy", "dtype"): _Dtype,
    ("datetime", "datetime"): datetime, ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
    ("multiarray", "_reconstruct"): _Array, ("multiarray", "scalar"): _scalar,
    ("numeric", "_frombuffer"): _from_buffer,
}  # fmt: skip
