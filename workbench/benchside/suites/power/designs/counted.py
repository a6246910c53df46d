"""Scenarios with a yes/no outcome, and their pilot data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchside.suites.power.study import Draw, Sample, Wording


@dataclass(frozen=True, slots=True)
class Counted(Wording):
    """A scenario with a binary outcome.

    Args:
        event: what is counted, such as "surgical site infection".
        column: its 0/1 column in the pilot data.
        proportion: range of plausible probabilities in the reference group.
        falls: True where the studied effect lowers the probability.
        groups: the studied group and the reference group.
    """

    event: str
    column: str
    proportion: tuple[float, float]
    falls: bool
    groups: tuple[str, str] = ("", "")


def counted_pilot(rng: np.random.Generator, wording: Counted) -> pd.DataFrame:
    """One 0/1 value per subject of the reference group."""
    n = int(rng.integers(150, 260))
    events = rng.random(n) < rng.uniform(*wording.proportion)
    return pd.DataFrame({wording.column: events.astype(int)})


def reference_proportion(
    draw: Draw, wording: Counted, sample: Sample | None, whom: str
) -> tuple[str, float, str]:
    """Return how the reference probability `p0` is given, its value, and the code for it."""
    if sample is None:
        p0 = draw.between(*wording.proportion, 3)
        return f"The probability of {wording.event} {whom} is {p0:g}.", p0, f"p0 = {p0!r}"
    events = sample.frame[wording.column].to_numpy(dtype=float)
    text = (
        f"Take as the probability of {wording.event} {whom} the observed proportion, not rounded, "
        f"in the column `{wording.column}` (1 = yes) of {sample.text}."
    )
    return text, float(events.sum() / len(events)), f'p0 = pilot["{wording.column}"].mean()'


def draw_change(draw: Draw, wording: Counted, p0: float, low: float, high: float) -> float:
    """Return a change of probability: low to high of the room there is, 0.01 at least."""
    room = p0 if wording.falls else 1 - p0
    return max(draw.between(low * room, high * room, 3), 0.01)
