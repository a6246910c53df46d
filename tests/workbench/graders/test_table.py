import datetime as dt
import itertools
import math
import random
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.workbench.graders.tasks import graded

GOLD = pd.DataFrame(
    {
        "arm": ["A", "A", "B"],
        "n": [10, 10, 7],
        "mean": [0.5, 0.5, None],
        "start": [dt.date(2024, 1, 1), dt.date(2024, 1, 1), None],
    }
)
ROWS = [["A", 10, 0.5, "2024-01-01"], ["A", 10, 0.5, "2024-01-01"], ["B", 7, None, None]]
STAMPED = GOLD.assign(start=pd.to_datetime(GOLD["start"]))
RIGHT = [
    GOLD,
    ROWS,
    ROWS[::-1],
    STAMPED,
    GOLD.to_dict("records"),
    GOLD.sample(frac=1, random_state=3),
    GOLD.set_index("arm"),
    GOLD.reset_index(),
    GOLD.assign(n=GOLD["n"].astype(float)),
    GOLD.astype({"n": "Int64", "mean": "Float64"}),
    GOLD.assign(mean=[0.5, 0.5, math.nan]),
    GOLD.assign(arm=[" a", "a ", "b"]),
]
WRONG = [
    GOLD.drop_duplicates(),
    ROWS[:2],
    [*ROWS, ROWS[0]],
    [ROWS[0], ROWS[2], ROWS[2]],
    GOLD.assign(extra=1),
    GOLD.drop(columns="mean"),
    GOLD.assign(n=-GOLD["n"]),
    GOLD.assign(n=[10, 10, 8]),
    GOLD.assign(mean=[0.5, 0.5, 0.0]),
    GOLD.assign(arm=["A", "A", "B "]).assign(mean=[0.5, None, 0.5]),
    GOLD.assign(start=["2024-01-01", "2024-01-01T10:00", None]),
    GOLD.to_csv(),
    GOLD.to_dict("list"),
    [[ROWS]],
    [],
    "",
    {},
    None,
    0,
    list(range(100)),
    math.nan,
]


@pytest.mark.parametrize("columns", ["by_name", "by_position", "any"])
def test_rows_in_any_order_as_multisets(columns):
    params = {"columns": columns}
    for i, submitted in enumerate(RIGHT):
        assert graded("table", GOLD, submitted, params).passed, i
    for i, submitted in enumerate(WRONG):
        assert not graded("table", GOLD, submitted, params).passed, i


@pytest.mark.parametrize(
    ("columns", "swapped", "renamed"),
    [("by_name", True, False), ("by_position", False, True), ("any", True, True)],
)
def test_how_columns_are_assigned(columns, swapped, renamed):
    params = {"columns": columns}
    other_order = GOLD[["mean", "start", "n", "arm"]]
    other_names = GOLD.rename(columns={"arm": "group", "n": "count"})
    assert graded("table", GOLD, other_order, params).passed is swapped
    assert graded("table", GOLD, other_names, params).passed is renamed
    assert graded("table", GOLD, GOLD.rename(columns=str.upper), params).passed


def test_any_column_assignment_must_hold_for_whole_rows():
    gold = [[1, 2, 3], [2, 3, 1], [3, 1, 2]]  # each column alone holds 1, 2, 3
    assert graded("table", gold, [[3, 1, 2], [1, 2, 3], [2, 3, 1]], {"columns": "any"}).passed
    assert not graded("table", gold, [[1, 1, 1], [2, 2, 2], [3, 3, 3]], {"columns": "any"}).passed


def test_order_of_rows_counts_where_asked():
    gold = [["a", 1], ["b", 2]]
    assert graded("table", gold, [["a", 1], ["b", 2]], {"ordered": True}).passed
    grade = graded("table", gold, [["b", 2], ["a", 1]], {"ordered": True})
    assert not grade.passed
    assert grade.evidence == "row 1 is ('b', 2), expected ('a', 1)"
    assert grade.parts == {"column 1": 1.0, "column 2": 1.0}


def test_booleans_are_not_numbers_in_cells():
    assert not graded("table", [[1], [0]], [[True], [False]]).passed
    assert graded("table", [[True], [False]], pd.DataFrame({"x": [False, True]})).passed


def test_long_identifiers_do_not_run_together():
    assert not graded("table", [[2**60]], [[2**60 + 1]]).passed
    assert graded("table", [[2**60, "a"]], [[2**60, "A"]]).passed


@pytest.mark.parametrize(
    ("gold", "submitted", "passed"),
    [
        ([[5]], 5, True),
        ([[5]], [5], True),
        ([[5]], pd.Series([5]), True),
        ([[5]], [[5], [5]], False),
        ([["a"]], "A", True),
        ([["a", 1], ["b", 2]], pd.Series({"a": 1, "b": 2}), True),
        ([["a", 1], ["b", 2]], pd.Series({"a": 2, "b": 1}), False),
        ([["a", "x", 1]], pd.Series({("a", "x"): 1}), True),
        ([], [], True),
        ([], pd.DataFrame({"a": []}), True),
        ([], [[None]], False),
        ([[None]], [math.nan], True),
        ([[None]], [[""]], False),
        ([[1.0]], [[math.inf]], False),
        ([[dt.timedelta(1)]], [[np.timedelta64(24, "h")]], True),
        ([[1, 2]], [[1], [2, 3]], False),
        ([[1]], [[[1]]], False),
    ],
)
def test_shapes_and_kinds(gold, submitted, passed):
    assert graded("table", gold, submitted).passed is passed


@pytest.mark.parametrize(
    ("submitted", "passed"),
    [
        ([["A", 5], ["b", 2.001]], True),
        ([["a", "5.000"], ["B", "2.0012"]], True),
        ([["b", 2.001], ["a", 5.0]], True),
        ([["a", 5.01], ["b", 2.001]], False),
        ([["a", 5], ["b", 2.002]], False),
        ([["a", "50"], ["b", 2.001]], False),
        ([["a", True], ["b", 2.001]], False),
        ([["a", None], ["b", 2.001]], False),
    ],
)
def test_as_text_rounds_numbers_also_in_text(submitted, passed):
    gold = [["a", "5"], ["b", 2.001]]
    assert graded("table", gold, submitted, {"as_text": True}).passed is passed


def test_as_text_compares_the_first_rows_only():
    gold = [[i] for i in range(150)]
    params = {"as_text": True, "max_rows": 100}
    assert graded("table", gold, gold[:100][::-1], params).passed
    assert graded("table", gold, [*gold[:100], ["other"]], params).passed
    assert not graded("table", gold, gold[:99], params).passed
    assert not graded("table", gold, [["other"], *gold], params).passed


def test_decimals_round_before_comparing():
    assert graded("table", [[0.126]], [[0.1312]], {"decimals": 2}).passed
    assert not graded("table", [[0.126]], [[0.1361]], {"decimals": 2}).passed


def test_evidence_says_which_row_and_column():
    grade = graded("table", GOLD, GOLD.assign(n=[10, 10, 8]), {"columns": "by_name"})
    assert grade.evidence == "expected row ('B', 7, nan, None) is not in the submission"
    assert grade.parts == {"arm": 1.0, "n": 0.0, "mean": 1.0, "start": 1.0}
    assert graded("table", GOLD, ROWS[:2]).evidence == (
        "submitted 2 rows × 4 columns, expected 3 rows × 4 columns"
    )
    renamed = graded("table", GOLD, GOLD.rename(columns={"n": "N0"}), {"columns": "by_name"})
    assert "'N0'" in renamed.evidence


def brute_force(gold, submitted, abs_tol):
    """Try all ways to pair the rows."""
    return any(
        all(
            abs(x - g) <= abs_tol
            for row, expected in zip(order, gold, strict=True)
            for x, g in zip(row, expected, strict=True)
        )
        for order in itertools.permutations(submitted)
    )


cell = st.integers(0, 4).map(lambda i: i / 2)
rows = st.lists(st.tuples(cell, cell), min_size=1, max_size=5)


@given(rows, rows, st.sampled_from([0.0, 0.6, 1.2]))
def test_matching_within_tolerance_agrees_with_brute_force(gold, submitted, abs_tol):
    assume(len(gold) == len(submitted))
    expected = brute_force(gold, submitted, abs_tol)
    assert graded("table", gold, submitted, {"abs_tol": abs_tol}).passed is expected


def test_rows_that_sort_apart_within_tolerance_still_match():
    gold = [[1.0, 5.0], [1.0, 6.0]]
    submitted = [[1.01, 5.0], [0.99, 6.0]]  # sorts the other way round
    assert graded("table", gold, submitted, {"abs_tol": 0.05}).passed


value = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(-5, 5),
    st.sampled_from(["a", "b", "2024-01-01", ""]),
    st.dates(dt.date(2000, 1, 1), dt.date(2001, 1, 1)),
)
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(value, min_size=width, max_size=width), min_size=1, max_size=6)
)


@given(tables, st.randoms(use_true_random=False), st.sampled_from(["by_position", "any"]))
def test_the_gold_passes_in_any_order(gold, shuffle: random.Random, columns):
    submitted = list(gold)
    shuffle.shuffle(submitted)
    if columns == "any":
        places = list(range(len(gold[0])))
        shuffle.shuffle(places)
        submitted = [[row[p] for p in places] for row in submitted]
    assert graded("table", gold, submitted, {"columns": columns}).passed


@given(tables, st.data(), st.sampled_from(["by_position", "any"]))
def test_one_changed_cell_fails(gold, data, columns):
    row = data.draw(st.integers(0, len(gold) - 1))
    column = data.draw(st.integers(0, len(gold[0]) - 1))
    changed = [list(each) for each in gold]
    changed[row][column] = 99.5
    assert not graded("table", gold, changed, {"columns": columns, "abs_tol": 0.1}).passed


@pytest.mark.parametrize("columns", ["by_position", "any"])
def test_many_rows_are_graded_soon(columns):
    rng = np.random.default_rng(0)
    n = 30_000
    gold = pd.DataFrame(rng.normal(size=(n, 3)).round(2)).assign(s=rng.choice(list("abc"), n))
    noisy = gold.sample(frac=1, random_state=1)
    noisy[[0, 1, 2]] += rng.uniform(-1e-3, 1e-3, size=(n, 3))
    start = time.perf_counter()
    assert graded("table", gold, noisy, {"columns": columns, "abs_tol": 1e-3}).passed
    noisy.iloc[77, 1] += 1
    assert not graded("table", gold, noisy, {"columns": columns, "abs_tol": 1e-3}).passed
    assert time.perf_counter() - start < 60  # quadratic work would take hours


def test_columns_that_all_look_alike_do_not_stall_the_search():
    rng = np.random.default_rng(0)
    gold = np.array([rng.permutation(300) for _ in range(12)]).T
    other = np.array([rng.permutation(300) for _ in range(12)]).T
    places = rng.permutation(12)
    assert graded("table", gold, rng.permutation(gold)[:, places], {"columns": "any"}).passed
    assert not graded("table", gold, other, {"columns": "any"}).passed
    same = np.tile(np.arange(50)[:, np.newaxis], (1, 12))
    assert graded("table", same, same[::-1], {"columns": "any"}).passed
