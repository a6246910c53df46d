"""Lipids and insulin resistance.

Formulas stand alone with those that they call: reference solutions carry their source.
"""

from __future__ import annotations

from . import units
from .calculator import Calculator, Output, Source
from .inputs import Measured
from .measures import GLUCOSE, HDL_CHOLESTEROL, TOTAL_CHOLESTEROL


def ldl_cholesterol(total_mg_dl: float, hdl_mg_dl: float, triglycerides_mg_dl: float) -> float:
    """Return LDL in mg/dL. Source: Friedewald et al.: Clin Chem 1972;18:499-502."""
    return total_mg_dl - hdl_mg_dl - triglycerides_mg_dl / 5


def homa_ir(glucose_mg_dl: float, insulin_uiu_ml: float) -> float:
    """Return the insulin resistance index. Source: Matthews et al.: Diabetologia 1985;28:412."""
    return glucose_mg_dl * insulin_uiu_ml / 405


_TRIGLYCERIDES = Measured("triglycerides", "triglycerides_mg_dl", units.TRIGLYCERIDES, 5, 10_000)
_INSULIN = Measured("insulin", "insulin_uiu_ml", units.INSULIN, 0.05, 2000)

CALCULATORS = (
    Calculator(
        "ldl-cholesterol",
        44,
        "LDL cholesterol (Friedewald)",
        ldl_cholesterol,
        (TOTAL_CHOLESTEROL, HDL_CHOLESTEROL, _TRIGLYCERIDES),
        Output("number", "mg/dL", 3),
        Source("Friedewald et al.", "Clin Chem", 1972, "18:499-502"),
    ),
    Calculator(
        "homa-ir",
        31,
        "HOMA-IR",
        homa_ir,
        (GLUCOSE, _INSULIN),
        Output("number", "", 3),
        Source("Matthews et al.", "Diabetologia", 1985, "28:412-419"),
    ),
)
