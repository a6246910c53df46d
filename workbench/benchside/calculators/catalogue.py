"""All 55 calculators, by key and by their id in MedCalc-Bench."""

from __future__ import annotations

from difflib import get_close_matches

from . import (
    body,
    comorbidity,
    critical,
    digestive,
    drugs,
    electrolytes,
    heart,
    infection,
    kidney,
    metabolism,
    pregnancy,
    rhythm,
    thrombosis,
)
from .calculator import Answer, Calculator
from .errors import UnknownCalculatorError

_THEMES = (
    body, comorbidity, critical, digestive, drugs, electrolytes, heart, infection, kidney,
    metabolism, pregnancy, rhythm, thrombosis,
)  # fmt: skip
_ALL = sorted((one for theme in _THEMES for one in theme.CALCULATORS), key=lambda one: one.number)

CALCULATORS: dict[str, Calculator] = {one.key: one for one in _ALL}
BY_NUMBER: dict[int, Calculator] = {one.number: one for one in _ALL}


def calculator(key: str) -> Calculator:
    """Return one calculator.

    Raises:
        UnknownCalculatorError: there is none of that key; the nearest ones are named.
    """
    if key not in CALCULATORS:
        near = get_close_matches(key, CALCULATORS, n=3) or sorted(CALCULATORS)
        raise UnknownCalculatorError(
            "unknown", where="calculator", value=key, fix=f"there are {', '.join(near)}"
        )
    return CALCULATORS[key]


def compute(key: str, **values: object) -> Answer:
    """Return the rounded result of one calculator; see `Calculator.compute`."""
    return calculator(key).compute(**values)
