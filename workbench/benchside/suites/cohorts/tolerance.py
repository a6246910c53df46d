"""Comparing two submissions in JSON form at a tolerance, as the builder's own cross-check does."""

from __future__ import annotations

import math

from pydantic import JsonValue


def agree(left: JsonValue, right: JsonValue, rel_tol: float) -> bool:
    """True where two values have the same shape and all their numbers agree.

    Text and truth values agree only where they are equal.
    """
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return math.isclose(left, right, rel_tol=rel_tol)
    if isinstance(left, list) and isinstance(right, list):
        pairs = zip(left, right, strict=False)
        return len(left) == len(right) and all(agree(a, b, rel_tol) for a, b in pairs)
    if isinstance(left, dict) and isinstance(right, dict):
        same_keys = left.keys() == right.keys()
        return same_keys and all(agree(left[key], right[key], rel_tol) for key in left)
    return left == right


def finite(value: JsonValue) -> bool:
    """True where no number inside is nan or infinite."""
    match value:
        case float():
            return math.isfinite(value)
        case list():
            return all(finite(item) for item in value)
        case dict():
            return all(finite(item) for item in value.values())
    return True
