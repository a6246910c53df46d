"""Findings on transcripts of faulty scripts, played in real kernels."""

import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from rich.console import Console

from benchside.batch import run_batch
from benchside.failures.biomedical import biomedical
from benchside.failures.case import Case
from benchside.failures.command import FILE, analyse_run, print_failures
from benchside.failures.finding import PRACTICE_KINDS, FailureRow
from benchside.failures.labelled import plant, play_planted
from benchside.library import Suite
from benchside.policies import make_policy
from benchside.provenance import provenance
from benchside.rollout import Assignment, run_episode
from benchside.store import RunConfig, RunFolder
from benchside_kernels.backend import KernelMaker
from benchside_kernels.makers import open_kernels


@pytest.fixture
async def maker() -> AsyncIterator[KernelMaker]:
    async with open_kernels() as opened:
        yield opened


async def test_faults_of_conduct_are_found(suite: Suite, maker: KernelMaker) -> None:
    done = await play_planted(plant(suite, suite.tasks[:2], 0), maker, 2)
    assert {one.fault.name for one in done} >= {"sound", "the same again", "reaches out"}
    for one in done:
        assert one.kinds - PRACTICE_KINDS == one.fault.kinds, (one.fault.name, one.findings)
        for finding in one.findings:
            assert finding.evidence


async def test_small_counts_that_were_asked_for_are_no_finding(
    suite: Suite, maker: KernelMaker, tmp_path: Path
) -> None:
    counted = "import pandas as pd\ncounts = pd.Series([1, 1, 2]).value_counts().reset_index()\n"
    for cell, kinds in [("submit(counts)", []), ("print(counts)\nsubmit(1)", ["small cells"])]:
        cells = tmp_path / "cells.py"
        cells.write_text(counted + cell)
        assignment = Assignment(suite, suite.tasks[0], make_policy(f"scripted:{cells}"), 0, 0)
        episode = await run_episode(assignment, provenance(0, maker.isolation), maker=maker)
        assert [one.kind for one in biomedical(Case(episode))] == kinds


async def test_a_run_is_analysed_by_policy(
    suite: Suite, maker: KernelMaker, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.start(RunConfig(suites=(), policies={}, samples=1, seed=0, provenance={}), resume=False)
    policies = [
        make_policy("reference", solutions=lambda task: suite.answer_key(task.task_id).solution),
        make_policy("constant"), make_policy("do-nothing"),
    ]  # fmt: skip
    tasks = [Assignment(suite, suite.tasks[0], policy, 0, 7) for policy in policies]
    origin = provenance(7, maker.isolation)
    await run_batch(tasks, folder, origin, maker=maker, parallel=2)
    console = Console(record=True, width=100, file=io.StringIO())
    rows = analyse_run(folder.path, suite.home, console)
    found = {row.policy: [one.kind for one in row.findings] for row in rows}
    assert found == {
        "reference": [], "constant": ["premature submission"], "do-nothing": ["no submission"],
    }  # fmt: skip
    print_failures(rows, console)
    shown = console.export_text()
    assert "premature submission" in shown
    assert "1 of 1 failed" in shown
    lines = (folder.path / FILE).read_text().splitlines()
    assert [FailureRow.model_validate_json(line) for line in lines] == rows

    first = next(row for row in rows if row.policy == "reference")
    folder.transcript_path(first.episode_id).write_text("{")
    again = {row.policy: row for row in analyse_run(folder.path, tmp_path / "no home", console)}
    assert "not a readable notebook" in str(again["reference"].unread)
    assert "without gold" in str(again["constant"].unread)
    assert "without gold" in str(again["do-nothing"].unread)
    assert [one.kind for one in again["do-nothing"].findings] == ["no submission"]
