"""The synthetic hospital: reproducible, coherent, true to its schemas."""

import gzip
import json
import os
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchside.hospital import eicu, mimic, treqs
from benchside.hospital.conditions import COLUMN
from benchside.hospital.database import write_database
from benchside.hospital.laboratory import LABS
from benchside.hospital.record import NOW, Record, generate

REPOSITORY = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("BENCHSIDE_DATA", REPOSITORY.parent / "shared" / "data"))

VIEWS = {"mimic": mimic, "eicu": eicu, "treqs": treqs}
DAY = np.timedelta64(1, "D")


@pytest.fixture(scope="module")
def record() -> Record:
    return generate(250, seed=3)


def lab(record: Record, key: str) -> pd.DataFrame:
    index = next(index for index, item in enumerate(LABS) if item.key == key)
    return record.labs[record.labs["item"] == index]


def test_same_seed_same_hospital_and_another_seed_another_one() -> None:
    first, again, other = generate(40, 1), generate(40, 1), generate(40, 2)
    for name in ("patients", "stays", "icu", "moves", "labs", "vitals", "prescriptions"):
        pd.testing.assert_frame_equal(getattr(first, name), getattr(again, name))
    assert not first.patients.equals(other.patients)


def test_times_make_sense(record: Record) -> None:
    stays, icu, patients = record.stays, record.icu, record.patients
    assert (stays["disch"].dropna() > stays.loc[stays["disch"].notna(), "admit"]).all()
    assert (stays["admit"] < NOW).all() and (stays["last_seen"] <= NOW).all()
    following = stays.groupby("owner")["admit"].shift(-1)
    assert (following.dropna() > stays.loc[following.notna(), "disch"]).all()
    held = stays.iloc[icu["stay"]].reset_index(drop=True)
    assert (icu["intime"] >= held["admit"]).all() and (icu["outtime"] <= held["last_seen"]).all()
    for name in ("diagnoses", "procedures", "labs", "cultures"):
        events = getattr(record, name)
        within = stays.iloc[events["stay"]].reset_index(drop=True)
        assert (events["time"].to_numpy() >= within["admit"].to_numpy()).all(), name
        assert (events["time"].to_numpy() <= within["last_seen"].to_numpy()).all(), name
    dead = patients["dod"].to_numpy()[stays["owner"]]
    assert not (stays["admit"].to_numpy() > dead + DAY).any()
    in_hospital = stays["died"].to_numpy()
    ends = stays["disch"].to_numpy().astype("datetime64[D]")
    assert (dead[in_hospital].astype("datetime64[D]") == ends[in_hospital]).all()
    assert stays["disch"].isna().sum() >= 5, "some patients are in the hospital now"


def test_laboratory_values_follow_the_illness(record: Record) -> None:
    def gap(key: str, condition: str) -> float:
        values = lab(record, key)
        ill = record.has[values["stay"].to_numpy(), COLUMN[condition]]
        return float(np.log(values["value"][ill].mean() / values["value"][~ill].mean()))

    assert gap("creat", "aki") > 0.3
    assert gap("wbc", "septicemia") > 0.15
    assert gap("hgb", "anemia") < -0.03
    assert gap("plt", "thrombopenia") < -0.3
    gas = lab(record, "ph").merge(lab(record, "pco2"), on=["stay", "time"])
    assert gas["value_x"].between(6.75, 7.7).all()
    assert np.corrcoef(gas["value_x"], gas["value_y"])[0, 1] < -0.2
    pairs = lab(record, "hct").merge(lab(record, "hgb"), on=["stay", "time"])
    assert np.allclose(pairs["value_x"] / pairs["value_y"], 2.99, atol=0.75)


def test_the_severely_ill_die_more(record: Record) -> None:
    shock = record.has[:, COLUMN["sepshock"]]
    died = record.stays["died"].to_numpy()
    assert died[shock].mean() > 2 * died[~shock].mean()
    assert 0.04 < died.mean() < 0.18


@pytest.mark.parametrize("name", VIEWS)
def test_views_are_stored_as_they_stand(record: Record, name: str, tmp_path: Path) -> None:
    view = VIEWS[name]
    frames = view.frames(record)
    path = tmp_path / "view.sqlite"
    write_database(path, view.TABLES, frames)
    con = sqlite3.connect(path)
    for table in view.TABLES:
        stored = con.execute(f"SELECT COUNT(*) FROM {table.name}").fetchone()[0]
        assert stored == len(frames[table.name]) > 0
        required = [column for column, kind in table.columns.items() if kind.endswith("*")]
        assert frames[table.name][required].notna().all(axis=None), table.name
    con.close()


@pytest.mark.parametrize(("name", "file"), [("mimic", "mimic_iii.sql"), ("eicu", "eicu.sql")])
def test_schema_is_the_published_one(name: str, file: str) -> None:
    folder = SHARED
    if not (folder / "ehrsql" / file).is_file():
        pytest.skip(f"BENCHSIDE_DATA has no ehrsql/{file}")
    con = sqlite3.connect(":memory:")
    con.executescript((folder / "ehrsql" / file).read_text())
    for table in VIEWS[name].TABLES:
        published = con.execute(f"PRAGMA table_info({table.name})").fetchall()
        assert [row[1].lower() for row in published] == list(table.columns), table.name
        nullable = [row[1].lower() for row in published if not row[3]]
        ours = [column for column, kind in table.columns.items() if not kind.endswith("*")]
        assert nullable == ours, table.name
    names = con.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert len(names) == len(VIEWS[name].TABLES)
    con.close()


def test_treqs_has_the_published_columns(record: Record, tmp_path: Path) -> None:
    """The columns that MIMICSQL's gold queries name exist, so that those queries run."""
    file = SHARED / "mimicsql" / "mimicsql_natural_v2_dev.jsonl.gz"
    if not file.is_file():
        pytest.skip("BENCHSIDE_DATA has no mimicsql/mimicsql_natural_v2_dev.jsonl.gz")
    frames = treqs.frames(record)
    path = tmp_path / "treqs.sqlite"
    write_database(path, treqs.TABLES, frames)
    con = sqlite3.connect(path)
    published = gzip.decompress(file.read_bytes()).decode().splitlines()[:200]
    for query in (json.loads(line)["sql"] for line in published):
        con.execute(query)  # raises where a table or column is missing
    con.close()
