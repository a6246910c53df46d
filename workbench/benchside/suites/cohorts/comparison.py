"""Comparing groups: t-tests, rank tests, analysis of variance, effect sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from scipy import stats

from benchside.suites.cohorts.cohort import Cohort, Contrast, Factor, Floats, Measure
from benchside.suites.cohorts.estimators import rank_auc
from benchside.suites.cohorts.question import FINE, FIT, FORMULA, Question, number, record

COMPARED = ("lung", "gbsg2", "actg175", "diabetes", "breast_cancer", "lupus", "health_insurance")
GRADED = ("gbsg2", "larynx", "actg175")


class Pair(NamedTuple):
    """The recorded values of the first and the second group of a contrast."""

    first: Floats
    second: Floats


def questions(cohorts: Mapping[str, Cohort]) -> Iterator[Question]:
    """All questions of this topic."""
    for cohort in (cohorts[name] for name in COMPARED):
        contrast = cohort.contrasts[0]
        first, second, last = cohort.measures[0], cohort.measures[1], cohort.measures[-1]
        yield from (welch(cohort, first, contrast), interval(cohort, second, contrast))
        yield from (rank_sum(cohort, first, contrast), rank_sum(cohort, last, contrast))
        yield from (effect(cohort, second, contrast), superiority(cohort, last, contrast))
        other = cohort.contrasts[-1]
        yield from (pooled(cohort, first, other), variance_ratio(cohort, second, other))
    for cohort in (cohorts[name] for name in GRADED):
        yield from (anova(cohort, measure, cohort.factors[0]) for measure in cohort.measures[:3])
        yield from (kruskal(cohort, measure, cohort.factors[0]) for measure in cohort.measures[-3:])


def pair(cohort: Cohort, measure: Measure, contrast: Contrast) -> Pair:
    """The recorded values of both groups."""
    return Pair(
        cohort.known(measure.column, cohort.where(contrast.column, contrast.first)),
        cohort.known(measure.column, cohort.where(contrast.column, contrast.second)),
    )


def split_cell(cohort: Cohort, measure: Measure, contrast: Contrast) -> str:
    """Source lines that make `first` and `second`; the indentation fits the solutions."""
    name, column = cohort.name, contrast.column
    return f"""recorded = {name}.dropna(subset=["{measure.column}"])
        first = recorded.loc[recorded["{column}"] == {contrast.first.value!r}, "{measure.column}"]
        second = recorded.loc[recorded["{column}"] == {contrast.second.value!r}, "{measure.column}"]
        print(first.describe(), second.describe(), sep="\\n")"""


def welch(cohort: Cohort, measure: Measure, contrast: Contrast) -> Question:
    """Welch's t statistic with its degrees of freedom."""
    groups = pair(cohort, measure, contrast)
    means = [group.mean() for group in groups]
    parts = [group.var(ddof=1) / len(group) for group in groups]
    t = (means[0] - means[1]) / np.sqrt(sum(parts))
    weighted = [part**2 / (len(g) - 1) for part, g in zip(parts, groups, strict=True)]
    df = sum(parts) ** 2 / sum(weighted)
    library = stats.ttest_ind(*groups, equal_var=False)
    student = stats.ttest_ind(*groups)
    return record(
        cohort,
        "comparison/t-test",
        f"welch-{measure.column}-{contrast.column}",
        f"Compare {measure.phrase} of {contrast.label(contrast.first)} with that of "
        f"{contrast.label(contrast.second)} by Welch's t-test (unequal variances). Report the t "
        "statistic for first minus second and the Welch-Satterthwaite degrees of freedom.",
        {"t": float(t), "df": float(df)},
        f"""
        from scipy import stats
        {split_cell(cohort, measure, contrast)}
        # %%
        test = stats.ttest_ind(first, second, equal_var=False)
        test
        # %%
        submit({{"t": test.statistic, "df": test.df}})
        """,
        check={"t": float(library.statistic), "df": float(library.df)},
        slips={
            "Student": {"t": float(student.statistic), "df": float(len(groups[0]) - 2)},
            "reversed": {"t": -float(t), "df": float(df)},
            "pooled df": {"t": float(t), "df": float(sum(map(len, groups)) - 2)},
        },
    )


def interval(cohort: Cohort, measure: Measure, contrast: Contrast) -> Question:
    """The mean difference with its Welch interval."""
    groups = pair(cohort, measure, contrast)
    difference = groups.first.mean() - groups.second.mean()
    parts = [group.var(ddof=1) / len(group) for group in groups]
    weighted = [part**2 / (len(g) - 1) for part, g in zip(parts, groups, strict=True)]
    half = stats.t.ppf(0.975, sum(parts) ** 2 / sum(weighted)) * np.sqrt(sum(parts))
    low, high = stats.ttest_ind(*groups, equal_var=False).confidence_interval(0.95)
    student = stats.ttest_ind(*groups).confidence_interval(0.95)
    keys = ("difference", "lower", "upper")
    return record(
        cohort,
        "comparison/mean-difference",
        f"{measure.column}-{contrast.column}",
        f"What is the difference in mean {measure.phrase}, {contrast.label(contrast.first)} minus "
        f"{contrast.label(contrast.second)}, and its 95% confidence interval without assuming "
        "equal variances (Welch)?",
        dict(zip(keys, (difference, difference - half, difference + half), strict=True)),
        f"""
        from scipy import stats
        {split_cell(cohort, measure, contrast)}
        # %%
        difference = first.mean() - second.mean()
        lower, upper = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
        print(difference, lower, upper)
        # %%
        submit({{"difference": difference, "lower": lower, "upper": upper}})
        """,
        check=dict(zip(keys, (difference, float(low), float(high)), strict=True)),
        slips={
            "pooled": dict(
                zip(keys, (difference, float(student.low), float(student.high)), strict=True)
            ),
            "reversed": dict(
                zip(keys, (-difference, -difference - half, -difference + half), strict=True)
            ),
        },
    )


def pooled(cohort: Cohort, measure: Measure, contrast: Contrast) -> Question:
    """Student's two-sided p value."""
    groups = pair(cohort, measure, contrast)
    n = [len(group) for group in groups]
    squares = [((group - group.mean()) ** 2).sum() for group in groups]
    variance = sum(squares) / (sum(n) - 2)
    t = (groups.first.mean() - groups.second.mean()) / np.sqrt(variance * (1 / n[0] + 1 / n[1]))
    p = float(2 * stats.t.sf(abs(t), sum(n) - 2))
    return number(
        cohort,
        "comparison/t-test",
        f"student-p-{measure.column}-{contrast.column}",
        f"Test whether mean {measure.phrase} differs between {contrast.label(contrast.first)} and "
        f"{contrast.label(contrast.second)} with Student's t-test (equal variances assumed). "
        "What is the two-sided p value?",
        p,
        f"""
        from scipy import stats
        {split_cell(cohort, measure, contrast)}
        # %%
        test = stats.ttest_ind(first, second, equal_var=True)
        submit(test.pvalue)
        """,
        check=float(stats.ttest_ind(*groups).pvalue),
        slips={
            "one-sided": p / 2,
            "Welch": float(stats.ttest_ind(*groups, equal_var=False).pvalue),
        },
        rel_tol=FIT,
    )


def variance_ratio(cohort: Cohort, measure: Measure, contrast: Contrast) -> Question:
    """Levene's test with the median (Brown-Forsythe)."""
    groups = pair(cohort, measure, contrast)
    spread = [np.abs(group - np.median(group)) for group in groups]
    between = sum(len(s) * (s.mean() - np.concatenate(spread).mean()) ** 2 for s in spread)
    within = sum(((s - s.mean()) ** 2).sum() for s in spread)
    f = float(between / (within / (sum(map(len, spread)) - 2)))
    return number(
        cohort,
        "comparison/variance",
        f"brown-forsythe-{measure.column}-{contrast.column}",
        f"Is the spread of {measure.phrase} the same in {contrast.label(contrast.first)} and "
        f"{contrast.label(contrast.second)}? Report the F statistic of the Brown-Forsythe test "
        "(Levene's test on absolute deviations from the group medians).",
        f,
        f"""
        from scipy import stats
        {split_cell(cohort, measure, contrast)}
        # %%
        test = stats.levene(first, second, center="median")
        submit(test.statistic)
        """,
        check=float(stats.levene(*groups, center="median").statistic),
        slips={
            "Levene by means": float(stats.levene(*groups, center="mean").statistic),
            "Bartlett": float(stats.bartlett(*groups).statistic),
        },
    )


def rank_sum(cohort: Cohort, measure: Measure, contrast: Contrast) -> Question:
    """The Mann-Whitney U with its normal approximation."""
    first, second = pair(cohort, measure, contrast)
    n, m = len(first), len(second)
    u = rank_auc(np.concatenate([first, second]), np.arange(n + m) < n) * n * m
    _, counts = np.unique(np.concatenate([first, second]), return_counts=True)
    ties = (counts**3 - counts).sum() / ((n + m) * (n + m - 1))
    sigma = np.sqrt(n * m / 12 * (n + m + 1 - ties))
    z = (abs(u - n * m / 2) - 0.5) / sigma
    test = stats.mannwhitneyu(first, second, use_continuity=True, method="asymptotic")
    raw = stats.mannwhitneyu(first, second, use_continuity=False, method="asymptotic")
    small = n * m < 30_000  # in larger groups the continuity correction is below the tolerance
    return record(
        cohort,
        "comparison/rank-sum",
        f"mann-whitney-{measure.column}-{contrast.column}",
        f"Compare {measure.phrase} of {contrast.label(contrast.first)} with that of "
        f"{contrast.label(contrast.second)} by the Mann-Whitney test. Report U of the first group "
        "(the number of pairs in which the first group's value is higher, ties counted one half) "
        "and the two-sided p value of the normal approximation with correction for ties and for "
        "continuity.",
        {"u": float(u), "p": float(2 * stats.norm.sf(z))},
        f"""
        from scipy import stats
        {split_cell(cohort, measure, contrast)}
        # %%
        test = stats.mannwhitneyu(
            first, second, alternative="two-sided", method="asymptotic", use_continuity=True
        )
        test
        # %%
        submit({{"u": test.statistic, "p": test.pvalue}})
        """,
        check={"u": float(test.statistic), "p": float(test.pvalue)},
        slips={
            "reversed": {"u": float(n * m - u), "p": float(test.pvalue)},
            **({"no correction": {"u": float(u), "p": float(raw.pvalue)}} if small else {}),
            "one-sided": {"u": float(u), "p": float(test.pvalue) / 2},
        },
        rel_tol=FORMULA,
    )


def effect(cohort: Cohort, measure: Measure, contrast: Contrast) -> Question:
    """Hedges' g by its stated small-sample factor."""
    groups = pair(cohort, measure, contrast)
    df = sum(map(len, groups)) - 2
    squares = sum(((group - group.mean()) ** 2).sum() for group in groups)
    d = float((groups.first.mean() - groups.second.mean()) / np.sqrt(squares / df))
    weights = [(len(group) - 1) * np.var(group, ddof=1) for group in groups]
    check = float((np.mean(groups.first) - np.mean(groups.second)) / np.sqrt(sum(weights) / df))
    plain_sd = np.sqrt((groups.first.var(ddof=1) + groups.second.var(ddof=1)) / 2)
    return number(
        cohort,
        "comparison/effect-size",
        f"hedges-{measure.column}-{contrast.column}",
        f"How large is the difference in {measure.phrase} between {contrast.label(contrast.first)} "
        f"and {contrast.label(contrast.second)} as Hedges' g? That is Cohen's d (first minus "
        "second, over the pooled standard deviation with n1 + n2 - 2 degrees of freedom) times "
        "1 - 3 / (4 (n1 + n2) - 9).",
        d * (1 - 3 / (4 * (df + 2) - 9)),
        f"""
        {split_cell(cohort, measure, contrast)}
        # %%
        n1, n2 = len(first), len(second)
        pooled = ((n1 - 1) * first.var() + (n2 - 1) * second.var()) / (n1 + n2 - 2)
        d = (first.mean() - second.mean()) / np.sqrt(pooled)
        d
        # %%
        submit(d * (1 - 3 / (4 * (n1 + n2) - 9)))
        """,
        check=check * (1 - 3 / (4 * df - 1)),
        slips={
            "Cohen's d": d,
            "reversed": -d * (1 - 3 / (4 * df - 1)),
            "unpooled": float((groups.first.mean() - groups.second.mean()) / plain_sd),
        },
        rel_tol=FINE,
    )


def superiority(cohort: Cohort, measure: Measure, contrast: Contrast) -> Question:
    """Cliff's delta."""
    first, second = pair(cohort, measure, contrast)
    size = len(first) + len(second)
    delta = 2 * rank_auc(np.concatenate([first, second]), np.arange(size) < len(first)) - 1
    u = stats.mannwhitneyu(first, second).statistic
    return number(
        cohort,
        "comparison/effect-size",
        f"cliff-{measure.column}-{contrast.column}",
        f"What is Cliff's delta for {measure.phrase}: the share of pairs in which "
        f"{contrast.label(contrast.first)} have the higher value than "
        f"{contrast.label(contrast.second)}, minus the share in which they have the lower?",
        delta,
        f"""
        from scipy import stats
        {split_cell(cohort, measure, contrast)}
        # %%
        u = stats.mannwhitneyu(first, second).statistic
        submit(2 * u / (len(first) * len(second)) - 1)
        """,
        check=float(2 * u / (len(first) * len(second)) - 1),
        slips={"reversed": -delta, "probability": (delta + 1) / 2},
    )


def graded(cohort: Cohort, measure: Measure, factor: Factor) -> list[Floats]:
    """The recorded values at each level."""
    return [
        cohort.known(measure.column, cohort.where(factor.column, level)) for level in factor.levels
    ]


def anova(cohort: Cohort, measure: Measure, factor: Factor) -> Question:
    """One-way analysis of variance."""
    groups = graded(cohort, measure, factor)
    everyone = np.concatenate(groups)
    between = sum(len(g) * (g.mean() - everyone.mean()) ** 2 for g in groups)
    within = sum(((g - g.mean()) ** 2).sum() for g in groups)
    k, n = len(groups), len(everyone)
    f = float(between / (k - 1) / (within / (n - k)))
    eta = float(between / (between + within))
    library = float(stats.f_oneway(*groups).statistic)
    return record(
        cohort,
        "comparison/anova",
        f"anova-{measure.column}-{factor.column}",
        f"Does mean {measure.phrase} differ over the levels of {factor.phrase}? Report the F "
        "statistic of the one-way analysis of variance and eta squared (the share of the total "
        "sum of squares that lies between groups), missing values left out.",
        {"f": f, "eta_squared": eta},
        f"""
        from scipy import stats
        recorded = {cohort.name}.dropna(subset=["{measure.column}"])
        groups = [group["{measure.column}"] for _, group in recorded.groupby("{factor.column}")]
        print([len(group) for group in groups], [group.mean() for group in groups])
        # %%
        f = stats.f_oneway(*groups).statistic
        total = ((recorded["{measure.column}"] - recorded["{measure.column}"].mean()) ** 2).sum()
        within = sum(((group - group.mean()) ** 2).sum() for group in groups)
        eta_squared = 1 - within / total
        # %%
        submit({{"f": f, "eta_squared": eta_squared}})
        """,
        check={"f": library, "eta_squared": (k - 1) * library / ((k - 1) * library + n - k)},
        slips={
            "Kruskal": {"f": float(stats.kruskal(*groups).statistic), "eta_squared": eta},
            "over within": {"f": f, "eta_squared": float(between / within)},
        },
    )


def kruskal(cohort: Cohort, measure: Measure, factor: Factor) -> Question:
    """The Kruskal-Wallis H with tie correction."""
    groups = graded(cohort, measure, factor)
    everyone = np.concatenate(groups)
    n = len(everyone)
    ranks = stats.rankdata(everyone)
    pieces = np.split(ranks, np.cumsum([len(g) for g in groups])[:-1])
    raw = 12 / (n * (n + 1)) * sum(p.sum() ** 2 / len(p) for p in pieces) - 3 * (n + 1)
    _, counts = np.unique(everyone, return_counts=True)
    h = float(raw / (1 - (counts**3 - counts).sum() / (n**3 - n)))
    return number(
        cohort,
        "comparison/anova",
        f"kruskal-{measure.column}-{factor.column}",
        f"Compare {measure.phrase} over the levels of {factor.phrase} by the Kruskal-Wallis test. "
        "What is H, corrected for ties?",
        h,
        f"""
        from scipy import stats
        recorded = {cohort.name}.dropna(subset=["{measure.column}"])
        recorded.groupby("{factor.column}")["{measure.column}"].describe()
        # %%
        groups = [group["{measure.column}"] for _, group in recorded.groupby("{factor.column}")]
        submit(stats.kruskal(*groups).statistic)
        """,
        check=float(stats.kruskal(*groups).statistic),
        slips={"F": float(stats.f_oneway(*groups).statistic)},
    )
