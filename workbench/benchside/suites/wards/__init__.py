# ruff: noqa: E501 — what prompts say stays whole
"""Suite `wards`: questions over a synthetic hospital in the MIMIC-III schema of EHRSQL."""

from benchside import hospital
from benchside.hospital import mimic
from benchside.hospital.questions.mimic_view import mimic_view
from benchside.hospital.questions.suite import build_suite
from benchside.suite import BuildOptions, SuiteBuild

__all__ = ["BY_FAMILY", "USES", "build"]

USES = (hospital,)
BY_FAMILY = True

OPENING = (
    "Answer a question about the records of a hospital, kept in the schema of MIMIC-III. The tables "
    "are DataFrames in the kernel, and `con` is a read-only SQLite connection to them."
)
NOTES = (
    "- Diagnoses and procedures go by `short_title`, laboratory tests and bedside items by `label`; "
    "times are `charttime`, of prescriptions `startdate`. Death in the hospital is the "
    "`discharge_location` 'dead/expired'; the time of death is `dod`."
)


def build(options: BuildOptions) -> SuiteBuild:
    """Generate `options.size` tasks from `options.seed`."""
    return build_suite(
        options,
        make=mimic.frames,
        tables=mimic.TABLES,
        see=mimic_view,
        opening=OPENING,
        notes=NOTES,
    )
