"""Graders `time` and `datetime`: a time of day, and a day with its time, by the wall clock.

Both compare whole minutes or whole seconds; what is finer is cut off, not rounded, as clocks do. A
day is no time, a time is no day, and a time zone is dropped.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import ClassVar, Literal

from benchside.graders.date import read_datetime
from benchside.graders.grader import UnreadableError, register
from benchside.graders.scalar import Scalar
from benchside.graders.show import show
from benchside_kernels.submission import Value

Resolution = Literal["minute", "second"]
MAX_TIME_CHARS = 32
_CLOCK = re.compile(
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-5][0-9])(?::(?P<second>[0-5][0-9])(?:\.[0-9]{1,9})?)?"
    r"(?:\s?(?P<half>[ap])\.?m\.?)?"
)


def read_time(value: Value) -> dt.time | None:
    """Return a time or text such as "14:35", "14:35:20" or "2:35 pm", to the second; else None."""
    if isinstance(value, dt.time):
        return value.replace(microsecond=0, tzinfo=None)
    if not isinstance(value, str) or len(value) > MAX_TIME_CHARS:
        return None
    found = _CLOCK.fullmatch(value.strip().casefold())
    if found is None:
        return None
    hour = int(found["hour"])
    if found["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if found["half"] == "p" else 0)
    return dt.time(hour, int(found["minute"]), int(found["second"] or 0)) if hour < 24 else None


@register
class TimeGrader(Scalar):
    """Passes when the times of day are equal.

    Args:
        resolution: what is compared; of a "second", a text without seconds is a full minute.
    """

    name: ClassVar[str] = "time"
    resolution: Resolution = "minute"

    def read(self, value: Value) -> dt.time:
        """Return the time of day, cut to the resolution."""
        time = read_time(value)
        if time is None:
            raise UnreadableError(f"{show(value)} is not a time of day")
        return time.replace(second=0) if self.resolution == "minute" else time


@register
class DatetimeGrader(Scalar):
    """Passes when day and time are equal.

    Args:
        resolution: what is compared; of a "second", a text without seconds is a full minute.
    """

    name: ClassVar[str] = "datetime"
    resolution: Resolution = "minute"

    def read(self, value: Value) -> dt.datetime:
        """Return day and time, cut to the resolution."""
        moment = read_datetime(value)
        if moment is None:
            raise UnreadableError(f"{show(value)} is not a day with its time")
        named = isinstance(value, dt.datetime) or (isinstance(value, str) and ":" in value)
        if not named:
            raise UnreadableError(f"{show(value)} is a day without its time")
        cut = moment.replace(microsecond=0)
        return cut.replace(second=0) if self.resolution == "minute" else cut
