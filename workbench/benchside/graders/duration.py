"""Grader `duration`: timedeltas, text such as "3 weeks 2 days", and numbers in declared units.

Months and years are not read, as their lengths differ.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from benchside.graders.grader import UnreadableError, Verdict, register
from benchside.graders.number import ROUNDING, read_number
from benchside.graders.scalar import Scalar
from benchside.graders.show import show
from benchside_kernels.submission import Value

Unit = Literal["weeks", "days", "hours", "minutes", "seconds"]
SECONDS: dict[str, int] = {
    "weeks": 604_800,
    "days": 86_400,
    "hours": 3600,
    "minutes": 60,
    "seconds": 1,
}
_SHORT = {"w": "weeks", "d": "days", "h": "hours", "min": "minutes", "s": "seconds"}
_NAMES = _SHORT | {name: name for name in SECONDS} | {name[:-1]: name for name in SECONDS}
MAX_DURATION_CHARS = 100
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]+)")
_CLOCK = re.compile(r"([0-9]{1,2}):([0-5][0-9]):([0-5][0-9](?:\.[0-9]+)?)")


def _seconds_of_text(text: str) -> float | None:
    """Read "-23 days", "3 weeks 2 days", "3 weeks and 2 days", or "23 days, 1:30:00"."""
    rest = text.strip().casefold()
    if len(rest) > MAX_DURATION_CHARS:
        return None
    if rest[:1] in ("-", "−"):
        single = _PART.fullmatch(rest[1:].strip())  # the sign of several parts would be ambiguous
        return -_sum_of_parts([single.groups()]) if single and single[2] in _NAMES else None
    parts = [found.groups() for found in _PART.finditer(rest)]
    between = _PART.sub(" ", rest).replace(",", " ").split()
    clocks = [found for word in between if (found := _CLOCK.fullmatch(word))]
    for hours, minutes, seconds in (clock.groups() for clock in clocks):
        parts += [(hours, "hours"), (minutes, "minutes"), (seconds, "seconds")]
    words = [word for word in between if word != "and"]
    units = [_NAMES.get(unit) for _, unit in parts]
    if len(words) != len(clocks) or not parts or None in units or len(set(units)) < len(units):
        return None
    return _sum_of_parts(parts)


def _sum_of_parts(parts: list[Any]) -> float:
    return math.fsum(float(number) * SECONDS[_NAMES[unit]] for number, unit in parts)


@register
class DurationGrader(Scalar):
    """Passes when the lengths of time are equal within `abs_tol_s`.

    Args:
        units: what the numbers of a list such as [3, 2] stand for, such as ["weeks", "days"]; of a
            single unit, a number alone is also read.
        abs_tol_s: tolerance in seconds.
    """

    name: ClassVar[str] = "duration"
    units: tuple[Unit, ...] = ()
    abs_tol_s: float = Field(0.0, ge=0, allow_inf_nan=False)

    @field_validator("units")
    @classmethod
    def _differ(cls, units: tuple[Unit, ...]) -> tuple[Unit, ...]:
        if len(set(units)) < len(units):
            raise ValueError(f"units {units} name one unit twice")
        return units

    def read(self, value: Value) -> float:
        """Return the length in seconds."""
        match value:
            case dt.timedelta():
                return value.total_seconds()
            case str():
                seconds = _seconds_of_text(value)
            case list() if self.units and len(value) == len(self.units):
                seconds = self._seconds_of_numbers(value)
            case int() | float() if len(self.units) == 1:
                seconds = self._seconds_of_numbers([value])
            case _:
                seconds = None
        if seconds is None or not math.isfinite(seconds):
            raise UnreadableError(f"{show(value)} is not a duration")
        return seconds

    def _seconds_of_numbers(self, values: list[Value]) -> float:
        numbers = [float(read_number(value)) for value in values]
        return sum(n * SECONDS[unit] for n, unit in zip(numbers, self.units, strict=True))

    def judge_read(self, submitted: Any, gold: Any) -> Verdict:
        """Compare two lengths in seconds."""
        passed = abs(submitted - gold) <= self.abs_tol_s + ROUNDING * abs(gold)
        within = f" within {show(self.abs_tol_s)} s" if self.abs_tol_s else ""
        return Verdict(passed, f"submitted {_days(submitted)}, expected {_days(gold)}{within}")


def _days(seconds: float) -> str:
    return f"{show(seconds / 86_400)} days"
