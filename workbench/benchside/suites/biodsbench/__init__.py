"""Suite `biodsbench`: analyses of published cancer studies, from the user's tasks and tables."""

from types import ModuleType

from benchside.graders import assertions, assertions_cell
from benchside.suites import task_lines
from benchside.suites.biodsbench.build import build

__all__ = ["USES", "build"]
USES: tuple[ModuleType, ...] = (assertions, assertions_cell, task_lines)
