"""Scores by one column alone, which a question's threshold must keep out.

A column is taken as it stands, missing values as the training rows' median, and turned round where
the training rows say so: a ranking that needs no model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchside.graders.metrics import Floats


def single_columns(x: pd.DataFrame, y: pd.Series, new: pd.DataFrame) -> Sequence[Floats]:
    """Return the scores of the rows of `new` by each column.

    Args:
        x, y: columns and labels (0 or 1) of the training rows.
    """
    middle = x.median().fillna(0)
    known = x.fillna(middle).to_numpy(np.float64)
    positive = y.to_numpy() == 1
    turned = np.sign(known[positive].mean(axis=0) - known[~positive].mean(axis=0))
    scores = new.fillna(middle).to_numpy(np.float64) * np.where(turned < 0, -1, 1)
    return list(scores.T)
