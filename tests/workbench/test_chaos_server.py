"""A misbehaving model server loses, doubles and spoils no episode."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "chaos_server.py"


@pytest.mark.parametrize(
    "episodes", [40, pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.timeout(3000)])]
)
def test_no_episode_suffers_from_its_server(episodes: int) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--episodes", str(episodes)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"{episodes} episodes" in done.stdout and "none lost or doubled" in done.stdout
