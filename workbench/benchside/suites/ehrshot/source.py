"""`Source`: where labels and features of the kinds come from, one of two layouts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Protocol

import pandas as pd


@dataclass(frozen=True, slots=True)
class Examples:
    """One kind, one row a patient.

    Args:
        rows: by patient_id: prediction_time, split ("train", "val" or "test") and value.
        features: float32, by patient_id.
        latest: time of the latest that went into the features, by patient_id.
    """

    rows: pd.DataFrame
    features: pd.DataFrame
    latest: pd.Series


class Source(Protocol):
    """A copy of EHRSHOT; what it leaves out it counts."""

    kinds: tuple[str, ...]

    def read(self, kind: str, counts: Counter[str]) -> Examples:
        """Called once for each kind by the builder."""


def disjoint(rows: pd.DataFrame, counts: Counter[str]) -> pd.DataFrame:
    """Leave out of training who is also held out.

    Args:
        rows: patient_id, split and others.
    """
    held = set(rows.loc[rows["split"] == "test", "patient_id"])
    both = (rows["split"] != "test") & rows["patient_id"].isin(held)
    counts["patients left out of training: held out, too"] += rows[both]["patient_id"].nunique()
    return rows[~both]
