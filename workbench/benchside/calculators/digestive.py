"""Liver and gastrointestinal bleeding.

Formulas stand alone with those that they call: reference solutions carry their source.
"""

from __future__ import annotations

import math

from . import units
from .calculator import Calculator, Output, Source
from .inputs import Choice, Measured
from .measures import (
    AGE,
    ALBUMIN,
    BILIRUBIN,
    CREATININE,
    INR,
    PLATELETS,
    PULSE,
    SEX,
    SODIUM,
    SYSTOLIC,
    UREA_NITROGEN,
    flags,
)


def fib4(age_y: float, ast_u_l: float, alt_u_l: float, platelets_per_ul: float) -> float:
    """Return the fibrosis index. Source: Sterling et al.: Hepatology 2006;43:1317-1325."""
    return age_y * ast_u_l / (platelets_per_ul / 1000 * math.sqrt(alt_u_l))


def child_pugh(
    bilirubin_mg_dl: float,
    albumin_g_dl: float,
    inr: float,
    ascites: str = "absent",
    encephalopathy: str = "No Encephalopathy",
) -> int:
    """Return the score, 5 to 15. Source: Pugh et al.: Br J Surg 1973;60:646-649."""
    bilirubin = 1 + (bilirubin_mg_dl >= 2) + (bilirubin_mg_dl > 3)
    albumin = 1 + (albumin_g_dl <= 3.5) + (albumin_g_dl < 2.8)
    clotting = 1 + (inr >= 1.7) + (inr > 2.3)
    fluid = {"absent": 1, "slight": 2, "moderate": 3}[ascites]
    brain = {"Grade 1-2": 2, "Grade 3-4": 3}.get(encephalopathy, 1)
    return bilirubin + albumin + clotting + fluid + brain


def meld_na(
    *,
    creatinine_mg_dl: float,
    bilirubin_mg_dl: float,
    inr: float,
    sodium_meq_l: float,
    dialysis: bool = False,
    hemodialysis: bool = False,
) -> float:
    """Return the MELD-Na score. Source: OPTN policy 9.1.D (2016); Kim et al.: NEJM 2008."""
    creatinine = 4.0 if dialysis or hemodialysis else min(max(creatinine_mg_dl, 1.0), 4.0)
    logs = 0.957 * math.log(creatinine) + 0.378 * math.log(max(bilirubin_mg_dl, 1.0))
    meld = round(10 * round(logs + 1.120 * math.log(max(inr, 1.0)) + 0.643, 1))
    if meld > 11:
        missing = 137 - min(max(sodium_meq_l, 125), 137)
        meld = round(meld + 1.32 * missing - 0.033 * meld * missing)
    return min(meld, 40)


def glasgow_blatchford(
    *,
    sex: str,
    bun_mg_dl: float,
    hemoglobin_g_dl: float,
    systolic_mm_hg: float,
    rate_per_min: float,
    melena: bool = False,
    syncope: bool = False,
    hepatic: bool = False,
    failure: bool = False,
) -> int:
    """Return the bleeding score, 0 to 23. Source: Blatchford et al.: Lancet 2000;356:1318-1321."""
    urea = next(
        (
            points
            for limit, points in ((70, 6), (28, 4), (22.4, 3), (18.2, 2))
            if bun_mg_dl >= limit
        ),
        0,
    )
    steps = [(10, 6), (12, 1)] if sex == "Female" else [(10, 6), (12, 3), (13, 1)]
    blood = next((points for limit, points in steps if hemoglobin_g_dl < limit), 0)
    pressures = ((90, 3), (100, 2), (110, 1))
    pressure = next((points for limit, points in pressures if systolic_mm_hg < limit), 0)
    signs = (rate_per_min >= 100) + melena + 2 * (syncope + hepatic + failure)
    return urea + blood + pressure + signs


_HEMOGLOBIN = Measured("hemoglobin", "hemoglobin_g_dl", units.HEMOGLOBIN, 1, 30)

CALCULATORS = (
    Calculator(
        "fib-4",
        19,
        "Fibrosis-4 index",
        fib4,
        (
            AGE,
            Measured("ast", "ast_u_l", units.ENZYME, 1, 50_000),
            Measured("alt", "alt_u_l", units.ENZYME, 1, 50_000),
            PLATELETS,
        ),
        Output("number", "", 3),
        Source("Sterling et al.", "Hepatology", 2006, "43:1317-1325"),
    ),
    Calculator(
        "child-pugh",
        15,
        "Child-Pugh score",
        child_pugh,
        (
            BILIRUBIN,
            ALBUMIN,
            INR,
            Choice("ascites", ("absent", "slight", "moderate"), required=False),
            Choice(
                "encephalopathy",
                ("No Encephalopathy", "Grade 0", "Grade 1-2", "Grade 3-4"),
                required=False,
            ),
        ),
        Output("integer", low=5, high=15),
        Source("Pugh et al.", "Br J Surg", 1973, "60:646-649"),
    ),
    Calculator(
        "meld-na",
        23,
        "MELD-Na",
        meld_na,
        (
            CREATININE,
            BILIRUBIN,
            INR,
            SODIUM,
            *flags(
                dialysis="dialysis at least twice in the past week",
                hemodialysis="continuous veno-venous hemodialysis in the past week",
            ),
        ),
        Output("integer", low=6, high=40),
        Source("Kim et al.", "N Engl J Med", 2008, "359:1018-1026"),
    ),
    Calculator(
        "glasgow-blatchford",
        27,
        "Glasgow-Blatchford bleeding score",
        glasgow_blatchford,
        (
            SEX,
            UREA_NITROGEN,
            _HEMOGLOBIN,
            SYSTOLIC,
            PULSE,
            *flags(
                melena="melena",
                syncope="recent syncope",
                hepatic="hepatic disease",
                failure="cardiac failure",
            ),
        ),
        Output("integer", low=0, high=23),
        Source("Blatchford et al.", "Lancet", 2000, "356:1318-1321"),
    ),
)
