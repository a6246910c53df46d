"""Notes: true to the tables, as readable by other code, and contradicted in the one planted way."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchside.hospital import mimic
from benchside.hospital.database import write_database
from benchside.hospital.notes.compose import choose
from benchside.hospital.notes.noteevents import TABLE, noteevents
from benchside.hospital.notes.plant import POSSIBLE, faults, mending_rows, plant
from benchside.hospital.notes.stay import Fact, Stay, Stays
from benchside.hospital.notes.style import ABBREVIATIONS, STYLES
from benchside.hospital.record import NOW, generate
from benchside.suites.audits import reading

ADMITTED = np.datetime64("2105-01-30T22:10:00")


@pytest.fixture(scope="module")
def frames() -> dict[str, pd.DataFrame]:
    return mimic.frames(generate(20, seed=4))


@pytest.fixture(scope="module")
def con(
    frames: dict[str, pd.DataFrame], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[sqlite3.Connection]:
    path: Path = tmp_path_factory.mktemp("notes") / "hospital.sqlite"
    write_database(path, mimic.TABLES, frames)
    opened = sqlite3.connect(path)
    yield opened
    opened.close()


def fact(value: str, time: str, **more: str) -> Fact:
    return Fact("labevents", "sodium", np.datetime64(time, "m"), value, "meq/l", **more)


def test_unaltered_notes_agree_with_the_tables(
    frames: dict[str, pd.DataFrame], con: sqlite3.Connection
) -> None:
    notes = noteevents(frames, seed=1)
    assert list(notes.columns) == list(TABLE.columns)
    words = reading.vocabulary(con, ABBREVIATIONS)
    verdicts = Counter[str]()
    for text, hadm in zip(notes["text"], notes["hadm_id"], strict=True):
        read = reading.audit(con, text, int(hadm), words)
        assert len(read) >= 6
        verdicts.update(verdict for verdict, _ in read.values())
    assert set(verdicts) == {"consistent"} and verdicts.total() > 600
    assert set(notes["category"]) == {"Discharge summary", "Physician", "Nursing"}
    for style in STYLES:
        assert notes["text"].str.contains(style.headings["plan"], regex=False).any(), style.name
    summaries = notes["category"] == "Discharge summary"
    assert notes.loc[summaries, "charttime"].isna().all()
    assert notes.loc[~summaries, "charttime"].notna().all()


def test_same_seed_same_notes() -> None:
    frames = mimic.frames(generate(6, seed=4))
    pd.testing.assert_frame_equal(noteevents(frames, seed=1), noteevents(frames, seed=1))
    assert not noteevents(frames, seed=1)["text"].equals(noteevents(frames, seed=2)["text"])


def test_faults_are_named_as_by_hand() -> None:
    rows = (fact("138", "2105-01-31T05:10"), fact("141", "2105-02-01T05:20"))
    nothing = dict.fromkeys(POSSIBLE, ())
    stay = Stay(1, 2, "f", 70, ADMITTED, ADMITTED, True, (), {**nothing, "labevents": rows})
    assert faults(rows[0], stay) == set()
    assert faults(replace(rows[0], value="139"), stay) == {"value"}
    assert faults(replace(rows[0], unit="mg/dl"), stay) == {"unit"}
    assert faults(replace(rows[0], unit=""), stay) == set(), "what is not said cannot be wrong"
    assert faults(fact("141", "2105-01-31T05:10"), stay) == {"value", "time"}
    assert faults(fact("138", "2105-01-31T05:11"), stay) == {"time"}
    assert faults(replace(fact("138", "2105-01-31T17:00"), precise=False), stay) == set()
    assert faults(replace(fact("99", "2105-03-01T05:10"), unit="g"), stay) == {"several"}
    assert faults(replace(rows[0], name="potassium"), stay) == {"absent"}
    assert mending_rows(replace(rows[1], value="140"), stay, "value") == [rows[1]]


def test_dates_are_written_in_each_way() -> None:
    day = np.datetime64("2105-02-01")
    written = {style.dates: style.date(day, ADMITTED) for style in STYLES}
    assert written == {
        "iso": "2105-02-01", "american": "02/01/2105", "words": "1 February 2105",
        "day": "hospital day 3",
    }  # fmt: skip
    for text in written.values():
        assert reading.take_date(text.lower(), str(ADMITTED)) == (" ", "2105-02-01")


def test_each_fault_can_be_planted_and_is_the_only_one(frames: dict[str, pd.DataFrame]) -> None:
    stays, rng = Stays(frames, NOW), np.random.default_rng(2)
    planted = Counter[tuple[str, str]]()
    for row in range(len(frames["admissions"])):
        stay = stays.stay(row)
        if not stay.finished:
            continue
        day = stay.end.astype("datetime64[D]")
        told = [*choose(rng, stay, "discharge", day)]
        for nursed in stay.days[:2]:
            told += choose(rng, stay, "nursing", nursed)
        for one in told:
            assert faults(one, stay) == set()
            for fault in POSSIBLE[one.source]:
                altered = plant(rng, one, stay, stays, fault)
                if altered is not None:
                    assert faults(altered, stay) == {fault}
                    planted[one.source, fault] += 1
    assert set(planted) == {(source, fault) for source, some in POSSIBLE.items() for fault in some}
