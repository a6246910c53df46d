"""`Question`: a prediction that is asked for, with the labels of both sides; its task and key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pydantic import JsonValue

from benchside.graders.metrics import Floats
from benchside.held_out.bar import Bar, Metric, measure, set_bar
from benchside.suite import SuiteManifest
from benchside.task import AnswerKey, AnswerSchema, GraderRef, Sensitivity, Split, TaskSpec
from benchside_kernels.submission import encode

NAMES: dict[Metric, str] = {
    "auroc": "an area under the ROC curve of at least",
    "auprc": "an average precision (area under the precision-recall curve) of at least",
    "mae": "a mean absolute error of at most",
}


@dataclass(frozen=True, slots=True)
class Part:
    """One label to predict.

    Args:
        name: of the part of a record; empty where a question has one part only.
        train: labels of the training rows.
        held_out: labels of the held-out rows, by row id.
        scores: (held-out rows,) of the plain model.
        risks: (held-out rows,) the true risks, where the data were generated.
        singles: (held-out rows,) scores by single columns, none of which may pass.
    """

    train: Floats
    held_out: pd.Series
    scores: Floats
    name: str = ""
    risks: Floats | None = None
    singles: Sequence[Floats] = ()

    @property
    def labels(self) -> Floats:
        """(held-out rows,) labels."""
        return self.held_out.to_numpy(np.float64)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Args:
        what: the question, without form and threshold of the answer.
        rows: where the ids of the held-out rows stand in the kernel, for the prompt.
        solution: cells that fit the plain model and submit its scores.
        ways: in how many independent ways the labels were found.
    """

    task_id: str
    category: str
    group: str
    split: Split
    image: str
    what: str
    rows: str
    metric: Metric
    parts: Sequence[Part]
    solution: tuple[str, ...]
    ways: int = 1


def pose(
    question: Question, manifest: SuiteManifest, sensitivity: Sensitivity | None = None
) -> tuple[TaskSpec, AnswerKey] | None:
    """Return task and key; None where the held-out rows do not tell skill from luck."""
    bars = []
    for part in question.parts:
        bar = set_bar(question.metric, part.train, part.labels, part.scores, part.singles)
        if bar is None:
            return None
        bars.append(bar)
    single = len(question.parts) == 1
    graders: list[JsonValue] = [{"metric": bar.metric, "threshold": bar.threshold} for bar in bars]
    named: dict[str, JsonValue] = {
        part.name: {"grader": "prediction", "params": params}
        for part, params in zip(question.parts, graders, strict=True)
    }
    first = graders[0]
    assert isinstance(first, dict)
    task = TaskSpec(
        task_id=question.task_id,
        suite=manifest.name,
        version=manifest.version,
        category=question.category,
        split=question.split,
        group=question.group,
        prompt=f"{question.what}\n\n{_form(question, bars)}",
        image=question.image,
        answer=AnswerSchema(kind="record", description=_answer(question)),
        grader=GraderRef(name="prediction", params=first)
        if single
        else GraderRef(name="record", params={"parts": named}),
        licence=manifest.licence,
        sensitivity=sensitivity or manifest.sensitivity,
    )
    golds = {part.name: part.held_out for part in question.parts}
    gold = question.parts[0].held_out if single else golds
    return task, AnswerKey(
        task_id=question.task_id, value=encode(gold), solution=question.solution,
        ways=question.ways,
    )  # fmt: skip


def _answer(question: Question) -> str:
    if len(question.parts) == 1:
        return "a Series (or dict) of scores by row id, one per held-out row"
    names = ", ".join(repr(part.name) for part in question.parts)
    return f"a dict of the parts {names}, each a Series of scores by row id"


def _form(question: Question, bars: Sequence[Bar]) -> str:
    """Form of the answer, threshold, and what the figures compare with."""
    wanted = NAMES[question.metric]
    scores = f"one for each of the {len(question.parts[0].held_out)} rows of {question.rows}"
    if len(bars) == 1:
        bar = bars[0]
        single = "" if bar.single is None else f"the best single column {bar.single:.3g}, "
        compared = f"Guessing gives {bar.guess:.3g}, {single}a plain model {bar.plain:.3g}"
        return (
            f"Submit a Series of scores by its index, {scores}. It passes with {wanted} "
            f"{bar.threshold:g}. {compared}{_best(question)}."
        )
    limits = "; ".join(
        f"{part.name!r} {bar.threshold:g} (guessing {bar.guess:.3g}, a plain model {bar.plain:.3g})"
        for part, bar in zip(question.parts, bars, strict=True)
    )
    return (
        f"Submit a dict with a Series of scores by its index, {scores}, for each part. It passes "
        f"with {wanted}, by part: {limits}."
    )


def _best(question: Question) -> str:
    """The limit that the data set: the metric of the true risks."""
    part = question.parts[0]
    if part.risks is None:
        return ""
    best = measure(question.metric, part.labels, part.risks)
    return f", and the patients' true risks, which nobody knows, {best:.3g}"
