"""Questions that take several steps: split and test, weight, standardise, vary in time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import statsmodels.api as sm
from lifelines import CoxTimeVaryingFitter
from lifelines.statistics import logrank_test

from benchside.suites.cohorts.cohort import Cohort, Contrast, Floats, Mask, Measure
from benchside.suites.cohorts.estimators import cox, log_rank, logistic
from benchside.suites.cohorts.question import FIT, Question, record

HALVES = {
    "lung": ("age", "ph.karno", "wt.loss"),
    "gbsg2": ("pnodes", "estrec", "tsize"),
    "actg175": ("cd40", "wtkg", "preanti"),
    "kidney_transplant": ("age",),
    "lupus": ("months_onset_to_diagnosis",),
    "heart_transplant": ("age",),
}
STANDARDISED = {
    "actg175": (("str2", ("cd40", "age")), ("symptom", ("cd40", "karnof"))),
    "gbsg2": (("horTh", ("age", "pnodes")), ("menostat", ("pnodes", "tsize"))),
    "lung": (("sex", ("age", "ph.karno")),),
    "kidney_transplant": (("race", ("age",)), ("sex", ("age",))),
}


def questions(cohorts: Mapping[str, Cohort]) -> Iterator[Question]:
    """All questions of this topic."""
    for name, columns in HALVES.items():
        for column in columns:
            yield median_split(cohorts[name], cohorts[name].measure(column))
    for name, models in STANDARDISED.items():
        for column, covariates in models:
            contrast = cohorts[name].contrast(column)
            yield weighted(cohorts[name], contrast, covariates)
            yield standardised(cohorts[name], contrast, covariates)
    yield time_varying(cohorts["waiting_list"], ("transplant", "age"))
    yield time_varying(cohorts["waiting_list"], ("transplant", "surgery", "year"))


def median_split(cohort: Cohort, measure: Measure) -> Question:
    """Split at the median, then compare the survival of the halves."""
    follow = cohort.timed
    values = cohort.values(measure.column)
    kept = ~np.isnan(values)
    values, time, event = (
        values[kept], cohort.values(follow.time)[kept], cohort.values(follow.event)[kept]
    )  # fmt: skip
    cut = float(np.sort(values)[[(len(values) - 1) // 2, len(values) // 2]].mean())
    high = values > cut
    gold = {"n_high": int(high.sum()), "chi_square": log_rank(time, event, high.astype(float))}
    upper = pd.Series(values).gt(pd.Series(values).median()).to_numpy()
    library = logrank_test(time[upper], time[~upper], event[upper], event[~upper])
    mean_split = (values > values.mean()).astype(np.float64)
    at_least = (values >= cut).astype(np.float64)
    return record(
        cohort,
        "workflow/median-split",
        f"{measure.column}",
        f"Split the rows with a recorded value of {measure.phrase} into those above its median "
        "(strictly) and the others. How many are above, and what is the log-rank chi-square "
        f"comparing the time to {follow.words} of the two halves ({follow.phrase})?",
        gold,
        f"""
        rows = {cohort.name}.dropna(subset=["{measure.column}"])
        above = rows["{measure.column}"] > rows["{measure.column}"].median()
        above.value_counts()
        # %%
        from lifelines.statistics import logrank_test
        high, low = rows[above], rows[~above]
        test = logrank_test(
            high["{follow.time}"], low["{follow.time}"],
            high["{follow.event}"], low["{follow.event}"],
        )
        # %%
        submit({{"n_high": int(above.sum()), "chi_square": test.test_statistic}})
        """,
        check={"n_high": int(upper.sum()), "chi_square": float(library.test_statistic)},
        slips={
            "mean": {
                "n_high": int(mean_split.sum()), "chi_square": log_rank(time, event, mean_split)
            },
            **(
                {
                    "at or above": {
                        "n_high": int(at_least.sum()),
                        "chi_square": log_rank(time, event, at_least),
                    }
                }
                if at_least.sum() != high.sum()
                else {}
            ),
        },
    )  # fmt: skip


def exposed(
    cohort: Cohort, contrast: Contrast, covariates: tuple[str, ...]
) -> tuple[Floats, Mask, Floats]:
    """Covariates with constant (n, p), exposure (n,) and the 0/1 outcome (n,) of complete rows."""
    values = np.column_stack([cohort.values(column) for column in covariates])
    first = cohort.where(contrast.column, contrast.first)
    kept = ~np.isnan(values).any(axis=1)
    kept &= first | cohort.where(contrast.column, contrast.second)
    outcome = cohort.outcomes[0]
    event = cohort.where(outcome.column, outcome.first).astype(np.float64)
    return np.column_stack([np.ones(int(kept.sum())), values[kept]]), first[kept], event[kept]


def exposed_cell(cohort: Cohort, contrast: Contrast, covariates: tuple[str, ...]) -> str:
    """Source lines that make `covariates`, `exposed` and `event`."""
    outcome = cohort.outcomes[0]
    pair = [contrast.first.value, contrast.second.value]
    used = [contrast.column, outcome.column, *covariates]
    return f"""import statsmodels.api as sm
        rows = {cohort.name}[{used!r}].dropna()
        rows = rows[rows["{contrast.column}"].isin({pair!r})]
        exposed = (rows["{contrast.column}"] == {pair[0]!r}).astype(float)
        event = (rows["{outcome.column}"] == {outcome.first.value!r}).astype(float)
        covariates = sm.add_constant(rows[{list(covariates)!r}].astype(float))
        pd.crosstab(exposed, event)"""


def weighted(cohort: Cohort, contrast: Contrast, covariates: tuple[str, ...]) -> Question:
    """The risk difference by inverse probability weighting."""
    design, first, event = exposed(cohort, contrast, covariates)
    propensity = 1 / (1 + np.exp(-design @ logistic(design, first.astype(np.float64)).beta))
    library = sm.GLM(first.astype(float), design, family=sm.families.Binomial()).fit().fittedvalues
    outcome = cohort.outcomes[0]
    risks = hajek(propensity, first, event)
    again = [
        float(np.average(event[first], weights=1 / library[first])),
        float(np.average(event[~first], weights=1 / (1 - library[~first]))),
    ]
    crude = float(event[first].mean() - event[~first].mean())
    keys = ("risk_first", "risk_second", "difference")
    listed = " and ".join(f"`{column}`" for column in covariates)
    return record(
        cohort,
        "workflow/weighting",
        f"ipw-{contrast.column}-{'-'.join(covariates)}",
        f"Compare the risk of being among the {outcome.label(outcome.first)} between "
        f"{contrast.label(contrast.first)} and {contrast.label(contrast.second)} by inverse "
        "probability weighting (censoring ignored, complete rows). Estimate the propensity of the "
        f"first group by logistic regression on {listed} (linear terms, intercept, no penalty), "
        "weight by its inverse in the first group and by 1 / (1 - propensity) in the second, and "
        "report the weighted mean outcome of each group and their difference (first minus second).",
        dict(zip(keys, (*risks, risks[0] - risks[1]), strict=True)),
        f"""
        {exposed_cell(cohort, contrast, covariates)}
        # %%
        propensity = sm.Logit(exposed, covariates).fit(disp=0).predict(covariates)
        weight = np.where(exposed == 1, 1 / propensity, 1 / (1 - propensity))
        pd.Series(weight).describe()
        # %%
        treated = (exposed == 1).to_numpy()
        risk_first = np.average(event[treated], weights=weight[treated])
        risk_second = np.average(event[~treated], weights=weight[~treated])
        submit({{
            "risk_first": risk_first,
            "risk_second": risk_second,
            "difference": risk_first - risk_second,
        }})
        """,
        check=dict(zip(keys, (*again, again[0] - again[1]), strict=True)),
        slips={
            "crude": {
                "risk_first": float(event[first].mean()),
                "risk_second": float(event[~first].mean()),
                "difference": crude,
            },
            "reversed": dict(zip(keys, (*risks[::-1], risks[1] - risks[0]), strict=True)),
        },
        rel_tol=FIT,
    )


def hajek(propensity: Floats, first: Mask, event: Floats) -> tuple[float, float]:
    """Normalised weighted risks of both groups."""
    up, down = first / propensity, ~first / (1 - propensity)
    return float((up * event).sum() / up.sum()), float((down * event).sum() / down.sum())


def standardised(cohort: Cohort, contrast: Contrast, covariates: tuple[str, ...]) -> Question:
    """The risk difference by standardisation (g-computation)."""
    design, first, event = exposed(cohort, contrast, covariates)
    full = np.column_stack([design, first])
    model = logistic(full, event)
    risks = []
    for level in (1.0, 0.0):
        at = np.column_stack([design, np.full(len(design), level)])
        risks.append(float((1 / (1 + np.exp(-at @ model.beta))).mean()))
    library = sm.GLM(event, full, family=sm.families.Binomial()).fit()
    again = [
        float(library.predict(np.column_stack([design, np.full(len(design), level)])).mean())
        for level in (1.0, 0.0)
    ]
    outcome = cohort.outcomes[0]
    crude = float(event[first].mean() - event[~first].mean())
    ratio = float(np.exp(model.beta[-1]))
    listed = " and ".join(f"`{column}`" for column in covariates)
    return record(
        cohort,
        "workflow/standardisation",
        f"g-formula-{contrast.column}-{'-'.join(covariates)}",
        f"Standardise the risk of being among the {outcome.label(outcome.first)} (censoring "
        f"ignored, complete rows): fit a logistic regression on {listed} and the group "
        f"({contrast.phrase}) with linear terms, an intercept and no interactions, predict every "
        "row's risk as if all belonged to the first group and as if all belonged to the second, "
        "and average. Report the standardised risk difference (first minus second) and the "
        "conditional odds ratio of the group.",
        {"difference": risks[0] - risks[1], "odds_ratio": ratio},
        f"""
        {exposed_cell(cohort, contrast, covariates)}
        # %%
        design = covariates.assign(exposed=exposed)
        model = sm.Logit(event, design).fit(disp=0)
        print(model.summary().tables[1])
        # %%
        risk_first = model.predict(design.assign(exposed=1.0)).mean()
        risk_second = model.predict(design.assign(exposed=0.0)).mean()
        odds_ratio = np.exp(model.params["exposed"])
        submit({{"difference": risk_first - risk_second, "odds_ratio": odds_ratio}})
        """,
        check={
            "difference": again[0] - again[1],
            "odds_ratio": float(np.exp(library.params[-1])),
        },
        slips={
            "crude": {"difference": crude, "odds_ratio": ratio},
            "reversed": {"difference": risks[1] - risks[0], "odds_ratio": 1 / ratio},
        },
        rel_tol=FIT,
    )


def time_varying(cohort: Cohort, columns: tuple[str, ...]) -> Question:
    """A Cox model with a time-varying transplant."""
    frame = cohort.frame
    x = frame[list(columns)].to_numpy(np.float64)
    start, stop, event = (cohort.values(name) for name in ("start", "stop", "event"))
    beta = cox(x, stop, event, entry=start).beta
    fitted = CoxTimeVaryingFitter().fit(
        frame[["id", "start", "stop", "event", *columns]],
        id_col="id", start_col="start", stop_col="stop", event_col="event",
        fit_options={"precision": 1e-9},
    )  # fmt: skip
    gold = {column: float(np.exp(b)) for column, b in zip(columns, beta, strict=True)}
    listed = ", ".join(f"`{column}`" for column in columns)
    naive = cox(x, stop, event).beta
    return record(
        cohort,
        "survival/cox",
        "time-varying-" + "-".join(columns),
        f"Fit a Cox model in the (`start`, `stop`] intervals with {listed} as covariates, "
        "`transplant` varying in time, ties by Efron's method. What are the hazard ratios per unit "
        "of each covariate?",
        gold,
        f"""
        columns = ["id", "start", "stop", "event", {", ".join(f'"{c}"' for c in columns)}]
        waiting_list[columns].head()
        # %%
        from lifelines import CoxTimeVaryingFitter
        model = CoxTimeVaryingFitter().fit(
            waiting_list[columns], id_col="id", start_col="start", stop_col="stop",
            event_col="event",
        )
        model.summary
        # %%
        submit(np.exp(model.params_).to_dict())
        """,
        check={column: float(np.exp(fitted.params_[column])) for column in columns},
        slips={
            "entry ignored": {c: float(np.exp(b)) for c, b in zip(columns, naive, strict=True)},
            "coefficients": {c: float(b) for c, b in zip(columns, beta, strict=True)},
        },
        rel_tol=FIT,
    )
