"""Answers in words: which one, which ones, in what order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from lifelines import KaplanMeierFitter
from scipy import stats
from sklearn.metrics import roc_auc_score

from benchside.suites.cohorts.cohort import Cohort, Contrast, Factor, Measure
from benchside.suites.cohorts.estimators import kaplan_meier, rank_auc
from benchside.suites.cohorts.question import Question, names, text

SCREENED = ("lung", "gbsg2", "actg175", "diabetes", "breast_cancer")
GRADED = ("gbsg2", "larynx", "actg175")


def questions(cohorts: Mapping[str, Cohort]) -> Iterator[Question]:
    """All questions of this topic."""
    for cohort in (cohorts[name] for name in SCREENED):
        contrast = cohort.contrasts[0]
        yield largest_effect(cohort, contrast)
        yield most_correlated(cohort, cohort.measures[0])
        yield most_correlated(cohort, cohort.measures[-1])
        yield from (significant(cohort, c) for c in cohort.contrasts)
        yield order_by_auc(cohort, contrast)
        yield order_by_skew(cohort)
    for cohort in (cohorts[name] for name in GRADED):
        yield lowest_survival(cohort, cohort.factors[0])
        yield order_by_rate(cohort, cohort.factors[0])


def listed(measures: Sequence[Measure]) -> str:
    """Columns for a sentence."""
    return ", ".join(f"`{measure.column}`" for measure in measures)


def best(scores: Mapping[str, float]) -> str:
    """The name with the highest score."""
    return max(scores, key=lambda name: scores[name])


def largest_effect(cohort: Cohort, contrast: Contrast) -> Question:
    """Which measure differs most between two groups."""
    gold, check = {}, {}
    for measure in cohort.measures:
        first, second = (
            cohort.known(measure.column, cohort.where(contrast.column, level))
            for level in (contrast.first, contrast.second)
        )
        spread = np.sqrt((first.var(ddof=1) + second.var(ddof=1)) / 2)
        gold[measure.column] = abs(float((first.mean() - second.mean()) / spread))
        by_group = cohort.frame.groupby(contrast.column)[measure.column]
        means, variances = by_group.mean(), by_group.var()
        gap = means[contrast.first.value] - means[contrast.second.value]
        pooled = variances[[contrast.first.value, contrast.second.value]].mean()
        check[measure.column] = abs(float(gap)) / float(np.sqrt(pooled))
    columns = [measure.column for measure in cohort.measures]
    return text(
        cohort,
        "ranking/which",
        f"largest-effect-{contrast.column}",
        f"Which of {listed(cohort.measures)} differs most between {contrast.phrase}, by the "
        "absolute standardised mean difference (difference in means over the root of the average "
        "of the two sample variances)? Submit the column's name.",
        best(gold),
        f"""
        columns = {columns!r}
        by_group = {cohort.name}.groupby("{contrast.column}")[columns]
        means, variances = by_group.mean(), by_group.var()
        means
        # %%
        a, b = {contrast.first.value!r}, {contrast.second.value!r}
        smd = (means.loc[a] - means.loc[b]) / np.sqrt((variances.loc[a] + variances.loc[b]) / 2)
        smd
        # %%
        submit(smd.abs().idxmax())
        """,
        choices=columns,
        check=best(check),
    )


def most_correlated(cohort: Cohort, target: Measure) -> Question:
    """Which measure has the strongest rank correlation with another."""
    gold, check = {}, {}
    others = [measure for measure in cohort.measures if measure != target]
    for measure in others:
        x, y = cohort.values(target.column), cohort.values(measure.column)
        kept = ~np.isnan(x) & ~np.isnan(y)
        ranks = stats.rankdata(x[kept]), stats.rankdata(y[kept])
        gold[measure.column] = abs(float(np.corrcoef(*ranks)[0, 1]))
        check[measure.column] = abs(float(stats.spearmanr(x[kept], y[kept]).statistic))
    columns = [measure.column for measure in others]
    return text(
        cohort,
        "ranking/which",
        f"most-correlated-{target.column}",
        f"Which of {listed(others)} has the strongest Spearman correlation, in absolute value, "
        f"with {target.phrase}? Take for each pair the rows where both are recorded and submit the "
        "column's name.",
        best(gold),
        f"""
        candidates = {columns!r}
        target = {cohort.name}["{target.column}"]
        rho = {cohort.name}[candidates].corrwith(target, method="spearman")
        rho
        # %%
        submit(rho.abs().idxmax())
        """,
        choices=columns,
        check=best(check),
    )


def significant(cohort: Cohort, contrast: Contrast) -> Question:
    """Which measures differ after Holm's correction."""
    p = {}
    for measure in cohort.measures:
        first, second = (
            cohort.known(measure.column, cohort.where(contrast.column, level))
            for level in (contrast.first, contrast.second)
        )
        p[measure.column] = float(stats.mannwhitneyu(first, second, method="asymptotic").pvalue)
    columns = list(p)
    ordered = sorted(columns, key=lambda column: p[column])
    held = [p[column] <= 0.05 / (len(columns) - rank) for rank, column in enumerate(ordered)]
    passed = held.index(False) if False in held else len(held)
    adjusted = np.maximum.accumulate(
        [p[column] * (len(columns) - rank) for rank, column in enumerate(ordered)]
    )
    return names(
        cohort,
        "ranking/set",
        f"holm-{contrast.column}",
        f"Which of {listed(cohort.measures)} differ between {contrast.phrase} at the 5% level "
        "after Holm's correction for these tests? Use two-sided Mann-Whitney tests (normal "
        "approximation with tie and continuity correction, missing values left out) and submit the "
        "set of column names.",
        ordered[:passed],
        f"""
        from scipy import stats
        columns = {columns!r}
        first = {cohort.name}[{cohort.name}["{contrast.column}"] == {contrast.first.value!r}]
        second = {cohort.name}[{cohort.name}["{contrast.column}"] == {contrast.second.value!r}]
        p = [
            stats.mannwhitneyu(first[c].dropna(), second[c].dropna(), method="asymptotic").pvalue
            for c in columns
        ]
        dict(zip(columns, p))
        # %%
        from statsmodels.stats.multitest import multipletests
        reject, adjusted, _, _ = multipletests(p, alpha=0.05, method="holm")
        submit({{column for column, rejected in zip(columns, reject) if rejected}})
        """,
        ordered=False,
        check=[column for column, a in zip(ordered, adjusted, strict=True) if a <= 0.05],
        slips={
            "one too many": ordered[: passed + 1] if passed < len(ordered) else ordered[:-1],
            "complement": ordered[passed:] or ordered[1:],
        },
    )


def order_by_auc(cohort: Cohort, contrast: Contrast) -> Question:
    """The measures by how well they tell two groups apart."""
    gold, check = {}, {}
    for measure in cohort.measures:
        values = cohort.values(measure.column)
        first = cohort.where(contrast.column, contrast.first)
        kept = ~np.isnan(values) & (first | cohort.where(contrast.column, contrast.second))
        gold[measure.column] = abs(rank_auc(values[kept], first[kept]) - 0.5)
        check[measure.column] = abs(float(roc_auc_score(first[kept], values[kept])) - 0.5)
    columns = list(gold)
    return ordering(
        cohort,
        f"auc-{contrast.column}",
        f"Order {listed(cohort.measures)} by how well each alone separates {contrast.phrase}: by "
        "the distance of its area under the ROC curve from 0.5, best first (missing values left "
        "out). Submit the list of column names.",
        gold,
        check,
        f"""
        from sklearn.metrics import roc_auc_score
        both = [{contrast.first.value!r}, {contrast.second.value!r}]
        rows = {cohort.name}[{cohort.name}["{contrast.column}"].isin(both)]
        distance = {{}}
        for column in {columns!r}:
            recorded = rows.dropna(subset=[column])
            is_first = recorded["{contrast.column}"] == both[0]
            distance[column] = abs(roc_auc_score(is_first, recorded[column]) - 0.5)
        distance
        # %%
        submit(sorted(distance, key=distance.get, reverse=True))
        """,
    )


def ordering(
    cohort: Cohort,
    name: str,
    ask: str,
    gold: Mapping[str, float],
    check: Mapping[str, float],
    solution: str,
) -> Question:
    """A list from the highest to the lowest score."""
    order = sorted(gold, key=lambda key: -gold[key])
    return names(
        cohort,
        "ranking/order",
        name,
        ask,
        order,
        solution,
        ordered=True,
        check=sorted(check, key=lambda key: -check[key]),
        slips={"ascending": order[::-1], "two swapped": [order[1], order[0], *order[2:]]},
    )


def order_by_skew(cohort: Cohort) -> Question:
    """The measures by their coefficient of variation."""
    gold, check = {}, {}
    for measure in cohort.measures:
        values = cohort.known(measure.column)
        gold[measure.column] = float(np.sqrt(np.var(values, ddof=1)) / abs(values.mean()))
        series = cohort.frame[measure.column]
        check[measure.column] = float(stats.variation(series.dropna(), ddof=1))
    columns = list(gold)
    return ordering(
        cohort,
        "variation",
        f"Order {listed(cohort.measures)} by their coefficient of variation (sample standard "
        "deviation over mean), highest first. Submit the list of column names.",
        gold,
        check,
        f"""
        columns = {columns!r}
        summary = {cohort.name}[columns].agg(["mean", "std"])
        summary
        # %%
        variation = summary.loc["std"] / summary.loc["mean"]
        submit(variation.sort_values(ascending=False).index.tolist())
        """,
    )


def lowest_survival(cohort: Cohort, factor: Factor) -> Question:
    """The level with the lowest survival at a time."""
    follow = cohort.timed
    time = follow.horizons[2]
    gold, check = {}, {}
    for level in factor.levels:
        rows = cohort.frame[cohort.where(factor.column, level)]
        times, events = rows[follow.time].to_numpy(float), rows[follow.event].to_numpy(float)
        gold[str(level.value)] = -kaplan_meier(times, events).at(time)
        check[str(level.value)] = -float(KaplanMeierFitter().fit(times, events).predict(time))
    return text(
        cohort,
        "ranking/which",
        f"lowest-survival-{factor.column}",
        f"Which level of {factor.phrase} has the lowest Kaplan-Meier probability of remaining free "
        f"of {follow.words} at {time:g} {follow.unit} ({follow.phrase})? Submit its code as text.",
        best(gold),
        f"""
        from lifelines import KaplanMeierFitter
        survival = {{}}
        for level, rows in {cohort.name}.groupby("{factor.column}"):
            km = KaplanMeierFitter().fit(rows["{follow.time}"], rows["{follow.event}"])
            survival[level] = km.predict({time:g})
        survival
        # %%
        submit(str(min(survival, key=survival.get)))
        """,
        choices=[str(level.value) for level in factor.levels],
        check=best(check),
    )


def order_by_rate(cohort: Cohort, factor: Factor) -> Question:
    """The levels by event rate."""
    follow = cohort.timed
    sums = cohort.frame.groupby(factor.column)[[follow.event, follow.time]].sum()
    check = {str(level): float(row.iloc[0] / row.iloc[1]) for level, row in sums.iterrows()}
    gold = {
        str(level.value): float(
            cohort.values(follow.event)[cohort.where(factor.column, level)].sum()
            / cohort.values(follow.time)[cohort.where(factor.column, level)].sum()
        )
        for level in factor.levels
    }
    return ordering(
        cohort,
        f"rate-{factor.column}",
        f"Order the levels of {factor.phrase} by the rate of {follow.words} per person-time "
        f"({follow.phrase}), highest first. Submit the list of their codes as text.",
        gold,
        check,
        f"""
        sums = {cohort.name}.groupby("{factor.column}")[["{follow.event}", "{follow.time}"]].sum()
        sums
        # %%
        rate = (sums["{follow.event}"] / sums["{follow.time}"]).sort_values(ascending=False)
        submit([str(level) for level in rate.index])
        """,
    )
