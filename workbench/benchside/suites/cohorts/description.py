"""Describing one variable: location, spread, quantiles, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from scipy import stats

from benchside.suites.cohorts.cohort import Cohort, Contrast, Floats, Measure
from benchside.suites.cohorts.question import Question, integer, number, record

MEASURED = ("lung", "gbsg2", "actg175", "diabetes", "breast_cancer", "lupus", "county_cancer")
GAPS = {
    "lung": ("meal.cal", "wt.loss", "pat.karno"),
    "actg175": ("cd496",),
    "fertility": ("y1960", "y1985", "y2011"),
}


def questions(cohorts: Mapping[str, Cohort]) -> Iterator[Question]:
    """All questions of this topic."""
    for cohort in (cohorts[name] for name in MEASURED):
        first, second, last = cohort.measures[0], cohort.measures[1], cohort.measures[-1]
        yield from (trimmed_mean(cohort, first), geometric_mean(cohort, second))
        yield from (deviation(cohort, first), standard_error(cohort, second))
        yield from (spread_percent(cohort, last), quantiles(cohort, last))
        for contrast in cohort.contrasts[:1]:
            yield mean_interval(cohort, first, contrast)
            yield group_quantile(cohort, second, contrast)
    for name, columns in GAPS.items():
        yield complete_cases(cohorts[name], columns)
        for column in columns:
            yield from missing(cohorts[name], cohorts[name].measure(column))


def trimmed_mean(cohort: Cohort, measure: Measure) -> Question:
    """The mean after cutting a tenth of the values at each end."""
    values = np.sort(cohort.known(measure.column))
    cut = int(0.1 * len(values))
    return number(
        cohort,
        "description/location",
        f"trimmed-mean-{measure.column}",
        f"What is the 10% trimmed mean of {measure.phrase}? Leave out missing values, drop the "
        "lowest 10% and the highest 10% of the values (each count rounded down to a whole "
        "number) and average the rest.",
        float(values[cut:-cut].mean()),
        f"""
        from scipy import stats
        recorded = {cohort.name}["{measure.column}"].dropna()
        recorded.describe()
        # %%
        trimmed = stats.trim_mean(recorded, proportiontocut=0.10)
        print(len(recorded), recorded.mean(), trimmed)
        # %%
        submit(trimmed)
        """,
        check=float(stats.trim_mean(values, 0.1)),
        slips={
            "not trimmed": values.mean(),
            "10% in all": float(stats.trim_mean(values, 0.05)),
            "median": float(np.median(values)),
        },
        unit=measure.unit,
    )


def geometric_mean(cohort: Cohort, measure: Measure) -> Question:
    """The geometric mean of the positive values."""
    values = cohort.known(measure.column)
    positive = values[values > 0]
    return number(
        cohort,
        "description/location",
        f"geometric-mean-{measure.column}",
        f"What is the geometric mean of {measure.phrase} over the rows with a positive value?",
        float(np.exp(np.log(positive).sum() / len(positive))),
        f"""
        values = {cohort.name}["{measure.column}"]
        positive = values[values > 0]
        print(len(values), values.isna().sum(), len(positive))
        # %%
        geometric_mean = np.exp(np.log(positive).mean())
        submit(geometric_mean)
        """,
        check=float(stats.gmean(positive)),
        slips={
            "arithmetic mean": positive.mean(),
            "median": float(np.median(positive)),
            "mean logarithm": float(np.log(positive).mean()),
        },
        unit=measure.unit,
    )


def mean_interval(cohort: Cohort, measure: Measure, contrast: Contrast) -> Question:
    """The 95% t interval of a mean in one group."""
    values = cohort.known(measure.column, cohort.where(contrast.column, contrast.first))
    n, mean = len(values), values.sum() / len(values)
    half = stats.t.ppf(0.975, n - 1) * np.sqrt(((values - mean) ** 2).sum() / (n - 1) / n)
    low, high = stats.t.interval(0.95, n - 1, loc=values.mean(), scale=stats.sem(values))
    everyone = cohort.known(measure.column)
    normal = 1.959963984540054 * stats.sem(values)
    return record(
        cohort,
        "description/location",
        f"mean-interval-{measure.column}-{contrast.column}",
        f"Among {contrast.label(contrast.first)}, what are the mean of {measure.phrase} and the "
        "half-width of its 95% confidence interval (Student t, missing values left out)?",
        {"mean": float(mean), "half_width": float(half)},
        f"""
        from scipy import stats
        group = {cohort.name}[{cohort.name}["{contrast.column}"] == {contrast.first.value!r}]
        values = group["{measure.column}"].dropna()
        values.describe()
        # %%
        half_width = stats.t.ppf(0.975, df=len(values) - 1) * values.sem()
        print(values.mean(), half_width)
        # %%
        submit({{"mean": values.mean(), "half_width": half_width}})
        """,
        check={"mean": float(values.mean()), "half_width": float(high - low) / 2},
        slips={
            "all rows": {"mean": everyone.mean(), "half_width": half},
            "normal quantile": {"mean": float(mean), "half_width": float(normal)},
            "full width": {"mean": float(mean), "half_width": float(2 * half)},
        },
    )


def deviation(cohort: Cohort, measure: Measure) -> Question:
    """The sample standard deviation."""
    values = cohort.known(measure.column)
    squares = ((values - values.mean()) ** 2).sum()
    return number(
        cohort,
        "description/spread",
        f"sd-{measure.column}",
        f"What is the sample standard deviation (denominator n - 1) of {measure.phrase}, missing "
        "values left out?",
        float(np.sqrt(squares / (len(values) - 1))),
        f"""
        {cohort.name}["{measure.column}"].describe()
        # %%
        submit({cohort.name}["{measure.column}"].std(ddof=1))
        """,
        check=float(np.std(values, ddof=1)),
        slips={
            "population sd": float(np.std(values)),
            "variance": float(np.var(values, ddof=1)),
        },
        unit=measure.unit,
    )


def standard_error(cohort: Cohort, measure: Measure) -> Question:
    """The standard error of the mean."""
    values = cohort.known(measure.column)
    error = np.sqrt(((values - values.mean()) ** 2).sum() / (len(values) - 1) / len(values))
    return number(
        cohort,
        "description/spread",
        f"sem-{measure.column}",
        f"What is the standard error of the mean of {measure.phrase}, from the sample standard "
        "deviation (n - 1) of the recorded values?",
        float(error),
        f"""
        recorded = {cohort.name}["{measure.column}"].dropna()
        n = len(recorded)
        # %%
        submit(recorded.std(ddof=1) / np.sqrt(n))
        """,
        check=float(stats.sem(values)),
        slips={
            "population sd": float(np.std(values) / np.sqrt(len(values))),
            "sd": float(np.std(values, ddof=1)),
        },
        unit=measure.unit,
    )


def spread_percent(cohort: Cohort, measure: Measure) -> Question:
    """The quartile coefficient of dispersion."""
    values = cohort.known(measure.column)
    low, high = quantile(values, 0.25), quantile(values, 0.75)
    first, third = np.quantile(values, [0.25, 0.75])
    return number(
        cohort,
        "description/spread",
        f"quartile-dispersion-{measure.column}",
        f"What is the quartile coefficient of dispersion, (Q3 - Q1) / (Q3 + Q1), of "
        f"{measure.phrase}, in percent? Quartiles by linear interpolation (the default of numpy "
        "and pandas), missing values left out.",
        100 * (high - low) / (high + low),
        f"""
        quartiles = {cohort.name}["{measure.column}"].quantile([0.25, 0.75])
        quartiles
        # %%
        q1, q3 = quartiles
        submit(100 * (q3 - q1) / (q3 + q1))
        """,
        check=float(100 * (third - first) / (third + first)),
        slips={
            "fraction": (high - low) / (high + low),
            "over the median": 100 * (high - low) / quantile(values, 0.5),
        },
        unit="%",
    )


def quantile(values: Floats, level: float) -> float:
    """The quantile by linear interpolation between order statistics (Hyndman & Fan type 7)."""
    ordered = np.sort(values)
    position = (len(ordered) - 1) * level
    below = int(np.floor(position))
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below] + (position - below) * (ordered[above] - ordered[below]))


def quantiles(cohort: Cohort, measure: Measure) -> Question:
    """The central 95% reference range."""
    values = cohort.known(measure.column)
    mean, sd = values.mean(), values.std(ddof=1)
    return record(
        cohort,
        "description/quantiles",
        f"reference-range-{measure.column}",
        f"Give the nonparametric central 90% range of {measure.phrase}: its 5th and 95th "
        "percentiles by linear interpolation, and the median. Leave out missing values.",
        {f"p{p}": quantile(values, p / 100) for p in (5, 50, 95)},
        f"""
        recorded = {cohort.name}["{measure.column}"].dropna()
        recorded.describe()
        # %%
        p5, p50, p95 = recorded.quantile([0.05, 0.50, 0.95])
        submit({{"p5": p5, "p50": p50, "p95": p95}})
        """,
        check={f"p{p}": float(np.percentile(values, p)) for p in (5, 50, 95)},
        slips={
            "normal range": {"p5": mean - 1.645 * sd, "p50": mean, "p95": mean + 1.645 * sd},
            "95% range": {
                key: float(np.percentile(values, p))
                for key, p in (("p5", 2.5), ("p50", 50), ("p95", 97.5))
            },
        },
    )


def group_quantile(cohort: Cohort, measure: Measure, contrast: Contrast) -> Question:
    """The difference of two group's 90th percentiles."""
    first, second = (
        cohort.known(measure.column, cohort.where(contrast.column, level))
        for level in (contrast.first, contrast.second)
    )
    means = first.mean() - second.mean()
    return number(
        cohort,
        "description/quantiles",
        f"p85-difference-{measure.column}-{contrast.column}",
        f"By how much does the 85th percentile of {measure.phrase} of "
        f"{contrast.label(contrast.first)} exceed that of {contrast.label(contrast.second)}? "
        "Percentiles by linear interpolation; a negative number if it is lower.",
        quantile(first, 0.85) - quantile(second, 0.85),
        f"""
        by_group = {cohort.name}.groupby("{contrast.column}")["{measure.column}"]
        by_group.describe()
        # %%
        p85 = by_group.quantile(0.85)
        submit(p85[{contrast.first.value!r}] - p85[{contrast.second.value!r}])
        """,
        check=float(np.quantile(first, 0.85) - np.quantile(second, 0.85)),
        slips={
            "reversed": quantile(second, 0.85) - quantile(first, 0.85),
            "means": float(means),
        },
        unit=measure.unit,
    )


def missing(cohort: Cohort, measure: Measure) -> Iterator[Question]:
    """How much is missing, and what mean imputation does to the spread."""
    values = cohort.values(measure.column)
    recorded = values[~np.isnan(values)]
    share = 100 * (len(values) - len(recorded)) / len(values)
    yield number(
        cohort,
        "missing/extent",
        f"percent-{measure.column}",
        f"In what percentage of the rows is {measure.phrase} missing?",
        share,
        f"""
        gaps = {cohort.name}["{measure.column}"].isna()
        gaps.value_counts()
        # %%
        submit(100 * gaps.mean())
        """,
        check=100 * float(pd.isna(cohort.frame[measure.column]).mean()),
        slips={
            "fraction": share / 100,
            "recorded": 100 - share,
            "of recorded": 100 * (len(values) - len(recorded)) / len(recorded),
        },
        unit="%",
    )
    filled = np.where(np.isnan(values), np.median(recorded), values)
    mean_filled = np.where(np.isnan(values), recorded.mean(), values)
    yield number(
        cohort,
        "missing/imputation",
        f"median-sd-{measure.column}",
        f"Replace each missing value of {measure.phrase} by the median of the recorded values. "
        "What is the sample standard deviation (n - 1) of the completed column?",
        float(np.sqrt(((filled - filled.mean()) ** 2).sum() / (len(filled) - 1))),
        f"""
        column = {cohort.name}["{measure.column}"]
        median = column.median()
        print(column.isna().sum(), median)
        # %%
        completed = column.fillna(median)
        submit(completed.std(ddof=1))
        """,
        check=float(cohort.frame[measure.column].fillna(np.median(recorded)).std()),
        slips={
            "recorded only": recorded.std(ddof=1),
            "mean imputed": mean_filled.std(ddof=1),
            "population sd": filled.std(),
        },
        unit=measure.unit,
    )


def complete_cases(cohort: Cohort, columns: tuple[str, ...]) -> Question:
    """Rows without any gap, by hand over all columns."""
    listed = ", ".join(f"`{column}`" for column in columns)
    gaps = np.column_stack([np.isnan(cohort.values(column)) for column in columns])
    return integer(
        cohort,
        "missing/extent",
        "complete-" + "-".join(columns),
        f"How many rows have no missing value in {listed}?",
        int((~gaps.any(axis=1)).sum()),
        f"""
        columns = {list(columns)!r}
        {cohort.name}[columns].isna().sum()
        # %%
        submit(len({cohort.name}.dropna(subset=columns)))
        """,
        check=len(cohort.frame.dropna(subset=list(columns))),
        slips={"with a gap": int(gaps.any(axis=1).sum()), "all": len(cohort.frame)},
    )
