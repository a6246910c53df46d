"""Suite `icu_hours`: MIMIC-Extract's predictions over generated hours in intensive care."""

from benchside import held_out
from benchside.suites import mimic_extract
from benchside.suites.icu_hours.build import build

__all__ = ["USES", "build"]

USES = (held_out, mimic_extract)
