"""Telling the open demos from the credentialed releases by the ids that are in them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

DIGESTS = {
    "999564ff49a7973166349825027110d67b2cfe3e4e88d72618580a366cd302a6": "MIMIC-III demo 1.4",
    "3b0c43bf2ed5c85a1348fe00e7d38430a9994573d52f7f45a42ed4592a63a4fb": "the same, preprocessed",
    "75c10940e69b9347794ca9b2a90a721850ac2bd26991a1abe5b9d6276b78d43e": "eICU demo 2.0.1",
    "d9cb407061bdbeec9ffcc0294333ba9a2d2f8db76065e261969fad707a4726d5": "the same, preprocessed",
}


def ids_digest(ids: Iterable[int]) -> str:
    """Return the sha256 of sorted ids, in decimal, joined by commas."""
    return hashlib.sha256(",".join(map(str, sorted(map(int, ids)))).encode()).hexdigest()


def is_demo(ids: Iterable[int]) -> bool:
    """Return whether these are the patients (MIMIC-III) or unit stays (eICU) of an open demo.

    All others count as credentialed, also parts of a demo: nothing is called open by likeness.
    """
    return ids_digest(ids) in DIGESTS
