"""`ObservedGrader`: graders that judge what a submission does in a fresh kernel, not what it is.

`benchside.execution` runs the grader's cell in a kernel of the task's image, without the gold, and
the grader judges what came out, on the host.
"""

from __future__ import annotations

from abc import abstractmethod

from pydantic import Field

from benchside.graders.grader import Grader
from benchside_kernels.submission import Json


class ObservedGrader(Grader):
    """Base of such graders; `judge` gets {"outcomes": [...]} or {"failed": why} as submission.

    Args:
        timeout_s: of the cell.
    """

    timeout_s: float = Field(20.0, gt=0, le=40)

    @abstractmethod
    def cell(self, submission: Json) -> str:
        """Return the cell that submits the outcomes; called by `benchside.execution.observe`.

        Raises:
            UnreadableError: there is nothing that could be run.
        """
