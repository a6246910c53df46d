"""Keeping answers apart: no constant submission may solve more than a small share of the tasks."""

from __future__ import annotations

import bisect
import datetime as dt
from collections import Counter

from benchside.calculators import Answer

REL_TOL = 0.05  # of numbers with decimals, as in MedCalc-Bench
# constants that are tried: every whole and half number, and 1% apart between 0.01 and 10,000
CONSTANTS = sorted(
    {half / 2 for half in range(-40, 2001)} | {0.01 * 1.01**power for power in range(1390)}
)


class Balance:
    """Counts for every constant how many tasks it would solve.

    Args:
        cap: how many it may solve at the most.
    """

    def __init__(self, cap: int):
        self.cap = cap
        self.solved = [0] * len(CONSTANTS)
        self.others: Counter[Answer] = Counter()

    def load(self, answer: Answer, *, exact: bool) -> int:
        """Return how often the best constant for this answer has solved a task so far."""
        if isinstance(answer, (dt.date, dt.timedelta)):
            return self.others[answer]
        low, high = self._span(answer, exact)
        return max(self.solved[low:high], default=0)

    def add(self, answer: Answer, *, exact: bool) -> None:
        """Count a task with this answer."""
        if isinstance(answer, (dt.date, dt.timedelta)):
            self.others[answer] += 1
            return
        low, high = self._span(answer, exact)
        for place in range(low, high):
            self.solved[place] += 1

    def best(self) -> tuple[Answer, int]:
        """Return the constant that solves the most tasks, and how many."""
        place = max(range(len(CONSTANTS)), key=self.solved.__getitem__)
        best: tuple[Answer, int] = (CONSTANTS[place], self.solved[place])
        return max([best, *self.others.most_common(1)], key=lambda pair: pair[1])

    def _span(self, answer: int | float, exact: bool) -> tuple[int, int]:
        """The places of the constants that would pass."""
        slack = 0.0 if exact else REL_TOL * abs(answer)
        low = bisect.bisect_left(CONSTANTS, answer - slack)
        return low, bisect.bisect_right(CONSTANTS, answer + slack)
