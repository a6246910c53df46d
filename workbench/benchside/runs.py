"""Runs as pandas DataFrames."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchside.store import EpisodeRow, RunFolder


def load_run(path: str | Path) -> pd.DataFrame:
    """Return a run's finished episodes, one row each.

    Args:
        path: the run folder.

    Returns:
        The columns of `benchside.store.EpisodeRow`: ids, category, split, group, policy, outcome,
        reward, passed, end_reason, turns, times in seconds, tokens, memory in MiB, characters
        of output. Not measured is
        missing, never 0. `transcript` is the notebook's full path.

    Raises:
        StoreError: not a run folder, or a damaged row, naming file and line.
    """
    folder = RunFolder(Path(path))
    folder.config()
    rows = [row.model_dump() for row in folder.rows().values()]
    frame = pd.DataFrame(rows, columns=list(EpisodeRow.model_fields))
    numbers = {
        "reward": "float64", "passed": "boolean", "start_s": "float64", "cpu_s": "float64",
        "peak_mib": "float64", "output_chars": "Int64", "input_tokens": "Int64",
        "output_tokens": "Int64", "requests": "Int64",
    }  # fmt: skip
    frame = frame.astype(numbers)
    frame["transcript"] = [str(folder.path / name) for name in frame["transcript"]]
    return frame
