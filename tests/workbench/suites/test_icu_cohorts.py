"""Suite `icu_cohorts`: on small files in YAIB's form, on damaged ones, and on the demo cohorts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchside.errors import DataMissingError, InputError, IntegrityError
from benchside.graders import grade
from benchside.graders.probes import check_probes
from benchside.library import prepare
from benchside.manifests import manifest
from benchside.suite import BuildOptions, SuiteBuild
from benchside.suites import icu_cohorts
from benchside.suites.icu_cohorts.build import divide, to_image
from benchside.suites.icu_cohorts.stays import read_stays
from benchside_kernels.submission import encode

REPOSITORY = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("BENCHSIDE_DATA", REPOSITORY.parent / "shared" / "data"))
STAYS = 240


def frames(*, hourly: bool) -> dict[str, pd.DataFrame]:
    """Stays whose label follows the heart rate, and the creatinine much less."""
    rng = np.random.default_rng(5)
    stay = np.arange(STAYS) + 1000
    fast = rng.normal(0, 1, STAYS)
    hours = pd.MultiIndex.from_product([stay, range(12)]).to_frame(
        index=False, name=["stay_id", "h"]
    )
    where = hours["stay_id"].to_numpy() - 1000
    pulse = 80 + 15 * fast[where] + rng.normal(0, 4, len(hours))
    hours["hr"] = np.where(rng.random(len(hours)) < 0.3, np.nan, pulse)
    hours["crea"] = rng.gamma(4, 0.3, len(hours))
    hours["time"] = pd.to_timedelta(hours.pop("h"), unit="h").astype("timedelta64[s]")
    label = (fast + rng.normal(0, 0.6, STAYS) > 0.6).astype(int)
    outcome = pd.DataFrame({"stay_id": stay, "label": label})
    if hourly:
        outcome = hours[["stay_id", "time"]].assign(
            label=(label[where] == 1) & (hours["time"] > pd.Timedelta(hours=5))
        )
    static = pd.DataFrame(
        {
            "stay_id": stay, "age": rng.integers(20, 90, STAYS).astype(float),
            "sex": np.where(rng.random(STAYS) < 0.5, "Female", "Male"),
            "height": rng.integers(150, 195, STAYS).astype(float), "weight": 80.0,
        }
    )  # fmt: skip
    return {"dyn": hours, "outc": outcome, "sta": static}


def write(data: Path, kind: str, tables: dict[str, pd.DataFrame]) -> dict[str, Path]:
    folder = data / "yaib_demo" / kind / "eicu_demo"
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in tables.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    return {name: folder / f"{name}.parquet" for name in tables}


def build(data: Path, size: int) -> SuiteBuild:
    options = BuildOptions(manifest("icu_cohorts"), data, data, seed=0, size=size)
    return icu_cohorts.build(options)


def test_tasks_on_small_cohorts_are_solved_by_their_solutions(tmp_path: Path) -> None:
    write(tmp_path, "mortality24", frames(hourly=False))
    write(tmp_path, "aki", frames(hourly=True))
    built = build(tmp_path, size=6)
    assert [task.category for task in built.tasks] == [*["mortality24"] * 2, *["aki"] * 2] + [
        "mortality24"
    ] * 2
    images = {image.name: image for image in built.images}
    for task, key in zip(built.tasks, built.keys, strict=True):
        assert check_probes(task, key) == []
        submitted: list[Any] = []
        scope = {**images[task.image].variables, "submit": submitted.append, "pd": pd, "np": np}
        for cell in key.solution:
            exec(cell, scope)
        assert grade(task, key, encode(submitted[0])).passed
        assert not grade(task, key, encode(dict.fromkeys(submitted[0].index, 0.1))).passed
    first, later = (built.keys[0].value, built.keys[4].value)
    assert first != later  # another turn divides anew


def test_rows_are_cut_at_their_hour_and_split_by_possible_patient(tmp_path: Path) -> None:
    tables = frames(hourly=True)
    tables["sta"].loc[:9, ["age", "sex", "height"]] = [50.4, "Male", 180.0]
    tables["sta"].loc[:4, "weight"] = 70.0
    stays = read_stays(write(tmp_path, "aki", tables), binary=True)
    for seed in range(8):
        divided = divide(stays, (seed,), binary=True)
        alike = set(range(1000, 1010))
        sides = [bool(alike & set(side.index)) for side in (divided.train, divided.test)]
        assert sum(sides) == 1
        rows = pd.concat([divided.train, divided.test])
        last = divided.hours.groupby("stay_id")["hour"].max()
        assert (last == rows["hour"].reindex(last.index)).all()
    # where cases have their hours, so have the others: the hour does not tell
    by_label = rows.groupby("value")["hour"].mean()
    assert abs(by_label[0.0] - by_label[1.0]) < 1
    leaked = pd.concat([divided.hours, divided.hours.tail(1).assign(hour=99)])
    to_image("fine", divided, "x")
    with pytest.raises(IntegrityError, match="1 rows are not before the prediction time"):
        to_image("leaky", type(divided)(leaked, divided.statics, divided.train, divided.test), "x")


def test_an_unknown_sex_is_no_mans(tmp_path: Path) -> None:
    tables = frames(hourly=False)
    tables["sta"].loc[3, "sex"] = None
    stays = read_stays(write(tmp_path, "mortality24", tables), binary=True)
    assert stays.statics["sex"].isna().to_numpy().nonzero()[0].tolist() == [3]


@pytest.mark.parametrize(("label", "stays"), [(5.0, STAYS), (0.0, STAYS), (None, 3), (None, 1)])
def test_cohorts_with_nothing_to_tell_are_refused(
    tmp_path: Path, label: float | None, stays: int
) -> None:
    tables = frames(hourly=False)
    if label is not None:
        tables["outc"]["label"] = label
    for name in ("outc", "sta"):
        tables[name] = tables[name].head(stays)
    write(tmp_path, "kidney_function", tables)
    with pytest.raises(InputError, match=r"too few|enough stays"):
        build(tmp_path, size=2)


def spoil(table: str, field: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(tables: dict[str, Any]) -> None:
        tables[table][field] = tables[table][field].astype(object)
        tables[table].loc[3, field] = value
        tables[table][field] = tables[table][field].infer_objects()

    return change


def drop(table: str, field: str) -> Callable[[dict[str, Any]], None]:
    def change(tables: dict[str, Any]) -> None:
        tables[table] = tables[table].drop(columns=field)

    return change


def twice(tables: dict[str, Any]) -> None:
    tables["dyn"].loc[13, "time"] = tables["dyn"].loc[12, "time"]


def label_text(tables: dict[str, Any]) -> None:
    label = tables["outc"]["label"].astype(str)
    label[3] = "died"
    tables["outc"]["label"] = label


def as_text(tables: dict[str, Any]) -> None:
    tables["dyn"]["hr"] = tables["dyn"]["hr"].astype(str)


@pytest.mark.parametrize(
    ("change", "what", "where"),
    [
        (spoil("outc", "label", 2), "a label is missing", "outc.parquet, row 4, field 'label'"),
        (spoil("outc", "stay_id", 77), "no row of measurements", "outc.parquet, row 4, field 'st"),
        (spoil("outc", "stay_id", 1002), "a label occurs twice", "outc.parquet, row 4, field 'st"),
        (spoil("sta", "stay_id", 1002), "a stay occurs twice", "sta.parquet, row 4, field 'stay"),
        (spoil("sta", "stay_id", 77), "is missing in sta", "outc.parquet, row 4, field 'stay_id'"),
        (label_text, "a label is missing", "outc.parquet, row 4, field 'label'"),
        (spoil("dyn", "hr", np.inf), "too large", "dyn.parquet, row 4, field 'hr'"),
        (spoil("sta", "age", 1e300), "too large", "sta.parquet, row 4, field 'age'"),
        (spoil("sta", "sex", "F"), "neither Female nor Male", "sta.parquet, row 4, field 'sex'"),
        (twice, "an hour of a stay occurs twice", "dyn.parquet, row 14, field 'time'"),
        (drop("dyn", "time"), "a field is missing", "dyn.parquet, field 'time'"),
        (drop("sta", "height"), "a field is missing", "sta.parquet, field 'height'"),
        (as_text, "a measurement is not a number", "dyn.parquet, field 'hr'"),
    ],
)
def test_damaged_tables_are_refused_by_row_and_field(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], what: str, where: str
) -> None:
    tables = frames(hourly=False)
    change(tables)
    with pytest.raises(InputError) as found:
        read_stays(write(tmp_path, "mortality24", tables), binary=True)
    assert what in found.value.what
    assert where in str(found.value.where)


def test_cut_off_missing_and_no_files(tmp_path: Path, home: Path) -> None:
    with pytest.raises(DataMissingError, match="no cohort is there"):
        prepare("icu_cohorts", home, data=tmp_path)
    paths = write(tmp_path, "mortality24", frames(hourly=False))
    whole = paths["dyn"].read_bytes()
    paths["dyn"].write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cut off or not Parquet"):
        prepare("icu_cohorts", home, data=tmp_path)
    paths["dyn"].unlink()
    with pytest.raises(DataMissingError, match=r"a file of a cohort is missing[^$]*dyn\.parquet"):
        prepare("icu_cohorts", home, data=tmp_path)
    assert not list(home.glob("**/icu_cohorts*"))


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "yaib_demo").is_dir(), reason="needs yaib_demo (BENCHSIDE_DATA)")
def test_the_demo_cohorts_are_read_whole() -> None:
    built = build(SHARED, size=12)
    stays = {name: n for name, n in built.counts.items() if name.startswith("stays: ")}
    assert stays == {
        "stays: mortality24 eicu_demo": 1367, "stays: mortality24 mimic_demo": 99,
        "stays: aki eicu_demo": 1988, "stays: aki mimic_demo": 113,
        "stays: sepsis eicu_demo": 896, "stays: sepsis mimic_demo": 115,
        "stays: los eicu_demo": 2267, "stays: los mimic_demo": 132,
        "stays: kidney_function eicu_demo": 801, "stays: kidney_function mimic_demo": 69,
    }  # fmt: skip
    assert {task.category for task in built.tasks} >= {"mortality24", "aki", "kidney_function"}
    for task, key in zip(built.tasks, built.keys, strict=True):
        assert check_probes(task, key) == []
