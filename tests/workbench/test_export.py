"""Exports for sharing: planted identifiers, dates, small counts and notes do not survive."""

import json
import sqlite3
import string
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import benchside
from benchside import library
from benchside.batch import assign, run_batch
from benchside.errors import InputError
from benchside.export.export import export_run
from benchside.export.identifiers import Identifiers, is_identifier, suite_identifiers
from benchside.export.redaction import Redactor
from benchside.library import Suite, prepare
from benchside.policies.scripted import cells_policy
from benchside.provenance import provenance
from benchside.store import RunConfig, RunFolder, SuiteUse
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.task import AnswerKey, AnswerSchema, GraderRef, TaskSpec
from benchside_kernels.image import ImageSource
from benchside_kernels.makers import open_kernels

CLINIC = SuiteManifest(
    name="clinic", version="1", title="Clinic", description="", source="", url="", licence="own",
    builder="benchside.suites.power", sensitivity="credentialed",
)  # fmt: skip
NOTE = (
    "Patient denies chest pain.\nLives with her sister\nin a yellow house by the harbour of Orvik."
)
SUBJECTS = [7001234, 7001235, 7001236]
UNIQUE = ["002-33870", "003-4417", "qx7b"]
CELLS = """
print(patients); print(patients.to_dict()); patients
# %%
import json; print(json.dumps(patients.astype(str).to_dict("records")))
patients.set_index("subject_id").mean(numeric_only=True)
# %%
import numpy as np
print(np.array([7001234.0, 1.5]), f"{7001235:,}", "stay7001236x", 7.001234e6, [7001234])
print("unit", "002-33870", "QX7B", "3 of 57 patients; 2101-03-04 05:06, 12 March 2101, 3/4/2101")
# %%
print(note)
# %%
con.execute("SELECT family, subject_id FROM people WHERE subject_id > 7001230").fetchall()
# %%
raise KeyError("no subject 7001235 in " + note)
# %%
from IPython.display import HTML; HTML("<b>7001236</b> " + note[-6:])
# %%
submit({"n": 4, "who": [7001234, "002-33870"], "mean": 0.25, "large": 57})
"""


@pytest.fixture
async def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Suite]:
    """A run of one episode that shows everything, and its suite."""
    database = tmp_path / "people.sqlite"
    with sqlite3.connect(database) as con:
        con.execute("CREATE TABLE people (subject_id INTEGER, family TEXT)")
        con.execute("INSERT INTO people VALUES (7001234, 'Quillfeather'), (7001235, 'Zanbury')")
    con.close()
    frame = pd.DataFrame(
        {"subject_id": SUBJECTS, "uniquepid": UNIQUE, "age": [50, 60, 71],
         "admitted": pd.to_datetime(["2101-03-04", "2102-05-06", "2103-07-08"])}
    )  # fmt: skip
    task = TaskSpec(
        task_id="about-7001234", suite="clinic", version="1", category="c", split="test",
        group="7001234", prompt="When was patient 7001234 (QX7B) admitted after 2101-01-01?",
        image="clinic.ward", answer=AnswerSchema(kind="number"), grader=GraderRef(name="number"),
        sensitivity="credentialed",
    )  # fmt: skip
    image = ImageSource("clinic.ward", variables={"patients": frame, "note": NOTE},
                        database=database)  # fmt: skip
    built = SuiteBuild([task], [AnswerKey(task_id=task.task_id, value=1)], [image])

    def build(_: BuildOptions) -> SuiteBuild:
        return built

    monkeypatch.setattr(library, "manifest", lambda _: CLINIC)
    monkeypatch.setattr(library, "_builder", lambda _: build)
    suite = prepare("clinic", tmp_path / "home")
    cells = tmp_path / "cells-7001234.py"
    cells.write_text(CELLS)
    policy = cells_policy(cells)
    folder = RunFolder(tmp_path / "run")
    use = SuiteUse(
        name="clinic", version="1", build=suite.record.build, split=None, limit=None,
        sensitivity="credentialed",
    )  # fmt: skip
    config = RunConfig(
        suites=(use,), policies={policy.name: dict(policy.config)}, samples=1, seed=0, provenance={}
    )
    folder.start(config, resume=False)
    async with open_kernels() as maker:
        origin = provenance(0, maker.isolation)
        episodes = assign([(suite, suite.tasks)], [policy], 1, 0)
        await run_batch(episodes, folder, origin, maker=maker, parallel=1)
    assert [row.end_reason for row in folder.rows().values()] == ["submitted"]
    return folder.path, suite


async def test_nothing_planted_survives_in_any_byte(
    run: tuple[Path, Suite], tmp_path: Path
) -> None:
    path, suite = run
    planted = [
        *map(str, SUBJECTS), "7,001,235", "7.001234", *UNIQUE, "QX7B", "Quillfeather", "Zanbury",
        "Orvik", "harbour", "yellow", "chest pain", "2101", "2102-05", "March", "3/4/",
    ]  # fmt: skip
    before = b"".join(file.read_bytes() for file in path.rglob("*") if file.is_file())
    assert all(word.lower().encode() in before.lower() for word in planted)
    with pytest.raises(InputError, match="credentialed data"):
        export_run(path, tmp_path / "out", suite.home, redact=False, min_cell=11)
    assert not (tmp_path / "out").exists()

    manifest = export_run(path, tmp_path / "out", suite.home, redact=True, min_cell=11)
    files = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert len(files) == 4
    after = b"".join(str(file).encode() + file.read_bytes() for file in files).lower()
    assert [word for word in planted if word.lower().encode() in after] == []

    notebook = nbformat.read(next(iter((tmp_path / "out").rglob("*.ipynb"))), as_version=4)
    nbformat.validate(notebook)
    submitted = notebook.metadata.benchside.submitted
    assert submitted["n"] == "[<11]"
    assert (submitted["mean"], submitted["large"]) == (0.25, 57)
    shown = json.dumps(notebook)
    assert "of 57 patients" in shown
    assert "SELECT family, subject_id FROM people" in shown
    assert manifest.removed["identifier"] >= 20
    assert min(manifest.removed[kind] for kind in ("date", "free text", "small count")) >= 1
    assert {"people.subject_id", "people.family", "patients.uniquepid"} <= set(manifest.columns)
    frame = benchside.load_run(tmp_path / "out").episodes
    assert frame.end_reason.tolist() == ["submitted"]
    with pytest.raises(InputError, match="there already"):
        export_run(path, tmp_path / "out", suite.home, redact=True, min_cell=11)


async def test_an_open_run_is_exported_as_it_is(suite: Suite, tmp_path: Path) -> None:
    cells = tmp_path / "cells.py"
    cells.write_text("submit(1)")
    folder = RunFolder(tmp_path / "run")
    folder.start(RunConfig(suites=(), policies={}, samples=1, seed=0, provenance={}), resume=False)
    async with open_kernels() as maker:
        episodes = assign([(suite, suite.tasks[:1])], [cells_policy(cells)], 1, 0)
        origin = provenance(0, maker.isolation)
        await run_batch(episodes, folder, origin, maker=maker, parallel=1)
    manifest = export_run(folder.path, tmp_path / "out", suite.home, redact=False, min_cell=11)
    assert (manifest.episodes, manifest.redacted, manifest.sensitivity) == (1, False, "open")
    assert RunFolder(tmp_path / "out").rows() == folder.rows()
    (episode_id,) = folder.rows()
    assert RunFolder(tmp_path / "out").episode(episode_id) == folder.episode(episode_id)


FORMS = [
    "{}", "id={}", "'{}'", "({},)", "[{}, 55]", "subject_id: {}", '{{"hadm_id": {}}}', "a{}b",
    "x_{}_y", "{}.", "-{}", "{}\t12", "stay/{}", "Patient/{}", "0   {}  1.5  high", "#{}", "{}:",
    "<td>{}</td>", "patient {} left", "WHERE stay_id IN (1, {})", "{}{}", "{}-{}", "é{}ü",
]  # fmt: skip
ALPHABET = string.ascii_lowercase + string.digits
NUMBERS = st.integers(10_000, 10**12).map(str)
CODES = st.text(ALPHABET, min_size=6, max_size=12).filter(lambda text: not text.isalpha())


@settings(max_examples=300, deadline=None)
@given(
    value=NUMBERS | CODES | st.uuids().map(str), form=st.sampled_from(FORMS), upper=st.booleans()
)
def test_an_identifier_goes_from_any_form(value: str, form: str, upper: bool) -> None:
    redactor = Redactor(Identifiers.of([value]))
    planted = form.format(*[value.upper() if upper else value] * 2)
    shown = [
        redactor.result(planted), redactor.text(planted), redactor.prompt(planted),
        redactor.source(f"x = {planted!r}  # {planted}"), redactor.source(planted),
        json.dumps(redactor.submission({planted: [planted]}), ensure_ascii=False),
    ]  # fmt: skip
    assert [text for text in shown if value in text.lower()] == []
    assert redactor.counts.total() >= len(shown)


@settings(max_examples=200, deadline=None)
@given(value=st.integers(10_000, 10**9), form=st.sampled_from(
    ["{}", "{}.0", "{:,}", "{:_}", "{:.9e}", "[{}. 12.]"]))  # fmt: skip
def test_a_number_of_five_digits_goes_unknown_too(value: int, form: str) -> None:
    redactor = Redactor(Identifiers())
    shown = redactor.result(form.format(value))
    assert "[identifier]" in shown
    assert str(value)[:5] not in shown.replace(",", "").replace("_", "").replace(".", "")


@given(count=st.integers(1, 400), cell=st.integers(2, 50))
def test_small_counts_go_from_results_and_answers_only(count: int, cell: int) -> None:
    redactor = Redactor(Identifiers(), cell)
    small = count < cell
    assert (str(count) not in redactor.result(f"rows: {count} ").split()) == small
    assert (redactor.submission(count) != count) == small
    assert (redactor.submission(float(count)) != count) == small
    assert redactor.source(f"frame.head({count})") == f"frame.head({count})"
    assert redactor.submission(0.123456789) == 0.123456789
    assert redactor.submission([True, None, "yes"]) == [True, None, "yes"]


def test_short_identifiers_go_where_they_are_known_or_named() -> None:
    known = Redactor(Identifiers.of(["42", "qx"]))
    assert known.result("57 42 42.0 QX") == "57 [identifier] [identifier] [identifier]"
    named = Redactor(Identifiers())
    assert "43" not in named.text("subject_id = 43 and stay_id in (44, 45)")
    assert "44" not in named.text("subject_id = 43 and stay_id in (44, 45)")
    assert named.submission({"hadm_id": 12, "n": 12}) == {"hadm_id": "[identifier]", "n": 12}
    assert named.text("itemid = 211") == "itemid = 211"
    assert [name for name in ("subject_id", "patientunitstayid", "MRN", "id") if
            not is_identifier(name)] == []  # fmt: skip
    assert not any(map(is_identifier, ("itemid", "row_id", "age", "value")))


def test_prose_goes_and_tables_and_queries_stay() -> None:
    redactor = Redactor(Identifiers())
    table = "      age  weight  sex  ward  height  kind  score  grade  stage\n0    50.5    70.25"
    assert redactor.result(table).startswith("      age  weight")
    wrapped = "She was admitted\nfrom home with\nher usual cough\nand a rash"
    assert redactor.result(wrapped) == "\n".join(["[free text]"] * 4)
    query = 'rows = con.execute("SELECT count(*) FROM stays JOIN people ON a = b WHERE sex = c")'
    assert redactor.source(query) == query
    note = 'note = "She was admitted from home with her usual cough and rash"'
    assert "cough" not in redactor.source(note)
    assert "cough" not in redactor.source(
        "f'''She was admitted {x} with her usual cough and a rash'''"
    )
    assert "cough" not in redactor.source("# She was admitted from home with her usual cough")
    assert "cough" not in redactor.source("if (  # She was admitted from home with her usual cough")


def test_identifiers_are_read_from_variables_of_any_nesting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = {"entry": [{"id": "a1b2", "subject": {"patient_id": "z9"}, "code": "c"}]}
    index = pd.Index([77], name="stay_id")
    indexed = pd.DataFrame({"event_id": [3], "ward_id": ["w4"]}, index=index)
    image = ImageSource("clinic.ward", variables={"bundle": bundle, "frame": {"one": indexed}})
    built = SuiteBuild([], [], [image])
    monkeypatch.setattr(library, "manifest", lambda _: CLINIC)
    monkeypatch.setattr(library, "_builder", lambda _: lambda _: built)
    found = suite_identifiers(prepare("clinic", tmp_path / "home"))
    assert {"a1b2", "z9", "77", "w4"} <= found.values
    assert "3" not in found.values  # a running number of no person, which would hide each 3
