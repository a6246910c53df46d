"""What the preprocessing of EHRSQL does alike for MIMIC-III and eICU: present time, cohort, costs.

The random draws follow EHRSQL 1.5.1 (`preprocess/` of https://github.com/glee4810/EHRSQL) number by
number, from one generator with seed 0, so that the same release gives the same database. Its
option `--deid`, which shuffles values across rows, is left out on purpose.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

START_YEAR = 2100
YEARS = 5
NOW = pd.Timestamp("2105-12-31 23:59:00")
PATIENTS = 1000
CURRENT_PATIENTS = 100  # of them, in hospital at the present time: --cur_patient_ratio 0.1
STAY_PERCENTILE = 95  # longer hospital stays are left out as outliers
MIN_AGE = 11
MEAN_COST = 10


class Draws:
    """The random numbers of one preprocessing, in EHRSQL's order."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        weights = np.arange(1, YEARS + 2)
        self._years = range(START_YEAR, START_YEAR + YEARS + 1)
        self._chances = weights / weights.sum()

    def first_year(self) -> int:
        """Return the year of a patient's first admission; later ones are likelier."""
        return int(self.rng.choice(self._years, p=self._chances))

    def days_in_year(self, year: int, count: int) -> list[pd.Timestamp]:
        """Return one day in each of `count` equal parts of a year, its last day left out."""
        first, last = pd.Timestamp(year, 1, 1), pd.Timestamp(year, 12, 31)
        return [
            (first + (part + self.rng.random()) / count * (last - first)).floor("D")
            for part in range(count)
        ]

    def sample(self, patients: np.ndarray, count: int) -> set[object]:
        """Return `count` of the patients, or all where there are fewer."""
        if len(patients) < count:
            return set(patients.tolist())
        return set(self.rng.choice(patients, count, replace=False).tolist())

    def cohort(
        self, patient: pd.Series, discharge: pd.Series, current: int = CURRENT_PATIENTS
    ) -> set[object]:
        """Return the sampled patients, 1,000 where there are so many.

        Args:
            patient, discharge: of each hospital stay; no discharge where it is still to come.
            current: how many are in hospital at the present time.
        """
        present = self.sample(patient[discharge.isna()].unique(), current)
        others = patient[discharge.notna() & ~patient.isin(present)].unique()
        return present | self.sample(others, PATIENTS - current)

    def mean_costs(self) -> list[int]:
        """Return the means of four kinds of costs."""
        return [int(mean) for mean in self.rng.poisson(lam=MEAN_COST, size=4)]

    def costs(self, items: Iterable[object], mean: int) -> dict[object, float]:
        """Return item → cost; one synthetic price each, drawn in the given order."""
        return {item: round(float(self.rng.normal(loc=mean, scale=1.0)), 2) for item in items}


def shift(times: pd.Series, minutes: pd.Series) -> pd.Series:
    """Return the shifted times; NaT where there is no shift or where they are yet to come."""
    moved = times + pd.to_timedelta(minutes, unit="min").astype("timedelta64[s]")
    return moved.where(moved <= NOW)
