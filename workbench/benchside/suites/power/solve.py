"""Inverting a power function: the smallest sample size, the minimal detectable effect."""

from __future__ import annotations

from collections.abc import Callable

from scipy.optimize import brentq

MAX_N = 100_000


def smallest_n(power: Callable[[float], float], target: float, start: int = 2) -> int:
    """Return the smallest n ≥ start whose power is at least the target.

    Args:
        power: nondecreasing in n.

    Raises:
        ValueError: the target is not reached with `MAX_N`.
    """
    low, high = start - 1, start
    while power(high) < target:
        low, high = high, 2 * high
        if high > MAX_N:
            raise ValueError(f"power {target} is not reached with n = {MAX_N}")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= target else (middle, high)
    return high


def detectable_effect(
    power: Callable[[float], float], target: float, limits: tuple[float, float]
) -> float:
    """Return the effect between the limits at which the power equals the target.

    Raises:
        ValueError: it is not reached between the limits.
    """
    return float(brentq(lambda effect: power(effect) - target, *limits, xtol=1e-13, rtol=1e-12))
