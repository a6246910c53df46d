"""Evaluations on a real Ray cluster of several nodes: as on this machine, whatever vanishes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pandas as pd
import pytest

import benchside
from benchside.library import Suite
from benchside_kernels.image import HOME_VARIABLE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

EPISODE = ["episode_id", "task_hash", "outcome", "reward", "end_reason", "turns", "isolation"]
CELL = ["episode_id", "turn", "source", "status", "error", "text", "submitted"]
BENCHSIDE = [sys.executable, "-c", "from benchside.cli import main; main()"]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("config")
    cells = folder / "slow.py"
    cells.write_text("import time; time.sleep(0.5)\n# %%\n1 / 0\n# %%\nsubmit(0)")
    path = folder / "config.yaml"
    path.write_text(
        "suites: [{name: power, limit: 10}]\n"
        f"policies: [reference, do-nothing, 'scripted:{cells}']\n"
    )
    return path


@pytest.fixture(scope="module")
def at_home(
    home: Path, suite: Suite, config: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The same evaluation by the local engine."""
    out = tmp_path_factory.mktemp("local") / "run"
    evaluating(home, config, out, {}).communicate(timeout=300)
    return out


@pytest.fixture
def cluster() -> Iterator[subprocess.Popen[str]]:
    """Two nodes of one core each."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("cluster.py")), "2", "1"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    yield process
    process.communicate(timeout=60)


def address(cluster: subprocess.Popen[str]) -> dict[str, str]:
    return {"RAY_ADDRESS": said(cluster, "address").split()[1]}


def said(cluster: subprocess.Popen[str], what: str) -> str:
    assert cluster.stdout is not None
    for line in cluster.stdout:
        if line.startswith(what):
            return line
    raise AssertionError(f"the cluster ended without {what!r}")


def evaluating(
    home: Path, config: Path, out: Path, environment: dict[str, str], *more: str,
    stderr: int | IO[str] = subprocess.PIPE,
) -> subprocess.Popen[str]:  # fmt: skip
    engine = ["--engine", "ray"] if environment else []
    return subprocess.Popen(
        [*BENCHSIDE, "evaluate", str(config), "--out", str(out), *engine, *more],
        env={**os.environ, HOME_VARIABLE: str(home), **environment}, text=True,
        stdout=subprocess.DEVNULL, stderr=stderr,
    )  # fmt: skip


def finished(out: Path) -> int:
    rows = out / "episodes.jsonl"
    return rows.read_bytes().count(b"\n") if rows.exists() else 0


def wait_for(out: Path, episodes: int, process: subprocess.Popen[str]) -> None:
    while finished(out) < episodes:
        assert process.poll() is None
        time.sleep(0.02)


def assert_equal(first: Path, second: Path) -> None:
    """Episode for episode and cell for cell; no defect, nothing left over."""
    runs = [benchside.load_run(path) for path in (first, second)]
    assert runs[1].defects == ()
    for columns, frames in ((EPISODE, [r.episodes for r in runs]), (CELL, [r.cells for r in runs])):
        keys = columns[:1] if columns is EPISODE else columns[:2]
        ordered = [frame[columns].sort_values(keys, ignore_index=True) for frame in frames]
        pd.testing.assert_frame_equal(*ordered)
    assert not list((second / "turns").iterdir())
    assert not (second / "incoming").exists()


def test_a_node_and_then_the_driver_are_killed(
    home: Path, config: Path, at_home: Path, cluster: subprocess.Popen[str], tmp_path: Path
) -> None:
    where, out = address(cluster), tmp_path / "run"
    driver = evaluating(home, config, out, where)
    wait_for(out, 5, driver)
    assert cluster.stdin is not None
    cluster.stdin.write("\n")
    cluster.stdin.flush()
    said(cluster, "killed")
    wait_for(out, 15, driver)
    before = finished(out)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    driver = evaluating(home, config, out, where, "--resume")
    _, stderr = driver.communicate(timeout=300)
    assert driver.returncode == 0, stderr
    assert "1 nodes" in stderr
    assert "of 30 episodes are done" in stderr
    assert_equal(at_home, out)
    assert before < finished(out) <= 31  # one row may have been on its way when the driver died


def test_nodes_give_what_one_machine_gives(
    home: Path, config: Path, at_home: Path, cluster: subprocess.Popen[str], tmp_path: Path
) -> None:
    where, store = address(cluster), tmp_path / "store"
    driver = evaluating(
        home, config, tmp_path / "run", where, "--store", f"file://{store}",
    )  # fmt: skip
    _, stderr = driver.communicate(timeout=300)
    assert driver.returncode == 0, stderr
    assert "2 nodes" in stderr
    assert_equal(at_home, tmp_path / "run")
    (store / "turns").mkdir()
    assert_equal(at_home, store)
