"""The kernel images: one per cohort, one per held-out split, each with its description."""

from __future__ import annotations

from collections.abc import Mapping

from benchside.suites.cohorts.cohort import Cohort
from benchside.suites.cohorts.data import HIDDEN
from benchside.suites.cohorts.prediction import CHALLENGES, Challenge, held_out
from benchside_kernels.image import ImageSource


def images(suite: str, cohorts: Mapping[str, Cohort], seed: int) -> list[ImageSource]:
    """All images, named `<suite>.<cohort>` or `<suite>.<challenge>`."""
    whole = [cohort_image(suite, cohort) for cohort in cohorts.values()]
    split = [split_image(suite, item, cohorts[item.cohort], seed) for item in CHALLENGES]
    return whole + split


def cohort_image(suite: str, cohort: Cohort) -> ImageSource:
    """The whole table under the cohort's name."""
    rows, columns = cohort.frame.shape
    return ImageSource(
        name=f"{suite}.{cohort.name}",
        variables={cohort.name: cohort.frame},
        hidden=HIDDEN,
        description=describe(
            cohort, f"`{cohort.name}`: DataFrame, {rows} rows × {columns} columns; {cohort.people}."
        ),
    )


def split_image(suite: str, challenge: Challenge, cohort: Cohort, seed: int) -> ImageSource:
    """`train` with the outcome and `test` without it."""
    held = held_out(challenge, cohort, seed)
    lacking = " and ".join(f"`{column}`" for column in challenge.hidden)
    return ImageSource(
        name=f"{suite}.{challenge.name}",
        variables={"train": held.train, "test": held.test},
        hidden=HIDDEN,
        description=describe(
            cohort,
            f"`train`: DataFrame, {len(held.train)} rows × {held.train.shape[1]} columns; `test`: "
            f"{len(held.test)} rows, without {lacking}. Rows are {cohort.people}, shuffled and "
            "indexed by `row_id`. Columns of the source that would give the outcome away are left "
            "out.",
            present=[str(column) for column in held.train],
        ),
    )


def describe(cohort: Cohort, head: str, present: list[str] | None = None) -> str:
    """Markdown: shape, columns with units and coding, notes, source.

    Args:
        present: the columns of the image where it lacks some of the cohort's; those described
            together, such as `mean_*`, are always listed.
    """
    single = {name for name in cohort.columns if name in cohort.frame}
    columns = "\n".join(
        f"- `{name}`: {meaning}" if name in single else f"- {name}: {meaning}"
        for name, meaning in cohort.columns.items()
        if present is None or name not in single or name in present
    )
    notes = f"\n{cohort.notes}\n" if cohort.notes else ""
    return f"{head}\n\n{columns}\n{notes}\nSource: {cohort.source}\n"
