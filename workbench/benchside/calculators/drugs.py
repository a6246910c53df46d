"""Conversions of corticosteroid and opioid doses.

Formulas stand alone with those that they call: reference solutions carry their source.
"""

from __future__ import annotations

from . import units
from .calculator import Calculator, Output, Source
from .inputs import Choice, Doses, Measured


def steroid_equivalent(steroid: str, dose_mg: float, target: str) -> float:
    """Return the dose in mg of the target with the same glucocorticoid effect.

    Steroids are named with their route, such as "PredniSONE PO"; the route does not matter.
    Source: Meikle, Tyler: Am J Med 1977;63:200-207 (doses that equal 20 mg of hydrocortisone).
    """
    equal_mg = {
        "Betamethasone": 0.75, "Cortisone": 25, "Dexamethasone": 0.75, "Hydrocortisone": 20,
        "MethylPrednisoLONE": 4, "PrednisoLONE": 5, "PredniSONE": 5, "Triamcinolone": 4,
    }  # fmt: skip
    return dose_mg * equal_mg[target.split(maxsplit=1)[0]] / equal_mg[steroid.split(maxsplit=1)[0]]


def morphine_equivalents(doses: dict[str, list[float]]) -> float:
    """Return morphine milligram equivalents a day of {opioid: [amount, doses a day]}.

    Amounts are mg; buccal fentanyl µg; fentanyl patches µg/h. Source: CDC Clinical Practice
    Guideline for Prescribing Opioids, MMWR Recomm Rep 2022;71(3), table; buccal fentanyl: CDC 2020.
    """
    factors = {
        "Codeine": 0.15, "FentaNYL buccal": 0.13, "FentANYL patch": 2.4, "HYDROcodone": 1,
        "HYDROmorphone": 5, "Methadone": 4.7, "Morphine": 1, "OxyCODONE": 1.5, "OxyMORphone": 3,
        "Tapentadol": 0.4, "TraMADol": 0.2,
    }  # fmt: skip
    return sum(factors[opioid] * amount * per_day for opioid, (amount, per_day) in doses.items())


STEROIDS = (
    "Betamethasone IV", "Cortisone PO", "Dexamethasone IV", "Dexamethasone PO",
    "Hydrocortisone IV", "Hydrocortisone PO", "MethylPrednisoLONE IV", "MethylPrednisoLONE PO",
    "PrednisoLONE PO", "PredniSONE PO", "Triamcinolone IV",
)  # fmt: skip
OPIOIDS = {
    "Codeine": "mg", "FentaNYL buccal": "µg", "FentANYL patch": "µg/h", "HYDROcodone": "mg",
    "HYDROmorphone": "mg", "Methadone": "mg", "Morphine": "mg", "OxyCODONE": "mg",
    "OxyMORphone": "mg", "Tapentadol": "mg", "TraMADol": "mg",
}  # fmt: skip

CALCULATORS = (
    Calculator(
        "steroid-equivalent",
        24,
        "Corticosteroid conversion",
        steroid_equivalent,
        (
            Choice("steroid", STEROIDS),
            Measured("dose", "dose_mg", units.DOSE, 0, 10_000),
            Choice("target", STEROIDS),
        ),
        Output("number", "mg", 3),
        Source("Meikle, Tyler", "Am J Med", 1977, "63:200-207"),
    ),
    Calculator(
        "morphine-equivalents",
        49,
        "Morphine milligram equivalents",
        morphine_equivalents,
        (Doses("doses", OPIOIDS),),
        Output("number", "", 3),
        Source("Dowell et al.", "MMWR Recomm Rep", 2022, "71(3):1-95"),
    ),
)
