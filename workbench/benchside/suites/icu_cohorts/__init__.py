"""Suite `icu_cohorts`: YAIB's five predictions over the stays of the eICU and MIMIC-III demos."""

from benchside import held_out
from benchside.suites.icu_cohorts.build import build

__all__ = ["USES", "build"]

USES = (held_out,)
