"""The oncology suite: two ways to each answer, splits by study, and solutions in kernels."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchside.batch import assign, run_batch
from benchside.graders.probes import check_probes
from benchside.library import Suite, prepare
from benchside.manifests import manifest
from benchside.policies import make_policy
from benchside.provenance import provenance
from benchside.store import RunConfig, RunFolder
from benchside.suites.oncology import exact
from benchside.suites.oncology.build import MAKERS
from benchside.suites.oncology.check import agrees, solved
from benchside.suites.oncology.question import Question
from benchside.suites.oncology.study import NOT_ON_SMALL, SMALL, generate
from benchside.task import AnswerKey, TaskSpec
from benchside_kernels.makers import open_kernels
from benchside_kernels.submission import encode

SIZE = 2 * len(MAKERS)


@pytest.fixture(scope="module")
def suite(home: Path) -> Suite:
    return prepare("oncology", home, size=SIZE)


def test_categories_splits_and_probes(suite: Suite) -> None:
    assert len(MAKERS) >= 40
    assert len(suite.tasks) == SIZE
    assert {task.category for task in suite.tasks} == set(MAKERS)
    splits = defaultdict(set)
    for task in suite.tasks:
        splits[task.group].add(task.split)
        assert "{" not in task.prompt
        assert task.prompt.count("Submit") >= 1
        assert check_probes(task, suite.answer_key(task.task_id)) == []
    assert all(len(found) == 1 for found in splits.values())
    assert set().union(*splits.values()) == {"train", "valid", "test"}
    golds = Counter(repr(suite.answer_key(task.task_id).value) for task in suite.tasks)
    assert max(golds.values()) <= 2


def wrong(gold: Any) -> Any:
    """The gold with one number or name changed."""
    match gold:
        case pd.DataFrame():
            changed = gold.copy()
            changed.iloc[0, -1] = wrong(changed.iloc[0, -1])
            return changed
        case dict():
            last = list(gold)[-1]
            return {**gold, last: wrong(gold[last])}
        case list():
            return [*gold[:-1], wrong(gold[-1])]
        case set():
            return {*sorted(gold)[1:], "other"}
        case str():
            return f"{gold}x"
        case int() | np.integer():
            return int(gold) + 1
    return float(gold) * 1.001


def test_a_wrong_gold_is_noticed_in_every_category() -> None:
    described = manifest("oncology")
    study = generate(2, 8)
    tables = study.tables()
    rng = np.random.default_rng(3)
    for category, maker in MAKERS.items():
        question = next(q for q in (maker(rng, study) for _ in range(60)) if q is not None)
        found = solved(question, tables)
        assert agrees(question, *posed(question, described.version), found), category
        other = replace(question, gold=wrong(question.gold))
        assert not agrees(other, *posed(other, described.version), found), category
    for name, frame in study.tables().items():
        pd.testing.assert_frame_equal(frame, tables[name])  # no solution has changed a table


def posed(question: Question, version: str) -> tuple[TaskSpec, AnswerKey]:
    task = TaskSpec(
        task_id="t", suite="oncology", version=version, category="c", split="test", group="g",
        prompt=question.ask, image="i", answer=question.answer.schema,
        grader=question.answer.grader(),
    )  # fmt: skip
    return task, AnswerKey(task_id="t", value=encode(question.gold))


def test_studies_are_coherent_and_repeat() -> None:
    study = generate(1, 5)
    tables = study.tables()
    again = generate(1, 5).tables()
    assert all(frame.equals(again[name]) for name, frame in tables.items())
    assert not tables["data_mutations"].equals(generate(6, 5).tables()["data_mutations"])
    samples, mutations = tables["data_clinical_sample"], tables["data_mutations"]
    assert set(samples["PATIENT_ID"]) == set(tables["data_clinical_patient"]["PATIENT_ID"])
    assert set(mutations["Tumor_Sample_Barcode"]) <= set(samples["SAMPLE_ID"])
    small = set(samples[samples["GENE_PANEL"] == SMALL]["SAMPLE_ID"])
    uncovered = mutations[mutations["Hugo_Symbol"].isin(NOT_ON_SMALL)]
    assert not set(uncovered["Tumor_Sample_Barcode"]) & small
    assert (samples[samples["SAMPLE_TYPE"] == "Primary"]["PATIENT_ID"].value_counts() == 1).all()
    changed = mutations[mutations["Variant_Type"] == "SNP"]
    assert (changed["Reference_Allele"] != changed["Tumor_Seq_Allele2"]).all()
    length = tables["data_segments"].groupby(["ID", "chrom"])["loc.end"].max()
    assert length.groupby("chrom").nunique().max() == 1
    frame = mutations[mutations["Variant_Classification"] == "In_Frame_Del"]["Reference_Allele"]
    assert (frame.str.len() % 3 == 0).all()


def test_formulas_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        counts = rng.integers(0, 30, 4).tolist()
        expected = stats.fisher_exact(np.reshape(counts, (2, 2)))[1]
        assert exact.fisher(*counts) == pytest.approx(expected, rel=1e-9)
    first, second = rng.normal(0, 1, 14), rng.normal(0.8, 2, 9)
    test = stats.ttest_ind(first, second, equal_var=False)
    assert exact.welch(first, second) == pytest.approx((test.statistic, test.pvalue))
    p = rng.random(20) ** 3
    assert exact.adjusted(p.tolist()) == pytest.approx(stats.false_discovery_control(p))
    table = rng.integers(3, 40, (3, 4)).astype(float)
    chi2 = stats.chi2_contingency(table, correction=False)
    assert exact.chi_square(table) == pytest.approx((chi2.statistic, chi2.pvalue))
    tied = rng.integers(0, 6, 40).astype(float)
    assert exact.ranks(tied) == pytest.approx(stats.rankdata(tied))
    assert exact.upper_tail(3, 9, 7, 52) == pytest.approx(stats.hypergeom.sf(2, 52, 7, 9))


@pytest.mark.slow
async def test_in_kernels_the_reference_alone_solves(suite: Suite, tmp_path: Path) -> None:
    reference = make_policy("reference", solutions=lambda t: suite.answer_key(t.task_id).solution)
    first = {task.category: task for task in reversed(list(suite.tasks))}
    chosen = ("figures/", "survival/hazard", "mutations/oncoprint", "expression/diff", "clinical/c")
    tasks = [task for task in first.values() if task.category.startswith(chosen)]
    policies = [reference, make_policy("constant"), make_policy("dump")]
    run = RunFolder(tmp_path / "run")
    run.start(RunConfig(suites=(), policies={}, samples=1, seed=0, provenance={}), resume=False)
    async with open_kernels(modules=("lifelines", "matplotlib.pyplot")) as maker:
        assignments = assign([(suite, tasks)], policies, 1, 0)
        await run_batch(assignments, run, provenance(0, maker.isolation), maker=maker, parallel=2)
    count = len(tasks)
    assert Counter((one.policy, one.outcome) for one in run.rows().values()) == {
        ("reference", "solved"): count, ("constant", "wrong"): count, ("dump", "wrong"): count
    }  # fmt: skip
