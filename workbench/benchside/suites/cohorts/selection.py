"""Building a cohort: criteria, then a count or a summary of who is left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from benchside.suites.cohorts.cohort import Cohort, Contrast, Floats, Mask, Measure
from benchside.suites.cohorts.question import Question, integer, number

SELECTED = {
    "lung": (("age", "wt.loss", "sex"), ("meal.cal", "age", "ph.ecog")),
    "gbsg2": (("age", "pnodes", "horTh"), ("tsize", "progrec", "menostat")),
    "actg175": (
        ("cd40", "age", "gender"), ("wtkg", "cd80", "str2"), ("cd496", "preanti", "symptom"),
    ),
    "diabetes": (("bmi", "glu", "sex"), ("age", "bp", "sex")),
    "breast_cancer": (("mean_texture", "mean_radius", "diagnosis"),),
    "lupus": (("age_at_diagnosis", "months_onset_to_diagnosis", "white"),),
    "health_insurance": (("mdvis", "disea", "idp"),),
}  # fmt: skip


class Criteria(NamedTuple):
    """`floor` on the first measure (inclusive), `ceiling` on the second (exclusive), one level."""

    first: Measure
    floor: float
    second: Measure
    ceiling: float
    contrast: Contrast


def questions(cohorts: Mapping[str, Cohort]) -> Iterator[Question]:
    """All questions of this topic."""
    for name, choices in SELECTED.items():
        for low, high, column in choices:
            cohort = cohorts[name]
            first, second = cohort.measure(low), cohort.measure(high)
            criteria = Criteria(
                first, threshold(cohort, first, 0.35), second, threshold(cohort, second, 0.7),
                cohort.contrast(column),
            )  # fmt: skip
            yield from (eligible(cohort, criteria), excluded(cohort, criteria))
            yield summary(cohort, criteria)


def threshold(cohort: Cohort, measure: Measure, level: float) -> float:
    """A quantile to two significant digits, as a protocol would state it."""
    return float(f"{np.quantile(cohort.known(measure.column), level):.2g}")


def parts(cohort: Cohort, criteria: Criteria) -> tuple[Mask, Mask, Mask]:
    """The rows that meet each criterion; a missing value meets none."""
    first, second = (cohort.values(m.column) for m in (criteria.first, criteria.second))
    with np.errstate(invalid="ignore"):
        return (
            first >= criteria.floor,
            second < criteria.ceiling,
            cohort.where(criteria.contrast.column, criteria.contrast.first),
        )


def wording(criteria: Criteria) -> str:
    """The criteria for a sentence."""
    first, second, contrast = criteria.first, criteria.second, criteria.contrast
    return (
        f"{contrast.label(contrast.first)} with {first.phrase} of at least {criteria.floor:g} and "
        f"{second.phrase} below {criteria.ceiling:g}"
    )


def filter_cell(cohort: Cohort, criteria: Criteria) -> str:
    """Source lines that make `selected`."""
    name, contrast = cohort.name, criteria.contrast
    return f"""in_group = {name}["{contrast.column}"] == {contrast.first.value!r}
        high_enough = {name}["{criteria.first.column}"] >= {criteria.floor:g}
        low_enough = {name}["{criteria.second.column}"] < {criteria.ceiling:g}
        print(in_group.sum(), high_enough.sum(), low_enough.sum())
        # %%
        selected = {name}[in_group & high_enough & low_enough]"""


def slug_of(kind: str, criteria: Criteria) -> str:
    """Name of a question about these criteria."""
    columns = (criteria.first.column, criteria.second.column, criteria.contrast.column)
    return "-".join((kind, *columns))


def eligible(cohort: Cohort, criteria: Criteria) -> Question:
    """How many meet all criteria."""
    first, second, group = parts(cohort, criteria)
    query = (
        f"`{criteria.first.column}` >= {criteria.floor} and `{criteria.second.column}` < "
        f"{criteria.ceiling} and `{criteria.contrast.column}` == "
        f"{criteria.contrast.first.value!r}"
    )
    return integer(
        cohort,
        "cohort/eligible",
        slug_of("count", criteria),
        f"How many {wording(criteria)} are there? A missing value does not meet a criterion.",
        int((first & second & group).sum()),
        f"""
        {filter_cell(cohort, criteria)}
        # %%
        submit(len(selected))
        """,
        check=len(cohort.frame.query(query)),
        slips={
            "any criterion": int((first | second | group).sum()),
            "group ignored": int((first & second).sum()),
            "other group": int((first & second & ~group).sum()),
        },
    )


def excluded(cohort: Cohort, criteria: Criteria) -> Question:
    """The share of a group that fails at least one criterion."""
    first, second, group = parts(cohort, criteria)
    fails = ~(first & second)[group]
    contrast = criteria.contrast
    return number(
        cohort,
        "cohort/excluded",
        slug_of("share", criteria),
        f"A study of {contrast.label(contrast.first)} requires {criteria.first.phrase} of at least "
        f"{criteria.floor:g} and {criteria.second.phrase} below {criteria.ceiling:g}. What "
        "percentage of that group is excluded, because a value is missing or fails a criterion?",
        100 * float(fails.sum()) / int(group.sum()),
        f"""
        group = {cohort.name}[{cohort.name}["{contrast.column}"] == {contrast.first.value!r}]
        eligible = (group["{criteria.first.column}"] >= {criteria.floor:g}) & (
            group["{criteria.second.column}"] < {criteria.ceiling:g}
        )
        eligible.value_counts()
        # %%
        submit(100 * (1 - eligible.mean()))
        """,
        check=100 * (1 - float((first & second & group).sum()) / float(group.sum())),
        slips={
            "included": 100 * float((~fails).mean()),
            "fails both": 100 * float((~first & ~second)[group].mean()),
            "fraction": float(fails.mean()),
        },
        unit="%",
    )


def summary(cohort: Cohort, criteria: Criteria) -> Question:
    """The mean of the second measure among the selected."""
    first, second, group = parts(cohort, criteria)
    chosen = first & second & group
    values: Floats = cohort.values(criteria.second.column)
    everyone = values[group & ~np.isnan(values)]
    return number(
        cohort,
        "cohort/summary",
        slug_of("mean", criteria),
        f"What is the mean of {criteria.second.phrase} among {wording(criteria)}?",
        float(values[chosen].sum() / chosen.sum()),
        f"""
        {filter_cell(cohort, criteria)}
        # %%
        submit(selected["{criteria.second.column}"].mean())
        """,
        check=float(cohort.frame.loc[chosen, criteria.second.column].mean()),
        slips={
            "whole group": float(everyone.mean()),
            "group ignored": float(values[first & second].mean()),
            "median": float(np.median(values[chosen])),
        },
        unit=criteria.second.unit,
    )
