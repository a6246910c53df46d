"""Non-inferiority and equivalence of means and proportions, and bioequivalence."""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchside.suites.power import checks
from benchside.suites.power.designs import events, scenarios
from benchside.suites.power.designs.counted import (
    Counted,
    counted_pilot,
    reference_proportion,
)
from benchside.suites.power.designs.measured import (
    Measured,
    draw_difference,
    measured_pilot,
    spread,
)
from benchside.suites.power.formulas import means, proportions
from benchside.suites.power.study import (
    Design,
    Draw,
    Recipe,
    Sample,
    Sizes,
    Study,
    Test,
    Wording,
    draw_test,
    equal_groups,
    two_groups,
)

SOLVE = "from scipy.optimize import brentq\n"
MARGIN_RECIPE = Recipe(
    prepare="z_a = stats.norm.ppf(1 - alpha)",
    size="z_b = stats.norm.ppf(target)\n"
    "n = math.ceil(variance * (z_a + z_b) ** 2 / (margin + difference) ** 2)",
    power="standard_error = math.sqrt(variance / n)\n"
    "achieved = stats.norm.sf(z_a * standard_error - margin, difference, standard_error)",
    effect="standard_error = math.sqrt(variance / n)\n"
    "smallest = (z_a + stats.norm.ppf(target)) * standard_error - difference",
)
EQUIVALENCE_RECIPE = Recipe(
    prepare="def power_at(size, margin):\n"
    "    standard_error = sd * math.sqrt(2 / size)\n"
    "    reach = margin - stats.norm.ppf(1 - alpha) * standard_error\n"
    "    estimate = stats.norm(difference, standard_error)\n"
    "    return max(0.0, estimate.cdf(reach) - estimate.cdf(-reach))\n",
    size="n = 2\nwhile power_at(n, margin) < target:\n    n += 1",
    power="achieved = power_at(n, margin)",
    effect=f"{SOLVE}smallest = brentq(lambda m: power_at(n, m) - target, 0, 100 * sd, xtol=1e-12)",
)
CROSSOVER_RECIPE = Recipe(
    prepare="""\
from scipy.integrate import quad

def power_at(size, ratio):
    df = 2 * size - 2
    error = math.sqrt(math.log(1 + cv ** 2) / size)
    t = stats.t.ppf(1 - alpha, df)
    spread = stats.chi(df, scale=1 / math.sqrt(df))

    def inside(u):
        reach = math.log(1.25) - t * error * u
        limits = (np.array([reach, -reach]) - math.log(ratio)) / error
        upper, lower = stats.norm.cdf(limits)
        return (upper - lower) * spread.pdf(u)

    low, high = spread.ppf(1e-12), min(spread.isf(1e-12), math.log(1.25) / (t * error))
    return quad(inside, low, high, epsabs=1e-9)[0] if high > low else 0.0
""",
    size="n = 2\nwhile power_at(n, ratio) < target:\n    n += 1",
    power="achieved = power_at(n, ratio)",
    effect="from scipy.optimize import brentq\n"
    "smallest = brentq(lambda ratio: power_at(n, ratio) - target, 0.801, 1, xtol=1e-7)",
)


def _means(draw: Draw, wording: Measured, sample: Sample | None) -> Study:
    test, ratio = draw_test(draw, one_sided=True), draw.one_of((1, 1, 1, 2))
    first, second = wording.groups
    text, sd, code = spread(draw, wording, sample, "in both groups")
    margin = draw_difference(draw, wording, sd, 0.2, 0.75)
    loss = round(draw.one_of((0.0, 0.0, 0.3, -0.25)) * margin, wording.decimals + 1) + 0.0
    lines = [code or f"sd = {sd!r}", f"variance = sd ** 2 * (1 + 1 / {ratio})"]
    return Study(
        assumptions=f"{text} {_truth(first, second, -loss, wording.unit)}",
        effect=margin,
        effect_text=f"non-inferiority with a margin of {margin:g} {wording.unit}",
        effect_asked=f"smallest non-inferiority margin (in {wording.unit})",
        limits=(max(loss, 0.0), 50 * sd),
        power=lambda n, m: means.noninferiority(
            n, ratio=ratio, margin=m, difference=-loss, sd=sd, alpha=test.alpha
        ),
        check=lambda n, m: checks.two_samples_normal(n, ratio, (m - loss) / sd, test),
        test=test,
        sizes=two_groups(draw, wording.people, first, second, ratio),
        method="Use the normal approximation (normal rather than t quantiles, known standard "
        "deviation).",
        values={"difference": -loss},
        effect_values={"margin": margin},
        recipe=MARGIN_RECIPE,
        estimate="\n".join(lines),
    )


def _truth(first: str, second: str, difference: float, unit: str) -> str:
    if difference == 0:
        return f"The true means of the {first} and the {second} group are assumed to be equal."
    word = "higher" if difference > 0 else "lower"
    return (
        f"The true mean of the {first} group is assumed to be {abs(difference):g} {unit} {word} "
        f"than that of the {second} group."
    )


def _proportions(draw: Draw, wording: Counted, sample: Sample | None) -> Study:
    test, ratio = draw_test(draw, one_sided=True), draw.one_of((1, 1, 2))
    first, second = wording.groups
    text, p0, code = reference_proportion(draw, wording, sample, f"in the {second} group")
    margin = draw.between(0.05, 0.2, 3)
    loss = draw.one_of((0.0, 0.0, 0.01, 0.02, -0.01))
    p1 = p0 - loss
    lines = [
        code,
        f"p1 = p0 - {loss!r}",
        f"variance = p1 * (1 - p1) + p0 * (1 - p0) / {ratio}",
    ]
    spread_of = math.sqrt(p1 * (1 - p1) + p0 * (1 - p0) / ratio)
    same = "the same" if loss == 0 else f"{abs(loss):g} {'lower' if loss > 0 else 'higher'}"
    return Study(
        assumptions=f"{text} In the {first} group the true probability is {same}.",
        effect=margin,
        effect_text=f"non-inferiority with a margin of {margin:g} (absolute difference)",
        effect_asked="smallest non-inferiority margin (absolute difference of probabilities)",
        limits=(max(loss, 0.0), 5.0),
        power=lambda n, m: proportions.noninferiority(
            n, ratio=ratio, new=p1, standard=p0, margin=m, alpha=test.alpha
        ),
        check=lambda n, m: checks.normal(m - loss, n, test, spread_of, spread_of),
        test=test,
        sizes=two_groups(draw, wording.people, first, second, ratio),
        method="Use the normal approximation with the unpooled variance of the assumed "
        "probabilities, without continuity correction.",
        values={"difference": -loss},
        effect_values={"margin": margin},
        recipe=MARGIN_RECIPE,
        estimate="\n".join(lines),
    )


def _equivalence(draw: Draw, wording: Measured, sample: Sample | None) -> Study:
    test = Test(draw.one_of((0.025, 0.05, 0.05)), 1, named=False)
    text, sd, code = spread(draw, wording, sample, "in both groups")
    margin = draw_difference(draw, wording, sd, 0.22, 0.8)
    difference = round(draw.one_of((0.0, 0.1, 0.2, 0.3)) * margin, wording.decimals + 1)
    return Study(
        assumptions=f"{text} The true difference of the means is assumed to be {difference:g} "
        f"{wording.unit}.",
        effect=margin,
        effect_text=f"equivalence with limits of ±{margin:g} {wording.unit} for the difference of "
        "the means",
        effect_asked=f"smallest equivalence limit ±m (in {wording.unit})",
        limits=(0.0, 100 * sd),
        power=lambda n, m: means.equivalence(
            n, margin=m, difference=difference, sd=sd, alpha=test.alpha
        ),
        check=lambda n, m: checks.equivalence(n, m, difference, sd, test),
        test=test,
        sizes=equal_groups(draw, wording.people),
        method="This level holds for each of the two one-sided tests. Use the normal approximation "
        "(known standard deviation): the power is the probability that both tests reject.",
        values={"difference": difference} if sample else {"difference": difference, "sd": sd},
        effect_values={"margin": margin},
        recipe=EQUIVALENCE_RECIPE,
        estimate=code,
    )


@dataclass(frozen=True, slots=True)
class Crossover(Wording):
    """A scenario of average bioequivalence; `measure` is the pharmacokinetic quantity."""

    measure: str
    cv: tuple[float, float]


CROSSOVERS = (
    Crossover(
        "generic-metformin", "A generic metformin tablet is compared with the originator in a 2×2 "
        "crossover study of average bioequivalence.", "volunteers", "AUC", (0.14, 0.32),
    ),
    Crossover(
        "levothyroxine-capsule", "A soft capsule of levothyroxine is compared with the tablet in a "
        "2×2 crossover study of average bioequivalence.", "volunteers", "Cmax", (0.12, 0.3),
    ),
    Crossover(
        "tacrolimus-granules", "Granules and capsules of tacrolimus are compared in healthy "
        "people in a 2×2 crossover study of average bioequivalence.",
        "participants", "AUC", (0.2, 0.45),
    ),
    Crossover(
        "inhaled-budesonide", "Two budesonide inhalers are compared in a 2×2 crossover study of "
        "average bioequivalence.", "subjects", "Cmax", (0.2, 0.42),
    ),
    Crossover(
        "fed-ibuprofen", "An ibuprofen suspension is compared with a reference product after a "
        "meal in a 2×2 crossover study of average bioequivalence.",
        "volunteers", "AUC", (0.15, 0.38),
    ),
)  # fmt: skip


def _crossover(draw: Draw, wording: Crossover, _: Sample | None) -> Study:
    test = Test(draw.one_of((0.025, 0.05, 0.05)), 1, named=False)
    cv, ratio = draw.between(*wording.cv, 3), draw.between(0.9, 1.0, 3)
    return Study(
        assumptions=f"The within-subject coefficient of variation of {wording.measure} is "
        f"{100 * cv:g}% (log-normal, so that the variance on the log scale is log(1 + CV²)); the "
        "limits for the ratio of geometric means are 0.80 and 1.25, and both sequences have the "
        f"same number of {wording.people}.",
        effect=ratio,
        effect_text=f"bioequivalence if the true ratio of geometric means is {ratio:g}",
        effect_asked="smallest true ratio of geometric means below 1",
        limits=(0.801, 1.0),
        power=lambda n, r: means.bioequivalence(n, ratio=r, cv=cv, alpha=test.alpha),
        check=lambda n, r: checks.bioequivalence(n, r, cv, test),
        test=test,
        sizes=_sequences(draw, wording.people),
        method="This level holds for each of the two one-sided t tests. Use the exact power of the "
        "two tests together, with t quantiles and N - 2 degrees of freedom for N in total "
        "(no approximation by a shifted or noncentral t distribution).",
        values={"cv": cv},
        effect_values={"ratio": ratio},
        recipe=CROSSOVER_RECIPE,
    )


def _sequences(draw: Draw, unit: str) -> Sizes:
    """Equal sequences of a crossover; one sequence's size or the total is asked for."""
    asked, counted = draw.one_of(
        ((f"{unit} in total (both sequences together)", (1, 1)), (f"{unit} per sequence", (1,)))
    )
    given = draw.one_of((f"{{n}} {unit} per sequence", f"{{total}} {unit} in total"))
    rounding = "Round the size of one sequence up to a whole number."
    return Sizes(given, asked, (1, 1), counted, rounding)


NONINFERIORITY_MEANS = Design(
    "noninferiority-means", scenarios.NONINFERIORITY, _means, measured_pilot
)
NONINFERIORITY_PROPORTIONS = Design(
    "noninferiority-proportions", events.NONINFERIORITY, _proportions, counted_pilot
)
EQUIVALENCE_MEANS = Design("equivalence-means", scenarios.EQUIVALENCE, _equivalence, measured_pilot)
BIOEQUIVALENCE = Design("bioequivalence", CROSSOVERS, _crossover)
