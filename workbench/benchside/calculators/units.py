"""Quantities and their units: the one place where values are converted.

A unit is `scale` and `shift` to the quantity's own unit. Molar scales are molar mass / 10 for mg/dL
per mmol/L: creatinine 113.1 g/mol, bilirubin 584.7, glucose 180.16, urea nitrogen 28.01, calcium
40.08, cholesterol 386.7, triglycerides 885.7.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .errors import UnitError


@dataclass(frozen=True, slots=True)
class Unit:
    """Value in the quantity's own unit = value in this unit * scale + shift."""

    scale: float
    shift: float = 0.0


@dataclass(frozen=True, slots=True)
class Quantity:
    """What is measured.

    Args:
        name: readable, such as "creatinine".
        unit: its own unit, in which formulas take it.
        units: all accepted units, its own included.
    """

    name: str
    unit: str
    units: Mapping[str, Unit]

    def convert(self, value: float, unit: str) -> float:
        """Return a value given in `unit` in the quantity's own unit, to 12 significant digits.

        A limit stays a limit that way: 100.4 °F are 38 °C, not 38.00000000000001.

        Raises:
            UnitError: the unit is not accepted.
        """
        found = self._unit(unit)
        return value if unit == self.unit else _cut(value * found.scale + found.shift)

    def express(self, value: float, unit: str) -> float:
        """Return a value given in the quantity's own unit in `unit`; the reverse of `convert`."""
        found = self._unit(unit)
        return value if unit == self.unit else _cut((value - found.shift) / found.scale)

    def _unit(self, unit: str) -> Unit:
        if unit not in self.units:
            known = ", ".join(filter(None, self.units)) or "no unit"
            raise UnitError(f"unknown unit of {self.name}", where=self.name, value=unit,
                            fix=f"use {known}")  # fmt: skip
        return self.units[unit]


def _cut(value: float) -> float:
    return float(f"{value:.12g}")


def _make(name: str, own: str, others: Mapping[str, float] | None = None) -> Quantity:
    scales = {own: 1.0, **(others or {})}
    return Quantity(name, own, {unit: Unit(scale) for unit, scale in scales.items()})


NUMBER = _make("number", "")
AGE = _make("age", "years", {"months": 1 / 12, "weeks": 1 / 52.1775, "days": 1 / 365.2425})
WEIGHT = _make("weight", "kg", {"g": 0.001, "lbs": 0.45359237})
HEIGHT = _make("height", "cm", {"m": 100, "in": 2.54})
BODY_MASS_INDEX = _make("body-mass index", "kg/m²")
TEMPERATURE = Quantity(
    "temperature", "°C", {"°C": Unit(1), "°F": Unit(5 / 9, -160 / 9), "K": Unit(1, -273.15)}
)
PRESSURE = _make("pressure", "mm Hg", {"kPa": 7.500617})
RATE = _make("rate", "/min")
INTERVAL = _make("interval", "ms", {"s": 1000})
PERCENT = _make("percentage", "%")
ION = _make("ion", "mEq/L", {"mmol/L": 1})
CREATININE = _make("creatinine", "mg/dL", {"µmol/L": 0.01131})
BILIRUBIN = _make("bilirubin", "mg/dL", {"µmol/L": 0.05847})
GLUCOSE = _make("glucose", "mg/dL", {"mmol/L": 18.016})
UREA_NITROGEN = _make("urea nitrogen", "mg/dL", {"mmol/L": 2.801})
CALCIUM = _make("calcium", "mg/dL", {"mmol/L": 4.008})
CHOLESTEROL = _make("cholesterol", "mg/dL", {"mmol/L": 38.67})
TRIGLYCERIDES = _make("triglycerides", "mg/dL", {"mmol/L": 88.57})
ALBUMIN = _make("albumin", "g/dL", {"g/L": 0.1, "mg/dL": 0.001})
HEMOGLOBIN = _make("hemoglobin", "g/dL", {"g/L": 0.1})
ENZYME = _make("enzyme", "U/L")
INSULIN = _make("insulin", "µIU/mL", {"mIU/L": 1})
CELLS = _make("cells", "/µL", {"×10³/µL": 1000, "×10⁹/L": 1000, "/L": 1e-6})
DOSE = _make("dose", "mg", {"g": 1000, "µg": 0.001})
INFUSION = _make("infusion", "µg/kg/min")
URINE = _make("urine output", "mL/day", {"L/day": 1000})
DAYS = _make("number of days", "days", {"weeks": 7})
PER_WEEK = _make("number per week", "/week")
