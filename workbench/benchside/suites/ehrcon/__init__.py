"""EHRCon: are notes of MIMIC-III consistent with its tables? From files that the user brings.

Source: Kwon et al.: EHRCon: Dataset for Checking Consistency between Unstructured Notes and
Structured Tables in Electronic Health Records, NeurIPS 2024 (Datasets and Benchmarks);
https://physionet.org/content/ehrcon-consistency-of-notes/.
"""

from benchside.suites import ehrsql, ehrsql2024
from benchside.suites.ehrcon.build import build

__all__ = ["USES", "build"]

USES = (ehrsql, ehrsql2024)
