"""Suite `longitudinal`: EHRSHOT's fifteen kinds of prediction over generated patient timelines."""

from benchside import held_out
from benchside.suites.longitudinal.build import build

__all__ = ["USES", "build"]

USES = (held_out,)
