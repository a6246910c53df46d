"""Designs with proportions: one sample, two groups, matched pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchside.suites.power import checks
from benchside.suites.power.designs import events
from benchside.suites.power.designs.counted import (
    Counted,
    counted_pilot,
    draw_change,
    reference_proportion,
)
from benchside.suites.power.formulas import proportions
from benchside.suites.power.formulas.proportions import Comparison
from benchside.suites.power.study import (
    Design,
    Draw,
    Recipe,
    Sample,
    Study,
    Wording,
    draw_test,
    one_group,
    two_groups,
)

ONE_DIRECTION = (
    "Use the normal approximation without continuity correction and ignore the chance of a "
    "significant result in the wrong direction."
)
ONE_WAY = "ignore the chance of a significant result in the wrong direction."
METHODS: dict[Comparison, str] = {
    "pooled": "Use the normal approximation without continuity correction, with the pooled "
    "variance under the null hypothesis and the unpooled variance under the alternative (Fleiss), "
    f"and {ONE_WAY}",
    "unpooled": "Use the normal approximation with the unpooled variance p1(1 - p1) and "
    "p2(1 - p2) both under the null hypothesis and the alternative, without continuity "
    f"correction, and {ONE_WAY}",
    "arcsine": "Use Cohen's effect size h (difference of 2 arcsin √p) with the normal "
    f"approximation and {ONE_WAY}",
    "continuity": "Use the formula of Fleiss, Tytun and Ury: the pooled normal approximation with "
    "their continuity correction (the uncorrected size m of the {first} group becomes "
    "m/4 (1 + √(1 + 2(r + 1)/(m r |p1 - p2|)))², r being the size of the {second} group relative "
    f"to the {{first}} group; round only the final size), and {ONE_WAY}",
}
Z = "z_a, z_b = stats.norm.ppf(1 - alpha / sides), stats.norm.ppf(target)"
SOLVE = "from scipy.optimize import brentq\n"

ONE_RECIPE = Recipe(
    size=f"{Z}\np1 = p0 + sign * change\n"
    "n = (z_a * math.sqrt(p0 * (1 - p0)) + z_b * math.sqrt(p1 * (1 - p1))) ** 2 / change ** 2\n"
    "n = math.ceil(n)",
    power="p1 = p0 + sign * change\n"
    "limit = stats.norm.isf(alpha / sides, scale=math.sqrt(p0 * (1 - p0) / n))\n"
    "achieved = stats.norm.sf(limit, loc=change, scale=math.sqrt(p1 * (1 - p1) / n))",
    effect=f"{SOLVE}\n"
    "def power_at(d):\n"
    "    p1 = p0 + sign * d\n"
    "    limit = stats.norm.isf(alpha / sides, scale=math.sqrt(p0 * (1 - p0) / n))\n"
    "    return stats.norm.sf(limit, loc=d, scale=math.sqrt(p1 * (1 - p1) / n))\n\n"
    "smallest = brentq(lambda d: power_at(d) - target, 1e-5, (p0 if sign < 0 else 1 - p0) - 1e-9)",
)
BOTH = "def variances(p1):\n    pooled = (p1 + ratio * p0) / (1 + ratio)\n"
TRUE = "p1 * (1 - p1) + p0 * (1 - p0) / ratio"
PREPARE: dict[Comparison, str] = {
    "pooled": f"{BOTH}    return (1 + 1 / ratio) * pooled * (1 - pooled), {TRUE}\n\n"
    "def distance(p1):\n    return abs(p1 - p0)\n",
    "unpooled": f"def variances(p1):\n    true = {TRUE}\n    return true, true\n\n"
    "def distance(p1):\n    return abs(p1 - p0)\n",
    "arcsine": "def variances(p1):\n    return 1 + 1 / ratio, 1 + 1 / ratio\n\n"
    "def distance(p1):\n    return abs(sms.proportion_effectsize(p1, p0))\n",
    "continuity": f"{BOTH}    return (1 + 1 / ratio) * pooled * (1 - pooled), {TRUE}\n\n"
    "def distance(p1):\n    return abs(p1 - p0)\n",
}
UNCORRECT = (
    "    c = (1 + ratio) / (2 * ratio * abs(p1 - p0))\n    size = max(size - c, 0) ** 2 / size\n"
)
CORRECT = (
    "c = (1 + ratio) / (2 * ratio * change)\nn = n / 4 * (1 + math.sqrt(1 + 4 * c / n)) ** 2\n"
)


def _two_recipe(by: Comparison) -> Recipe:
    """The closed size formula; power and effect by the normal distribution."""
    corrected = by == "continuity"
    power_at = (
        "def power_at(p1, size):\n"
        + (UNCORRECT if corrected else "")
        + "    null, true = variances(p1)\n"
        "    limit = stats.norm.isf(alpha / sides, scale=math.sqrt(null / size))\n"
        "    return stats.norm.sf(limit, loc=distance(p1), scale=math.sqrt(true / size))\n\n"
    )
    if corrected:
        power_at = power_at.replace(
            "    null, true", "    if size == 0:\n        return 0.0\n    null, true"
        )
    return Recipe(
        prepare=PREPARE[by],
        size=f"{Z}\np1 = p0 + sign * change\nnull, true = variances(p1)\n"
        "n = (z_a * math.sqrt(null) + z_b * math.sqrt(true)) ** 2 / distance(p1) ** 2\n"
        + (CORRECT if corrected else "")
        + "n = math.ceil(n)",
        power=f"{power_at}achieved = power_at(p0 + sign * change, n)",
        effect=f"{SOLVE}\n{power_at}"
        "room = (p0 if sign < 0 else 1 - p0) - 1e-9\n"
        "smallest = brentq(lambda d: power_at(p0 + sign * d, n) - target, 1e-5, room)",
    )


def _one(draw: Draw, wording: Counted, sample: Sample | None) -> Study:
    test = draw_test(draw)
    text, p0, code = reference_proportion(draw, wording, sample, "under the null hypothesis")
    change, sign = draw_change(draw, wording, p0, 0.08, 0.6), -1 if wording.falls else 1
    way = "below" if wording.falls else "above"
    room = (p0 if wording.falls else 1 - p0) - 1e-9
    return Study(
        assumptions=text,
        effect=change,
        effect_text=f"a true probability that lies {change:g} {way} the null value",
        effect_asked=f"smallest distance of the true probability {way} the null value",
        limits=(1e-5, room),
        power=lambda n, d: proportions.one_proportion(
            n, null=p0, true=p0 + sign * d, alpha=test.alpha, sides=test.sides
        ),
        check=lambda n, d: checks.normal(
            d,
            n,
            test,
            math.sqrt(p0 * (1 - p0)),
            math.sqrt((p0 + sign * d) * (1 - p0 - sign * d)),
        ),
        test=test,
        sizes=one_group(wording.people),
        method=ONE_DIRECTION
        + " The variance is that of the null hypothesis for the critical value "
        "and the true one for the power.",
        values={"sign": sign},
        effect_values={"change": change},
        recipe=ONE_RECIPE,
        estimate=code,
    )


def _two(draw: Draw, wording: Counted, sample: Sample | None) -> Study:
    test, ratio = draw_test(draw), draw.one_of((1, 1, 2, 3))
    by: Comparison = draw.one_of(("pooled", "pooled", "unpooled", "arcsine", "continuity"))
    first, second = wording.groups
    text, p0, code = reference_proportion(draw, wording, sample, f"in the {second} group")
    change, sign = draw_change(draw, wording, p0, 0.1, 0.65), -1 if wording.falls else 1
    way, noun = ("lower", "decrease") if wording.falls else ("higher", "increase")
    room = (p0 if wording.falls else 1 - p0) - 1e-9

    def check(n: float, d: float) -> float:
        p1 = p0 + sign * d
        if by == "arcsine":
            return checks.two_proportions_arcsine(n, ratio, p1, p0, test)
        if by == "unpooled":
            true = math.sqrt(p1 * (1 - p1) + p0 * (1 - p0) / ratio)
            return checks.normal(d, n, test, true, true)
        if by == "continuity":
            n = checks.without_continuity(n, ratio, d)
        return checks.two_proportions(n, ratio, p1, p0, test)

    return Study(
        assumptions=text,
        effect=change,
        effect_text=f"a probability that is {change:g} {way} (absolute difference) in the {first} "
        "group",
        effect_asked=f"smallest absolute {noun} of the probability in the {first} group compared "
        f"with the {second} group",
        limits=(1e-5, room),
        power=lambda n, d: proportions.two_proportions(
            n, ratio=ratio, p1=p0 + sign * d, p2=p0, alpha=test.alpha, sides=test.sides, by=by
        ),
        check=check,
        test=test,
        sizes=two_groups(draw, wording.people, first, second, ratio),
        method=METHODS[by].format(first=first, second=second),
        values={"sign": sign, "ratio": ratio},
        effect_values={"change": change},
        recipe=_two_recipe(by),
        estimate=code,
    )


@dataclass(frozen=True, slots=True)
class Matched(Wording):
    """A scenario with two yes/no findings per pair.

    Args:
        findings: what the two are, as plural nouns.
        columns: their 0/1 columns in the pilot data.
        discordant: range of the probability that they differ.
    """

    findings: tuple[str, str]
    columns: tuple[str, str]
    discordant: tuple[float, float]


MATCHED = (
    Matched(
        "melanoma-imaging", "Two imaging methods are applied to each suspicious skin lesion and "
        "compared by McNemar's test in the proportion of positive results.",
        "lesions", ("dermoscopy", "confocal microscopy"), ("dermoscopy", "confocal"), (0.14, 0.38),
    ),
    Matched(
        "sputum-tests", "Each sputum sample is examined by culture and by a rapid PCR test; the "
        "detection rates are compared by McNemar's test.",
        "samples", ("culture", "PCR"), ("culture", "pcr"), (0.12, 0.32),
    ),
    Matched(
        "matched-case-control", "Cases of stroke are matched one to one with controls, and recent "
        "infection is compared within the pairs by McNemar's test.",
        "pairs", ("cases", "controls"), ("case", "control"), (0.2, 0.5),
    ),
    Matched(
        "rash-two-arms", "Each volunteer has a cream on one forearm and its base on the other; the "
        "occurrence of a rash is compared by McNemar's test.",
        "volunteers", ("cream", "base"), ("cream", "base"), (0.1, 0.35),
    ),
    Matched(
        "knowledge-before-after", "Nurses answer the same safety question before and after a "
        "training; the proportions of correct answers are compared by McNemar's test.",
        "nurses", ("after", "before"), ("after", "before"), (0.22, 0.55),
    ),
)  # fmt: skip

MCNEMAR_RECIPE = Recipe(
    size=f"{Z}\n"
    "root = z_a * math.sqrt(discordant) + z_b * math.sqrt(discordant - delta ** 2)\n"
    "n = math.ceil((root / delta) ** 2)",
    power="limit = stats.norm.isf(alpha / sides, scale=math.sqrt(discordant / n))\n"
    "achieved = stats.norm.sf(limit, loc=delta, scale=math.sqrt((discordant - delta ** 2) / n))",
    effect=f"{SOLVE}\n"
    "def power_at(d):\n"
    "    limit = stats.norm.isf(alpha / sides, scale=math.sqrt(discordant / n))\n"
    "    return stats.norm.sf(limit, loc=d, scale=math.sqrt((discordant - d ** 2) / n))\n\n"
    "smallest = brentq(lambda d: power_at(d) - target, 1e-5, discordant - 1e-9)",
)


def _matched_pilot(rng: np.random.Generator, wording: Matched) -> pd.DataFrame:
    """Two 0/1 findings per pair, in which the first one is positive more often."""
    n, discordant = int(rng.integers(150, 240)), rng.uniform(*wording.discordant)
    cells = [0.65 * discordant, 0.35 * discordant, 0.4 * (1 - discordant), 0.6 * (1 - discordant)]
    pairs = np.array([(1, 0), (0, 1), (1, 1), (0, 0)])[rng.choice(4, n, p=cells)]
    return pd.DataFrame(pairs, columns=list(wording.columns))


def _matched(draw: Draw, wording: Matched, sample: Sample | None) -> Study:
    test = draw_test(draw)
    one, other = wording.findings
    between = (
        f"between the probability of ({one} positive, {other} negative) and that of ({one} "
        f"negative, {other} positive)"
    )
    text, discordant, code = _discordant(draw, wording, sample)
    delta = max(draw.between(0.2 * discordant, 0.75 * discordant, 3), 0.01)
    return Study(
        assumptions=text,
        effect=delta,
        effect_text=f"a difference of {delta:g} {between}",
        effect_asked=f"smallest difference {between}",
        limits=(1e-5, discordant - 1e-9),
        power=lambda n, d: proportions.mcnemar(
            n, difference=d, discordant=discordant, alpha=test.alpha, sides=test.sides
        ),
        check=lambda n, d: checks.normal(
            d, n, test, math.sqrt(discordant), math.sqrt(discordant - d * d)
        ),
        test=test,
        sizes=one_group(wording.people, dropout=False),
        method="Use Connor's formula (normal approximation without continuity correction, variance "
        "ψ under the null hypothesis and ψ - δ² under the alternative, where ψ is the probability "
        "of a discordant result and δ the difference) and ignore the wrong direction.",
        values={},
        effect_values={"delta": delta},
        recipe=MCNEMAR_RECIPE,
        estimate=code,
    )


def _discordant(draw: Draw, wording: Matched, sample: Sample | None) -> tuple[str, float, str]:
    if sample is None:
        share = draw.between(*wording.discordant, 3)
        text = (
            f"The two findings are expected to differ (one positive, one negative) in a "
            f"proportion of {share:g} of the {wording.people}."
        )
        return text, share, f"discordant = {share!r}"
    one, other = wording.columns
    share = float(np.mean(sample.frame[one].to_numpy() != sample.frame[other].to_numpy()))
    text = (
        "The probability that the two findings differ is the observed proportion, not rounded, of "
        f"{wording.people} with different values in the columns `{one}` and `{other}` of "
        f"{sample.text}."
    )
    return text, share, f'discordant = (pilot["{one}"] != pilot["{other}"]).mean()'


ONE_PROPORTION = Design("one-proportion", events.ONE_SAMPLE, _one, counted_pilot)
TWO_PROPORTIONS = Design("two-proportions", events.TWO_GROUPS, _two, counted_pilot)
MCNEMAR = Design("mcnemar", MATCHED, _matched, _matched_pilot)
