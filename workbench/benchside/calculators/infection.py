"""Pharyngitis, pneumonia and systemic inflammation.

Formulas stand alone with those that they call: reference solutions carry their source.
"""

from __future__ import annotations

from . import units
from .calculator import Calculator, Output, Source
from .inputs import Measured
from .measures import (
    ACIDITY,
    AGE,
    BREATHS,
    DIASTOLIC,
    GLUCOSE,
    HEMATOCRIT,
    LEUKOCYTES,
    OXYGEN,
    PULSE,
    SEX,
    SODIUM,
    SYSTOLIC,
    TEMPERATURE,
    UREA_NITROGEN,
    flags,
)


def centor_score(
    age_y: float,
    temperature_c: float,
    no_cough: bool = False,
    nodes: bool = False,
    exudate: bool = False,
) -> int:
    """Return the modified score. Source: McIsaac et al.: CMAJ 1998;158:75-83."""
    age = 1 if 3 <= age_y < 15 else -int(age_y >= 45)
    return age + (temperature_c > 38) + no_cough + nodes + exudate


def feverpain(
    fever: bool = False,
    no_cough: bool = False,
    early: bool = False,
    purulent: bool = False,
    inflamed: bool = False,
) -> int:
    """Return the score, 0 to 5. Source: Little et al.: BMJ 2013;347:f5806."""
    return fever + no_cough + early + purulent + inflamed


def curb65(
    *,
    age_y: float,
    systolic_mm_hg: float,
    diastolic_mm_hg: float,
    bun_mg_dl: float,
    breaths_per_min: float,
    confusion: bool = False,
) -> int:
    """Return the severity of pneumonia, 0 to 5. Source: Lim et al.: Thorax 2003;58:377-382."""
    low = systolic_mm_hg < 90 or diastolic_mm_hg <= 60
    return confusion + (bun_mg_dl > 19) + (breaths_per_min >= 30) + low + (age_y >= 65)


def pneumonia_severity(
    *,
    sex: str,
    age_y: float,
    rate_per_min: float,
    temperature_c: float,
    ph: float,
    breaths_per_min: float,
    systolic_mm_hg: float,
    bun_mg_dl: float,
    sodium_meq_l: float,
    glucose_mg_dl: float,
    hematocrit: float,
    oxygen_mm_hg: float,
    nursing_home: bool = False,
    neoplastic: bool = False,
    liver: bool = False,
    failure: bool = False,
    cerebrovascular: bool = False,
    renal: bool = False,
    mental: bool = False,
    effusion: bool = False,
) -> int:
    """Return the PSI of community-acquired pneumonia. Source: Fine et al.: NEJM 1997;336:243."""
    tens = nursing_home + failure + cerebrovascular + renal + effusion + (rate_per_min >= 125)
    tens += (glucose_mg_dl >= 250) + (hematocrit < 30) + (oxygen_mm_hg < 60) - (sex == "Female")
    twenties = liver + mental + (breaths_per_min >= 30) + (systolic_mm_hg < 90)
    twenties += (bun_mg_dl >= 30) + (sodium_meq_l < 130)
    fever = temperature_c < 35 or temperature_c > 39.9
    return int(age_y) + 10 * tens + 15 * fever + 20 * twenties + 30 * (neoplastic + (ph < 7.35))


def sirs_criteria(
    temperature_c: float,
    rate_per_min: float,
    breaths_per_min: float,
    leukocytes_per_ul: float,
    carbon_dioxide_mm_hg: float = 40,
) -> int:
    """Return the number of criteria met, 0 to 4. Source: Bone et al.: Chest 1992;101:1644-1655."""
    breathing = breaths_per_min > 20 or carbon_dioxide_mm_hg < 32
    cells = leukocytes_per_ul > 12_000 or leukocytes_per_ul < 4_000
    temperature = temperature_c > 38 or temperature_c < 36
    return temperature + (rate_per_min > 90) + cells + breathing


_CARBON_DIOXIDE = Measured(
    "carbon_dioxide", "carbon_dioxide_mm_hg", units.PRESSURE, 3, 250, required=False
)

CALCULATORS = (
    Calculator(
        "centor-score",
        20,
        "Centor score, modified by McIsaac",
        centor_score,
        (
            AGE,
            TEMPERATURE,
            *flags(
                no_cough="absence of cough",
                nodes="tender or swollen anterior cervical lymph nodes",
                exudate="exudate or swelling of the tonsils",
            ),
        ),
        Output("integer", low=-1, high=5),
        Source("McIsaac et al.", "CMAJ", 1998, "158:75-83"),
    ),
    Calculator(
        "feverpain",
        33,
        "FeverPAIN score",
        feverpain,
        flags(
            fever="fever in the past 24 hours",
            no_cough="absence of cough or coryza",
            early="onset of symptoms within 3 days",
            purulent="purulent tonsils",
            inflamed="severely inflamed tonsils",
        ),
        Output("integer", low=0, high=5),
        Source("Little et al.", "BMJ", 2013, "347:f5806"),
    ),
    Calculator(
        "curb-65",
        45,
        "CURB-65 score",
        curb65,
        (AGE, SYSTOLIC, DIASTOLIC, UREA_NITROGEN, BREATHS, *flags(confusion="confusion")),
        Output("integer", low=0, high=5),
        Source("Lim et al.", "Thorax", 2003, "58:377-382"),
    ),
    Calculator(
        "pneumonia-severity",
        29,
        "Pneumonia severity index",
        pneumonia_severity,
        (
            SEX,
            AGE,
            PULSE,
            TEMPERATURE,
            ACIDITY,
            BREATHS,
            SYSTOLIC,
            UREA_NITROGEN,
            SODIUM,
            GLUCOSE,
            HEMATOCRIT,
            OXYGEN,
            *flags(
                nursing_home="residence in a nursing home",
                neoplastic="neoplastic disease",
                liver="chronic liver disease",
                failure="congestive heart failure",
                cerebrovascular="cerebrovascular disease",
                renal="renal disease",
                mental="altered mental status",
                effusion="pleural effusion",
            ),
        ),
        Output("integer"),
        Source("Fine et al.", "N Engl J Med", 1997, "336:243-250"),
    ),
    Calculator(
        "sirs-criteria",
        51,
        "SIRS criteria",
        sirs_criteria,
        (TEMPERATURE, PULSE, BREATHS, LEUKOCYTES, _CARBON_DIOXIDE),
        Output("integer", low=0, high=4),
        Source("Bone et al.", "Chest", 1992, "101:1644-1655"),
    ),
)
