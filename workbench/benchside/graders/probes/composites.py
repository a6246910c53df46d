"""Probes of records and of alternatives, made of the probes of their parts."""

from __future__ import annotations

import pandas as pd

from benchside.graders.composite import AnyOfGrader, RecordGrader
from benchside.graders.grader import Grader
from benchside.graders.probes.case import (
    CONSTANTS,
    Case,
    Cases,
    as_python,
    equivalents,
    is_right_constant,
    mistakes,
)
from benchside_kernels.submission import Value


def _golds(gold: Value) -> dict[str, Value]:
    assert isinstance(gold, dict)  # check_gold of the record
    return gold


def _right(grader: RecordGrader, gold: Value) -> dict[str, Cases]:
    """All passing forms of each part."""
    return {
        name: [Case("None", None)] if _golds(gold)[name] is None else equivalents(part, one)
        for name, part in grader.parts.items()
        for one in [_golds(gold)[name]]
    }


@equivalents.register
def _(grader: RecordGrader, gold: Value) -> Cases:
    forms = _right(grader, gold)
    count = max(len(cases) for cases in forms.values())
    cases = []
    for i in range(count):
        chosen = {name: each[i % len(each)] for name, each in forms.items()}
        label = ", ".join(f"{name} as {case.name}" for name, case in chosen.items())
        cases.append(Case(label, {name: case.value for name, case in chosen.items()}))
    first = {name: each[0].value for name, each in forms.items()}
    return [
        *cases,
        Case("Series", pd.Series(first, dtype=object)),
        Case("names in capitals", {name.upper(): value for name, value in first.items()}),
        Case("parts in another order", dict(reversed(first.items()))),
    ]


@mistakes.register
def _(grader: RecordGrader, gold: Value) -> Cases:
    right = {name: each[0].value for name, each in _right(grader, gold).items()}
    first = next(iter(right))
    cases = [
        Case("a part missing", {name: v for name, v in right.items() if name != first}),
        Case("a part more", {**right, "another part": 1}),
        Case("values without names", list(right.values())),
        Case("parts renamed", {f"{name} value": v for name, v in right.items()}),
    ]
    for name, part in grader.parts.items():
        one = _golds(gold)[name]
        wrong = [Case("1", 1)] if one is None else [*mistakes(part, one), *_constants(part, one)]
        if one is not None:
            wrong.append(Case("None", None))
        cases += [
            Case(f"{name}: {case.name}", {**right, name: case.value}, case.skipped)
            for case in wrong
        ]
    return cases


def _constants(part: Grader, gold: Value) -> Cases:
    return [
        Case(
            c.name, c.value, "is the right answer" if is_right_constant(part, gold, c.value) else ""
        )
        for c in CONSTANTS
    ]


def _alternatives(grader: AnyOfGrader, gold: Value) -> list[tuple[Grader, Value]]:
    assert isinstance(gold, list)  # check_gold
    return list(zip(grader.alternatives, gold, strict=True))


@equivalents.register
def _(grader: AnyOfGrader, gold: Value) -> Cases:
    return [
        Case(f"alternative {i}: {case.name}", case.value)
        for i, (part, one) in enumerate(_alternatives(grader, gold), 1)
        for case in equivalents(part, one)
    ]


@mistakes.register
def _(grader: AnyOfGrader, gold: Value) -> Cases:
    """Mistakes in one alternative may be right in another; only dumps are wrong in all."""
    golds = [as_python(one) for _, one in _alternatives(grader, gold)]
    return [
        Case("all alternatives in a dict", {str(i): one for i, one in enumerate(golds)}),
        Case("all alternatives as text", f"one of {golds}"),
    ]


@is_right_constant.register
def _(grader: AnyOfGrader, gold: Value, constant: object) -> bool:
    return any(is_right_constant(part, one, constant) for part, one in _alternatives(grader, gold))
