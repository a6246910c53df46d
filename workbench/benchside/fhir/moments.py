"""FHIR dates and times as intervals: "2023-11" is the whole month.

Source: https://hl7.org/fhir/R4/search.html#date. A time without a zone is taken as UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

MIN_MS, MAX_MS = -(1 << 62), 1 << 62
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORM = re.compile(
    r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2})(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?)?)?"
)


class Interval(NamedTuple):
    """Milliseconds since 1970, UTC; `high` is the first moment after it."""

    low: int
    high: int


def interval(text: str) -> Interval:
    """Return the interval that a date, time or instant stands for.

    Raises:
        ValueError: it is none.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no date: write YYYY, YYYY-MM, YYYY-MM-DD or a full time")
    month, day, hour, minute, second = (int(found[n]) if found[n] else None for n in range(2, 7))
    zone = found[8]
    try:
        start = datetime(int(found[1]), month or 1, day or 1, hour or 0, minute or 0, second or 0)
        aware = datetime.fromisoformat(f"{start.isoformat()}{_offset(zone)}")
        low = (aware - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is no date: {error}") from None
    if found[7]:
        low += int(float(found[7]) * 1000)
        return Interval(low, low + 1)
    return Interval(low, low + _length_ms(start, [month, day, hour, second]))


def _offset(zone: str | None) -> str:
    return "+00:00" if zone in (None, "Z") else str(zone)


def _length_ms(start: datetime, given: list[int | None]) -> int:
    month, day, hour, second = given
    if second is not None:
        return 1000
    if hour is not None:
        return 60_000
    if day is not None:
        return 86_400_000
    if month is not None:
        end = (start.replace(day=28) + timedelta(days=4)).replace(day=1)
        return (end - start) // timedelta(milliseconds=1)
    leap = start.year % 4 == 0 and (start.year % 100 != 0 or start.year % 400 == 0)
    return (366 if leap else 365) * 86_400_000
