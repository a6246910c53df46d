"""`VerifierScore`: how probable a verifier holds it that an episode solved its task.

A run's `verifier_scores.jsonl` has a line for each episode, all of one verifier, which was shown
neither the grade nor anything else that came after the submission.
"""

from __future__ import annotations

from pydantic import Field

from benchside.task import Frozen

FILE = "verifier_scores.jsonl"


class VerifierScore(Frozen):
    """One line.

    Args:
        score: from 0 to 1; 0 where nothing was submitted.
        verifier: names its weights.
    """

    episode_id: str
    score: float = Field(ge=0, le=1)
    verifier: str
