"""Counterfactuals: one cell changed, the policy goes on, the outcome is graded and linked."""

from pathlib import Path

import pytest
from rich.console import Console

from benchside.batch import run_batch
from benchside.errors import InputError
from benchside.library import Suite
from benchside.policies import make_policy
from benchside.provenance import provenance
from benchside.replay.command import ReplayRequest
from benchside.replay.edit import Edit, edit_episode
from benchside.rollout import Assignment
from benchside.store import RunConfig, RunFolder
from benchside_kernels.makers import open_kernels


async def test_a_cell_is_changed_and_a_policy_goes_on(suite: Suite, tmp_path: Path) -> None:
    task = next(t for t in suite.tasks if len(suite.answer_key(t.task_id).solution) == 3)
    solution = suite.answer_key(task.task_id).solution
    folder = RunFolder(tmp_path / "run")
    folder.start(RunConfig(suites=(), policies={}, samples=1, seed=0, provenance={}), resume=False)
    policy = make_policy("reference", solutions=lambda task: solution)
    assignment = Assignment(suite, task, policy, 0, 7)
    async with open_kernels() as maker:
        origin = provenance(7, maker.isolation)
        await run_batch([assignment], folder, origin, maker=maker, parallel=1)
    (parent,) = (folder.episode(name) for name in folder.rows())
    request = ReplayRequest(f"{folder.path}/{parent.episode_id}", 1)
    console = Console(quiet=True)

    broken = Edit("cell-002", f"{solution[1]}\n1 / 0")
    other, child = await edit_episode(request, broken, suite.home, console)
    assert (child.parent, child.edited_cell, child.policy[:9]) == (
        parent.episode_id, "cell-002", "reference",
    )  # fmt: skip
    results = [turn.result for turn in child.turns]
    assert [result.status for result in results if result] == ["ok", "error", "ok"]
    assert results[0].outputs == parent.turns[0].result.outputs  # type: ignore[union-attr]
    assert child.outcome == "solved", "the reference went on with the submission"
    assert other.path == folder.path / "counterfactuals"
    assert other.episode(child.episode_id) == child

    _, third = await edit_episode(
        request, Edit("cell-003", "x = 1", "constant"), suite.home, console
    )
    assert third.end_reason == "no_action", "the constant submits in the first turn or never"
    assert set(other.rows()) == {child.episode_id, third.episode_id}
    assert set(folder.rows()) == {parent.episode_id}, "no score of the run has changed"

    with pytest.raises(InputError, match="cell-001, cell-002, cell-003"):
        await edit_episode(request, Edit("cell-9", "x"), suite.home, console)
    with pytest.raises(InputError, match="one episode"):
        await edit_episode(ReplayRequest(str(folder.path), 1), broken, suite.home, console)
