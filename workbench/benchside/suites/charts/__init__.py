"""Suite `charts`: reading and writing generated charts through a hospital's FHIR interface.

Stands in for MedAgentBench, whose ten types of task it poses in words of its own over people of its
own, and adds problem lists, cohorts, procedures, stopped orders and corrected results.
"""

import benchside.fhir
from benchside.graders import charted
from benchside.suites.charts.build import build

USES = (benchside.fhir, charted)
"""Code that tasks depend on besides this package's own."""

__all__ = ["USES", "build"]
