"""Errors of the calculators: which calculator or input, the value seen, and what is allowed.

CalculatorError          also a ValueError
├── UnknownCalculatorError  no calculator has this key
├── UnknownInputError       the calculator has no such input
├── MissingInputError       an input without a default was not given
├── InputTypeError          a value of the wrong type or not among the possible values
├── UnitError               the quantity is not accepted in this unit
├── OutOfRangeError         a value that no patient has, mostly a wrong unit
└── UndefinedError          the formula has no value here, such as a division by zero

They derive from nothing of Benchside: the package also runs alone, inside kernels.
"""

from __future__ import annotations


class CalculatorError(ValueError):
    """An error with its parts.

    Args:
        what: one sentence.
        where: calculator or input.
        value: the value seen.
        fix: what is allowed.
    """

    def __init__(self, what: str, *, where: str, value: object = None, fix: str = ""):
        self.what, self.where, self.value, self.fix = what, where, value, fix
        seen = "" if value is None else f", not {value!r}"
        super().__init__(f"{where}: {what}{seen}" + (f"; {fix}" if fix else ""))


class UnknownCalculatorError(CalculatorError):
    """No calculator has this key."""


class UnknownInputError(CalculatorError):
    """The calculator has no such input."""


class MissingInputError(CalculatorError):
    """An input without a default was not given."""


class InputTypeError(CalculatorError):
    """A value of the wrong type, or not among the possible ones."""


class UnitError(CalculatorError):
    """The quantity is not accepted in this unit."""


class OutOfRangeError(CalculatorError):
    """A value that no patient has; most often it is in another unit than was said."""


class UndefinedError(CalculatorError):
    """The formula has no value for these inputs."""
