"""`Cohort`: one clinical data set with the words that questions about it need.

Templates never name a column themselves: they take measures, contrasts, factors and follow-ups
from here, so that one template serves every cohort that has what it asks for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Measure:
    """A numeric column; `words` name it in a sentence and `unit` may be empty."""

    column: str
    words: str
    unit: str = ""

    @property
    def phrase(self) -> str:
        """The words with column and unit, such as "age (`age`, years)"."""
        return f"{self.words} (`{self.column}`{', ' + self.unit if self.unit else ''})"


@dataclass(frozen=True, slots=True)
class Level:
    """One value of a categorical column and the patients it stands for."""

    value: int | str
    words: str


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two levels of a column that are compared; `first` is the group of interest or the event."""

    column: str
    first: Level
    second: Level

    @property
    def phrase(self) -> str:
        """Both groups with their codes."""
        return f"{self.label(self.first)} and {self.label(self.second)}"

    def label(self, level: Level) -> str:
        """A level's words with its code, such as "women (`sex` = 2)"."""
        return f"{level.words} (`{self.column}` = {level.value!r})"


def contrast(column: str, first: tuple[int | str, str], second: tuple[int | str, str]) -> Contrast:
    """A contrast of two (value, words) pairs."""
    return Contrast(column, Level(*first), Level(*second))


@dataclass(frozen=True, slots=True)
class Factor:
    """A categorical column with three or more levels, in their natural order."""

    column: str
    words: str
    levels: tuple[Level, ...]

    @property
    def phrase(self) -> str:
        """The words with the column."""
        return f"{self.words} (`{self.column}`)"


@dataclass(frozen=True, slots=True)
class FollowUp:
    """Right-censored follow-up.

    Args:
        time: column with the follow-up time.
        event: column with 1 at the event and 0 at censoring.
        words: what the event is.
        unit: unit of the time, in the plural.
        per_year: how many of the units a year has.
        horizons: clinically round times, increasing, inside the follow-up.
    """

    time: str
    event: str
    words: str
    unit: str
    per_year: float
    horizons: tuple[float, ...]

    @property
    def phrase(self) -> str:
        """How the columns are coded."""
        return f"time `{self.time}` in {self.unit}, `{self.event}` = 1 for {self.words}"


@dataclass(frozen=True, slots=True)
class Cohort:
    """A data set: its table under the kernel variable `name`, its words, its provenance.

    Args:
        people: who the rows are, in the plural.
        columns: column → meaning, unit and coding, for the image's description.
        outcomes: binary columns that can stand as the outcome of a risk or a logistic model.
        source: citation, the package that ships the data, and licence.
    """

    name: str
    frame: pd.DataFrame
    people: str
    columns: dict[str, str]
    source: str
    measures: tuple[Measure, ...] = ()
    contrasts: tuple[Contrast, ...] = ()
    factors: tuple[Factor, ...] = ()
    outcomes: tuple[Contrast, ...] = ()
    follow_up: FollowUp | None = None
    notes: str = field(default="")

    @property
    def intro(self) -> str:
        """The first sentence of a prompt."""
        return f"The DataFrame `{self.name}` holds {len(self.frame)} {self.people}."

    def measure(self, column: str) -> Measure:
        """The measure of that column."""
        return next(item for item in self.measures if item.column == column)

    def contrast(self, column: str) -> Contrast:
        """The contrast of that column, among groups and outcomes."""
        items = (*self.contrasts, *self.outcomes)
        return next(item for item in items if item.column == column)

    def values(self, column: str) -> Floats:
        """The column as floats; missing values are nan."""
        return self.frame[column].to_numpy(dtype=np.float64)

    def known(self, column: str, where: Mask | None = None) -> Floats:
        """The recorded (non-missing) values of a column, of all rows or of those in `where`."""
        values = self.values(column) if where is None else self.values(column)[where]
        return values[~np.isnan(values)]

    def where(self, column: str, level: Level) -> Mask:
        """(rows,) bool, True for the rows at a level."""
        mask: Mask = (self.frame[column] == level.value).to_numpy(dtype=np.bool_)
        return mask

    def ignoring(self, outcome: str) -> str:
        """A reminder for sentences that take the event of the follow-up as a plain outcome."""
        timed = self.follow_up is not None and self.follow_up.event == outcome
        return ", censoring ignored" if timed else ""

    @property
    def timed(self) -> FollowUp:
        """The follow-up of a cohort that is known to have one."""
        if self.follow_up is None:
            raise ValueError(f"cohort {self.name} has no follow-up")
        return self.follow_up
