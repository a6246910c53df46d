"""The MedCalc-Bench suite: on made-up rows everywhere, on the published rows where they are."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import gzip
import io
import json
import math
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from benchside.calculators import BY_NUMBER, CALCULATORS
from benchside.cell_source import cell_source
from benchside.errors import DataMissingError, InputError
from benchside.graders import grade, validate_task
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites.medcalcbench import agreement, build
from benchside.suites.medcalcbench.agreement import DIFFERS, recompute
from benchside.suites.medcalcbench.build import slug
from benchside.suites.medcalcbench.calculators import ENTITIES, answer_kind
from benchside.suites.medcalcbench.rows import COLUMNS, read_rows
from benchside.task import AnswerKey, TaskSpec
from benchside_kernels.image import build_image
from benchside_kernels.submission import Json, encode

REPOSITORY = Path(__file__).parents[3]
SHARED = Path(os.environ.get("BENCHSIDE_DATA", REPOSITORY.parent / "shared" / "data"))
MANIFEST = SuiteManifest(
    **yaml.safe_load((REPOSITORY / "task_specs/medcalcbench/suite.yaml").read_text())
)
PLACE = "medcalcbench/test_tasks.jsonl.gz"
GCS = "Glasgow Coma Score (GCS)"


def line(
    number: int, calculator: int, name: str, entities: object, *answers: object
) -> dict[str, Any]:
    """One row in the published format; `answers` are label, lower and upper limit."""
    return {
        "Row Number": number,
        "Calculator ID": calculator,
        "Calculator Name": name,
        "Patient Note": f"Made-up note {number}: {entities}",
        "Question": f"What is the {name}?",
        "Relevant Entities": str(entities),
        "Ground Truth Answer": answers[0],
        "Lower Limit": answers[1],
        "Upper Limit": answers[2],
    }


COMA = {
    "Best eye response": "not testable",
    "Best verbal response": "confused",
    "Best motor response": "obeys commands",
}
LINES = [
    line(
        1, 39, "Anion Gap",
        {"Sodium": [139.0, "mmol/L"], "Chloride": [104.0, "mEq/L"], "Bicarbonate": [20.0, "mEq/L"]},
        "15", "14.25", "15.75",
    ),
    line(2, 21, GCS, COMA, "17", "17", "17"),
    line(
        3, 68, "Estimated of Conception", {"Last menstrual date": "02/15/2024", "cycle length": 28},
        "02/29/2024", "02/29/2024", "02/29/2024",
    ),
    line(
        4, 69, "Estimated Gestational Age",
        {"Current Date": "03/29/2020", "Last menstrual date": "03/06/2020"},
        *["('3 weeks', '2 days')"] * 3,
    ),
    line(5, 36, "Caprini Score for Venous Thromboembolism (2005)", {"sex": "Male"}, "6", "6", "6"),
    line(
        6, 38, "Free Water Deficit",
        {"sex": "Male", "age": [276, "months"], "weight": [200, "lbs"], "Sodium": [133, "mEq/L"]},
        "-2.722", "-2.8581", "-2.5859",
    ),
    line(
        7, 49, "Morphine Milligram Equivalents (MME) Calculator",
        {"Codeine Dose": [30, "mg"], "Codeine Dose Per Day": [2, "per day"],
         "FentaNYL buccal Dose": [100, "µg"], "FentaNYL buccal Dose Per Day": [1, "per day"]},
        "22", "20.9", "23.1",
    ),
]  # fmt: skip


def write_lines(data: Path, lines: list[dict[str, Any]]) -> Path:
    path = data / PLACE
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(json.dumps(row) for row in lines)
    path.write_bytes(gzip.compress(text.encode()))
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder in the published format with made-up rows."""
    write_lines(tmp_path / "data", LINES)
    return tmp_path / "data"


def build_from(data: Path | None) -> SuiteBuild:
    return build(BuildOptions(MANIFEST, data, Path(os.devnull), seed=0, size=None))


def run_solution(suite: SuiteBuild, key: AnswerKey) -> Json:
    """Run the cells as a kernel would, in a namespace with the image's variables."""
    submitted: list[Json] = []
    names: dict[str, Any] = {"np": np, "pd": pd, **suite.images[0].variables}
    names["submit"] = lambda value: submitted.append(encode(value))
    for cell in key.solution:
        exec(cell, names)
    (value,) = submitted
    return value


def check_solutions(suite: SuiteBuild) -> None:
    for task, key in zip(suite.tasks, suite.keys, strict=True):
        validate_task(task, key)
        verdict = grade(task, key, run_solution(suite, key))
        assert verdict.passed, f"{task.task_id}: {verdict.evidence}"
        assert verdict.reward == 1.0


def by_number(suite: SuiteBuild) -> dict[int, tuple[TaskSpec, AnswerKey]]:
    pairs = zip(suite.tasks, suite.keys, strict=True)
    return {int(task.task_id.removeprefix("row-")): (task, key) for task, key in pairs}


def test_miniature_suite(data: Path) -> None:
    suite = build_from(data)
    found = by_number(suite)
    assert list(found) == [1, 2, 3, 4, 5, 6, 7]
    assert [task.answer.kind for task in suite.tasks] == [
        "number", "integer", "date", "duration", "integer", "number", "number",
    ]  # fmt: skip
    assert {task.split for task in suite.tasks} == {"test"}
    assert suite.counts == {
        "rows": 7,
        "calculators": 7,
        "recomputed, agrees with the label": 5,
        "recomputed, differs (flagged)": 1,
        "not recomputed": 1,
        f"differs: {GCS}": 1,
    }
    assert [key.vacuous for key in suite.keys] == [False, True, False, False, True, False, False]
    assert {n: key.flags for n, (_, key) in found.items() if key.flags} == {2: (DIFFERS,)}
    check_solutions(suite)


def test_solutions_compute_from_entities(data: Path) -> None:
    found = by_number(build_from(data))
    assert "albumin" not in found[1][1].solution[0]  # the formula with what it calls, no more
    assert "def anion_gap" in found[1][1].solution[0]
    assert "sodium_meq_l=139.0" in found[1][1].solution[1]
    assert found[2][1].solution == ("submit(17)",)
    assert all("benchside" not in cell for _, key in found.values() for cell in key.solution)


def test_prompts_hold_note_question_unit_and_type(data: Path) -> None:
    found = by_number(build_from(data))
    prompt = found[1][0].prompt
    assert "notes[1]" in prompt
    assert "Made-up note 1" in prompt
    assert "What is the Anion Gap?" in prompt
    assert prompt.endswith("a number, rounded to 3 decimals, in mEq/L.")
    assert all("14.25" not in task.model_dump_json() for task, _ in found.values())


def test_image_holds_the_notes_only(data: Path, tmp_path: Path) -> None:
    (source,) = build_from(data).images
    notes = build_image(source, tmp_path / "images").load_variables()
    assert list(notes) == ["notes"]
    assert list(notes["notes"]) == [1, 2, 3, 4, 5, 6, 7]
    assert notes["notes"][3].startswith("Made-up note 3")


@pytest.mark.parametrize(
    ("number", "right", "wrong"),
    [
        (1, [15, 14.25, 15.75, "15 mEq/L"], [14.24, 15.76, -15, None, "15 mg/dL", True, math.inf]),
        (2, [17, 17.0, "17"], [16, 17.5, None, -17]),
        (3, [dt.date(2024, 2, 29), "02/29/2024", "2024-02-29"], ["29/02/2024", "2024-03-01", None]),
        (4, [[3, 2], (3, 2), "3 weeks 2 days", dt.timedelta(days=23)], [[2, 3], 23, [3], None]),
        (6, [-2.72], [2.72, 0, None]),
    ],
)
def test_right_and_wrong_submissions(
    data: Path, number: int, right: list[object], wrong: list[object]
) -> None:
    task, key = by_number(build_from(data))[number]
    for value in right:
        assert grade(task, key, encode(value)).passed, value
    for value in wrong:
        assert not grade(task, key, encode(value)).passed, value


def test_agreement_counts_rows_by_calculator(data: Path) -> None:
    frame = agreement(read_rows(data / PLACE))
    assert list(frame.columns) == ["calculator", "n", "recomputed", "agree"]
    found = {row.calculator: (row.n, row.recomputed, row.agree) for row in frame.itertuples()}
    assert found["Anion Gap"] == (1, 1, 1)
    assert found[GCS] == (1, 1, 0)
    assert found["Caprini Score for Venous Thromboembolism (2005)"] == (1, 0, 0)


@pytest.mark.parametrize(
    ("entities", "reason"),
    [
        ({"Sodium": [139, "mEq/L"], "Chloride": [104, "mEq/L"]}, "no entity 'Bicarbonate'"),
        (
            {"Sodium": [139, "mg/dL"], "Chloride": [104, "mEq/L"], "Bicarbonate": [20, "mEq/L"]},
            "unknown unit of ion",
        ),
        ({"Sodium": 139}, "'Sodium' is 139"),
    ],
)
def test_rows_that_cannot_be_mapped_are_kept_unflagged(
    tmp_path: Path, entities: dict[str, Any], reason: str
) -> None:
    write_lines(tmp_path, [LINES[0] | {"Relevant Entities": str(entities)}])
    (row,) = read_rows(tmp_path / PLACE)
    found = recompute(row)
    assert found.status == "not recomputed"
    assert reason in found.reason
    (key,) = build_from(tmp_path).keys
    assert (key.flags, key.vacuous, key.solution) == ((), True, ("submit(15.0)",))


def test_undefined_results_are_not_recomputed(tmp_path: Path) -> None:
    entities = {"Sodium": [140, "mEq/L"], "Chloride": [104, "mEq/L"], "Bicarbonate": [24, "mEq/L"]}
    write_lines(tmp_path, [line(1, 64, "Delta Ratio", entities, "0", "0", "0")])
    (row,) = read_rows(tmp_path / PLACE)
    assert recompute(row).reason.startswith("delta-ratio: no value")


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("Calculator ID", 999, "type of answer is not known"),
        ("Calculator ID", "two", "not a whole number"),
        ("Row Number", None, "missing"),
        ("Row Number", 2, "twice"),
        ("Patient Note", "  ", "empty"),
        ("Patient Note", ["note"], "wrong type"),
        ("Ground Truth Answer", "about 15", "a number was expected"),
        ("Ground Truth Answer", "nan", "a number was expected"),
        ("Ground Truth Answer", "20", "not within its limits"),
        ("Upper Limit", "inf", "a number was expected"),
        ("Relevant Entities", "[1, 2]", "not the text of a dict"),
        ("Relevant Entities", "{'a': open('x')}", "not the text of a dict"),
    ],
)
def test_malformed_fields_are_named(data: Path, field: str, value: object, told: str) -> None:
    changed = {name: item for name, item in LINES[0].items() if name != field or value is not None}
    if value is not None:
        changed[field] = value
    write_lines(data, [LINES[1], changed])
    with pytest.raises(InputError, match=told) as caught:
        build_from(data)
    assert f"line 2, field '{field}'" in str(caught.value.where)
    assert caught.value.value == value
    assert caught.value.fix


@pytest.mark.parametrize(
    ("place", "label", "told"),
    [
        (1, "17.5", "an? integer was expected"),
        (2, "2024-02-29", "a date was expected"),
        (3, "3 weeks", "a duration was expected"),
    ],
)
def test_labels_of_another_type_are_refused(data: Path, place: int, label: str, told: str) -> None:
    write_lines(data, [LINES[place] | {"Ground Truth Answer": label}])
    with pytest.raises(InputError, match=told):
        build_from(data)


def test_damaged_files_are_named(data: Path) -> None:
    path = data / PLACE
    whole = path.read_bytes()
    for broken in (whole[:-9], b"no gzip", gzip.compress(b"\xff\n"), gzip.compress(b" \n")):
        path.write_bytes(broken)
        with pytest.raises(InputError, match=r"test_tasks\.jsonl\.gz"):
            build_from(data)
    for content in (b"{}\n[1]", b'{"Row Number": '):
        path.write_bytes(gzip.compress(content))
        with pytest.raises(InputError, match=r"test_tasks\.jsonl\.gz, line 1"):
            build_from(data)
    path.unlink()
    with pytest.raises(DataMissingError, match=r"test_tasks\.jsonl\.gz"):
        build_from(data)
    with pytest.raises(DataMissingError, match="data folder"):
        build_from(None)


def test_formula_sources_stand_alone() -> None:
    for one in CALCULATORS.values():
        names: dict[str, Any] = {}
        exec(cell_source(one.formula), names)
        assert callable(names[one.formula.__name__])


def test_every_calculator_has_entities_for_its_required_inputs_and_an_answer_type() -> None:
    assert list(ENTITIES) == sorted(BY_NUMBER)
    for number, entities in ENTITIES.items():
        names = {item.name: item.required for item in BY_NUMBER[number].inputs}
        assert set(entities) <= set(names), number
        assert {name for name, required in names.items() if required} <= set(entities), number
        assert answer_kind(number)


def test_slugs() -> None:
    assert slug("Wells' Criteria for DVT") == "wells-criteria-for-dvt"
    assert slug("MELD Na (UNOS/OPTN)") == "meld-na-unos-optn"


@pytest.fixture(scope="module")
def published() -> Iterator[SuiteBuild]:
    if not (SHARED / PLACE).is_file():
        pytest.skip(f"MedCalc-Bench is not in {SHARED} (BENCHSIDE_DATA): no {PLACE}")
    yield build_from(SHARED)


def test_published_rows(published: SuiteBuild) -> None:
    assert len(published.tasks) == 1047
    assert len({task.category for task in published.tasks}) == 55
    counts = published.counts
    assert counts["recomputed, agrees with the label"] == 860
    assert counts["recomputed, differs (flagged)"] == 177
    assert counts["not recomputed"] == 10
    assert sum(bool(key.flags) for key in published.keys) == 177
    assert sum(not key.vacuous for key in published.keys) == 860


def test_published_solutions_all_pass(published: SuiteBuild) -> None:
    check_solutions(published)


def test_published_labels_of_known_doubtful_calculators_differ(published: SuiteBuild) -> None:
    frame = agreement(read_rows(SHARED / PLACE)).set_index("calculator")
    agree = frame["agree"] / frame["recomputed"].where(frame["recomputed"] > 0)
    assert agree[GCS] == agree["Framingham Risk Score for Hard Coronary Heart Disease"] == 0
    assert agree["Estimated Due Date"] == 0.25
    assert agree["QTc Bazett Calculator"] == agree["Anion Gap"] == 1
    assert frame["n"].sum() == 1047


def write_csv(data: Path, place: str, lines: list[dict[str, Any]], **more: str) -> Path:
    """The same rows as the authors publish them, with columns that are not read."""
    path = data / place
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.DictWriter(text, [*LINES[0], *more])
    writer.writeheader()
    for row in lines:
        note = row["Patient Note"] and f'{row["Patient Note"]},\n"so"'
        writer.writerow({**row, "Patient Note": note, **more})
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


EXTRA = {"Category": "lab", "Output Type": "decimal", "Note ID": "n-1", "Note Type": "Template",
         "Ground Truth Explanation": "Because."}  # fmt: skip


def test_csv_rows_are_those_of_json_lines(data: Path, tmp_path: Path) -> None:
    for place in ("a.csv", "b.csv.gz"):
        rows = read_rows(write_csv(tmp_path, place, LINES, **EXTRA))
        for row, published in zip(rows, read_rows(data / PLACE), strict=True):
            assert row.note == f'{published.note},\n"so"'
            assert dataclasses.replace(row, note=published.note) == published


def test_train_test_and_verified_files_stand_side_by_side(data: Path) -> None:
    write_csv(data, "medcalcbench/train_data.csv", LINES[:3], **EXTRA)
    write_csv(data, "medcalcbench/verified/test_data.csv.gz", LINES[3:5], **EXTRA)
    suite = build_from(data)
    assert [(task.task_id, task.split) for task in suite.tasks[6:]] == [
        ("row-0007", "test"), ("train-row-0001", "train"), ("train-row-0002", "train"),
        ("train-row-0003", "train"), ("verified-row-0004", "test"), ("verified-row-0005", "test"),
    ]  # fmt: skip
    assert {image.name for image in suite.images} == {task.image for task in suite.tasks}
    assert (suite.counts["rows"], suite.counts["rows of the train-rows"]) == (12, 3)
    for image in suite.images:
        names = {task.task_id for task in suite.tasks if task.image == image.name}
        assert len(names) == len(image.variables["notes"])  # type: ignore[arg-type]


def test_authors_test_file_takes_the_place_of_json_lines(tmp_path: Path) -> None:
    write_csv(tmp_path, "medcalcbench/test_data.csv", LINES, **EXTRA)
    suite = build_from(tmp_path)
    assert [task.task_id for task in suite.tasks] == [f"row-{n:04d}" for n in range(1, 8)]
    assert {task.split for task in suite.tasks} == {"test"}
    check_solutions(suite)


@pytest.mark.parametrize("column", COLUMNS)
def test_malformed_csv_rows_are_named(tmp_path: Path, column: str) -> None:
    path = write_csv(tmp_path, "t.csv", [LINES[0], {**LINES[5], column: ""}], **EXTRA)
    with pytest.raises(InputError, match="missing, empty") as caught:
        read_rows(path)
    assert caught.value.where == f"{path}, row 2, field '{column}'"
    lines = [{name: value for name, value in LINES[0].items() if name != column}]
    text = ",".join(lines[0]) + "\n"
    path.write_text(text)
    with pytest.raises(InputError, match="columns are missing") as caught:
        read_rows(path)
    assert caught.value.value == [column]


def test_broken_csv_files_are_named(tmp_path: Path) -> None:
    path = write_csv(tmp_path, "t.csv", LINES[:2])
    whole = path.read_text()
    for broken, told in [
        (whole.rstrip() + ",more\n", "more fields than the header"),
        (whole + '3,39,"Anion', "not a CSV file"),
        (whole.splitlines()[0] + "\n", "no rows"),
        ("", "columns are missing"),
    ]:
        path.write_text(broken)
        with pytest.raises(InputError, match=told) as caught:
            read_rows(path)
        assert str(path) in str(caught.value.where)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="damaged"):
        read_rows(path)


def test_verified_names_of_entities_are_understood(tmp_path: Path) -> None:
    entities = {"QT Interval": [400, "msec"], "Heart Rate or Pulse": [60, "beats per minute"]}
    write_lines(tmp_path, [line(1, 11, "QTc Bazett Calculator", entities, "400", "380", "420")])
    (row,) = read_rows(tmp_path / PLACE)
    assert recompute(row).status == "agrees"


def test_verified_examples() -> None:
    path = SHARED / "medcalcbench/verified_one_shot_data.csv.gz"
    if not path.is_file():
        pytest.skip(f"MedCalc-Bench-Verified is not in {SHARED} (BENCHSIDE_DATA): no {path.name}")
    rows = read_rows(path)
    assert len({row.calculator for row in rows}) == len(rows) == 55
    found = Counter(recompute(row).status for row in rows)
    assert found == {"agrees": 53, "differs": 1, "not recomputed": 1}
