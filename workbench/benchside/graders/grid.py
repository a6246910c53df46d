"""Tables as arrays: any table-like submission becomes rows, then comparable labels and numbers.

A cell that is a number is compared as a 64-bit float; every other cell has a label that is equal
for equal cells. So a table becomes two arrays, and comparing tables is array work.
"""

from __future__ import annotations

import datetime as dt
import math
import unicodedata
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchside.graders.date import MIDNIGHT, read_datetime
from benchside.graders.grader import UnreadableError
from benchside.graders.number import read_number
from benchside.graders.show import show
from benchside_kernels.submission import Series, SetValue, Table, Value

Row = Sequence[Value]

# the label of all numbers; text labels are str, times are datetime, so that kinds never collide
NUMBER = ("number",)
MISSING = ("missing",)
INFINITE = (("infinite", math.inf), ("infinite", -math.inf))
EXACT_FLOAT_LIMIT = 2**53


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows of equal length; `columns` is None where the submission names none."""

    columns: tuple[str, ...] | None
    rows: Sequence[Row]

    @property
    def width(self) -> int:
        """Number of columns; 0 where neither names nor rows tell it."""
        if self.columns is not None:
            return len(self.columns)
        return len(self.rows[0]) if self.rows else 0


def as_grid(value: Value) -> Grid:
    """Return a DataFrame, list of rows, dicts or scalars, Series or scalar as a grid.

    A Series with several index levels, or of which the index is asked for, is not told apart here:
    see `series_with_index`.

    Raises:
        UnreadableError: a dict, or rows of different lengths.
    """
    match value:
        case Table():
            return Grid(value.columns, value.rows)
        case Series():
            return Grid(None, [(item,) for item in value.values])
        case SetValue():
            return _of_list(list(value.members))
        case list():
            return _of_list(value)
        case dict():
            raise UnreadableError(f"{show(value)} is a dict; submit a DataFrame or a list of rows")
    return Grid(None, [(value,)])


def series_with_index(series: Series) -> Grid:
    """Return a Series with its index labels as leading columns, as `reset_index` does."""
    rows = [
        (*(label if isinstance(label, list) else [label]), item)
        for label, item in zip(series.index, series.values, strict=True)
    ]
    return Grid(None, _equally_long(rows))


def _of_list(items: Sequence[Value]) -> Grid:
    if items and all(isinstance(item, dict) for item in items):
        return _of_dicts([item for item in items if isinstance(item, dict)])
    if any(isinstance(item, list) for item in items):
        return Grid(None, _equally_long([i if isinstance(i, list) else [i] for i in items]))
    return Grid(None, [(item,) for item in items])


def _of_dicts(items: list[dict[str, Value]]) -> Grid:
    columns = tuple(dict.fromkeys(key for item in items for key in item))
    return Grid(columns, [tuple(item.get(name) for name in columns) for item in items])


def _equally_long(rows: Sequence[Row]) -> Sequence[Row]:
    lengths = sorted({len(row) for row in rows})
    if len(lengths) > 1:
        raise UnreadableError(f"rows have different lengths, {lengths[0]} to {lengths[-1]}")
    return rows


@dataclass(frozen=True, slots=True)
class Cells:
    """A grid's cells.

    Args:
        codes: (rows, columns) int64; equal labels have equal codes within one `Coder`.
        numbers: (rows, columns) float64; 0 where the cell is no number.
    """

    codes: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.float64]

    def take(self, columns: Sequence[int]) -> Cells:
        """Return these columns in this order."""
        picked = list(columns)
        return Cells(self.codes[:, picked], self.numbers[:, picked])

    def rows(self, order: npt.NDArray[np.int64]) -> Cells:
        """Return these rows in this order."""
        return Cells(self.codes[order], self.numbers[order])


class Coder:
    """Gives cells of several grids comparable codes.

    Args:
        as_text: cells are compared as lower-case text, numbers (also in text) as their decimals.
        decimals: numbers are rounded to so many; None leaves them.
    """

    def __init__(self, *, as_text: bool, decimals: int | None):
        self._codes: dict[Hashable, int] = {NUMBER: 0}
        self._texts: dict[str, Hashable] = {}
        self._label: Callable[[Value], Hashable | float] = (
            self._text_label if as_text else self._typed_label
        )
        self._decimals = decimals

    def cells(self, grid: Grid) -> Cells:
        """Return a grid's cells.

        Raises:
            UnreadableError: a cell holds a list, dict or table.
        """
        shape = (len(grid.rows), grid.width)
        codes, numbers = np.zeros(shape, np.int64), np.zeros(shape, np.float64)
        for place in range(grid.width):
            column = [row[place] for row in grid.rows]
            plain = _plain_numbers(column)
            if plain is not None:
                numbers[:, place] = plain
                continue
            labels = [self._label(cell) for cell in column]
            codes[:, place] = [self._code(label) for label in labels]
            numbers[:, place] = [label if type(label) is float else 0.0 for label in labels]
        if self._decimals is not None:
            numbers = np.round(numbers, self._decimals)
        return Cells(codes, numbers)

    @property
    def has_infinite(self) -> bool:
        """True once a cell was infinite."""
        return any(label in self._codes for label in INFINITE)

    def _code(self, label: Hashable | float) -> int:
        return 0 if type(label) is float else self._codes.setdefault(label, len(self._codes))

    def _typed_label(self, cell: Value) -> Hashable | float:
        """A finite number is itself (as float); anything else has a hashable label."""
        kind = type(cell)
        if kind is float:
            return _float_label(cell)  # type: ignore[arg-type]
        if kind is str:
            label = self._texts.get(cell)  # type: ignore[arg-type]
            return self._remember(cell) if label is None else label  # type: ignore[arg-type]
        match cell:
            case None:
                return MISSING
            case bool():
                return ("bool", cell)
            case int():
                # beyond 2**53 floats skip integers, and identifiers must not run together
                return float(cell) if abs(cell) < EXACT_FLOAT_LIMIT else ("integer", cell)
            case dt.timedelta():
                return cell
        moment = read_datetime(cell)
        if moment is None:
            raise UnreadableError(f"a cell holds {show(cell)}; cells are single values")
        return moment

    def _remember(self, text: str) -> Hashable:
        """Text is compared without regard to case and spaces; ISO dates as the time they name."""
        moment = read_datetime(text)
        label = _canonical(text) if moment is None else moment
        self._texts[text] = label
        return label

    def _text_label(self, cell: Value) -> Hashable | float:
        label = self._typed_label(cell)
        if isinstance(label, str):
            label = _number_in(label)
        if isinstance(label, dt.datetime):
            day = label.time() == MIDNIGHT
            return label.date().isoformat() if day else label.isoformat(sep=" ")
        if isinstance(label, tuple) and label[0] in ("bool", "integer"):
            return str(label[1]).lower() if label[0] == "bool" else label
        return label


def _plain_numbers(column: Sequence[Value]) -> npt.NDArray[np.float64] | None:
    """Return a column of small finite numbers alone; most columns are, and this is fast."""
    if not {type(cell) for cell in column} <= {int, float}:
        return None
    try:
        numbers = np.array(column, np.float64)
    except OverflowError:  # an integer above 1.8e308
        return None
    return numbers if (np.abs(numbers) < EXACT_FLOAT_LIMIT).all() else None


def _float_label(number: float) -> Hashable | float:
    if math.isfinite(number):
        return number
    return MISSING if math.isnan(number) else ("infinite", number)


def _canonical(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text.casefold()).split())


def _number_in(text: str) -> str | float:
    try:
        return float(read_number(text))
    except UnreadableError:
        return text
