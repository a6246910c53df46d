"""The second path: a question's solution is run over the tables, and graded more strictly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchside.graders import grade
from benchside.suites.oncology.question import Question
from benchside.task import AnswerKey, TaskSpec
from benchside_kernels.submission import Json, encode

STRICTNESS = 10.0
PYPLOT = "import matplotlib.pyplot as plt"


class _Plots:
    """Draws as pyplot does, but without choosing a backend for the whole process."""

    @staticmethod
    def subplots() -> tuple[Figure, Axes]:
        figure = Figure()
        return figure, figure.subplots()


def solved(question: Question, tables: dict[str, pd.DataFrame]) -> Json:
    """Return what the solution submits.

    The cells are this package's own, so that they may run here; they leave the tables alone.
    """
    submitted: list[Any] = []
    space: dict[str, Any] = {
        **tables, "np": np, "pd": pd, "plt": _Plots, "submit": submitted.append
    }  # fmt: skip
    for cell in question.cells:
        exec(compile(cell.replace(PYPLOT, ""), "solution", "exec"), space)
    (value,) = submitted
    return encode(value)


def agrees(question: Question, task: TaskSpec, key: AnswerKey, found: Json) -> bool:
    """Is the solution's answer the gold, ten times more closely than a submission has to be?"""
    strict = task.model_copy(update={"grader": question.answer.grader(STRICTNESS)})
    return grade(strict, key, found).passed
