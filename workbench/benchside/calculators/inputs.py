"""What a calculator asks for: measured quantities, choices, criteria, days and daily doses.

Each kind of input reads a value as a user writes it and returns the formula's argument. A measured
value is a number in the quantity's own unit, or a pair of number and unit: `(124, "µmol/L")`.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from .errors import InputTypeError, OutOfRangeError
from .units import Quantity

Argument: TypeAlias = str | float | bool | dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Measured:
    """A quantity.

    Args:
        name: as users give it; `argument` as the formula takes it, with its unit.
        low, high: what a patient can have, both included; beyond it the value is refused.
        required: False where the formula has a default for it.
    """

    name: str
    argument: str
    quantity: Quantity
    low: float
    high: float
    required: bool = True

    def read(self, value: object, *, in_range: bool = True) -> Argument:
        """Return the value in the quantity's own unit."""
        match value:
            case bool():
                number, unit = math.nan, ""
            case int() | float():
                number, unit = float(value), self.quantity.unit
            case [int() | float() as amount, str() as unit] if not isinstance(amount, bool):
                number = float(amount)
            case _:
                number, unit = math.nan, ""
        if not math.isfinite(number):
            raise InputTypeError(
                "a finite number, or a pair of number and unit, was expected",
                where=self.name, value=value, fix=f"its own unit is {self.quantity.unit or 'none'}",
            )  # fmt: skip
        found = self.quantity.convert(number, unit)
        if in_range and not self.low <= found <= self.high:
            raise OutOfRangeError(
                "out of range", where=self.name, value=value,
                fix=f"{self.low:g} to {self.high:g} {self.quantity.unit} are possible".rstrip(),
            )  # fmt: skip
        return found


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some possible values."""

    name: str
    values: tuple[str, ...]
    required: bool = True

    @property
    def argument(self) -> str:
        """The formula's name for it."""
        return self.name

    def read(self, value: object, *, in_range: bool = True) -> Argument:
        """Return the value as it is, if it is a possible one."""
        if not isinstance(value, str) or value not in self.values:
            allowed = ", ".join(map(repr, self.values))
            raise InputTypeError("not a possible value", where=self.name, value=value,
                                 fix=f"use one of {allowed}")  # fmt: skip
        return value


@dataclass(frozen=True, slots=True)
class Flag:
    """A criterion that is met or not; not given counts as not met.

    Args:
        meaning: the criterion as a noun phrase.
    """

    name: str
    meaning: str
    required: bool = False

    @property
    def argument(self) -> str:
        """The formula's name for it."""
        return self.name

    def read(self, value: object, *, in_range: bool = True) -> Argument:
        """Return a truth value as it is."""
        if not isinstance(value, bool):
            raise InputTypeError("True or False was expected", where=self.name, value=value)
        return value


@dataclass(frozen=True, slots=True)
class Day:
    """A calendar day: a date, or ISO text."""

    name: str
    required: bool = True

    @property
    def argument(self) -> str:
        """The formula's name for it."""
        return self.name

    def read(self, value: object, *, in_range: bool = True) -> Argument:
        """Return the day as ISO text."""
        if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
            return value.isoformat()
        try:
            if isinstance(value, str):
                return dt.date.fromisoformat(value).isoformat()
        except ValueError:
            pass  # told below, like any other value that is no day
        raise InputTypeError("a date such as '2024-02-29' was expected", where=self.name,
                             value=value)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Doses:
    """Amounts and doses a day by drug: `{"Codeine": (30, 4)}`.

    Args:
        amounts: drug → unit of its amount.
    """

    name: str
    amounts: Mapping[str, str]
    max_amount: float = 2000
    max_per_day: float = 48
    required: bool = True

    @property
    def argument(self) -> str:
        """The formula's name for it."""
        return self.name

    def read(self, value: object, *, in_range: bool = True) -> Argument:
        """Return {drug: [amount, doses a day]}."""
        if not isinstance(value, Mapping) or not value:
            raise InputTypeError("a dict from drug to (amount, doses a day) was expected",
                                 where=self.name, value=value)  # fmt: skip
        read = {}
        for drug, dose in value.items():
            if drug not in self.amounts:
                raise InputTypeError("unknown drug", where=self.name, value=drug,
                                     fix=f"known are {', '.join(self.amounts)}")  # fmt: skip
            match dose:
                case [int() | float() as amount, int() | float() as per_day]:
                    read[drug] = [float(amount), float(per_day)]
                case _:
                    raise InputTypeError("a pair of amount and doses a day was expected",
                                         where=f"{self.name}, {drug}", value=dose)  # fmt: skip
            possible = 0 <= amount <= self.max_amount and 0 <= per_day <= self.max_per_day
            if in_range and not possible:
                raise OutOfRangeError(
                    "out of range", where=f"{self.name}, {drug}", value=dose,
                    fix=f"0 to {self.max_amount:g} {self.amounts[drug]}, 0 to {self.max_per_day:g} "
                    "times a day are possible",
                )  # fmt: skip
        return read


Input: TypeAlias = Measured | Choice | Flag | Day | Doses
