"""Labels by EHRSHOT's definitions, read from the events alone: the path that confirms the gold.

Source: M. Wornow et al., EHRSHOT, NeurIPS 2023 (Datasets and Benchmarks), appendix on tasks.
"""

from __future__ import annotations

import pandas as pd

from benchside.suites.longitudinal.catalogue import (
    DISEASES,
    FINDING,
    ICU,
    INPATIENT,
    LEVELS,
    TESTS,
)


def read_labels(kind: str, events: pd.DataFrame, rows: pd.DataFrame) -> pd.Series:
    """Return the label of each row from what happened at or after its prediction time.

    Args:
        events: whole records.
        rows: patient_id (index) and `prediction_time`.

    Returns:
        Labels by patient_id; of `chexpert` text of zeros and ones in the order of the findings'
        names.
    """
    joined = events.merge(rows, left_on="patient_id", right_index=True)
    after = joined[joined["start"] >= joined["prediction_time"]]
    if kind in LEVELS:
        return _level(kind, after, rows)
    if kind in DISEASES:
        coded = after[after["code"] == DISEASES[kind].code]
        soon = coded["start"] <= coded["prediction_time"] + pd.Timedelta(days=365)
        return _marked(coded[soon]["patient_id"], rows)
    if kind == "chexpert":
        return _findings(after, rows)
    stays = joined[joined["code"] == INPATIENT]
    time = stays["prediction_time"]
    # 23:59 of the day of discharge comes after the end of the stay
    last = (
        stays[stays["start"] < time].sort_values("start").drop_duplicates("patient_id", keep="last")
    )
    stay = last.set_index("patient_id")
    if kind == "guo_los":
        return ((stay["end"] - stay["start"]) >= pd.Timedelta(days=7)).astype(int)
    if kind == "guo_icu":
        moves = after[after["code"] == ICU]
        inside = moves["start"] <= moves["patient_id"].map(stay["end"])
        return _marked(moves[inside]["patient_id"], rows)
    back = stays[stays["start"] > time]
    soon = back["start"] - back["patient_id"].map(stay["end"]) <= pd.Timedelta(days=30)
    return _marked(back[soon]["patient_id"], rows)


def _marked(patients: pd.Series, rows: pd.DataFrame) -> pd.Series:
    return pd.Series(rows.index.isin(patients).astype(int), index=rows.index)


def _level(kind: str, after: pd.DataFrame, rows: pd.DataFrame) -> pd.Series:
    level = LEVELS[kind]
    results = after[after["code"] == TESTS[level.test].code].sort_values("start")
    value = (
        results.drop_duplicates("patient_id").set_index("patient_id")["value"].reindex(rows.index)
    )
    if level.low:
        return sum((value < limit).astype(int) for limit in level.limits)  # type: ignore[return-value]
    return sum((value > limit).astype(int) for limit in level.limits)  # type: ignore[return-value]


def _findings(after: pd.DataFrame, rows: pd.DataFrame) -> pd.Series:
    told = after[after["code"].str.startswith(FINDING)]
    first = told["start"] == told.groupby("patient_id")["start"].transform("min")
    table = told[first].assign(code=told["code"].astype(str))
    wide = table.pivot(index="patient_id", columns="code", values="value").astype(int).astype(str)
    return wide.sort_index(axis=1).agg("".join, axis=1).reindex(rows.index)
