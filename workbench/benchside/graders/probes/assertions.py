"""Probes of assertions: only outcomes that all hold pass.

The outcomes are made here rather than by checking objects, as probes run without kernels.
"""

from __future__ import annotations

from benchside.graders.assertions import AssertionsGrader
from benchside.graders.probes.case import Case, Cases, equivalents, mistakes
from benchside_kernels.submission import Value


@equivalents.register
def _(grader: AssertionsGrader, gold: Value) -> Cases:
    assert isinstance(gold, int)  # check_gold
    return [Case("all hold", {"outcomes": [""] * gold})]


@mistakes.register
def _(grader: AssertionsGrader, gold: Value) -> Cases:
    assert isinstance(gold, int)  # check_gold
    return [
        Case("the outcomes without their frame", [""] * gold),
        Case("no outcomes", {"outcomes": []}),
        Case("one outcome more", {"outcomes": [""] * (gold + 1)}),
        Case("the last one fails", {"outcomes": [*[""] * (gold - 1), "does not hold"]}),
        Case("failed", {"failed": "the submission gave no outcomes"}),
        Case("an object that is named", dict.fromkeys(grader.forms, 1)),
    ]
