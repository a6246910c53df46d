"""Suite `rounds`: series of questions over a synthetic hospital, each building on those before it.

The manner of the questions follows Ryu et al.: EHR-SeqSQL: A Sequential Text-to-SQL Dataset For
Interactively Exploring Electronic Health Records, Findings of ACL 2024.
"""

from benchside import hospital
from benchside.suites.rounds.build import build

__all__ = ["USES", "build"]

USES = (hospital,)
