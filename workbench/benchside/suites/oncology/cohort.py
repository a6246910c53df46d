"""`Cohort`: which patients a question is about, as words, as an index into arrays, and as pandas.

Each patient stands in a cohort with the primary sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from benchside.suites.oncology.study import STAGES, Array, Study

ALL = """\
primary = data_clinical_sample[data_clinical_sample["SAMPLE_TYPE"] == "Primary"]
cohort = data_clinical_patient.merge(primary, on="PATIENT_ID")"""
FEWEST = 25


@dataclass(frozen=True, slots=True)
class Cohort:
    """Patients.

    Args:
        words: such as "patients with stage III or IV".
        patient, sample: (n,) rows of the clinical tables.
        source: lines that make the DataFrame `cohort`.
    """

    study: Study
    words: str
    patient: Array
    sample: Array
    source: str

    def __len__(self) -> int:
        return len(self.patient)

    def of(self, column: str) -> Array:
        """(n,) values of a clinical column."""
        table = "data_clinical_patient"
        if column in self.study.columns[table]:
            return self.study.column(table, column)[self.patient]
        return self.study.column("data_clinical_sample", column)[self.sample]

    @property
    def ids(self) -> list[str]:
        """(n,) sample ids."""
        return [str(one) for one in self.of("SAMPLE_ID")]

    def part(self, keep: Array, words: str, line: str) -> Cohort:
        """The patients at which `keep` (n,) is True."""
        source = f"{self.source}\n{line}"
        return Cohort(self.study, words, self.patient[keep], self.sample[keep], source)


def everyone(study: Study) -> Cohort:
    """All patients, in the order of the samples' table."""
    samples = study.columns["data_clinical_sample"]
    rows = np.flatnonzero(samples["SAMPLE_TYPE"] == "Primary")
    place = {
        one: row for row, one in enumerate(study.column("data_clinical_patient", "PATIENT_ID"))
    }
    owner = np.array([place[one] for one in samples["PATIENT_ID"][rows]])
    return Cohort(study, "all patients", owner, rows, ALL)


def draw_cohort(rng: Generator, study: Study, most: int = 2, *, without: str = "") -> Cohort:
    """Patients who meet up to `most` drawn conditions; all where too few would be left.

    Args:
        without: a column that must not be a condition.
    """
    cohort = everyone(study)
    said: list[str] = []
    columns = [one for one in ("SUBTYPE", "SEX", "STAGE", "AGE", "TUMOR_PURITY") if one != without]
    for column in rng.permutation(columns)[: int(rng.integers(0, most + 1))]:
        words, keep, line = _condition(rng, cohort, str(column))
        if keep.sum() >= FEWEST:
            said.append(words)
            cohort = cohort.part(keep, f"patients {' and '.join(said)}", line)
    return cohort


def _condition(rng: Generator, cohort: Cohort, column: str) -> tuple[str, Array, str]:
    values = cohort.of(column)
    if column == "AGE":
        limit = int(rng.integers(45, 75))
        if rng.random() < 0.5:
            return (
                f"aged {limit} or more",
                values >= limit,
                f'cohort = cohort[cohort["AGE"] >= {limit}]',
            )
        return f"younger than {limit}", values < limit, f'cohort = cohort[cohort["AGE"] < {limit}]'
    if column == "TUMOR_PURITY":
        limit = int(rng.integers(30, 60))
        line = f'cohort = cohort[cohort["TUMOR_PURITY"] >= {limit}]'
        return f"whose primary has a purity of {limit}% or more", values >= limit, line
    if column == "STAGE":
        first = int(rng.integers(0, 3))
        pair = list(STAGES[first : first + 2])
        line = f'cohort = cohort[cohort["STAGE"].isin({pair})]'
        return f"of stage {pair[0]} or {pair[1]}", np.isin(values, pair), line
    known = sorted(set(values.tolist()))
    value = known[int(rng.integers(len(known)))]
    line = f'cohort = cohort[cohort["{column}"] == {value!r}]'
    words = {"SUBTYPE": f'of subtype "{value}"', "SEX": f"of sex {value}"}[column]
    return words, values == value, line


def followed(cohort: Cohort, outcome: str) -> tuple[Array, Array, Array]:
    """Rows with a known time, their months and events (0 or 1) of "OS" or "PFS"."""
    months = cohort.of(f"{outcome}_MONTHS")
    known = np.flatnonzero(~np.isnan(months))
    events = np.array([one[0] == "1" for one in cohort.of(f"{outcome}_STATUS")[known]], float)
    return known, months[known], events


def follow_up(outcome: str) -> str:
    """Lines that leave those with a known time, and make `event`."""
    return (
        f'known = cohort.dropna(subset=["{outcome}_MONTHS"])\n'
        f'known = known.assign(event=known["{outcome}_STATUS"].str.startswith("1:").astype(int))'
    )


OUTCOMES = {"OS": "overall survival", "PFS": "progression-free survival"}
