"""Grader `prediction`: one score per row of a held-out set, judged by a metric and a threshold."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from benchside.graders import metrics
from benchside.graders.grader import Grader, UnreadableError, Verdict, register
from benchside.graders.metrics import Floats
from benchside.graders.show import show
from benchside_kernels.submission import Series, Table, Value

MAX_C_INDEX_ROWS = 20_000  # the concordance index takes time with the square of this


def row_key(label: Value) -> str:
    """Return a row id as text, so that 7, 7.0 and the dict key "7" name the same row."""
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    return label.strip() if isinstance(label, str) else show(label)


@register
class PredictionGrader(Grader):
    """Passes when the metric reaches the threshold (`rmse`, `mae`: stays at or below it).

    The gold is a Series of labels by row id: 0 or 1 for `auroc` and `auprc`, numbers for `rmse`,
    `mae` and `r2`, [time, event] pairs for `c_index`. The submission is a Series, dict or
    two-column table by row id, or a list in the gold's order.

    Args:
        threshold: of the metric, in the labels' unit for `rmse` and `mae`.
        higher_is: for `c_index`: whether a higher score means more `risk` or longer `survival`.
    """

    name: ClassVar[str] = "prediction"
    metric: Literal["auroc", "auprc", "rmse", "mae", "r2", "c_index"]
    threshold: float = Field(allow_inf_nan=False)
    higher_is: Literal["risk", "survival"] = "risk"

    def check_gold(self, gold: Value) -> None:
        """Row ids are distinct and the labels are such that the metric is defined."""
        if not isinstance(gold, Series) or not gold.index:
            raise UnreadableError(f"the gold {show(gold)} is not a Series of labels by row id")
        if len({row_key(label) for label in gold.index}) < len(gold.index):
            raise UnreadableError("the gold names a row twice")
        labels = read_labels(gold, pairs=self.metric == "c_index")
        if self.metric in ("auroc", "auprc") and set(labels[:, 0]) != {0.0, 1.0}:
            raise UnreadableError(f"labels for {self.metric} are 0 and 1, both present")
        if self.metric == "r2" and np.ptp(labels[:, 0]) == 0:
            raise UnreadableError("r2 is not defined where all labels are equal")
        if self.metric == "c_index":
            _check_survival(labels)

    def judge(self, submitted: Value, gold: Value) -> Verdict:
        """Align by row id, then compute the metric."""
        assert isinstance(gold, Series)  # check_gold
        try:
            scores = _aligned(submitted, gold)
        except UnreadableError as problem:
            return Verdict(False, str(problem))
        value = self._measure(read_labels(gold, pairs=self.metric == "c_index"), scores)
        is_error = self.metric in ("rmse", "mae")
        passed = value <= self.threshold if is_error else value >= self.threshold
        wanted = "at most" if is_error else "at least"
        text = f"{self.metric} {value:.4g} over {len(scores)} rows, expected {wanted}"
        clipped = min(max(value, 0.0), 1.0)
        return Verdict(passed, f"{text} {self.threshold:.4g}", {self.metric: clipped})

    def _measure(self, labels: Floats, scores: Floats) -> float:
        """Return the metric; inf where scores are too large for their squares."""
        first = labels[:, 0]
        with np.errstate(over="ignore"):
            if self.metric == "auroc":
                return metrics.auroc(first, scores)
            if self.metric == "auprc":
                return metrics.auprc(first, scores)
            if self.metric == "mae":
                return metrics.mae(first, scores)
            if self.metric == "rmse":
                return metrics.rmse(first, scores)
            if self.metric == "r2":
                return metrics.r2(first, scores)
        risk = scores if self.higher_is == "risk" else -scores
        value = metrics.c_index(first, labels[:, 1], risk)
        assert value is not None  # check_gold
        return value


def _check_survival(labels: Floats) -> None:
    if not set(labels[:, 1]) <= {0.0, 1.0}:
        raise UnreadableError("the event of a [time, event] pair is 0 or 1")
    if len(labels) > MAX_C_INDEX_ROWS:
        raise UnreadableError(f"c_index takes up to {MAX_C_INDEX_ROWS} rows, not {len(labels)}")
    if metrics.c_index(labels[:, 0], labels[:, 1], labels[:, 0]) is None:
        raise UnreadableError("c_index is not defined: no pair of rows is comparable")


def read_labels(gold: Series, *, pairs: bool) -> Floats:
    """Return (rows, 1) labels or (rows, 2) pairs of time and event.

    Raises:
        UnreadableError: a label is of another form or not finite.
    """
    rows: list[list[Value]] = [v if isinstance(v, list) else [v] for v in gold.values]
    width = 2 if pairs else 1
    for row in rows:
        if len(row) != width or not all(_is_finite(item) for item in row):
            form = "a pair [time, event]" if pairs else "a finite number"
            raise UnreadableError(f"the label {show(row)} is not {form}")
    return np.array(rows, np.float64)


def _is_finite(value: Value) -> bool:
    # labels may be bool (an event happened or not)
    return isinstance(value, (int, float)) and abs(value) < 1e300 and math.isfinite(value)


def _aligned(submitted: Value, gold: Series) -> Floats:
    """Return (rows,) scores in the gold's order.

    Raises:
        UnreadableError: ids missing, unknown or doubled, or a score that is no finite number.
    """
    match submitted:
        case list():
            if len(submitted) != len(gold.index):
                count = len(submitted)
                raise UnreadableError(f"submitted {count} scores for {len(gold.index)} rows")
            pairs = list(zip(gold.index, submitted, strict=True))
        case Series():
            pairs = list(zip(submitted.index, submitted.values, strict=True))
        case dict():
            pairs = list(submitted.items())
        case Table() if len(submitted.columns) == 2:
            pairs = [(row[0], row[1]) for row in submitted.rows]
        case _:
            raise UnreadableError(f"{show(submitted)} holds no scores by row id")
    scores = {row_key(label): value for label, value in pairs}
    wanted = [row_key(label) for label in gold.index]
    if len(scores) < len(pairs):
        raise UnreadableError(f"{len(pairs) - len(scores)} row ids are submitted twice")
    missing, extra = set(wanted) - set(scores), set(scores) - set(wanted)
    if missing or extra:
        named = show(sorted(missing)[0]) if missing else show(sorted(extra)[0])
        counts = f"{len(missing)} row ids are missing and {len(extra)} unknown"
        raise UnreadableError(f"{counts}, such as {named}")
    return np.array([_score(scores[key], key) for key in wanted])


def _score(value: Value, row: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not _is_finite(value):
        raise UnreadableError(f"the score of row {show(row)} is {show(value)}, not a finite number")
    return float(value)
