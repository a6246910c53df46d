"""`Scene`: files with known content, a question about them, and how to measure the answer."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchside.task import AnswerSchema, GraderRef

HEADER = """\
import numpy as np
import matplotlib.pyplot as plt
"""
NUMBER = AnswerSchema(kind="number")


@dataclass(frozen=True, slots=True)
class Scene:
    """One question.

    Args:
        files: name → content.
        gold: from what was drawn, not from the files.
        measure: finds the answer in the files, given `arguments`; its source, and that of `uses`,
            is the task's solution.
        show: cell source that plots the first file, after the functions have been defined.
    """

    files: dict[str, bytes]
    prompt: str
    gold: Any
    measure: Callable[..., Any]
    arguments: tuple[Any, ...]
    answer: AnswerSchema = NUMBER
    grader: GraderRef = field(default_factory=lambda: within(0.0))
    uses: tuple[Callable[..., Any], ...] = ()
    show: str = ""

    def solution(self) -> tuple[str, ...]:
        """Cells: the functions with a plot of the data, then the measurement."""
        sources = [inspect.getsource(one) for one in (*self.uses, self.measure)]
        given = ", ".join(map(repr, self.arguments))
        return (
            "\n\n".join([HEADER, *sources, self.show]),
            f"submit({self.measure.__name__}({given}))",
        )


def within(abs_tol: float, rel_tol: float = 1e-4) -> GraderRef:
    """A grader of numbers."""
    return GraderRef(name="number", params={"abs_tol": abs_tol, "rel_tol": rel_tol})


def whole(description: str) -> tuple[AnswerSchema, GraderRef]:
    """Schema and grader of a count."""
    return AnswerSchema(kind="integer", description=description), GraderRef(name="integer")


def choice(description: str, *choices: str) -> tuple[AnswerSchema, GraderRef]:
    """Schema and grader of a closed question."""
    schema = AnswerSchema(kind="text", description=description, choices=choices)
    return schema, GraderRef(name="text")
