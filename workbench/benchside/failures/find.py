"""All findings of one episode."""

from __future__ import annotations

from benchside.episode import UNSCORED
from benchside.failures.answer import answer
from benchside.failures.biomedical import biomedical
from benchside.failures.case import Case
from benchside.failures.conduct import conduct
from benchside.failures.finding import Finding, Kind

_UNFOUNDED: frozenset[Kind] = frozenset({"premature submission", "hard-coded answer"})


def find(case: Case) -> tuple[Finding, ...]:
    """Return what went wrong in an episode, by the order of the rules.

    How an analysis differs from the reference's is not asked where the answer does not follow from
    one, or could not be read.
    """
    went = list(conduct(case))
    kinds = {finding.kind for finding in went}
    unrelated = _UNFOUNDED | {"type or format"}
    differs = [] if kinds & unrelated else list(answer(case))
    practice = [] if case.episode.outcome in UNSCORED else list(biomedical(case))
    return (*went, *differs, *practice)
