"""Summary tables: baseline characteristics and survival by level."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from lifelines import KaplanMeierFitter

from benchside.suites.cohorts.cohort import Cohort, Measure
from benchside.suites.cohorts.estimators import kaplan_meier
from benchside.suites.cohorts.question import Question, table

BASELINE = {
    "lung": (("sex", "age"), ("ph.ecog", "meal.cal")),
    "gbsg2": (("tgrade", "tsize"), ("horTh", "pnodes")),
    "actg175": (("arms", "cd40"), ("arms", "cd496"), ("symptom", "wtkg")),
    "larynx": (("stage", "age"),),
    "breast_cancer": (("diagnosis", "mean_texture"),),
    "leukemia": (("arm", "log_wbc"),),
    "diabetes": (("sex", "bmi"),),
}
BY_LEVEL = ("gbsg2", "larynx", "actg175")


def questions(cohorts: Mapping[str, Cohort]) -> Iterator[Question]:
    """All questions of this topic."""
    for name, pairs in BASELINE.items():
        for by, column in pairs:
            yield baseline(cohorts[name], by, cohorts[name].measure(column))
    for name in BY_LEVEL:
        for position in (1, 3):
            yield life_table(cohorts[name], cohorts[name].timed.horizons[position])


def baseline(cohort: Cohort, by: str, measure: Measure) -> Question:
    """The rows of a baseline table."""
    column = measure.column
    levels = sorted(cohort.frame[by].dropna().unique().tolist())
    rows: list[list[str | float]] = []
    population: list[list[str | float]] = []
    for level in levels:
        values = cohort.known(column, (cohort.frame[by] == level).to_numpy(dtype=np.bool_))
        if len(values) < 2:
            continue
        middle = np.sort(values)[[(len(values) - 1) // 2, len(values) // 2]].mean()
        deviation = np.sqrt(((values - values.mean()) ** 2).sum() / (len(values) - 1))
        head: list[str | float] = [plain_level(level), len(values), float(values.mean())]
        rows.append([*head, float(deviation), float(middle)])
        population.append([*head, float(values.std()), float(middle)])
    frame = cohort.frame.dropna(subset=[column]).groupby(by)[column]
    summary = frame.agg(["count", "mean", "std", "median"]).query("count > 1").reset_index()
    check = [[plain_level(row[0]), *map(float, row[1:])] for row in summary.to_numpy().tolist()]
    return table(
        cohort,
        "tables/baseline",
        f"{by}-{column}",
        f"Tabulate {measure.phrase} by `{by}`: one row per value of `{by}` with at least two "
        "recorded values, with the number of recorded values, their mean, sample standard "
        "deviation (n - 1) and median.",
        (by, "n", "mean", "sd", "median"),
        rows,
        f"""
        recorded = {cohort.name}.dropna(subset=["{column}", "{by}"])
        summary = recorded.groupby("{by}")["{column}"].agg(["count", "mean", "std", "median"])
        summary
        # %%
        summary = summary[summary["count"] > 1].reset_index()
        summary.columns = ["{by}", "n", "mean", "sd", "median"]
        # %%
        submit(summary)
        """,
        check=check,
        slips={"population sd": population, "one row short": rows[1:]},
    )


def plain_level(level: object) -> str | float:
    """A level as text or number."""
    return float(level) if isinstance(level, (int, float)) else str(level)


def life_table(cohort: Cohort, time: float) -> Question:
    """Numbers, events and survival per level."""
    factor, follow = cohort.factors[0], cohort.timed
    rows: list[list[str | float]] = []
    check: list[list[str | float]] = []
    naive: list[list[str | float]] = []
    for level in factor.levels:
        kept = cohort.where(factor.column, level)
        times, events = cohort.values(follow.time)[kept], cohort.values(follow.event)[kept]
        early = int(((times <= time) & (events == 1)).sum())
        head: list[str | float] = [plain_level(level.value), int(kept.sum()), early]
        rows.append([*head, kaplan_meier(times, events).at(time)])
        naive.append([*head, 1 - early / len(times)])
        check.append([*head, float(KaplanMeierFitter().fit(times, events).predict(time))])
    return table(
        cohort,
        "tables/life-table",
        f"{factor.column}-{time:g}",
        f"For each level of {factor.phrase} tabulate the number of patients, the number with "
        f"{follow.words} up to and including {time:g} {follow.unit}, and the Kaplan-Meier "
        f"probability of remaining free of it at that time ({follow.phrase}).",
        (factor.column, "n", "events", "survival"),
        rows,
        f"""
        from lifelines import KaplanMeierFitter
        rows = []
        for level, group in {cohort.name}.groupby("{factor.column}"):
            km = KaplanMeierFitter().fit(group["{follow.time}"], group["{follow.event}"])
            early = (group["{follow.time}"] <= {time:g}) & (group["{follow.event}"] == 1)
            rows.append([level, len(group), early.sum(), km.predict({time:g})])
        # %%
        result = pd.DataFrame(rows, columns=["{factor.column}", "n", "events", "survival"])
        result
        # %%
        submit(result)
        """,
        check=check,
        slips={"censoring ignored": naive, "one row short": rows[1:]},
    )
