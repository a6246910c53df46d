"""MedCalc-Bench: clinical calculations from patient notes, from files that the user brings.

Source: Khandekar et al.: MedCalc-Bench: Evaluating Large Language Models for Medical Calculations,
NeurIPS 2024; https://github.com/ncbi-nlp/MedCalc-Bench (CC-BY-SA-4.0).
"""

from benchside import calculators, cell_source
from benchside.suites.medcalcbench.agreement import agreement
from benchside.suites.medcalcbench.build import build

USES = (calculators, cell_source)

__all__ = ["USES", "agreement", "build"]
