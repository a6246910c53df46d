"""Kidney function, sodium excretion and water deficit.

Formulas stand alone with those that they call: reference solutions carry their source.
"""

from __future__ import annotations

import math

from . import units
from .body import adjusted_weight, body_mass_index, ideal_weight
from .calculator import Calculator, Output, Source
from .inputs import Choice, Measured
from .measures import AGE, CREATININE, HEIGHT, SEX, SODIUM, WEIGHT


def creatinine_clearance(
    sex: str, age_y: float, weight_kg: float, height_cm: float, creatinine_mg_dl: float
) -> float:
    """Return the creatinine clearance in mL/min with the weight chosen by body-mass index.

    Underweight: actual weight; normal: the lower of actual and ideal; else: adjusted weight.
    Source: Cockcroft, Gault: Nephron 1976;16:31-41; the weight rule is that of the question.
    """
    bmi = body_mass_index(weight_kg, height_cm)
    if bmi < 18.5:
        used_kg = weight_kg
    elif bmi < 25:
        used_kg = min(weight_kg, ideal_weight(sex, height_cm))
    else:
        used_kg = adjusted_weight(sex, weight_kg, height_cm)
    factor = 0.85 if sex == "Female" else 1.0
    return (140 - age_y) * used_kg * factor / (72 * creatinine_mg_dl)


def gfr_ckd_epi(sex: str, age_y: float, creatinine_mg_dl: float) -> float:
    """Return the GFR in mL/min/1.73 m². Source: Inker et al.: NEJM 2021;385:1737-1749."""
    kappa, alpha, factor = (0.7, -0.241, 1.012) if sex == "Female" else (0.9, -0.302, 1.0)
    ratio = creatinine_mg_dl / kappa
    decline = math.pow(0.9938, age_y)
    return 142 * math.pow(min(ratio, 1), alpha) * math.pow(max(ratio, 1), -1.2) * decline * factor


def gfr_mdrd(sex: str, age_y: float, creatinine_mg_dl: float, race: str = "") -> float:
    """Return the GFR in mL/min/1.73 m². Source: Levey et al.: Ann Intern Med 2006;145:247-254."""
    factor = (0.742 if sex == "Female" else 1.0) * (1.212 if race == "Black" else 1.0)
    return 175 * math.pow(creatinine_mg_dl, -1.154) * math.pow(age_y, -0.203) * factor


def sodium_excretion(
    sodium_meq_l: float,
    creatinine_mg_dl: float,
    urine_sodium_meq_l: float,
    urine_creatinine_mg_dl: float,
) -> float:
    """Return the fractional excretion of sodium in percent. Source: Espinel: JAMA 1976;236:579."""
    cleared = urine_sodium_meq_l * creatinine_mg_dl
    return 100 * cleared / (sodium_meq_l * urine_creatinine_mg_dl)


def free_water_deficit(sex: str, age_y: float, weight_kg: float, sodium_meq_l: float) -> float:
    """Return litres of water missing at a target sodium of 140 mEq/L.

    Body water: 0.6 of weight in children and men, 0.5 in women and men from 65, 0.45 in women
    from 65. Source: Adrogué, Madias: NEJM 2000;342:1493-1499.
    """
    if age_y < 18:
        share = 0.6
    elif age_y < 65:
        share = 0.5 if sex == "Female" else 0.6
    else:
        share = 0.45 if sex == "Female" else 0.5
    return share * weight_kg * (sodium_meq_l / 140 - 1)


_RACE = Choice("race", ("Black", "White", "Asian", "Hispanic", "Other"), required=False)
_URINE_SODIUM = Measured("urine_sodium", "urine_sodium_meq_l", units.ION, 1, 400)
_URINE_CREATININE = Measured(
    "urine_creatinine", "urine_creatinine_mg_dl", units.CREATININE, 0.5, 1000
)

CALCULATORS = (
    Calculator(
        "creatinine-clearance",
        2,
        "Creatinine clearance (Cockcroft-Gault)",
        creatinine_clearance,
        (SEX, AGE, WEIGHT, HEIGHT, CREATININE),
        Output("number", "mL/min", 3),
        Source("Cockcroft, Gault", "Nephron", 1976, "16:31-41"),
    ),
    Calculator(
        "gfr-ckd-epi",
        3,
        "Glomerular filtration rate (CKD-EPI 2021)",
        gfr_ckd_epi,
        (SEX, AGE, CREATININE),
        Output("number", "mL/min/1.73 m²", 3),
        Source("Inker et al.", "N Engl J Med", 2021, "385:1737-1749"),
    ),
    Calculator(
        "gfr-mdrd",
        9,
        "Glomerular filtration rate (MDRD)",
        gfr_mdrd,
        (SEX, AGE, CREATININE, _RACE),
        Output("number", "mL/min/1.73 m²", 3),
        Source("Levey et al.", "Ann Intern Med", 2006, "145:247-254"),
    ),
    Calculator(
        "sodium-excretion",
        40,
        "Fractional excretion of sodium",
        sodium_excretion,
        (SODIUM, CREATININE, _URINE_SODIUM, _URINE_CREATININE),
        Output("number", "%", 3),
        Source("Espinel", "JAMA", 1976, "236:579-581"),
    ),
    Calculator(
        "free-water-deficit",
        38,
        "Free water deficit",
        free_water_deficit,
        (SEX, AGE, WEIGHT, SODIUM),
        Output("number", "L", 3),
        Source("Adrogué, Madias", "N Engl J Med", 2000, "342:1493-1499"),
    ),
)
