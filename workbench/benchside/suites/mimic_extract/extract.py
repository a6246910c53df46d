"""`Extract`: the tables of MIMIC-Extract in one plain form, whether read or generated.

Source of tables and definitions: S. Wang et al., MIMIC-Extract, ACM CHIL 2020, and its notebooks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

INTERVENTIONS = ("vaso", "vent")
OUTCOMES = ("mort_icu", "mort_hosp", "los_3", "los_7")
STATICS = ("age", "gender", "ethnicity", "insurance", "admission_type", "first_careunit")
DAY_H, GAP_H = 24, 6  # outcomes: known hours, and hours between them and the earliest end
WINDOW_H, RESULT_H, LONGEST_H = 6, 4, 240  # interventions
CLASSES = ("onset", "wean", "stay on", "stay off")


@dataclass(frozen=True, slots=True)
class Extract:
    """Stays in intensive care.

    Args:
        hours: icustay_id, hour and hourly means, NaN where nothing was measured; sorted.
        interventions: icustay_id, hour, vaso and vent (0 or 1); sorted, no hour left out.
        patients: by icustay_id: subject_id, age, gender, mort_icu, mort_hosp, los_icu in days,
            max_hours, and what else there is of the original columns.
        risks: true chances of `OUTCOMES` by icustay_id, where the stays were generated.
    """

    hours: pd.DataFrame
    interventions: pd.DataFrame
    patients: pd.DataFrame
    risks: pd.DataFrame | None = None

    def of(self, stays: pd.Index) -> Extract:
        """These stays only."""
        return Extract(
            self.hours[self.hours["icustay_id"].isin(stays)],
            self.interventions[self.interventions["icustay_id"].isin(stays)],
            self.patients.loc[stays],
            None if self.risks is None else self.risks.loc[stays],
        )


def outcomes(patients: pd.DataFrame) -> pd.DataFrame:
    """Labels of the stays of more than 30 hours, by icustay_id."""
    long = patients[patients["max_hours"] > DAY_H + GAP_H]
    return pd.DataFrame(
        {
            "mort_icu": long["mort_icu"].astype(int),
            "mort_hosp": long["mort_hosp"].astype(int),
            "los_3": (long["los_icu"] > 3).astype(int),
            "los_7": (long["los_icu"] > 7).astype(int),
        }
    )


def confirmed(patients: pd.DataFrame, labels: pd.DataFrame) -> NDArray[np.bool_]:
    """(labels,) bool, True where times of admission, discharge and death say the same.

    Columns of times that are not there say nothing.
    """
    stays = patients.loc[labels.index]
    fine = np.ones(len(labels), dtype=bool)
    if {"intime", "outtime"} <= set(stays):
        days = (stays["outtime"] - stays["intime"]).dt.total_seconds() / 86_400
        for name, limit in (("los_3", 3), ("los_7", 7)):
            fine &= ((days > limit).astype(int) == labels[name]).to_numpy()
    if {"intime", "outtime", "deathtime"} <= set(stays):
        inside = stays["deathtime"].between(stays["intime"], stays["outtime"])
        fine &= (inside.astype(int) == labels["mort_icu"]).to_numpy()
    if {"admittime", "dischtime", "deathtime"} <= set(stays):
        inside = stays["deathtime"].between(stays["admittime"], stays["dischtime"])
        fine &= (inside.astype(int) == labels["mort_hosp"]).to_numpy()
    return fine


def windows(on: NDArray[np.int64]) -> NDArray[np.int64]:
    """(starts,) class of the window at each start hour of one stay, by place in `CLASSES`, else -1.

    Six hours are known from the start on, then come a gap of six, in which nothing may change, and
    the four hours of the result. As published, a change between gap and result is not looked for.

    Args:
        on: (hours,) 0 or 1.
    """
    on = on[:LONGEST_H]
    starts = len(on) - WINDOW_H - GAP_H - RESULT_H
    if starts <= 0:
        return np.empty(0, dtype=np.int64)
    step = np.diff(on)
    gap = np.lib.stride_tricks.sliding_window_view(step, GAP_H - 1)[WINDOW_H:][:starts]
    late = WINDOW_H + GAP_H
    result = np.lib.stride_tricks.sliding_window_view(step, RESULT_H - 1)[late:][:starts]
    first = on[late:][:starts]
    found = np.where(first == 1, 2, 3)
    found[(result == -1).any(axis=1)] = 1
    found[(result == 1).any(axis=1)] = 0
    found[(gap != 0).any(axis=1)] = -1
    return found


def window_class(on: Sequence[int], start: int) -> str | None:
    """The class of one window, by the hours themselves: the second path to the same.

    Args:
        on: (hours,) 0 or 1.
    """
    gap = [on[start + WINDOW_H + hour] for hour in range(GAP_H)]
    result = [on[start + WINDOW_H + GAP_H + hour] for hour in range(RESULT_H)]
    if len(set(gap)) > 1:
        return None
    changes = set(pairwise(result))
    if (0, 1) in changes:
        return "onset"
    if (1, 0) in changes:
        return "wean"
    return "stay on" if result[0] else "stay off"
