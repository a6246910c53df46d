"""Recomputing the published labels from the published entities, and how often the two agree.

A label that differs is flagged and kept: which of the two is wrong is not decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from benchside.calculators import BY_NUMBER, CalculatorError
from benchside.calculators.inputs import Argument
from benchside.suites.medcalcbench.calculators import ENTITIES
from benchside.suites.medcalcbench.entities import NotMappedError, read_values
from benchside.suites.medcalcbench.rows import Answer, Row

DECIMALS = 3
DIFFERS = "recomputation-differs"
Status = Literal["agrees", "differs", "not recomputed"]


@dataclass(frozen=True, slots=True)
class Recomputation:
    """What became of recomputing one row.

    Args:
        arguments: the formula's arguments; None where the row was not recomputed.
        value: the result, rounded to 3 decimals where it is a float.
        reason: why it was not recomputed.
    """

    status: Status
    arguments: dict[str, Argument] | None = None
    value: Answer | None = None
    reason: str = ""


def recompute(row: Row) -> Recomputation:
    """Compute a row's answer from its entities and compare it with the published label."""
    calculator = BY_NUMBER[row.calculator]
    try:
        values = read_values(row.entities, ENTITIES[row.calculator])
        arguments = calculator.arguments(values, in_range=False)
        value = calculator.exact(arguments)
    except (NotMappedError, CalculatorError) as error:
        return Recomputation("not recomputed", reason=str(error))
    if isinstance(value, float):
        value = round(value, DECIMALS)
    return Recomputation("agrees" if row.accepts(value) else "differs", arguments, value)


def agreement(rows: Sequence[Row]) -> pd.DataFrame:
    """Return one line per calculator: calculator, n, recomputed, agree (numbers of rows)."""
    statuses = [(row.name, recompute(row).status) for row in rows]
    frame = pd.DataFrame(statuses, columns=["calculator", "status"])
    frame = frame.assign(
        n=1,
        recomputed=(frame["status"] != "not recomputed").astype(int),
        agree=(frame["status"] == "agrees").astype(int),
    )
    grouped = frame.groupby("calculator", sort=False)[["n", "recomputed", "agree"]]
    return grouped.sum().reset_index()
