"""Probes of tables."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any, TypeGuard

import numpy as np
import pandas as pd

from benchside.graders.grid import Grid, as_grid
from benchside.graders.probes.case import Case, Cases, equivalents, is_right_constant, mistakes
from benchside.graders.table import TableGrader
from benchside_kernels.submission import Value

Rows = list[list[Value]]


def _rows(grid: Grid) -> Rows:
    return [list(row) for row in grid.rows]


def _frame(rows: Rows, grid: Grid) -> pd.DataFrame:
    columns = list(grid.columns) if grid.columns is not None else None
    return pd.DataFrame(rows, columns=columns, dtype=object)


@equivalents.register
def _(grader: TableGrader, gold: Value) -> Cases:
    grid = as_grid(gold)
    rows = _rows(grid)
    frame = _frame(rows, grid)
    cases = [
        Case("DataFrame", frame),
        Case("DataFrame with column types", frame.infer_objects()),
        Case("list of rows", rows),
        Case("tuple of tuples", tuple(tuple(row) for row in rows)),
        Case("dates as ISO text", [[_iso(cell) for cell in row] for row in rows]),
        Case("dates as timestamps", [[_stamp(cell) for cell in row] for row in rows]),
        Case("numpy numbers", [[_numpy(cell) for cell in row] for row in rows]),
    ]
    if rows:
        cases.append(Case("DataFrame with row numbers", frame.reset_index()))
    if grid.columns is not None and len(set(grid.columns)) == grid.width:
        cases.append(Case("list of dicts", frame.to_dict("records")))
    if grid.width == 1:
        cases.append(Case("Series", frame.iloc[:, 0]))
        cases.append(Case("list of scalars", [row[0] for row in rows]))
    if len(rows) == grid.width == 1 and rows[0][0] is not None:
        cases.append(Case("scalar", rows[0][0]))
    return cases + _reordered(grader, frame)


def _reordered(grader: TableGrader, frame: pd.DataFrame) -> Cases:
    cases = []
    whole = grader.max_rows is None or len(frame) <= grader.max_rows
    if not grader.ordered and whole:
        shuffled = frame.sample(frac=1, random_state=0)
        cases.append(Case("shuffled rows", shuffled))
        cases.append(Case("reversed rows", frame.iloc[::-1].to_numpy().tolist()))
    if grader.columns != "by_position" and len(frame):
        cases.append(Case("reversed columns", frame[frame.columns[::-1]]))
    if grader.columns == "by_name":
        cases.append(Case("column names in capitals", frame.rename(columns=lambda n: n.upper())))
    if grader.columns == "any":
        cases.append(Case("other column names", frame.set_axis(range(frame.shape[1]), axis=1)))
    return cases


def _iso(cell: Value) -> object:
    return cell.isoformat() if isinstance(cell, dt.date) else cell


def _stamp(cell: Value) -> object:
    return np.datetime64(cell, "us") if type(cell) is dt.date else cell


def _numpy(cell: Value) -> object:
    return np.float64(cell) if type(cell) is float else cell


@mistakes.register
def _(grader: TableGrader, gold: Value) -> Cases:
    grid = as_grid(gold)
    rows = _rows(grid)
    strange: list[Value] = ["no such row"] * max(grid.width, 1)
    cases = [
        Case("a row more", [strange, *rows]),
        Case("table as text", _frame(rows, grid).to_csv(index=False)),
        Case("rows in one list", [rows]),
    ]
    if not rows:
        return cases
    wider = [[*row, "more"] for row in rows]
    cases += [
        Case("a row replaced", [strange, *rows[1:]]),
        Case("a column more", wider),
        Case("one empty row", [[None] * grid.width], _same(grader, [[None] * grid.width], rows)),
    ]
    if grader.max_rows is None or len(rows) <= grader.max_rows:
        cases.append(Case("a row missing", rows[1:]))
        cases.append(Case("rows twice", rows + rows))
    if grid.width > 1:
        cases.append(Case("a column missing", [row[1:] for row in rows]))
    return cases + _wrong_numbers(grader, rows) + _wrong_order(grader, grid)


def _wrong_numbers(grader: TableGrader, rows: Rows) -> Cases:
    """Change one number by more than any tolerance, and flip all signs."""
    numbers = [cell for row in rows for cell in row if _is_number(cell)]
    if not numbers:
        return []
    top = max(abs(float(number)) for number in numbers)
    far = 2 * top * (1 + grader.rel_tol) / (1 - grader.rel_tol) + 2 * grader.abs_tol + 1
    first = next(i for i, row in enumerate(rows) if any(_is_number(cell) for cell in row))
    if grader.max_rows is not None and first >= grader.max_rows:
        return []
    changed = [far if _is_number(cell) else cell for cell in rows[first]]
    flipped = [[-c if _is_number(c) else c for c in row] for row in rows]
    return [
        Case("one number off", [*rows[:first], changed, *rows[first + 1 :]]),
        Case("signs flipped", flipped, _same(grader, flipped, rows)),
    ]


def _wrong_order(grader: TableGrader, grid: Grid) -> Cases:
    rows = _rows(grid)
    cases = []
    if grader.ordered and len(rows) > 1:
        reversed_rows = rows[::-1]
        same = _same(grader, reversed_rows, rows)
        cases.append(Case("rows reversed", reversed_rows, same))
    if grader.columns != "any" and grid.width > 1:
        swapped = [row[::-1] for row in rows]
        cases.append(Case("columns swapped", swapped, _same(grader, swapped, rows)))
    return cases


def _is_missing(cell: object) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _is_number(cell: Value) -> TypeGuard[int | float]:
    return isinstance(cell, (int, float)) and not isinstance(cell, bool) and not math.isnan(cell)


def _same(grader: TableGrader, left: Rows, right: Rows) -> str:
    """Say why two tables may count as the same, or nothing; rows pair in order or sorted."""
    if grader.max_rows is not None:
        left, right = left[: grader.max_rows], right[: grader.max_rows]
    orders = [(left, right)]
    if not grader.ordered:
        orders.append((sorted(left, key=_key), sorted(right, key=_key)))
    for one, other in orders:
        if len(one) == len(other) and all(
            _near(grader, a, b)
            for row, expected in zip(one, other, strict=True)
            for a, b in zip(row, expected, strict=True)
        ):
            return "equals the gold"
    return ""


def _key(row: list[Value]) -> str:
    return repr([float(cell) + 0.0 if _is_number(cell) else cell for cell in row])


def _near(grader: TableGrader, cell: Value, gold: Value) -> bool:
    if _is_number(cell) and _is_number(gold):
        digits = grader.decimals if grader.decimals is not None else 3 if grader.as_text else None
        one, other = float(cell), float(gold)
        if digits is not None:
            one, other = round(one, digits), round(other, digits)
        return abs(one - other) <= max(grader.abs_tol, grader.rel_tol * abs(other))
    missing = [_is_missing(value) for value in (cell, gold)]
    if grader.as_text and not any(missing):
        return str(cell).casefold() == str(gold).casefold()
    return all(missing) or (type(cell) is type(gold) and cell == gold)


@is_right_constant.register
def _(grader: TableGrader, gold: Value, constant: object) -> bool:
    rows = _rows(as_grid(gold))
    if isinstance(constant, dict):
        return False
    items: list[Any] = constant if isinstance(constant, list) else [constant]
    if grader.max_rows is not None:
        items, rows = items[: grader.max_rows], rows[: grader.max_rows]
    if len(items) != len(rows) or any(len(row) != 1 for row in rows):
        return False
    return bool(_same(grader, [[item] for item in items], rows))
