"""MIMICSQL over MIMIC-III: on a made-up release everywhere, on the open demo where it is."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from benchside.errors import InputError
from benchside.graders import grade, validate_task
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites.ehrsql import build
from benchside.suites.ehrsql.treqs import TABLES, category, runnable
from benchside_kernels.submission import Json, encode

REPOSITORY = Path(__file__).parents[3]
SHARED = Path(os.environ.get("BENCHSIDE_DATA", REPOSITORY.parent / "shared" / "data"))
MANIFEST = SuiteManifest(
    **yaml.safe_load((REPOSITORY / "task_specs/mimicsql/suite.yaml").read_text())
)

HOW_MANY = 'SELECT COUNT ( DISTINCT DEMOGRAPHIC."SUBJECT_ID" ) FROM DEMOGRAPHIC WHERE '
DRUGS = (
    'SELECT PRESCRIPTIONS."DRUG" FROM DEMOGRAPHIC INNER JOIN PRESCRIPTIONS on DEMOGRAPHIC.HADM_ID '
    '= PRESCRIPTIONS.HADM_ID WHERE DEMOGRAPHIC."GENDER" = "F"'
)
ITEMS = [
    ("men", "How many men are there?", HOW_MANY + 'DEMOGRAPHIC."GENDER" = "M"'),
    ("ann", "How many are called Ann O'Hara?", HOW_MANY + 'DEMOGRAPHIC."NAME" = "Ann O\'Hara"'),
    ("old", "How many are over 89?", HOW_MANY + 'DEMOGRAPHIC."AGE" > "89"'),
    ("none", "How many are over 100?", HOW_MANY + 'DEMOGRAPHIC."AGE" > "100"'),
    ("drugs", "Which drugs did women get?", DRUGS),
    ("lost", "Which drugs did others get?", DRUGS.replace('"F"', '"X"')),
]


def csv(path: Path, *rows: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a release of three patients and questions about them."""
    data = tmp_path / "data"
    folder = data / "mimic_iii"
    csv(
        folder / "PATIENTS.csv", "ROW_ID,SUBJECT_ID,GENDER,DOB,DOD,EXPIRE_FLAG",
        "1,1,F,2080-05-01 00:00:00,,0", "2,2,M,1840-05-01 00:00:00,2142-01-01 00:00:00,1",
        "3,3,F,2101-05-01 00:00:00,,0",
    )  # fmt: skip
    csv(
        folder / "ADMISSIONS.csv",
        "ROW_ID,SUBJECT_ID,HADM_ID,ADMITTIME,DISCHTIME,ADMISSION_TYPE,ADMISSION_LOCATION,"
        "DISCHARGE_LOCATION,INSURANCE,LANGUAGE,RELIGION,MARITAL_STATUS,ETHNICITY,DIAGNOSIS",
        *(
            f"{p},{p},{p}1,2140-03-01 10:00:00,2140-03-04 09:00:00,EMERGENCY,ER,HOME,Private,,"
            "NONE,SINGLE,WHITE,SEPSIS"
            for p in (1, 2, 3)
        ),
    )
    titles = "ROW_ID,ICD9_CODE,SHORT_TITLE,LONG_TITLE"
    for kind in ("DIAGNOSES", "PROCEDURES"):
        csv(folder / f"D_ICD_{kind}.csv", titles, "1,0010,Short,Long")
        csv(
            folder / f"{kind}_ICD.csv", "ROW_ID,SUBJECT_ID,HADM_ID,SEQ_NUM,ICD9_CODE",
            "1,1,11,1,0010", "2,2,21,1,0011",
        )  # fmt: skip
    csv(
        folder / "PRESCRIPTIONS.csv",
        "ROW_ID,SUBJECT_ID,HADM_ID,ICUSTAY_ID,DRUG_TYPE,DRUG,FORMULARY_DRUG_CD,DOSE_VAL_RX,"
        "DOSE_UNIT_RX,ROUTE",
        "1,1,11,,MAIN,Aspirin,ASA81,81,mg,PO", "2,3,31,5,MAIN,Aspirin,ASA81,81,mg,PO",
        "3,3,31,5,MAIN,Heparin,HEPA,,mg,IV",
    )  # fmt: skip
    csv(folder / "D_LABITEMS.csv", "ROW_ID,ITEMID,LABEL,FLUID,CATEGORY", "1,501,Lactate,Blood,Gas")
    csv(
        folder / "LABEVENTS.csv",
        "ROW_ID,SUBJECT_ID,HADM_ID,ITEMID,CHARTTIME,VALUE,VALUENUM,VALUEUOM,FLAG",
        "1,1,11,501,2140-03-01 12:00:00,2.5,2.5,mmol/L,abnormal",
        "2,1,,501,2140-03-01 12:00:00,2.5,2.5,mmol/L,",
    )
    csv(data / "mimicsql" / "id2name.csv", "1,Ann O'Hara", "2,Bob Ray", "3,Cleo Day")
    write_questions(data, ITEMS)
    return data


def write_questions(data: Path, items: list[tuple[str, str, str]]) -> Path:
    path = data / "mimicsql" / "mimicsql_natural_v2" / "dev.json"
    lines = ({"key": key, "question_refine": text, "sql": sql} for key, text, sql in items)
    csv(path, *map(json.dumps, lines))
    return path


def build_from(data: Path, scratch: Path) -> SuiteBuild:
    scratch.mkdir(exist_ok=True)
    for old in scratch.iterdir():
        old.unlink()
    return build(BuildOptions(MANIFEST, data, scratch, seed=0, size=None))


def check_solutions(suite: SuiteBuild) -> None:
    database = suite.images[0].database
    assert database is not None
    with closing(sqlite3.connect(database)) as con:
        for task, key in zip(suite.tasks, suite.keys, strict=True):
            validate_task(task, key)
            submitted: list[Json] = []
            names: dict[str, Any] = {"con": con}
            names["submit"] = lambda value, to=submitted: to.append(encode(value))
            for cell in key.solution:
                exec(cell, names)
            verdict = grade(task, key, submitted[0])
            assert verdict.passed, f"{task.task_id}: {verdict.evidence}"


def values(suite: SuiteBuild) -> dict[str, object]:
    return {key.task_id: key.value for key in suite.keys}


def test_five_tables_are_made(data: Path, tmp_path: Path) -> None:
    suite = build_from(data, tmp_path / "scratch")
    tables = suite.images[0].variables
    assert list(tables) == list(TABLES)
    people, drugs, lab = tables["demographic"], tables["prescriptions"], tables["lab"]
    assert isinstance(people, pd.DataFrame)
    assert isinstance(drugs, pd.DataFrame)
    assert isinstance(lab, pd.DataFrame)
    assert list(people.age) == [60, 89, 39]  # 300 years old is 89
    assert list(people.days_stay) == [2, 2, 2]
    assert list(people.name) == ["Ann O'Hara", "Bob Ray", "Cleo Day"]
    assert people.dod_year.tolist()[1] == 2142
    assert list(drugs.drug_dose) == ["81mg", "81mg"]
    assert list(lab.value_unit) == ["2.5mmol/L"]
    for table in ("diagnoses", "procedures"):
        frame = tables[table]
        assert isinstance(frame, pd.DataFrame)
        assert list(frame.icd9_code) == ["0010"]


def test_questions_become_tasks_or_are_counted(data: Path, tmp_path: Path) -> None:
    suite = build_from(data, tmp_path / "scratch")
    assert values(suite) == {"men": 1, "ann": 1, "drugs": [["Aspirin"]]}  # each drug once
    assert suite.counts["left out, gold is zero"] == 2
    assert suite.counts["gold is 1, which a guess may hit"] == 2
    assert suite.counts["left out, gold SQL is empty"] == 1
    assert [task.category for task in suite.tasks] == ["count", "count", "lookup"]
    men, ann, _ = suite.tasks
    assert men.group != ann.group
    check_solutions(suite)


def test_without_names_their_questions_are_left_out(data: Path, tmp_path: Path) -> None:
    (data / "mimicsql" / "id2name.csv").unlink()
    assert list(values(build_from(data, tmp_path / "scratch"))) == ["men", "drugs"]
    csv(data / "mimicsql" / "id2name.csv", "1,Ann", "two,Bob")
    with pytest.raises(InputError, match=r"id2name\.csv, row 2"):
        build_from(data, tmp_path / "scratch")


def test_lower_cased_questions_are_asked_of_a_lower_cased_database(
    data: Path, tmp_path: Path
) -> None:
    (data / "mimicsql" / "mimicsql_natural_v2" / "dev.json").unlink()
    query = (
        "select count ( distinct demographic.'subject_id' ) from demographic inner join diagnoses "
        "on demographic.hadm_id = diagnoses.hadm_id where diagnoses.'short_title' = 'short'"
    )
    item = {"db_id": "treqs", "question": "How many?", "query": query, "is_impossible": False,
            "split": "valid", "id": "k1", "answer": ["1"]}  # fmt: skip
    other = {**item, "id": "k2", "question": "So many?", "answer": ["153"]}
    csv(data / "medagentgym" / "treqs" / "test_tasks.jsonl", *map(json.dumps, (item, other)))
    suite = build_from(data, tmp_path / "scratch")
    assert values(suite) == {"k1": 1, "k2": 1}
    assert [key.flags for key in suite.keys] == [(), ("published-answer-differs",)]
    assert suite.counts["database: lower-cased, as the questions are"] == 1
    check_solutions(suite)


def test_a_database_that_was_brought_gives_the_same(data: Path, tmp_path: Path) -> None:
    made = build_from(data, tmp_path / "made")
    database = made.images[0].database
    assert database is not None
    with closing(sqlite3.connect(database)) as con:
        made_here = "SELECT name FROM sqlite_master WHERE type = 'index'"
        for (name,) in con.execute(made_here).fetchall():
            con.execute(f"DROP INDEX {name}")
        con.commit()
    (data / "mimicsql" / "mimic.db.gz").write_bytes(gzip.compress(database.read_bytes()))
    brought = build_from(data, tmp_path / "brought")
    assert brought.counts["database: preprocessed here from the tables"] == 0
    assert brought.keys == made.keys


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"key": "a", "question_refine": "b"}', ["line 1", "'sql'"]),
        ('{"question_refine": "b", "sql": "c"}', ["line 1", "'key'"]),
        ('{"db_id": "eicu", "question": "b", "query": "c", "id": "d"}', ["'db_id'", "eicu"]),
        ('{"key": "a"', ["line 1", "not JSON"]),
        ("7", ["line 1", "not a JSON object"]),
    ],
)
def test_malformed_questions_are_named(
    data: Path, tmp_path: Path, line: str, told: list[str]
) -> None:
    csv(data / "mimicsql" / "mimicsql_natural_v2" / "dev.json", line)
    with pytest.raises(InputError) as caught:
        build_from(data, tmp_path / "scratch")
    assert all(words in str(caught.value) for words in ["dev.json", *told]), caught.value


def test_questions_of_another_release_are_refused(data: Path, tmp_path: Path) -> None:
    write_questions(data, ITEMS[-1:])
    with pytest.raises(InputError, match="no question has an answer"):
        build_from(data, tmp_path / "scratch")


def test_runnable_puts_values_in_single_quotes() -> None:
    assert runnable('SELECT A."B" FROM A WHERE A."C" = "it\'s" AND A."D" >= "5"') == (
        "SELECT A.\"B\" FROM A WHERE A.\"C\" = 'it''s' AND A.\"D\" >= '5'"
    )
    assert runnable("select a.'b' from a where a.'c' = 'x'") == "select a.b from a where a.c = 'x'"


def test_categories() -> None:
    heads = ["COUNT ( DISTINCT A )", "MAX ( A )", "MIN ( A )", "AVG ( A )", "A.B,A.C"]
    kinds = [category(f"SELECT {head} FROM A") for head in heads]
    assert kinds == ["count", "extreme", "extreme", "average", "lookup"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> SuiteBuild:
    """The suite on the open demo, made from its tables; without names, which are TREQS' own."""
    folder = SHARED / "mimic_iii_demo"
    if not folder.is_dir() or not (SHARED / "mimicsql").is_dir():
        pytest.skip(f"no MIMIC-III demo in {folder} (BENCHSIDE_DATA)")
    data = tmp_path_factory.mktemp("mimicsql")
    for part, pattern in (("mimic_iii_demo", "*.csv*"), ("mimicsql", "*.jsonl*")):
        (data / part).mkdir()
        for path in (SHARED / part).glob(pattern):
            (data / part / path.name).symlink_to(path)
    return build_from(data, tmp_path_factory.mktemp("scratch"))


@pytest.mark.slow
def test_demo_gives_713_tasks_that_are_solved(demo: SuiteBuild) -> None:
    assert len(demo.tasks) == 713
    assert Counter(task.sensitivity for task in demo.tasks) == {"open": 713}
    check_solutions(demo)


@pytest.mark.slow
def test_demo_tables_are_those_of_treqs(demo: SuiteBuild, tmp_path: Path) -> None:
    """Against a database that TREQS' own code made from the same tables, names left out."""
    packed = SHARED / "mimicsql" / "mimicsql_demo.sqlite.xz"
    if not packed.is_file():
        pytest.skip(f"no independent database at {packed}")
    independent = tmp_path / "independent.sqlite"
    independent.write_bytes(lzma.decompress(packed.read_bytes()))
    made = demo.images[0].database
    assert made is not None
    with closing(sqlite3.connect(made)) as ours, closing(sqlite3.connect(independent)) as theirs:
        for table, definition in TABLES.items():
            names = [column.split()[0] for column in definition.split(", ")]
            listed = ", ".join(name for name in names if name != "name")
            sql = f"SELECT {listed} FROM {table} ORDER BY {listed}"
            assert ours.execute(sql).fetchall() == theirs.execute(sql).fetchall(), table
