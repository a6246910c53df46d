"""Blood pressure, and cardiac, stroke and bleeding risk.

Formulas stand alone with those that they call: reference solutions carry their source.
"""

from __future__ import annotations

import math

from . import units
from .calculator import Calculator, Output, Source
from .inputs import Choice, Measured
from .measures import AGE, DIASTOLIC, HDL_CHOLESTEROL, SEX, SYSTOLIC, TOTAL_CHOLESTEROL, flags


def mean_arterial_pressure(systolic_mm_hg: float, diastolic_mm_hg: float) -> float:
    """Return two thirds of the diastolic and one third of the systolic pressure, in mm Hg."""
    return (2 * diastolic_mm_hg + systolic_mm_hg) / 3


def cha2ds2_vasc(
    *,
    sex: str,
    age_y: float,
    failure: bool = False,
    hypertension: bool = False,
    diabetes: bool = False,
    stroke: bool = False,
    tia: bool = False,
    embolism: bool = False,
    vascular: bool = False,
) -> int:
    """Return the stroke risk score, 0 to 9. Source: Lip et al.: Chest 2010;137:263-272."""
    age_points = 2 if age_y >= 75 else int(age_y >= 65)
    single = failure + hypertension + diabetes + vascular + (sex == "Female")
    return age_points + single + 2 * (stroke or tia or embolism)


def has_bled(
    *,
    age_y: float,
    drinks_per_week: float = 0,
    hypertension: bool = False,
    renal: bool = False,
    liver: bool = False,
    stroke: bool = False,
    bleeding: bool = False,
    labile_inr: bool = False,
    medication: bool = False,
) -> int:
    """Return the bleeding risk, 0 to 9. Source: Pisters et al.: Chest 2010;138:1093-1100."""
    points = hypertension + renal + liver + stroke + bleeding + labile_inr + medication
    return points + (age_y > 65) + (drinks_per_week >= 8)


def heart_score(
    *,
    age_y: float,
    suspicion: str,
    ecg: str,
    troponin: str,
    hypertension: bool = False,
    cholesterol: bool = False,
    diabetes: bool = False,
    obesity: bool = False,
    smoking: bool = False,
    family: bool = False,
    atherosclerosis: bool = False,
    tia: bool = False,
) -> int:
    """Return the score for cardiac events. Source: Six, Backus, Kelder: Neth Heart J 2008."""
    levels = {
        "Slightly suspicious": 0, "Moderately suspicious": 1, "Highly suspicious": 2,
        "Normal": 0, "Non-specific repolarization disturbance": 1, "Significant ST deviation": 2,
        "less than or equal to normal limit": 0,
        "between the normal limit or up to three times the normal limit": 1,
        "greater than three times normal limit": 2,
    }  # fmt: skip
    factors = hypertension + cholesterol + diabetes + obesity + smoking + family
    risk = 2 if factors >= 3 or atherosclerosis or tia else int(factors > 0)
    age = 2 if age_y >= 65 else int(age_y >= 45)
    return levels[suspicion] + levels[ecg] + levels[troponin] + risk + age


def cardiac_risk_index(
    *,
    creatinine_mg_dl: float,
    surgery: bool = False,
    ischemic: bool = False,
    failure: bool = False,
    cerebrovascular: bool = False,
    insulin: bool = False,
) -> int:
    """Return the revised index, 0 to 6. Source: Lee et al.: Circulation 1999;100:1043-1049."""
    return surgery + ischemic + failure + cerebrovascular + insulin + (creatinine_mg_dl > 2)


def framingham_risk(
    *,
    sex: str,
    age_y: float,
    total_mg_dl: float,
    hdl_mg_dl: float,
    systolic_mm_hg: float,
    treated: bool = False,
    smoker: bool = False,
) -> float:
    """Return the ten-year risk of hard coronary heart disease in percent.

    Source: NCEP ATP III, Circulation 2002;106:3143-3421 (Framingham equations for hard CHD).
    """
    age, total, hdl = math.log(age_y), math.log(total_mg_dl), math.log(hdl_mg_dl)
    systolic = math.log(systolic_mm_hg)
    if sex == "Female":
        capped = math.log(min(age_y, 78))
        risk = 31.764001 * age + 22.465206 * total - 1.187731 * hdl + 2.552905 * systolic
        risk += 0.420251 * treated + 13.07543 * smoker - 5.060998 * age * total
        risk += -2.996945 * capped * smoker - 146.5933061
        return 100 * (1 - math.pow(0.98767, math.exp(risk)))
    capped = math.log(min(age_y, 70))
    risk = 52.00961 * age + 20.014077 * total - 0.905964 * hdl + 1.305784 * systolic
    risk += 0.241549 * treated + 12.096316 * smoker - 4.605038 * age * total
    risk += -2.84367 * capped * smoker - 2.93323 * age**2 - 172.300168
    return 100 * (1 - math.pow(0.9402, math.exp(risk)))


_DRINKS = Measured("drinks", "drinks_per_week", units.PER_WEEK, 0, 500, required=False)
_CREATININE = Measured("creatinine", "creatinine_mg_dl", units.CREATININE, 0.05, 50)

CALCULATORS = (
    Calculator(
        "mean-arterial-pressure",
        5,
        "Mean arterial pressure",
        mean_arterial_pressure,
        (SYSTOLIC, DIASTOLIC),
        Output("number", "mm Hg", 3),
        Source("Sesso et al.", "Hypertension", 2000, "36:801-807"),
    ),
    Calculator(
        "cha2ds2-vasc",
        4,
        "CHA2DS2-VASc score",
        cha2ds2_vasc,
        (
            SEX,
            AGE,
            *flags(
                failure="congestive heart failure",
                hypertension="hypertension",
                diabetes="diabetes mellitus",
                stroke="stroke",
                tia="transient ischemic attack",
                embolism="thromboembolism",
                vascular="vascular disease",
            ),
        ),
        Output("integer", low=0, high=9),
        Source("Lip et al.", "Chest", 2010, "137:263-272"),
    ),
    Calculator(
        "has-bled",
        25,
        "HAS-BLED score",
        has_bled,
        (
            AGE,
            _DRINKS,
            *flags(
                hypertension="uncontrolled hypertension",
                renal="severe renal disease",
                liver="severe liver disease",
                stroke="stroke",
                bleeding="prior major bleeding",
                labile_inr="labile international normalized ratio",
                medication="medication predisposing to bleeding",
            ),
        ),
        Output("integer", low=0, high=9),
        Source("Pisters et al.", "Chest", 2010, "138:1093-1100"),
    ),
    Calculator(
        "heart-score",
        18,
        "HEART score",
        heart_score,
        (
            AGE,
            Choice(
                "suspicion",
                (
                    "Slightly suspicious",
                    "Moderately suspicious",
                    "Highly suspicious",
                ),
            ),
            Choice(
                "ecg",
                (
                    "Normal",
                    "Non-specific repolarization disturbance",
                    "Significant ST deviation",
                ),
            ),
            Choice(
                "troponin",
                (
                    "less than or equal to normal limit",
                    "between the normal limit or up to three times the normal limit",
                    "greater than three times normal limit",
                ),
            ),
            *flags(
                hypertension="hypertension",
                cholesterol="hypercholesterolemia",
                diabetes="diabetes mellitus",
                obesity="obesity",
                smoking="current smoking",
                family="family history of premature coronary disease",
                atherosclerosis="atherosclerotic disease",
                tia="transient ischemic attack",
            ),
        ),
        Output("integer", low=0, high=10),
        Source("Six, Backus, Kelder", "Neth Heart J", 2008, "16:191-196"),
    ),
    Calculator(
        "cardiac-risk-index",
        17,
        "Revised cardiac risk index",
        cardiac_risk_index,
        (
            _CREATININE,
            *flags(
                surgery="elevated-risk surgery",
                ischemic="ischemic heart disease",
                failure="congestive heart failure",
                cerebrovascular="cerebrovascular disease",
                insulin="treatment with insulin",
            ),
        ),
        Output("integer", low=0, high=6),
        Source("Lee et al.", "Circulation", 1999, "100:1043-1049"),
    ),
    Calculator(
        "framingham-risk",
        46,
        "Framingham risk of hard coronary heart disease",
        framingham_risk,
        (
            SEX,
            AGE,
            TOTAL_CHOLESTEROL,
            HDL_CHOLESTEROL,
            SYSTOLIC,
            *flags(treated="blood pressure treatment", smoker="current smoking"),
        ),
        Output("number", "%", 3),
        Source("NCEP Adult Treatment Panel III", "Circulation", 2002, "106:3143-3421"),
    ),
)
