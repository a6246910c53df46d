"""Suite `medcalc_notes`: both paths, what notes hold, balance, and solutions."""

from __future__ import annotations

import datetime as dt
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import benchside.calculators
from benchside import library
from benchside.calculators import CALCULATORS, Choice, Flag, calculator
from benchside.errors import InputError
from benchside.graders import grade, validate_task
from benchside.manifests import manifest
from benchside.suite import BuildOptions, SuiteBuild
from benchside.suites import medcalc_notes, power
from benchside.suites.medcalc_notes import build, longhand
from benchside.suites.medcalc_notes.balance import Balance
from benchside.suites.medcalc_notes.findings import GRADED, PHRASES
from benchside.suites.medcalc_notes.measurements import MEASUREMENTS
from benchside.suites.medcalc_notes.notes import STYLES, write_note
from benchside.suites.medcalc_notes.patients import draw_patient
from benchside.suites.medcalc_notes.questions import asked
from benchside.suites.medcalc_notes.reading import read_conditions, read_values, with_iso_dates
from benchside.suites.medcalc_notes.solution import second_path
from benchside_kernels.submission import Json, encode

MANIFEST = manifest("medcalc_notes")
LABELS = {"serum creatinine": "creatinine", "creatinine": "creatinine", "lactate": None,
          "urine creatinine": "urine_creatinine", "ph": "ph", "bp": "systolic"}  # fmt: skip
UNITS: dict[str, dict[str, object]] = {
    "creatinine": {"mg/dL": 1, "µmol/L": 2}, "urine_creatinine": {"mg/dL": 1}, "ph": {"": 1},
    "systolic": {"mm Hg": 1}, "diastolic": {"mm Hg": 1},
}  # fmt: skip


def make(size: int, seed: int = 0) -> SuiteBuild:
    return build(BuildOptions(MANIFEST, None, Path(), seed=seed, size=size))


@pytest.fixture(scope="module")
def suite() -> SuiteBuild:
    return make(330)


def run_solution(suite: SuiteBuild, number: int, monkeypatch: pytest.MonkeyPatch) -> Json:
    """Run the cells as a kernel would, with the image's variables and the module where it is."""
    task, key = suite.tasks[number], suite.keys[number]
    submitted: list[Json] = []
    (image,) = (image for image in suite.images if image.name == task.image)
    names: dict[str, Any] = {**image.variables}
    names["submit"] = lambda value: submitted.append(encode(value))
    if task.files:
        monkeypatch.setitem(sys.modules, "calculators", benchside.calculators)
    else:
        monkeypatch.delitem(sys.modules, "calculators", raising=False)
    for cell in key.solution:
        exec(cell, names)
    (value,) = submitted
    return value


def test_reference_solutions_pass_from_the_note(
    suite: SuiteBuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, (task, key) in enumerate(zip(suite.tasks, suite.keys, strict=True)):
        validate_task(task, key)
        verdict = grade(task, key, run_solution(suite, number, monkeypatch))
        assert verdict.passed, f"{task.task_id}: {verdict.evidence}"
        assert not key.vacuous
        if task.answer.kind == "number":  # the gold is not stated anywhere in the cells
            assert f"submit({key.value}" not in key.solution[-1]


def test_all_calculators_styles_and_splits(suite: SuiteBuild) -> None:
    assert {task.category for task in suite.tasks} == set(CALCULATORS)
    groups = defaultdict(set)
    for task in suite.tasks:
        groups[task.group].add(task.split)
    assert all(len(splits) == 1 for splits in groups.values())
    assert {style for group in groups for style in [group.split("/")[1]]} == set(STYLES)
    splits = Counter(task.split for task in suite.tasks)
    assert splits["train"] > splits["test"] > 0 < splits["valid"]


def test_every_fourth_task_has_the_library_and_its_name_says_so(suite: SuiteBuild) -> None:
    with_files = [task for task in suite.tasks if task.files]
    assert 0.2 < len(with_files) / len(suite.tasks) < 0.3
    images = {image.name: image for image in suite.images}
    for task in suite.tasks:
        assert task.task_id.endswith(".with-calculators") == bool(task.files)
        assert set(task.files) == set(images[task.image].files)
        notes = images[task.image].variables["notes"]
        assert isinstance(notes, dict)
        assert notes[task.task_id] in task.prompt


def test_the_same_seed_gives_the_same_tasks() -> None:
    first, second, other = make(60), make(60), make(60, seed=1)
    assert [task.hash for task in first.tasks] == [task.hash for task in second.tasks]
    assert [key.value for key in first.keys] == [key.value for key in second.keys]
    assert [key.value for key in first.keys] != [key.value for key in other.keys]
    with pytest.raises(InputError, match="at least one"):
        make(0)


def test_no_constant_solves_much(suite: SuiteBuild) -> None:
    (best,) = (n for name, n in suite.counts.items() if name.startswith("solved by the best"))
    assert best <= 0.025 * len(suite.tasks)
    for constant in (-1, 0, 1, 2, 3, 5, 10, 25, 100, 140):
        passed = sum(
            grade(task, key, constant).passed
            for task, key in zip(suite.tasks, suite.keys, strict=True)
        )
        assert passed <= best


def test_prompts_do_not_give_the_answer_and_differ(suite: SuiteBuild) -> None:
    prompts = [task.prompt for task in suite.tasks]
    assert len(set(prompts)) == len(prompts)
    for task, key in zip(suite.tasks, suite.keys, strict=True):
        if task.answer.kind == "number" and task.answer.unit:
            assert str(key.value) not in task.prompt or task.category in ("target-weight",)


@pytest.mark.parametrize("key", CALCULATORS)
def test_both_paths_agree_in_every_style(key: str) -> None:
    one = calculator(key)
    for turn in range(10):
        rng = np.random.default_rng([11, one.number, turn])
        patient = draw_patient(one, rng)
        note = write_note(patient, turn % len(STYLES), rng)
        gold = one.compute(**patient.values)
        read = second_path(one)(note, patient.rule == "latest", **asked(patient))
        if isinstance(gold, (int, float)):
            assert read == pytest.approx(gold, rel=1e-4, abs=6e-4), note
        else:
            assert read == gold, note


def test_longhand_has_every_calculator_and_no_library_code() -> None:
    assert {key.replace("-", "_") for key in CALCULATORS} <= set(vars(longhand))
    source = Path(str(longhand.__file__)).read_text()
    assert "import benchside" not in source
    assert "from benchside" not in source


def test_every_criterion_and_grade_can_be_put_in_words() -> None:
    for one in CALCULATORS.values():
        owners: dict[str, str] = {}
        for item in one.inputs:
            if isinstance(item, Flag):
                for phrase in (item.meaning, *PHRASES[item.meaning]):
                    assert owners.setdefault(phrase, item.name) == item.name, (one.key, phrase)
    for (key, name), phrasings in GRADED.items():
        choice = calculator(key).input(name)
        assert isinstance(choice, Choice)
        assert set(choice.values) - set(phrasings) <= {"Grade 0"}  # a synonym of no encephalopathy
    for name, measured in MEASUREMENTS.items():
        assert measured.low < measured.high, name


@pytest.mark.parametrize("written", ["03/05/2024", "2024-03-05", "5 March 2024", "March 5, 2024"])
def test_dates_are_read_in_all_forms(written: str) -> None:
    assert with_iso_dates(f"On {written}, seen.") == "On @2024-03-05@, seen."


@pytest.mark.parametrize(
    ("note", "latest", "first"),
    [
        ("On 2024-03-05, creatinine 1.4 mg/dL and lactate 9.9 mg/dL.\nOn 2024-03-07, serum "
         "creatinine 120 µmol/L.", (120, "µmol/L"), (1.4, "mg/dL")),
        ("Creatinine was 1.9 mg/dL on 2024-03-07, 1.4 mg/dL on 2024-03-05.",
         (1.9, "mg/dL"), (1.4, "mg/dL")),
        ("Test | 2024-03-05 | 2024-03-07\nCreatinine (mg/dL) | 1.4 | -\n"
         "Creatinine (µmol/L) | - | 90",
         (90, "µmol/L"), (1.4, "mg/dL")),
        ("Values of 2024-03-07: urine creatinine 88 mg/dL; creatinine 1.9 mg/dL.\n"
         "Values of 2024-03-05: creatinine 1.4 mg/dL.", (1.9, "mg/dL"), (1.4, "mg/dL")),
        ("03/05/2024\n- Creatinine 1.4 mg/dL\n03/07/2024\n- Lactate 3 mg/dL\n- Creatinine 2 mg/dL",
         (2, "mg/dL"), (1.4, "mg/dL")),
    ],
)  # fmt: skip
def test_the_right_day_is_read(note: str, latest: object, first: object) -> None:
    assert read_values(note, LABELS, UNITS, True)["creatinine"] == latest
    assert read_values(note, LABELS, UNITS, False)["creatinine"] == first


def test_pairs_and_unitless_values_are_read() -> None:
    found = read_values("On 2024-03-05, BP 128/76 mm Hg, pH 7.31.", LABELS, UNITS, True)
    assert found == {"systolic": (128, "mm Hg"), "diastolic": (76, "mm Hg"), "ph": (7.31, "")}


def test_negations_and_relatives_do_not_count() -> None:
    phrases = {"stroke": "stroke", "ischemic stroke": "stroke", "melena": "melena", "TIA": "tia"}
    note = "She denies melena or ischemic stroke. Her grandfather had TIA. He has COPD."
    assert read_conditions(note, phrases) == {"melena": False, "stroke": False}
    assert read_conditions("Documented: TIA, stroke.", phrases) == {"tia": True, "stroke": True}


def test_balance_counts_by_tolerance() -> None:
    balance = Balance(cap=2)
    balance.add(10.0, exact=False)
    balance.add(10, exact=True)
    balance.add(dt.date(2024, 1, 1), exact=True)
    assert balance.load(10.4, exact=False) == 2
    assert balance.load(10.5, exact=True) == 1
    assert balance.load(12, exact=True) == 0
    assert balance.load(dt.date(2024, 1, 1), exact=True) == 1
    assert balance.best() == (10.0, 2)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_fifteen_thousand_tasks() -> None:
    suite = make(15_000)
    assert len({task.task_id for task in suite.tasks}) == 15_000
    (best,) = (n for name, n in suite.counts.items() if name.startswith("solved by the best"))
    assert best <= 0.012 * 15_000
    assert (
        max(Counter(re.sub(r"notes\['.*?'\]", "", task.prompt) for task in suite.tasks).values())
        == 1
    )


def test_a_build_is_stale_once_the_library_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = library._recipe(MANIFEST, 0, 60, ())
    monkeypatch.setattr(medcalc_notes, "USES", ())
    assert library._recipe(MANIFEST, 0, 60, ()) != recipe
    names = {path.parent.name for path in library._sources(power)}
    assert {"power", "designs", "formulas"} <= names
