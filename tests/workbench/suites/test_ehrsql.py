"""EHRSQL over MIMIC-III and eICU: on made-up releases, and on the open demos where they are."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from benchside.errors import BenchsideError, DataMissingError, InputError
from benchside.graders import grade, validate_task
from benchside.library import prepare
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites.ehrsql import build, eicu, mimic_iii
from benchside.suites.ehrsql.build import split
from benchside.suites.ehrsql.counterpart import counterpart, with_present_patient
from benchside.suites.ehrsql.demos import ids_digest, is_demo
from benchside.suites.ehrsql.gold import Found, Gold, agrees
from benchside.suites.ehrsql.question import Published, Question
from benchside.suites.ehrsql.sql import category, gives_yes_no, runnable, words_yes_no
from benchside.task import AnswerKey, TaskSpec
from benchside_kernels.submission import Json, encode

REPOSITORY = Path(__file__).parents[3]
SHARED = Path(os.environ.get("BENCHSIDE_DATA", REPOSITORY.parent / "shared" / "data"))


def manifest(name: str) -> SuiteManifest:
    return SuiteManifest(
        **yaml.safe_load((REPOSITORY / f"task_specs/{name}/suite.yaml").read_text())
    )


def csv(path: Path, header: str, *rows: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")


def write_mimic_iii(data: Path) -> None:
    """Write a release of four patients, the last one too young; stays 41 and 42 are the longest."""
    folder = data / "mimic_iii"
    born = {1: 2080, 2: 2090, 3: 2070, 4: 2140}
    csv(
        folder / "PATIENTS.csv", "ROW_ID,SUBJECT_ID,GENDER,DOB,DOD",
        *(f"{p},{p},{'F' if p % 2 else 'M'},{year}-01-01 00:00:00," for p, year in born.items()),
    )  # fmt: skip
    stays = {
        11: (1, 1, 5),
        12: (1, 20, 24),
        21: (2, 1, 3),
        31: (3, 2, 4),
        41: (4, 1, 3),
        22: (2, 4, 28),
    }
    columns = (
        "ADMISSION_TYPE,ADMISSION_LOCATION,DISCHARGE_LOCATION,INSURANCE,LANGUAGE,MARITAL_STATUS,"
        "ETHNICITY"
    )
    csv(
        folder / "ADMISSIONS.csv", f"ROW_ID,SUBJECT_ID,HADM_ID,ADMITTIME,DISCHTIME,{columns}",
        *(
            f"{stay},{p},{stay},2141-03-{a:02} 10:00:00,2141-03-{b:02} 12:00:00,"
            "EMERGENCY,EMERGENCY ROOM ADMIT,HOME,Private,,SINGLE,WHITE"
            for stay, (p, a, b) in stays.items()
        ),
    )  # fmt: skip
    csv(
        folder / "ICUSTAYS.csv",
        "ROW_ID,SUBJECT_ID,HADM_ID,ICUSTAY_ID,FIRST_CAREUNIT,LAST_CAREUNIT,FIRST_WARDID,"
        "LAST_WARDID,INTIME,OUTTIME",
        "1,1,11,111,MICU,MICU,5,5,2141-03-01 11:00:00,2141-03-03 11:00:00",
    )
    csv(
        folder / "TRANSFERS.csv",
        "ROW_ID,SUBJECT_ID,HADM_ID,ICUSTAY_ID,EVENTTYPE,CURR_CAREUNIT,CURR_WARDID,INTIME,OUTTIME",
        "1,1,11,111,admit,MICU,5,2141-03-01 11:00:00,2141-03-03 11:00:00",
        "2,1,11,,discharge,,,,",
    )
    csv(
        folder / "D_ICD_DIAGNOSES.csv", "ROW_ID,ICD9_CODE,SHORT_TITLE,LONG_TITLE",
        '1,0010,"Cholera, vibrio",Cholera due to vibrio', "2,V10,History,Personal history",
    )  # fmt: skip
    csv(
        folder / "D_ICD_PROCEDURES.csv", "ROW_ID,ICD9_CODE,SHORT_TITLE,LONG_TITLE",
        "1,0012,First,First title", "2,12,Second,Second title",
    )  # fmt: skip
    csv(folder / "D_LABITEMS.csv", "ROW_ID,ITEMID,LABEL", "1,501,Lactate")
    csv(
        folder / "D_ITEMS.csv", "ROW_ID,ITEMID,LABEL,LINKSTO",
        "1,211,Heart Rate,chartevents", "2,301,Saline,inputevents_cv", "3,401,Urine,outputevents",
        "4,999,Other,procedureevents_mv",
    )  # fmt: skip
    csv(
        folder / "DIAGNOSES_ICD.csv", "ROW_ID,SUBJECT_ID,HADM_ID,SEQ_NUM,ICD9_CODE",
        "1,1,11,1,0010", "2,2,21,1,V10", "3,3,31,1,", "4,4,41,1,0010", "5,1,12,1,unknown",
    )  # fmt: skip
    csv(
        folder / "PROCEDURES_ICD.csv",
        "ROW_ID,SUBJECT_ID,HADM_ID,SEQ_NUM,ICD9_CODE",
        "1,1,11,1,0012",
    )
    csv(
        folder / "LABEVENTS.csv",
        "ROW_ID,SUBJECT_ID,HADM_ID,ITEMID,CHARTTIME,VALUE,VALUENUM,VALUEUOM,FLAG",
        "1,1,11,501,2141-03-01 12:00:00,2.5,2.5,mmol/L,",
        "2,1,,501,2141-03-01 13:00:00,2.5,2.5,mmol/L,",
        "3,1,12,501,2141-03-21 12:00:00,3.5,3.5, ,",
        "4,3,31,501,2141-03-03 12:00:00,GREEN,,mmol/L,",
    )
    csv(
        folder / "PRESCRIPTIONS.csv",
        "ROW_ID,SUBJECT_ID,HADM_ID,STARTDATE,ENDDATE,DRUG,DOSE_VAL_RX,DOSE_UNIT_RX,ROUTE",
        '1,1,11,2141-03-02 00:00:00,2141-03-03 00:00:00,Aspirin,"1,000",mg,PO',
        "2,2,21,2141-03-02 00:00:00,2141-03-03 00:00:00,Aspirin,5,mg,PO",
        "3,3,31,2141-03-03 00:00:00,2141-03-04 00:00:00,Aspirin,5,TAB,PO",
        "4,3,31,2141-03-03 00:00:00,2141-03-04 00:00:00,Heparin,1-2,mg,IV",
    )
    csv(
        folder / "CHARTEVENTS.csv",
        "ROW_ID,SUBJECT_ID,HADM_ID,ICUSTAY_ID,ITEMID,CHARTTIME,VALUE,VALUENUM,VALUEUOM",
        "1,1,11,111,211,2141-03-01 12:00:00,80,80,bpm", "2,1,11,111,212,2141-03-01 12:00:00,8,8,x",
    )  # fmt: skip
    for table, amount in (("INPUTEVENTS_CV", "AMOUNT"), ("OUTPUTEVENTS", "VALUE")):
        item = 301 if amount == "AMOUNT" else 401
        csv(
            folder / f"{table}.csv",
            f"ROW_ID,SUBJECT_ID,HADM_ID,ICUSTAY_ID,CHARTTIME,ITEMID,{amount},{amount}UOM",
            f"1,1,11,111,2141-03-01 12:00:00,{item},100,ml",
            f"2,1,11,111,2141-03-01 12:00:00,{item},7,mg",
        )
    csv(
        folder / "MICROBIOLOGYEVENTS.csv",
        "ROW_ID,SUBJECT_ID,HADM_ID,CHARTDATE,CHARTTIME,SPEC_TYPE_DESC,ORG_NAME",
        "1,1,11,2141-03-02 00:00:00,,URINE,E. COLI",
    )


def write_eicu(data: Path) -> None:
    """Write a release of eight unit stays; 5 contradicts itself, 6 is too old, 8 is the longest."""
    folder = data / "eicu_crd"
    stays = [  # unit, hospital, patient, age, admission offset, unit end, hospital end
        (1, 10, "001-1", "50", -60, 600, 700),
        (2, 10, "001-1", "50", -700, 90, 95),
        (3, 11, "001-1", "50", -10, 500, 800),
        (4, 12, "001-2", "61", -5, 50, 60),
        (5, 13, "001-3", "40", 5, 60, 50),
        (6, 14, "001-4", "> 89", -5, 50, 60),
        (7, 15, "001-5", "", -5, 50, 60),
        (8, 16, "001-6", "30", -5, 99000, 99999),
    ]
    csv(
        folder / "patient.csv",
        "patientunitstayid,patienthealthsystemstayid,gender,age,ethnicity,hospitalid,wardid,"
        "admissionheight,hospitaladmittime24,hospitaladmitoffset,hospitaladmitsource,"
        "hospitaldischargeyear,hospitaldischargeoffset,hospitaldischargestatus,admissionweight,"
        "dischargeweight,unitdischargeoffset,uniquepid",
        *(
            f"{unit},{stay},Female,{age},Caucasian,7,9,170,10:00:00,{admitted},Floor,"
            f"{2015 if unit == 3 else 2014},{end},Alive,70,71,{unit_end},{patient}"
            for unit, stay, patient, age, admitted, unit_end, end in stays
        ),
    )
    csv(
        folder / "diagnosis.csv",
        "diagnosisid,patientunitstayid,activeupondischarge,diagnosisoffset,diagnosisstring,icd9code",
        '1,1,False,5,cardiovascular|arrhythmias|atrial|fibrillation|rapid,"427, I48"',
        "2,4,False,5,cardiovascular|arrhythmias|atrial|fibrillation,",
        "3,4,False,6,surgery|cardiac|atrial|fibrillation,",
        "4,8,False,6,pulmonary|failure|ards,",
    )
    csv(
        folder / "treatment.csv",
        "treatmentid,patientunitstayid,treatmentoffset,treatmentstring",
        "1,1,7,pulmonary|ventilation|oxygen|mask",
    )
    csv(
        folder / "lab.csv", "labid,patientunitstayid,labresultoffset,labname,labresult",
        "1,1,9,Lactate,2.5", "2,1,10,Lactate,", "3,4,20,Sodium,140",
    )  # fmt: skip
    csv(
        folder / "medication.csv",
        "medicationid,patientunitstayid,drugstartoffset,drugstopoffset,drugordercancelled,drugname,"
        "dosage,routeadmin",
        "1,1,3,9,No,ASPIRIN 81 MG,81 3,PO",
        "2,1,3,9,Yes,HEPARIN,5 3,IV",
        "3,4,3,,No,HEPARIN,5 3,IV",
    )  # fmt: skip
    csv(
        folder / "allergy.csv", "allergyid,patientunitstayid,allergyoffset,drugname,allergyname",
        "1,1,2,,None",
    )  # fmt: skip
    csv(
        folder / "intakeOutput.csv",
        "intakeoutputid,patientunitstayid,intakeoutputoffset,cellpath,celllabel,cellvaluenumeric",
        "1,1,5,flowsheet|I&O|Intake (ml)|Oral Intake,Oral Intake,120",
        "2,1,6,flowsheet|I&O|Weight,Bodyweight,80",
    )
    csv(
        folder / "microLab.csv",
        "microlabid,patientunitstayid,culturetakenoffset,culturesite,organism",
        "1,4,5,Urine,E. coli",
    )
    vitals = (
        "temperature,sao2,heartrate,respiration,systemicsystolic,systemicdiastolic,systemicmean"
    )
    csv(
        folder / "vitalPeriodic.csv",
        f"vitalperiodicid,patientunitstayid,observationoffset,{vitals}",
        "1,1,5,36.6,98,80,,120,80,93", "2,8,5,36.6,98,80,,120,80,93",
    )  # fmt: skip


HISTORY = (
    "select count(*)>0 from diagnoses_icd where diagnoses_icd.icd9_code = ( select "
    "d_icd_diagnoses.icd9_code from d_icd_diagnoses where d_icd_diagnoses.short_title = 'history' "
    ") and diagnoses_icd.hadm_id in ( select admissions.hadm_id from admissions where "
    "admissions.subject_id = {} )"
)


def item(id_: str, question: str, query: str, **more: Any) -> dict[str, Any]:
    impossible = query == "null"
    tags = {} if impossible else {"q_tag": f"tag of {id_}", "value": {}}
    return {"db_id": "mimic_iii", "id": id_, "question": question, "query": query,
            "is_impossible": impossible, **tags, **more}  # fmt: skip


MIMIC_ITEMS = [
    item("sex", "What is the gender of patient 1?",
         "select patients.gender from patients where patients.subject_id = 1",
         value={"patient_id": 1}),
    item("sex-again", "What is the  gender of PATIENT 1?", "select 1"),
    item("history", "Has patient 2 been diagnosed with history?", HISTORY.format(2),
         value={"patient_id": 2}),
    item("no", "Has patient 3 been diagnosed with history?", HISTORY.format(3),
         value={"patient_id": 3}),
    item("absent", "Has patient 77 been diagnosed with history?", HISTORY.format(77),
         value={"patient_id": 77}),
    item("none", "What are the doses of heparin?",
         "select prescriptions.route from prescriptions where prescriptions.drug = 'heparin'"),
    item("zero", "How many patients got heparin?",
         "select count(*) from prescriptions where prescriptions.drug = 'heparin'"),
    item("broken", "What is the mood?", "select mood from patients"),
    item("tie", "Who is the only patient?", "select patients.subject_id from patients limit 1"),
    item("wording", "Did anybody get aspirin?",
         "select prescriptions.drug from prescriptions where prescriptions.drug = 'aspirin'"),
    item("year", "How many admissions were there since 2100?",
         "select count(*) from admissions where strftime('%y',admissions.admittime) >= '2100'"),
    item("phone", "What is the phone number of patient 4711?", "null"),
    item("trip", "Has patient 3 travelled abroad?", "null"),
]  # fmt: skip


def write_questions(data: Path, items: list[dict[str, Any]], name: str = "mimic_iii_valid") -> Path:
    path = data / "ehrsql" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(items))
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a made-up MIMIC-III release and questions about it."""
    data = tmp_path / "data"
    write_mimic_iii(data)
    write_questions(data, MIMIC_ITEMS)
    return data


def build_from(data: Path, scratch: Path, name: str = "ehrsql_mimic3") -> SuiteBuild:
    scratch.mkdir(exist_ok=True)
    for old in scratch.iterdir():
        old.unlink()
    return build(BuildOptions(manifest(name), data, scratch, seed=0, size=None))


def table(suite: SuiteBuild, name: str) -> pd.DataFrame:
    frame = suite.images[0].variables[name]
    assert isinstance(frame, pd.DataFrame)
    return frame


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
    with closing(sqlite3.connect(database)) as con:
        for task, key in zip(suite.tasks, suite.keys, strict=True):
            validate_task(task, key)
            verdict = grade(task, key, run_solution(suite, key, con))
            assert verdict.passed, f"{task.task_id}: {verdict.evidence}"
            assert key.vacuous == (key.value is None)


def by_id(suite: SuiteBuild) -> dict[str, tuple[TaskSpec, AnswerKey]]:
    pairs = zip(suite.tasks, suite.keys, strict=True)
    return {task.task_id: (task, key) for task, key in pairs}


def test_questions_become_tasks_or_are_counted(data: Path, tmp_path: Path) -> None:
    suite = build_from(data, tmp_path / "scratch")
    found = by_id(suite)
    assert list(found) == ["sex", "history", "history-no", "no", "year", "phone", "trip"]
    left_out = {name: n for name, n in suite.counts.items() if name.startswith("left out")}
    assert left_out == {
        "left out, came before": 1,
        "left out, its patient is not in the database": 1,
        "left out, gold SQL is empty": 1,
        "left out, gold is zero": 1,
        "left out, gold SQL does not run": 1,
        "left out, gold SQL hangs on ties": 1,
        "left out, asks for yes or no, gold SQL does not": 1,
    }
    assert (suite.counts["yes/no: yes"], suite.counts["yes/no: no"]) == (1, 2)
    kinds = {id_: task.answer.kind for id_, (task, _) in found.items()}
    assert kinds == {
        "sex": "table", "history": "boolean", "history-no": "boolean", "no": "boolean",
        "year": "table", "phone": "table", "trip": "boolean",
    }  # fmt: skip
    assert [key.value for key in suite.keys] == [[["f"]], True, False, False, [[4]], None, None]
    assert {task.sensitivity for task in suite.tasks} == {"credentialed"}
    check_solutions(suite)


def test_a_yes_and_its_no_are_one_group_about_two_patients(data: Path, tmp_path: Path) -> None:
    found = by_id(build_from(data, tmp_path / "scratch"))
    (yes, _), (no, _) = found["history"], found["history-no"]
    assert (yes.group, yes.split) == (no.group, no.split)
    assert "Has patient 2 been" in yes.prompt
    assert "Has patient 2 been" not in no.prompt
    assert (
        no.prompt.replace("patient 1", "patient 2").replace("patient 3", "patient 2") == yes.prompt
    )


def test_unanswerable_questions_name_patients_who_are_there(data: Path, tmp_path: Path) -> None:
    found = by_id(build_from(data, tmp_path / "scratch"))
    assert "4711" not in found["phone"][0].prompt
    assert "Has patient 3 travelled abroad?" in found["trip"][0].prompt


@pytest.mark.parametrize(
    ("id_", "right", "wrong"),
    [
        ("sex", ["f", [["F"]], pd.DataFrame({"gender": ["f"]})], [None, "m", ["f", "m"], []]),
        ("history", [True, 1, np.True_, "yes"], [False, 0, None, "maybe"]),
        ("history-no", [False, 0], [True, None]),
        ("year", [4, "4.0", [[4]]], [5, -4, None, True]),
        ("phone", [None], ["unknown", [], 0, False, ""]),
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


def test_mimic_iii_is_preprocessed(data: Path, tmp_path: Path) -> None:
    suite = build_from(data, tmp_path / "scratch")
    assert list(suite.images[0].variables) == list(mimic_iii.TABLES)
    assert list(table(suite, "patients").subject_id) == [1, 2, 3]
    # 4 is a baby, and 22 is the longest stay
    assert list(table(suite, "admissions").hadm_id) == [11, 12, 21, 31]
    admitted = table(suite, "admissions").admittime
    assert admitted.dt.year.between(2100, 2105).all()
    assert (admitted[1] - admitted[0]).days == 19  # stays of one patient move together
    assert list(table(suite, "d_icd_procedures").short_title) == ["first"]  # 0012 and 12 are one
    assert list(table(suite, "diagnoses_icd").icd9_code) == ["0010", "v10"]
    assert list(table(suite, "labevents").valueuom) == ["mmol/l", None]
    assert list(table(suite, "prescriptions").dose_val_rx) == ["1000.0", "5.0"]
    assert list(table(suite, "d_items").itemid) == [211, 301, 401]
    assert len(table(suite, "transfers")) == len(table(suite, "chartevents")) == 1
    assert list(table(suite, "inputevents_cv").amount) == [100.0]
    assert list(table(suite, "outputevents").value) == [100.0]
    cost = table(suite, "cost")
    assert Counter(cost.event_type) == {
        "diagnoses_icd": 2, "labevents": 2, "procedures_icd": 1, "prescriptions": 2,
    }  # fmt: skip
    assert cost[cost.event_type == "labevents"].cost.nunique() == 1  # one price for one item
    again = build_from(data, tmp_path / "again")
    assert table(again, "cost").equals(cost)
    assert [task.hash for task in again.tasks] == [task.hash for task in suite.tasks]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_packed_tables_and_databases_give_the_same(data: Path, tmp_path: Path, pack: Any) -> None:
    plain = build_from(data, tmp_path / "plain")
    suffix = {gzip.compress: ".gz", lzma.compress: ".xz"}[pack]
    for path in (data / "mimic_iii").iterdir():
        (path.parent / f"{path.name}{suffix}").write_bytes(pack(path.read_bytes()))
        path.unlink()
    packed = build_from(data, tmp_path / "packed")
    database = packed.images[0].database
    assert database is not None
    ready = data / "ehrsql" / f"mimic_iii.sqlite{suffix}"
    with closing(sqlite3.connect(database)) as con:
        for name in [
            row[0]
            for row in con.execute(
                "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
            )
        ]:
            con.execute(f"DROP INDEX {name}")
        con.commit()
    ready.write_bytes(pack(database.read_bytes()))
    brought = build_from(data, tmp_path / "brought")
    for suite in (packed, brought):
        assert [task.hash for task in suite.tasks] == [task.hash for task in plain.tasks]
        assert suite.keys == plain.keys
    told = "database: preprocessed here from the tables"
    assert (packed.counts[told], brought.counts[told]) == (1, 0)


def test_chunks_make_no_difference(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = build_from(data, tmp_path / "whole")
    monkeypatch.setattr("benchside.suites.ehrsql.release.CHUNK_ROWS", 1)
    chunked = build_from(data, tmp_path / "chunked")
    for name in mimic_iii.TABLES:
        assert table(chunked, name).equals(table(whole, name)), name


def test_eicu_is_preprocessed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_eicu(data)
    about = "select count(*)>0 from patient where uniquepid = '{}' and gender = 'female'"
    write_questions(
        data,
        [
            item("sex", "Is patient 001-2 female?", about.format("001-2"), db_id="eicu",
                 value={"patient_id": "001-2"}),
            item("fees", "What does patient 999-12345 owe?", "null", db_id="eicu"),
        ],
        "eicu_test",
    )  # fmt: skip
    suite = build_from(data, tmp_path / "scratch", "ehrsql_eicu")
    patient = table(suite, "patient")
    assert list(patient.patientunitstayid) == [1, 2, 3, 4]  # all others are left out
    assert list(patient.age) == ["50", "50", "51", "61"]
    assert patient.hospitaladmittime[0] == patient.hospitaladmittime[1]  # one hospital stay
    assert patient.hospitaladmittime[2].year == patient.hospitaladmittime[0].year + 1
    hours = patient.unitdischargetime - patient.unitadmittime
    assert hours.dt.total_seconds().div(60).tolist() == [600, 90, 500, 50]
    # fibrillation is commoner below cardiovascular than below surgery
    assert list(table(suite, "diagnosis").diagnosisname) == ["atrial - fibrillation"] * 2
    assert list(table(suite, "treatment").treatmentname) == ["oxygen - mask"]
    assert list(table(suite, "lab").labname) == ["lactate", "sodium"]
    assert list(table(suite, "medication").drugname) == ["aspirin 81 mg", "heparin"]
    assert table(suite, "medication").drugstoptime.isna().tolist() == [False, True]
    assert list(table(suite, "allergy").allergyname) == ["none"]
    assert list(table(suite, "intakeoutput").celllabel) == ["oral"]
    assert len(table(suite, "vitalperiodic")) == 1
    assert len(table(suite, "cost")) == 2 + 2 + 1 + 2
    fees, _ = by_id(suite)["fees"]
    assert "999-12345" not in fees.prompt
    assert by_id(suite)["sex"][1].flags == ("yes-without-a-no",)  # all patients are women


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("LABEVENTS", "2141-03-21 12:00:00", "21.3.2141", ["row 4", "charttime", "21.3.2141"]),
        ("LABEVENTS", "12,501,", "12,five,", ["LABEVENTS.csv, row 4", "ITEMID", "'five'"]),
        ("LABEVENTS", "3.5, ,", "high, ,", ["LABEVENTS.csv, row 4", "VALUENUM", "'high'"]),
        ("ADMISSIONS", "\n12,1,", "\n12,1.5,", ["ADMISSIONS.csv, row 3", "subject_id", "1.5"]),
        ("ADMISSIONS", "\n12,1,", "\n12,,", ["ADMISSIONS.csv, row 3", "subject_id", "whole"]),
        ("PATIENTS", "DOB", "BORN", ["PATIENTS.csv, row 1", "no column dob", "born"]),
        ("ICUSTAYS", "MICU,MICU", "MICU,MICU,1,2,3", ["ICUSTAYS.csv", "line 2"]),
        ("TRANSFERS", "discharge,,,,\n", "discharge,,", ["TRANSFERS.csv", "cut off"]),
    ],
)  # fmt: skip
def test_malformed_tables_are_named(
    data: Path, tmp_path: Path, file: str, old: str, new: str, told: list[str]
) -> None:
    edit(data / "mimic_iii" / f"{file}.csv", old, new)
    with pytest.raises(InputError) as caught:
        build_from(data, tmp_path / "scratch")
    assert all(words in str(caught.value) for words in told), caught.value
    assert caught.value.fix


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_cut_tables_are_named_and_nothing_is_left(data: Path, tmp_path: Path, pack: Any) -> None:
    path = data / "mimic_iii" / "CHARTEVENTS.csv"
    suffix = {gzip.compress: ".gz", lzma.compress: ".xz"}[pack]
    packed = path.with_name(path.name + suffix)
    packed.write_bytes(pack(path.read_bytes())[:-12])
    path.unlink()
    home = tmp_path / "home"
    with pytest.raises(InputError, match=r"cut off(.|\n)*CHARTEVENTS\.csv"):
        prepare("ehrsql_mimic3", home, data=data)
    assert [str(path) for path in home.rglob("*")] == []


def test_missing_tables_and_mixed_releases_are_named(data: Path, tmp_path: Path) -> None:
    lab = data / "mimic_iii" / "LABEVENTS.csv"
    other = data / "mimic-iii-clinical-database-1.4" / "LABEVENTS.csv"
    other.parent.mkdir()
    lab.rename(other)
    with pytest.raises(InputError, match="several folders"):
        build_from(data, tmp_path / "scratch")
    other.unlink()
    with pytest.raises(DataMissingError, match="lacks tables: labevents"):
        build_from(data, tmp_path / "scratch")
    for path in (data / "mimic_iii").iterdir():
        path.unlink()
    with pytest.raises(DataMissingError, match="neither a database nor a release"):
        build_from(data, tmp_path / "scratch")
    (data / "ehrsql" / "mimic_iii_valid.json").unlink()
    with pytest.raises(DataMissingError, match="no question file"):
        build_from(data, tmp_path / "scratch")
    with pytest.raises(DataMissingError, match="data folder"):
        build(BuildOptions(manifest("ehrsql_eicu"), None, tmp_path, seed=0, size=None))


def test_wrong_and_damaged_databases_are_named(data: Path, tmp_path: Path) -> None:
    database = build_from(data, tmp_path / "scratch").images[0].database
    assert database is not None
    whole, brought = database.read_bytes(), data / "ehrsql" / "mimic_iii.sqlite"
    brought.write_bytes(b"no database" * 1000)
    with pytest.raises(InputError, match="no SQLite database"):
        build_from(data, tmp_path / "scratch")
    brought.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged"):
        build_from(data, tmp_path / "scratch")
    brought.write_bytes(whole)
    with closing(sqlite3.connect(brought)) as con:
        con.execute("ALTER TABLE labevents DROP COLUMN valueuom")
        con.commit()
    with pytest.raises(InputError, match=r"lacks columns: valueuom(.|\n)*table labevents"):
        build_from(data, tmp_path / "scratch")
    with closing(sqlite3.connect(brought)) as con:
        con.execute("DROP TABLE cost")
        con.commit()
    with pytest.raises(InputError, match=r"lacks tables: cost(.|\n)*mimic_iii\.sqlite"):
        build_from(data, tmp_path / "scratch")
    brought.with_suffix(".sqlite.xz").write_bytes(lzma.compress(whole)[:-30])
    brought.unlink()
    with pytest.raises(InputError, match="packed database is damaged or cut off"):
        build_from(data, tmp_path / "scratch")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"db_id": "eicu"}, ["item 0, field 'db_id'", "'eicu'", "mimic_iii"]),
        ({"question": " "}, ["item 0, field 'question'"]),
        ({"query": None}, ["item 0, field 'query'"]),
        ({"query": "null"}, ["item 0, field 'is_impossible'", "disagrees"]),
        ({"is_impossible": "no"}, ["field 'is_impossible'", "'no'"]),
        ({"q_tag": 7}, ["field 'q_tag'", "7"]),
        ({"value": []}, ["field 'value'"]),
        ({"id": ""}, ["field 'id'"]),
        ({"answer": "f"}, ["field 'answer'", "'f'"]),
        ({"answer": [["f"], ["m"]], "n_rows": 1}, ["field 'n_rows'", "1"]),
    ],
)
def test_malformed_questions_are_named(
    data: Path, tmp_path: Path, changed: dict[str, Any], told: list[str]
) -> None:
    write_questions(data, [{**MIMIC_ITEMS[0], **changed}])
    with pytest.raises(InputError) as caught:
        build_from(data, tmp_path / "scratch")
    assert all(words in str(caught.value) for words in ["mimic_iii_valid.json", *told]), (
        caught.value
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"[{", "not JSON"), (b"[]", "no questions"), (b"", "no questions"), (b"[1]", "item 0"),
        (b"\xff", "damaged"), (b'{"a": 1}\n{"b"', "line 2"),
    ],
)  # fmt: skip
def test_damaged_question_files_are_named(
    data: Path, tmp_path: Path, content: bytes, told: str
) -> None:
    path = data / "ehrsql" / "mimic_iii_valid.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"(?s)(?=.*{told})(?=.*mimic_iii_valid)"):
        build_from(data, tmp_path / "scratch")
    path.unlink()
    (path.parent / "mimic_iii_valid.json.gz").write_bytes(gzip.compress(content * 40)[:-9])
    with pytest.raises(InputError, match="damaged or cut off"):
        build_from(data, tmp_path / "scratch")


def test_questions_of_another_release_are_refused(data: Path, tmp_path: Path) -> None:
    absent = [item for item in MIMIC_ITEMS if item["id"] in ("absent", "none", "phone")]
    write_questions(data, absent)
    with pytest.raises(InputError, match=r"no question has an answer(.|\n)*patient is not in"):
        build_from(data, tmp_path / "scratch")


def test_another_table_makes_another_build(data: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    one = prepare("ehrsql_mimic3", home, data=data)
    edit(data / "mimic_iii" / "LABEVENTS.csv", "2.5,2.5", "2.7,2.7")
    two = prepare("ehrsql_mimic3", home, data=data)
    assert one.record.build != two.record.build
    assert len(one.record.data) == 17  # 16 tables and one question file; the others are optional
    assert [task.hash for task in one.tasks] == [task.hash for task in two.tasks]


def test_other_formats_of_questions(data: Path, tmp_path: Path) -> None:
    sex = MIMIC_ITEMS[0]
    (data / "ehrsql" / "mimic_iii_valid.json").unlink()
    lines = [
        {**sex, "id": "gym", "answer": ["m"]},
        {**sex, "id": "gym2", "question": "Sex of 1?", "answer": ["f"]},
    ]
    gym = data / "medagentgym" / "mimic_iii" / "valid_tasks.jsonl"
    gym.parent.mkdir(parents=True)
    gym.write_text("\n".join(map(json.dumps, lines)))
    filled = {name: sex[name] for name in ("query", "q_tag", "value")} | {
        "db": "mimic_iii", "answer": [["f"]], "n_rows": 1,
    }  # fmt: skip
    derived = data / "derived" / "m3_more.json.gz"
    derived.parent.mkdir()
    derived.write_bytes(gzip.compress(json.dumps([
        {**filled, "id": "d1", "question": "One?", "text_clean": True},
        {**filled, "id": "d2", "question": "Two?", "text_clean": False},
    ]).encode()))  # fmt: skip
    suite = build_from(data, tmp_path / "scratch")
    found = by_id(suite)
    assert list(found) == ["d1", "gym", "gym2"]
    assert [key.flags for key in suite.keys] == [(), ("published-answer-differs",), ()]
    assert suite.counts["left out, text is spoilt"] == 1


def test_published_answers_cut_or_of_one_column() -> None:
    rows = ((1, "a"), (2, "b"), (3, "c"))
    assert agrees(rows, Published(((2, "b"), (1, "a")), 3, first_column_only=False))
    assert not agrees(rows, Published(((2, "b"), (1, "a")), 2, first_column_only=False))
    assert not agrees(rows, Published(((2, "b"), (1, "x")), 3, first_column_only=False))
    assert agrees(rows, Published((("3",), ("1.0",), ("2",)), 3, first_column_only=True))
    assert not agrees(rows, Published((("3",), ("1",)), 2, first_column_only=True))


def test_gold_ends_in_time_and_cannot_write(tmp_path: Path) -> None:
    with closing(sqlite3.connect(":memory:")) as one, closing(sqlite3.connect(":memory:")) as two:
        gold = Gold(one, two)
        endless = (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n"
        )
        assert gold.run(endless, timeout_s=0.05) == Found("times out")
        assert gold.run("SELECT 1; SELECT 2").standing == "does not run"
        assert gold.run("SELECT NULL, NULL") == Found("is empty")
        assert gold.run("SELECT 0.1 + 0.2") == Found("found", ((0.1 + 0.2,),))


def test_counterparts_change_text_and_sql_alike() -> None:
    asked = Question("q", "Did patient 12 (12) get it?", "select 12 = 12 or 112", patient="12")
    made = counterpart(asked, ["12", "13"], lambda sql: "13" in sql)
    assert made is not None
    assert (made.id, made.patient) == ("q-no", "13")
    assert made.text == "Did patient 13 (13) get it?"
    assert made.sql == "select 13 = 13 or 112"
    assert counterpart(asked, ["12", "13"], lambda sql: False) is None
    unnamed = Question("q", "Did he get it?", "select 12", patient="12")
    assert counterpart(unnamed, ["13"], lambda sql: True) is None
    abroad = Question("q", "Did patient 5 follow patient 12?", None)
    present = with_present_patient(abroad, r"(?<=patient )\d+\b", ["12", "13"])
    assert present.text in (
        "Did patient 12 follow patient 12?",
        "Did patient 13 follow patient 12?",
    )


def test_runnable_keeps_literals_and_capitalises_strftime_only() -> None:
    sql = (
        "select strftime('%y-%m', t.a) from t where b = 'heparin  flush' and c like '%y%' "
        "and d < = current_time"
    )
    assert runnable(sql) == (
        "select strftime('%Y-%m', t.a) from t where b = 'heparin  flush' and c like '%y%' "
        "and d <= '2105-12-31 23:59:00'"
    )
    assert runnable("x between sao2_lower and sao2_upper") == "x between 95.0 and 100.0"


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        (None, "unanswerable"),
        ("select count(*)>0 from t where a = 3", "yes-no"),
        ("select ( select a from t ) < ( select b from t )", "yes-no"),
        ("select sum( case when patients.dod is null then 1 end ) from patients", "survival"),
        ("select t1.d from ( select d, dense_rank() over ( order by 1 ) as c1 from t )", "ranking"),
        ("select distinct cost.cost from cost where cost.event_type = 'x'", "cost"),
        ("select count( distinct a ) from t where b > 3", "count"),
        ("select prescriptions.startdate from prescriptions", "time"),
        ("select 24 * ( strftime('%j',current_time) - strftime('%j', t.a) ) from t", "time"),
        ("select ( select a from t ) - ( select b from t )", "aggregate"),
        ("select max(chartevents.valuenum) from chartevents", "aggregate"),
        ("select patients.gender from patients where a > 3", "lookup"),
    ],
)  # fmt: skip
def test_categories(sql: str | None, kind: str) -> None:
    assert category(sql) == kind
    assert sql is None or gives_yes_no(sql) == (kind == "yes-no")


def test_wording_of_yes_no_questions() -> None:
    assert words_yes_no("Has patient 1 travelled abroad?")
    assert not words_yes_no("Is patient 1 a man or a woman?")
    assert not words_yes_no("Do count the number of patients.")


def test_splits_are_drawn_by_group() -> None:
    drawn = Counter(split(f"template-{n}") for n in range(1000))
    assert split("template-1") == split("template-1")
    assert 550 < drawn["train"] < 650
    assert 150 < drawn["valid"] < 250


def test_only_known_ids_are_a_demo() -> None:
    assert ids_digest([3, 1, 2]) == ids_digest(["1", "2", "3"])  # type: ignore[list-item]
    assert not is_demo([1, 2, 3])


SOURCES = {
    "ehrsql_mimic3": ("mimic_iii_demo", "ehrsql_mimic_iii_demo", "m3", mimic_iii.TABLES),
    "ehrsql_eicu": ("eicu_demo", "ehrsql_eicu_demo", "eicu", eicu.TABLES),
}


@pytest.fixture(scope="module", params=SOURCES)
def demo(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, SuiteBuild]]:
    """The suite on the open demo, made from its tables."""
    name = request.param
    folder = SHARED / SOURCES[name][0]
    if not folder.is_dir() or not (SHARED / "derived").is_dir():
        pytest.skip(f"no open demo in {folder} (BENCHSIDE_DATA)")
    data = tmp_path_factory.mktemp(name)
    (data / folder.name).mkdir()
    for path in folder.glob("*.csv*"):
        (data / folder.name / path.name).symlink_to(path)
    for part in ("ehrsql", "derived"):
        (data / part).symlink_to(SHARED / part)
    yield name, build_from(data, tmp_path_factory.mktemp("scratch"), name)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_demo_is_preprocessed_cell_for_cell(demo: tuple[str, SuiteBuild], tmp_path: Path) -> None:
    """Against a database that EHRSQL's own preprocessing made from the same tables."""
    name, suite = demo
    folder, stem, _, tables = SOURCES[name]
    packed = SHARED / folder / f"{stem}.sqlite.xz"
    if not packed.is_file():
        pytest.skip(f"no independent database at {packed}")
    independent = tmp_path / "independent.sqlite"
    independent.write_bytes(lzma.decompress(packed.read_bytes()))
    made = suite.images[0].database
    assert made is not None
    with closing(sqlite3.connect(made)) as ours, closing(sqlite3.connect(independent)) as theirs:
        for name in tables:
            columns = ", ".join(column.split()[0] for column in tables[name].split(", "))
            sql = f"SELECT {columns} FROM {name} ORDER BY rowid"
            assert ours.execute(sql).fetchall() == theirs.execute(sql).fetchall(), name


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_derived_items_verify(demo: tuple[str, SuiteBuild]) -> None:
    name, suite = demo
    path = SHARED / "derived" / f"{SOURCES[name][2]}_reinst5.json.gz"
    items = {item["id"]: item for item in json.loads(gzip.decompress(path.read_bytes()))}
    clean = {id_ for id_, item in items.items() if item["text_clean"]}
    tasks = {task.task_id for task in suite.tasks}
    assert len(tasks & clean) >= 0.95 * len(clean)
    assert not tasks & set(items) - clean
    flags = Counter(flag for key in suite.keys for flag in key.flags)
    assert flags["published-answer-differs"] == 0
    assert {task.sensitivity for task in suite.tasks} == {"open"}
    yes_no = Counter(key.value for key in suite.keys if isinstance(key.value, bool))
    assert abs(yes_no[True] - yes_no[False]) <= 0.1 * yes_no[True]
    groups = {
        which: {t.group for t in suite.tasks if t.split == which}
        for which in ("train", "valid", "test")
    }
    assert not groups["train"] & (groups["valid"] | groups["test"])


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_demo_solutions_all_pass(demo: tuple[str, SuiteBuild]) -> None:
    check_solutions(demo[1])


def test_errors_of_builders_are_benchside_errors(data: Path, tmp_path: Path) -> None:
    (data / "mimic_iii" / "PATIENTS.csv").write_text("")
    with pytest.raises(BenchsideError, match=r"PATIENTS\.csv"):
        prepare("ehrsql_mimic3", tmp_path / "home", data=data)
