"""Do two tables hold the same rows in any order, with numbers equal within a tolerance?

Numbers first fall into clusters: groups of numbers that tolerance can connect, apart from all
others. Rows of different clusters or labels cannot match. Pairing sorted rows then settles nearly
all cases. It can miss, as rows that are equal within tolerance need not sort alike, so rows that do
not pair are matched as a bipartite graph.
Source: J. E. Hopcroft, R. M. Karp, An n^5/2 algorithm for maximum matchings in bipartite graphs,
SIAM J. Comput. 2 (1973) 225-231 (as implemented by scipy).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from benchside.graders.grid import Cells
from benchside.graders.number import Floats, allowed_difference

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# pairs of rows within tolerance of each other that are looked at; bounds time to about a second
MAX_PAIRS = 2_000_000


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why rows do not match; each index is None where that side has no single culprit."""

    reason: str
    gold_row: int | None = None
    submitted_row: int | None = None


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Absolute and relative tolerance of all numbers of a table."""

    abs_tol: float
    rel_tol: float

    def near(self, submitted: Floats, gold: Floats) -> Bools:
        """Elementwise: is the submitted number within tolerance of the gold?"""
        allowed = allowed_difference(gold, self.abs_tol, self.rel_tol)
        return np.asarray(np.abs(submitted - gold) <= allowed)


def sorted_order(cells: Cells) -> Ints:
    """Return the order of rows by codes, then numbers."""
    keys = [*cells.numbers.T[::-1], *cells.codes.T[::-1]]  # np.lexsort: the last key leads
    return np.lexsort(keys) if keys else np.arange(len(cells.codes))


def same_in_order(submitted: Cells, gold: Cells, tolerance: Tolerance) -> Bools:
    """Return (rows,) bool: does each row equal the gold row in its place?"""
    codes = (submitted.codes == gold.codes).all(axis=1)
    return np.asarray(codes & tolerance.near(submitted.numbers, gold.numbers).all(axis=1))


def match_rows(submitted: Cells, gold: Cells, tolerance: Tolerance) -> Mismatch | None:
    """Return None where a one-to-one matching of all rows exists, else why not.

    Args:
        submitted, gold: the same number of rows and columns, coded by the same `Coder`.
    """
    submitted, gold = _clustered(submitted, gold, tolerance)
    s_order, g_order = sorted_order(submitted), sorted_order(gold)
    s, g = submitted.rows(s_order), gold.rows(g_order)
    labels_differ = (s.codes != g.codes).any(axis=1)
    if labels_differ.any():
        place = int(labels_differ.argmax())
        if tuple(g.codes[place]) < tuple(s.codes[place]):
            return Mismatch("is not in the submission", gold_row=int(g_order[place]))
        return Mismatch("is not expected", submitted_row=int(s_order[place]))
    paired = same_in_order(s, g, tolerance)
    if paired.all():
        return None
    group = _groups(g.codes)
    open_rows = np.flatnonzero(np.isin(group, group[~paired]))
    found = _match_open(s.rows(open_rows), g.rows(open_rows), group[open_rows], tolerance)
    if found.gold_row is not None:
        return Mismatch(found.reason, gold_row=int(g_order[open_rows[found.gold_row]]))
    return found if found.reason else None


def _clustered(submitted: Cells, gold: Cells, tolerance: Tolerance) -> tuple[Cells, Cells]:
    """Add a column of cluster numbers to the codes for each column that holds numbers."""
    s_codes, g_codes = [submitted.codes], [gold.codes]
    for place in range(gold.codes.shape[1]):
        numbers = gold.numbers[:, place][gold.codes[:, place] == 0]
        if not len(numbers):
            continue
        starts = _cluster_starts(numbers, tolerance)
        for cells, codes in ((submitted, s_codes), (gold, g_codes)):
            column = cells.numbers[:, place]
            cluster = np.searchsorted(starts, column, "right")
            cluster[cells.codes[:, place] != 0] = 0  # labels tell these cells apart
            codes.append(cluster[:, np.newaxis])
    return (
        Cells(np.hstack(s_codes), submitted.numbers),
        Cells(np.hstack(g_codes), gold.numbers),
    )


def _cluster_starts(gold: Floats, tolerance: Tolerance) -> Floats:
    """Return the lower ends, ascending, of all unions of overlapping tolerance intervals."""
    numbers = np.sort(gold)
    allowed = allowed_difference(numbers, tolerance.abs_tol, tolerance.rel_tol)
    low, high = numbers - allowed, numbers + allowed  # both ascending, as rel_tol < 1
    gap = np.flatnonzero(low[1:] > high[:-1])
    return np.asarray(low[np.concatenate([[0], gap + 1])])


def _groups(codes: Ints) -> Ints:
    """Number the runs of equal rows of a sorted array: 0, 0, 1, 2, 2, ..."""
    changes = (codes[1:] != codes[:-1]).any(axis=1)
    return np.concatenate([[0], np.cumsum(changes)]).astype(np.int64)


def _match_open(submitted: Cells, gold: Cells, group: Ints, tolerance: Tolerance) -> Mismatch:
    """Match rows within groups of equal labels; an empty reason means that all match."""
    windows = [
        _window(submitted.numbers[:, c], gold.numbers[:, c], group, tolerance)
        for c in range(gold.numbers.shape[1])
    ]
    best = min(windows, key=lambda window: int((window.end - window.start).sum()))
    counts = best.end - best.start
    if counts.sum() > MAX_PAIRS:
        return Mismatch("too many rows are within tolerance of each other to tell them apart")
    left = np.repeat(np.arange(len(counts)), counts)
    offset = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    right = best.order[np.repeat(best.start, counts) + offset]
    near = tolerance.near(submitted.numbers[right], gold.numbers[left]).all(axis=1)
    ones = np.ones(int(near.sum()), np.int8)
    graph = csr_array((ones, (left[near], right[near])), shape=(len(group), len(group)))
    partner = maximum_bipartite_matching(graph, perm_type="column")
    if (partner >= 0).all():
        return Mismatch("")
    return Mismatch("is not in the submission", gold_row=int((partner < 0).argmax()))


@dataclass(frozen=True, slots=True)
class _Window:
    """For gold row i, the submitted rows order[start[i]:end[i]] are near in one column."""

    order: Ints
    start: Ints
    end: Ints


def _window(submitted: Floats, gold: Floats, group: Ints, tolerance: Tolerance) -> _Window:
    """Search (group, number) pairs as `np.searchsorted` searches numbers.

    Args:
        submitted, gold: (rows,) one numeric column of each; both have the same `group`.
    """
    n = len(gold)
    allowed = allowed_difference(gold, tolerance.abs_tol, tolerance.rel_tol)
    # one sort of lower limits, submitted numbers and upper limits; ties in this order
    values = np.concatenate([gold - allowed, submitted, gold + allowed])
    tie = np.repeat([0, 1, 2], n)
    order = np.lexsort([tie, values, np.tile(group, 3)])
    seen = np.cumsum(tie[order] == 1)  # submitted numbers up to each place
    place = np.empty(3 * n, np.int64)
    place[order] = np.arange(3 * n)
    by_number = order[tie[order] == 1] - n
    return _Window(by_number, seen[place[:n]], seen[place[2 * n :]])
