"""Suite `medcalc_notes`: generated patient notes for 55 clinical calculators, any number of them.

An open stand-in for the training data of MedCalc-Bench (Khandekar et al., NeurIPS 2024).
"""

from benchside import calculators, cell_source
from benchside.suites.medcalc_notes.build import build

USES = (calculators, cell_source)

__all__ = ["USES", "build"]
