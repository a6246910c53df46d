"""Preparing many suites: what is counted, what is kept, what a failure or Ctrl-C leaves."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchside import library
from benchside.build_record import contents_of
from benchside.cli import app
from benchside.errors import DataMissingError, InputError
from benchside.library import NEW_S, PREPARING, Suite, load_suite, open_suite, prepare
from benchside.preparing import Wanted
from benchside.suite import SuiteBuild
from benchside.task import AnswerKey
from benchside_kernels.image import font_cache

COMMAND = [sys.executable, "-c", "from benchside.cli import main; main()"]


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BENCHSIDE")}
    return {**kept, "BENCHSIDE_HOME": str(home), "COLUMNS": "80"}


def call(home: Path, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], env=environment(home), capture_output=True, text=True,
        timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def bare(home: Path, suite: Suite, tmp_path: Path) -> Path:
    """A home without suites; the fonts, which take seconds to list, are there."""
    shutil.copytree(font_cache(home), font_cache(tmp_path / "home"))
    return tmp_path / "home"


def test_contents_are_those_of_the_build(suite: Suite) -> None:
    contents = suite.record.contents
    keys = [suite.answer_key(task.task_id) for task in suite.tasks]
    assert contents.tasks == len(suite.tasks) == sum(contents.splits.values()) == 40
    assert contents.splits["train"] == sum(task.split == "train" for task in suite.tasks)
    assert contents.categories == len({task.category for task in suite.tasks})
    assert contents.verified == 40, "every answer of this suite is found in two ways"
    assert suite.record.cost.peak_mib is None or suite.record.cost.peak_mib > 20
    unsure = [AnswerKey.model_validate({**key.model_dump(), "ways": 1}) for key in keys[:3]]
    built = SuiteBuild(list(suite.tasks), [*unsure, *keys[3:]], [])
    assert contents_of(built).verified == 37


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_several_suites_are_made_once_and_a_failure_stops_no_other(
    bare: Path, tmp_path: Path
) -> None:
    home, data = bare, tmp_path / "data"
    data.mkdir()
    names = ["power", "registry"]
    first = call(
        home, "prepare", *names, "ehrsql2024", "--size", 20, "--data", data, "--json", code=1
    )
    assert "ehrsql2024 failed: a data file of suite ehrsql2024 is missing" in first.stderr
    facts = {one["name"]: one for one in json.loads(first.stdout)}
    assert [facts[name]["tasks"] for name in names] == [20, 20]
    assert facts["registry"]["verified"] == 20 - facts["registry"]["vacuous"]
    assert facts["registry"]["cost"]["cpu_s"] > 0
    assert facts["ehrsql2024"]["tasks"] is None
    builds = {name: load_suite(name, home).folder / "build.json" for name in names}
    made = {name: path.stat().st_mtime_ns for name, path in builds.items()}

    again = call(home, "prepare", *names, "--size", 20)
    assert "ready before: power, registry" in again.stderr
    assert {name: path.stat().st_mtime_ns for name, path in builds.items()} == made
    categories = sum(facts[name]["categories"] for name in names)
    assert f"2 suites prepared: {categories} categories, 40 tasks" in again.stdout
    assert all(len(line) <= 80 for line in again.stdout.splitlines())
    listed = call(home, "suites").stdout
    assert f"2 suites prepared: {categories} categories, 40 tasks" in " ".join(listed.split())
    assert all(len(line) <= 80 for line in listed.splitlines())


@pytest.mark.timeout(900)
def test_ctrl_c_leaves_nothing_half_made(tmp_path: Path) -> None:
    started = subprocess.Popen(
        [*COMMAND, "prepare", "wards", "units", "--size", "3000"], env=environment(tmp_path),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with started:
        deadline = time.monotonic() + 400
        while not list(tmp_path.glob(f"{PREPARING}*")):
            assert time.monotonic() < deadline
            assert started.poll() is None
            time.sleep(0.02)
        started.send_signal(signal.SIGINT)
        _, said = started.communicate(timeout=400)
    assert started.returncode not in (0, 2)
    assert "the same command goes on" in said
    assert "Traceback" not in said
    assert list(tmp_path.glob(f"{PREPARING}*")) == []
    assert not (tmp_path / "suites").exists()


def test_families_alone_have_an_equal_share_of_the_size(bare: Path) -> None:
    whole = prepare("units", bare, size=600)
    chosen = ("cost-kind/lab", "ids/drug")
    told = [part for family in reversed(chosen) for part in ("--family", family)]
    said = call(bare, "prepare", "units", "--size", 600, *told).stdout
    assert "only 2 of its families are prepared: cost-kind/lab, ids/drug" in " ".join(said.split())
    assert "only 2 of its families" in call(bare, "suites").stdout
    part = load_suite("units", bare)
    assert part.record.families == chosen
    made = Counter(task.group for task in part.tasks)
    assert made == dict.fromkeys(chosen, 4)  # 564 answerable tasks of 186 families
    assert whole.record.images == part.record.images, "the same hospital"
    assert set(made) <= {task.group for task in whole.tasks}
    wanted = Wanted(part.manifest, 0, 600, chosen)
    assert wanted.ready(bare) is not None
    assert Wanted(part.manifest, 0, 600).ready(bare) is None


@pytest.mark.parametrize(
    ("name", "phrases"),
    [("units", ["no such family", "drugs", "ids/drug"]), ("power", ["only made whole", "drugs"])],
)
def test_a_family_that_cannot_be_made_alone_is_refused(
    name: str, phrases: list[str], bare: Path
) -> None:
    with pytest.raises(InputError) as refused:
        prepare(name, bare, size=10, families=("drugs",))
    assert all(phrase in str(refused.value) for phrase in phrases)
    assert not (bare / "suites").exists()


def test_a_stale_build_of_the_users_choice_is_not_replaced(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = prepare("power", bare, seed=3, size=10)
    again: list[str] = []
    monkeypatch.setattr(library, "prepare", lambda name, home, say: again.append(name))

    def becomes_stale(**changed: object) -> None:
        path = made.folder / "build.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "recipe": "old", **changed}))

    becomes_stale()
    with pytest.raises(DataMissingError, match="another version") as refused:
        open_suite("power", bare)
    assert refused.value.fix == "benchside prepare power --seed 3 --size 10"
    assert again == []
    becomes_stale(seed=made.manifest.seed, size=made.manifest.size)
    open_suite("power", bare)
    assert again == ["power"]


def test_what_a_killed_process_left_is_removed(bare: Path) -> None:
    old, new = (bare / f"{PREPARING}{name}" for name in ("old", "new"))
    for folder in (old, new):
        folder.mkdir()
        (folder / "hospital.sqlite").touch()
    os.utime(old, (time.time() - 2 * NEW_S,) * 2)
    prepare("power", bare, size=1)
    assert new.exists() and not old.exists()


@pytest.mark.parametrize(
    ("arguments", "phrases"),
    [
        ([], ["no suite is named", "--all"]),
        (["power", "--full", "--size", "3"], ["--full and --size"]),
        (["--all", "pwr"], ["pwr", "known suites"]),
        (["units", "wards", "--family", "ids/drug"], ["--family", "one suite"]),
    ],
)
def test_a_mistake_is_one_message(arguments: list[str], phrases: list[str]) -> None:
    error = CliRunner().invoke(app, ["prepare", *arguments]).exception
    assert isinstance(error, InputError)
    assert all(phrase in str(error) for phrase in phrases)
