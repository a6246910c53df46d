"""The shipped notebooks, run by papermill as people run them."""

import asyncio
import io
import json
from pathlib import Path

import nbformat
import papermill
import pytest
from rich.console import Console

from benchside.commands import RunRequest, run_suites
from benchside.curves import EVALUATIONS, METRICS, EvaluationRow, MetricsRow
from benchside.evaluation import Evaluation
from benchside.library import Suite
from benchside.store import append_line
from benchside_kernels.startup import HOME_VARIABLE

pytestmark = pytest.mark.timeout(300)  # a notebook starts kernels of its own

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def executed(name: str, folder: Path, **parameters: str) -> str:
    """Run a notebook; return the text of all its outputs."""
    done = papermill.execute_notebook(
        NOTEBOOKS / f"{name}.ipynb", folder / f"{name}.ipynb", parameters, progress_bar=False
    )
    return "\n".join(
        json.dumps(cell.outputs, ensure_ascii=False)
        for cell in done.cells
        if cell.cell_type == "code"
    )


@pytest.mark.slow
def test_evaluate_runs_a_file_and_goes_on_with_it(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    config = tmp_path / "evaluation.yaml"
    config.write_text("suites: [{name: power, limit: 2}]\npolicies: [reference, constant]\n")
    given = {"config": str(config), "out": str(tmp_path / "run")}
    shown = executed("evaluate", tmp_path, **given)
    assert "n = 2" in shown
    assert "4 episodes" in shown
    assert (tmp_path / "run" / "report" / "index.html").is_file()
    rows = (tmp_path / "run" / "episodes.jsonl").read_text()
    assert "4 of 4 episodes are done" in executed("evaluate", tmp_path, **given)
    assert (tmp_path / "run" / "episodes.jsonl").read_text() == rows


@pytest.mark.slow
def test_error_analysis_shows_findings_with_their_cells(
    home: Path, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    shown = executed("error_analysis", tmp_path, run=str(finished_run))
    assert "premature submission" in shown  # the policy `constant`
    assert "ZeroDivisionError" in shown  # the scripted policy
    assert "image/png" in shown


@pytest.mark.slow
def test_explore_shows_tasks_data_and_a_live_kernel(
    home: Path, suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    shown = executed("explore", tmp_path, suite="power", image=next(iter(suite.record.images)))
    assert "40 tasks" in shown and "image/png" in shown
    assert "**solved**" in shown and "kernel start" in shown


@pytest.mark.slow
def test_replay_shows_what_differs_and_why(
    home: Path, suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    cells = tmp_path / "by_time.py"
    cells.write_text("import time\nprint(time.time_ns())\n1 / 0\n# %%\nx = 1\n# %%\nsubmit(0)")
    asked = Evaluation.model_validate(
        {"suites": [{"name": "power", "limit": 1}], "policies": ["reference", f"scripted:{cells}"]}
    )
    request = RunRequest(asked, tmp_path / "run")
    asyncio.run(run_suites(request, home, Console(file=io.StringIO())))
    shown = executed("replay", tmp_path, run=str(tmp_path / "run"))
    assert "1 of 2 episodes differ" in shown
    assert "time.time_ns() in cell-001" in shown
    assert "0 of 2 episodes have such cells" in shown, "it changes with time, not for the failure"
    assert "cell-001: different" in shown and "cell-002: identical" in shown


@pytest.mark.slow
def test_training_curves_shows_gains_by_method(tmp_path: Path) -> None:
    folder = tmp_path / "training"
    folder.mkdir()
    for stage, success in (("base", 0.25), ("grpo", 0.75)):
        row = MetricsRow(step=0, stage=stage, seed=0, loss=0.5)
        append_line(folder / METRICS, row.model_dump_json())
        for k in (1, 8):
            result = EvaluationRow(stage=stage, seed=0, suite="power", split="test", n=40, k=k,
                                   success=success, low=0.2, high=0.8)  # fmt: skip
            append_line(folder / EVALUATIONS, result.model_dump_json())
    shown = executed("training_curves", tmp_path, runs=str(tmp_path / "train*"))
    assert "75.0 (20.0–80.0), n = 40" in shown
    assert "grpo, pass@k" in shown and "one amount of data" in shown


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_ship_without_outputs_and_with_parameters(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert sum("parameters" in cell.metadata.get("tags", ()) for cell in code) == 1
