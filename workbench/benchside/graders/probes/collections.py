"""Probes of sets and lists."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd

from benchside.graders.collection import Collection, ListGrader, SetGrader
from benchside.graders.number import NumberGrader
from benchside.graders.probes.case import Case, Cases, equivalents, is_right_constant, mistakes
from benchside_kernels.submission import Value


@equivalents.register
def _(grader: ListGrader, gold: Value) -> Cases:
    return _sequences(grader.read(gold))


@equivalents.register
def _(grader: SetGrader, gold: Value) -> Cases:
    items = grader.read(gold)
    return [
        *_sequences(items),
        Case("set", set(items)),
        Case("reversed list", items[::-1]),
        Case("list with repetitions", items + items),
    ]


def _sequences(items: list[Any]) -> Cases:
    cases = [
        Case("list", items),
        Case("tuple", tuple(items)),
        Case("Series", pd.Series(items, dtype=object)),
        Case("one-column table", pd.DataFrame({"item": pd.Series(items, dtype=object)})),
    ]
    if items and all(isinstance(item, (float, str)) for item in items):
        cases.append(Case("numpy array", np.array(items)))
    return cases


@mistakes.register
def _(grader: ListGrader, gold: Value) -> Cases:
    items = grader.read(gold)
    last_first = items[-1:] + items[:-1]
    return [
        *_near(grader, items),
        Case("reversed", items[::-1], _same(grader, items[::-1], items)),
        Case("last item first", last_first, _same(grader, last_first, items)),
        Case("set", set(items)),
        Case("list twice", items + items, "" if items else "the gold is empty"),
    ]


@mistakes.register
def _(grader: SetGrader, gold: Value) -> Cases:
    return _near(grader, grader.read(gold))


def _near(grader: Collection, items: list[Any]) -> Cases:
    stranger = _stranger(grader, items)
    cases = [
        Case("one item more", [*items, stranger]),
        Case("one item replaced", [*items[:-1], stranger]),
        Case("all items as one text", ", ".join(str(item) for item in items) or "none"),
        Case("items in a dict", {"items": items}),
        Case("list of lists", [items]),
    ]
    if items:
        left = [item for item in items if item != items[0]]
        same = _same(grader, left, items) if isinstance(grader, SetGrader) else ""
        cases.append(Case("one item missing", left, same))
    if items and grader.item in ("number", "integer"):
        flipped = [-item for item in items]
        cases.append(Case("signs flipped", flipped, _same(grader, flipped, items)))
    return cases


def _stranger(grader: Collection, items: list[Any]) -> Any:
    """Return an item that is none of these and outside any tolerance."""
    match grader.item:
        case "number":
            scalar = grader.item_grader
            assert isinstance(scalar, NumberGrader)
            top = max(items, key=abs, default=0.0)
            reach = abs(top) * (1 + scalar.rel_tol) / (1 - scalar.rel_tol) + scalar.abs_tol
            return 2 * reach + 1
        case "integer":
            return max(items, default=0) + 1
        case "text":
            return "none of " + max(items, key=len, default="these")
        case "date":
            years = {item.year for item in items}
            return dt.date(next(year for year in range(1, 9999) if year not in years), 1, 1)


def _same(grader: Collection, left: list[Any], right: list[Any]) -> str:
    """Say why two lists of items count as the same, or nothing."""
    scalar = grader.item_grader
    if isinstance(grader, SetGrader):
        same = not any(scalar.differences(left, right))
    else:
        pairs = zip(left, right, strict=True)
        same = all(scalar.judge_read(one, other).passed for one, other in pairs)
    return "equals the gold" if same else ""


@is_right_constant.register
def _(grader: Collection, gold: Value, constant: object) -> bool:
    if not isinstance(constant, list):
        return False
    items, expected = list(constant), grader.read(gold)
    if not items or not expected:
        return len(items) == len(expected)
    if grader.item not in ("number", "integer"):
        return False
    alike = len(items) == len(expected) or isinstance(grader, SetGrader)
    return alike and bool(_same(grader, items, expected))
