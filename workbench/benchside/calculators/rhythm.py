"""The QT interval corrected for the heart rate, by five formulas.

Formulas stand alone with those that they call: reference solutions carry their source.
"""

from __future__ import annotations

import math

from . import units
from .calculator import Calculator, Output, Source
from .inputs import Measured
from .measures import PULSE


def qtc_bazett(qt_ms: float, rate_per_min: float) -> float:
    """Return QT over the root of RR, in ms. Source: Bazett: Heart 1920;7:353-370."""
    return qt_ms / math.sqrt(60 / rate_per_min)


def qtc_fridericia(qt_ms: float, rate_per_min: float) -> float:
    """Return QT over the cube root of RR, in ms. Source: Fridericia: Acta Med Scand 1920."""
    return qt_ms / math.cbrt(60 / rate_per_min)


def qtc_framingham(qt_ms: float, rate_per_min: float) -> float:
    """Return QT + 154 (1 - RR), in ms. Source: Sagie et al.: Am J Cardiol 1992;70:797-801."""
    return qt_ms + 154 * (1 - 60 / rate_per_min)


def qtc_hodges(qt_ms: float, rate_per_min: float) -> float:
    """Return QT + 1.75 (rate - 60), in ms. Source: Hodges et al.: JACC 1983;1:694."""
    return qt_ms + 1.75 * (rate_per_min - 60)


def qtc_rautaharju(qt_ms: float, rate_per_min: float) -> float:
    """Return QT (120 + rate) / 180, in ms. Source: Rautaharju et al.: IJC 2014."""
    return qt_ms * (120 + rate_per_min) / 180


_QT = (Measured("qt", "qt_ms", units.INTERVAL, 100, 1200), PULSE)
_MS = Output("number", "ms", 3)

CALCULATORS = (
    Calculator(
        "qtc-bazett",
        11,
        "Corrected QT interval (Bazett)",
        qtc_bazett,
        _QT,
        _MS,
        Source("Bazett", "Heart", 1920, "7:353-370"),
    ),
    Calculator(
        "qtc-fridericia",
        56,
        "Corrected QT interval (Fridericia)",
        qtc_fridericia,
        _QT,
        _MS,
        Source("Fridericia", "Acta Med Scand", 1920, "53:469-486"),
    ),
    Calculator(
        "qtc-framingham",
        57,
        "Corrected QT interval (Framingham)",
        qtc_framingham,
        _QT,
        _MS,
        Source("Sagie et al.", "Am J Cardiol", 1992, "70:797-801"),
    ),
    Calculator(
        "qtc-hodges",
        58,
        "Corrected QT interval (Hodges)",
        qtc_hodges,
        _QT,
        _MS,
        Source("Hodges et al.", "J Am Coll Cardiol", 1983, "1:694"),
    ),
    Calculator(
        "qtc-rautaharju",
        59,
        "Corrected QT interval (Rautaharju)",
        qtc_rautaharju,
        _QT,
        _MS,
        Source("Rautaharju, Mason, Akiyama", "Int J Cardiol", 2014, "174:535-540"),
    ),
)
