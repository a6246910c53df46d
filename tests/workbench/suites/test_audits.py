"""Suite `audits`: solutions solve, both kinds of statement occur evenly, nothing is given away."""

import sqlite3
from collections import Counter, defaultdict
from pathlib import Path

import pytest
import yaml

from benchside.graders import grade, validate_task
from benchside.hospital.notes.style import ABBREVIATIONS
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites import audits
from benchside.suites.audits import reading
from benchside.suites.audits.build import VERDICTS
from benchside.task import AnswerKey
from benchside_kernels.submission import Json, encode

SPEC = Path(__file__).parents[3] / "task_specs" / "audits" / "suite.yaml"
MANIFEST = SuiteManifest.model_validate(yaml.safe_load(SPEC.read_text()))


def make(folder: Path, size: int, seed: int = 0) -> SuiteBuild:
    folder.mkdir(exist_ok=True)
    return audits.build(BuildOptions(MANIFEST, None, folder, seed=seed, size=size))


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> SuiteBuild:
    return make(tmp_path_factory.mktemp("audits"), 63)


def answered(key: AnswerKey, con: sqlite3.Connection) -> Json:
    submitted: list[object] = []
    namespace: dict[str, object] = {"con": con, "submit": submitted.append}
    for cell in key.solution:
        exec(cell, namespace)
    return encode(submitted[0])


def test_each_solution_solves_its_task(suite: SuiteBuild) -> None:
    con = sqlite3.connect(str(suite.images[0].database))
    for task, key in zip(suite.tasks, suite.keys, strict=True):
        validate_task(task, key)
        verdict = grade(task, key, answered(key, con))
        assert verdict.passed, (task.task_id, key.value, verdict.evidence)
    con.close()


def test_kinds_and_faults_are_mixed_and_patients_stay_in_one_split(suite: SuiteBuild) -> None:
    assert len(suite.tasks) == 63 and suite.counts["dropped: two ways disagree"] == 0
    assert set(Counter(task.category for task in suite.tasks).values()) == {7}
    assert all(suite.counts[f"statements: {verdict}"] > 0 for verdict in VERDICTS)
    splits = defaultdict(set)
    for task in suite.tasks:
        splits[task.group].add(task.split)
    assert all(len(found) == 1 for found in splits.values())
    for task, key in zip(suite.tasks, suite.keys, strict=True):
        if task.category.startswith("classify/"):
            assert isinstance(key.value, dict)
            assert sum(verdict == "consistent" for verdict in key.value.values()) == 3
    assert len({str(key.value) for key in suite.keys}) == 63, "no constant solves two tasks"


def test_a_false_alarm_and_a_miss_both_fail(suite: SuiteBuild) -> None:
    chosen = next(number for number, task in enumerate(suite.tasks) if task.task_id[:4] == "find")
    task, key = suite.tasks[chosen], suite.keys[chosen]
    assert isinstance(key.value, dict)
    gold = key.value["$set"]
    assert isinstance(gold, list)
    for wrong in (gold[1:], [*gold, 1], [], list(range(1, 80))):
        assert not grade(task, key, encode(wrong)).passed
    assert grade(task, key, encode([*gold])).passed


def test_the_reader_notices_what_changes_in_the_tables(suite: SuiteBuild, tmp_path: Path) -> None:
    """Another record under the same note: all statements of laboratory values turn false."""
    path = tmp_path / "changed.sqlite"
    path.write_bytes(Path(str(suite.images[0].database)).read_bytes())
    con = sqlite3.connect(path)
    words = reading.vocabulary(con, ABBREVIATIONS)
    notes = con.execute("SELECT text, hadm_id FROM noteevents LIMIT 9").fetchall()
    before = [reading.audit(con, text, hadm, words) for text, hadm in notes]
    con.execute("UPDATE labevents SET valuenum = valuenum + 1000")
    after = [reading.audit(con, text, hadm, words) for text, hadm in notes]
    turned = Counter(
        (old, after[number][line][0])
        for number, read in enumerate(before)
        for line, (old, _) in read.items()
    )
    assert turned["consistent", "value"] > 10
    assert turned["value", "consistent"] == 0
    con.close()


@pytest.mark.slow
def test_same_seed_same_suite(tmp_path: Path) -> None:
    first, again, other = (
        make(tmp_path / part, 9, seed) for part, seed in zip("abc", (0, 0, 1), strict=True)
    )
    assert first.tasks == again.tasks and first.keys == again.keys
    texts = [build.images[0].variables["noteevents"]["text"] for build in (first, again, other)]
    assert texts[0].equals(texts[1]) and not texts[0].equals(texts[2])
