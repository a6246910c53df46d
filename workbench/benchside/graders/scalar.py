"""`Scalar`: graders of single values, which can also be the items of sets and lists."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from benchside.graders.grader import Grader, UnreadableError, Verdict
from benchside.graders.show import show
from benchside_kernels.submission import Value


class Scalar(Grader):
    """A grader that reads each value into one hashable form and compares the two forms."""

    @abstractmethod
    def read(self, value: Value) -> Any:
        """Return the value in the one form that is compared (hashable, not None).

        Raises:
            UnreadableError: the value is of another type; None is never readable.
        """

    def judge_read(self, submitted: Any, gold: Any) -> Verdict:
        """Compare two values as `read` returned them."""
        passed = bool(submitted == gold)
        return Verdict(passed, f"submitted {show(submitted)}, expected {show(gold)}")

    def differences(self, submitted: list[Any], gold: list[Any]) -> tuple[list[Any], list[Any]]:
        """Return the members of the gold set not submitted, and those submitted in excess."""
        left, right = set(gold), set(submitted)
        return [item for item in gold if item not in right], list(right - left)

    def check_gold(self, gold: Value) -> None:
        """The gold is read by the same rules as a submission."""
        self.read(gold)

    def judge(self, submitted: Value, gold: Value) -> Verdict:
        """Read both and compare; an unreadable submission fails."""
        try:
            read = self.read(submitted)
        except UnreadableError as problem:
            return Verdict(False, f"{problem}; expected {show(gold)}")
        return self.judge_read(read, self.read(gold))
