"""Suite `ehrshot`: the fifteen predictions of EHRSHOT over your own copy."""

from benchside import held_out
from benchside.suites import longitudinal
from benchside.suites.ehrshot.build import build

__all__ = ["USES", "build"]

USES = (held_out, longitudinal)
