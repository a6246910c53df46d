"""EHRCon: on made-up notes, labels and tables in both formats, as users would bring theirs."""

import json
import os
import pickle
import sqlite3
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from benchside.errors import DataMissingError, InputError
from benchside.graders import grade, validate_task
from benchside.library import prepare
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites import ehrcon
from benchside.suites.ehrcon.labels import read_labels
from benchside.suites.ehrcon.records import NOTE_COLUMNS, TABLES, read_notes
from benchside_kernels.submission import encode

REPOSITORY = Path(__file__).parents[3]
SHARED = Path(os.environ.get("BENCHSIDE_DATA", REPOSITORY.parent / "shared" / "data"))
SPEC = REPOSITORY / "task_specs" / "ehrcon" / "suite.yaml"
MANIFEST = SuiteManifest.model_validate(yaml.safe_load(SPEC.read_text()))
NOTES = (
    "ROW_ID,SUBJECT_ID,HADM_ID,CHARTDATE,CHARTTIME,STORETIME,CATEGORY,DESCRIPTION,CGID,ISERROR,TEXT,"
    "ADMITTIME\n"
)


def entity(name: str, errors: int, line: str = "2") -> dict[str, Any]:
    told = {"labevents": {"valuenum": "138"}, "label": "consistency", "errors": errors}
    return {name: {"data": [told], "position": line, "source": "mimic", "entity_type": "1",
                   "all_queries": []}}  # fmt: skip


def note(row: int, hadm: int, category: str) -> str:
    return f'{row},1,{hadm}.0,2141-03-01,,,{category},Report,,,"Labs\nNa 138\nK 4.1",2141-02-27\n'


LABELS = {
    "7": [
        *(entity(f"Na{number}", 0) for number in range(9)), *(entity(f"K{n}", 2) for n in range(3)),
        entity("hr", 0, "3"), entity("HR", 1, "3"), entity("Na0", 0),
    ],
    "8": [entity("sodium", 0), entity("potassium", 0, "3")],
}  # fmt: skip
TASKS = [
    {"Hospital admission": 11, "Medical entity": "Sodium", "Has error": False},
    {"Hospital admission": 11, "Medical entity": "Potassium", "Has error": True},
]


def write_release(folder: Path) -> None:
    folder.mkdir(parents=True)
    for table, columns in TABLES.items():
        rows = [
            {"hadm_id": str(hadm), "itemid": "5", "valuenum": "138", "valueuom": "mEq/L"}
            for hadm in (11, 99)
        ]
        lines = [",".join(column.upper() for column in columns)]
        lines += [",".join(row.get(column, "") for column in columns) for row in rows]
        if table.startswith("d_"):
            lines = [lines[0], ",".join("5" if c == "itemid" else "Na" for c in columns)]
        if "itemid" in columns and "hadm_id" in columns:
            lines = [line for line in lines if line.strip(",")]
        (folder / f"{table.upper()}.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    place = folder / "ehrcon/original/test/discharge"
    (place / "discharge_label").mkdir(parents=True)
    notes = NOTES + note(7, 11, "Discharge summary") + note(8, 11, "Discharge summary")
    (place / "discharge_test.csv").write_text(notes)
    labels = OrderedDict(LABELS)
    for row, listed in labels.items():
        (place / f"discharge_label/{row}.pkl").write_bytes(
            pickle.dumps(OrderedDict([(int(row), listed)]))
        )
    write_release(folder / "mimic_iii")
    return folder


def built(data: Path, scratch: Path) -> SuiteBuild:
    scratch.mkdir()
    return ehrcon.build(BuildOptions(MANIFEST, data, scratch, seed=0, size=None))


def test_published_labels_become_tasks_with_both_kinds(data: Path, tmp_path: Path) -> None:
    suite = built(data, tmp_path / "scratch")
    assert {task.category for task in suite.tasks} == {"discharge"}
    assert {task.split for task in suite.tasks} == {"test"} and len(suite.tasks) == 2
    listed = [
        line for task in suite.tasks for line in task.prompt.splitlines() if line.startswith("- ")
    ]
    assert sorted(listed) == [
        *(f"- line 2: k{n}" for n in range(3)), *(f"- line 2: na{n}" for n in range(9)),
    ]  # fmt: skip
    for task, key in zip(suite.tasks, suite.keys, strict=True):
        validate_task(task, key)
        assert key.vacuous and isinstance(key.value, dict)
        gold = key.value["$set"]
        assert isinstance(gold, list) and all(": k" in str(one) for one in gold)
        asked = [line[2:] for line in task.prompt.splitlines() if line.startswith("- ")]
        assert 0 < len(gold) < len(asked) <= 8
        submitted: list[object] = []
        exec(key.solution[0], {"submit": submitted.append})
        assert grade(task, key, encode(submitted[0])).passed
        for constant in ([], asked, False, True):
            assert not grade(task, key, encode(constant)).passed
    assert suite.counts["entities left out, labelled both ways"] == 2
    assert suite.counts["entities left out, named before"] == 1
    assert suite.counts["entities left out, too few of the other kind"] == 2
    con = sqlite3.connect(str(suite.images[0].database))
    assert con.execute("SELECT hadm_id, valueuom FROM labevents").fetchall() == [(11, "meq/l")]
    assert con.execute("SELECT COUNT(*) FROM noteevents").fetchone() == (2,)
    con.close()


def test_tasks_of_medagentgym_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "data/medagentgym/ehrcon"
    folder.mkdir(parents=True)
    (folder / "clinical_notes.csv").write_text(NOTES + note(7, 11, "Nursing"))
    (folder / "train_tasks.jsonl").write_text("\n".join(json.dumps(task) for task in TASKS))
    con = sqlite3.connect(folder / "EHRCon_combined.db")
    for table in ("chartevents", "labevents", "prescriptions"):
        con.execute(f"CREATE TABLE {table} (hadm_id INT)")
    con.commit()
    con.close()
    suite = built(tmp_path / "data", tmp_path / "scratch")
    (task,), (key,) = suite.tasks, suite.keys
    assert (task.category, task.split) == ("nursing", "train")
    assert key.value == {"$set": ["potassium"]} and task.sensitivity == "credentialed"


def test_a_changed_label_file_makes_another_build(data: Path, tmp_path: Path) -> None:
    """Not only the first of a note's label files counts."""
    first = prepare("ehrcon", tmp_path / "home", data=data)
    label = data / "ehrcon/original/test/discharge/discharge_label/8.pkl"
    label.write_bytes(pickle.dumps({8: [entity("sodium", 1), entity("potassium", 0, "3")]}))
    again = prepare("ehrcon", tmp_path / "home", data=data)
    assert len(again.tasks) == len(first.tasks) + 1


def test_the_rows_of_the_notes_stays_are_kept_from_a_real_release(tmp_path: Path) -> None:
    release = SHARED / "mimic_iii_demo"
    if not (release / "LABEVENTS.csv.gz").is_file():
        pytest.skip("BENCHSIDE_DATA has no mimic_iii_demo/LABEVENTS.csv.gz")
    admissions = pd.read_csv(release / "ADMISSIONS.csv.gz").rename(columns=str.lower)
    stays = admissions["hadm_id"].tolist()[:10]
    folder = tmp_path / "data/ehrcon/original/valid/nursing"
    (folder / "nursing_label").mkdir(parents=True)
    notes = "".join(note(row, stay, "Nursing") for row, stay in enumerate(stays))
    (folder / "nursing_valid.csv").write_text(NOTES + notes)
    labels = {"3": [entity("Na", 0), entity("K", 1)]}
    (folder / "nursing_label/3.json").write_text(json.dumps(labels))
    (tmp_path / "data/mimic_iii").symlink_to(release)
    suite = built(tmp_path / "data", tmp_path / "scratch")
    con = sqlite3.connect(str(suite.images[0].database))
    for table in ("labevents", "prescriptions", "diagnoses_icd"):
        rows = pd.read_csv(release / f"{table.upper()}.csv.gz").rename(columns=str.lower)
        found = con.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
        assert found == rows["hadm_id"].isin(stays).sum() > 0
    con.close()


class _Command:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("made-by-a-pickle",)


def test_a_pickle_that_would_run_something_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "7.pkl"
    path.write_bytes(pickle.dumps({7: [_Command()]}))
    with pytest.raises(InputError, match="mkdir"):
        read_labels(path)
    assert not (tmp_path / "made-by-a-pickle").exists()


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        ([], "no dict"),
        ({"7": {}}, "no list"),
        ({"7": [{"na": {"position": "1"}}]}, "no list 'data'"),
        ({"7": [{"na": {"data": [{"errors": None}], "position": "1"}}]}, "'errors'"),
        ({"7": [{"na": {"data": [{"errors": 0}], "position": "top"}}]}, "'position'"),
        ({"7": [{"na": {"data": [{"errors": "²"}], "position": "1"}}]}, "'errors'"),
        ({"7": [{"na": {"data": [{"errors": 0}], "position": "9" * 5000}}]}, "'position'"),
    ],
)
def test_malformed_labels_are_refused_by_field(tmp_path: Path, labels: object, match: str) -> None:
    path = tmp_path / "7.json"
    path.write_text(json.dumps(labels))
    with pytest.raises(InputError, match=match):
        read_labels(path)
    cut = tmp_path / "7.pkl"
    cut.write_bytes(pickle.dumps(labels)[:-1])
    with pytest.raises(InputError, match="cannot be read"):
        read_labels(cut)


@pytest.mark.parametrize(("column", "value"), [("hadm_id", ""), ("row_id", "x")])
def test_notes_without_a_stay_or_number_are_refused(
    tmp_path: Path, column: str, value: str
) -> None:
    path = tmp_path / "notes.csv"
    cells = {**dict.fromkeys(NOTE_COLUMNS, "1"), column: value}
    path.write_text(f"{','.join(cells)}\n{','.join(cells.values())}\n")
    with pytest.raises(InputError, match=rf"row 1, field '{column}'"):
        read_notes([path])


def test_missing_data_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match="no notes"):
        built(tmp_path, tmp_path / "scratch")
