"""`Finding`: one thing that went wrong in an episode, where, and how one can see it."""

from __future__ import annotations

from typing import Literal, get_args

from benchside.task import Frozen

Kind = Literal[
    "wrong table",
    "wrong column",
    "wrong filter",
    "wrong calculation",
    "wrong unit",
    "off-by-one window",
    "empty result accepted",
    "type or format",
    "repeated action",
    "error not repaired",
    "time or token limit",
    "no submission",
    "premature submission",
    "hard-coded answer",
    "forbidden attempt",
    "infrastructure",
    "leaked feature",
    "patients in both splits",
    "mixed units",
    "uncorrected tests",
    "small cells",
]
"""The taxonomy; the last five, of biomedical practice, are looked for in solved episodes, too."""

PRACTICE_KINDS: frozenset[Kind] = frozenset(
    {"leaked feature", "patients in both splits", "mixed units", "uncorrected tests", "small cells"}
)
KINDS: tuple[Kind, ...] = get_args(Kind)


class Finding(Frozen):
    """One finding.

    Args:
        cell_id: of the cell that shows it; None where it concerns the episode.
        evidence: what was seen, readable without the code.
    """

    kind: Kind
    cell_id: str | None
    evidence: str


class FailureRow(Frozen):
    """One line of a run's `failures.jsonl`: an episode with all findings, none included.

    Args:
        unread: why rules over gold were left out, or the transcript could not be read.
    """

    episode_id: str
    task_id: str
    suite: str
    policy: str
    outcome: str
    findings: tuple[Finding, ...]
    unread: str | None = None
