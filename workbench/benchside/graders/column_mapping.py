"""Which submitted column stands for which gold column, where a task leaves that open.

Columns that hold different values are ruled out one by one, the rest is searched. The search is
bounded; columns of the right name or place are tried first, so that the bound matters only for
tables of many columns with nearly the same values.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchside.graders.grid import Cells, Grid
from benchside.graders.row_matching import Tolerance, match_rows, same_in_order, sorted_order

MAX_COLUMNS = 12
# cells that the search compares; bounds its time to about a second
MAX_CELLS = 20_000_000


def name_key(name: str) -> str:
    """Return a column name without regard to case and spaces."""
    return " ".join(name.casefold().split())


def by_name(submitted: Sequence[str], gold: Sequence[str]) -> list[int] | None:
    """Return the submitted place of each gold column, or None where the names differ."""
    places = {name_key(name): place for place, name in enumerate(submitted)}
    wanted = [name_key(name) for name in gold]
    if len(places) != len(submitted) or set(places) != set(wanted):
        return None
    return [places[name] for name in wanted]


def without_row_numbers(grid: Grid, width: int) -> Grid:
    """Drop a column of row numbers that `reset_index` or a CSV file has added, if one is extra."""
    if grid.columns is None or grid.width != width + 1:
        return grid
    for place, name in enumerate(grid.columns):
        numbers = [row[place] for row in grid.rows]
        is_index = name_key(name) in ("index", "level_0", "unnamed: 0")
        if is_index and numbers == list(range(len(numbers))) and True not in numbers[2:]:
            kept = [p for p in range(grid.width) if p != place]
            rows = [[row[p] for p in kept] for row in grid.rows]
            return Grid(tuple(grid.columns[p] for p in kept), rows)
    return grid


class MappingSearch:
    """Finds a one-to-one mapping of columns under which the rows match."""

    def __init__(self, submitted: Cells, gold: Cells, tolerance: Tolerance, preferred: list[int]):
        self._submitted, self._gold, self._tolerance = submitted, gold, tolerance
        self._cells_left = MAX_CELLS
        width = gold.codes.shape[1]
        left = [_sorted_column(submitted, c) for c in range(width)]
        right = [_sorted_column(gold, c) for c in range(width)]
        self._choices = []
        for g in range(width):
            tried_in_order = dict.fromkeys([preferred[g], g, *range(width)])
            same = [s for s in tried_in_order if same_in_order(left[s], right[g], tolerance).all()]
            self._choices.append(same)

    @property
    def exhausted(self) -> bool:
        """True where the search ended at its bound, so that a mapping may exist."""
        return self._cells_left <= 0

    def unmatched_column(self) -> int | None:
        """Return a gold column whose values no submitted column holds."""
        return next((g for g, choices in enumerate(self._choices) if not choices), None)

    def find(self) -> list[int] | None:
        """Return the submitted place of each gold column, or None."""
        greedy = self._greedy()
        if greedy is not None and self._matches(greedy, range(len(greedy))):
            return greedy
        order = sorted(range(len(self._choices)), key=lambda g: len(self._choices[g]))
        found = self._extend({}, order)
        return None if found is None else [found[g] for g in range(len(order))]

    def _greedy(self) -> list[int] | None:
        """The first free choice of each column: nearly always the mapping that is meant."""
        taken: list[int] = []
        for choices in self._choices:
            free = [s for s in choices if s not in taken]
            if not free:
                return None
            taken.append(free[0])
        return taken

    def _extend(self, partial: dict[int, int], order: list[int]) -> dict[int, int] | None:
        """Assign the next column of `order`, going back where the rows so far do not match."""
        if len(partial) == len(order):
            return partial
        column = order[len(partial)]
        for choice in self._choices[column]:
            if choice in partial.values() or self.exhausted:
                continue
            longer = {**partial, column: choice}
            if self._matches(list(longer.values()), longer):
                found = self._extend(longer, order)
                if found is not None:
                    return found
        return None

    def _matches(self, submitted: Sequence[int], gold: range | dict[int, int]) -> bool:
        left, right = self._submitted.take(submitted), self._gold.take(list(gold))
        self._cells_left -= max(left.codes.size, 1)
        return match_rows(left, right, self._tolerance) is None


def _sorted_column(cells: Cells, column: int) -> Cells:
    single = cells.take([column])
    return single.rows(sorted_order(single))


def preferred_places(submitted: Grid, gold: Grid) -> list[int]:
    """Return for each gold column the submitted column of its name, or else of its place."""
    places = list(range(gold.width))
    if submitted.columns is None or gold.columns is None:
        return places
    keys = [name_key(name) for name in submitted.columns]
    wanted = [name_key(name) for name in gold.columns]
    return [keys.index(key) if key in keys else places[i] for i, key in enumerate(wanted)]
