"""A measure as a test for an outcome: accuracy at a cut-off and over all cut-offs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

from benchside.suites.cohorts.cohort import Cohort, Contrast, Floats, Mask, Measure
from benchside.suites.cohorts.estimators import rank_auc
from benchside.suites.cohorts.question import Question, number, record

TESTS = {
    "breast_cancer": (
        "mean_texture", "mean_smoothness", "worst_area", "mean_symmetry", "mean_compactness",
    ),
    "gbsg2": ("pnodes", "tsize"),
    "kidney_transplant": ("age",),
    "lung": ("age", "wt.loss"),
    "actg175": ("age", "preanti"),
}  # fmt: skip


def questions(cohorts: Mapping[str, Cohort]) -> Iterator[Question]:
    """All questions of this topic."""
    for name, columns in TESTS.items():
        for column in columns:
            cohort = cohorts[name]
            measure, outcome = cohort.measure(column), cohort.outcomes[0]
            yield from (accuracy(cohort, measure, outcome), roc(cohort, measure, outcome))
            yield best_cut(cohort, measure, outcome)


def scored(cohort: Cohort, measure: Measure, outcome: Contrast) -> tuple[Floats, Mask]:
    """The recorded values, and True where the outcome is present."""
    values = cohort.values(measure.column)
    kept = ~np.isnan(values)
    return values[kept], cohort.where(outcome.column, outcome.first)[kept]


def scored_cell(cohort: Cohort, measure: Measure, outcome: Contrast) -> str:
    """Source lines that make `score` and `event`."""
    return f"""rows = {cohort.name}.dropna(subset=["{measure.column}"])
        score = rows["{measure.column}"]
        event = rows["{outcome.column}"] == {outcome.first.value!r}
        score.groupby(event).describe()"""


def accuracy(cohort: Cohort, measure: Measure, outcome: Contrast) -> Question:
    """Sensitivity, specificity and positive predictive value at a stated cut-off."""
    values, event = scored(cohort, measure, outcome)
    cut = float(f"{np.quantile(values, 0.6):.3g}")
    positive = values >= cut
    tp, fp = int((positive & event).sum()), int((positive & ~event).sum())
    fn, tn = int((~positive & event).sum()), int((~positive & ~event).sum())
    gold = {"sensitivity": tp / (tp + fn), "specificity": tn / (fp + tn), "ppv": tp / (tp + fp)}
    check = {
        "sensitivity": float(np.mean(values[event] >= cut)),
        "specificity": float(np.mean(values[~event] < cut)),
        "ppv": float(np.mean(event[positive])),
    }
    swapped = {**gold, "sensitivity": gold["specificity"], "specificity": gold["sensitivity"]}
    return record(
        cohort,
        "diagnostic/accuracy",
        f"cut-{measure.column}",
        f"Take {measure.phrase} of at least {cut:g} as a positive test for being among the "
        f"{outcome.label(outcome.first)} (rows with a missing value left out"
        f"{cohort.ignoring(outcome.column)}). "
        "What are its sensitivity, specificity and positive predictive value, as fractions?",
        gold,
        f"""
        {scored_cell(cohort, measure, outcome)}
        # %%
        positive = score >= {cut:g}
        pd.crosstab(positive, event)
        # %%
        submit({{
            "sensitivity": positive[event].mean(),
            "specificity": (~positive[~event]).mean(),
            "ppv": event[positive].mean(),
        }})
        """,
        check=check,
        slips={
            "swapped": swapped,
            "npv": {**gold, "ppv": tn / (tn + fn)},
            "percent": {key: 100 * value for key, value in gold.items()},
        },
    )


def roc(cohort: Cohort, measure: Measure, outcome: Contrast) -> Question:
    """The area under the ROC curve with the Hanley-McNeil standard error."""
    values, event = scored(cohort, measure, outcome)
    auc, n, m = rank_auc(values, event), int(event.sum()), int((~event).sum())
    return record(
        cohort,
        "diagnostic/roc",
        f"auc-{measure.column}",
        f"How well does {measure.phrase} separate the {outcome.label(outcome.first)} from all "
        "others, higher values pointing to the former (missing values left out"
        f"{cohort.ignoring(outcome.column)})? Report the area A under the ROC curve (ties count "
        "one half) and its standard error after Hanley and McNeil: sqrt((A (1 - A) + "
        "(n1 - 1)(A/(2 - A) - A^2) + (n2 - 1)"
        "(2 A^2/(1 + A) - A^2)) / (n1 n2)), n1 being the number with the outcome.",
        {"auc": auc, "se": hanley_mcneil(auc, n, m)},
        f"""
        {scored_cell(cohort, measure, outcome)}
        # %%
        from sklearn.metrics import roc_auc_score
        a = roc_auc_score(event, score)
        n1, n2 = event.sum(), (~event).sum()
        # %%
        q1, q2 = a / (2 - a), 2 * a**2 / (1 + a)
        variance = (a * (1 - a) + (n1 - 1) * (q1 - a**2) + (n2 - 1) * (q2 - a**2)) / (n1 * n2)
        submit({{"auc": a, "se": np.sqrt(variance)}})
        """,
        check={"auc": float(roc_auc_score(event, values)), "se": hanley_mcneil(auc, n, m)},
        slips={
            "reversed": {"auc": 1 - auc, "se": hanley_mcneil(1 - auc, n, m)},
            "n swapped": {"auc": auc, "se": hanley_mcneil(auc, m, n)},
        },
    )


def hanley_mcneil(auc: float, n: int, m: int) -> float:
    """Standard error of an area under the ROC curve (Radiology 1982;143:29-36)."""
    first = (n - 1) * (auc / (2 - auc) - auc**2)
    second = (m - 1) * (2 * auc**2 / (1 + auc) - auc**2)
    return float(np.sqrt((auc * (1 - auc) + first + second) / (n * m)))


def best_cut(cohort: Cohort, measure: Measure, outcome: Contrast) -> Question:
    """Youden's largest index, which two cut-offs may share but whose value is unique."""
    values, event = scored(cohort, measure, outcome)
    cuts = np.unique(values)
    gains = [np.mean(values[event] >= cut) - np.mean(values[~event] >= cut) for cut in cuts]
    gold = float(max(gains))
    fpr, tpr, _ = roc_curve(event, values)
    return number(
        cohort,
        "diagnostic/roc",
        f"youden-{measure.column}",
        f"Over all cut-offs of {measure.phrase} (positive: at or above the cut-off; missing values "
        f"left out{cohort.ignoring(outcome.column)}), what is the largest Youden index, "
        f"sensitivity + specificity - 1, for {outcome.label(outcome.first)} against all others?",
        gold,
        f"""
        {scored_cell(cohort, measure, outcome)}
        # %%
        from sklearn.metrics import roc_curve
        false_positive_rate, sensitivity, cut_offs = roc_curve(event, score)
        youden = sensitivity - false_positive_rate
        submit(youden.max())
        """,
        check=float((tpr - fpr).max()),
        slips={
            "accuracy": float(max(np.mean((values >= cut) == event) for cut in cuts)),
            "sum": gold + 1,
            "distance": float(np.min(np.hypot(fpr, 1 - tpr))),
        },
    )
