"""Suite `biocoder`: functions to write in a given context, from the user's own task files."""

from types import ModuleType

from benchside.graders import program, program_cell
from benchside.suites import task_lines
from benchside.suites.biocoder.build import build

__all__ = ["USES", "build"]
USES: tuple[ModuleType, ...] = (program, program_cell, task_lines)
