# ruff: noqa: E501 — what prompts say stays whole
"""Building the suite: generate a hospital, store the five tables, pose questions about them."""

from __future__ import annotations

import sqlite3

from benchside.errors import InputError
from benchside.hospital import treqs
from benchside.hospital.database import write_database
from benchside.hospital.questions.pose import Brief, pose
from benchside.hospital.questions.suite import DEFAULT_SIZE, describe, patients_for
from benchside.hospital.record import generate
from benchside.suite import BuildOptions, SuiteBuild
from benchside.suites.registry.query import registry
from benchside.suites.registry.questions import families
from benchside_kernels.image import ImageSource

OPENING = (
    "Answer a question about the records of a hospital, kept in the five tables of MIMICSQL: "
    "DEMOGRAPHIC (one row a hospital stay), DIAGNOSES, PROCEDURES, PRESCRIPTIONS and LAB. They are "
    "DataFrames in the kernel, and `con` is a read-only SQLite connection to them."
)
CONVENTIONS = """\
Conventions:
- SUBJECT_ID is a patient, HADM_ID a hospital stay; conditions on several tables have to hold for one \
stay, and conditions on one event (such as drug and route) for one row.
- "Patients who" counts different patients; averages and extremes are over hospital stays.
- Text is compared as it stands in the data; a missing value meets no condition. EXPIRE_FLAG is 1 for \
patients who have died."""


def build(options: BuildOptions) -> SuiteBuild:
    """Generate `options.size` tasks from `options.seed`."""
    size = DEFAULT_SIZE if options.size is None else options.size
    if size < 1:
        raise InputError("the suite needs at least one task", where="size", value=size)
    frames = treqs.frames(generate(patients_for(size), options.seed))
    path = options.scratch / "registry.sqlite"
    write_database(path, treqs.TABLES, frames)
    image = ImageSource(
        name=f"{options.manifest.name}.hospital",
        variables=frames,
        database=path,
        description=describe(frames),
    )
    con = sqlite3.connect(path)
    try:
        brief = Brief(OPENING, CONVENTIONS, image.name)
        tables = registry(frames, con)
        posed = pose(
            tables, families(), brief, options.manifest, size=size, seed=options.seed,
            families=options.families,
        )  # fmt: skip
    finally:
        con.close()
    return SuiteBuild(posed.tasks, posed.keys, [image], posed.counts)
