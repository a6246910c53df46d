"""Suite `oncology`: analyses of generated cancer-genomics studies in cBioPortal's shape."""

from types import ModuleType

from benchside.suites.cohorts import estimators
from benchside.suites.oncology.build import build

__all__ = ["USES", "build"]
USES: tuple[ModuleType, ...] = (estimators,)
