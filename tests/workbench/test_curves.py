"""What trainings record: read as far as it is sound, and drawn."""

from pathlib import Path

import pandas as pd
import pytest

from benchside.curves import EVALUATIONS, METRICS, EvaluationRow, MetricsRow, load_curves
from benchside.errors import StoreError
from benchside.report import training_figures
from benchside.store import append_line


def recorded(folder: Path, seed: int) -> None:
    """A training as its writer leaves it: two stages, data in two sizes, up to four samples."""
    folder.mkdir()
    for stage, gain in (("sft", 0.1), ("grpo", 0.3)):
        for step in range(4):
            success = gain + step / 10 if step % 2 else None
            row = MetricsRow(step=step, stage=stage, seed=seed, loss=1 / (step + 1),
                             success=success, success_low=success and success - 0.1,
                             success_high=success and success + 0.1)  # fmt: skip
            append_line(folder / METRICS, row.model_dump_json())
        for k, fraction in ((1, 0.5), (1, 1.0), (4, 1.0)):
            result = EvaluationRow(stage=stage, seed=seed, suite="power", split="test", n=40, k=k,
                                   success=gain * fraction + k / 10, low=0.0, high=1.0,
                                   train_fraction=fraction)  # fmt: skip
            append_line(folder / EVALUATIONS, result.model_dump_json())


def test_rows_of_several_trainings_are_read_and_drawn(tmp_path: Path) -> None:
    for seed in (0, 1):
        recorded(tmp_path / f"seed-{seed}", seed)
    with (tmp_path / "seed-1" / METRICS).open("a") as file:
        file.write('{"step": 4, "stage": "grpo", "seed": 1, "lr": 0.1}\n{"step": "x"}\n{"st')
    curves = load_curves(tmp_path / "*")
    assert (len(curves.metrics), len(curves.evaluations)) == (17, 12)
    assert curves.metrics.kl.dtype == "float64" and curves.metrics.kl.isna().all()
    assert [defect.kind for defect in curves.defects] == ["damaged row", "torn row"]
    assert "line 10" in curves.defects[0].where and "step" in curves.defects[0].what

    steps = training_figures.step_figure(curves.metrics)
    assert "solved, %" in steps and "loss" in steps and "entropy" not in steps
    assert steps.count(">grpo<") == 1, "one entry for all seeds"
    assert "training data, %" in training_figures.data_figure(curves.evaluations)
    assert "grpo, pass@k" in training_figures.samples_figure(curves.evaluations)
    once = curves.evaluations[curves.evaluations.k == 1].assign(split="once")
    both = pd.concat([curves.evaluations, once])
    assert ", once<" in training_figures.data_figure(both)
    assert ", once<" not in training_figures.samples_figure(both), "one point is no curve"
    none = curves.evaluations[curves.evaluations.k == 99]
    assert training_figures.samples_figure(none).startswith("<svg")
    assert training_figures.step_figure(curves.metrics.head(0)).startswith("<svg")


def test_a_folder_without_a_training_is_a_message(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "no-*"):
        with pytest.raises(StoreError, match="no training run"):
            load_curves(place)
    recorded(tmp_path / "one", 0)
    (tmp_path / "one" / METRICS).unlink()
    assert load_curves(tmp_path / "one").metrics.empty
