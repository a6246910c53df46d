"""The price list: one price for each diagnosis, procedure, laboratory test and drug."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal, TypeVar

import numpy as np

Key = TypeVar("Key", int, str)
Charged = Literal["diagnosis", "procedure", "lab", "drug"]
TYPICAL: dict[Charged, tuple[float, float]] = {  # typical price in dollars, spread of its logarithm
    "diagnosis": (60, 0.6), "procedure": (900, 0.9), "lab": (22, 0.5), "drug": (14, 0.8),
}  # fmt: skip


def prices(kind: Charged, names: Sequence[Key]) -> dict[Key, float]:
    """Price in dollars of each name; it depends on kind and name only, not on seed or order."""
    typical, spread = TYPICAL[kind]
    found = {}
    for name in names:
        digest = hashlib.sha256(f"{kind}:{name}".encode()).digest()
        luck = np.random.default_rng(list(digest[:8])).normal(0, spread)
        found[name] = round(float(typical * np.exp(luck)), 2)
    return found
