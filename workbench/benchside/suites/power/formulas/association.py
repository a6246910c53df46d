"""Power of the test of a correlation by Fisher's z transformation."""

from __future__ import annotations

import math

from benchside.suites.power.formulas.normal import normal_power


def correlation(n: float, *, true: float, null: float, alpha: float, sides: int) -> float:
    """Power of the test that a correlation differs from `null` with n subjects.

        n = ((z[1-alpha/sides] + z[power]) / (atanh(true) - atanh(null)))² + 3

    Source: Fisher RA. Metron 1921;1:3-32; Hulley SB et al. Designing Clinical Research, 4th ed.
        2013, appendix 6C.
    """
    effect = abs(math.atanh(true) - math.atanh(null))
    return normal_power(effect, n - 3, alpha, sides, sd_null=1, sd_true=1)
