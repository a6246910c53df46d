"""Evaluations on a real Ray cluster of several nodes: as on this machine, whatever vanishes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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
    to_its_end(evaluating(home, config, out), out)
    return out


@dataclass(frozen=True)
class Nodes:
    """Two nodes of one core each; `address` is that of the first."""

    process: subprocess.Popen[str]
    address: str

    def kill_one(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        said(self.process, "killed")


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("cluster.py")), "2", "1"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    yield Nodes(process, said(process, "address").split()[1])
    process.communicate(timeout=60)


def said(cluster: subprocess.Popen[str], what: str) -> str:
    assert cluster.stdout is not None
    for line in cluster.stdout:
        if line.startswith(what):
            return line
    raise AssertionError(f"the cluster ended without {what!r}")


def evaluating(
    home: Path, config: Path, out: Path, *more: str, nodes: Nodes | None = None
) -> subprocess.Popen[str]:
    """Start an evaluation, on the nodes or by the local engine; what it says goes to a file."""
    environment = {**os.environ, HOME_VARIABLE: str(home)}
    environment.pop("RAY_ADDRESS", None)
    if nodes is not None:
        environment["RAY_ADDRESS"] = nodes.address
        more = ("--engine", "ray", *more)
    with (out.parent / "said").open("w") as told:
        return subprocess.Popen(
            [*BENCHSIDE, "evaluate", str(config), "--out", str(out), *more],
            env=environment, text=True, stdout=subprocess.DEVNULL, stderr=told,
        )  # fmt: skip


def to_its_end(driver: subprocess.Popen[str], out: Path) -> str:
    """Wait for an evaluation; what it said."""
    driver.wait(timeout=400)
    told = (out.parent / "said").read_text()
    assert driver.returncode == 0, told
    return told


def finished(out: Path) -> int:
    rows = out / "episodes.jsonl"
    return rows.read_bytes().count(b"\n") if rows.exists() else 0


def wait_for(out: Path, episodes: int, process: subprocess.Popen[str]) -> None:
    while finished(out) < episodes:
        assert process.poll() is None, (out.parent / "said").read_text()
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


def test_nodes_give_what_one_machine_gives(
    home: Path, config: Path, at_home: Path, nodes: Nodes, tmp_path: Path
) -> None:
    out, store = tmp_path / "run", tmp_path / "store"
    told = to_its_end(evaluating(home, config, out, "--store", f"file://{store}", nodes=nodes), out)
    assert "2 nodes" in told
    assert_equal(at_home, out)
    (store / "turns").mkdir()
    assert_equal(at_home, store)


def test_without_an_address_no_cluster_is_joined_but_one_of_its_own_started(
    home: Path, config: Path, at_home: Path, nodes: Nodes, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    told = to_its_end(evaluating(home, config, out, "--engine", "ray"), out)
    assert "1 nodes" in told
    assert_equal(at_home, out)


def test_ctrl_c_loses_nothing_that_was_finished(
    home: Path, config: Path, at_home: Path, nodes: Nodes, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    driver = evaluating(home, config, out, nodes=nodes)
    wait_for(out, 18, driver)
    driver.send_signal(signal.SIGINT)
    driver.wait(timeout=120)
    told = (tmp_path / "said").read_text()
    assert driver.returncode not in (0, 2), told
    assert "--resume" in told
    assert "Traceback" not in told
    before = finished(out)
    assert 18 <= before < 30
    assert not (out / "incoming").exists()
    to_its_end(evaluating(home, config, out, "--resume", nodes=nodes), out)
    assert_equal(at_home, out)
    assert finished(out) == 30, "nothing that was finished is run again"


def test_a_node_and_then_the_driver_are_killed(
    home: Path, config: Path, at_home: Path, nodes: Nodes, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    driver = evaluating(home, config, out, nodes=nodes)
    wait_for(out, 5, driver)
    nodes.kill_one()
    wait_for(out, 15, driver)
    driver.kill()
    driver.wait()
    before = finished(out)
    assert before < 30
    # all nodes have this machine's address: a driver might be given the dead one as its own
    said(nodes.process, "known to be gone")
    told = to_its_end(evaluating(home, config, out, "--resume", nodes=nodes), out)
    assert f"{before} of 30 episodes are done" in told
    assert_equal(at_home, out)
    assert finished(out) == 30, "nothing that was finished is run again"
