"""Suite `longitudinal`: labels confirmed, risks known, records cut; the reference solves it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchside.batch import assign, run_batch
from benchside.errors import InputError, IntegrityError
from benchside.graders.metrics import auroc
from benchside.graders.probes import check_probes
from benchside.library import Suite, prepare
from benchside.policies import make_policy
from benchside.provenance import provenance
from benchside.store import RunConfig, RunFolder
from benchside.suites.longitudinal.build import HELD_OUT, TRAINING, Hospital, divide, image
from benchside.suites.longitudinal.catalogue import INPATIENT, KINDS
from benchside.suites.longitudinal.timeline import Cohort, generate
from benchside_kernels.makers import open_kernels

SEED = (0, 0)


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return generate(TRAINING + HELD_OUT * len(KINDS), SEED)


@pytest.fixture(scope="module")
def hospital(cohort: Cohort) -> Hospital:
    counts: Counter[str] = Counter()
    divided = divide(cohort, SEED, counts)
    assert counts == {"rows dropped: two ways to a label differ": 0}
    return divided


@pytest.fixture(scope="module")
def suite(home: Path) -> Suite:
    return prepare("longitudinal", home, size=len(KINDS))


def test_fifteen_kinds_whose_thresholds_no_constant_reaches(suite: Suite) -> None:
    assert {task.category for task in suite.tasks} == set(KINDS)
    for task in suite.tasks:
        assert check_probes(task, suite.answer_key(task.task_id)) == []


def test_risks_are_true(cohort: Cohort) -> None:
    """In each fifth of the risk, as many have the outcome as it says, within four deviations."""
    for kind, outcome in cohort.outcomes.items():
        risk = outcome.risk if kind == "chexpert" else outcome.risk[:, None]
        value = outcome.value.reshape(risk.shape) >= 1
        for one, had in zip(risk.T, value.T, strict=True):
            for rows in np.array_split(np.argsort(one), 5):
                spread = np.sqrt((one[rows] * (1 - one[rows])).sum())
                assert abs(had[rows].sum() - one[rows].sum()) < 4 * spread + 1, kind
            assert 0.62 < auroc(had.astype(float), one) < 0.96, kind


def test_no_record_shows_what_is_asked(hospital: Hospital) -> None:
    everyone = [set(rows.held.index) for rows in hospital.rows.values()]
    assert sum(map(len, everyone)) == len(set.union(*everyone))
    train = set.union(*(set(rows.labels.index) for rows in hospital.rows.values()))
    assert not train & set.union(*everyone)
    events = hospital.events
    for kind, rows in hospital.rows.items():
        own = events[events["patient_id"].isin(rows.held.index)]
        limit = own["patient_id"].map(rows.held["prediction_time"])
        assert (own["start"] < limit).all()
        assert not (own["end"] >= limit).any()
        assert set(own["patient_id"]) == set(rows.held.index), kind
    stays = events[(events["code"] == INPATIENT) & events["patient_id"].isin(everyone[0])]
    assert stays["end"].isna().sum() == len(everyone[0])  # each has one stay that goes on


def test_a_planted_leak_stops_the_build(cohort: Cohort, hospital: Hospital) -> None:
    image("fine", hospital)
    held = hospital.rows["guo_los"].held
    stay = cohort.events["patient_id"].isin(held.index) & cohort.events["end"].notna()
    leaked = pd.concat([hospital.events, cohort.events[stay]], ignore_index=True)
    with pytest.raises(IntegrityError, match="not before the prediction time"):
        image("leaky", replace(hospital, events=leaked))
    rows = hospital.rows["guo_icu"]
    both = replace(rows, labels=pd.concat([rows.labels, held.iloc[:1].assign(value=0)]))
    with pytest.raises(IntegrityError, match="1 patients are in training and held out"):
        image("leaky", replace(hospital, rows={**hospital.rows, "guo_icu": both}))


def test_a_label_that_the_record_does_not_bear_out_is_dropped(cohort: Cohort) -> None:
    changed = dict(cohort.outcomes)
    for kind in ("guo_los", "lab_anemia", "new_lupus", "chexpert"):
        value = changed[kind].value.copy()
        value[:7] = 1 - np.minimum(value[:7], 1)
        changed[kind] = replace(changed[kind], value=value)
    counts: Counter[str] = Counter()
    divide(replace(cohort, outcomes=changed), SEED, counts)
    assert counts["rows dropped: two ways to a label differ"] == 4 * 7


def test_seeds_make_hospitals() -> None:
    one, same, other = (generate(50, seed).events for seed in ((1, 0), (1, 0), (1, 1)))
    pd.testing.assert_frame_equal(one, same)
    assert len(one) != len(other)


def test_a_size_below_one_is_refused(home: Path) -> None:
    with pytest.raises(InputError, match="needs a size"):
        prepare("longitudinal", home, size=0)


async def test_in_kernels_the_reference_solves_and_a_constant_does_not(
    suite: Suite, tmp_path: Path
) -> None:
    reference = make_policy("reference", solutions=lambda t: suite.answer_key(t.task_id).solution)
    folder = RunFolder(tmp_path / "run")
    folder.start(RunConfig(suites=(), policies={}, samples=1, seed=0, provenance={}), resume=False)
    tasks = [task for task in suite.tasks if task.category in ("guo_los", "chexpert")]
    policies = [reference, make_policy("constant"), make_policy("dump")]
    async with open_kernels() as maker:
        assignments = assign([(suite, tasks)], policies, 1, 0)
        await run_batch(
            assignments, folder, provenance(0, maker.isolation), maker=maker, parallel=2
        )
    solved = {row.policy for row in folder.rows().values() if row.outcome == "solved"}
    assert solved == {"reference"}
    assert Counter(row.outcome for row in folder.rows().values())["solved"] == len(tasks)
