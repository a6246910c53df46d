"""Designs with t and F tests: one sample, two samples, pairs, several groups."""

from __future__ import annotations

import math

import numpy as np

from benchside.suites.power import checks
from benchside.suites.power.designs import scenarios
from benchside.suites.power.designs.measured import (
    Measured,
    draw_difference,
    draw_sd,
    grouped_pilot,
    measured_pilot,
    paired_pilot,
    spread,
)
from benchside.suites.power.formulas import means
from benchside.suites.power.study import (
    Design,
    Draw,
    Recipe,
    Sample,
    Study,
    Test,
    draw_test,
    equal_groups,
    one_group,
    two_groups,
)

NONCENTRAL_T = (
    "Use the exact power of the t test (noncentral t distribution; for a two-sided test, both "
    "tails count)."
)
ALTERNATIVE = 'alternative = "two-sided" if sides == 2 else "larger"'
ONE_SAMPLE_RECIPE = Recipe(
    prepare=f"solver = sms.TTestPower()\n{ALTERNATIVE}",
    size="n = math.ceil(solver.solve_power(\n"
    "    difference / sd, alpha=alpha, power=target, alternative=alternative))",
    power="achieved = solver.power(difference / sd, n, alpha, alternative=alternative)",
    effect="smallest = sd * solver.solve_power(\n"
    "    nobs=n, alpha=alpha, power=target, alternative=alternative)",
)
TWO_SAMPLE_RECIPE = Recipe(
    prepare=f"solver = sms.TTestIndPower()\n{ALTERNATIVE}",
    size="n = math.ceil(solver.solve_power(\n"
    "    difference / sd, alpha=alpha, power=target, ratio=ratio, alternative=alternative))",
    power="achieved = solver.power(\n"
    "    difference / sd, n, alpha, ratio=ratio, alternative=alternative)",
    effect="smallest = sd * solver.solve_power(\n"
    "    nobs1=n, alpha=alpha, power=target, ratio=ratio, alternative=alternative)",
)
ANOVA_RECIPE = Recipe(
    prepare="solver = sms.FTestAnovaPower()",
    size="f = np.std(means) / sd\n"
    "total = solver.solve_power(f, alpha=alpha, power=target, k_groups=groups)\n"
    "n = math.ceil(total / groups)",
    power="f = np.std(means) / sd\nachieved = solver.power(f, groups * n, alpha, k_groups=groups)",
    effect="smallest = solver.solve_power(\n"
    "    nobs=groups * n, alpha=alpha, power=target, k_groups=groups)",
)


def _one_sample(draw: Draw, wording: Measured, sample: Sample | None) -> Study:
    test = draw_test(draw)
    text, sd, code = spread(draw, wording, sample, f"among the {wording.people}")
    difference = draw_difference(draw, wording, sd, 0.1, 0.9)
    return Study(
        assumptions=text,
        effect=difference,
        effect_text=f"a true mean that lies {difference:g} {wording.unit} away from the reference "
        "value" + _direction(test),
        effect_asked=f"smallest true distance between mean and reference value (in {wording.unit})",
        limits=(difference / 10, 6 * difference),
        power=lambda n, effect: means.one_sample_t(
            n, difference=effect, sd=sd, alpha=test.alpha, sides=test.sides
        ),
        check=lambda n, effect: checks.one_sample_t(n, effect / sd, test),
        test=test,
        sizes=one_group(wording.people),
        method=NONCENTRAL_T,
        values={} if sample else {"sd": sd},
        effect_values={"difference": difference},
        recipe=ONE_SAMPLE_RECIPE,
        estimate=code,
    )


def _two_sample(draw: Draw, wording: Measured, sample: Sample | None) -> Study:
    test, ratio = draw_test(draw), draw.one_of((1, 1, 2, 3))
    text, sd, code = spread(draw, wording, sample, "in both groups")
    difference = draw_difference(draw, wording, sd, 0.12, 1.0)
    first, second = wording.groups
    return Study(
        assumptions=text,
        effect=difference,
        effect_text=f"a true difference of {difference:g} {wording.unit} between the two means"
        + _direction(test),
        effect_asked=f"smallest true difference between the two means (in {wording.unit})",
        limits=(difference / 10, 6 * difference),
        power=lambda n, effect: means.two_sample_t(
            n, ratio=ratio, difference=effect, sd=sd, alpha=test.alpha, sides=test.sides
        ),
        check=lambda n, effect: checks.two_sample_t(n, ratio, effect / sd, test),
        test=test,
        sizes=two_groups(draw, wording.people, first, second, ratio),
        method=NONCENTRAL_T,
        values={"ratio": ratio} if sample else {"ratio": ratio, "sd": sd},
        effect_values={"difference": difference},
        recipe=TWO_SAMPLE_RECIPE,
        estimate=code,
    )


def _paired(draw: Draw, wording: Measured, sample: Sample | None) -> Study:
    test = draw_test(draw)
    text, sd, code = _paired_spread(draw, wording, sample)
    difference = draw_difference(draw, wording, sd, 0.12, 0.9)
    return Study(
        assumptions=text,
        effect=difference,
        effect_text=f"a true mean change of {difference:g} {wording.unit}" + _direction(test),
        effect_asked=f"smallest true mean change (in {wording.unit})",
        limits=(difference / 10, 6 * difference),
        power=lambda n, effect: means.one_sample_t(
            n, difference=effect, sd=sd, alpha=test.alpha, sides=test.sides
        ),
        check=lambda n, effect: checks.one_sample_t(n, effect / sd, test),
        test=test,
        sizes=one_group(wording.people),
        method=NONCENTRAL_T,
        values={},
        effect_values={"difference": difference},
        recipe=ONE_SAMPLE_RECIPE,
        estimate=code,
    )


def _paired_spread(draw: Draw, wording: Measured, sample: Sample | None) -> tuple[str, float, str]:
    """The standard deviation of the change: stated, from the correlation, or from pilot data."""
    if sample is not None:
        before, after = f"{wording.column}_before", f"{wording.column}_after"
        changes = (sample.frame[after] - sample.frame[before]).to_numpy(dtype=float)
        text = (
            "The standard deviation of the individual changes is to be estimated, with divisor "
            f"n - 1 and without rounding, from the columns `{before}` and `{after}` of "
            f"{sample.text}."
        )
        code = f'sd = (pilot["{after}"] - pilot["{before}"]).std()'
        return text, float(np.std(changes, ddof=1)), code
    sd = draw_sd(draw, wording)
    if draw.rng.random() < 0.5:
        text = f"The individual changes have a standard deviation of {sd:g} {wording.unit}."
        return text, sd, f"sd = {sd!r}"
    correlation = draw.between(0.3, 0.85, 2)
    text = (
        f"Before and after, {wording.outcome} has a standard deviation of {sd:g} {wording.unit}; "
        f"the correlation of the two measurements of a subject is {correlation:g}."
    )
    code = f"sd = {sd!r} * math.sqrt(2 * (1 - {correlation!r}))"
    return text, sd * math.sqrt(2 * (1 - correlation)), code


def _anova(draw: Draw, wording: Measured, sample: Sample | None) -> Study:
    test = Test(draw.one_of((0.01, 0.05, 0.05, 0.10)), 1, named=False)
    groups = len(wording.groups)
    text, sd, code = _within_spread(draw, wording, sample)
    offsets = [draw.between(-0.45 * sd, 0.45 * sd, wording.decimals + 1) for _ in wording.groups]
    centres = tuple(round(wording.mean + offset, wording.decimals + 1) for offset in offsets)
    effect = means.cohen_f(centres, sd)
    listed = ", ".join(f"{c:g} ({g})" for c, g in zip(centres, wording.groups, strict=True))
    return Study(
        assumptions=text,
        effect=effect,
        effect_text=f"true group means (in {wording.unit}) of {listed}",
        effect_asked="smallest effect size Cohen's f",
        limits=(effect / 10, 6 * effect),
        power=lambda n, effect: means.anova(n, groups=groups, effect=effect, alpha=test.alpha),
        check=lambda n, effect: checks.anova(n, groups, effect, test),
        test=test,
        sizes=equal_groups(draw, wording.people, groups),
        method="Use the exact power of the F test (noncentral F distribution with noncentrality N "
        "f², N the total sample size, and Cohen's f with divisor k in the variance of the means).",
        values={"groups": groups} if sample else {"groups": groups, "sd": sd},
        effect_values={"means": centres},
        recipe=ANOVA_RECIPE,
        estimate=code,
    )


def _within_spread(draw: Draw, wording: Measured, sample: Sample | None) -> tuple[str, float, str]:
    """The common within-group standard deviation: stated, or pooled from pilot data."""
    if sample is None:
        return spread(draw, wording, None, "within each group")
    grouped = sample.frame.groupby("group")[wording.column]
    squares = float((grouped.var(ddof=1) * (grouped.count() - 1)).sum())
    sd = math.sqrt(squares / (len(sample.frame) - grouped.ngroups))
    text = (
        f"The within-group standard deviation of {wording.outcome} ({wording.unit}) is the square "
        "root of the residual mean square of a one-way analysis of variance (pooled over the "
        f"groups, not rounded) of the column `{wording.column}` by the column `group` of "
        f"{sample.text}."
    )
    code = (
        f'column = pilot["{wording.column}"]\n'
        'residual = column - column.groupby(pilot["group"]).transform("mean")\n'
        'sd = math.sqrt((residual ** 2).sum() / (len(pilot) - pilot["group"].nunique()))'
    )
    return text, sd, code


def _direction(test: Test) -> str:
    return " in the hypothesised direction" if test.sides == 1 else ""


ONE_SAMPLE_T = Design("one-sample-t", scenarios.ONE_SAMPLE, _one_sample, measured_pilot)
TWO_SAMPLE_T = Design("two-sample-t", scenarios.TWO_SAMPLE, _two_sample, measured_pilot)
PAIRED_T = Design("paired-t", scenarios.PAIRED, _paired, paired_pilot)
ANOVA = Design("one-way-anova", scenarios.SEVERAL_GROUPS, _anova, grouped_pilot)
