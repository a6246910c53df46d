"""Tables that users bring, checked as they are read: faults are told by file, row and field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from benchside.errors import InputError


def read_brought(
    path: Path,
    read: Callable[[Path], pd.DataFrame],
    columns: Sequence[str],
    *,
    form: str,
    fix: str,
) -> pd.DataFrame:
    """Read a table that has to have some columns, and a row.

    Args:
        read: raises `OSError`, `EOFError` or `ValueError` (such as those of pandas and pyarrow) for
            files that it cannot read.
        form: of the file, such as "CSV".
        fix: what users can do.

    Raises:
        InputError: the file is damaged, lacks a column or is empty.
    """
    try:
        frame = read(path)
    except (OSError, EOFError, ValueError) as error:
        raise InputError(
            f"the file is damaged, cut off or not {form}", where=path, value=str(error).strip(),
            fix=fix,
        ) from None  # fmt: skip
    missing = [column for column in columns if column not in frame]
    if missing:
        raise InputError(
            "a field is missing", where=f"{path}, field {missing[0]!r}", value=list(frame)[:8],
            fix=fix,
        )  # fmt: skip
    if not len(frame):
        raise InputError("the file has no rows", where=path, fix=fix)
    return frame


def refuse_row(
    wrong: pd.Series, frame: pd.DataFrame, what: str, path: Path, field: str, *, fix: str
) -> None:
    """Raise for the first wrong row; rows are counted from 1, without a header."""
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise InputError(
            what, where=f"{path}, row {row + 1}, field {field!r}",
            value=str(frame.iloc[row].get(field)), fix=fix,
        )  # fmt: skip
