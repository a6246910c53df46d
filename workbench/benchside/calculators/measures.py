"""Inputs that several calculators share, with what a patient can have at the most."""

from __future__ import annotations

from . import units
from .inputs import Choice, Flag, Measured

SEX = Choice("sex", ("Male", "Female"))
AGE = Measured("age", "age_y", units.AGE, 0, 125)
WEIGHT = Measured("weight", "weight_kg", units.WEIGHT, 0.3, 650)
HEIGHT = Measured("height", "height_cm", units.HEIGHT, 20, 280)
CREATININE = Measured("creatinine", "creatinine_mg_dl", units.CREATININE, 0.05, 50)
BILIRUBIN = Measured("bilirubin", "bilirubin_mg_dl", units.BILIRUBIN, 0.01, 100)
ALBUMIN = Measured("albumin", "albumin_g_dl", units.ALBUMIN, 0.2, 10)
GLUCOSE = Measured("glucose", "glucose_mg_dl", units.GLUCOSE, 5, 3000)
UREA_NITROGEN = Measured("urea_nitrogen", "bun_mg_dl", units.UREA_NITROGEN, 0.5, 400)
SODIUM = Measured("sodium", "sodium_meq_l", units.ION, 80, 220)
CHLORIDE = Measured("chloride", "chloride_meq_l", units.ION, 40, 180)
BICARBONATE = Measured("bicarbonate", "bicarbonate_meq_l", units.ION, 0.5, 80)
INR = Measured("inr", "inr", units.NUMBER, 0.3, 30)
PULSE = Measured("pulse", "rate_per_min", units.RATE, 10, 350)
BREATHS = Measured("breaths", "breaths_per_min", units.RATE, 0, 120)
TEMPERATURE = Measured("temperature", "temperature_c", units.TEMPERATURE, 13, 46)
SYSTOLIC = Measured("systolic", "systolic_mm_hg", units.PRESSURE, 20, 350)
DIASTOLIC = Measured("diastolic", "diastolic_mm_hg", units.PRESSURE, 5, 250)
HEMATOCRIT = Measured("hematocrit", "hematocrit", units.PERCENT, 3, 80)
ACIDITY = Measured("ph", "ph", units.NUMBER, 6.3, 8.2)
OXYGEN = Measured("oxygen", "oxygen_mm_hg", units.PRESSURE, 10, 700)
LEUKOCYTES = Measured("leukocytes", "leukocytes_per_ul", units.CELLS, 0, 1_000_000)
PLATELETS = Measured("platelets", "platelets_per_ul", units.CELLS, 100, 4_000_000)
COMA_SCORE = Measured("coma_score", "coma_score", units.NUMBER, 3, 15)
TOTAL_CHOLESTEROL = Measured("total_cholesterol", "total_mg_dl", units.CHOLESTEROL, 20, 1500)
HDL_CHOLESTEROL = Measured("hdl_cholesterol", "hdl_mg_dl", units.CHOLESTEROL, 1, 300)

PAST_EMBOLISM = Flag("past_embolism", "previous pulmonary embolism")
PAST_THROMBOSIS = Flag("past_thrombosis", "previous deep vein thrombosis")
HEMOPTYSIS = Flag("hemoptysis", "hemoptysis")


def flags(**meanings: str) -> tuple[Flag, ...]:
    """Return criteria by name and meaning."""
    return tuple(Flag(name, meaning) for name, meaning in meanings.items())
