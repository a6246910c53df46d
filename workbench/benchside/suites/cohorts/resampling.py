"""Bootstrap and permutation with the random draws spelled out, so that there is one answer.

The gold draws one replicate after another; the check draws all at once (numpy's generators give
the same stream) or permutes positions instead of values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from benchside.suites.cohorts.cohort import Cohort, Contrast, Floats, Mask, Measure
from benchside.suites.cohorts.question import Question, number, record

REPLICATES = 500
SAMPLES = {
    "lung": ("meal.cal", "wt.loss"),
    "larynx": ("age",),
    "diabetes": ("bmi", "glu"),
    "heart_transplant": ("age",),
    "lupus": ("months_onset_to_diagnosis", "age_at_diagnosis"),
    "leukemia": ("log_wbc",),
    "gbsg2": ("pnodes",),
}
SHUFFLED = {
    "lung": (("wt.loss", "sex"), ("meal.cal", "ph.ecog")),
    "gbsg2": (("tsize", "horTh"), ("pnodes", "horTh"), ("tsize", "menostat")),
    "diabetes": (("ldl", "sex"), ("bmi", "sex"), ("progression", "sex")),
    "lupus": (("months_onset_to_diagnosis", "white"), ("age_at_diagnosis", "white")),
    "leukemia": (("log_wbc", "arm"), ("log_wbc", "sex")),
    "kidney_transplant": (("age", "sex"), ("age", "race")),
}


def questions(cohorts: Mapping[str, Cohort], seed: int) -> Iterator[Question]:
    """All questions of this topic; `seed` numbers the generators that the prompts name."""
    draws = 100 * seed + 11
    for name, columns in SAMPLES.items():
        for column in columns:
            draws += 1
            yield bootstrap_mean(cohorts[name], cohorts[name].measure(column), draws)
            draws += 1
            yield bootstrap_error(cohorts[name], cohorts[name].measure(column), draws)
    for name, pairs in SHUFFLED.items():
        for column, by in pairs:
            draws += 1
            cohort = cohorts[name]
            yield permutation(cohort, cohort.measure(column), cohort.contrast(by), draws)


def one_by_one(values: Floats, draws: int, statistic: Callable[[Floats], float]) -> Floats:
    """(REPLICATES,) the statistic of each bootstrap sample, drawn one after another."""
    rng = np.random.default_rng(draws)
    n = len(values)
    samples = (values[rng.integers(0, n, size=n)] for _ in range(REPLICATES))
    return np.array([statistic(sample) for sample in samples])


def all_at_once(values: Floats, draws: int) -> Floats:
    """(REPLICATES, n) all bootstrap samples in one draw."""
    rng = np.random.default_rng(draws)
    samples: Floats = values[rng.integers(0, len(values), size=(REPLICATES, len(values)))]
    return samples


def procedure(measure: Measure, draws: int) -> str:
    """The sampling in words."""
    return (
        f"Let x be the array of the recorded values of {measure.phrase} in row order and n its "
        f"length. Create rng = np.random.default_rng({draws}) once, then draw {REPLICATES} "
        "bootstrap samples one after another, each as x[rng.integers(0, n, size=n)]."
    )


def bootstrap_mean(cohort: Cohort, measure: Measure, draws: int) -> Question:
    """The percentile interval of the mean."""
    values = cohort.known(measure.column)
    lower, upper = np.quantile(one_by_one(values, draws, np.mean), [0.025, 0.975])
    low, high = np.percentile(all_at_once(values, draws).mean(axis=1), [2.5, 97.5])
    other_seed = np.quantile(all_at_once(values, draws + 1).mean(axis=1), [0.025, 0.975])
    half = 1.959964 * values.std(ddof=1) / np.sqrt(len(values))
    return record(
        cohort,
        "resampling/bootstrap",
        f"mean-{measure.column}",
        f"{procedure(measure, draws)} What is the 95% percentile interval of the mean, the 0.025 "
        "and 0.975 quantiles of the replicate means by linear interpolation?",
        {"lower": float(lower), "upper": float(upper)},
        f"""
        x = {cohort.name}["{measure.column}"].dropna().to_numpy()
        n = len(x)
        print(n, x.mean())
        # %%
        rng = np.random.default_rng({draws})
        means = [x[rng.integers(0, n, size=n)].mean() for _ in range({REPLICATES})]
        # %%
        lower, upper = np.quantile(means, [0.025, 0.975])
        submit({{"lower": lower, "upper": upper}})
        """,
        check={"lower": float(low), "upper": float(high)},
        slips={
            "another seed": {"lower": float(other_seed[0]), "upper": float(other_seed[1])},
            "normal": {"lower": values.mean() - half, "upper": values.mean() + half},
        },
    )


def bootstrap_error(cohort: Cohort, measure: Measure, draws: int) -> Question:
    """The bootstrap standard error of the median."""
    values = cohort.known(measure.column)
    medians = one_by_one(values, draws, np.median)
    check = np.median(all_at_once(values, draws), axis=1)
    return number(
        cohort,
        "resampling/bootstrap",
        f"median-{measure.column}",
        f"{procedure(measure, draws)} What is the bootstrap standard error of the median, the "
        "standard deviation (denominator n - 1) of the replicate medians?",
        float(np.sqrt(((medians - medians.mean()) ** 2).sum() / (REPLICATES - 1))),
        f"""
        x = {cohort.name}["{measure.column}"].dropna().to_numpy()
        n = len(x)
        # %%
        rng = np.random.default_rng({draws})
        medians = [np.median(x[rng.integers(0, n, size=n)]) for _ in range({REPLICATES})]
        # %%
        submit(np.std(medians, ddof=1))
        """,
        check=float(np.std(check, ddof=1)),
        slips={
            "population sd": float(np.std(check)),
            "another seed": float(np.std(np.median(all_at_once(values, draws + 1), axis=1))),
        },
        unit=measure.unit,
    )


def permutation(cohort: Cohort, measure: Measure, contrast: Contrast, draws: int) -> Question:
    """The permutation p value of a difference in means."""
    values = cohort.values(measure.column)
    first = cohort.where(contrast.column, contrast.first)
    kept = ~np.isnan(values) & (first | cohort.where(contrast.column, contrast.second))
    x, k = values[kept], first[kept]
    observed = abs(x[k].mean() - x[~k].mean())
    rng = np.random.default_rng(draws)
    extreme = 0
    for _ in range(REPLICATES):
        shuffled = rng.permutation(x)
        extreme += abs(shuffled[k].mean() - shuffled[~k].mean()) >= observed - 1e-9
    p = (1 + int(extreme)) / (1 + REPLICATES)
    both = [contrast.first.value, contrast.second.value]
    return number(
        cohort,
        "resampling/permutation",
        f"mean-{measure.column}-{contrast.column}",
        f"Test the difference in mean {measure.phrase} between {contrast.phrase} by permutation. "
        "Let x be the recorded values of both groups in row order. Create rng = "
        f"np.random.default_rng({draws}) once and draw {REPLICATES} permutations one after another "
        "as rng.permutation(x), the group labels staying in place. What is the two-sided p value "
        "(1 + E) / (1 + B), with B the number of permutations and E the number whose absolute mean "
        "difference is at least the observed one minus 1e-9?",
        p,
        f"""
        rows = {cohort.name}.dropna(subset=["{measure.column}"])
        rows = rows[rows["{contrast.column}"].isin({both!r})]
        x = rows["{measure.column}"].to_numpy()
        first = (rows["{contrast.column}"] == {contrast.first.value!r}).to_numpy()
        observed = abs(x[first].mean() - x[~first].mean())
        print(first.sum(), (~first).sum(), observed)
        # %%
        rng = np.random.default_rng({draws})
        extreme = 0
        for _ in range({REPLICATES}):
            shuffled = rng.permutation(x)
            difference = abs(shuffled[first].mean() - shuffled[~first].mean())
            extreme += difference >= observed - 1e-9
        # %%
        submit((1 + extreme) / (1 + {REPLICATES}))
        """,
        check=permuted_positions(x, k, observed, draws),
        slips={
            "without plus one": int(extreme) / REPLICATES,
            "another seed": permuted_positions(x, k, observed, draws + 1),
        },
    )


def permuted_positions(x: Floats, first: Mask, observed: float, draws: int) -> float:
    """The same p value from sums over permuted positions."""
    rng = np.random.default_rng(draws)
    n = int(first.sum())
    orders = np.array([rng.permutation(len(x)) for _ in range(REPLICATES)])
    sums = x[orders][:, first].sum(axis=1)
    gaps = np.abs(sums / n - (x.sum() - sums) / (len(x) - n))
    return (1 + int((gaps >= observed - 1e-9).sum())) / (1 + REPLICATES)
