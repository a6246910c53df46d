"""Whether two texts of outputs say the same: numbers by value, the rest by its words.

A shown number is rounded, so two are close if they differ by no more than one unit of the last
digit that both show, or by a millionth. Integers must be equal.
"""

from __future__ import annotations

import re
from math import isclose

from benchside_kernels.volatile import steady

REL_TOL = 1e-6
MOST_ROUNDING = 1e-3  # relative; 0.1 and 0.2 are not the same for being shown with one digit
MAX_SHOWN_CHARS = 160

_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?(?![\w.]*\w)")
_TIMED = re.compile(
    r"^\s*%%?time(?:it)?\b|\b(?:perf_counter|process_time|monotonic|timeit|tqdm)\b", re.MULTILINE
)
_COUNTER = re.compile(r"\bIn ?\[\d+\]")
_FILL = re.compile(r"\s+|[-=_─━]{3,}")  # columns are padded to their widest number


def settled(text: str, source: str) -> str:
    """Return a text without what differs between any two kernels.

    Args:
        source: of the cell; durations count as noise only where it measures time.
    """
    return _COUNTER.sub("In [N]", steady(text, times=_TIMED.search(source) is not None))


def first_difference(before: str, after: str) -> tuple[str, str] | None:
    """Return the parts of two settled texts where they first differ; None if they say the same."""
    if before == after:
        return None
    ours, theirs = list(_NUMBER.finditer(before)), list(_NUMBER.finditer(after))
    starts = (0, 0)
    for one, other in zip(ours, theirs, strict=False):
        gap_before, gap_after = before[starts[0] : one.start()], after[starts[1] : other.start()]
        if not _same_words(gap_before, gap_after) or not close(one[0], other[0]):
            return _around(before, starts[0], one.end()), _around(after, starts[1], other.end())
        starts = one.end(), other.end()
    if len(ours) == len(theirs) and _same_words(before[starts[0] :], after[starts[1] :]):
        return None
    return _around(before, starts[0], len(before)), _around(after, starts[1], len(after))


def close(before: str, after: str) -> bool:
    """Whether two numbers, as they are shown, are the same."""
    if before == after:
        return True
    if not (set(before) | set(after)) & set(".eE"):
        return int(before) == int(after)
    ours, theirs = float(before), float(after)
    if isclose(ours, theirs, rel_tol=REL_TOL, abs_tol=1e-12):
        return True
    last = max(_unit(before), _unit(after)) * 1.001
    return last <= MOST_ROUNDING * max(abs(ours), abs(theirs)) and abs(ours - theirs) <= last


def _unit(number: str) -> float:
    """The value of the last digit that is shown."""
    mantissa, _, exponent = number.lower().partition("e")
    decimals = len(mantissa.partition(".")[2])
    return 10.0 ** (int(exponent or 0) - decimals)


def _same_words(before: str, after: str) -> bool:
    return _FILL.sub(" ", before).strip() == _FILL.sub(" ", after).strip()


def _around(text: str, start: int, end: int) -> str:
    """The part of a text that differs, with its line, cut to what a reader takes in."""
    start = text.rfind("\n", 0, start) + 1
    return shown(text[start:end].strip() or text[start : end + MAX_SHOWN_CHARS].strip())


def shown(text: str) -> str:
    """Return a text, its end where it is long: the difference stands there."""
    return text if len(text) <= MAX_SHOWN_CHARS else f"…{text[-MAX_SHOWN_CHARS:]}"
