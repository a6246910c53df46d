"""`Labels`: what EHRSHOT's label files say, checked as they are read; and one row for each patient.

The files of the authors (`benchmark/<kind>/labeled_patients.csv`) and of MedAgentGym
(`<kind>/test_labels.csv` and so on) have the same four columns.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from pathlib import Path

import pandas as pd

from benchside.held_out.brought import read_brought, refuse_row
from benchside.suites.longitudinal.catalogue import LEVELS

COLUMNS = ("patient_id", "prediction_time", "value")
CHEXPERT = (  # from the highest bit of a value to the lowest
    "No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Lesion", "Lung Opacity",
    "Edema", "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion",
    "Pleural Other", "Fracture", "Support Devices",
)  # fmt: skip
FIX = (
    "get the file again, from EHRSHOT_ASSETS of https://ehrshot.stanford.edu or as MedAgentGym "
    "prepares it"
)
_TRUTH = {"true": 1, "false": 0, "1": 1, "0": 0, "1.0": 1, "0.0": 0}
_ZONE = re.compile(r"([T ][\d:.]+)(?:Z|[+-]\d\d:?\d\d)$")  # times are local
_TENSOR = re.compile(r"tensor\((\d+)\)")


def read_labels(path: Path, kind: str) -> pd.DataFrame:
    """Return patient_id, prediction_time and value (0 or 1, a level, or bits of findings).

    Raises:
        InputError: the file is damaged, or a field is missing or wrong; it names row and field.
    """
    frame = read_csv(path, COLUMNS)
    # MedAgentGym's files may hold the text of tensors
    ids = frame["patient_id"].str.replace(_TENSOR, r"\1", regex=True)
    refuse(~ids.str.fullmatch(r"\d{1,18}"), frame, "not a patient's number", path, "patient_id")
    clock = frame["prediction_time"].str.replace(_ZONE, r"\1", regex=True)
    time = pd.to_datetime(clock, errors="coerce", format="ISO8601")
    refuse(time.isna(), frame, "not a time", path, "prediction_time")
    text = frame["value"].str.strip().str.lower()
    if kind in LEVELS or kind == "chexpert":
        most = 3 if kind in LEVELS else 2 ** len(CHEXPERT) - 1
        value = pd.to_numeric(text, errors="coerce")
        refuse(
            ~(value.between(0, most) & (value % 1 == 0)), frame, f"not a number from 0 to {most}",
            path, "value",
        )  # fmt: skip
    else:
        value = text.map(_TRUTH)
        refuse(value.isna(), frame, "not true or false", path, "value")
    return pd.DataFrame(
        {
            "patient_id": ids.astype("int64"),
            "prediction_time": time,
            "value": value.astype("int64"),
        }
    )


def last_rows(labels: pd.DataFrame, counts: Counter[str]) -> pd.DataFrame:
    """Keep each patient's last row, so that no later row shows what an earlier one asks."""
    kept = labels.sort_values("prediction_time", kind="stable").drop_duplicates(
        "patient_id", keep="last"
    )
    counts["rows left out: not the patient's last"] += len(labels) - len(kept)
    return kept.set_index("patient_id").sort_index()


def answers(kind: str, values: pd.Series) -> pd.DataFrame:
    """Labels of 0 and 1: any abnormality of laboratory kinds, a column for each finding.

    Source: `convert_multiclass_to_binary_labels` and `process_chexpert_labels` of EHRSHOT's code.
    """
    if kind != "chexpert":
        return (values >= 1).astype(int).to_frame("value")
    highest = len(CHEXPERT) - 1
    return pd.DataFrame(
        {name: (values // 2 ** (highest - place)) % 2 for place, name in enumerate(CHEXPERT)}
    )


def read_csv(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Read columns of a CSV file as text."""

    def read(file: Path) -> pd.DataFrame:
        return pd.read_csv(file, dtype=str, keep_default_na=False)

    return read_brought(path, read, columns, form="CSV", fix=FIX)


refuse = partial(refuse_row, fix=FIX)
