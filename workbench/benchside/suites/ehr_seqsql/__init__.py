"""EHR-SeqSQL: series of questions over MIMIC-III, from files that the user brings.

Source: Ryu, Cho, Lee, Choi: EHR-SeqSQL: A Sequential Text-to-SQL Dataset For Interactively
Exploring Electronic Health Records, Findings of ACL 2024; https://github.com/seonhee99/EHR-SeqSQL.
"""

from benchside.suites import ehrsql, ehrsql2024
from benchside.suites.ehr_seqsql.build import build

__all__ = ["USES", "build"]

USES = (ehrsql, ehrsql2024)
