"""Suites `icu_hours` and `mimic_extract`: definitions, risks, leaks; the file that users bring."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchside.batch import assign, run_batch
from benchside.errors import DataMissingError, InputError, IntegrityError
from benchside.graders import grade
from benchside.graders.metrics import auroc
from benchside.graders.probes import check_probes
from benchside.held_out.question import pose
from benchside.library import Suite, prepare
from benchside.manifests import manifest
from benchside.policies import make_policy
from benchside.provenance import provenance
from benchside.store import RunConfig, RunFolder
from benchside.suites.icu_hours.generate import generate
from benchside.suites.mimic_extract.extract import (
    CLASSES,
    OUTCOMES,
    Extract,
    confirmed,
    outcomes,
    window_class,
    windows,
)
from benchside.suites.mimic_extract.read import KEYS, read_extract
from benchside.suites.mimic_extract.subset import divide, questions, to_image
from benchside_kernels.makers import open_kernels
from benchside_kernels.submission import encode

CATEGORIES = {*OUTCOMES, "vaso", "vent"}


@pytest.fixture(scope="module")
def extract() -> Extract:
    return generate(4000, (0, 0))


@pytest.fixture(scope="module")
def suite(home: Path) -> Suite:
    return prepare("icu_hours", home, size=6)


def test_windows_by_hand() -> None:
    def named(on: list[int]) -> list[str | None]:
        return [CLASSES[place] if place >= 0 else None for place in windows(np.array(on))]

    quiet = [0] * 17
    assert named(quiet) == ["stay off"]
    assert named([1] * 17) == ["stay on"]
    assert named([1] * 12 + [1, 1, 0, 0, 0]) == ["wean"]
    assert named([0] * 12 + [0, 0, 0, 1, 1]) == ["onset"]
    assert named([0] * 12 + [1, 0, 1, 1, 1]) == ["onset"]  # as published: onset before wean
    assert named([0] * 12 + [1, 1, 1, 1, 1]) == ["stay on"]  # a change after the gap is not seen
    assert named([0] * 8 + [1] * 9) == [None]  # a change in the gap
    assert named([0] * 16) == []
    rng = np.random.default_rng(0)
    for _ in range(20):
        on = np.repeat(rng.integers(0, 2, 30), rng.integers(1, 14, 30))
        told = [window_class(on.tolist(), start) for start in range(len(windows(on)))]
        assert told == named(on.tolist())


def test_risks_are_true_and_labels_are_borne_out(extract: Extract) -> None:
    labels = outcomes(extract.patients)
    assert confirmed(extract.patients, labels).all()
    assert extract.risks is not None
    risks = extract.risks.loc[labels.index]
    for name in OUTCOMES:
        for rows in np.array_split(np.argsort(risks[name].to_numpy()), 5):
            risk, had = risks[name].iloc[rows], labels[name].iloc[rows]
            spread = np.sqrt((risk * (1 - risk)).sum())
            assert abs(had.sum() - risk.sum()) < 4 * spread + 1, name
        assert auroc(labels[name].to_numpy(float), risks[name].to_numpy()) > 0.65
    share = extract.hours.drop(columns=["icustay_id", "hour"]).isna().mean()
    assert share.min() > 0.05
    assert share.max() > 0.9


def test_contradicting_times_drop_the_stay(extract: Extract) -> None:
    patients = extract.patients.copy()
    labels = outcomes(patients)
    patients.loc[labels.index[0], "outtime"] += pd.Timedelta(days=20)
    dead = labels.index[labels["mort_icu"] == 1][0]
    patients.loc[dead, "deathtime"] = pd.NaT
    expected = 1 + (dead != labels.index[0])
    assert (~confirmed(patients, labels)).sum() == expected
    counts: Counter[str] = Counter()
    divide(replace(extract, patients=patients), (0, 0), counts)
    assert counts["stays dropped: times of stay or death contradict the labels"] == expected


def test_no_stay_shows_what_is_asked(extract: Extract) -> None:
    counts: Counter[str] = Counter()
    rows = divide(extract, (0, 0), counts)
    assert counts["windows dropped: two ways to a class differ"] == 0
    held = [set(one.test.index) for one in rows.values()]
    assert sum(map(len, held)) == len(set.union(*held))
    image = to_image("x", rows, extract.patients)
    assert not {"mort_icu", "los_icu", "outtime"} & set(image.variables["statics"].columns)
    assert all(list(frame) == ["start"] for frame in image.variables["held_out"].values())
    for name, length in (("first_day", 24), ("vaso", 6), ("vent", 6)):
        hours, start = rows[name].hours, pd.concat([rows[name].train, rows[name].test])["start"]
        since = hours["hour"] - hours["icustay_id"].map(start)
        assert since.min() == 0
        assert since.max() == length - 1
    stay = rows["vaso"].test.index[:1]
    later = extract.hours[extract.hours["icustay_id"].isin(stay)].tail(1)
    leaky = replace(rows["vaso"], hours=pd.concat([rows["vaso"].hours, later.assign(on=1)]))
    with pytest.raises(IntegrityError, match="1 rows are not before the prediction time"):
        to_image("x", {**rows, "vaso": leaky}, extract.patients)
    patients = extract.patients.copy()
    patients.loc[stay, "subject_id"] = patients["subject_id"][rows["vaso"].train.index[0]]
    with pytest.raises(IntegrityError, match="1 patients are in training and held out"):
        to_image("x", rows, patients)


def test_no_single_column_passes(extract: Extract) -> None:
    """How much was measured, age, or any one measurement, by its mean."""
    counts: Counter[str] = Counter()
    rows = divide(extract, (0, 0), counts)
    posed = 0
    for question in questions(rows, extract, 0, "x", counts):
        made = pose(question, manifest("icu_hours"))
        if made is None:
            continue
        posed += 1
        hours = rows[question.category if len(question.parts) > 1 else "first_day"].hours
        values = hours.drop(columns="hour").groupby("icustay_id")
        columns = values.mean().assign(
            taken=values.count().sum(axis=1), age=extract.patients["age"]
        )
        if "on" in columns:
            columns = columns[["on", "taken"]]
        ids = question.parts[0].held_out.index
        for _, column in columns.loc[ids].fillna(columns.median()).items():
            for score in (column, -column):
                names = [part.name for part in question.parts]
                told = score if names == [""] else dict.fromkeys(names, score)
                assert not grade(*made, encode(told)).passed, (made[0].task_id, column.name)
    assert posed >= 8


@pytest.mark.slow
async def test_in_kernels_the_reference_solves_and_others_do_not(
    suite: Suite, tmp_path: Path
) -> None:
    assert {task.category for task in suite.tasks} == CATEGORIES
    for task in suite.tasks:
        assert check_probes(task, suite.answer_key(task.task_id)) == []
    reference = make_policy("reference", solutions=lambda t: suite.answer_key(t.task_id).solution)
    folder = RunFolder(tmp_path / "run")
    folder.start(RunConfig(suites=(), policies={}, samples=1, seed=0, provenance={}), resume=False)
    tasks = [task for task in suite.tasks if task.category in ("mort_hosp", "vent")]
    async with open_kernels() as maker:
        assignments = assign([(suite, tasks)], [reference, make_policy("constant")], 1, 0)
        await run_batch(
            assignments, folder, provenance(0, maker.isolation), maker=maker, parallel=2
        )
    solved = [row.policy for row in folder.rows().values() if row.outcome == "solved"]
    assert solved == ["reference"] * len(tasks)


# --- the user's file


Tables = dict[str, pd.DataFrame]


def tables(extract: Extract) -> Tables:
    """The tables as the pipeline writes them."""
    ids = extract.patients.reset_index()[["subject_id", "hadm_id", "icustay_id"]]

    def indexed(frame: pd.DataFrame) -> pd.DataFrame:
        return (
            frame.rename(columns={"hour": "hours_in"}).merge(ids, on="icustay_id").set_index(KEYS)
        )

    means = indexed(extract.hours)
    means.columns = pd.MultiIndex.from_product(
        [means.columns, ["mean"]], names=["LEVEL2", "Aggregation Function"]
    )
    patients = extract.patients.reset_index().set_index(KEYS[:3])
    return {
        "patients": patients,
        "vitals_labs_mean": means,
        "interventions": indexed(extract.interventions),
    }


def write(folder: Path, written: Tables) -> Path:
    pytest.importorskip("tables")
    path = folder / "mimic_extract" / "all_hourly_data.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the names of the levels, and objects that are pickled
        for key, frame in written.items():
            frame.to_hdf(path, key=key)
    return path


def test_a_users_extract_is_read_and_solved(extract: Extract, tmp_path: Path, home: Path) -> None:
    path = write(tmp_path, tables(extract))
    read = read_extract(path)
    pd.testing.assert_frame_equal(read.hours, extract.hours)
    pd.testing.assert_frame_equal(read.interventions, extract.interventions)
    assert set(extract.patients) <= set(read.patients)
    suite = prepare("mimic_extract", home, data=tmp_path, size=30)
    assert suite.record.counts["stays"] == 4000
    dropped = [n for name, n in suite.record.counts.items() if "not told from guessing" in name]
    assert len(suite.tasks) + sum(dropped) == 12  # one subset has no more
    assert sum(dropped) <= 3
    assert {task.category for task in suite.tasks} == CATEGORIES
    assert {task.sensitivity for task in suite.tasks} == {"credentialed"}
    variables = suite.image(next(iter(suite.tasks))).load_variables()
    for task in suite.tasks:
        key = suite.answer_key(task.task_id)
        submitted: list[Any] = []
        scope = {
            **variables,
            "submit": submitted.append,
            "pd": pd,
            "np": np,
            "print": lambda *_: None,
        }
        for cell in key.solution if "auroc" in task.task_id else ():
            exec(cell, scope)
        assert all(grade(task, key, encode(one)).passed for one in submitted)


def set_value(key: str, column: str, value: Any) -> Callable[[Tables], None]:
    def change(written: Tables) -> None:
        frame = written[key]
        frame.iloc[2, frame.columns.get_loc(column)] = value

    return change


def set_first(value: float) -> Callable[[Tables], None]:
    def change(written: Tables) -> None:
        written["vitals_labs_mean"].iloc[2, 0] = value

    return change


def one_column(written: Tables) -> None:
    written["patients"] = written["patients"]["age"]


def drop_column(key: str, column: str) -> Callable[[Tables], None]:
    def change(written: Tables) -> None:
        written[key] = written[key].drop(columns=column)

    return change


def drop_rows(key: str) -> Callable[[Tables], None]:
    def change(written: Tables) -> None:
        written[key] = written[key].drop(written[key].index[2])

    return change


def drop_hours(written: Tables) -> None:
    written["vitals_labs_mean"] = written["vitals_labs_mean"].droplevel("hours_in")


def repeat_row(key: str) -> Callable[[Tables], None]:
    def change(written: Tables) -> None:
        written[key] = pd.concat([written[key], written[key].iloc[[1]]])

    return change


@pytest.mark.parametrize(
    ("change", "what", "where"),
    [
        (set_value("patients", "mort_icu", 3), "not 0 or 1", "patients, row 3, field 'mort_icu'"),
        (set_value("patients", "los_icu", -1), "0 or more", "patients, row 3, field 'los_icu'"),
        (set_value("patients", "age", np.inf), "0 or more", "patients, row 3, field 'age'"),
        (set_first(np.inf), "too large", "vitals_labs_mean, row 3, field 'heart rate'"),
        (one_column, "single column", "table patients"),
        (set_value("interventions", "vaso", 7), "not 0 or 1", "row 3, field 'vaso'"),
        (drop_column("interventions", "vent"), "missing", "interventions, field 'vent'"),
        (drop_column("patients", "max_hours"), "missing", "patients, field 'max_hours'"),
        (drop_rows("interventions"), "an hour is missing", "row 3, field 'hour'"),
        (drop_rows("patients"), "not among the patients", "field 'icustay_id'"),
        (repeat_row("interventions"), "occurs twice", "field 'hour'"),
        (repeat_row("patients"), "a stay occurs twice", "patients, row 41, field 'icustay_id'"),
        (lambda written: written.pop("patients"), "a table is missing", "table patients"),
        (drop_hours, "a level of the index is missing", "vitals_labs_mean, field 'hours_in'"),
    ],
)  # fmt: skip
def test_damaged_extracts_are_refused_by_table_row_and_field(
    tmp_path: Path, change: Callable[[Tables], None], what: str, where: str
) -> None:
    written = tables(generate(40, (3,)))
    change(written)
    with pytest.raises(InputError) as found:
        read_extract(write(tmp_path, written))
    assert what in found.value.what
    assert where in str(found.value.where)


def test_cut_off_and_small_extracts_leave_nothing(tmp_path: Path, home: Path) -> None:
    with pytest.raises(DataMissingError, match=r"all_hourly_data\.h5"):
        prepare("mimic_extract", home, data=tmp_path / "nowhere")
    path = write(tmp_path, tables(generate(40, (3,))))
    with pytest.raises(InputError, match="too few stays"):
        prepare("mimic_extract", home, data=tmp_path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:400], b"", b"not HDF5" * 100):
        path.write_bytes(content)
        with pytest.raises(InputError, match="damaged, cut off or not HDF5"):
            prepare("mimic_extract", home, data=tmp_path)
    assert not list(home.glob(".preparing-*"))
