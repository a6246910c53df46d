"""Yes/no questions whose answer is no, made from those whose answer is yes; and present patients.

Question sets that keep only results other than zero have no "no" in them, so that answering yes
always would score. The same question is asked about another patient, of whom it does not hold; the
answer comes from the same SQL with that patient, not from the text.
"""

from __future__ import annotations

import hashlib
import heapq
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from benchside.suites.ehrsql.question import Question

TRIES = 20
SUFFIX = "-no"


def counterpart(
    question: Question, patients: Sequence[str], is_no: Callable[[str], bool]
) -> Question | None:
    """Return the question about the first patient of whom the answer is no.

    Args:
        patients: those of the database.
        is_no: runs SQL; whether its result is no.

    Returns:
        None where text or SQL does not name the patient, or none of 20 patients would do.
    """
    if question.patient is None or question.sql is None:
        return None
    named = _name(question.patient)
    if not named.search(question.text) or not named.search(question.sql):
        return None
    for patient in picked(patients, question.id, TRIES):
        sql = named.sub(patient, question.sql)
        if is_no(sql):
            return replace(
                question, id=question.id + SUFFIX, text=named.sub(patient, question.text),
                sql=sql, patient=patient, published=None,
            )  # fmt: skip
    return None


def with_present_patient(question: Question, pattern: str, patients: Sequence[str]) -> Question:
    """Return an unanswerable question about patients of the database.

    Patients whom it has not would give away that there is no answer.
    """
    known = set(patients)

    def present(match: re.Match[str]) -> str:
        named = match[0]
        return named if named in known else picked(patients, question.id + named, 1)[0]

    return replace(question, text=re.sub(pattern, present, question.text))


def picked(patients: Sequence[str], seed: str, count: int) -> list[str]:
    """Return some patients by lot, the same ones for the same seed."""

    def lot(patient: str) -> bytes:
        return hashlib.sha256(f"{seed} {patient}".encode()).digest()

    return heapq.nsmallest(count, patients, key=lot)


def _name(patient: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.-]){re.escape(patient)}(?![\w-])")
