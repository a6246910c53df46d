"""Comparing hazards: log-rank tests and Cox models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter
from lifelines.statistics import logrank_test, multivariate_logrank_test
from lifelines.utils import concordance_index
from scipy import stats

from benchside.suites.cohorts.cohort import Cohort, Contrast, Factor, Floats
from benchside.suites.cohorts.estimators import Fit, cox, log_rank
from benchside.suites.cohorts.question import FIT, Question, number, record

Z = 1.959963984540054
TESTED = (
    "lung", "gbsg2", "lymph_node", "kidney_transplant", "larynx", "leukemia", "actg175", "lupus",
    "lymphoma",
)  # fmt: skip
GRADED = ("gbsg2", "larynx", "actg175")
ADJUSTED = {
    "lung": (("sex", ("age",)), ("ph.ecog", ("age",))),
    "gbsg2": (("horTh", ("age", "tsize")), ("menostat", ("pnodes",))),
    "kidney_transplant": (("sex", ("age",)), ("race", ("age",))),
    "leukemia": (("arm", ("log_wbc",)), ("sex", ("log_wbc",))),
    "actg175": (("symptom", ("cd40",)), ("drugs", ("age", "cd40"))),
    "lupus": (("white", ("age_at_diagnosis",)),),
    "lymph_node": (("hormone", ("age", "nodes")),),
}
CONTINUOUS = {
    "lung": ("age", "ph.karno"),
    "gbsg2": ("pnodes", "tsize"),
    "kidney_transplant": ("age",),
    "larynx": ("age",),
    "leukemia": ("log_wbc",),
    "heart_transplant": ("age",),
    "actg175": ("cd40", "wtkg"),
}


def questions(cohorts: Mapping[str, Cohort]) -> Iterator[Question]:
    """All questions of this topic."""
    for name in TESTED:
        for position, contrast in enumerate(cohorts[name].contrasts[:2]):
            yield two_groups(cohorts[name], contrast, weighted=position == 1)
    for name in GRADED:
        yield many_groups(cohorts[name], cohorts[name].factors[0])
    for name, models in ADJUSTED.items():
        for column, covariates in models:
            yield adjusted(cohorts[name], cohorts[name].contrast(column), covariates)
    for name, columns in CONTINUOUS.items():
        for column in columns:
            yield per_unit(cohorts[name], column)
            yield concordance(cohorts[name], column)


def two_groups(cohort: Cohort, contrast: Contrast, *, weighted: bool) -> Question:
    """The log-rank or the Gehan-Breslow chi-square of two groups."""
    follow = cohort.timed
    kept = cohort.where(contrast.column, contrast.first)
    kept |= cohort.where(contrast.column, contrast.second)
    first = cohort.where(contrast.column, contrast.first)[kept].astype(np.float64)
    time, event = cohort.values(follow.time)[kept], cohort.values(follow.event)[kept]
    both = {name: log_rank(time, event, first, name) for name in ("", "wilcoxon")}
    gold = both["wilcoxon" if weighted else ""]
    library = logrank_test(
        time[first == 1], time[first == 0], event[first == 1], event[first == 0],
        weightings="wilcoxon" if weighted else None,
    )  # fmt: skip
    test = "Gehan-Breslow (generalised Wilcoxon)" if weighted else "log-rank"
    option = ', weightings="wilcoxon"' if weighted else ""
    column, values = contrast.column, (contrast.first.value, contrast.second.value)
    return number(
        cohort,
        "survival/log-rank",
        f"{'gehan' if weighted else 'log-rank'}-{column}",
        f"Compare the time to {follow.words} of {contrast.label(contrast.first)} with that of "
        f"{contrast.label(contrast.second)} by the {test} test ({follow.phrase}). What is the "
        "chi-square statistic (one degree of freedom, hypergeometric variance)?",
        gold,
        f"""
        first = {cohort.name}[{cohort.name}["{column}"] == {values[0]!r}]
        second = {cohort.name}[{cohort.name}["{column}"] == {values[1]!r}]
        print(len(first), len(second))
        # %%
        from lifelines.statistics import logrank_test
        test = logrank_test(
            first["{follow.time}"], second["{follow.time}"],
            first["{follow.event}"], second["{follow.event}"]{option},
        )
        test.test_statistic
        # %%
        submit(test.test_statistic)
        """,
        check=float(library.test_statistic),
        slips={
            "other weights": both["" if weighted else "wilcoxon"],
            "square root": float(np.sqrt(gold)),
            "censoring ignored": log_rank(
                time, np.ones_like(event), first, "wilcoxon" if weighted else ""
            ),
        },
    )


def many_groups(cohort: Cohort, factor: Factor) -> Question:
    """The log-rank test over all levels of a factor."""
    follow = cohort.timed
    time, event = cohort.values(follow.time), cohort.values(follow.event)
    codes = np.zeros(len(time))
    for position, level in enumerate(factor.levels):
        codes[cohort.where(factor.column, level)] = position
    gold = log_rank(time, event, codes)
    library = multivariate_logrank_test(time, codes, event)
    low_high = np.isin(codes, (0, len(factor.levels) - 1))
    pair = log_rank(time[low_high], event[low_high], codes[low_high])
    p = float(stats.chi2.sf(gold, len(factor.levels) - 1))
    return record(
        cohort,
        "survival/log-rank",
        f"all-levels-{factor.column}",
        f"Compare the time to {follow.words} over all levels of {factor.phrase} by the log-rank "
        f"test ({follow.phrase}). Report the chi-square statistic and its p value.",
        {"chi_square": gold, "p": p},
        f"""
        {cohort.name}.groupby("{factor.column}")["{follow.event}"].agg(["size", "sum"])
        # %%
        from lifelines.statistics import multivariate_logrank_test
        test = multivariate_logrank_test(
            {cohort.name}["{follow.time}"], {cohort.name}["{factor.column}"],
            {cohort.name}["{follow.event}"],
        )
        # %%
        submit({{"chi_square": test.test_statistic, "p": test.p_value}})
        """,
        check={"chi_square": float(library.test_statistic), "p": float(library.p_value)},
        slips={
            "one degree of freedom": {"chi_square": gold, "p": float(stats.chi2.sf(gold, 1))},
            "extremes only": {"chi_square": pair, "p": float(stats.chi2.sf(pair, 1))},
        },
        rel_tol=FIT,
    )


def complete(cohort: Cohort, columns: list[Floats]) -> tuple[Floats, Floats, Floats]:
    """Covariates (n, p), time and event (n,) of the complete rows."""
    follow = cohort.timed
    covariates = np.column_stack(columns)
    kept = ~np.isnan(covariates).any(axis=1)
    return (
        covariates[kept], cohort.values(follow.time)[kept], cohort.values(follow.event)[kept]
    )  # fmt: skip


def by_lifelines(covariates: Floats, time: Floats, event: Floats) -> Fit:
    """The same model by lifelines (Efron's method)."""
    columns = {f"x{index}": column for index, column in enumerate(covariates.T)}
    frame = pd.DataFrame({**columns, "time": time, "event": event})
    fitted = CoxPHFitter().fit(frame, "time", "event", fit_options={"precision": 1e-9})
    return Fit(fitted.params_.to_numpy(), fitted.variance_matrix_.to_numpy())


def adjusted(cohort: Cohort, contrast: Contrast, covariates: tuple[str, ...]) -> Question:
    """A hazard ratio between two groups, adjusted."""
    follow, column = cohort.timed, contrast.column
    group = np.full(len(cohort.frame), np.nan)
    group[cohort.where(column, contrast.first)] = 1
    group[cohort.where(column, contrast.second)] = 0
    x, time, event = complete(cohort, [group, *(cohort.values(c) for c in covariates)])
    model, library = cox(x, time, event), by_lifelines(x, time, event)
    ratio = float(np.exp(model.beta[0]))
    bounds = [float(np.exp(model.beta[0] + sign * Z * model.errors[0])) for sign in (-1, 1)]
    check = [float(np.exp(library.beta[0] + q * library.errors[0])) for q in (0, -Z, Z)]
    crude = float(np.exp(cox(x[:, :1], time, event).beta[0]))
    used = [follow.time, follow.event, column, *covariates]
    pair = [contrast.first.value, contrast.second.value]
    keys = ("hazard_ratio", "lower", "upper")
    return record(
        cohort,
        "survival/cox",
        f"hazard-ratio-{column}-{'-'.join(covariates)}",
        f"In a Cox model of the time to {follow.words} ({follow.phrase}) with the groups "
        f"{contrast.phrase} and linear terms for {' and '.join(f'`{c}`' for c in covariates)}, "
        "what is the hazard ratio of the first group over the second, and its 95% Wald interval? "
        "Ties by Efron's method; leave out rows of other groups or with missing values.",
        dict(zip(keys, (ratio, *bounds), strict=True)),
        f"""
        rows = {cohort.name}[{used!r}].dropna()
        rows = rows[rows["{column}"].isin({pair!r})]
        rows = rows.assign(first=(rows["{column}"] == {pair[0]!r}).astype(int))
        rows = rows.drop(columns="{column}")
        rows.describe()
        # %%
        from lifelines import CoxPHFitter
        cph = CoxPHFitter().fit(rows, "{follow.time}", "{follow.event}")
        cph.summary
        # %%
        row = cph.summary.loc["first"]
        submit({{
            "hazard_ratio": row["exp(coef)"],
            "lower": row["exp(coef) lower 95%"],
            "upper": row["exp(coef) upper 95%"],
        }})
        """,
        check=dict(zip(keys, check, strict=True)),
        slips={
            "reciprocal": dict(zip(keys, (1 / ratio, 1 / bounds[1], 1 / bounds[0]), strict=True)),
            "unadjusted": dict(zip(keys, (crude, *bounds), strict=True)),
            "coefficient": dict(zip(keys, (float(np.log(ratio)), *bounds), strict=True)),
        },
        rel_tol=FIT,
    )


def per_unit(cohort: Cohort, column: str) -> Question:
    """The hazard ratio of a step of one standard deviation."""
    follow, measure = cohort.timed, cohort.measure(column)
    x, time, event = complete(cohort, [cohort.values(column)])
    sd = float(x.std(ddof=1))
    model, library = cox(x, time, event), by_lifelines(x, time, event)
    gold = float(np.exp(sd * model.beta[0]))
    breslow = float(np.exp(sd * cox(x, time, event, "breslow").beta[0]))
    per_one = float(np.exp(model.beta[0]))
    return number(
        cohort,
        "survival/cox",
        f"per-sd-{column}",
        f"In a Cox model of the time to {follow.words} ({follow.phrase}) with {measure.phrase} as "
        "the only covariate, what is the hazard ratio per one sample standard deviation (n - 1, "
        "over the rows of the model)? Ties by Efron's method, rows with missing values left out.",
        gold,
        f"""
        rows = {cohort.name}[{[follow.time, follow.event, column]!r}].dropna()
        sd = rows["{column}"].std(ddof=1)
        sd
        # %%
        from lifelines import CoxPHFitter
        cph = CoxPHFitter().fit(rows, "{follow.time}", "{follow.event}")
        cph.summary
        # %%
        submit(np.exp(cph.params_["{column}"] * sd))
        """,
        check=float(np.exp(sd * library.beta[0])),
        slips={
            "per unit": per_one,
            "reciprocal": 1 / gold,
            **({"Breslow": breslow} if abs(breslow / gold - 1) > 2 * FIT else {}),
        },
        rel_tol=FIT,
    )


def concordance(cohort: Cohort, column: str) -> Question:
    """Harrell's C of one measure as a risk score."""
    follow, measure = cohort.timed, cohort.measure(column)
    x, time, event = complete(cohort, [cohort.values(column)])
    gold = harrell(x[:, 0], time, event)
    return number(
        cohort,
        "survival/concordance",
        f"harrell-{column}",
        f"How well does {measure.phrase} alone rank the patients' risk of {follow.words} "
        f"({follow.phrase})? Report Harrell's concordance index with higher values taken as higher "
        "risk. A pair counts if the one with the shorter time had the event (or both times are "
        "equal and exactly one had the event, who then counts as the shorter); equal values count "
        "one half; rows with missing values are left out.",
        gold,
        f"""
        rows = {cohort.name}[{[follow.time, follow.event, column]!r}].dropna()
        rows.describe()
        # %%
        from lifelines.utils import concordance_index
        c = concordance_index(rows["{follow.time}"], -rows["{column}"], rows["{follow.event}"])
        submit(c)
        """,
        check=float(concordance_index(time, -x[:, 0], event)),
        slips={
            "reversed": 1 - gold,
            "as a binary outcome": float(
                stats.mannwhitneyu(x[event == 1, 0], x[event == 0, 0]).statistic
                / ((event == 1).sum() * (event == 0).sum())
            ),
        },
    )


def harrell(score: Floats, time: Floats, event: Floats) -> float:
    """Harrell's C by comparing each event with everybody who outlived it."""
    concordant = usable = 0.0
    for index in np.flatnonzero(event == 1):
        later = (time > time[index]) | ((time == time[index]) & (event == 0))
        gap = np.sign(score[index] - score[later])
        concordant += float((gap + 1).sum()) / 2
        usable += float(later.sum())
    return concordant / usable
