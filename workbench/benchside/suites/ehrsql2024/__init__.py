"""EHRSQL-2024: questions over the MIMIC-IV demo, from files that the user brings.

Source: Lee, Kweon, Bae, Choi: Overview of the EHRSQL 2024 Shared Task, ClinicalNLP 2024;
questions https://github.com/glee4810/ehrsql-2024 (CC-BY-4.0).
"""

from benchside.suites.ehrsql2024.build import build

__all__ = ["build"]
