"""`Grade`: what a grader says of one submission, with evidence that a person can read."""

from __future__ import annotations

from pydantic import Field

from benchside.task import Frozen


class Grade(Frozen):
    """The verdict on one submission.

    Args:
        reward: in [0, 1].
        passed: True where the answer counts as right.
        parts: named partial scores in [0, 1], such as one per table column.
        grader: name and version, such as "number/1".
        evidence: what was compared and why it passed or failed, readable without the code.
    """

    reward: float = Field(ge=0, le=1)
    passed: bool
    grader: str
    evidence: str
    parts: dict[str, float] = Field(default_factory=dict)
