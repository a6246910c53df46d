# ruff: noqa: E501 — what prompts say stays whole
"""Clinical tables: joins, counts, associations, treatments over time."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import numpy as np
from numpy.random import Generator

from benchside.suites.oncology.cohort import Cohort, draw_cohort
from benchside.suites.oncology.exact import chi_square, ranks
from benchside.suites.oncology.mutated import RULE, draw_gene, has, mark
from benchside.suites.oncology.question import (
    COUNTS,
    FIT,
    INTEGER,
    Answer,
    Maker,
    Question,
    number,
    script,
    table,
)
from benchside.suites.oncology.study import Array, Study


def counted(rng: Generator, study: Study) -> Question | None:
    """Patients who meet conditions and had a drug."""
    cohort = draw_cohort(rng, study)
    drugs = study.tumour.drugs
    drug = drugs[int(rng.integers(len(drugs)))]
    rows = study.columns["data_timeline_treatment"]
    treated = set(rows["PATIENT_ID"][rows["AGENT"] == drug].tolist())
    count = sum(one in treated for one in cohort.of("PATIENT_ID").tolist())
    if count < 3:
        return None
    return Question(
        f"How many of {cohort.words} were ever treated with {drug}?", INTEGER, count,
        script(
            cohort.source,
            f"""
            treated = data_timeline_treatment[data_timeline_treatment["AGENT"] == "{drug}"]["PATIENT_ID"]
            submit(int(cohort["PATIENT_ID"].isin(treated).sum()))
            """,
        ),
    )  # fmt: skip


def summary(rng: Generator, study: Study) -> Question | None:
    """Median and quartiles of a number, among those with a gene mutated."""
    cohort, gene = (
        draw_cohort(rng, study, 1, without="AGE"),
        draw_gene(rng, study.tumour, often=0.9),
    )
    column, words = (("AGE", "age"), ("TUMOR_PURITY", "tumour purity"))[int(rng.integers(2))]
    values = np.sort(cohort.of(column)[has(cohort, gene)].astype(float))
    if len(values) < 10:
        return None
    half, quarter, three = (_quantile(values, share) for share in (0.5, 0.25, 0.75))
    return Question(
        f"Among {cohort.words}, take those with a mutation of {gene}. How many are they, and what are the "
        f"median and the interquartile range (difference of the quartiles, linear interpolation) of their "
        f"{words}? {RULE}",
        Answer({"n": "integer", "median": "number", "iqr": "number"}),
        {"n": len(values), "median": half, "iqr": three - quarter},
        script(
            cohort.source, mark(gene),
            f"""
            values = cohort[cohort["mutated"]]["{column}"]
            submit({{
                "n": len(values), "median": values.median(),
                "iqr": values.quantile(0.75) - values.quantile(0.25),
            }})
            """,
        ),
    )  # fmt: skip


def _quantile(ordered: Array, share: float) -> float:
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (place - low) * (ordered[high] - ordered[low]))


def _counts(cohort: Cohort, first: str, second: str) -> tuple[list[str], list[str], Array]:
    left, right = cohort.of(first), cohort.of(second)
    rows, columns = sorted(set(left.tolist())), sorted(set(right.tolist()))
    cells = [[int(((left == row) & (right == one)).sum()) for one in columns] for row in rows]
    return rows, columns, np.array(cells)


PAIRS = (("SUBTYPE", "STAGE"), ("SUBTYPE", "SEX"), ("STAGE", "SEX"), ("SUBTYPE", "GENE_PANEL"))


def crossed(rng: Generator, study: Study) -> Question | None:
    """A table of two clinical columns."""
    cohort = draw_cohort(rng, study)
    first, second = PAIRS[int(rng.integers(len(PAIRS)))]
    rows, columns, cells = _counts(cohort, first, second)
    gold = [
        (row, column, int(cells[i, j]))
        for i, row in enumerate(rows) for j, column in enumerate(columns) if cells[i, j]
    ]  # fmt: skip
    if len(gold) < 4:
        return None
    named = (first, second, "patients")
    return Question(
        f"Cross {first} and {second} for {cohort.words} (by their primary samples): how many are there of "
        "each pair? Leave out pairs that do not occur.",
        Answer(columns=named, rel_tol=COUNTS), table(named, gold),
        script(
            cohort.source,
            f"""
            counts = cohort.groupby(["{first}", "{second}"]).size()
            submit(counts[counts > 0].reset_index(name="patients"))
            """,
        ),
    )  # fmt: skip


def associated(rng: Generator, study: Study) -> Question | None:
    """The chi-square test of a mutation by subtype or stage."""
    cohort = draw_cohort(rng, study, 1, without="SUBTYPE")
    gene = draw_gene(rng, study.tumour, often=0.9)
    column = ("SUBTYPE", "STAGE")[int(rng.integers(2))]
    mutated, level = has(cohort, gene), cohort.of(column)
    cells = np.array([
        [int(((level == one) & (mutated == side)).sum()) for side in (False, True)]
        for one in sorted(set(level.tolist()))
    ])  # fmt: skip
    if len(cells) < 2 or cells.sum(0).min() < 8:
        return None
    chi2, p = chi_square(cells.astype(float))
    if p < 1e-30 or chi2 < 1e-3:
        return None
    return Question(
        f"Does the frequency of {gene} mutations depend on {column} in {cohort.words}? Give Pearson's "
        f"chi-square (without continuity correction) and its p-value. {RULE} Count samples whatever their "
        "panel.",
        Answer({"chi2": "number", "p": "number"}, rel_tol=FIT), {"chi2": chi2, "p": p},
        script(
            cohort.source, mark(gene),
            f"""
            from scipy.stats import chi2_contingency
            counts = pd.crosstab(cohort["{column}"], cohort["mutated"])
            test = chi2_contingency(counts, correction=False)
            submit({{"chi2": test.statistic, "p": test.pvalue}})
            """,
        ),
    )  # fmt: skip


def older(rng: Generator, study: Study) -> Question | None:
    """The Mann-Whitney test of age by mutation."""
    cohort, gene = (
        draw_cohort(rng, study, 1, without="AGE"),
        draw_gene(rng, study.tumour, often=0.9),
    )
    mutated, age = has(cohort, gene), cohort.of("AGE").astype(float)
    n, m = int(mutated.sum()), int((~mutated).sum())
    if min(n, m) < 10:
        return None
    u = float(ranks(age)[mutated].sum()) - n * (n + 1) / 2
    ties = np.array(list(Counter(age.tolist()).values()), float)
    spread = n * m / 12 * ((n + m + 1) - ((ties**3 - ties).sum()) / ((n + m) * (n + m - 1)))
    z = (abs(u - n * m / 2) - 0.5) / math.sqrt(spread)
    if z <= 0:
        return None
    return Question(
        f"Are {cohort.words} with a mutation of {gene} older than those without? Give U of those with it, "
        "and the two-sided p-value of the Mann-Whitney test (normal approximation with corrections for ties "
        f"and continuity). {RULE} Count samples whatever their panel.",
        Answer({"u": "number", "p": "number"}, rel_tol=FIT),
        {"u": u, "p": math.erfc(z / math.sqrt(2))},
        script(
            cohort.source, mark(gene),
            """
            from scipy.stats import mannwhitneyu
            with_it = cohort[cohort["mutated"]]["AGE"]
            without = cohort[~cohort["mutated"]]["AGE"]
            test = mannwhitneyu(with_it, without, alternative="two-sided", method="asymptotic")
            submit({"u": test.statistic, "p": test.pvalue})
            """,
        ),
    )  # fmt: skip


def treatment(rng: Generator, study: Study) -> Question | None:
    """When and how long a drug was given, by first courses."""
    cohort = draw_cohort(rng, study, 1)
    drugs = study.tumour.drugs
    drug = drugs[int(rng.integers(len(drugs)))]
    rows = study.columns["data_timeline_treatment"]
    courses = defaultdict(list)
    ids = set(cohort.of("PATIENT_ID").tolist())
    for patient, start, stop, agent in zip(*(rows[one].tolist() for one in (
            "PATIENT_ID", "START_DATE", "STOP_DATE", "AGENT")), strict=True):  # fmt: skip
        if agent == drug and patient in ids:
            courses[patient].append((start, stop))
    first = [min(found) for found in courses.values()]
    if len(first) < 8:
        return None
    days = [stop - start for start, stop in first]
    return Question(
        f"Of {cohort.words}, take those treated with {drug}, and of each the first course of it. What are "
        "the mean day of its start (since diagnosis) and its mean length (STOP_DATE - START_DATE) in days?",
        Answer({"start": "number", "length": "number"}),
        {"start": sum(start for start, _ in first) / len(first), "length": sum(days) / len(days)},
        script(
            cohort.source,
            f"""
            rows = data_timeline_treatment[
                data_timeline_treatment["PATIENT_ID"].isin(cohort["PATIENT_ID"])
                & (data_timeline_treatment["AGENT"] == "{drug}")
            ]
            first = rows.sort_values("START_DATE").drop_duplicates("PATIENT_ID")
            length = first["STOP_DATE"] - first["START_DATE"]
            submit({{"start": first["START_DATE"].mean(), "length": length.mean()}})
            """,
        ),
    )  # fmt: skip


def sequence(rng: Generator, study: Study) -> Question | None:
    """How many patients had one drug before another."""
    drugs = study.tumour.drugs
    first, second = (drugs[int(one)] for one in rng.choice(len(drugs), 2, replace=False))
    cohort = draw_cohort(rng, study, 1)
    rows = study.columns["data_timeline_treatment"]
    start: dict[tuple[str, str], int] = {}
    for patient, day, agent in zip(*(rows[one].tolist() for one in (
            "PATIENT_ID", "START_DATE", "AGENT")), strict=True):  # fmt: skip
        start[patient, agent] = min(day, start.get((patient, agent), day))
    both = [
        one for one in cohort.of("PATIENT_ID").tolist()
        if (one, first) in start and (one, second) in start
    ]  # fmt: skip
    before = sum(start[one, first] < start[one, second] for one in both)
    if before < 3:
        return None
    return Question(
        f"How many of {cohort.words} had both {first} and {second}, with the first course of {first} "
        f"starting before the first of {second}?",
        INTEGER, before,
        script(
            cohort.source,
            f"""
            start = data_timeline_treatment.groupby(["PATIENT_ID", "AGENT"])["START_DATE"].min()
            days = start.unstack("AGENT").reindex(cohort["PATIENT_ID"])
            submit(int((days["{first}"] < days["{second}"]).sum()))
            """,
        ),
    )  # fmt: skip


def alive(rng: Generator, study: Study) -> Question | None:
    """Deaths per 100 patient-years."""
    cohort = draw_cohort(rng, study)
    months = cohort.of("OS_MONTHS")
    known = ~np.isnan(months)
    deaths = sum(one.startswith("1:") for one in cohort.of("OS_STATUS")[known].tolist())
    if deaths < 5:
        return None
    return Question(
        f"How many deaths are there per 100 patient-years of follow-up among {cohort.words} with known "
        "OS_MONTHS (12 months to the year)?",
        number(), 1200 * deaths / float(months[known].sum()),
        script(
            cohort.source,
            """
            known = cohort.dropna(subset=["OS_MONTHS"])
            deaths = (known["OS_STATUS"] == "1:DECEASED").sum()
            submit(100 * deaths / (known["OS_MONTHS"].sum() / 12))
            """,
        ),
    )  # fmt: skip


MAKERS: dict[str, Maker] = {
    "clinical/count": counted,
    "clinical/summary": summary,
    "clinical/cross table": crossed,
    "clinical/association": associated,
    "clinical/rank test": older,
    "clinical/treatment": treatment,
    "clinical/sequence": sequence,
    "clinical/death rate": alive,
}
