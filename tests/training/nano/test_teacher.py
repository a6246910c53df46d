"""The imperfect teacher: half of what it does is right, and its slips are those that it names."""

import random
import sqlite3

import pytest

from benchside_training.nano import teacher

CELLS = (
    'rows = con.execute("""\nSELECT COUNT(DISTINCT subject_id) FROM stays '
    "WHERE year >= '2103' AND ward = 'ICU'\n\"\"\").fetchall()\nrows[:10]",
    "submit(rows[0][0])",
)


def test_slips_and_stumbles_have_their_shares() -> None:
    played = [teacher.played(CELLS, random.Random(number)) for number in range(2000)]
    clean = sum(cells == CELLS for cells in played)
    stumbles = sum(len(cells) == 3 for cells in played)
    assert 0.3 < clean / 2000 < 0.5
    assert 0.07 < stumbles / 2000 < 0.13


def test_the_same_seed_plays_the_same() -> None:
    assert teacher.played(CELLS, random.Random("x")) == teacher.played(CELLS, random.Random("x"))


@pytest.mark.parametrize("number", range(40))
def test_a_slip_is_still_sql_that_runs(number: int) -> None:
    con = sqlite3.connect(":memory:")
    con.execute("CREATE TABLE stays (subject_id INTEGER, year TEXT, ward TEXT)")
    cells = teacher.played(CELLS, random.Random(number))
    found: list[object] = []
    state: dict[str, object] = {"con": con, "submit": found.append}
    for place, cell in enumerate(cells):
        if place == 0 and len(cells) == 3:
            with pytest.raises(sqlite3.OperationalError, match="patient_id"):
                exec(cell, state)
        else:
            exec(cell, state)
    assert len(found) == 1


def test_rows_are_not_submitted_where_there_are_none() -> None:
    cells = ("n = len(trial)", "submit(n)")
    assert {teacher.played(cells, random.Random(number)) for number in range(50)} == {cells}
