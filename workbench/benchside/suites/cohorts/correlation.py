"""Association of two measures: Pearson, Spearman, Kendall, partial correlation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from scipy import stats

from benchside.suites.cohorts.cohort import Cohort, Floats, Measure
from benchside.suites.cohorts.estimators import least_squares
from benchside.suites.cohorts.question import Question, number, record

TRIPLES = {
    "lung": (("age", "meal.cal", "wt.loss"), ("pat.karno", "ph.karno", "age")),
    "gbsg2": (("tsize", "pnodes", "age"), ("estrec", "progrec", "age")),
    "actg175": (("cd40", "cd496", "age"), ("wtkg", "cd80", "age")),
    "diabetes": (("bmi", "progression", "bp"), ("hdl", "glu", "bmi"), ("ldl", "bp", "age")),
    "breast_cancer": (
        ("mean_texture", "mean_radius", "mean_smoothness"),
        ("mean_symmetry", "mean_compactness", "mean_radius"),
    ),
}


def questions(cohorts: Mapping[str, Cohort]) -> Iterator[Question]:
    """All questions of this topic."""
    for name, triples in TRIPLES.items():
        for triple in triples:
            cohort = cohorts[name]
            x, y, z = (cohort.measure(column) for column in triple)
            yield from (pearson(cohort, x, y), spearman(cohort, x, y), kendall(cohort, x, y))
            yield partial(cohort, x, y, z)


def joint(cohort: Cohort, *measures: Measure) -> Floats:
    """(rows, measures) values of the rows where all are recorded."""
    values = np.column_stack([cohort.values(measure.column) for measure in measures])
    return values[~np.isnan(values).any(axis=1)]


def product_moment(x: Floats, y: Floats) -> float:
    """Pearson's r."""
    u, v = x - x.mean(), y - y.mean()
    return float((u * v).sum() / np.sqrt((u**2).sum() * (v**2).sum()))


def pairs_cell(cohort: Cohort, *measures: Measure) -> str:
    """Source lines that make `pairs`, the complete rows."""
    columns = [measure.column for measure in measures]
    return f"""pairs = {cohort.name}[{columns!r}].dropna()
        print(len(pairs), "complete of", len({cohort.name}))
        pairs.corr()"""


def pearson(cohort: Cohort, x: Measure, y: Measure) -> Question:
    """Pearson's r with the Fisher z interval."""
    u, v = joint(cohort, x, y).T
    r = product_moment(u, v)
    half = 1.959963984540054 / np.sqrt(len(u) - 3)
    library = stats.pearsonr(u, v)
    low, high = library.confidence_interval(0.95)
    rho = float(stats.spearmanr(u, v).statistic)
    return record(
        cohort,
        "correlation/pearson",
        f"pearson-{x.column}-{y.column}",
        f"What is the Pearson correlation of {x.phrase} and {y.phrase}, over rows where both are "
        "recorded, and its 95% confidence interval by Fisher's z transformation?",
        {
            "r": r,
            "lower": float(np.tanh(np.arctanh(r) - half)),
            "upper": float(np.tanh(np.arctanh(r) + half)),
        },
        f"""
        {pairs_cell(cohort, x, y)}
        # %%
        from scipy import stats
        result = stats.pearsonr(pairs["{x.column}"], pairs["{y.column}"])
        lower, upper = result.confidence_interval(0.95)
        print(result.statistic, lower, upper)
        # %%
        submit({{"r": result.statistic, "lower": lower, "upper": upper}})
        """,
        check={"r": float(library.statistic), "lower": float(low), "upper": float(high)},
        slips={
            "Spearman": {"r": rho, "lower": float(low), "upper": float(high)},
            "sign": {"r": -r, "lower": -float(high), "upper": -float(low)},
            "r squared": {"r": r**2, "lower": float(low), "upper": float(high)},
        },
    )


def spearman(cohort: Cohort, x: Measure, y: Measure) -> Question:
    """Spearman's rho with mid-ranks."""
    u, v = joint(cohort, x, y).T
    rho = product_moment(mid_ranks(u), mid_ranks(v))
    return number(
        cohort,
        "correlation/rank",
        f"spearman-{x.column}-{y.column}",
        f"What is Spearman's rank correlation of {x.phrase} and {y.phrase}, over rows where both "
        "are recorded (ties get mean ranks)?",
        rho,
        f"""
        {pairs_cell(cohort, x, y)}
        # %%
        submit(pairs["{x.column}"].corr(pairs["{y.column}"], method="spearman"))
        """,
        check=float(stats.spearmanr(u, v).statistic),
        slips={
            "Pearson": product_moment(u, v),
            "Kendall": float(stats.kendalltau(u, v).statistic),
        },
    )


def mid_ranks(values: Floats) -> Floats:
    """Ranks from 1, ties at their mean."""
    ordered = np.sort(values)
    below = np.searchsorted(ordered, values, side="left")
    up_to = np.searchsorted(ordered, values, side="right")
    ranks: Floats = (below + up_to + 1) / 2
    return ranks


def kendall(cohort: Cohort, x: Measure, y: Measure) -> Question:
    """Kendall's tau-b by counting pairs."""
    u, v = joint(cohort, x, y).T
    total = tied_u = tied_v = 0.0
    for index in range(len(u) - 1):
        signs_u, signs_v = np.sign(u[index + 1 :] - u[index]), np.sign(v[index + 1 :] - v[index])
        total += float((signs_u * signs_v).sum())
        tied_u += float((signs_u == 0).sum())
        tied_v += float((signs_v == 0).sum())
    pairs = len(u) * (len(u) - 1) / 2
    return number(
        cohort,
        "correlation/rank",
        f"kendall-{x.column}-{y.column}",
        f"What is Kendall's tau-b of {x.phrase} and {y.phrase}, over rows where both are recorded?",
        total / float(np.sqrt((pairs - tied_u) * (pairs - tied_v))),
        f"""
        {pairs_cell(cohort, x, y)}
        # %%
        submit(pairs["{x.column}"].corr(pairs["{y.column}"], method="kendall"))
        """,
        check=float(stats.kendalltau(u, v).statistic),
        slips={
            "tau-a": total / pairs,
            "Spearman": float(stats.spearmanr(u, v).statistic),
            "Pearson": product_moment(u, v),
        },
    )


def partial(cohort: Cohort, x: Measure, y: Measure, z: Measure) -> Question:
    """The partial correlation given a third measure."""
    u, v, w = joint(cohort, x, y, z).T
    xy, xz, yz = product_moment(u, v), product_moment(u, w), product_moment(v, w)
    gold = (xy - xz * yz) / float(np.sqrt((1 - xz**2) * (1 - yz**2)))
    design = np.column_stack([np.ones(len(w)), w])
    residuals = [side - design @ least_squares(design, side).beta for side in (u, v)]
    return number(
        cohort,
        "correlation/partial",
        f"partial-{x.column}-{y.column}-given-{z.column}",
        f"What is the partial Pearson correlation of {x.phrase} and {y.phrase}, adjusted linearly "
        f"for {z.phrase}, over rows where all three are recorded?",
        gold,
        f"""
        {pairs_cell(cohort, x, y, z)}
        # %%
        import statsmodels.api as sm
        adjuster = sm.add_constant(pairs["{z.column}"])
        left = sm.OLS(pairs["{x.column}"], adjuster).fit().resid
        right = sm.OLS(pairs["{y.column}"], adjuster).fit().resid
        # %%
        submit(np.corrcoef(left, right)[0, 1])
        """,
        check=product_moment(*residuals),
        slips={"unadjusted": xy, "semipartial": (xy - xz * yz) / float(np.sqrt(1 - yz**2))},
    )
