import asyncio
import io
from pathlib import Path

import pytest
from rich.console import Console

from benchside.commands import RunRequest, run_suites
from benchside.evaluation import Evaluation
from benchside.library import Suite, prepare


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder of its own, never the user's."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def suite(home: Path) -> Suite:
    """A small real suite."""
    return prepare("power", home, size=40)


@pytest.fixture(scope="session")
def finished_run(home: Path, suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder: two tasks, two samples, three policies, one of which has failing cells."""
    folder = tmp_path_factory.mktemp("runs")
    cells = folder / "failing.py"
    cells.write_text("print('before')\n1 / 0\n# %%\nsubmit(0)")
    asked = Evaluation.model_validate(
        {
            "suites": [{"name": "power", "limit": 2}], "samples": 2, "parallel": 2,
            "policies": ["reference", "constant", f"scripted:{cells}"],
        }
    )  # fmt: skip
    request = RunRequest(asked, folder / "run")
    asyncio.run(run_suites(request, home, Console(file=io.StringIO())))
    return folder / "run"
