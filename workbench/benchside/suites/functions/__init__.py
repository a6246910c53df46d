"""Suite `functions`: functions to write, generated in variants; an open stand-in for BioCoder."""

from types import ModuleType

from benchside.graders import program, program_cell
from benchside.suites.functions.build import build

__all__ = ["USES", "build"]
USES: tuple[ModuleType, ...] = (program, program_cell)
