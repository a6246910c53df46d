"""Suite `registry`: questions over a synthetic hospital in the five tables of MIMICSQL (TREQS)."""

from benchside import hospital
from benchside.suites.registry.build import build

__all__ = ["BY_FAMILY", "USES", "build"]

USES = (hospital,)
BY_FAMILY = True
