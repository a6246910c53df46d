"""Body size: mass index, surface, ideal, adjusted and target weight, maintenance fluids.

Formulas stand alone with those that they call: reference solutions carry their source.
"""

from __future__ import annotations

import math

from . import units
from .calculator import Calculator, Output, Source
from .inputs import Measured
from .measures import HEIGHT, SEX, WEIGHT


def body_mass_index(weight_kg: float, height_cm: float) -> float:
    """Return weight over height squared, in kg/m² (Quetelet)."""
    return weight_kg / (height_cm / 100) ** 2


def body_surface(weight_kg: float, height_cm: float) -> float:
    """Return the body surface in m². Source: Mosteller: NEJM 1987;317:1098."""
    return math.sqrt(weight_kg * height_cm / 3600)


def ideal_weight(sex: str, height_cm: float) -> float:
    """Return the ideal body weight in kg. Source: Devine: Drug Intell Clin Pharm 1974;8:650."""
    return (45.5 if sex == "Female" else 50.0) + 2.3 * (height_cm / 2.54 - 60)


def adjusted_weight(sex: str, weight_kg: float, height_cm: float) -> float:
    """Return ideal weight plus 0.4 of the excess, in kg. Source: Bauer et al.: EJCP 1983;24:643."""
    ideal_kg = ideal_weight(sex, height_cm)
    return ideal_kg + 0.4 * (weight_kg - ideal_kg)


def target_weight(bmi: float, height_cm: float) -> float:
    """Return the weight in kg at which a height gives a body-mass index (kg/m²)."""
    return bmi * (height_cm / 100) ** 2


def maintenance_fluid(weight_kg: float) -> float:
    """Return mL/h by the 4-2-1 rule. Source: Holliday, Segar: Pediatrics 1957;19:823-832."""
    return 4 * min(weight_kg, 10) + 2 * min(max(weight_kg - 10, 0), 10) + max(weight_kg - 20, 0)


_BODY = (WEIGHT, HEIGHT)
_TARGET = Measured("bmi", "bmi", units.BODY_MASS_INDEX, 5, 200)

CALCULATORS = (
    Calculator(
        "body-mass-index",
        6,
        "Body mass index",
        body_mass_index,
        _BODY,
        Output("number", "kg/m²", 3),
        Source("Keys et al.", "J Chronic Dis", 1972, "25:329-343"),
    ),
    Calculator(
        "body-surface-area",
        60,
        "Body surface area (Mosteller)",
        body_surface,
        _BODY,
        Output("number", "m²", 3),
        Source("Mosteller", "N Engl J Med", 1987, "317:1098"),
    ),
    Calculator(
        "ideal-body-weight",
        10,
        "Ideal body weight (Devine)",
        ideal_weight,
        (SEX, HEIGHT),
        Output("number", "kg", 3),
        Source("Devine", "Drug Intell Clin Pharm", 1974, "8:650-655"),
    ),
    Calculator(
        "adjusted-body-weight",
        62,
        "Adjusted body weight",
        adjusted_weight,
        (SEX, *_BODY),
        Output("number", "kg", 3),
        Source("Bauer et al.", "Eur J Clin Pharmacol", 1983, "24:643-647"),
    ),
    Calculator(
        "target-weight",
        61,
        "Target weight",
        target_weight,
        (_TARGET, HEIGHT),
        Output("number", "kg", 3),
        Source("Keys et al.", "J Chronic Dis", 1972, "25:329-343"),
    ),
    Calculator(
        "maintenance-fluids",
        22,
        "Maintenance fluids (4-2-1 rule)",
        maintenance_fluid,
        (WEIGHT,),
        Output("number", "mL/hr", 3),
        Source("Holliday, Segar", "Pediatrics", 1957, "19:823-832"),
    ),
)
