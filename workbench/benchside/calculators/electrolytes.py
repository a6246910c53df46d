"""Electrolytes: corrected calcium and sodium, osmolality, anion gaps.

Formulas stand alone with those that they call: reference solutions carry their source.
"""

from __future__ import annotations

from . import units
from .calculator import Calculator, Output, Source
from .inputs import Measured
from .measures import ALBUMIN, BICARBONATE, CHLORIDE, GLUCOSE, SODIUM, UREA_NITROGEN


def corrected_calcium(calcium_mg_dl: float, albumin_g_dl: float) -> float:
    """Return calcium in mg/dL at albumin 4 g/dL. Source: Payne et al.: BMJ 1973;4:643-646."""
    return calcium_mg_dl + 0.8 * (4 - albumin_g_dl)


def corrected_sodium(sodium_meq_l: float, glucose_mg_dl: float) -> float:
    """Return sodium in mEq/L at glucose 100 mg/dL. Source: Hillier et al.: AJM 1999;106:399."""
    return sodium_meq_l + 0.024 * (glucose_mg_dl - 100)


def serum_osmolality(sodium_meq_l: float, bun_mg_dl: float, glucose_mg_dl: float) -> float:
    """Return the calculated osmolality in mOsm/kg. Source: Dorwart, Chalmers: Clin Chem 1975."""
    return 2 * sodium_meq_l + bun_mg_dl / 2.8 + glucose_mg_dl / 18


def anion_gap(sodium_meq_l: float, chloride_meq_l: float, bicarbonate_meq_l: float) -> float:
    """Return sodium less chloride and bicarbonate, in mEq/L. Source: Emmett, Narins 1977."""
    return sodium_meq_l - (chloride_meq_l + bicarbonate_meq_l)


def delta_gap(sodium_meq_l: float, chloride_meq_l: float, bicarbonate_meq_l: float) -> float:
    """Return the anion gap's excess over 12 mEq/L. Source: Wrenn: Ann Emerg Med 1990;19:1310."""
    return anion_gap(sodium_meq_l, chloride_meq_l, bicarbonate_meq_l) - 12


def delta_ratio(sodium_meq_l: float, chloride_meq_l: float, bicarbonate_meq_l: float) -> float:
    """Return the delta gap over the bicarbonate deficit from 24 mEq/L. Source: as `delta_gap`."""
    gap = delta_gap(sodium_meq_l, chloride_meq_l, bicarbonate_meq_l)
    return gap / (24 - bicarbonate_meq_l)


def albumin_anion_gap(
    sodium_meq_l: float, chloride_meq_l: float, bicarbonate_meq_l: float, albumin_g_dl: float
) -> float:
    """Return the anion gap at albumin 4 g/dL, in mEq/L. Source: Figge et al.: CCM 1998;26:1807."""
    return anion_gap(sodium_meq_l, chloride_meq_l, bicarbonate_meq_l) + 2.5 * (4 - albumin_g_dl)


def albumin_delta_gap(
    sodium_meq_l: float, chloride_meq_l: float, bicarbonate_meq_l: float, albumin_g_dl: float
) -> float:
    """Return the excess of the albumin-corrected anion gap over 12 mEq/L."""
    return albumin_anion_gap(sodium_meq_l, chloride_meq_l, bicarbonate_meq_l, albumin_g_dl) - 12


def albumin_delta_ratio(
    sodium_meq_l: float, chloride_meq_l: float, bicarbonate_meq_l: float, albumin_g_dl: float
) -> float:
    """Return the albumin-corrected delta gap over the bicarbonate deficit from 24 mEq/L."""
    gap = albumin_delta_gap(sodium_meq_l, chloride_meq_l, bicarbonate_meq_l, albumin_g_dl)
    return gap / (24 - bicarbonate_meq_l)


_CALCIUM = Measured("calcium", "calcium_mg_dl", units.CALCIUM, 1, 30)
_GAP = (SODIUM, CHLORIDE, BICARBONATE)
_FIGGE = Source("Figge et al.", "Crit Care Med", 1998, "26:1807-1810")
_WRENN = Source("Wrenn", "Ann Emerg Med", 1990, "19:1310-1313")

CALCULATORS = (
    Calculator(
        "corrected-calcium",
        7,
        "Calcium corrected for albumin",
        corrected_calcium,
        (_CALCIUM, ALBUMIN),
        Output("number", "mg/dL", 3),
        Source("Payne et al.", "Br Med J", 1973, "4:643-646"),
    ),
    Calculator(
        "corrected-sodium",
        26,
        "Sodium corrected for glucose",
        corrected_sodium,
        (SODIUM, GLUCOSE),
        Output("number", "mEq/L", 3),
        Source("Hillier et al.", "Am J Med", 1999, "106:399-403"),
    ),
    Calculator(
        "serum-osmolality",
        30,
        "Serum osmolality",
        serum_osmolality,
        (SODIUM, UREA_NITROGEN, GLUCOSE),
        Output("number", "mOsm/kg", 3),
        Source("Dorwart, Chalmers", "Clin Chem", 1975, "21:190-194"),
    ),
    Calculator(
        "anion-gap",
        39,
        "Anion gap",
        anion_gap,
        _GAP,
        Output("number", "mEq/L", 3),
        Source("Emmett, Narins", "Medicine", 1977, "56:38-54"),
    ),
    Calculator("delta-gap", 63, "Delta gap", delta_gap, _GAP, Output("number", "mEq/L", 3), _WRENN),
    Calculator(
        "delta-ratio", 64, "Delta ratio", delta_ratio, _GAP, Output("number", "", 3), _WRENN
    ),
    Calculator(
        "albumin-anion-gap",
        65,
        "Albumin-corrected anion gap",
        albumin_anion_gap,
        (*_GAP, ALBUMIN),
        Output("number", "mEq/L", 3),
        _FIGGE,
    ),
    Calculator(
        "albumin-delta-gap",
        66,
        "Albumin-corrected delta gap",
        albumin_delta_gap,
        (*_GAP, ALBUMIN),
        Output("number", "mEq/L", 3),
        _FIGGE,
    ),
    Calculator(
        "albumin-delta-ratio",
        67,
        "Albumin-corrected delta ratio",
        albumin_delta_ratio,
        (*_GAP, ALBUMIN),
        Output("number", "", 3),
        _FIGGE,
    ),
)
