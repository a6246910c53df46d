"""Held-out prediction: `train` with the outcome, `test` without, graded by a metric.

The threshold lies at a stated share of the way from the constant prediction to a plain model of
this module, so that a constant cannot reach it and an ordinary analysis can.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import JsonValue

from benchside.suites.cohorts.cohort import Cohort, Floats
from benchside.suites.cohorts.estimators import cox, least_squares, logistic, rank_auc
from benchside.suites.cohorts.hazards import harrell
from benchside.suites.cohorts.question import Question, cells, plain
from benchside.task import AnswerSchema, GraderRef

SHARE = 0.85  # of the way from the constant prediction to the plain model
TEST_SHARE = 0.35
Metric = Literal["auroc", "rmse", "r2", "c_index"]


@dataclass(frozen=True, slots=True)
class Challenge:
    """A held-out prediction problem.

    Args:
        name: of the image, without the suite.
        outcome: the column to predict; for survival the event, with `time` beside it.
        positive: the outcome's value that scores stand for (`auroc` only).
        predictors: columns of the plain model, all numeric.
        dropped: columns that would give the outcome away.
        metrics: the metrics that are asked for, one question each.
    """

    name: str
    cohort: str
    outcome: str
    predictors: tuple[str, ...]
    metrics: tuple[Metric, ...]
    time: str = ""
    positive: str | int = ""
    dropped: tuple[str, ...] = ()

    @property
    def hidden(self) -> list[str]:
        """The columns that `test` lacks."""
        return [self.outcome, *([self.time] if self.time else [])]


CHALLENGES = (
    Challenge(
        "breast_cancer_holdout", "breast_cancer", "diagnosis",
        ("mean_radius", "mean_texture", "mean_smoothness"), ("auroc",), positive="malignant",
    ),
    Challenge(
        "nuclear_area_holdout", "breast_cancer", "worst_area",
        ("mean_radius", "mean_texture", "mean_area", "area_error"), ("r2", "rmse"),
        dropped=(
            "worst_radius", "worst_perimeter", "worst_texture", "worst_smoothness",
            "worst_compactness", "worst_concavity", "worst_concave_points", "worst_symmetry",
            "worst_fractal_dimension", "diagnosis",
        ),
    ),
    Challenge(
        "diabetes_holdout", "diabetes", "progression", ("bmi", "bp", "ltg", "hdl"), ("rmse", "r2"),
    ),
    Challenge(
        "glucose_holdout", "diabetes", "glu", ("age", "bmi", "bp", "ltg"), ("rmse", "r2"),
        dropped=("progression",),
    ),
    Challenge(
        "cd4_holdout", "actg175", "cd420", ("cd40", "karnof", "preanti"), ("r2", "rmse"),
        dropped=("cd496", "cd820", "cens", "days"),
    ),
    Challenge(
        "actg175_holdout", "actg175", "cens", ("cd40", "cd420", "karnof"), ("c_index",), "days",
        dropped=("cd496",),
    ),
    Challenge(
        "gbsg2_holdout", "gbsg2", "cens", ("pnodes", "progrec", "tsize"), ("c_index",), "time",
    ),
    Challenge("kidney_holdout", "kidney_transplant", "death", ("age",), ("c_index",), "time"),
    Challenge(
        "menopause_holdout", "gbsg2", "menostat", ("age", "tsize"), ("auroc",), positive="Post",
        dropped=("time", "cens"),
    ),
    Challenge(
        "lung_holdout", "lung", "status", ("ph.ecog", "sex", "age"), ("c_index",), "time",
        dropped=("inst",),
    ),
)  # fmt: skip


class Held(NamedTuple):
    """Both tables of a challenge, indexed by `row_id`, and the labels of the test rows."""

    train: pd.DataFrame
    test: pd.DataFrame
    labels: pd.DataFrame


def held_out(challenge: Challenge, cohort: Cohort, seed: int) -> Held:
    """Shuffle the complete rows, name them anew, and cut off the test rows."""
    needed = [*challenge.hidden, *challenge.predictors]
    rows = cohort.frame.dropna(subset=needed).drop(columns=list(challenge.dropped))
    rng = np.random.default_rng([seed, len(rows), len(challenge.name)])
    shuffled = rows.iloc[rng.permutation(len(rows))].reset_index(drop=True)
    shuffled.index = pd.Index(rng.permutation(len(rows)) + 1, name="row_id")
    if "pidnum" in shuffled:
        shuffled = shuffled.drop(columns="pidnum")
    cut = round(len(rows) * (1 - TEST_SHARE))
    train, test = shuffled.iloc[:cut], shuffled.iloc[cut:]
    return Held(train, test.drop(columns=challenge.hidden), test[challenge.hidden])


def questions(cohorts: Mapping[str, Cohort], seed: int) -> Iterator[Question]:
    """All questions of this topic; `seed` shuffles the rows."""
    for challenge in CHALLENGES:
        held = held_out(challenge, cohorts[challenge.cohort], seed)
        for metric in challenge.metrics:
            yield question(challenge, cohorts[challenge.cohort], held, metric)


def arrays(challenge: Challenge, frame: pd.DataFrame) -> tuple[Floats, Floats]:
    """Labels (n,) and times (n,) as floats; times are empty without follow-up."""
    labels = frame[challenge.outcome]
    if challenge.positive:
        labels = (labels == challenge.positive).astype(float)
    times = frame[challenge.time] if challenge.time else pd.Series(dtype=float)
    return labels.to_numpy(np.float64), times.to_numpy(np.float64)


def plain_scores(challenge: Challenge, held: Held, metric: Metric) -> Floats:
    """The test rows' scores by the plain model on standardised predictors."""
    columns = list(challenge.predictors)
    centre, scale = held.train[columns].mean(), held.train[columns].std()
    x, new = (
        ((frame[columns] - centre) / scale).to_numpy(np.float64)
        for frame in (held.train, held.test)
    )
    labels, times = arrays(challenge, held.train)
    if metric == "c_index":
        return new @ cox(x, times, labels).beta
    design, at = (np.column_stack([np.ones(len(side)), side]) for side in (x, new))
    model = logistic(design, labels) if metric == "auroc" else least_squares(design, labels)
    return at @ model.beta


def measured(challenge: Challenge, held: Held, metric: Metric, scores: Floats) -> float:
    """The metric of scores on the test rows."""
    labels, times = arrays(challenge, held.labels)
    match metric:
        case "auroc":
            return rank_auc(scores, labels == 1)
        case "c_index":
            return harrell(scores, times, labels)
        case "rmse":
            return float(np.sqrt(np.mean((labels - scores) ** 2)))
        case "r2":
            return float(1 - ((labels - scores) ** 2).sum() / ((labels - labels.mean()) ** 2).sum())


def threshold(challenge: Challenge, held: Held, metric: Metric) -> float:
    """Between the constant prediction and the plain model."""
    plain = measured(challenge, held, metric, plain_scores(challenge, held, metric))
    if metric == "rmse":
        labels, _ = arrays(challenge, held.train)
        constant = measured(challenge, held, metric, np.full(len(held.test), labels.mean()))
        return float(f"{constant + SHARE * (plain - constant):.3g}")
    constant = 0.0 if metric == "r2" else 0.5
    return round(constant + SHARE * (plain - constant), 3)


WORDS = {
    "auroc": "an area under the ROC curve of at least",
    "rmse": "a root mean squared error of at most",
    "r2": "an R squared (1 - residual / total sum of squares) of at least",
    "c_index": "a concordance index (Harrell) of at least",
}


def question(challenge: Challenge, cohort: Cohort, held: Held, metric: Metric) -> Question:
    """One metric of one challenge."""
    limit = threshold(challenge, held, metric)
    labels, times = arrays(challenge, held.labels)
    values = np.column_stack([times, labels]) if challenge.time else labels

    def series(scores: Floats) -> JsonValue:
        return plain({"$series": {"index": held.test.index.to_numpy(), "values": scores}})

    return Question(
        cohort=cohort.name,
        image=challenge.name,
        category="prediction/held-out",
        name=f"{challenge.name.replace('_', '-')}-{metric.replace('_', '-')}",
        prompt=(
            f"The DataFrame `train` holds {len(held.train)} and `test` {len(held.test)} of the "
            f"{cohort.people}, both indexed by `row_id`; `test` lacks "
            f"{' and '.join(f'`{c}`' for c in challenge.hidden)}. {wanted(challenge, metric)} "
            f"Submit a Series of scores indexed by the `row_id` of every row of `test`. It passes "
            f"with {WORDS[metric]} {limit:g}."
        ),
        answer=AnswerSchema(
            kind="record", description="a Series (or dict) of scores by row_id, one per test row"
        ),
        grader=GraderRef(name="prediction", params={"metric": metric, "threshold": limit}),
        gold=series(values),
        slips={
            "constant": series(np.full(len(labels), labels.mean())),
            "reversed": series(-plain_scores(challenge, held, metric)),
        },
        solution=cells(solution(challenge, metric)),
    )


def wanted(challenge: Challenge, metric: Metric) -> str:
    """What the scores mean."""
    if metric == "auroc":
        return (
            f"Score each row of `test` by how likely `{challenge.outcome}` is "
            f"{challenge.positive!r}; higher means more likely."
        )
    if metric == "c_index":
        return (
            f"`{challenge.time}` is the follow-up time and `{challenge.outcome}` = 1 marks the "
            "event. Score each row of `test` by its risk; higher means an earlier event."
        )
    return f"Predict `{challenge.outcome}` for each row of `test`."


def solution(challenge: Challenge, metric: Metric) -> str:
    """A library model on the same predictors."""
    columns = list(challenge.predictors)
    if metric == "c_index":
        used = [*columns, challenge.time, challenge.outcome]
        return f"""
        columns = {used!r}
        train[columns].describe()
        # %%
        from lifelines import CoxPHFitter
        cph = CoxPHFitter().fit(train[columns], "{challenge.time}", "{challenge.outcome}")
        cph.summary[["exp(coef)", "p"]]
        # %%
        submit(cph.predict_log_partial_hazard(test))
        """
    if metric == "auroc":
        return f"""
        columns = {columns!r}
        train.groupby("{challenge.outcome}")[columns].mean()
        # %%
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        model = make_pipeline(StandardScaler(), LogisticRegression())
        model.fit(train[columns], train["{challenge.outcome}"] == {challenge.positive!r})
        # %%
        chance = model.predict_proba(test[columns])[:, 1]
        submit(pd.Series(chance, index=test.index))
        """
    return f"""
        columns = {columns!r}
        train[[*columns, "{challenge.outcome}"]].corr()["{challenge.outcome}"]
        # %%
        from sklearn.linear_model import LinearRegression
        model = LinearRegression().fit(train[columns], train["{challenge.outcome}"])
        model.score(train[columns], train["{challenge.outcome}"])
        # %%
        submit(pd.Series(model.predict(test[columns]), index=test.index))
        """
