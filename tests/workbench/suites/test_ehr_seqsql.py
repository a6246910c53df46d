"""EHR-SeqSQL: on made-up series over a generated hospital, as users would bring theirs."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchside.errors import DataMissingError, InputError
from benchside.graders import grade, validate_task
from benchside.hospital import mimic
from benchside.hospital.database import write_database
from benchside.hospital.record import generate
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites import ehr_seqsql
from benchside.suites.ehr_seqsql.build import UNVERIFIED
from benchside.suites.ehr_seqsql.series import read_series
from benchside_kernels.submission import encode

SPEC = Path(__file__).parents[3] / "task_specs" / "ehr_seqsql" / "suite.yaml"
MANIFEST = SuiteManifest.model_validate(yaml.safe_load(SPEC.read_text()))
WOMEN = "select patients.subject_id from patients where patients.gender = 'f'"


def series(id_: str, *turns: tuple[str, str], **more: Any) -> dict[str, Any]:
    questions, queries = zip(*turns, strict=True)
    return {
        "id": id_, "seed_question": f"goal of {id_}", "value": {}, "question": list(questions),
        "question_template": list(questions), "seqsql": list(queries), "sql": list(queries),
        "department": [], "importance": "medium", "random_split": "train",
        "compositional_split": "test", **more,
    }  # fmt: skip


GOOD = series(
    "good", ("Count women", f"select count(*) from ( {WOMEN} )"),
    ("Are there more than 3?", f"select count(*) > 3 from ( {WOMEN} )"), ("Name them", WOMEN),
)  # fmt: skip
ITEMS = [
    GOOD,
    series("zero", ("Count the mood", "select count(*) from patients where patients.gender = 'x'")),
    series(
        "empty", ("Who?", f"{WOMEN} and 1 = 0"), ("Count women", "select count(*) from patients")
    ),
    series("broken", ("Mood?", "select mood from patients"), ("Who?", WOMEN)),
    series("absent", ("Sex of patient 77?", WOMEN), value={"patient_id": 77}),
    {**GOOD, "id": "again"},
]
TURNS = [{"seed_question": "goal", "question": "What is their sex?", "ans": ["f", "m"]}]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seqsql")
    for name in ("ehrsql", "ehr_seqsql", "medagentgym/ehr_seqsql"):
        (folder / name).mkdir(parents=True)
    frames = mimic.frames(generate(12, seed=1))
    write_database(folder / "ehrsql/mimic_iii.sqlite", mimic.TABLES, frames)
    (folder / "ehr_seqsql/data.json").write_text(json.dumps(ITEMS))
    lines = "\n".join(json.dumps(turn) for turn in TURNS)
    (folder / "medagentgym/ehr_seqsql/test_tasks.jsonl").write_text(lines)
    return folder


@pytest.fixture(scope="module")
def suite(data: Path, tmp_path_factory: pytest.TempPathFactory) -> SuiteBuild:
    scratch = tmp_path_factory.mktemp("scratch")
    return ehr_seqsql.build(BuildOptions(MANIFEST, data, scratch, seed=0, size=None))


def test_series_become_tasks_and_the_others_are_counted(suite: SuiteBuild) -> None:
    assert [task.task_id for task in suite.tasks if not task.task_id.startswith("turn-")] == [
        "good"
    ]
    assert suite.counts["series read"] == 7 and suite.counts["left out, came before"] == 1
    assert suite.counts["left out, its last answer is zero or nothing"] == 1
    assert suite.counts["left out, gold SQL of a turn is empty"] == 1
    assert suite.counts["left out, gold SQL of a turn does not run"] == 1
    assert suite.counts["left out, its patient is not in the database"] == 1
    assert suite.tasks[0].sensitivity == "credentialed"


def test_solutions_solve_and_single_turns_are_flagged(suite: SuiteBuild) -> None:
    con = sqlite3.connect(str(suite.images[0].database))
    for task, key in zip(suite.tasks, suite.keys, strict=True):
        validate_task(task, key)
        submitted: list[dict[str, object]] = []
        namespace: dict[str, object] = {"con": con, "submit": submitted.append}
        for cell in key.solution:
            exec(cell, namespace)
        assert grade(task, key, encode(submitted[0])).passed
    women = [row[0] for row in con.execute(WOMEN)]
    con.close()
    good, single = suite.keys
    assert good.value == {
        "q1": [[len(women)]],
        "q2": len(women) > 3,
        "q3": [[one] for one in women],
    }
    assert single.vacuous and single.flags == (UNVERIFIED,) and not good.vacuous
    verdict = grade(suite.tasks[0], good, {"q1": len(women), "q2": True, "q3": [1]})
    assert verdict.parts == {"q1": 1.0, "q2": 1.0, "q3": 0.0} and not verdict.passed


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ({**GOOD, "sql": GOOD["sql"][:1]}, "sql"),
        ({**GOOD, "question": []}, "question"),
        ({**GOOD, "sql": [1, 2, 3]}, "sql"),
        ({**GOOD, "seed_question": None}, "seed_question"),
        ({**GOOD, "value": []}, "value"),
        ({"seed_question": "a", "question": "b"}, "ans"),
    ],
)
def test_malformed_items_are_refused_by_field(
    tmp_path: Path, item: dict[str, Any], field: str
) -> None:
    path = tmp_path / "data.json"
    path.write_text(json.dumps([GOOD, item]))
    with pytest.raises(InputError, match=field):
        read_series(path)


@pytest.mark.parametrize("content", ["[" * 100_000, '{"id": ' + "9" * 5000 + "}"])
def test_what_json_cannot_hold_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "data.json"
    path.write_text(content)
    with pytest.raises(InputError, match="not JSON"):
        read_series(path)


def test_missing_data_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match="question file"):
        ehr_seqsql.build(BuildOptions(MANIFEST, tmp_path, tmp_path, seed=0, size=None))
