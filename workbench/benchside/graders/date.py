"""Grader `date`, and the one way in which values are read as a point in time.

ISO text in the extended form is always read ("2024-02-29", "2024-02-29T00:00:00"); other forms,
such as 03/04/2024, only where a task declares their format. A time zone is dropped: the wall clock
counts.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import ClassVar

from pydantic import field_validator

from benchside.graders.grader import UnreadableError, register
from benchside.graders.scalar import Scalar
from benchside.graders.show import show
from benchside_kernels.submission import Value

MAX_DATE_CHARS = 64
MIDNIGHT = dt.time()
_SAMPLE = dt.date(2001, 11, 23)
_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)


def read_datetime(value: Value) -> dt.datetime | None:
    """Return a date (at midnight), datetime or ISO text as a naive datetime; else None."""
    match value:
        case dt.datetime():
            return value.replace(tzinfo=None)
        case dt.date():
            return dt.datetime.combine(value, MIDNIGHT)
        case str() if len(value) <= MAX_DATE_CHARS and _ISO.fullmatch(value.strip()):
            try:
                return dt.datetime.fromisoformat(value.strip()).replace(tzinfo=None)
            except ValueError:  # right form, wrong number, such as a 30th of February
                return None
    return None


@register
class DateGrader(Scalar):
    """Passes when the days are equal; a datetime is a day only at midnight.

    Args:
        formats: further forms of text as `strptime` formats, such as "%m/%d/%Y".
    """

    name: ClassVar[str] = "date"
    formats: tuple[str, ...] = ()

    @field_validator("formats")
    @classmethod
    def _name_a_day(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        for form in formats:
            if dt.datetime.strptime(_SAMPLE.strftime(form), form).date() != _SAMPLE:
                raise ValueError(f"the format {form!r} does not hold day, month and year")
        return formats

    def read(self, value: Value) -> dt.date:
        """Return the day."""
        moment = read_datetime(value)
        if moment is None and isinstance(value, str) and len(value) <= MAX_DATE_CHARS:
            moment = self._in_declared_format(value.strip())
        if moment is None:
            raise UnreadableError(f"{show(value)} is not a date")
        if moment.time() != MIDNIGHT:
            raise UnreadableError(f"{show(value)} is a time of day, not a date")
        return moment.date()

    def _in_declared_format(self, text: str) -> dt.datetime | None:
        for form in self.formats:
            try:
                return dt.datetime.strptime(text, form).replace(tzinfo=None)
            except ValueError:  # strptime has no other way to say that the form differs
                continue
        return None
