"""Suite `units`: questions over synthetic intensive-care units in the eICU schema of EHRSQL."""

from benchside import hospital
from benchside.hospital import eicu
from benchside.hospital.questions.eicu_view import eicu_view
from benchside.hospital.questions.suite import build_suite
from benchside.suite import BuildOptions, SuiteBuild

__all__ = ["BY_FAMILY", "USES", "build"]

USES = (hospital,)
BY_FAMILY = True

OPENING = (
    "Answer a question about the records of intensive-care units, kept in the schema of eICU. The "
    "tables are DataFrames in the kernel, and `con` is a read-only SQLite connection to them."
)
NOTES = (
    "- A patient is a `uniquepid`, a hospital visit a `patienthealthsystemstayid`, an ICU visit a "
    "`patientunitstayid`; events belong to ICU visits. Procedures are in `treatment`, drugs in "
    "`medication` by `drugstarttime`; the number at the start of `dosage` is the dose. Intakes and "
    "outputs are told apart by `cellpath` and named by `celllabel`. Death in the hospital is the "
    "`hospitaldischargestatus` 'expired'."
)


def build(options: BuildOptions) -> SuiteBuild:
    """Generate `options.size` tasks from `options.seed`."""
    return build_suite(
        options, make=eicu.frames, tables=eicu.TABLES, see=eicu_view, opening=OPENING, notes=NOTES
    )
