"""How measured inputs are called in notes, which values they take, and how units are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Way:
    """One unit in which notes give a quantity.

    Args:
        unit: as the calculators know it.
        texts: spellings in notes.
        decimals: digits behind the point.
    """

    unit: str
    texts: tuple[str, ...]
    decimals: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured input in notes.

    Args:
        labels: what notes call it.
        low, high: the range that patients are drawn from, in the quantity's own unit.
        ways: units; the first is the quantity's own.
        repeated: whether later days bring new values.
    """

    labels: tuple[str, ...]
    low: float
    high: float
    ways: tuple[Way, ...]
    repeated: bool = True


def _ways(*ways: tuple[str, int] | tuple[str, int, tuple[str, ...]]) -> tuple[Way, ...]:
    return tuple(Way(way[0], way[2] if len(way) > 2 else (way[0],), way[1]) for way in ways)


_PRESSURE = _ways(("mm Hg", 0, ("mm Hg", "mmHg")))
_ION = _ways(("mEq/L", 0), ("mmol/L", 0))
_PLAIN = _ways(("", 1))
_PERCENT = _ways(("%", 0))
_UNITS = _ways(("U/L", 0, ("U/L", "IU/L")))
_CREATININE = _ways(("mg/dL", 2), ("µmol/L", 0))
_CHOLESTEROL = _ways(("mg/dL", 0), ("mmol/L", 2))
_INFUSION = _ways(("µg/kg/min", 2, ("µg/kg/min", "mcg/kg/min")))

MEASUREMENTS: Mapping[str, Measurement] = {
    "weight": Measurement(
        ("weight", "body weight"), 45, 130, _ways(("kg", 1), ("lbs", 1, ("lbs", "pounds"))), False
    ),
    "height": Measurement(
        ("height", "body height"), 148, 196,
        _ways(("cm", 0), ("m", 2), ("in", 1, ("inches", "in"))), False,
    ),
    "bmi": Measurement(
        ("body mass index", "BMI"), 17, 42, _ways(("kg/m²", 1, ("kg/m²", "kg/m2"))), False
    ),
    "creatinine": Measurement(("serum creatinine", "creatinine"), 0.4, 6.0, _CREATININE),
    "urine_creatinine": Measurement(("urine creatinine",), 15, 240, _ways(("mg/dL", 0))),
    "sodium": Measurement(("serum sodium", "sodium"), 118, 160, _ION),
    "urine_sodium": Measurement(("urine sodium",), 8, 140, _ION),
    "potassium": Measurement(("potassium", "serum potassium"), 2.2, 7.4,
                             _ways(("mEq/L", 1), ("mmol/L", 1))),
    "chloride": Measurement(("chloride", "serum chloride"), 88, 116, _ION),
    "bicarbonate": Measurement(("bicarbonate", "serum bicarbonate", "HCO3"), 6, 34, _ION),
    "bilirubin": Measurement(("total bilirubin", "bilirubin"), 0.3, 14,
                             _ways(("mg/dL", 1), ("µmol/L", 0))),
    "albumin": Measurement(("albumin", "serum albumin"), 1.6, 4.9,
                           _ways(("g/dL", 1), ("g/L", 0))),
    "calcium": Measurement(("total calcium", "calcium"), 6.4, 13.8,
                           _ways(("mg/dL", 1), ("mmol/L", 2))),
    "glucose": Measurement(("glucose", "plasma glucose"), 62, 720,
                           _ways(("mg/dL", 0), ("mmol/L", 1))),
    "insulin": Measurement(("fasting insulin", "insulin level"), 2, 60,
                           _ways(("µIU/mL", 1), ("mIU/L", 1))),
    "urea_nitrogen": Measurement(("blood urea nitrogen", "BUN"), 6, 90,
                                 _ways(("mg/dL", 0), ("mmol/L", 1))),
    "inr": Measurement(("INR", "international normalized ratio"), 0.9, 3.6, _PLAIN),
    "hemoglobin": Measurement(("hemoglobin", "Hb"), 6.1, 16.5, _ways(("g/dL", 1), ("g/L", 0))),
    "hematocrit": Measurement(("hematocrit", "Hct"), 17, 64, _PERCENT),
    "leukocytes": Measurement(
        ("white blood cell count", "leukocyte count"), 800, 42_000,
        _ways(("/µL", 0), ("×10⁹/L", 1, ("×10⁹/L", "x 10^9/L"))),
    ),
    "platelets": Measurement(
        ("platelet count", "platelets"), 12_000, 410_000,
        _ways(("/µL", 0), ("×10⁹/L", 0, ("×10⁹/L", "x 10^9/L"))),
    ),
    "ast": Measurement(("aspartate aminotransferase", "AST"), 15, 420, _UNITS),
    "alt": Measurement(("alanine aminotransferase", "ALT"), 12, 460, _UNITS),
    "total_cholesterol": Measurement(("total cholesterol",), 130, 310, _CHOLESTEROL),
    "hdl_cholesterol": Measurement(("HDL cholesterol", "HDL"), 22, 95, _CHOLESTEROL),
    "triglycerides": Measurement(("triglycerides",), 50, 390, _CHOLESTEROL),
    "ph": Measurement(("arterial pH", "pH"), 7.02, 7.68, _ways(("", 2))),
    "oxygen": Measurement(("arterial oxygen pressure", "PaO2"), 42, 180,
                          _ways(("mm Hg", 0, ("mm Hg", "mmHg")), ("kPa", 1))),
    "carbon_dioxide": Measurement(("arterial carbon dioxide pressure", "PaCO2"), 22, 58,
                                  _ways(("mm Hg", 0, ("mm Hg", "mmHg")), ("kPa", 1))),
    "inspired_oxygen": Measurement(("FiO2", "inspired oxygen fraction"), 21, 100, _PERCENT),
    "gradient": Measurement(("alveolar-arterial gradient", "A-a gradient"), 60, 580, _PRESSURE),
    "saturation": Measurement(("oxygen saturation", "SpO2"), 84, 100, _PERCENT),
    "pulse": Measurement(
        ("heart rate", "pulse"), 42, 188,
        _ways(("/min", 0, ("beats per minute", "bpm", "/min"))),
    ),
    "breaths": Measurement(
        ("respiratory rate", "breathing rate"), 7, 52,
        _ways(("/min", 0, ("breaths per minute", "/min"))),
    ),
    "temperature": Measurement(
        ("temperature", "body temperature"), 33.0, 41.2,
        _ways(("°C", 1, ("°C", "degrees Celsius")), ("°F", 1, ("°F", "degrees Fahrenheit"))),
    ),
    "systolic": Measurement(("blood pressure", "BP"), 68, 212, _PRESSURE),
    "diastolic": Measurement(("blood pressure", "BP"), 38, 118, _PRESSURE),
    "qt": Measurement(("QT interval", "measured QT"), 230, 640,
                      _ways(("ms", 0, ("ms", "msec")), ("s", 3, ("s",)))),
    "coma_score": Measurement(("Glasgow coma score", "GCS"), 3, 15, _ways(("", 0))),
    "drinks": Measurement(("alcohol intake", "alcohol consumption"), 0, 24,
                          _ways(("/week", 0, ("drinks per week", "drinks a week"))), False),
    "urine": Measurement(("urine output", "24-hour urine output"), 60, 2600,
                         _ways(("mL/day", 0, ("mL/day", "mL per day")), ("L/day", 2))),
    "dopamine": Measurement(("dopamine infusion",), 1, 20, _INFUSION),
    "dobutamine": Measurement(("dobutamine infusion",), 1, 12, _INFUSION),
    "epinephrine": Measurement(("epinephrine infusion",), 0.02, 0.4, _INFUSION),
    "norepinephrine": Measurement(("norepinephrine infusion",), 0.02, 0.5, _INFUSION),
    "cycle": Measurement(("menstrual cycle length", "cycle length"), 24, 38,
                         _ways(("days", 0)), False),
}  # fmt: skip

# (calculator, input) → range, where a formula wants other patients
RANGES: Mapping[tuple[str, str], tuple[float, float]] = {
    ("cardiac-risk-index", "creatinine"): (0.6, 4.5),
    ("centor-score", "temperature"): (36.2, 40.2),
    ("corrected-sodium", "glucose"): (160, 980),
    ("creatinine-clearance", "creatinine"): (0.5, 4.8),
    ("delta-ratio", "bicarbonate"): (6, 20),
    ("delta-gap", "bicarbonate"): (6, 22),
    ("albumin-delta-gap", "bicarbonate"): (6, 22),
    ("albumin-delta-ratio", "bicarbonate"): (6, 20),
    ("framingham-risk", "systolic"): (98, 190),
    ("free-water-deficit", "sodium"): (146, 178),
    ("homa-ir", "glucose"): (62, 340),
    ("meld-na", "creatinine"): (0.6, 5.0),
    ("qtc-bazett", "pulse"): (40, 175),
    ("qtc-fridericia", "pulse"): (40, 175),
    ("qtc-framingham", "pulse"): (40, 175),
    ("qtc-hodges", "pulse"): (40, 175),
    ("qtc-rautaharju", "pulse"): (40, 175),
    ("sofa", "creatinine"): (0.5, 6.5),
    ("target-weight", "bmi"): (18, 33),
}

# tests that no calculator asks for: (label, low, high, decimals, unit)
DISTRACTORS: tuple[tuple[str, float, float, int, str], ...] = (
    ("lactate dehydrogenase", 120, 480, 0, "U/L"),
    ("alkaline phosphatase", 40, 210, 0, "U/L"),
    ("magnesium", 1.5, 2.7, 1, "mg/dL"),
    ("phosphate", 2.1, 5.6, 1, "mg/dL"),
    ("C-reactive protein", 2, 180, 0, "mg/L"),
    ("ferritin", 20, 640, 0, "ng/mL"),
    ("lactate", 0.7, 4.9, 1, "mmol/L"),
    ("uric acid", 3.1, 9.8, 1, "mg/dL"),
    ("thyrotropin", 0.5, 6.2, 1, "mIU/L"),
    ("amylase", 30, 190, 0, "U/L"),
    ("creatine kinase", 40, 620, 0, "U/L"),
    ("hemoglobin A1c", 5.0, 10.4, 1, "%"),
)
