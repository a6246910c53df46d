"""Leakage: held-out patients among the training ones, and what happened after the prediction time.

`late` and `shared` find it, so that loaders can leave it out and count it; `refuse` is the last
look at what a kernel will get, by other code than that which cut it, and stops the build.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchside.errors import IntegrityError


@dataclass(frozen=True, slots=True)
class Timed:
    """A table whose rows belong to someone and have times.

    Args:
        owner: column of the patient, stay or row id.
        times: columns of times; a missing one is no leak.
    """

    name: str
    frame: pd.DataFrame
    owner: str
    times: Sequence[str]


def late(table: Timed, limits: pd.Series) -> NDArray[np.bool_]:
    """(rows,) bool, True where a time is not before its owner's limit; others have no limit."""
    limit = table.frame[table.owner].map(limits)
    found = np.zeros(len(table.frame), dtype=bool)
    for column in table.times:
        found |= (table.frame[column] >= limit).to_numpy(dtype=bool)
    return found


def shared(train: Iterable[object], held_out: Iterable[object]) -> set[object]:
    """The ids on both sides."""
    return set(train) & set(held_out)


def refuse(
    image: str,
    *,
    train: Iterable[object],
    held_out: Iterable[object],
    tables: Sequence[Timed] = (),
    limits: pd.Series | None = None,
) -> None:
    """Raise where what a kernel would get gives a held-out label away.

    Args:
        train, held_out: ids of patients (or of what comes nearest to them).
        limits: prediction time by owner, for the owners that have one.

    Raises:
        IntegrityError: names the image, the table, how many rows, and the first of them.
    """
    both = shared(train, held_out)
    if both:
        raise IntegrityError(
            f"{len(both)} patients are in training and held out",
            where=f"image {image}",
            value=min(both, key=str),
            fix="split by patient",
        )
    for table in tables if limits is not None else ():
        assert limits is not None
        found = late(table, limits)
        if found.any():
            first = table.frame[found].iloc[0]
            raise IntegrityError(
                f"{int(found.sum())} rows are not before the prediction time",
                where=f"image {image}, table {table.name}, {table.owner} {first[table.owner]}",
                value=str(first[list(table.times)].to_dict()),
                fix="cut the table at the prediction time",
            )
