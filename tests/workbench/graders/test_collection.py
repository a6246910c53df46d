import datetime as dt
import math
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workbench.graders.tasks import graded

NUMBERS = {"item": "number", "item_params": {"abs_tol": 0.1}}
TEXTS = {"item": "text"}


@pytest.mark.parametrize(
    ("gold", "params", "right", "wrong"),
    [
        (["TP53", "KRAS"], TEXTS,
         [{"kras", "tp53"}, ["KRAS", "TP53"], ["tp53", "TP53", "KRAS"], np.array(["KRAS", "TP53"]),
          pd.Series(["KRAS", "TP53"]), pd.DataFrame({"gene": ["KRAS", "TP53"]})],
         ["TP53, KRAS", ["TP53"], ["TP53", "KRAS", "EGFR"], [["TP53", "KRAS"]], [], "", {}, None,
          {"TP53": 1, "KRAS": 2}, ["TP53 KRAS"], ["TP53", "KRAS", None], list(range(100))]),
        ([1.0, 2.0, -3.0], NUMBERS,
         [[-3.05, 2, 1.1], {1, 2, -3}, ["1", "2.0", "−3"], [1, 1.05, 2, -3]],
         [[1, 2, 3], [1, 2], [1, 2, -3, 9], [1, 2, math.nan], [True, 2, -3], list(range(-50, 50))]),
        ([1, 2], {"item": "integer"}, [[2, 1], (2.0, "1")], [[2, True], [1, 2.5], [12]]),
        ([dt.date(2024, 1, 2)], {"item": "date"}, [["2024-01-02"], {dt.datetime(2024, 1, 2)}],
         ["2024-01-02", dt.date(2024, 1, 2), ["2024-02-01"]]),
        ([], TEXTS, [[], set()], ["", {}, None, ["a"]]),
    ],
)  # fmt: skip
def test_set(gold, params, right, wrong):
    assert [x for x in right if not graded("set", gold, x, params).passed] == []
    assert [x for x in wrong if graded("set", gold, x, params).passed] == []


def test_set_evidence_names_missing_and_extra_members():
    grade = graded("set", ["a", "b", "c"], ["a", "b", "x"], TEXTS)
    assert grade.evidence.startswith("missing ['c'], not expected ['x']")
    assert grade.parts == {"overlap": 0.5}  # 2 shared of 4 in all


@pytest.mark.parametrize(
    ("gold", "params", "right", "wrong"),
    [
        ([0.7, 0.9], NUMBERS, [[0.7, 0.9], (0.75, 0.85), ["0.7", "0.9"], pd.Series([0.7, 0.9])],
         [[0.9, 0.7], [0.7], [0.7, 0.9, 0.9], {0.7, 0.9}, [-0.7, -0.9], "0.7, 0.9", [],
          [[0.7, 0.9]], {"0.7": 0.9}, [0.7, math.nan], 0.7]),
        (["a", "b", "a"], TEXTS, [["A", "b ", "a"]], [["a", "b"], ["b", "a", "a"], "aba"]),
    ],
)  # fmt: skip
def test_list(gold, params, right, wrong):
    assert [x for x in right if not graded("list", gold, x, params).passed] == []
    assert [x for x in wrong if graded("list", gold, x, params).passed] == []


def test_list_evidence_names_the_item():
    grade = graded("list", [1.0, 2.0], [1.0, 3.0], NUMBERS)
    assert grade.evidence.startswith("item 2: submitted 3, expected 2 within 0.1")


def test_items_take_the_unit_of_the_task():
    assert graded("list", [1.0], ["1 mg"], {"item": "number"}, unit="mg").passed
    assert not graded("list", [1.0], ["1 g"], {"item": "number"}, unit="mg").passed


@given(
    st.lists(st.floats(-100, 100), min_size=1, max_size=8),
    st.lists(st.floats(-100, 100), min_size=1, max_size=8),
    st.floats(0, 5),
)
def test_number_sets_agree_with_comparing_all_pairs(gold, submitted, abs_tol):
    limit = abs_tol + 1e-12
    near = [[abs(x - g) <= limit for g in gold] for x in submitted]
    borderline = any(abs(abs(x - g) - abs_tol) < 1e-9 for x in submitted for g in gold)
    expected = all(map(any, near)) and all(map(any, zip(*near, strict=True)))
    params = {"item": "number", "item_params": {"abs_tol": abs_tol}}
    if not borderline:
        assert graded("set", gold, submitted, params).passed is expected


def test_a_huge_set_is_graded_soon():
    start = time.perf_counter()
    assert graded("set", list(range(100_000)), list(range(100_000)), NUMBERS).passed
    assert not graded("set", [1, 2], list(range(100_000)), NUMBERS).passed
    assert time.perf_counter() - start < 20  # quadratic work would take hours
