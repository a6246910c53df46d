"""Tables of cases for the graders of single values, by hand."""

import datetime as dt
import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workbench.graders.tasks import graded

DAY = dt.date(2024, 2, 29)
FEBRUARY = dt.datetime(2024, 2, 29)


@pytest.mark.parametrize(
    ("gold", "params", "right", "wrong"),
    [
        (12.5, {}, [12.5, "12.5", np.float32(12.5), Decimal("12.5"), " +12.50 ", "1.25e1"],
         [12.4, 125, "125", -12.5, "12.5 mg/dL", "12.5%", "12,5", "x12.5", "12.5 or 13", [12.5]]),
        (12.5, {"abs_tol": 0.05}, [12.45, 12.55], [12.4, 12.44, 12.56, math.nan, math.inf]),
        (-12.5, {"rel_tol": 0.01}, [-12.5, -12.4, -12.6, "−12.5"], [12.5, -12.3, -12.7]),
        (100, {"abs_tol": 0.5, "rel_tol": 0.01}, [99, 101], [98.9, 101.1]),
        (1.5, {}, [1.5], [15, "15", "1,5"]),
        (-2, {}, [-2, "-2", "−2"], [2, "2"]),
        (1, {}, [1, "1", 1.0, np.int64(1)], [True, np.bool_(True), "yes", "true"]),
        (0, {}, [0, 0.0, -0.0, "0"], [False, "", [], {}, None, "no"]),
        (1234.5, {}, ["1,234.5", "1234.5"], ["1.234,5", "1,23,4.5", "1_234.5", "12,34.5"]),
        (123, {}, ["123"], ["0,123", "0x7b", "1e400", "123" * 40]),
        (0.123, {}, [".123", "0.123"], ["0,123", ".1.23", "."]),
        (0.001, {}, ["1e-3", "1E−3", "0.001"], ["1e-", "1e-30000"]),
        (0.3, {}, [0.1 + 0.2], [0.3000001]),
        (1e300, {"rel_tol": 0.1}, [1e300], [10**400, -(10**400)]),
    ],
)  # fmt: skip
def test_number(gold, params, right, wrong):
    assert [x for x in right if not graded("number", gold, x, params).passed] == []
    assert [x for x in wrong if graded("number", gold, x, params).passed] == []


@pytest.mark.parametrize(
    ("unit", "right", "wrong"),
    [
        ("mg/dL", [12.5, "12.5", "12.5 mg/dL", "12.5mg/dl", " 12.5  mg/dL "],
         ["12.5 g/L", "12.5 mg", "12.5 mg/dL or so", "12.5%", "mg/dL 12.5", "12.5 mg/dL 13"]),
        ("%", ["12.5%", "12.5 %", 12.5], [0.125, "12.5 mg/dL", "0.125", "12.5%%"]),
        ("µmol/L", ["12.5 µmol/L", "12.5 μmol/L"], ["12.5 mmol/L", "12.5 umol"]),
        ("1/min", [12.5, "12.5", "12.5 1/min", "12.5\t1/MIN"],
         ["12.51/min", "12.5/min", "12.5 /min", "12.5 1", "12.5 1/s", "1/min"]),
        ("10^9/L", ["12.5 10^9/L", "12.5 10^9/l"], ["12.5 10^12/L", "12.510^9/L", "12.5 9"]),
        (None, [12.5], ["12.5 mg/dL", "12.5%", "12.5 1/min", "12.5 12.5"]),
    ],
)  # fmt: skip
def test_units(unit, right, wrong):
    assert [x for x in right if not graded("number", 12.5, x, unit=unit).passed] == []
    assert [x for x in wrong if graded("number", 12.5, x, unit=unit).passed] == []


def test_secret_limits_replace_tolerances_and_are_inclusive():
    secret = {"lower": 4, "upper": 6}
    for value, passed in [(4, True), (6, True), (3.999, False), (6.001, False), (math.nan, False)]:
        assert graded("number", 5, value, {"abs_tol": 9}, secret=secret).passed is passed


def test_number_evidence_names_values_tolerance_and_difference():
    grade = graded("number", 12.5, 12.4, {"abs_tol": 0.05})
    assert grade.evidence == "submitted 12.4, expected 12.5 within 0.05: difference 0.1 > 0.05"
    assert (grade.reward, grade.grader) == (0.0, "number/2")
    negative = graded("number", -12.5, -13, {"rel_tol": 0.01}).evidence
    assert negative == "submitted -13, expected -12.5 within 0.125: difference 0.5 > 0.125"


@given(
    gold=st.floats(-1e12, 1e12),
    abs_tol=st.floats(0, 1e3),
    rel_tol=st.floats(0, 0.5),
    factor=st.floats(1.001, 1e3),
    sign=st.sampled_from([-1, 1]),
)
def test_number_passes_inside_and_never_outside_the_tolerance(gold, abs_tol, rel_tol, factor, sign):
    params = {"abs_tol": abs_tol, "rel_tol": rel_tol}
    allowed = max(abs_tol, rel_tol * abs(gold))
    inside, outside = gold + sign * allowed * 0.999, gold + sign * max(allowed, 1e-9) * factor
    assert graded("number", gold, inside, params).passed
    if abs(outside - gold) > allowed + 1e-12 * abs(gold):
        assert not graded("number", gold, outside, params).passed


@pytest.mark.parametrize(
    ("gold", "right", "wrong"),
    [
        (3, [3, 3.0, "3", "3.0", np.int8(3), "3 days"], [True, 3.5, "three", -3, 30, "3 weeks"]),
        (1, [1, "1"], [True, "yes", 1.0000001]),
        (1234, [1234, "1,234"], ["1.234", 1.234]),
        (2**70, [2**70, str(2**70)], [2**70 + 1, str(2**70 + 1)]),
    ],
)
def test_integer(gold, right, wrong):
    assert [x for x in right if not graded("integer", gold, x, unit="days").passed] == []
    assert [x for x in wrong if graded("integer", gold, x, unit="days").passed] == []


@pytest.mark.parametrize(
    ("gold", "accept", "right", "wrong"),
    [
        ("BRCA1", [], ["brca1", " BRCA1\n", np.str_("Brca1")],
         ["BRCA", "BRCA12", "BRCA1 BRCA2", "not BRCA1", ["BRCA1"], {"gene": "BRCA1"}, "", None, 1]),
        ("lung cancer", ["NSCLC"], ["Lung  Cancer", "nsclc"],
         ["lung", "NSCLC, SCLC", "lungcancer"]),
        ("Ménière", [], ["Me\u0301nie\u0300re"], ["Meniere"]),
        ("1", [], ["1"], [1, True, "1.0"]),
    ],
)  # fmt: skip
def test_text(gold, accept, right, wrong):
    secret = {"accept": accept}
    assert [x for x in right if not graded("text", gold, x, secret=secret).passed] == []
    assert [x for x in wrong if graded("text", gold, x, secret=secret).passed] == []


@pytest.mark.parametrize(
    ("gold", "params", "right", "wrong"),
    [
        (True, {}, [True, np.bool_(True), "yes", "TRUE", " Yes "],
         [1, "1", 1.0, False, "no", "yes and no", "y", [True], None, ""]),
        (False, {}, [False, "no", "False"], [0, "0", True, "", None, [], {}]),
        (True, {"numeric": True}, [True, 1, 1.0, "1", "yes"], [0, 2, "2", math.nan, -1]),
        (False, {"numeric": True}, [0, "0", 0.0], [1, "", None, []]),
    ],
)  # fmt: skip
def test_boolean(gold, params, right, wrong):
    assert [x for x in right if not graded("boolean", gold, x, params).passed] == []
    assert [x for x in wrong if graded("boolean", gold, x, params).passed] == []


@pytest.mark.parametrize(
    ("params", "right", "wrong"),
    [
        ({}, [DAY, FEBRUARY, pd.Timestamp(DAY), np.datetime64(DAY), "2024-02-29", " 2024-02-29 ",
              "2024-02-29T00:00:00", "2024-02-29 00:00:00.000", "2024-02-29T00:00:00Z",
              FEBRUARY.replace(tzinfo=dt.timezone(dt.timedelta(hours=-5)))],
         [dt.date(2024, 3, 1), FEBRUARY.replace(hour=10), "2024-02-29T10:00", "02/29/2024",
          "29.02.2024", "2024-02-30", "20240229", "2024-W09-4", "2024-02", "on 2024-02-29",
          "2024-02-29, 2024-03-01", [DAY], 20240229, 1709164800, pd.NaT, None, ""]),
        ({"formats": ["%m/%d/%Y"]}, ["02/29/2024", "2/29/2024", "2024-02-29"],
         ["29/02/2024", "02/28/2024", "02/29/24", "02/29/2024 10:00"]),
        ({"formats": ["%d.%m.%Y", "%B %d, %Y"]}, ["29.02.2024", "February 29, 2024"],
         ["02.29.2024"]),
    ],
)  # fmt: skip
def test_date(params, right, wrong):
    assert [x for x in right if not graded("date", DAY, x, params).passed] == []
    assert [x for x in wrong if graded("date", DAY, x, params).passed] == []


@pytest.mark.parametrize(
    ("params", "right", "wrong"),
    [
        ({}, [dt.timedelta(23), pd.Timedelta(days=23), np.timedelta64(23, "D"), "3 weeks 2 days",
              "3 weeks and 2 days", "3w 2d", "23 days", "23 Days", "23 days, 0:00:00",
              "23 days 00:00:00", "552 hours", "22 days 24 hours", str(pd.Timedelta(days=23))],
         [dt.timedelta(22), "23", 23, [3, 2], "2 weeks 3 days", "3 weeks 2 days or more",
          "3 weeks", "2 days", "-23 days", "-3 weeks 2 days", "23 months", "20 days 3 days",
          "about 23 days", "", {}, None, math.nan, pd.NaT, dt.timedelta(-23)]),
        ({"units": ["weeks", "days"]}, [[3, 2], (3, 2), np.array([3, 2]), ["3", "2"], [2, 9]],
         [[2, 3], [3], [3, 2, 0], 23, [True, 2], [3, math.nan], []]),
        ({"units": ["days"]}, [23, 23.0, [23], "23 days"], [3, [3, 2], True, "23"]),
        ({"units": ["days"], "abs_tol_s": 3600}, [dt.timedelta(23, 3600), "552.5 hours"],
         [dt.timedelta(23, 3601), dt.timedelta(23, -3601)]),
    ],
)  # fmt: skip
def test_duration(params, right, wrong):
    gold = dt.timedelta(days=23)
    assert [x for x in right if not graded("duration", gold, x, params).passed] == []
    assert [x for x in wrong if graded("duration", gold, x, params).passed] == []


@given(st.text(max_size=200))
def test_text_that_is_not_the_answer_never_passes(text):
    assert not graded("number", 7.25, text).passed
    assert not graded("date", DAY, text).passed
    assert not graded("duration", dt.timedelta(days=23), text).passed
    assert not graded("text", "BRCA1", text).passed


@pytest.mark.parametrize(
    ("name", "gold", "params", "right", "wrong"),
    [
        ("time", dt.time(14, 35, 20), {},
         [dt.time(14, 35), "14:35", "14:35:59.9", "2:35 PM", "02:35 p.m.", " 14:35 ",
          dt.time(14, 35, tzinfo=dt.UTC)],
         ["2:35", "14:36", "14.35", "1435", "24:35", "14:35 pm", "0:35 pm", "14:60", "at 14:35",
          dt.datetime(2024, 2, 29, 14, 35), dt.timedelta(hours=14, minutes=35), 14.583, None]),
        ("time", dt.time(14, 35, 20), {"resolution": "second"}, ["14:35:20", "2:35:20pm"],
         ["14:35", "14:35:21"]),
        ("time", dt.time(0, 5), {}, ["00:05", "0:05", "12:05 am"], ["12:05", "12:05 pm", "24:05"]),
        ("datetime", dt.datetime(2024, 2, 29, 14, 35, 20), {},
         ["2024-02-29 14:35", "2024-02-29T14:35:00Z", pd.Timestamp("2024-02-29 14:35:59")],
         ["2024-02-29", "14:35", "2024-02-29 14:36", "2024-03-01 14:35", DAY, FEBRUARY, None]),
        ("datetime", FEBRUARY, {"resolution": "second"}, [FEBRUARY, "2024-02-29 00:00"],
         [DAY, "2024-02-29", "2024-02-29 00:00:01"]),
    ],
)  # fmt: skip
def test_clocks(name, gold, params, right, wrong):
    assert [x for x in right if not graded(name, gold, x, params).passed] == []
    assert [x for x in wrong if graded(name, gold, x, params).passed] == []
