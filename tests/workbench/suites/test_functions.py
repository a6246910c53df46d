"""The functions suite: its tasks hold, its references are self-contained, mutants of them fail."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from Bio.Align import PairwiseAligner
from Bio.Seq import Seq
from Bio.SeqUtils import gc_fraction

from benchside.batch import assign, run_batch
from benchside.graders import ProgramGrader, grade
from benchside.graders.grading import build_task_grader
from benchside.graders.probes import check_probes
from benchside.graders.program_cell import run_cases
from benchside.library import Suite, prepare
from benchside.policies import make_policy
from benchside.provenance import provenance
from benchside.store import RunConfig, RunFolder
from benchside.suite import BuildOptions
from benchside.suites.functions import build
from benchside.suites.functions.alignments import global_score, local_score
from benchside.suites.functions.catalogue import CATEGORIES, EXERCISES
from benchside.suites.functions.draw import Draw
from benchside.suites.functions.sequences import gc_percent, reverse_complement, translate
from benchside.task import AnswerKey, TaskSpec
from benchside_kernels.makers import open_kernels

SIZE = 130


@pytest.fixture(scope="module")
def suite(home: Path) -> Suite:
    return prepare("functions", home, size=SIZE)


def outcomes(task: TaskSpec, key: AnswerKey, program: str) -> Any:
    """Run a trusted program here rather than in a kernel."""
    grader = build_task_grader(task, key)
    assert isinstance(grader, ProgramGrader)
    cases = [case.model_dump(mode="json") for case in grader.cases]
    return {"outcomes": run_cases(program, grader.entry, cases)}


def program_of(key: AnswerKey) -> str:
    namespace: dict[str, Any] = {"submit": lambda value: None}
    exec(key.solution[0], namespace)
    program = namespace["program"]
    assert isinstance(program, str)
    return program


def test_the_suite_is_as_large_and_mixed_as_it_says(suite: Suite) -> None:
    assert len(EXERCISES) >= 120
    assert len(CATEGORIES) >= 8
    assert len({one.name for one in EXERCISES}) == len(EXERCISES)
    assert sum(len(list(one.variants())) for one in EXERCISES) >= 1_200
    assert len(suite.tasks) == SIZE
    assert len({task.category for task in suite.tasks}) == len(CATEGORIES)
    splits = {task.group: task.split for task in suite.tasks}
    assert all(splits[task.group] == task.split for task in suite.tasks)
    assert set(Counter(splits.values())) == {"train", "valid", "test"}


def test_no_statement_is_left_with_a_hole(suite: Suite) -> None:
    for task in suite.tasks:
        assert "{" not in task.prompt.partition("def ")[0]
        assert f"def {task.answer.entry}(" in task.prompt


MUTANTS = {
    "constant": "{program}\ndef {entry}(*a):\n    return 1\n",
    "identity": "{program}\ndef {entry}(*a):\n    return a[0]\n",
    "nothing": "",
    "negated": (
        "{program}\n_right = {entry}\n"
        "def _flip(v):\n"
        "    if isinstance(v, bool): return not v\n"
        "    if isinstance(v, (int, float)): return -v - 1\n"
        "    if isinstance(v, str): return v + '?'\n"
        "    if isinstance(v, dict): return {{k: _flip(x) for k, x in v.items()}} or 1\n"
        "    if isinstance(v, (list, tuple)): return [_flip(x) for x in v] or 1\n"
        "    return 0\n"
        "def {entry}(*a):\n    return _flip(_right(*a))\n"
    ),
    "mutating": (
        "{program}\n_right = {entry}\n"
        "def _spoil(v):\n"
        "    for one in v:\n"
        "        if isinstance(one, list): one.append(0); return True\n"
        "        if isinstance(one, dict): one['spoilt'] = 0; return True\n"
        "    return False\n"
        "def {entry}(*a):\n    value = _right(*a)\n    _spoil(a)\n    return value\n"
    ),
}


def test_references_pass_and_their_mutants_fail(suite: Suite) -> None:
    for task in suite.tasks:
        key = suite.answer_key(task.task_id)
        program = program_of(key)
        assert grade(task, key, outcomes(task, key, program)).passed, task.task_id
        assert check_probes(task, key) == []
        cases: Any = key.params["cases"]
        mutable = any(isinstance(one, (list, dict)) for one in cases[0]["arguments"])
        for name, text in MUTANTS.items():
            if name == "mutating" and not mutable:
                continue
            mutant = text.format(program=program, entry=task.answer.entry)
            given = grade(task, key, outcomes(task, key, mutant))
            assert not given.passed, (task.task_id, name)


def test_the_same_seed_gives_the_same_tasks_and_another_one_others(
    suite: Suite, tmp_path: Path
) -> None:
    options = BuildOptions(suite.manifest, None, tmp_path, seed=0, size=12)
    small = build(options)
    assert [t.hash for t in small.tasks] == [t.hash for t in suite.tasks[:12]]
    other = build(replace(options, seed=5))
    assert {t.task_id for t in other.tasks}.isdisjoint(t.task_id for t in small.tasks)


def test_references_agree_with_biopython() -> None:
    draw = Draw("biopython")
    for _ in range(25):
        dna = draw.dna(0, 30)
        assert str(Seq(dna).reverse_complement()) == reverse_complement(dna, False, "N")
        whole = dna[: len(dna) // 3 * 3]
        assert str(Seq(whole).translate()) == translate(whole, 0, "*", False)
        assert gc_percent(dna, 3, False) == pytest.approx(100 * gc_fraction(dna), abs=1e-3)
        one, other = draw.dna(1, 12), draw.dna(1, 12)
        aligner = PairwiseAligner(
            mode="global", match_score=2, mismatch_score=-1, open_gap_score=-3,
            extend_gap_score=-3,
        )  # fmt: skip
        assert aligner.score(one, other) == global_score(one, other, 2, -1, -3)
        aligner.mode = "local"
        assert aligner.score(one, other) == local_score(one, other, 2, -1, -3)


async def test_in_kernels_the_reference_solves_and_the_rest_does_not(
    suite: Suite, tmp_path: Path
) -> None:
    reference = make_policy("reference", solutions=lambda t: suite.answer_key(t.task_id).solution)
    policies = [reference, make_policy("constant"), make_policy("dump")]
    folder = RunFolder(tmp_path / "run")
    folder.start(RunConfig(suites=(), policies={}, samples=1, seed=0, provenance={}), resume=False)
    async with open_kernels() as maker:
        assignments = assign([(suite, suite.tasks[::20])], policies, 1, 0)
        await run_batch(
            assignments, folder, provenance(0, maker.isolation), maker=maker, parallel=2
        )
    found = Counter((row.policy, row.outcome) for row in folder.rows().values())
    tasks = len(suite.tasks[::20])
    assert found == {
        ("reference", "solved"): tasks, ("constant", "wrong"): tasks, ("dump", "wrong"): tasks
    }  # fmt: skip
