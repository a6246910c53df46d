"""55 published clinical calculators with typed inputs, units, possible ranges and sources.

    >>> from benchside.calculators import compute
    >>> compute("anion-gap", sodium=140, chloride=(100, "mmol/L"), bicarbonate=20)
    20.0

The calculators are those of MedCalc-Bench (Khandekar et al.: NeurIPS 2024). The package needs
nothing but the standard library and imports itself by relative names, as the kernel images of some
tasks hold a copy of it as `calculators`.
"""

from .calculator import Answer, Calculator, Output, Source
from .catalogue import BY_NUMBER, CALCULATORS, calculator, compute
from .errors import (
    CalculatorError,
    InputTypeError,
    MissingInputError,
    OutOfRangeError,
    UndefinedError,
    UnitError,
    UnknownCalculatorError,
    UnknownInputError,
)
from .inputs import Choice, Day, Doses, Flag, Input, Measured
from .units import Quantity, Unit

__all__ = [
    "BY_NUMBER",
    "CALCULATORS",
    "Answer",
    "Calculator",
    "CalculatorError",
    "Choice",
    "Day",
    "Doses",
    "Flag",
    "Input",
    "InputTypeError",
    "Measured",
    "MissingInputError",
    "OutOfRangeError",
    "Output",
    "Quantity",
    "Source",
    "UndefinedError",
    "Unit",
    "UnitError",
    "UnknownCalculatorError",
    "UnknownInputError",
    "calculator",
    "compute",
]
