"""The shipped notebooks, run by papermill as people run them."""

import json
from pathlib import Path

import nbformat
import papermill
import pytest

from benchside_kernels.startup import HOME_VARIABLE

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def executed(name: str, folder: Path, **parameters: str) -> str:
    """Run a notebook; return the text of all its outputs."""
    done = papermill.execute_notebook(
        NOTEBOOKS / f"{name}.ipynb", folder / f"{name}.ipynb", parameters, progress_bar=False
    )
    return "\n".join(json.dumps(cell.outputs) for cell in done.cells if cell.cell_type == "code")


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


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_ship_without_outputs_and_with_parameters(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert sum("parameters" in cell.metadata.get("tags", ()) for cell in code) == 1
