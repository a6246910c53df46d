"""What suites on held-out predictions share: bars that guesses do not reach, leaks that stop."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchside.errors import IntegrityError
from benchside.graders import grade, metrics
from benchside.graders.probes import check_probes
from benchside.held_out.bar import set_bar
from benchside.held_out.leakage import Timed, late, refuse, shared
from benchside.held_out.question import Part, Question, pose
from benchside.held_out.single import single_columns
from benchside.manifests import manifest
from benchside_kernels.submission import encode

DAY = pd.Timestamp("2024-03-05")
EVENTS = pd.DataFrame(
    {
        "patient_id": [1, 1, 2, 3],
        "start": [DAY, DAY + pd.Timedelta(hours=23), DAY, DAY],
        "end": [pd.NaT, pd.NaT, DAY + pd.Timedelta(days=9), pd.NaT],
    }
)
LIMITS = pd.Series([DAY + pd.Timedelta(hours=23), DAY + pd.Timedelta(days=1)], index=[1, 2])


def labels_and_scores(rows: int, skill: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(rows)
    labels = (rng.random(rows) < 0.25).astype(float)
    return labels, skill * labels + rng.normal(0, 1, rows)


def test_a_bar_lies_above_luck_and_below_the_model():
    for metric in ("auroc", "auprc"):
        labels, scores = labels_and_scores(300, 1.5)
        bar = set_bar(metric, labels, labels, scores)
        assert bar is not None
        assert bar.guess < bar.threshold < bar.plain
        rng = np.random.default_rng(1)
        measure = getattr(metrics, metric)
        lucky = [measure(labels, rng.random(300)) >= bar.threshold for _ in range(500)]
        assert np.mean(lucky) <= 0.01
    rng = np.random.default_rng(2)
    values = rng.gamma(2, 3, 200)
    bar = set_bar("mae", values, values, values + rng.normal(0, 1, 200))
    assert bar is not None
    constants = [metrics.mae(values, np.full(200, c)) for c in np.linspace(0, 20, 400)]
    assert bar.plain < bar.threshold < min(constants)


def test_a_single_column_raises_the_bar_or_takes_it_away():
    labels, scores = labels_and_scores(300, 1.5)
    column = scores + np.random.default_rng(3).normal(0, 0.35, 300)
    for metric in ("auroc", "auprc"):
        free = set_bar(metric, labels, labels, scores)
        assert free is not None
        reached = getattr(metrics, metric)(labels, column)
        assert free.threshold < reached < free.plain - 0.005
        bar = set_bar(metric, labels, labels, scores, [-column, column])
        assert bar is not None
        assert bar.single == reached < bar.threshold <= bar.plain
        assert set_bar(metric, labels, labels, scores, [scores]) is None
    x = pd.DataFrame({"up": [1, np.nan, 4, 5], "down": [3.0, 2, 1, np.nan], "none": np.nan})
    up, down, none = single_columns(x, pd.Series([0, 0, 1, 1]), x.iloc[[3, 1]])
    assert [up.tolist(), down.tolist(), none.tolist()] == [[5, 4], [-2, -2], [0, 0]]


def test_there_is_no_bar_where_luck_passes_for_skill():
    for rows, skill in ((300, 0.05), (300, -1.0), (24, 0.6), (20, 9.0)):
        labels, scores = labels_and_scores(rows, skill)
        assert set_bar("auroc", labels, labels, scores) is None
        assert set_bar("auprc", labels, labels, scores) is None
    flat = np.arange(50.0)
    assert set_bar("mae", flat, flat, np.full(50, 24.0)) is None


def test_planted_leaks_are_found():
    table = Timed("events", EVENTS, "patient_id", ["start", "end"])
    assert late(table, LIMITS).tolist() == [False, True, True, False]
    assert late(Timed("events", EVENTS, "patient_id", ["start"]), LIMITS).sum() == 1
    assert shared([1, 2], [2, 3]) == {2}
    with pytest.raises(IntegrityError, match="2 rows are not before the prediction time") as found:
        refuse("x", train=[3], held_out=[1, 2], tables=[table], limits=LIMITS)
    assert found.value.where == "image x, table events, patient_id 1"
    with pytest.raises(IntegrityError, match="1 patients are in training and held out"):
        refuse("x", train=[1, 3], held_out=[1, 2])
    clean = EVENTS.drop(index=[1, 2])
    table = Timed("events", clean, "patient_id", ["start", "end"])
    refuse("x", train=[3], held_out=[1, 2], tables=[table], limits=LIMITS)


def question(*parts: Part) -> Question:
    return Question(
        task_id="t", category="c", group="g", split="test", image="i", what="Score.", rows="`new`",
        metric="auroc", parts=parts, solution=("submit({})",),
    )  # fmt: skip


def part(name: str, skill: float = 1.5) -> Part:
    labels, scores = labels_and_scores(200, skill)
    held = pd.Series(labels.astype(int), index=[f"{name}{i}" for i in range(200)])
    return Part(train=labels, held_out=held, scores=scores, name=name)


def test_tasks_of_one_part_and_of_several():
    one = part("a")
    for asked in (question(one), question(one, part("b"))):
        posed = pose(asked, manifest("longitudinal"))
        assert posed is not None
        task, key = posed
        assert check_probes(task, key) == []
        scores = {p.name: pd.Series(p.scores, p.held_out.index) for p in asked.parts}
        assert grade(task, key, encode(scores if len(scores) > 1 else scores["a"])).passed
        for constant in ({}, dict.fromkeys(one.held_out.index, 0.5), 1, [0.5] * 200):
            assert not grade(task, key, encode(constant)).passed
    assert pose(question(one, part("b", skill=0.0)), manifest("longitudinal")) is None
