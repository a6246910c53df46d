"""Coma and organ failure: Glasgow, APACHE II and SOFA.

Formulas stand alone with those that they call: reference solutions carry their source.
"""

from __future__ import annotations

from . import units
from .calculator import Calculator, Output, Source
from .inputs import Choice, Measured
from .measures import (
    ACIDITY,
    AGE,
    BILIRUBIN,
    BREATHS,
    COMA_SCORE,
    CREATININE,
    DIASTOLIC,
    HEMATOCRIT,
    LEUKOCYTES,
    OXYGEN,
    PLATELETS,
    PULSE,
    SODIUM,
    SYSTOLIC,
    TEMPERATURE,
    flags,
)


def glasgow_coma_score(eye: str, verbal: str, motor: str) -> int:
    """Return the score, 3 to 15; what cannot be tested counts as full.

    Source: Teasdale, Jennett: Lancet 1974;2:81-84; the last rule is that of the benchmark.
    """
    eyes = [
        "no eye opening", "eye opening to pain", "eye opening to verbal command",
        "eyes open spontaneously",
    ]  # fmt: skip
    words = [
        "no verbal response", "incomprehensible sounds", "inappropriate words", "confused",
        "oriented",
    ]  # fmt: skip
    moves = [
        "no motor response", "extension to pain", "flexion to pain", "withdrawal from pain",
        "localizes pain", "obeys commands",
    ]  # fmt: skip
    pairs = ((eye, eyes), (verbal, words), (motor, moves))
    return sum(
        len(scale) if seen == "not testable" else scale.index(seen) + 1 for seen, scale in pairs
    )


def apache_ii(
    *,
    age_y: float,
    temperature_c: float,
    systolic_mm_hg: float,
    diastolic_mm_hg: float,
    rate_per_min: float,
    breaths_per_min: float,
    fio2: float,
    ph: float,
    sodium_meq_l: float,
    potassium_meq_l: float,
    creatinine_mg_dl: float,
    hematocrit: float,
    leukocytes_per_ul: float,
    coma_score: float,
    oxygen_mm_hg: float = 100,
    gradient_mm_hg: float = 0,
    acute_renal_failure: bool = False,
    organ_failure: bool = False,
    surgery: str = "Nonoperative",
) -> int:
    """Return the score, 0 to 71; `fio2` in percent. Source: Knaus et al.: CCM 1985;13:818-829.

    Oxygenation counts the alveolar-arterial gradient from 50% of oxygen on, else the arterial
    pressure. Acute renal failure doubles the points of a creatinine from 1.5 mg/dL on.
    """
    creatinine = banded(creatinine_mg_dl, [(0.6, 2), (1.5, 0), (2, 2), (3.5, 3)], 4)
    if acute_renal_failure and creatinine_mg_dl >= 1.5:
        creatinine *= 2
    if fio2 >= 50:
        oxygenation = banded(gradient_mm_hg, [(200, 0), (350, 2), (500, 3)], 4)
    else:
        oxygenation = (oxygen_mm_hg <= 70) + 2 * (oxygen_mm_hg <= 60) + (oxygen_mm_hg < 55)
    pressure = (2 * diastolic_mm_hg + systolic_mm_hg) / 3
    return (
        banded(age_y, [(45, 0), (55, 2), (65, 3), (75, 5)], 6)
        + banded(
            temperature_c,
            [(30, 4), (32, 3), (34, 2), (36, 1), (38.5, 0), (39, 1), (41, 3)],
            4,
        )
        + banded(pressure, [(50, 4), (70, 2), (110, 0), (130, 2), (160, 3)], 4)
        + banded(rate_per_min, [(40, 4), (55, 3), (70, 2), (110, 0), (140, 2), (180, 3)], 4)
        + banded(breaths_per_min, [(6, 4), (10, 2), (12, 1), (25, 0), (35, 1), (50, 3)], 4)
        + oxygenation
        + banded(ph, [(7.15, 4), (7.25, 3), (7.33, 2), (7.5, 0), (7.6, 1), (7.7, 3)], 4)
        + banded(
            sodium_meq_l, [(111, 4), (120, 3), (130, 2), (150, 0), (155, 1), (160, 2), (180, 3)], 4
        )
        + banded(potassium_meq_l, [(2.5, 4), (3, 2), (3.5, 1), (5.5, 0), (6, 1), (7, 3)], 4)
        + creatinine
        + banded(hematocrit, [(20, 4), (30, 2), (46, 0), (50, 1), (60, 2)], 4)
        + banded(leukocytes_per_ul / 1000, [(1, 4), (3, 2), (15, 0), (20, 1), (40, 2)], 4)
        + int(15 - coma_score)
        + (0 if not organ_failure else 2 if surgery == "Elective" else 5)
    )


def sofa(
    *,
    oxygen_mm_hg: float,
    fio2: float,
    platelets_per_ul: float,
    coma_score: float,
    bilirubin_mg_dl: float,
    creatinine_mg_dl: float = 1.0,
    urine_ml_day: float = 2000,
    systolic_mm_hg: float = 120,
    diastolic_mm_hg: float = 80,
    dopamine_ug_kg_min: float = 0,
    dobutamine_ug_kg_min: float = 0,
    epinephrine_ug_kg_min: float = 0,
    norepinephrine_ug_kg_min: float = 0,
    ventilated: bool = False,
    cpap: bool = False,
    hypotension: bool = False,
) -> int:
    """Return the score, 0 to 24; `fio2` in percent. Source: Vincent et al.: ICM 1996;22:707-710."""
    ratio = oxygen_mm_hg / (fio2 / 100)
    supported = ventilated or cpap
    lungs = (ratio < 400) + (ratio < 300) + (ratio < 200 and supported)
    lungs += ratio < 100 and supported
    catecholamine = max(epinephrine_ug_kg_min, norepinephrine_ug_kg_min)
    if dopamine_ug_kg_min > 15 or catecholamine > 0.1:
        circulation = 4
    elif dopamine_ug_kg_min > 5 or catecholamine > 0:
        circulation = 3
    elif dopamine_ug_kg_min > 0 or dobutamine_ug_kg_min > 0:
        circulation = 2
    else:
        circulation = int(hypotension or (2 * diastolic_mm_hg + systolic_mm_hg) / 3 < 70)
    return (
        lungs
        + banded(platelets_per_ul / 1000, [(20, 4), (50, 3), (100, 2), (150, 1)], 0)
        + banded(bilirubin_mg_dl, [(1.2, 0), (2, 1), (6, 2), (12, 3)], 4)
        + circulation
        + banded(coma_score, [(6, 4), (10, 3), (13, 2), (15, 1)], 0)
        + max(
            banded(creatinine_mg_dl, [(1.2, 0), (2, 1), (3.5, 2), (5, 3)], 4),
            banded(urine_ml_day, [(200, 4), (500, 3)], 0),
        )
    )


def banded(value: float, bands: list[tuple[float, int]], above: int) -> int:
    """Return the points of the first band whose upper end (left out) lies above the value."""
    return next((points for end, points in bands if value < end), above)


_EYES = (
    "no eye opening", "eye opening to pain", "eye opening to verbal command",
    "eyes open spontaneously", "not testable",
)  # fmt: skip
_WORDS = (
    "no verbal response", "incomprehensible sounds", "inappropriate words", "confused", "oriented",
    "not testable",
)  # fmt: skip
_MOVES = (
    "no motor response", "extension to pain", "flexion to pain", "withdrawal from pain",
    "localizes pain", "obeys commands", "not testable",
)  # fmt: skip
_INSPIRED = Measured("inspired_oxygen", "fio2", units.PERCENT, 15, 100)
_POTASSIUM = Measured("potassium", "potassium_meq_l", units.ION, 0.5, 15)
_OPTIONAL_OXYGEN = Measured("oxygen", "oxygen_mm_hg", units.PRESSURE, 10, 700, required=False)
_GRADIENT = Measured("gradient", "gradient_mm_hg", units.PRESSURE, 0, 800, required=False)
_OPTIONAL_CREATININE = Measured(
    "creatinine", "creatinine_mg_dl", units.CREATININE, 0.05, 50, required=False
)
_OPTIONAL_SYSTOLIC = Measured("systolic", "systolic_mm_hg", units.PRESSURE, 20, 350, required=False)
_OPTIONAL_DIASTOLIC = Measured(
    "diastolic", "diastolic_mm_hg", units.PRESSURE, 5, 250, required=False
)
_URINE = Measured("urine", "urine_ml_day", units.URINE, 0, 30_000, required=False)

CALCULATORS = (
    Calculator(
        "glasgow-coma-score",
        21,
        "Glasgow coma score",
        glasgow_coma_score,
        (Choice("eye", _EYES), Choice("verbal", _WORDS), Choice("motor", _MOVES)),
        Output("integer", low=3, high=15),
        Source("Teasdale, Jennett", "Lancet", 1974, "2:81-84"),
    ),
    Calculator(
        "apache-ii",
        28,
        "APACHE II score",
        apache_ii,
        (
            AGE,
            TEMPERATURE,
            SYSTOLIC,
            DIASTOLIC,
            PULSE,
            BREATHS,
            _INSPIRED,
            _OPTIONAL_OXYGEN,
            _GRADIENT,
            ACIDITY,
            SODIUM,
            _POTASSIUM,
            CREATININE,
            HEMATOCRIT,
            LEUKOCYTES,
            COMA_SCORE,
            *flags(
                acute_renal_failure="acute renal failure",
                organ_failure="severe organ failure or immunocompromise",
            ),
            Choice("surgery", ("Nonoperative", "Emergency", "Elective"), required=False),
        ),
        Output("integer", low=0, high=71),
        Source("Knaus et al.", "Crit Care Med", 1985, "13:818-829"),
    ),
    Calculator(
        "sofa",
        43,
        "SOFA score",
        sofa,
        (
            OXYGEN,
            _INSPIRED,
            PLATELETS,
            COMA_SCORE,
            BILIRUBIN,
            _OPTIONAL_CREATININE,
            _URINE,
            _OPTIONAL_SYSTOLIC,
            _OPTIONAL_DIASTOLIC,
            *(
                Measured(drug, f"{drug}_ug_kg_min", units.INFUSION, 0, 100, required=False)
                for drug in ("dopamine", "dobutamine", "epinephrine", "norepinephrine")
            ),
            *flags(
                ventilated="mechanical ventilation",
                cpap="continuous positive airway pressure",
                hypotension="hypotension",
            ),
        ),
        Output("integer", low=0, high=24),
        Source("Vincent et al.", "Intensive Care Med", 1996, "22:707-710"),
    ),
)
