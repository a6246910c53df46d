"""Probes of programs: the reference's outcomes pass; those of programs near it fail.

The outcomes are made here rather than by running programs, as probes run without kernels.
"""

from __future__ import annotations

from typing import Any

from benchside.graders.probes.case import Case, Cases, as_python, equivalents, mistakes
from benchside.graders.program import ProgramGrader
from benchside_kernels.submission import Value


@equivalents.register
def _(grader: ProgramGrader, gold: Value) -> Cases:
    return [Case("the reference's outcomes", {"outcomes": as_python(gold)})]


@mistakes.register
def _(grader: ProgramGrader, gold: Value) -> Cases:
    assert isinstance(gold, list)  # check_gold
    outcomes: list[Any] = [as_python(one) for one in gold]
    silent = [{**one, "returned": None, "printed": ""} for one in outcomes]
    returns_none = all(one == other for one, other in zip(outcomes, silent, strict=True))
    changed = [{**one, "arguments": ["changed"]} for one in outcomes]
    compared = any("arguments" in one for one in outcomes)
    return [
        Case("the outcomes without their frame", outcomes),
        Case("no outcomes", {"outcomes": []}),
        Case("one outcome less", {"outcomes": outcomes[:-1]}),
        Case("one outcome more", {"outcomes": [*outcomes, outcomes[-1]]}),
        Case("nothing returned", {"outcomes": silent}, "that is right" if returns_none else ""),
        Case("all raised", {"outcomes": [{"raised": ["SystemExit"]} for _ in outcomes]}),
        Case("arguments changed", {"outcomes": changed}, "" if compared else "no arguments"),
        Case("failed", {"failed": "the program did not end"}),
    ]
