"""Scenarios with a measured (continuous) outcome, and their pilot data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchside.suites.power.study import Draw, Sample, Wording


@dataclass(frozen=True, slots=True)
class Measured(Wording):
    """A scenario with a continuous outcome.

    Args:
        outcome, unit: what is measured.
        column: its column in the pilot data.
        mean: a typical value.
        sd: range of plausible standard deviations.
        decimals: with which values of this size are stated.
        groups: names of the groups that are compared.
    """

    outcome: str
    unit: str
    column: str
    mean: float
    sd: tuple[float, float]
    decimals: int
    groups: tuple[str, ...] = ()


def measured_pilot(rng: np.random.Generator, wording: Measured) -> pd.DataFrame:
    """One value per subject."""
    return pd.DataFrame({wording.column: _values(rng, wording, int(rng.integers(70, 120)))})


def paired_pilot(rng: np.random.Generator, wording: Measured) -> pd.DataFrame:
    """A value before and one after per subject, correlated 0.4 to 0.8."""
    n, correlation = int(rng.integers(70, 120)), rng.uniform(0.4, 0.8)
    sd = rng.uniform(*wording.sd)
    covariance = sd**2 * np.array([[1, correlation], [correlation, 1]])
    centre = [wording.mean, wording.mean - 0.2 * sd]
    values = rng.multivariate_normal(centre, covariance, n).round(wording.decimals + 1)
    return pd.DataFrame(
        {f"{wording.column}_before": values[:, 0], f"{wording.column}_after": values[:, 1]}
    )


def grouped_pilot(rng: np.random.Generator, wording: Measured) -> pd.DataFrame:
    """One value per subject in two groups with different means and a common deviation."""
    values = _values(rng, wording, int(rng.integers(80, 130)))
    group = rng.choice(wording.groups[:2], len(values))
    shift = 0.8 * wording.sd[1] * (group == wording.groups[0])
    return pd.DataFrame(
        {"group": group, wording.column: (values + shift).round(wording.decimals + 1)}
    )


def _values(rng: np.random.Generator, wording: Measured, n: int) -> np.ndarray:
    values = rng.normal(wording.mean, rng.uniform(*wording.sd), n)
    return values.round(wording.decimals + 1)


def draw_sd(draw: Draw, wording: Measured) -> float:
    """Return a standard deviation as a protocol would state it."""
    return draw.between(*wording.sd, wording.decimals + 1)


def sample_sd(sample: Sample, column: str) -> float:
    """Return the standard deviation with divisor n - 1."""
    values = sample.frame[column].to_numpy(dtype=float)
    return float(np.sqrt(np.sum((values - values.mean()) ** 2) / (len(values) - 1)))


def spread(
    draw: Draw, wording: Measured, sample: Sample | None, whom: str
) -> tuple[str, float, str]:
    """Return how the standard deviation is given, its value, and the code that estimates it.

    Args:
        whom: whose standard deviation, such as "in both groups".
    """
    if sample is None:
        sd = draw_sd(draw, wording)
        text = draw.one_of(
            (
                f"The standard deviation of {wording.outcome} is assumed to be {sd:g} "
                f"{wording.unit} {whom}.",
                f"{wording.outcome[0].upper()}{wording.outcome[1:]} is assumed to vary with a "
                f"standard deviation of {sd:g} {wording.unit} {whom}.",
            )
        )
        return text, sd, ""
    text = (
        f"The standard deviation of {wording.outcome} ({wording.unit}; the same {whom}) is to be "
        f"estimated, with divisor n - 1 and without rounding, from the column `{wording.column}` "
        f"of {sample.text}."
    )
    code = f'sd = pilot["{wording.column}"].std()'
    return text, sample_sd(sample, wording.column), code


def draw_difference(draw: Draw, wording: Measured, sd: float, low: float, high: float) -> float:
    """Return a difference of low to high standard deviations, rounded but never 0."""
    return max(
        draw.between(low * sd, high * sd, wording.decimals + 1), 10.0 ** -(wording.decimals + 1)
    )
