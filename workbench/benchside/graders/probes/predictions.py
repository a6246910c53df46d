"""Probes of predictions: perfect scores pass; constant, reversed and incomplete ones fail."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from benchside.graders.metrics import Floats
from benchside.graders.prediction import PredictionGrader, read_labels
from benchside.graders.probes.case import Case, Cases, equivalents, mistakes
from benchside_kernels.submission import Series, Value


def _perfect(grader: PredictionGrader, gold: Value) -> pd.Series[float]:
    assert isinstance(gold, Series)  # check_gold
    labels = read_labels(gold, pairs=grader.metric == "c_index")
    scores = labels[:, 0] if grader.metric != "c_index" else _order(grader, labels)
    return pd.Series(scores, index=list(gold.index))


def _order(grader: PredictionGrader, labels: Floats) -> Floats:
    """Rank by time; at the same time an event comes before a censored patient."""
    keys = np.stack([labels[:, 0], -labels[:, 1]], axis=1)  # (rows, 2)
    _, rank = np.unique(keys, axis=0, return_inverse=True)
    return rank.ravel().astype(np.float64) * (1.0 if grader.higher_is == "survival" else -1.0)


@equivalents.register
def _(grader: PredictionGrader, gold: Value) -> Cases:
    perfect = _perfect(grader, gold)
    table = pd.DataFrame({"row": perfect.index, "score": perfect.to_numpy()})
    return [
        Case("Series", perfect),
        Case("shuffled Series", perfect.sample(frac=1, random_state=0)),
        Case("dict", perfect.to_dict()),
        Case("list in the gold's order", perfect.tolist()),
        Case("numpy array", perfect.to_numpy()),
        Case("table with row ids", table),
        Case("table with row ids as index", table.set_index("row")),
    ]


@mistakes.register
def _(grader: PredictionGrader, gold: Value) -> Cases:
    perfect = _perfect(grader, gold)
    constant = pd.Series(perfect.mean(), index=perfect.index)
    with_nan = perfect.copy()
    with_nan.iloc[0] = math.nan
    same = "" if perfect.any() else "all labels are 0"
    return [
        Case("constant prediction", constant),
        Case("sign flip", -perfect, same),
        Case("a row missing", perfect.iloc[1:]),
        Case("a row more", pd.concat([perfect, pd.Series([0.5], index=["no such row"])])),
        Case("a row twice", pd.concat([perfect, perfect.iloc[:1]])),
        Case("other row ids", perfect.rename(lambda label: f"row {label}")),
        Case("a score is nan", with_nan),
        Case("a score is infinite", with_nan.fillna(math.inf)),
        Case("a score too many", [*perfect.tolist(), 0.5]),
        Case("scores as text", perfect.astype(str).tolist()),
    ]
