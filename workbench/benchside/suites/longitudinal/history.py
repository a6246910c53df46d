"""From a table of events to features: the first cell of the reference solutions."""

from __future__ import annotations

import pandas as pd


def history(events: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return features of each row from the events before its prediction time.

    Args:
        rows: `prediction_time` by patient_id, one row a patient.
    """
    seen = events.merge(rows[["prediction_time"]], left_on="patient_id", right_index=True)
    seen = seen[seen["start"] < seen["prediction_time"]]
    seen = seen.sort_values("start")
    by_code = ["patient_id", "code"]
    coded, measured = seen[seen["value"].isna()], seen[seen["value"].notna()]
    values = measured.groupby(by_code, observed=True)["value"]
    parts = {
        "times": coded.groupby(by_code, observed=True).size().unstack(fill_value=0),
        "latest": values.last().unstack(),
        "mean": values.mean().unstack(),
    }
    table = pd.concat(parts, axis=1).reindex(rows.index)
    table["times"] = table["times"].fillna(0)
    table.columns = table.columns.map(" ".join)
    born = seen.groupby("patient_id")["start"].min()  # the first event is the birth
    table["age"] = (rows["prediction_time"] - born).dt.days / 365.25
    return table
