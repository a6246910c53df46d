import math

import pandas as pd
import pytest

from tests.workbench.graders.tasks import graded

PARTS = {
    "hazard_ratio": {"grader": "number", "params": {"abs_tol": 0.01}},
    "lower": {"grader": "number", "params": {"abs_tol": 0.01}},
    "upper": {"grader": "number", "params": {"abs_tol": 0.01}},
    "gene": {"grader": "text"},
    "died": {"grader": "date"},
}
GOLD = {"hazard_ratio": 0.8, "lower": 0.7, "upper": 0.9, "gene": "TP53", "died": None}


@pytest.mark.parametrize(
    ("submitted", "passed"),
    [
        (GOLD, True),
        ({**GOLD, "hazard_ratio": "0.805", "gene": "tp53"}, True),
        ({name.upper(): value for name, value in GOLD.items()}, True),
        (pd.Series(GOLD, dtype=object), True),
        ({**GOLD, "lower": 0.9, "upper": 0.7}, False),
        ({**GOLD, "hazard_ratio": -0.8}, False),
        ({**GOLD, "hazard_ratio": math.nan}, False),
        ({**GOLD, "hazard_ratio": None}, False),
        ({**GOLD, "died": "2024-01-01"}, False),
        ({**GOLD, "note": "dump"}, False),
        ({name: value for name, value in GOLD.items() if name != "gene"}, False),
        (list(GOLD.values()), False),
        ([GOLD], False),
        ({}, False),
        ("", False),
        (str(GOLD), False),
    ],
)
def test_record(submitted, passed):
    assert graded("record", GOLD, submitted, {"parts": PARTS}).passed is passed


def test_record_of_one_row():
    gold = {"n": 3, "gene": "TP53"}
    parts = {"parts": {"n": {"grader": "integer"}, "gene": {"grader": "text"}}}
    assert graded("record", gold, pd.DataFrame([gold]), parts).passed
    assert not graded("record", gold, pd.DataFrame([gold, gold]), parts).passed


def test_record_keeps_partial_scores_but_pays_for_the_whole_only():
    grade = graded("record", GOLD, {**GOLD, "gene": "KRAS"}, {"parts": PARTS})
    assert (grade.reward, grade.passed) == (0.0, False)
    assert grade.parts == {"hazard_ratio": 1, "lower": 1, "upper": 1, "gene": 0, "died": 1}
    assert "gene: submitted 'kras', expected 'tp53'" in grade.evidence


def test_secret_limits_reach_a_part():
    secret = {"parts": {"hazard_ratio": {"params": {"lower": 0.5, "upper": 2}}}}
    submitted = {**GOLD, "hazard_ratio": 1.9}
    assert graded("record", GOLD, submitted, {"parts": PARTS}, secret=secret).passed
    assert not graded("record", GOLD, submitted, {"parts": PARTS}).passed


def test_any_of():
    params = {"alternatives": [{"grader": "number", "params": {"abs_tol": 1}}, {"grader": "text"}]}
    for submitted, passed in [(5.5, True), ("many", True), (7, False), ([5, "many"], False)]:
        grade = graded("any_of", [5, "many"], submitted, params)
        assert grade.passed is passed
    assert grade.evidence.count("; or ") == 1
