"""Correlation of two measurements."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchside.suites.power import checks
from benchside.suites.power.formulas import association
from benchside.suites.power.study import (
    Design,
    Draw,
    Recipe,
    RejectedError,
    Sample,
    Study,
    Wording,
    draw_test,
    one_group,
)


@dataclass(frozen=True, slots=True)
class Paired(Wording):
    """A scenario with two measurements per subject; `names` for people, `columns` in the data."""

    names: tuple[str, str]
    columns: tuple[str, str]


SCENARIOS = (
    Paired(
        "bmi-leptin", "The association of body mass index and serum leptin is studied by Pearson's "
        "correlation.", "adults", ("body mass index", "leptin"), ("bmi", "leptin"),
    ),
    Paired(
        "sleep-cortisol", "Sleep quality and morning cortisol of students are to be correlated.",
        "students", ("the sleep quality score", "morning cortisol"), ("sleep", "cortisol"),
    ),
    Paired(
        "gene-protein", "In tumour tissue, the log expression of a gene and the level of its "
        "protein are to be correlated.",
        "tumours", ("log expression", "the protein level"), ("expression", "protein"),
    ),
    Paired(
        "workload-errors", "A nursing study correlates the workload of a shift with the number of "
        "reported near misses on a log scale.",
        "shifts", ("workload", "log near misses"), ("workload", "log_misses"),
    ),
    Paired(
        "carotid-age", "Carotid intima-media thickness is to be correlated with pulse wave "
        "velocity in people with diabetes.",
        "participants", ("intima-media thickness", "pulse wave velocity"), ("imt", "pwv"),
    ),
)  # fmt: skip

RECIPE = Recipe(
    prepare="null_z = math.atanh(null_r)",
    size="z_a, z_b = stats.norm.ppf(1 - alpha / sides), stats.norm.ppf(target)\n"
    "n = math.ceil(((z_a + z_b) / (math.atanh(r) - null_z)) ** 2 + 3)",
    power="standard_error = 1 / math.sqrt(n - 3)\n"
    "limit = null_z + stats.norm.isf(alpha / sides, scale=standard_error)\n"
    "achieved = stats.norm.sf(limit, loc=math.atanh(r), scale=standard_error)",
    effect="z_a, z_b = stats.norm.ppf(1 - alpha / sides), stats.norm.ppf(target)\n"
    "smallest = math.tanh(null_z + (z_a + z_b) / math.sqrt(n - 3))",
)


def _pilot(rng: np.random.Generator, wording: Paired) -> pd.DataFrame:
    """Two correlated standard scores per subject on a plausible scale."""
    n, r = int(rng.integers(60, 100)), rng.uniform(0.25, 0.6)
    values = 50 + 10 * rng.multivariate_normal([0, 0], [[1, r], [r, 1]], n)
    return pd.DataFrame(values.round(1), columns=list(wording.columns))


def _plan(draw: Draw, wording: Paired, sample: Sample | None) -> Study:
    test = draw_test(draw)
    null = draw.one_of((0.0, 0.0, 0.1, 0.15, 0.2))
    one, other = wording.names
    true, truth, code = _true_correlation(draw, wording, sample, null)
    return Study(
        assumptions=f"The correlation of {one} and {other} is {null:g} under the null hypothesis.",
        effect=true,
        effect_text=truth,
        effect_asked=f"smallest true correlation above {null:g}",
        limits=(null + 1e-6, 0.999999),
        power=lambda n, r: association.correlation(
            n, true=r, null=null, alpha=test.alpha, sides=test.sides
        ),
        check=lambda n, r: checks.normal(math.atanh(r) - math.atanh(null), n - 3, test, 1, 1),
        test=test,
        sizes=one_group(wording.people),
        method="Use Fisher's z transformation with standard error 1/√(n - 3), without bias "
        "correction, and ignore the chance of a significant result in the wrong direction.",
        values={"null_r": null},
        effect_values={} if sample else {"r": true},
        recipe=RECIPE,
        estimate=code,
        start=5,
    )


def _true_correlation(
    draw: Draw, wording: Paired, sample: Sample | None, null: float
) -> tuple[float, str, str]:
    """The assumed correlation: stated, or Pearson's correlation of the pilot data."""
    if sample is None:
        true = draw.between(null + 0.08, null + 0.5, 3)
        return true, f"a true correlation of {true:g}", ""
    first, second = (sample.frame[column].to_numpy(dtype=float) for column in wording.columns)
    true = float(np.corrcoef(first, second)[0, 1])
    if true < null + 0.05:
        raise RejectedError("pilot correlation too small")
    one, other = wording.columns
    text = (
        f"a true correlation equal to Pearson's correlation, not rounded, of the columns `{one}` "
        f"and `{other}` of {sample.text}"
    )
    return true, text, f'r = pilot["{one}"].corr(pilot["{other}"])'


CORRELATION = Design("correlation", SCENARIOS, _plan, _pilot)
