import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines.utils import concordance_index
from sklearn.metrics import (
    average_precision_score,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

from benchside.graders import metrics
from tests.workbench.graders.tasks import graded

AUROC = {"metric": "auroc", "threshold": 0.9}
GOLD = pd.Series([0, 1, 1, 0], index=["p1", "p2", "p3", "p4"])
SCORES = pd.Series([0.1, 0.8, 0.7, 0.2], index=["p1", "p2", "p3", "p4"])


@pytest.mark.parametrize(
    ("submitted", "passed", "reason"),
    [
        (SCORES, True, "auroc 1 over 4 rows, expected at least 0.9"),
        (SCORES[::-1], True, ""),
        (SCORES.to_dict(), True, ""),
        (SCORES.tolist(), True, ""),
        (SCORES.rename_axis("id").rename("score").reset_index(), True, ""),
        (1 - SCORES, False, "auroc 0 over 4 rows"),
        (SCORES * 0, False, "auroc 0.5"),
        (SCORES[:3], False, "1 row ids are missing and 0 unknown, such as 'p4'"),
        (pd.concat([SCORES, pd.Series([1.0], index=["p5"])]), False, "0 row ids are missing and 1"),
        (pd.concat([SCORES, SCORES[:1]]), False, "1 row ids are submitted twice"),
        (SCORES.tolist()[:3], False, "submitted 3 scores for 4 rows"),
        ([0.1, math.nan, 0.7, 0.2], False, "the score of row 'p2' is nan"),
        ([0.1, math.inf, 0.7, 0.2], False, "is inf"),
        ([False, True, True, False], False, "is False"),
        (["0.1", "0.8", "0.7", "0.2"], False, "is '0.1'"),
        (0.9, False, "holds no scores"),
        ([], False, ""),
        ({}, False, ""),
        ("", False, ""),
        (None, False, ""),
    ],
)
def test_prediction(submitted, passed, reason):
    grade = graded("prediction", GOLD, submitted, AUROC)
    assert grade.passed is passed
    assert reason in grade.evidence


def test_row_ids_match_across_number_types():
    gold = pd.Series([0, 1], index=[7, 8])
    for submitted in ({7: 0.1, 8: 0.9}, pd.Series([0.1, 0.9], index=[7.0, 8.0]), {"7": 0, "8": 1}):
        assert graded("prediction", gold, submitted, AUROC).passed


def test_rmse_passes_at_or_below_the_threshold():
    gold = pd.Series([1.0, 2.0, 3.0])
    params = {"metric": "rmse", "threshold": 0.5}
    near = graded("prediction", gold, [1.5, 2.5, 3.5], params)
    assert (near.passed, near.parts) == (True, {"rmse": 0.5})
    assert not graded("prediction", gold, [1.6, 2.6, 3.6], params).passed
    assert graded("prediction", gold, [9, 9, 9], params).parts == {"rmse": 1.0}
    assert not graded("prediction", gold, [1e200, -1e200, 0], params).passed


def test_mae_is_an_error_and_auprc_is_not():
    gold = pd.Series([1.0, 2.0, 3.0])
    params = {"metric": "mae", "threshold": 0.5}
    assert graded("prediction", gold, [1.5, 2.0, 2.0], params).passed
    assert not graded("prediction", gold, [1.5, 2.0, 1.9], params).passed
    params = {"metric": "auprc", "threshold": 0.9}
    assert graded("prediction", GOLD, SCORES, params).passed
    constant = graded("prediction", GOLD, SCORES * 0, params)
    assert (constant.passed, constant.parts) == (False, {"auprc": 0.5})


def test_c_index_takes_risk_unless_told_otherwise():
    gold = pd.Series([[1, 1], [5, 0], [3, 1]], index=list("abc"))
    risk = {"a": 9, "b": 1, "c": 5}
    params = {"metric": "c_index", "threshold": 0.99}
    assert graded("prediction", gold, risk, params).passed
    assert not graded("prediction", gold, risk, {**params, "higher_is": "survival"}).passed


scored = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 5), st.integers(0, 5)), min_size=2, max_size=30
)


@given(scored)
@settings(max_examples=50)
def test_metrics_agree_with_scikit_learn_and_lifelines(rows):
    label, time, score = np.array(rows, dtype=np.float64).T
    if 0 < label.sum() < len(label):
        assert metrics.auroc(label, score) == pytest.approx(roc_auc_score(label, score))
        precision = average_precision_score(label, score)
        assert metrics.auprc(label, score) == pytest.approx(precision)
    assert metrics.mae(time, score) == pytest.approx(mean_absolute_error(time, score))
    assert metrics.rmse(time, score) == pytest.approx(root_mean_squared_error(time, score))
    if np.ptp(time) > 0:
        assert metrics.r2(time, score) == pytest.approx(r2_score(time, score))
    ours = metrics.c_index(time, label, score)
    if ours is not None:
        assert ours == pytest.approx(concordance_index(time, -score, label))
