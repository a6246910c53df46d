"""What `debug` says of errors that real kernels raise."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd

from benchside.lookup.explain import explain
from benchside.lookup.index import open_index
from benchside.policy import Turn
from benchside.protocol import run_cell_action
from benchside_kernels.image import ImageSource, build_image
from benchside_kernels.session import KernelSession
from benchside_kernels.stock import StockKernels

CASES = [
    ("patients['subject_di']", ["KeyError", "patients.subject_id"]),
    ("patients.subjectid.mean()", ["AttributeError", "patients.subject_id"]),
    ("patiens", ["NameError", "The name has not been set", "patients"]),
    ("con.execute('select x from labevent')", ["no such table", "Similar names", "labevents"]),
    ("con.execute('select labl from labevents')", ["no such column", "labevents.label"]),
    (
        "x = 1\npatients[patients.drug == 'asprin'].iloc[0]",
        ["in its line: patients[", "no rows", "No column holds 'asprin'; near it: 'aspirin'"],
    ),
    ("con.execute(\"select 1/'heparn' from nowhere\")", ["'heparn'; near it: 'heparin'"]),
    ("float('12 mg')", ["not of the form"]),
    ("'a' + 1", ["two types"]),
    ("import no_such_thing", ["nothing can be installed"]),
    ("open('/data/patients.csv')", ["work folder"]),
    ("if True", ["none of it was run"]),
    ("import os; os._exit(1)", ["The kernel ended"]),
]


async def test_errors_are_explained_with_names_and_values_of_the_data(tmp_path: Path) -> None:
    database = tmp_path / "d.sqlite"
    with closing(sqlite3.connect(database)) as con:
        con.executescript("CREATE TABLE labevents(label TEXT);")
    patients = pd.DataFrame({"subject_id": [1, 2], "drug": ["aspirin", "heparin"]})
    source = ImageSource("explain", {"patients": patients}, database)
    image = build_image(source, tmp_path / "images")
    index = open_index(image, tmp_path)
    assert explain(index, []) == "No cell has been run so far."
    turns: list[Turn] = []
    async with KernelSession(image, maker=StockKernels()) as session:
        for code, words in [("1 + 1", []), *CASES]:
            result = await session.run(code, 30)
            turns.append(Turn(run_cell_action(code), result, ()))
            said = explain(index, turns)
            assert [word for word in words if word not in said] == [], said
            if code == "1 + 1":
                assert said == "No cell has failed so far."
