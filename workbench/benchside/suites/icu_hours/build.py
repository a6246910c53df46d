"""Building the suite: one generated unit after the other, until there are enough questions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from benchside.suite import BuildOptions, SuiteBuild
from benchside.suites.icu_hours.generate import generate
from benchside.suites.mimic_extract.build import pose_subsets
from benchside.suites.mimic_extract.extract import Extract

STAYS = 4000  # of a unit


def build(options: BuildOptions) -> SuiteBuild:
    """Generate `options.size` questions from `options.seed`."""
    return pose_subsets(_units(options.seed), options)


def _units(seed: int) -> Iterator[Extract]:
    for number in count():
        yield generate(STAYS, (seed, number))
