"""Venous thromboembolism: Wells, PERC and Caprini.

Formulas stand alone with those that they call: reference solutions carry their source.
"""

from __future__ import annotations

from . import units
from .calculator import Calculator, Output, Source
from .inputs import Choice, Measured
from .measures import AGE, HEMOPTYSIS, PAST_EMBOLISM, PAST_THROMBOSIS, PULSE, SEX, flags


def wells_embolism(
    *,
    rate_per_min: float,
    thrombosis_signs: bool = False,
    likeliest: bool = False,
    immobile: bool = False,
    surgery: bool = False,
    past_embolism: bool = False,
    past_thrombosis: bool = False,
    hemoptysis: bool = False,
    malignancy: bool = False,
) -> float:
    """Return the score for pulmonary embolism. Source: Wells et al.: Thromb Haemost 2000;83:416."""
    fast = rate_per_min > 100
    halves = fast + (immobile or surgery) + (past_embolism or past_thrombosis)
    return 3 * (thrombosis_signs + likeliest) + 1.5 * halves + hemoptysis + malignancy


def wells_thrombosis(
    *,
    cancer: bool = False,
    bedridden: bool = False,
    surgery: bool = False,
    paralysis: bool = False,
    past_thrombosis: bool = False,
    alternative: bool = False,
    calf: bool = False,
    collateral: bool = False,
    leg: bool = False,
    tenderness: bool = False,
    edema: bool = False,
) -> int:
    """Return the score for deep vein thrombosis. Source: Wells et al.: NEJM 2003;349:1227-1235."""
    points = cancer + (bedridden or surgery) + paralysis + past_thrombosis + calf
    return points + collateral + leg + tenderness + edema - 2 * alternative


def perc_rule(
    *,
    age_y: float,
    rate_per_min: float,
    saturation: float,
    leg: bool = False,
    hemoptysis: bool = False,
    surgery: bool = False,
    past_embolism: bool = False,
    past_thrombosis: bool = False,
    hormones: bool = False,
) -> int:
    """Return the number of criteria met, 0 to 8. Source: Kline et al.: J Thromb Haemost 2004."""
    measured = (age_y >= 50) + (rate_per_min >= 100) + (saturation < 95)
    return measured + leg + hemoptysis + surgery + (past_embolism or past_thrombosis) + hormones


def caprini_score(
    *,
    sex: str,
    age_y: float,
    bmi: float = 22,
    surgery: str = "none",
    mobility: str = "normal",
    recent_surgery: bool = False,
    failure: bool = False,
    sepsis: bool = False,
    pneumonia: bool = False,
    cast: bool = False,
    fracture: bool = False,
    stroke: bool = False,
    trauma: bool = False,
    cord: bool = False,
    varicose: bool = False,
    swollen: bool = False,
    venous_access: bool = False,
    past_thrombosis: bool = False,
    past_embolism: bool = False,
    family: bool = False,
    factor_v: bool = False,
    prothrombin: bool = False,
    homocysteine: bool = False,
    lupus: bool = False,
    anticardiolipin: bool = False,
    heparin: bool = False,
    thrombophilia: bool = False,
    bowel: bool = False,
    infarction: bool = False,
    copd: bool = False,
    malignancy: bool = False,
) -> int:
    """Return the score. Source: Caprini: Dis Mon 2005;51:70-78.

    As MedCalc-Bench counts it: one point for women instead of single points for pregnancy and
    hormones, and thrombosis and embolism of the past count once each.
    """
    age = (age_y > 40) + (age_y > 60) + (age_y >= 75)
    operation = {
        "minor": 1, "major": 2, "laparoscopic": 2, "arthroscopic": 2,
        "elective major lower extremity arthroplasty": 5,
    }.get(surgery, 0)  # fmt: skip
    rest = {"on bed rest": 1, "confined to bed >72 hours": 2}.get(mobility, 0)
    ones = (sex == "Female") + recent_surgery + failure + sepsis + pneumonia + varicose + swollen
    ones += bowel + infarction + copd + (bmi > 25)
    twos = cast + venous_access + malignancy
    threes = past_thrombosis + past_embolism + family + factor_v + prothrombin + homocysteine
    threes += lupus + anticardiolipin + heparin + thrombophilia
    fives = fracture + stroke + trauma + cord
    return age + operation + rest + ones + 2 * twos + 3 * threes + 5 * fives


_SATURATION = Measured("saturation", "saturation", units.PERCENT, 30, 100)
_BMI = Measured("bmi", "bmi", units.BODY_MASS_INDEX, 5, 200, required=False)
SURGERIES = (
    "none", "minor", "major", "laparoscopic", "arthroscopic",
    "elective major lower extremity arthroplasty",
)  # fmt: skip

CALCULATORS = (
    Calculator(
        "wells-embolism",
        8,
        "Wells' criteria for pulmonary embolism",
        wells_embolism,
        (
            PULSE,
            *flags(
                thrombosis_signs="clinical signs and symptoms of deep vein thrombosis",
                likeliest="pulmonary embolism as the likeliest diagnosis",
                immobile="immobilization for at least 3 days",
                surgery="surgery in the previous 4 weeks",
            ),
            PAST_EMBOLISM,
            PAST_THROMBOSIS,
            HEMOPTYSIS,
            *flags(malignancy="malignancy treated within 6 months"),
        ),
        Output("number", "", 1),
        Source("Wells et al.", "Thromb Haemost", 2000, "83:416-420"),
    ),
    Calculator(
        "wells-thrombosis",
        16,
        "Wells' criteria for deep vein thrombosis",
        wells_thrombosis,
        (
            *flags(
                cancer="active cancer",
                bedridden="recently bedridden for more than 3 days",
                surgery="major surgery within 12 weeks",
                paralysis="paralysis, paresis or plaster immobilization of the leg",
            ),
            PAST_THROMBOSIS,
            *flags(
                alternative="alternative diagnosis at least as likely as thrombosis",
                calf="calf swelling of more than 3 cm",
                collateral="collateral superficial veins",
                leg="swelling of the entire leg",
                tenderness="localized tenderness along the deep venous system",
                edema="pitting edema confined to the symptomatic leg",
            ),
        ),
        Output("integer", low=-2, high=9),
        Source("Wells et al.", "N Engl J Med", 2003, "349:1227-1235"),
    ),
    Calculator(
        "perc-rule",
        48,
        "PERC rule for pulmonary embolism",
        perc_rule,
        (
            AGE,
            PULSE,
            _SATURATION,
            *flags(leg="unilateral leg swelling"),
            HEMOPTYSIS,
            *flags(surgery="recent surgery or trauma"),
            PAST_EMBOLISM,
            PAST_THROMBOSIS,
            *flags(hormones="use of estrogens"),
        ),
        Output("integer", low=0, high=8),
        Source("Kline et al.", "J Thromb Haemost", 2004, "2:1247-1255"),
    ),
    Calculator(
        "caprini-score",
        36,
        "Caprini score for venous thromboembolism",
        caprini_score,
        (
            SEX,
            AGE,
            _BMI,
            Choice("surgery", SURGERIES, required=False),
            Choice("mobility", ("normal", "on bed rest", "confined to bed >72 hours"), False),
            *flags(
                recent_surgery="major surgery in the last month",
                failure="congestive heart failure in the last month",
                sepsis="sepsis in the last month",
                pneumonia="pneumonia in the last month",
                cast="immobilizing plaster cast in the last month",
                fracture="hip, pelvis or leg fracture in the last month",
                stroke="stroke in the last month",
                trauma="multiple trauma in the last month",
                cord="acute spinal cord injury in the last month",
                varicose="varicose veins",
                swollen="swollen legs",
                venous_access="central venous access",
            ),
            PAST_THROMBOSIS,
            PAST_EMBOLISM,
            *flags(
                family="family history of thrombosis",
                factor_v="factor V Leiden",
                prothrombin="prothrombin 20210A mutation",
                homocysteine="elevated serum homocysteine",
                lupus="lupus anticoagulant",
                anticardiolipin="elevated anticardiolipin antibody",
                heparin="heparin-induced thrombocytopenia",
                thrombophilia="other thrombophilia",
                bowel="inflammatory bowel disease",
                infarction="acute myocardial infarction",
                copd="chronic obstructive pulmonary disease",
                malignancy="present or previous malignancy",
            ),
        ),
        Output("integer", low=0),
        Source("Caprini", "Dis Mon", 2005, "51:70-78"),
    ),
)
