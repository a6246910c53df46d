"""kill -9 anywhere: typed ends, fresh kernels, nothing left; and no episode is scored wrongly."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import benchside
from benchside.library import prepare
from benchside.policy import Action, Conversation
from benchside.protocol import run_cell_action
from benchside.provenance import provenance
from benchside.rollout import Assignment, run_episode
from benchside.store import RunFolder
from benchside_kernels.forked import ForkedKernels
from benchside_kernels.sandbox import sandbox_problem
from tests.kernels.processes import below, children, gone, newest_child, until

SCRIPT = Path(benchside.__file__).parents[2] / "benchmarks" / "chaos_kernels.py"


@pytest.fixture(autouse=True)
def _sandbox() -> None:
    if problem := sandbox_problem():
        pytest.skip(f"no sandbox here: {problem}")


@pytest.mark.parametrize(
    "rounds",
    [2, pytest.param(30, marks=[pytest.mark.soak, pytest.mark.timeout(600)])],
)
def test_rounds_of_kills(rounds: int) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--rounds", str(rounds), "--seed", "100"],
        capture_output=True, text=True, timeout=580, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"^round \d+: killed \w", done.stdout, re.MULTILINE)) > rounds / 2
    assert "nothing was left running" in done.stdout


class Killing:
    """Sets a variable, then kills the supervisor and asks for it."""

    name = "killing"

    async def act(self, conversation: Conversation) -> Action:
        if not conversation.turns:
            return run_cell_action("x = 1")
        supervisor = newest_child()
        os.kill(supervisor, signal.SIGKILL)
        await gone(below(supervisor))
        return run_cell_action("x")


async def test_an_episode_whose_supervisor_dies_is_not_scored(tmp_path: Path) -> None:
    suite = await asyncio.to_thread(prepare, "power", tmp_path / "home", size=10)
    assignment = Assignment(suite, suite.tasks[0], Killing(), 0, 7)
    async with ForkedKernels() as maker:
        made = provenance(7, maker.isolation)
        episode = await run_episode(assignment, made, maker=maker)
    assert episode.outcome == "infrastructure_error"
    assert episode.grade is None
    assert episode.failure is not None
    assert "was lost with the process that owned it" in episode.failure.message


def is_supervisor(pid: int) -> bool:
    """A run has processes that grade, too."""
    return b"supervisor" in Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_supervisor_that_dies_in_a_run_costs_no_episode_its_score(tmp_path: Path) -> None:
    """The reference policy solves everything, unless a death is taken for its own."""
    suite = await asyncio.to_thread(prepare, "power", tmp_path / "home", size=60)
    folder = RunFolder(tmp_path / "run")
    code = "from benchside.cli import main; main()"
    options = ("--policy", "reference", "--parallel", "4", "--out", str(folder.path))
    environment = {**os.environ, "BENCHSIDE_HOME": str(tmp_path / "home")}
    run = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, "run", "power", *options, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    ended = asyncio.create_task(run.communicate())
    kills = 0
    for _ in range(3):
        done = len(folder.rows())
        await until(lambda done=done: ended.done() or len(folder.rows()) > done + 3, 60)
        if supervisor := [child for child in children(run.pid) if is_supervisor(child)]:
            inside = below(supervisor[-1])
            os.kill(supervisor[-1], signal.SIGKILL)
            await gone(inside)
            kills += 1
    said, _ = await asyncio.wait_for(ended, 100)
    outcomes = [row.outcome for row in folder.rows().values()]
    assert kills == 3
    assert len(outcomes) == len(suite.tasks), said
    assert set(outcomes) <= {"solved", "infrastructure_error"}, said
    assert outcomes.count("solved") > len(outcomes) / 2, said
