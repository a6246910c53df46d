# ruff: noqa: E501 — wordings and queries stay whole
"""Building a suite of questions over one view of the hospital."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from benchside.errors import InputError
from benchside.hospital.database import write_database
from benchside.hospital.questions import (
    cohort,
    costs,
    distribution,
    history,
    measurements,
    unanswerable,
    visits,
)
from benchside.hospital.questions.form import NAMES, NUMBERS
from benchside.hospital.questions.pose import Brief, pose
from benchside.hospital.questions.template import Template
from benchside.hospital.questions.view import View
from benchside.hospital.questions.window import NOW_TEXT
from benchside.hospital.record import Record, generate
from benchside.hospital.schema import Table
from benchside.suite import BuildOptions, SuiteBuild
from benchside_kernels.image import ImageSource

DEFAULT_SIZE = 1500
FEWEST_PATIENTS, MOST_PATIENTS = 100, 600
CONVENTIONS = f"""\
Conventions:
- The present time is {NOW_TEXT}; "today", "this month", "last year" and "2 months ago" count from it. \
There is no later data. "Since" and "until" include the year, day or moment that they name.
- A visit that still lasts has no end; the first, second and last visit are looked for among those \
that have ended. Ages are those at admission.
- Totals and counts are over records: one row, one record. Names are those of the data, in full."""


def patients_for(size: int) -> int:
    """How many patients a hospital needs for that many questions."""
    return min(MOST_PATIENTS, FEWEST_PATIENTS + size // 10)


def build_suite(
    options: BuildOptions,
    *,
    make: Callable[[Record], dict[str, pd.DataFrame]],
    tables: Sequence[Table],
    see: Callable[[Mapping[str, pd.DataFrame], sqlite3.Connection], View],
    opening: str,
    notes: str,
) -> SuiteBuild:
    """Generate a hospital, store one view of it, and pose questions about it.

    Args:
        make, tables: frames and schema of the view.
        see: makes the view that questions are drawn from.
        opening: first paragraph of each prompt.
        notes: conventions of this schema.
    """
    size = DEFAULT_SIZE if options.size is None else options.size
    if size < 1:
        raise InputError("the suite needs at least one task", where="size", value=size)
    frames = make(generate(patients_for(size), options.seed))
    path = options.scratch / "hospital.sqlite"
    write_database(path, tables, frames)
    image = ImageSource(
        name=f"{options.manifest.name}.hospital",
        variables=frames,
        database=path,
        description=describe(frames),
    )
    con = sqlite3.connect(path)
    try:
        view = see(frames, con)
        brief = Brief(opening, f"{CONVENTIONS}\n{notes}", image.name)
        posed = pose(
            view, all_templates(view), brief, options.manifest, size=size, seed=options.seed,
            families=options.families,
        )  # fmt: skip
    finally:
        con.close()
    return SuiteBuild(posed.tasks, posed.keys, [image], posed.counts)


def all_templates(view: View) -> list[Template]:
    """Every family that fits a view."""
    roles = tuple(view.sources)
    return [
        *history.templates(roles),
        *measurements.templates(roles),
        *visits.templates(view),
        *costs.templates(roles),
        *cohort.templates(roles, deaths=view.deaths is not None, text_ids=view.literal_ids),
        *distribution.templates(roles, ids=NAMES if view.literal_ids else NUMBERS),
        *unanswerable.templates(),
    ]


def describe(frames: Mapping[str, pd.DataFrame]) -> str:
    """Tables with their columns and types, for policies."""
    kinds = {"i": "int", "f": "float", "M": "datetime", "O": "text"}
    lines = [
        "Records of a synthetic hospital. `con` is a read-only SQLite connection to the tables below; "
        "the same tables are there as DataFrames of the same names. In the DataFrames times are "
        "datetime64; in SQLite they are text such as '2105-10-15 09:00:00'.",
        "",
    ]
    for name, frame in frames.items():
        columns = ", ".join(
            f"{column} {kinds.get(frame[column].dtype.kind, 'int')}" for column in frame.columns
        )
        lines.append(f"- `{name}` ({len(frame)} rows): {columns}")
    return "\n".join(lines)
