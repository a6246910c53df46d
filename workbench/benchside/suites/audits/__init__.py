"""Suite `audits`: generated notes that contradict the record here and there; find where and how.

The kinds of note and of contradiction follow Kwon et al.: EHRCon: Dataset for Checking Consistency
between Unstructured Notes and Structured Tables in Electronic Health Records, NeurIPS 2024
(Datasets and Benchmarks).
"""

from benchside import hospital
from benchside.suites.audits.build import build

__all__ = ["USES", "build"]

USES = (hospital,)
