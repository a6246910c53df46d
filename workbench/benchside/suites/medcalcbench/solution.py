"""Reference solutions: cells that hold a formula's source and the values found in the note.

Kernels cannot import this package, so the cells carry the formula and all that it calls.
"""

from __future__ import annotations

import datetime as dt

from pydantic import JsonValue

from benchside.calculators import BY_NUMBER
from benchside.cell_source import cell_source
from benchside.suites.medcalcbench.agreement import DECIMALS, Recomputation
from benchside.suites.medcalcbench.rows import Answer, Row


def solution(row: Row, found: Recomputation) -> tuple[str, ...]:
    """Return cells that compute the answer, or state the label where it was not confirmed."""
    if found.status != "agrees" or found.arguments is None:
        return (_statement(row.label),)
    formula = BY_NUMBER[row.calculator].formula
    values = "\n".join(f"    {name}={value!r}," for name, value in found.arguments.items())
    last = f"answer = {formula.__name__}(\n{values}\n)\n"
    if isinstance(found.value, float):
        last += f"answer = round(answer, {DECIMALS})\n"
    return cell_source(formula), last + "submit(answer)"


def _statement(label: Answer) -> str:
    match label:
        case dt.timedelta():
            weeks, days = divmod(label.days, 7)
            return f'submit("{weeks} weeks {days} days")'
        case dt.date():
            return f'submit("{label.isoformat()}")'
    return f"submit({label!r})"


def gold(label: Answer) -> JsonValue:
    """Return a label in the JSON form of a submission."""
    match label:
        case dt.timedelta():
            return {"$duration_s": label.total_seconds()}
        case dt.date():
            return {"$date": label.isoformat()}
    return label
