"""Reference solutions: cells that hold a formula's source and the values found in the note.

Kernels cannot import this package, so the cells carry the formula and all that it calls.
"""

from __future__ import annotations

import datetime as dt
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

from pydantic import JsonValue

from benchside.calculators import BY_NUMBER
from benchside.suites.medcalcbench.agreement import DECIMALS, Recomputation
from benchside.suites.medcalcbench.rows import Answer, Row


def formula_source(formula: Callable[..., Any]) -> str:
    """Return code that defines a formula, with its imports and the functions it calls."""
    imports: dict[str, None] = {}
    sources: dict[str, str] = {}
    _collect(formula, imports, sources)
    return "\n\n\n".join(filter(None, ["\n".join(imports), *sources.values()]))


def _collect(
    formula: Callable[..., Any], imports: dict[str, None], sources: dict[str, str]
) -> None:
    """Add a function after those that it calls."""
    for name, used in inspect.getclosurevars(formula).globals.items():
        if isinstance(used, ModuleType):
            alias = f" as {name}" if name != used.__name__ else ""
            imports[f"import {used.__name__}{alias}"] = None
        elif inspect.isfunction(used) and name not in sources:
            _collect(used, imports, sources)
    sources[formula.__name__] = inspect.getsource(formula).strip()


def solution(row: Row, found: Recomputation) -> tuple[str, ...]:
    """Return cells that compute the answer, or state the label where it was not confirmed."""
    if found.status != "agrees" or found.arguments is None:
        return (_statement(row.label),)
    formula = BY_NUMBER[row.calculator].formula
    values = "\n".join(f"    {name}={value!r}," for name, value in found.arguments.items())
    last = f"answer = {formula.__name__}(\n{values}\n)\n"
    if isinstance(found.value, float):
        last += f"answer = round(answer, {DECIMALS})\n"
    return formula_source(formula), last + "submit(answer)"


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
