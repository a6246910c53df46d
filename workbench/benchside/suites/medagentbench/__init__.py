"""Suite `medagentbench`: the published tasks over the user's own copy of the patients."""

import benchside.fhir
from benchside.graders import charted
from benchside.suites import charts
from benchside.suites.medagentbench.build import build

USES = (benchside.fhir, charted, charts)
"""Code that tasks depend on besides this package's own."""

__all__ = ["USES", "build"]
