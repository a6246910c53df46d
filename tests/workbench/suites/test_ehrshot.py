"""Suite `ehrshot`: generated hospitals written in both layouts, leaks planted, files damaged."""

from __future__ import annotations

import datetime as dt
import json
import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from benchside.errors import DataMissingError, InputError, IntegrityError
from benchside.graders import grade
from benchside.library import Suite, prepare
from benchside.manifests import manifest
from benchside.suite import BuildOptions
from benchside.suites.ehrshot.assets import _load
from benchside.suites.ehrshot.build import _source, to_image
from benchside.suites.ehrshot.labels import CHEXPERT, answers
from benchside.suites.ehrshot.source import Examples
from benchside.suites.longitudinal.build import NAMES, frames
from benchside.suites.longitudinal.timeline import Cohort, generate
from benchside_kernels.submission import encode

KINDS = ("guo_los", "lab_anemia", "chexpert")
EARLIER = pd.Timedelta(days=200)


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return generate(900, (7,))


def labelled(cohort: Cohort, kind: str) -> pd.DataFrame:
    """Rows as in the label files, with an earlier row of some patients."""
    values, _ = frames(kind, cohort, cohort.outcomes[kind])
    value = values["value"] if kind != "chexpert" else None
    if kind == "chexpert":
        assert set(CHEXPERT) == set(NAMES)
        value = sum(values[name] * 2 ** (13 - place) for place, name in enumerate(CHEXPERT))
    elif kind == "guo_los":
        value = value.map({1: "True", 0: "False"})
    label_type = "boolean" if kind == "guo_los" else "categorical"
    rows = pd.DataFrame(
        {"prediction_time": values["prediction_time"], "label_type": label_type, "value": value}
    ).reset_index()
    earlier = rows.iloc[:50].assign(prediction_time=rows["prediction_time"] - EARLIER)
    order = ["patient_id", "prediction_time", "label_type", "value"]
    return pd.concat([earlier, rows], ignore_index=True)[order]


def split_of(ids: Any) -> np.ndarray:
    return np.array(["train", "val", "test"])[np.asarray(ids) % 3]


def write_assets(data: Path, cohort: Cohort) -> Path:
    root = data / "EHRSHOT_ASSETS"
    for folder in ("data", "splits", *(f"benchmark/{kind}" for kind in KINDS)):
        (root / folder).mkdir(parents=True)
    cohort.events.to_csv(root / "data/ehrshot.csv", index=False)
    splits = pd.DataFrame({"split": split_of(cohort.ids), "omop_person_id": cohort.ids})
    splits.to_csv(root / "splits/person_id_map.csv", index=False)
    for kind in KINDS:
        labelled(cohort, kind).to_csv(root / f"benchmark/{kind}/labeled_patients.csv", index=False)
    return root


def write_gym(data: Path, cohort: Cohort) -> Path:
    """Features are noisy true risks, so that they tell something."""
    root = data / "medagentgym/ehrshot"
    root.mkdir(parents=True)
    names = [json.dumps({"task_id": i, "task_name": kind}) for i, kind in enumerate(KINDS)]
    (root / "task.jsonl").write_text("\n".join(names) + "\n")
    rng = np.random.default_rng(0)
    every: dict[str, list[pd.DataFrame]] = {"train": [], "val": [], "test": []}
    for kind in KINDS:
        rows = labelled(cohort, kind)
        split = split_of(rows["patient_id"])
        (root / kind).mkdir()
        for name, kept in every.items():
            own = rows[split == name]
            shown = own.assign(patient_id="tensor(" + own["patient_id"].astype(str) + ")")
            shown.to_csv(root / kind / f"{name}_labels.csv", index=False)
            kept.append(own[["patient_id", "prediction_time"]])
    risk = pd.Series(
        cohort.outcomes["guo_los"].risk, cohort.ids[cohort.outcomes["guo_los"].patient]
    )
    for name, parts in every.items():
        rows = pd.concat(parts).drop_duplicates()
        signal = rows["patient_id"].map(risk).fillna(0.3).to_numpy()
        content = {
            "data_matrix": np.column_stack([signal, rng.normal(size=(len(rows), 5))]),
            "patient_ids": rows["patient_id"].to_numpy(),
            "labeling_time": np.array([time.to_pydatetime() for time in rows["prediction_time"]]),
        }
        (root / f"clmbr_{name}.pkl").write_bytes(pickle.dumps(content))
    return root


def check_solutions(suite: Suite) -> None:
    """Run solutions on the images: of findings, those of one."""
    for task in suite.tasks:
        if task.category == "chexpert" and "edema" not in task.task_id:
            continue
        key = suite.answer_key(task.task_id)
        submitted: list[Any] = []
        scope = {**suite.image(task).load_variables(), "submit": submitted.append, "pd": pd}
        scope["print"] = lambda *_: None
        for cell in key.solution:
            exec(cell, scope)
        assert grade(task, key, encode(submitted[0])).passed
        constant = dict.fromkeys(submitted[0].index, 0.4)
        assert not grade(task, key, encode(constant)).passed


def test_the_authors_layout(cohort: Cohort, tmp_path: Path, home: Path) -> None:
    root = write_assets(tmp_path, cohort)
    moved = int(cohort.ids[split_of(cohort.ids) == "test"][0])
    with (root / "splits/person_id_map.csv").open("a") as file:
        file.write(f"train,{moved}\n")
    suite = prepare("ehrshot", home, data=tmp_path)
    counts = suite.record.counts
    assert counts["rows left out: not the patient's last"] == 50 * len(KINDS)
    assert counts["patients left out of training: held out, too"] >= 1
    assert counts["events left out: at or after the prediction time"] > 10_000
    assert counts["patients: guo_los"] == len(cohort.outcomes["guo_los"].patient)
    assert {task.category for task in suite.tasks} == set(KINDS)
    assert {task.sensitivity for task in suite.tasks} == {"credentialed"}
    assert len(suite.tasks) > 8
    check_solutions(suite)
    variables = suite.image(suite.task("guo_los-auroc")).load_variables()
    assert moved in variables["held_out"].index
    assert moved not in variables["labels"].index
    # the features know the record up to the prediction time, and no further
    shown = variables["held_out"]
    events = cohort.events[cohort.events["patient_id"].isin(shown.index)]
    before = events["start"] < events["patient_id"].map(shown["prediction_time"])
    visits = events[before & (events["code"] == "Visit/OP")].groupby("patient_id").size()
    told = variables["features"].loc[shown.index, "Visit/OP times"]
    assert (told == visits.reindex(shown.index)).all()


def test_medagentgyms_layout(cohort: Cohort, tmp_path: Path, home: Path) -> None:
    write_gym(tmp_path, cohort)
    suite = prepare("ehrshot", home, data=tmp_path)
    assert suite.record.counts["rows left out: no features of their time"] == 0
    assert suite.record.counts["rows left out: features of after their time"] == 0
    assert {"guo_los-auroc", "guo_los-auprc"} <= {task.task_id for task in suite.tasks}
    check_solutions(suite)
    variables = suite.image(suite.task("guo_los-auroc")).load_variables()
    assert list(variables["features"]) == [f"f{i}" for i in range(6)]
    assert (split_of(variables["held_out"].index) == "test").all()


def test_planted_leaks(cohort: Cohort, tmp_path: Path) -> None:
    root = write_gym(tmp_path, cohort)
    path = root / "clmbr_test.pkl"
    content = pickle.loads(path.read_bytes())
    content["labeling_time"] = content["labeling_time"] + dt.timedelta(hours=1)
    path.write_bytes(pickle.dumps(content))
    train = pd.read_csv(root / "guo_los/train_labels.csv")
    test = pd.read_csv(root / "guo_los/test_labels.csv").tail(3)
    pd.concat([train, test]).to_csv(root / "guo_los/train_labels.csv", index=False)
    options = BuildOptions(manifest("ehrshot"), tmp_path, tmp_path, seed=0, size=None)
    counts: Counter[str] = Counter()
    examples = _source(options).read("guo_los", counts)
    assert (examples.rows["split"] != "test").all()  # no held-out row has features of its time
    assert counts["rows left out: features of after their time"] > 200
    rows = examples.rows.copy()
    labels = answers("guo_los", rows["value"])
    late = examples.latest.copy()
    late.iloc[5] = rows["prediction_time"].iloc[5]
    with pytest.raises(IntegrityError, match="1 rows are not before the prediction time"):
        to_image("x", Examples(rows, examples.features, late), labels)


def test_bits_of_findings() -> None:
    found = answers("chexpert", pd.Series([8192, 1, 8192 + 1, 0], index=list("abcd")))
    assert found["No Finding"].tolist() == [1, 0, 1, 0]
    assert found["Support Devices"].tolist() == [0, 1, 1, 0]
    assert found.to_numpy().sum() == 4
    assert answers("lab_anemia", pd.Series([0, 1, 3]))["value"].tolist() == [0, 1, 1]


def put(field: str, value: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.astype(str)
        frame.loc[4, field] = value
        return frame

    return change


LABELS = "benchmark/lab_anemia/labeled_patients.csv"
PEOPLE = "splits/person_id_map.csv"


@pytest.mark.parametrize(
    ("name", "change", "what", "where"),
    [
        (LABELS, put("value", "4"), "not a number from 0 to 3", "row 5, field 'value'"),
        (LABELS, put("value", "True"), "not a number from 0 to 3", "row 5, field 'value'"),
        (LABELS, put("prediction_time", "soon"), "not a time", "row 5, field 'prediction_time'"),
        (LABELS, put("patient_id", "x7"), "not a patient's number", "row 5, field 'patient_id'"),
        (LABELS, put("patient_id", "7"), "the patient is not in person_id_map.csv", "row 5"),
        (LABELS, lambda f: f.drop(columns="value"), "a field is missing", "field 'value'"),
        (LABELS, lambda f: f.iloc[:0], "the file has no rows", LABELS),
        (PEOPLE, put("split", "dev"), "not train, val or test", "row 5, field 'split'"),
        ("data/ehrshot.csv", lambda f: f.drop(columns="start"), "a field is missing", "'start'"),
        ("data/ehrshot.csv", put("start", "x"), "damaged, cut off or not CSV", "ehrshot.csv"),
    ],
)
def test_damaged_tables_are_refused_by_row_and_field(
    tmp_path: Path, home: Path, name: str, change: Any, what: str, where: str
) -> None:
    root = write_assets(tmp_path, generate(60, (8,)))
    change(pd.read_csv(root / name)).to_csv(root / name, index=False)
    before = sorted(path.name for path in home.iterdir())
    with pytest.raises(InputError) as found:
        prepare("ehrshot", home, data=tmp_path)
    assert what in found.value.what
    assert where in str(found.value.where)
    assert sorted(path.name for path in home.iterdir()) == before


def test_values_beyond_any_measurement_are_none(tmp_path: Path) -> None:
    path = tmp_path / "ehrshot.csv"
    values = ("1.5", "inf", "-inf", "nan", "1e300", "1e999", "text", "")
    lines = [f"7,2020-01-0{day},A,{value}" for day, value in enumerate(values, 1)]
    path.write_text("\n".join(["patient_id,start,code,value", *lines]))
    with duckdb.connect() as con:
        _load(con, path)
        found = con.execute("SELECT value FROM events ORDER BY start").fetchall()
    assert found == [(1.5,), *[(None,)] * 7]


class Touching:
    """Unpickling it makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_a_pickle_runs_no_code(cohort: Cohort, tmp_path: Path, home: Path) -> None:
    root = write_gym(tmp_path, cohort)
    mark = tmp_path / "mark"
    pickled = pickle.dumps({"data_matrix": Touching(mark)})
    (root / "clmbr_val.pkl").write_bytes(pickled)
    with pytest.raises(InputError, match="holds more than numpy arrays"):
        prepare("ehrshot", home, data=tmp_path)
    assert not mark.exists()
    pickle.loads(pickled)
    assert mark.exists()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x80", "damaged, cut off"),
        (pickle.dumps({"data_matrix": np.zeros((2, 2))}), "a part is missing"),
        (
            pickle.dumps(
                {"data_matrix": np.zeros((2, 2)), "patient_ids": [1], "labeling_time": [1]}
            ),
            "do not have one row each",
        ),
        (
            pickle.dumps(
                {"data_matrix": np.full((1, 2), np.nan), "patient_ids": [1], "labeling_time": [1]}
            ),
            "not a finite number",
        ),
    ],
)
def test_damaged_features_and_task_files_are_refused(
    tmp_path: Path, home: Path, content: bytes, what: str
) -> None:
    root = write_gym(tmp_path, generate(60, (8,)))
    (root / "clmbr_val.pkl").write_bytes(content)
    with pytest.raises(InputError, match=what):
        prepare("ehrshot", home, data=tmp_path)
    (root / "task.jsonl").write_text('{"task_name": "guo_loss"}\n')
    with pytest.raises(InputError, match=r"unknown task[^$]*line 1[^$]*guo_loss"):
        prepare("ehrshot", home, data=tmp_path)


def test_missing_files_and_too_few_patients(tmp_path: Path, home: Path) -> None:
    with pytest.raises(DataMissingError, match="files of EHRSHOT are missing"):
        prepare("ehrshot", home, data=tmp_path)
    write_assets(tmp_path, generate(40, (8,)))
    with pytest.raises(InputError, match="no question can be told from guessing"):
        prepare("ehrshot", home, data=tmp_path)
