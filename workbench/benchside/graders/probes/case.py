"""What each grader's probes are made of: equivalent forms, mistakes, and constants that are right.

Three functions that dispatch on the grader's class; the other modules of this folder register
theirs. Values are plain Python, numpy and pandas objects as an agent would submit them.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from functools import singledispatch
from typing import TypeAlias

import pandas as pd

from benchside.graders.grader import Grader
from benchside_kernels.submission import Series, SetValue, Table, Value


@dataclass(frozen=True, slots=True)
class Case:
    """One submission by name; `skipped` says why it proves nothing for this gold."""

    name: str
    value: object
    skipped: str = ""


Cases: TypeAlias = list[Case]

CONSTANTS = (
    Case("constant 1", 1),
    Case("constant 0", 0),
    Case("constant True", True),
    Case('constant "yes"', "yes"),
    Case('constant "1"', "1"),
    Case("empty text", ""),
    Case("empty list", []),
    Case("empty dict", {}),
    Case("nan", math.nan),
    Case("infinity", math.inf),
    Case("range dump", list(range(100))),
)


@singledispatch
def equivalents(grader: Grader, gold: Value) -> Cases:
    """Return forms of the gold that must pass."""
    raise NotImplementedError(f"grader {grader.label} has no probes")


@singledispatch
def mistakes(grader: Grader, gold: Value) -> Cases:
    """Return wrong answers near the gold that must fail."""
    raise NotImplementedError(f"grader {grader.label} has no probes")


@singledispatch
def is_right_constant(grader: Grader, gold: Value, constant: object) -> bool:
    """Is one of `CONSTANTS` the right answer to this task by chance?"""
    return False


def as_python(value: Value) -> object:
    """Return a decoded value as an agent would hold it: DataFrame, Series, set."""
    match value:
        case Table():
            return pd.DataFrame(list(value.rows), columns=list(value.columns), dtype=object)
        case Series():
            return pd.Series(list(value.values), index=list(value.index), dtype=object)
        case SetValue():
            members = [as_python(member) for member in value.members]
            return {member for member in members if isinstance(member, Hashable)}
        case list():
            return [as_python(item) for item in value]
        case dict():
            return {key: as_python(item) for key, item in value.items()}
    return value
