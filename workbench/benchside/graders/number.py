"""Graders `number` and `integer`, and the one way in which text is read as a number.

"1,234.5", "1e-3" and "−2" (unicode minus) are numbers, and so is "12.5 mg/dL" where the task's
unit is mg/dL. A unit that begins with a digit, such as "1/min" or "10^9/L", is read behind a blank.
"1.234,5", "1,5", "0,123", "1_000", "nan", "inf" and any other text are no numbers. True is never 1.
Units are compared without regard to case (mg/dl is often written for mg/dL); nothing is converted.
"""

from __future__ import annotations

import math
import re
import sys
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from benchside.graders.grader import UnreadableError, Verdict, register
from benchside.graders.scalar import Scalar
from benchside.graders.show import show
from benchside_kernels.submission import Value

Floats = npt.NDArray[np.float64]

# longest text read as a number; int() itself refuses above 4300 digits
MAX_NUMBER_CHARS = 64
# difference that rounding of binary floats alone makes at a limit, relative to the gold
ROUNDING = 4 * sys.float_info.epsilon

_NUMBER = re.compile(
    r"(?P<sign>[+-]?)"
    r"(?P<digits>[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+\.?[0-9]*|\.[0-9]+)"
    r"(?P<exponent>[eE][+-]?[0-9]{1,4})?"
    r"(?:(?:\s+|(?=[^\s0-9.,+-]))(?P<unit>\S.*))?"
)


def read_number(value: Value, unit: str | None = None) -> int | float:
    """Return a finite number; text is read as the module says.

    Raises:
        UnreadableError: not a number, not finite, or in another unit.
    """
    number = _from_text(value, unit) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise UnreadableError(f"{show(value)} is not a number")
    if not math.isfinite(_float(number)):
        raise UnreadableError(f"{show(value)} is not a finite number")
    return number


def allowed_difference(gold: Floats, abs_tol: float, rel_tol: float) -> Floats:
    """Return the largest passing |submitted - gold| for each gold, with float rounding added."""
    size = np.abs(gold)
    return np.asarray(np.maximum(abs_tol, rel_tol * size) + ROUNDING * size)


def _from_text(text: str, unit: str | None) -> int | float:
    stripped = text.strip().replace("−", "-")
    found = _NUMBER.fullmatch(stripped) if len(stripped) <= MAX_NUMBER_CHARS else None
    if found is None:
        raise UnreadableError(f"{show(text)} is not a number")
    given = found["unit"]
    if given is not None and (unit is None or _unit_key(given) != _unit_key(unit)):
        expected = "without a unit" if unit is None else f"in {unit}"
        raise UnreadableError(f"{show(text)} has the unit {show(given)}; expected {expected}")
    plain = found["sign"] + found["digits"].replace(",", "")
    if found["exponent"] is None and "." not in plain:
        return int(plain)
    return float(plain + (found["exponent"] or ""))


def _unit_key(unit: str) -> str:
    # U+00B5 (micro sign) and U+03BC (Greek mu) look the same; casefold() makes both U+03BC
    return "".join(unit.split()).casefold()


def _float(number: int | float) -> float:
    try:
        return float(number)
    except OverflowError:  # an integer above 1.8e308
        return math.inf


@register
class NumberGrader(Scalar):
    """Passes when |submitted - gold| <= max(abs_tol, rel_tol * |gold|), or within secret limits.

    Args:
        abs_tol, rel_tol: tolerances; with both 0 only rounding of binary floats is forgiven.
        lower, upper: secret inclusive limits, which replace the tolerances.
        unit: accepted behind a number in text; the task's `answer.unit` unless given.
    """

    name: ClassVar[str] = "number"
    version: ClassVar[int] = 2
    secret: ClassVar[frozenset[str]] = frozenset({"lower", "upper"})
    abs_tol: float = Field(0.0, ge=0, allow_inf_nan=False)
    rel_tol: float = Field(0.0, ge=0, lt=1)
    lower: float | None = Field(None, allow_inf_nan=False)
    upper: float | None = Field(None, allow_inf_nan=False)
    unit: str | None = None

    @model_validator(mode="after")
    def _limits_are_ordered(self) -> Self:
        if (self.lower is None) != (self.upper is None):
            raise ValueError("lower and upper limits go together; give both or neither")
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise ValueError(f"lower limit {self.lower} is above upper limit {self.upper}")
        return self

    def with_unit(self, unit: str) -> Self:
        """Return this grader for numbers in `unit`, unless it names its own."""
        return self if self.unit else self.model_copy(update={"unit": unit})

    def limits(self, gold: float) -> tuple[float, float]:
        """Return the smallest and largest passing number."""
        if self.lower is not None and self.upper is not None:
            return self.lower, self.upper
        allowed = float(allowed_difference(np.array(gold), self.abs_tol, self.rel_tol))
        return gold - allowed, gold + allowed

    def read(self, value: Value) -> float:
        """Return the number as a float."""
        return float(read_number(value, self.unit))

    def check_gold(self, gold: Value) -> None:
        """The gold is finite and lies within its own limits."""
        number = self.read(gold)
        lower, upper = self.limits(number)
        if not lower <= number <= upper:
            raise UnreadableError(f"the gold {show(number)} lies outside {lower} to {upper}")

    def judge_read(self, submitted: Any, gold: Any) -> Verdict:
        """Compare two floats."""
        lower, upper = self.limits(gold)
        passed = lower <= submitted <= upper
        if self.lower is not None:
            place = "inside" if passed else "outside"
            return Verdict(passed, f"submitted {show(submitted)}: {place} {lower} to {upper}")
        allowed = max(self.abs_tol, self.rel_tol * abs(gold))
        difference = abs(submitted - gold)
        within = f" within {show(allowed)}" if allowed else ""
        relation = f"{show(difference)} {'<=' if passed else '>'} {show(allowed)}"
        text = f"submitted {show(submitted)}, expected {show(gold)}{within}: difference {relation}"
        return Verdict(passed, text)

    def differences(self, submitted: list[Any], gold: list[Any]) -> tuple[list[Any], list[Any]]:
        """Compare two sets of numbers within tolerance, in O(n log n)."""
        xs, gs = np.sort(np.array(submitted, float)), np.sort(np.array(gold, float))
        allowed = allowed_difference(gs, self.abs_tol, self.rel_tol)
        low, high = gs - allowed, gs + allowed  # (G) both ascending, as rel_tol < 1
        met = np.searchsorted(xs, high, "right") > np.searchsorted(xs, low, "left")
        meant = np.searchsorted(low, xs, "right") > np.searchsorted(high, xs, "left")
        return gs[~met].tolist(), xs[~meant].tolist()


@register
class IntegerGrader(Scalar):
    """Passes when the integers are equal; 3, 3.0 and "3" are the same, True is no integer."""

    name: ClassVar[str] = "integer"
    version: ClassVar[int] = 2
    unit: str | None = None

    def with_unit(self, unit: str) -> Self:
        """Return this grader for integers in `unit`, unless it names its own."""
        return self if self.unit else self.model_copy(update={"unit": unit})

    def read(self, value: Value) -> int:
        """Return the integer, exact at any size that text or JSON can hold."""
        number = read_number(value, self.unit)
        if number != int(number):
            raise UnreadableError(f"{show(value)} is not an integer")
        return int(number)
