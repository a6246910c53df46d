"""Suite `mimic_extract`: mortality, length of stay and interventions over your own extract."""

from benchside import held_out
from benchside.suites.mimic_extract.build import build

__all__ = ["USES", "build"]

USES = (held_out,)
