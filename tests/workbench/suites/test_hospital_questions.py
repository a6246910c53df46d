"""Suites `wards`, `units`, `registry`: two ways agree, solutions solve, nothing is given away."""

import copy
import re
import sqlite3
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import yaml

from benchside.graders import grade, validate_task
from benchside.hospital import eicu, mimic
from benchside.hospital.database import write_database
from benchside.hospital.questions.eicu_view import eicu_view
from benchside.hospital.questions.form import agree, from_rows
from benchside.hospital.questions.mimic_view import mimic_view
from benchside.hospital.questions.suite import all_templates
from benchside.hospital.questions.template import Request
from benchside.hospital.questions.view import View
from benchside.hospital.questions.window import NOW_TEXT, Window, ago, around
from benchside.hospital.record import NOW, Record, generate
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites import registry, units, wards
from benchside.task import AnswerKey, TaskSpec
from benchside_kernels.submission import encode

SUITES = {"wards": wards, "units": units, "registry": registry}
SPECS = Path(__file__).parents[3] / "task_specs"


def make(name: str, folder: Path, size: int, seed: int = 0) -> SuiteBuild:
    folder.mkdir(exist_ok=True)
    manifest = SuiteManifest.model_validate(
        yaml.safe_load((SPECS / name / "suite.yaml").read_text())
    )
    options = BuildOptions(manifest, data=None, scratch=folder, seed=seed, size=size)
    return SUITES[name].build(options)


@pytest.fixture(scope="module", params=SUITES)
def suite(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SuiteBuild:
    return make(request.param, tmp_path_factory.mktemp(request.param), 600)


@pytest.fixture(scope="module")
def record() -> Record:
    return generate(120, seed=5)


def pairs(suite: SuiteBuild) -> list[tuple[TaskSpec, AnswerKey]]:
    return list(zip(suite.tasks, suite.keys, strict=True))


def answers(suite: SuiteBuild, con: sqlite3.Connection, key: AnswerKey) -> object:
    """Run a solution's cells as a kernel would and return what they submit."""
    submitted: list[object] = []
    namespace: dict[str, object] = {"con": con, "submit": submitted.append}
    for cell in key.solution:
        exec(cell, namespace)
    return encode(submitted[0])


def test_each_solution_solves_its_task(suite: SuiteBuild) -> None:
    con = sqlite3.connect(suite.images[0].database)
    for task, key in pairs(suite):
        validate_task(task, key)
        verdict = grade(task, key, answers(suite, con, key))
        assert verdict.passed, (task.task_id, key.value, verdict.evidence)
    con.close()


def test_suite_is_whole_and_its_splits_hold_no_common_family(suite: SuiteBuild) -> None:
    assert len(suite.tasks) == 600
    assert suite.counts["dropped: two ways disagree"] == 0
    assert len({task.task_id for task in suite.tasks}) == 600
    assert len({task.prompt for task in suite.tasks}) == 600
    splits = defaultdict(set)
    for task in suite.tasks:
        splits[task.group].add(task.split)
    assert all(len(found) == 1 for found in splits.values())
    assert {task.split for task in suite.tasks} == {"train", "valid", "test"}
    assert len({task.category for task in suite.tasks}) >= 9


def test_patients_do_not_straddle_splits(suite: SuiteBuild) -> None:
    seen = defaultdict(set)
    for task in suite.tasks:
        question = task.prompt.split("Question: ")[1].split("\n")[0]
        for patient in re.findall(r"(?:patient|subject id) (\d[\d-]+)", question):
            seen[patient].add(task.split)
    assert len(seen) > 80
    assert all(len(found) == 1 for found in seen.values())


def test_no_constant_answers_many_tasks(suite: SuiteBuild) -> None:
    given = Counter(str(key.value) for _, key in pairs(suite) if not isinstance(key.value, bool))
    del given["None"]
    assert given.most_common(1)[0][1] <= 0.01 * len(suite.tasks)
    yes = [key.value for _, key in pairs(suite) if isinstance(key.value, bool)]
    assert len(yes) > 30 and abs(np.mean(yes) - 0.5) < 0.12
    assert 0 < sum(key.value is None for key in suite.keys) <= 0.06 * len(suite.tasks)
    assert all(task.answer.may_abstain for task in suite.tasks), "the schema gives nothing away"


def test_same_seed_same_suite(tmp_path: Path) -> None:
    first, again = (make("wards", tmp_path / part, 60) for part in "ab")
    other = make("wards", tmp_path / "c", 60, seed=1)
    assert first.tasks == again.tasks and first.keys == again.keys
    assert {task.prompt for task in first.tasks}.isdisjoint({task.prompt for task in other.tasks})


@pytest.mark.parametrize("name", ["wards", "units"])
def test_two_ways_agree_and_a_changed_record_is_noticed(
    record: Record, name: str, tmp_path: Path
) -> None:
    """Every family agrees on the same data, and most differ once the database has other data."""
    module, see = {"wards": (mimic, mimic_view), "units": (eicu, eicu_view)}[name]
    frames = module.frames(record)
    write_database(tmp_path / "same.sqlite", module.TABLES, frames)
    changed = copy.deepcopy(module.frames(generate(120, seed=6)))
    write_database(tmp_path / "other.sqlite", module.TABLES, changed)
    same = sqlite3.connect(tmp_path / "same.sqlite")
    other = sqlite3.connect(tmp_path / "other.sqlite")
    view = see(frames, same)
    noticed = Counter[bool]()
    for template in all_templates(view):
        if template.category == "unanswerable":
            continue
        asked = 0
        rng = np.random.default_rng(7)
        for _ in range(40):
            request = template.draw(rng, view, view.patients)
            value = None if request is None else template.answer(request, view)
            if request is None or value is None:
                continue
            sql = template.sql(request, view)
            found = from_rows(template.form, same.execute(sql).fetchall())
            assert agree(template.form, found, value), (template.family, sql, found, value)
            wrong = from_rows(template.form, other.execute(sql).fetchall())
            noticed[not agree(template.form, wrong, value)] += 1
            asked += 1
            if asked == 5:
                break
        assert asked, f"{template.family} asks nothing"
    assert noticed[True] > 4 * noticed[False]
    same.close()
    other.close()


def test_a_window_without_any_event_is_no_question(record: Record, tmp_path: Path) -> None:
    """A stretch in whole years may be shorter than one in months: that ended a build."""
    frames = eicu.frames(record)
    write_database(tmp_path / "view.sqlite", eicu.TABLES, frames)
    con = sqlite3.connect(tmp_path / "view.sqlite")
    view = eicu_view(frames, con)
    both = next(one for one in all_templates(view) if one.family == "both/diagnosis")
    rng = np.random.default_rng(0)
    requests = [both.draw(rng, view, view.patients) for _ in range(1_500)]
    assert any(requests) and None in requests
    con.close()


def test_percentiles_are_by_nearest_rank_and_nth_patients_by_dense_rank(
    record: Record, tmp_path: Path
) -> None:
    frames = mimic.frames(record)
    write_database(tmp_path / "view.sqlite", mimic.TABLES, frames)
    con = sqlite3.connect(tmp_path / "view.sqlite")
    view = mimic_view(frames, con)
    family = {one.family: one for one in all_templates(view)}
    sodium = frames["labevents"][frames["labevents"]["itemid"] == 50983]
    asked = Request(None, "lab", "sodium", limit=30)
    wanted = np.quantile(sodium["valuenum"], 0.3, method="inverted_cdf")
    assert family["percentile/lab"].answer(asked, view) == wanted
    edges = sodium.groupby("subject_id")["valuenum"].max()
    third = edges[edges == sorted(set(edges), reverse=True)[2]]
    asked = Request(None, "lab", "sodium", aggregate="max", order=3)
    assert family["nth-patient/lab"].answer(asked, view) == frozenset(third.index)
    patient = sodium["subject_id"].iloc[0]
    first = sodium[sodium["subject_id"] == patient].sort_values("charttime")["valuenum"].iloc[0]
    asked = Request(patient, "lab", "sodium", order=1)
    share = (sodium["valuenum"] < first).mean()
    assert family["percentile-rank/lab"].answer(asked, view) == pytest.approx(share)
    con.close()


def test_windows_mean_the_same_in_sqlite_and_in_numpy(record: Record, tmp_path: Path) -> None:
    frames = mimic.frames(record)
    write_database(tmp_path / "view.sqlite", mimic.TABLES, frames)
    con = sqlite3.connect(tmp_path / "view.sqlite")
    view: View = mimic_view(frames, con)
    source, events = view.sources["lab"], view.events["lab"]
    rng = np.random.default_rng(1)
    kinds = Counter[str]()
    for _ in range(150):
        row = int(rng.integers(len(events.time)))
        patient = events.patient[row]
        window = around(rng, events.time[row])
        if rng.random() < 0.3:
            window = Window("visit", which=("first", "last", "current")[rng.integers(3)])
        condition = window.sql(source.span, str(patient), view)
        found = con.execute(
            f"SELECT COUNT(*) FROM {source.tables} WHERE {source.patient} = {patient} "
            f"AND {condition}"
        ).fetchone()[0]
        rows = events.of(patient)
        mask = window.mask(events.time[rows], events.visit[rows], events.icu[rows], patient, view)
        assert found == mask.sum(), window
        kinds[window.kind] += 1
    assert len(kinds) >= 8
    con.close()


def test_the_present_is_the_same_moment_both_ways() -> None:
    con = sqlite3.connect(":memory:")
    for count, unit in ((1, "months"), (7, "months"), (3, "years"), (30, "days")):
        text = con.execute("SELECT datetime(?, ?)", (NOW_TEXT, f"-{count} {unit}")).fetchone()[0]
        assert np.datetime64(text.replace(" ", "T")) == ago(count, unit)
    assert ago(0, "days") == NOW
    con.close()
