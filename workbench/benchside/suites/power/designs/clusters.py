"""Parallel cluster-randomised trials with a mean or a proportion as outcome."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from benchside.suites.power import checks
from benchside.suites.power.designs import events, scenarios
from benchside.suites.power.designs.counted import Counted, draw_change
from benchside.suites.power.designs.measured import Measured, draw_difference, draw_sd
from benchside.suites.power.formulas import clusters
from benchside.suites.power.study import (
    CodeValue,
    Design,
    Draw,
    Recipe,
    RejectedError,
    Sample,
    Study,
    draw_test,
    equal_groups,
)

METHOD = (
    "Use normal quantiles and the design effect 1 + ((1 + CV²) m - 1) ICC, where m is the mean "
    "cluster size and CV the coefficient of variation of the cluster sizes (0 if they are equal)"
    "{variance}; do not round the number of subjects before you convert it to clusters, add no "
    "clusters for small-sample correction, and ignore the wrong direction."
)
DESIGN_EFFECT = "design_effect = 1 + ((1 + size_cv ** 2) * size - 1) * icc"
Z = "z = stats.norm.ppf(1 - alpha / sides) + stats.norm.ppf(target)"
MEANS_RECIPE = Recipe(
    prepare=DESIGN_EFFECT,
    size=f"{Z}\nsubjects = 2 * sd ** 2 * z ** 2 / difference ** 2\n"
    "n = math.ceil(subjects * design_effect / size)",
    power="achieved = sms.NormalIndPower().power(\n"
    '    difference / sd, n * size / design_effect, alpha / sides, alternative="larger")',
    effect=f"{Z}\nsmallest = z * sd * math.sqrt(2 * design_effect / (n * size))",
)
PROPORTIONS_RECIPE = Recipe(
    prepare=DESIGN_EFFECT,
    size=f"{Z}\np1 = p0 + sign * change\n"
    "subjects = z ** 2 * (p1 * (1 - p1) + p0 * (1 - p0)) / change ** 2\n"
    "n = math.ceil(subjects * design_effect / size)",
    power="p1 = p0 + sign * change\n"
    "variance = (p1 * (1 - p1) + p0 * (1 - p0)) * design_effect / (n * size)\n"
    "achieved = stats.norm.cdf(change / math.sqrt(variance) - stats.norm.isf(alpha / sides))",
    effect=f"from scipy.optimize import brentq\n\n{Z}\n\n"
    "def clusters_for(change):\n"
    "    p1 = p0 + sign * change\n"
    "    subjects = z ** 2 * (p1 * (1 - p1) + p0 * (1 - p0)) / change ** 2\n"
    "    return subjects * design_effect / size\n\n"
    "room = (p0 if sign < 0 else 1 - p0) - 1e-9\n"
    "smallest = brentq(lambda change: clusters_for(change) - n, 1e-5, room)",
)


def _cluster_pilot(rng: np.random.Generator, wording: Measured) -> pd.DataFrame:
    """One value per subject in 12 to 16 clusters of equal size."""
    number, size, icc = int(rng.integers(12, 17)), int(rng.integers(8, 12)), rng.uniform(0.04, 0.2)
    sd = rng.uniform(*wording.sd)
    cluster = np.repeat(np.arange(1, number + 1), size)
    between = rng.normal(0, sd * math.sqrt(icc), number)[cluster - 1]
    within = rng.normal(0, sd * math.sqrt(1 - icc), len(cluster))
    values = (wording.mean + between + within).round(wording.decimals + 1)
    return pd.DataFrame({"cluster": cluster, wording.column: values})


def _clustering(draw: Draw) -> tuple[int, float, str, dict[str, CodeValue]]:
    """Draw mean cluster size and variation of sizes; return them with text and code values."""
    size, size_cv = int(draw.rng.integers(8, 70)), draw.one_of((0.0, 0.0, 0.3, 0.45, 0.6))
    text = f"All clusters have {size} participants."
    if size_cv:
        text = f"Clusters have {size} participants on average, with a coefficient of variation of "
        text += f"{size_cv:g}."
    return size, size_cv, text, {"size": size, "size_cv": size_cv}


def _means(draw: Draw, wording: Measured, sample: Sample | None) -> Study:
    test = draw_test(draw)
    size, size_cv, sizes, values = _clustering(draw)
    text, sd, icc, code = _variation(draw, wording, sample)
    difference = draw_difference(draw, wording, sd, 0.12, 0.6)
    return Study(
        assumptions=f"{sizes} {text}",
        effect=difference,
        effect_text=f"a true difference of {difference:g} {wording.unit} between the arms",
        effect_asked=f"smallest true difference between the arms (in {wording.unit})",
        limits=(1e-6 * sd, 50 * sd),
        power=lambda n, effect: clusters.cluster_means(
            n,
            size=size,
            icc=icc,
            size_cv=size_cv,
            difference=effect,
            sd=sd,
            alpha=test.alpha,
            sides=test.sides,
        ),
        check=lambda n, effect: checks.two_samples_normal(
            n * size / (1 - icc + size * icc + size * icc * size_cv**2), 1, effect / sd, test
        ),
        test=test,
        sizes=equal_groups(draw, wording.people, dropout=False),
        method=METHOD.format(variance=""),
        values=values,
        effect_values={"difference": difference},
        recipe=MEANS_RECIPE,
        estimate=code,
    )


def _variation(
    draw: Draw, wording: Measured, sample: Sample | None
) -> tuple[str, float, float, str]:
    """Total standard deviation and intracluster correlation, with text and code."""
    sd = draw_sd(draw, wording)
    stated = f"The total standard deviation of {wording.outcome} is {sd:g} {wording.unit}"
    if sample is None:
        icc = draw.between(0.005, 0.15, 3)
        text = f"{stated}, and the intracluster correlation coefficient is {icc:g}."
        return text, sd, icc, f"sd, icc = {sd!r}, {icc!r}"
    text = (
        f"{stated}. The intracluster correlation coefficient is to be estimated without rounding "
        f"from the column `{wording.column}` by the column `cluster` of {sample.text}, by the "
        "analysis of variance estimator (MSB - MSW) / (MSB + (m0 - 1) MSW) with "
        "m0 = (N - Σ m²/N) / (k - 1) for k clusters of sizes m with N subjects in total; a "
        "negative estimate counts as 0."
    )
    code = (
        f"sd = {sd!r}\n"
        f'grouped = pilot.groupby("cluster")["{wording.column}"]\n'
        "m, k = grouped.size(), grouped.ngroups\n"
        f'grand = pilot["{wording.column}"].mean()\n'
        "between = (m * (grouped.mean() - grand) ** 2).sum() / (k - 1)\n"
        "within = ((m - 1) * grouped.var().fillna(0)).sum() / (m.sum() - k)\n"
        "m0 = (m.sum() - (m ** 2).sum() / m.sum()) / (k - 1)\n"
        "icc = max(0.0, (between - within) / (between + (m0 - 1) * within))"
    )
    icc = anova_icc(sample.frame, wording.column)
    if icc < 0.005:
        raise RejectedError("no clustering in the pilot data")
    return text, sd, icc, code


def anova_icc(frame: pd.DataFrame, column: str) -> float:
    """Return the analysis of variance estimate of the intracluster correlation, at least 0.

    Source: Donner A. A review of inference procedures for the intraclass correlation coefficient in
        the one-way random effects model. Int Stat Rev 1986;54:67-82.
    """
    values = frame[column].to_numpy(float)
    sizes = frame.groupby("cluster")[column].transform("size").to_numpy(float)
    means = frame.groupby("cluster")[column].transform("mean").to_numpy(float)
    number, clusters_seen = len(values), frame["cluster"].nunique()
    between = float(np.sum((means - values.mean()) ** 2)) / (clusters_seen - 1)
    within = float(np.sum((values - means) ** 2)) / (number - clusters_seen)
    typical = (number - float(sizes.sum()) / number) / (clusters_seen - 1)
    return max(0.0, (between - within) / (between + (typical - 1) * within))


def _proportions(draw: Draw, wording: Counted, _: Sample | None) -> Study:
    test, sign = draw_test(draw), -1 if wording.falls else 1
    size, size_cv, sizes, values = _clustering(draw)
    first, second = wording.groups
    p0, icc = draw.between(*wording.proportion, 3), draw.between(0.005, 0.12, 3)
    change = draw_change(draw, wording, p0, 0.15, 0.6)
    way, noun = ("lower", "decrease") if wording.falls else ("higher", "increase")

    def check(n: float, d: float) -> float:
        p1 = p0 + sign * d
        inflation = 1 - icc + size * icc + size * icc * size_cv**2
        spread = math.sqrt((p1 * (1 - p1) + p0 * (1 - p0)) * inflation / size)
        return checks.normal(d, n, test, spread, spread)

    return Study(
        assumptions=f"{sizes} The probability of {wording.event} in the {second} arm is {p0:g}, "
        f"and the intracluster correlation coefficient is {icc:g}.",
        effect=change,
        effect_text=f"a probability that is {change:g} {way} (absolute difference) in the {first} "
        "arm",
        effect_asked=f"smallest absolute {noun} of the probability in the {first} arm compared "
        f"with the {second} arm",
        limits=(1e-5, (p0 if wording.falls else 1 - p0) - 1e-9),
        power=lambda n, d: clusters.cluster_proportions(
            n,
            size=size,
            icc=icc,
            size_cv=size_cv,
            p1=p0 + sign * d,
            p2=p0,
            alpha=test.alpha,
            sides=test.sides,
        ),
        check=check,
        test=test,
        sizes=equal_groups(draw, wording.people, dropout=False),
        method=METHOD.format(variance=", with the unpooled variance of the two proportions"),
        values={**values, "sign": sign, "p0": p0, "icc": icc},
        effect_values={"change": change},
        recipe=PROPORTIONS_RECIPE,
    )


CLUSTER_MEANS = Design("cluster-means", scenarios.CLUSTERED, _means, _cluster_pilot)
CLUSTER_PROPORTIONS = Design("cluster-proportions", events.CLUSTERED, _proportions)
