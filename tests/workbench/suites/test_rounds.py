"""Suite `rounds`: two ways agree in every turn, solutions solve, parts are graded one by one."""

import re
import sqlite3
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import yaml

from benchside.graders import grade, validate_task
from benchside.hospital import mimic
from benchside.hospital.database import write_database
from benchside.hospital.questions.form import agree, from_rows
from benchside.hospital.questions.mimic_view import mimic_view
from benchside.hospital.record import generate
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites import rounds
from benchside.suites.rounds.build import all_courses
from benchside_kernels.submission import encode

SPEC = Path(__file__).parents[3] / "task_specs" / "rounds" / "suite.yaml"
MANIFEST = SuiteManifest.model_validate(yaml.safe_load(SPEC.read_text()))


def make(folder: Path, size: int, seed: int = 0) -> SuiteBuild:
    folder.mkdir(exist_ok=True)
    return rounds.build(BuildOptions(MANIFEST, None, folder, seed=seed, size=size))


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> SuiteBuild:
    return make(tmp_path_factory.mktemp("rounds"), 145)


def test_each_solution_solves_its_task_and_each_part_counts(suite: SuiteBuild) -> None:
    con = sqlite3.connect(str(suite.images[0].database))
    for task, key in zip(suite.tasks, suite.keys, strict=True):
        validate_task(task, key)
        submitted: list[dict[str, object]] = []
        namespace: dict[str, object] = {"con": con, "submit": submitted.append}
        for cell in key.solution:
            exec(cell, namespace)
        verdict = grade(task, key, encode(submitted[0]))
        assert verdict.passed, (task.task_id, key.value, verdict.evidence)
        spoilt = {**submitted[0], "q2": "nobody"}
        verdict = grade(task, key, encode(spoilt))
        assert not verdict.passed and verdict.parts["q1"] == 1 and verdict.parts["q2"] == 0
        assert not grade(task, key, encode({"q1": submitted[0]["q1"]})).passed
    con.close()


def test_series_are_new_and_their_families_stay_in_one_split(suite: SuiteBuild) -> None:
    assert len(suite.tasks) == 145 and suite.counts["dropped: two ways disagree"] == 0
    assert len({task.prompt for task in suite.tasks}) == 145
    splits = defaultdict(set)
    for task in suite.tasks:
        splits[task.group].add(task.split)
    assert len(splits) == len(all_courses())
    assert all(len(found) == 1 for found in splits.values())
    assert {task.split for task in suite.tasks} == {"train", "valid", "test"}
    assert len({task.category for task in suite.tasks}) == 6
    same = Counter(str(key.value) for key in suite.keys).most_common(1)[0][1]
    assert same <= 2, "a constant would solve more than 1%"
    lengths = Counter(len(key.value) for key in suite.keys if isinstance(key.value, dict))
    assert set(lengths) == {2, 3, 4, 5}


def test_a_change_names_its_years_whichever_comes_first(suite: SuiteBuild) -> None:
    falling = 0
    for task, key in zip(suite.tasks, suite.keys, strict=True):
        asked = re.search(r" in (\d+)\?\nq2\. And in (\d+)\?\nq3\. (.*)", task.prompt)
        if asked is None:
            continue
        assert f"from {asked[1]} to {asked[2]}?" in asked[3]
        value = key.value
        assert isinstance(value, dict) and value["q3"] == value["q2"] - value["q1"]  # type: ignore[operator]
        falling += asked[2] < asked[1]
    assert falling > 1


@pytest.mark.slow
def test_same_seed_same_suite(tmp_path: Path) -> None:
    first, again = (make(tmp_path / part, 30) for part in "ab")
    other = make(tmp_path / "c", 30, seed=1)
    assert first.tasks == again.tasks and first.keys == again.keys
    assert {task.prompt for task in first.tasks}.isdisjoint({task.prompt for task in other.tasks})


def test_turns_of_a_changed_record_differ(tmp_path: Path) -> None:
    """Every course agrees on the same data, and most turns differ once the database is another."""
    frames = mimic.frames(generate(110, seed=5))
    write_database(tmp_path / "same.sqlite", mimic.TABLES, frames)
    write_database(tmp_path / "other.sqlite", mimic.TABLES, mimic.frames(generate(110, seed=6)))
    same, other = (sqlite3.connect(tmp_path / f"{name}.sqlite") for name in ("same", "other"))
    view = mimic_view(frames, same)
    noticed = Counter[bool]()
    for course in all_courses():
        rng, asked = np.random.default_rng(3), 0
        for _ in range(80):
            turns = course.draw(rng, view, view.patients)
            if turns is None or any(turn.value is None for turn in turns):
                continue
            for turn in turns:
                found = from_rows(turn.form, same.execute(turn.sql).fetchall())
                assert agree(turn.form, found, turn.value), (course.family, turn.sql, found)
                wrong = from_rows(turn.form, other.execute(turn.sql).fetchall())
                noticed[not agree(turn.form, wrong, turn.value)] += 1
            asked += 1
            if asked == 2:
                break
        assert asked, f"{course.family} asks nothing"
    assert noticed[True] > 4 * noticed[False]
    same.close()
    other.close()
