"""The table `noteevents`: notes as MIMIC-III keeps them, and those of all stays of a hospital.

Source of the columns: Johnson et al., MIMIC-III, Scientific Data 2016.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from benchside.hospital.notes.compose import CATEGORIES, KINDS, Note, choose, days_for, write
from benchside.hospital.notes.stay import Frames, Stay, Stays
from benchside.hospital.notes.style import STYLES
from benchside.hospital.record import NOW
from benchside.hospital.schema import tables

(TABLE,) = tables(
    "noteevents|row_id INT*,subject_id INT*,hadm_id INT*,chartdate TIMESTAMP(0)*,"
    "charttime TIMESTAMP(0),category VARCHAR(50)*,description VARCHAR(255)*,text TEXT*|hadm_id"
)
DAILY = 2  # physicians' and nurses' notes of a stay, each


def noteevents(frames: Frames, seed: int) -> pd.DataFrame:
    """Write the notes of all stays, true to the tables of the MIMIC-III view.

    Each finished stay has a discharge summary, each in intensive care up to two physicians' and two
    nurses' notes.
    """
    stays = Stays(frames, NOW)
    rng = np.random.default_rng([seed, 1999])
    written: list[tuple[Stay, Note]] = []
    for row in range(len(frames["admissions"])):
        stay = stays.stay(row)
        style = STYLES[rng.integers(len(STYLES))]
        for kind in KINDS:
            days = days_for(stay, kind)
            for day in rng.permutation(np.array(days, dtype="datetime64[D]"))[:DAILY]:
                facts = choose(rng, stay, kind, day)
                if facts:
                    written.append((stay, write(rng, stay, stays, kind, day, facts, style)))
    return table(written)


def table(written: Iterable[tuple[Stay, Note]]) -> pd.DataFrame:
    """The notes as rows, numbered from 1."""
    rows = [
        {
            "row_id": number,
            "subject_id": stay.subject,
            "hadm_id": stay.hadm,
            "chartdate": note.day.astype("datetime64[s]"),
            "charttime": (np.datetime64("NaT") if note.time is None else note.time).astype(
                "datetime64[s]"
            ),
            "category": CATEGORIES[note.kind],
            "description": "Report",
            "text": note.text,
        }
        for number, (stay, note) in enumerate(written, start=1)
    ]
    return pd.DataFrame(rows, columns=list(TABLE.columns))
