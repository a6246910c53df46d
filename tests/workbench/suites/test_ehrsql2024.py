"""The EHRSQL-2024 suite: on a made-up miniature everywhere, on the published data where it is."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from benchside.errors import DataMissingError, InputError
from benchside.graders import grade, validate_task
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites.ehrsql2024 import build
from benchside.suites.ehrsql2024.build import comparable
from benchside.suites.ehrsql2024.database import TABLES
from benchside.suites.ehrsql2024.sql import asks_yes_no, category, runnable, template
from benchside.task import AnswerKey, TaskSpec
from benchside_kernels.image import build_image
from benchside_kernels.submission import Json, encode

REPOSITORY = Path(__file__).parents[3]
SHARED = Path(os.environ.get("BENCHSIDE_DATA", REPOSITORY.parent / "shared" / "data"))
MANIFEST = SuiteManifest(
    **yaml.safe_load((REPOSITORY / "task_specs/ehrsql2024/suite.yaml").read_text())
)
DATABASE = "mimic_iv_demo/ehrsql2024_mimic_iv_rebuilt.sqlite"

SEX = "SELECT patients.gender FROM patients WHERE patients.subject_id = {}"
ANY_DRUG = "SELECT COUNT(*)>0 FROM prescriptions WHERE prescriptions.subject_id = {}"
THIS_YEAR = (
    "SELECT prescriptions.starttime FROM prescriptions WHERE "
    "datetime(prescriptions.starttime,'start of year') = datetime(current_time,'start of year')"
)
PULSE = (
    "SELECT COUNT(*) FROM chartevents "
    "WHERE valuenum NOT BETWEEN heart_rate_lower AND heart_rate_upper"
)
DOSES = "SELECT dose_val_rx FROM prescriptions"
AVERAGE = "SELECT AVG(valuenum) FROM chartevents"
ITEMS: dict[str, list[tuple[str, str, str, str]]] = {  # split → id, question, SQL, answer
    "train": [
        ("t1", "What is the gender of patient 1?", SEX.format(1), "[['f']]"),
        ("t2", "Has patient 1 been prescribed any drug?", ANY_DRUG.format(1), "[['1']]"),
        ("t3", "When this year were drugs prescribed?", THIS_YEAR, "[['2100-05-01 10:00:00']]"),
        ("t4", "What is the phone number of patient 1?", "null", "null"),
        ("t5", "What is the gender of patient 3?", SEX.format(3), "[['f']]"),  # it is m
        ("t6", "What is the mood of patient 3?", "SELECT mood FROM patients", "[['good']]"),
    ],
    "valid": [
        ("v1", "Is patient 2 male or female?", SEX.format(2), "[['m']]"),
        ("v2", "Has patient 2 travelled abroad?", "null", "null"),
        ("v3", "How many abnormal heart rates are there?", PULSE, "[['2']]"),
        ("v4", "What doses are there?", DOSES, "[['2.5'], ['2.50']]"),
        ("v5", "What is the average rate?", AVERAGE, "[['91.3333']]"),
    ],
}  # fmt: skip
ROWS: dict[str, list[tuple[Any, ...]]] = {
    "patients": [(0, 1, "f", "2040-01-01 00:00:00", None), (1, 2, "m", "2050-02-03 00:00:00", None),
                 (2, 3, "m", "2050-02-03 00:00:00", "2100-10-01 00:00:00")],
    "prescriptions": [(0, 1, "2100-05-01 10:00:00", "2.5"), (1, 1, "2099-05-01 10:00:00", "2.50")],
    "chartevents": [(0, 1, 55.0), (1, 1, 80.0), (2, 2, 139.0)],
}  # fmt: skip
COLUMNS = {
    "patients": "row_id INT, subject_id INT, gender VARCHAR(5), dob TIMESTAMP(0), dod TIMESTAMP(0)",
    "prescriptions": "row_id INT, subject_id INT, starttime TIMESTAMP(0), dose_val_rx VARCHAR(9)",
    "chartevents": "row_id INT, subject_id INT, valuenum DOUBLE PRECISION",
}


def write_gz(path: Path, content: object) -> None:
    path.write_bytes(gzip.compress(json.dumps(content).encode()))


def write_split(data: Path, split: str, items: list[tuple[str, str, str, str]]) -> None:
    folder = data / "ehrsql2024"
    texts = [{"id": id_, "question": question} for id_, question, _, _ in items]
    write_gz(folder / f"{split}_data.json.gz", {"version": split, "data": texts})
    write_gz(folder / f"{split}_label.json.gz", {item[0]: item[2] for item in items})
    write_gz(folder / f"{split}_answer.json.gz", {item[0]: item[3] for item in items})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder in the published format, with a database of three patients."""
    data = tmp_path / "data"
    (data / "ehrsql2024").mkdir(parents=True)
    (data / "mimic_iv_demo").mkdir()
    for split, items in ITEMS.items():
        write_split(data, split, items)
    con = sqlite3.connect(data / DATABASE)
    for table in TABLES:
        con.execute(f"CREATE TABLE {table} ({COLUMNS.get(table, 'row_id INT')})")
        for row in ROWS.get(table, []):
            con.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    con.commit()
    con.close()
    return data


def build_from(data: Path, scratch: Path) -> SuiteBuild:
    scratch.mkdir(exist_ok=True)
    return build(BuildOptions(MANIFEST, data, scratch, seed=0, size=None))


def run_solution(suite: SuiteBuild, key: AnswerKey, con: sqlite3.Connection) -> Json:
    """Run the cells as a kernel would, in a namespace with the image's variables."""
    submitted: list[Json] = []
    names = {"np": np, "pd": pd, "con": con, **suite.images[0].variables}
    names["submit"] = lambda value: submitted.append(encode(value))
    for cell in key.solution:
        exec(cell, names)
    (value,) = submitted
    return value


def check_solutions(suite: SuiteBuild) -> None:
    database = suite.images[0].database
    assert database is not None
    con = sqlite3.connect(database)
    for task, key in zip(suite.tasks, suite.keys, strict=True):
        validate_task(task, key)
        verdict = grade(task, key, run_solution(suite, key, con))
        assert verdict.passed, f"{task.task_id}: {verdict.evidence}"
        assert key.vacuous == (key.value is None)
    con.close()


def by_id(suite: SuiteBuild) -> dict[str, tuple[TaskSpec, AnswerKey]]:
    pairs = zip(suite.tasks, suite.keys, strict=True)
    return {task.task_id: (task, key) for task, key in pairs}


def test_miniature_suite_keeps_what_its_sql_confirms(data: Path, tmp_path: Path) -> None:
    suite = build_from(data, tmp_path / "scratch")
    found = by_id(suite)
    assert list(found) == ["t1", "t2", "t3", "t4", "v1", "v2", "v3", "v4", "v5"]
    assert [task.split for task in suite.tasks] == ["train"] * 4 + ["valid"] * 5
    assert suite.counts == {
        "train: answerable, verified": 3,
        "train: unanswerable": 1,
        "train: left out, gold SQL gives other rows than the official answer": 1,
        "train: left out, gold SQL does not run": 1,
        "valid: answerable, verified": 4,
        "valid: unanswerable": 1,
        "questions with repeated rows (flagged)": 1,
        "templates in train": 3,
        "templates in valid": 4,
        "templates in both": 1,
        "valid tasks whose template is in train": 1,
    }
    assert found["t1"][0].group == found["v1"][0].group  # one template, two patients
    check_solutions(suite)


def test_answer_types_and_abstention_do_not_depend_on_answerability(
    data: Path, tmp_path: Path
) -> None:
    found = by_id(build_from(data, tmp_path / "scratch"))
    assert all(task.answer.may_abstain for task, _ in found.values())
    kinds = {id_: task.answer.kind for id_, (task, _) in found.items()}
    assert kinds["t2"] == kinds["v2"] == "boolean"  # answerable and not
    assert kinds["t1"] == kinds["t4"] == kinds["v1"] == "table"
    answerable, abstain = found["t1"][0], found["t4"][0]
    text = answerable.prompt.replace("gender", "phone number")
    assert text == abstain.prompt
    assert (answerable.answer, answerable.grader) == (abstain.answer, abstain.grader)


@pytest.mark.parametrize(
    ("id_", "right", "wrong"),
    [
        ("t1", ["f", [["F"]], pd.DataFrame({"gender": ["f"]})], [None, "m", ["f", "m"], [], True]),
        ("t2", [True, 1, np.True_, "yes"], [False, 0, None, 2, "maybe", [0, 1]]),
        ("t3", ["2100-05-01 10:00:00", pd.Timestamp("2100-05-01 10:00")], ["2100-05-01", None]),
        ("t4", [None], ["unknown", [], 0, False, ""]),
        ("v2", [None], [False, True, 0]),
        ("v3", [2, [(2,)], np.int64(2)], [3, -2, None, True]),
        ("v4", [[2.5, 2.5], ["2.5", "2.500"]], [2.5, [2.5, 2.6], [2.5] * 3]),
        ("v5", [91.3333333, pd.Series([91.333])], [91.34, -91.3333]),
    ],
)
def test_right_and_wrong_submissions(
    data: Path, tmp_path: Path, id_: str, right: list[object], wrong: list[object]
) -> None:
    task, key = by_id(build_from(data, tmp_path / "scratch"))[id_]
    for value in right:
        assert grade(task, key, encode(value)).passed, value
    for value in wrong:
        assert not grade(task, key, encode(value)).passed, value


def test_answers_cut_at_100_rows_are_graded_in_full(data: Path, tmp_path: Path) -> None:
    con = sqlite3.connect(data / DATABASE)
    con.executemany("INSERT INTO labevents VALUES (?)", [(n,) for n in range(150, 0, -1)])
    con.commit()
    con.close()
    sql = "SELECT row_id FROM labevents"
    cut = str([[row] for row in sorted(f"{n}.0" for n in range(1, 151))[:100]])
    write_split(data, "train", [("all", "Which lab events are there?", sql, cut)])
    suite = build_from(data, tmp_path / "scratch")
    task, key = by_id(suite)["all"]
    assert grade(task, key, encode(list(range(1, 151)))).passed
    assert not grade(task, key, encode(list(range(1, 101)))).passed
    check_solutions(suite)


def test_repeated_rows_are_flagged(data: Path, tmp_path: Path) -> None:
    sql = "SELECT gender FROM patients WHERE subject_id > 1"
    write_split(data, "train", [("two", "Which genders are there?", sql, "[['m'], ['m']]")])
    suite = build_from(data, tmp_path / "scratch")
    assert by_id(suite)["two"][1].flags == ("duplicate-rows",)
    assert suite.counts["questions with repeated rows (flagged)"] == 2  # and v4


def test_image_holds_typed_tables_and_no_answers(data: Path, tmp_path: Path) -> None:
    suite = build_from(data, tmp_path / "scratch")
    (source,) = suite.images
    assert list(source.variables) == list(TABLES)
    patients = source.variables["patients"]
    assert isinstance(patients, pd.DataFrame)
    assert patients["dob"].dtype.kind == patients["dod"].dtype.kind == "M"
    assert patients["dod"].isna().tolist() == [True, True, False]
    assert "`patients` (3 rows): row_id int, subject_id int, gender text" in source.description
    image = build_image(source, tmp_path / "images")
    assert image.has_database
    assert image.load_variables()["patients"].equals(patients)


def test_packed_database_gives_the_same_tasks(data: Path, tmp_path: Path) -> None:
    plain = build_from(data, tmp_path / "plain")
    packed = data / f"{DATABASE}.xz"
    packed.write_bytes(lzma.compress((data / DATABASE).read_bytes()))
    (data / DATABASE).unlink()
    again = build_from(data, tmp_path / "packed")
    assert [task.hash for task in again.tasks] == [task.hash for task in plain.tasks]
    assert again.images[0].database == tmp_path / "packed" / "mimic_iv.sqlite"


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("train_data", {"data": "none"}, ["train_data.json.gz", "list"]),
        ("train_data", {"data": [{"id": "a"}]}, ["data[0].question", "missing"]),
        ("train_data", {"data": [{"id": 7, "question": "x"}]}, ["data[0].id", "7"]),
        ("train_data", {"data": [{"id": "a", "question": " "}]}, ["data[0].question"]),
        ("train_data", {"data": [{"id": "a", "question": "x"}] * 2}, ["data[1]", "twice", "'a'"]),
        ("train_label", [], ["train_label.json.gz", "list"]),
        ("train_label", {"t1": "SELECT 1"}, ["train_label.json.gz, id t2", "same release"]),
        ("valid_answer", {}, ["valid_answer.json.gz, id v1"]),
        ("valid_answer", {"v1": "iv"}, ["valid_answer.json.gz, id v1", "'iv'", "list of lists"]),
        ("valid_answer", {"v1": "[[1]]"}, ["id v1", "'[[1]]'"]),
        ("valid_answer", {"v1": "null"}, ["disagree", "id v1", "null"]),
    ],
)
def test_malformed_question_files_are_named(
    data: Path, tmp_path: Path, file: str, content: object, told: list[str]
) -> None:
    write_gz(data / "ehrsql2024" / f"{file}.json.gz", content)
    with pytest.raises(InputError) as caught:
        build_from(data, tmp_path / "scratch")
    assert all(words in str(caught.value) for words in told), caught.value
    assert caught.value.fix


def test_damaged_files_are_named(data: Path, tmp_path: Path) -> None:
    path = data / "ehrsql2024" / "valid_label.json.gz"
    whole = path.read_bytes()
    for broken in (whole[:-20], b"no gzip", gzip.compress(b"{"), gzip.compress(b"\xff")):
        path.write_bytes(broken)
        with pytest.raises(InputError, match=r"valid_label\.json\.gz"):
            build_from(data, tmp_path / "scratch")
    path.write_bytes(gzip.compress(b'{"v1": "null", "v1": "null"}'))
    with pytest.raises(InputError, match="twice"):
        build_from(data, tmp_path / "scratch")
    path.unlink()
    with pytest.raises(DataMissingError, match=r"valid_label\.json\.gz"):
        build_from(data, tmp_path / "scratch")


def test_damaged_databases_are_named(data: Path, tmp_path: Path) -> None:
    path, packed = data / DATABASE, data / f"{DATABASE}.xz"
    whole = path.read_bytes()
    con = sqlite3.connect(path)
    con.execute("DROP TABLE cost")
    con.commit()
    con.close()
    with pytest.raises(InputError, match=r"lacks tables(.|\n)*'cost'"):
        build_from(data, tmp_path / "scratch")
    path.write_bytes(b"no database" * 100)
    with pytest.raises(InputError, match="no SQLite database"):
        build_from(data, tmp_path / "scratch")
    path.unlink()
    packed.write_bytes(lzma.compress(whole)[:-30])
    with pytest.raises(InputError, match=r"cut off(.|\n)*sqlite\.xz"):
        build_from(data, tmp_path / "scratch")
    packed.unlink()
    with pytest.raises(DataMissingError, match=r"ehrsql2024/mimic_iv\.sqlite"):
        build_from(data, tmp_path / "scratch")


def test_times_in_another_format_are_refused(data: Path, tmp_path: Path) -> None:
    con = sqlite3.connect(data / DATABASE)
    con.execute("UPDATE patients SET dob = '1.2.2040' WHERE subject_id = 1")
    con.commit()
    con.close()
    with pytest.raises(InputError, match="table patients, column dob"):
        build_from(data, tmp_path / "scratch")


def test_no_data_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match="data folder"):
        build(BuildOptions(MANIFEST, None, tmp_path, seed=0, size=None))


def test_runnable_puts_in_time_and_ranges() -> None:
    sql = runnable(
        " SELECT 1-COUNT(*)>0 FROM t WHERE v < sao2_lower AND v > sao2_upper AND d < current_time "
    )
    assert sql == (
        "SELECT 1-COUNT(*)>0 FROM t WHERE v < 95.0 AND v > 100.0 AND d < '2100-12-31 23:59:00'"
    )
    assert runnable("SELECT a FROM t WHERE b = 'c  d'").endswith("'c  d'"), "text keeps its spaces"


def test_templates_leave_out_literals_only() -> None:
    one = "SELECT a FROM t WHERE b = 'it''s' AND c = 3.5"
    assert template(one) == template("SELECT a FROM  t WHERE b = 'other' AND c = 12")
    assert template(one) != template("SELECT a FROM t WHERE b = 'it''s' AND c < 3.5")


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        (None, "unanswerable"),
        (ANY_DRUG.format(1), "yes-no"),
        ("SELECT ( SELECT a FROM t ) < ( SELECT b FROM t )", "yes-no"),
        ("SELECT AVG(C1) FROM ( SELECT patients.dod < 5 AS C1 FROM patients )", "survival"),
        ("SELECT T1.d FROM ( SELECT d, DENSE_RANK() OVER ( ORDER BY 1 ) AS C1 FROM t )", "ranking"),
        ("SELECT DISTINCT cost.cost FROM cost WHERE cost.event_type = 'x'", "cost"),
        ("SELECT COUNT( DISTINCT a ) FROM t WHERE b > 3", "count"),
        ("SELECT labevents.charttime FROM labevents", "time"),
        ("SELECT 24 * ( strftime('%J',current_time) - strftime('%J', t.a) ) FROM t", "time"),
        ("SELECT ( SELECT a FROM t ) - ( SELECT b FROM t )", "aggregate"),
        ("SELECT MAX(chartevents.valuenum) FROM chartevents", "aggregate"),
        (SEX.format(1), "lookup"),
    ],
)
def test_categories(sql: str | None, kind: str) -> None:
    assert category(sql) == kind


def test_wording_decides_on_yes_no() -> None:
    asked = [
        "Did patient 1 undergo any procedure?",
        "Since 2100, has patient 1 been prescribed aspirin?",
        "Tell me whether sterile water has been given to patient 1.",
        "Patient 1's glucose last measured is greater than the first value?",
    ]
    open_ = [
        "Is patient 1 male or female?",
        "When, since 2100, was patient 1's heart rate less than 21.0?",
        "Can you tell me the first time patient 1 had a heart rate that was less than 97.0?",
        "Are there new drugs for patient 1 today compared to yesterday?",
        "How many times, in 2100, was a rhinoscopy ordered?",
    ]
    assert [asks_yes_no(question) for question in asked + open_] == [True] * 4 + [False] * 5


def test_comparison_is_the_official_one() -> None:
    assert comparable([(2, "b"), ("1.00049", None)]) == [["1.0", "None"], ["2.0", "b"]]
    assert len(comparable([(n,) for n in range(300)])) == 100


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SuiteBuild]:
    missing = [file.path for file in MANIFEST.data if file.find(SHARED) is None]
    if missing:
        pytest.skip(f"EHRSQL-2024 is not in {SHARED} (BENCHSIDE_DATA): no {missing[0]}")
    yield build_from(SHARED, tmp_path_factory.mktemp("ehrsql2024"))


@pytest.mark.slow
def test_published_items(published: SuiteBuild) -> None:
    counts = published.counts
    assert counts["train: answerable, verified"] == 4372
    assert counts["valid: answerable, verified"] == 866
    assert (counts["train: unanswerable"], counts["valid: unanswerable"]) == (450, 232)
    assert counts["templates in both"] == 384
    assert len({task.task_id for task in published.tasks}) == len(published.tasks) == 5920
    assert set(Counter(task.category for task in published.tasks)) == {
        "unanswerable", "yes-no", "survival", "ranking", "cost", "count", "time", "aggregate",
        "lookup",
    }  # fmt: skip


@pytest.mark.slow
def test_published_wording_tells_yes_no_questions_exactly(published: SuiteBuild) -> None:
    """Otherwise the answer's type would say of some questions that they can be answered."""
    answerable = [task for task in published.tasks if task.category != "unanswerable"]
    for task in answerable:
        question = task.prompt.partition("Question: ")[2].partition("\n")[0]
        assert asks_yes_no(question) == (task.answer.kind == "boolean"), question
    kinds = Counter(t.answer.kind for t in published.tasks if t.category == "unanswerable")
    assert kinds["boolean"] > 100


@pytest.mark.slow
def test_published_solutions_all_pass(published: SuiteBuild) -> None:
    check_solutions(published)


@pytest.mark.slow
def test_published_ids_equal_the_independent_list(published: SuiteBuild) -> None:
    path = SHARED / "ehrsql2024" / "verified_ids_on_rebuilt_db.json"
    if not path.is_file():
        pytest.skip(f"no independent list of verified ids at {path}")
    listed = {id_ for id_, split in json.loads(path.read_text()).items() if split != "test"}
    built = {task.task_id for task in published.tasks if task.category != "unanswerable"}
    assert built == listed
