"""Grader `table`: rows in any order (or in order), cells by type, columns by name, place or any.

Cells: numbers within tolerance, text without regard to case and spaces, dates as the same moment
whether date, midnight datetime or ISO text, missing values (None, NaN) equal to each other only,
True never equal to 1. `as_text` compares as EHRSQL does (G. Lee et al., NeurIPS 2022 Datasets and
Benchmarks): lower-case text, numbers rounded to three decimals also where they stand in text, so
that 5, 5.0, "5" and "5.000" are equal.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from benchside.graders import column_mapping as mapping
from benchside.graders.grader import Grader, UnreadableError, Verdict, register
from benchside.graders.grid import Cells, Coder, Grid, as_grid, series_with_index
from benchside.graders.row_matching import (
    Mismatch,
    Tolerance,
    match_rows,
    same_in_order,
    sorted_order,
)
from benchside.graders.show import show, show_row
from benchside_kernels.submission import Series, Value


@register
class TableGrader(Grader):
    """Passes when both tables hold the same rows, each as often.

    Args:
        columns: how submitted columns are assigned: `by_name` (case-insensitive; submissions
            without names go by place), `by_position`, or `any` one-to-one assignment.
        abs_tol, rel_tol: as for `number`, in each cell.
        decimals: numbers are rounded to so many before they are compared.
        ordered: the order of rows matters.
        max_rows: only so many first rows of both are compared.
        as_text: see the module; sets `decimals` to 3 unless given.
    """

    name: ClassVar[str] = "table"
    columns: Literal["by_name", "by_position", "any"] = "by_position"
    abs_tol: float = Field(0.0, ge=0, allow_inf_nan=False)
    rel_tol: float = Field(0.0, ge=0, lt=1)
    decimals: int | None = Field(None, ge=0, le=15)
    ordered: bool = False
    max_rows: int | None = Field(None, ge=1)
    as_text: bool = False

    def check_gold(self, gold: Value) -> None:
        """The gold is a table of finite cells, with usable column names."""
        grid = as_grid(gold)
        coder = self._coder()
        coder.cells(grid)
        if coder.has_infinite:
            raise UnreadableError("a cell of the gold is infinite")
        if self.columns == "any" and grid.width > mapping.MAX_COLUMNS:
            raise UnreadableError(
                f"the gold has {grid.width} columns; columns 'any' takes {mapping.MAX_COLUMNS}"
            )
        if self.columns == "by_name":
            names = grid.columns
            if names is None or len({mapping.name_key(name) for name in names}) < len(names):
                raise UnreadableError("columns 'by_name' needs a gold with distinct column names")

    def judge(self, submitted: Value, gold: Value) -> Verdict:
        """Compare sizes, then assign columns, then match rows."""
        expected = as_grid(gold)
        try:
            grid = self._submitted_grid(submitted, expected.width)
            problem = self._size_problem(grid, expected)
            if problem:
                return Verdict(False, problem)
            coder = self._coder()
            left, right = coder.cells(self._first(grid)), coder.cells(self._first(expected))
        except UnreadableError as error:
            return Verdict(False, f"{error}; expected {_size(expected)}")
        if not expected.rows:
            return Verdict(True, "submitted an empty table, as expected")
        return self._judge_cells(grid, expected, left, right)

    def _judge_cells(self, grid: Grid, gold: Grid, left: Cells, right: Cells) -> Verdict:
        if self.columns == "any":
            search = mapping.MappingSearch(
                left, right, self._tolerance, mapping.preferred_places(grid, gold)
            )
            places = search.find()
            if places is None:
                return Verdict(False, _no_mapping(search, gold))
        else:
            by_name = self.columns == "by_name" and grid.columns is not None
            found = mapping.by_name(grid.columns or (), gold.columns or ()) if by_name else None
            if by_name and found is None:
                names = f"columns are {show(list(grid.columns or ()))}"
                return Verdict(False, f"{names}, expected {show(list(gold.columns or ()))}")
            places = list(range(gold.width)) if found is None else found
        return self._judge_rows(grid, gold, left.take(places), right)

    def _judge_rows(self, grid: Grid, gold: Grid, left: Cells, right: Cells) -> Verdict:
        if self.ordered:
            wrong = np.flatnonzero(~same_in_order(left, right, self._tolerance))
            problem = Mismatch("", int(wrong[0]), int(wrong[0])) if len(wrong) else None
        else:
            problem = match_rows(left, right, self._tolerance)
        parts = self._column_parts(gold, left, right)
        if problem is None:
            return Verdict(True, f"submitted the expected {_size(gold)}", parts)
        return Verdict(False, _row_evidence(problem, grid, gold), parts)

    def _column_parts(self, gold: Grid, left: Cells, right: Cells) -> dict[str, float]:
        """1.0 for each column that holds the right values, whatever their rows."""
        parts = {}
        for place in range(gold.width):
            s, g = left.take([place]), right.take([place])
            s, g = s.rows(sorted_order(s)), g.rows(sorted_order(g))
            name = gold.columns[place] if gold.columns else f"column {place + 1}"
            parts[name] = float(same_in_order(s, g, self._tolerance).all())
        return parts

    def _submitted_grid(self, submitted: Value, width: int) -> Grid:
        if isinstance(submitted, Series) and width > 1:
            return series_with_index(submitted)
        return mapping.without_row_numbers(as_grid(submitted), width)

    def _size_problem(self, grid: Grid, gold: Grid) -> str | None:
        """Sizes are compared first, so that a huge submission costs nothing."""
        rows = len(self._first(grid).rows), len(self._first(gold).rows)
        if rows[0] != rows[1] or (gold.rows and grid.width != gold.width):
            return f"submitted {_size(grid)}, expected {_size(gold)}"
        return None

    def _first(self, grid: Grid) -> Grid:
        return grid if self.max_rows is None else Grid(grid.columns, grid.rows[: self.max_rows])

    def _coder(self) -> Coder:
        decimals = 3 if self.as_text and self.decimals is None else self.decimals
        return Coder(as_text=self.as_text, decimals=decimals)

    @property
    def _tolerance(self) -> Tolerance:
        return Tolerance(self.abs_tol, self.rel_tol)


def _size(grid: Grid) -> str:
    return f"{len(grid.rows)} rows × {grid.width} columns"


def _no_mapping(search: mapping.MappingSearch, gold: Grid) -> str:
    column = search.unmatched_column()
    if column is not None:
        name = gold.columns[column] if gold.columns else str(column + 1)
        return f"no submitted column holds the values of column {show(name)}"
    if search.exhausted:
        return "too many columns hold nearly the same values to find which is which"
    return "no assignment of columns makes the rows match"


def _row_evidence(problem: Mismatch, grid: Grid, gold: Grid) -> str:
    if problem.gold_row is not None and problem.submitted_row is not None:
        submitted, expected = grid.rows[problem.submitted_row], gold.rows[problem.gold_row]
        return f"row {problem.gold_row + 1} is {show_row(submitted)}, expected {show_row(expected)}"
    if problem.gold_row is not None:
        return f"expected row {show_row(gold.rows[problem.gold_row])} {problem.reason}"
    if problem.submitted_row is not None:
        return f"submitted row {show_row(grid.rows[problem.submitted_row])} {problem.reason}"
    return problem.reason
