"""What the index finds, by hand and against a scan of every cell."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from benchside.errors import StoreError
from benchside.lookup.answer import answer_info
from benchside.lookup.index import DataIndex, Match, open_index
from benchside.policy import InfoRequest
from benchside_kernels.image import ImageSource, KernelImage, build_image

DRUGS = pd.DataFrame(
    {
        "drug": ["Aspirin", "aspirin", "Aspirin EC 81 mg", "Heparin", None, "Acetaminophen"],
        "hadm_id": [100, 100, 101, 102, 103, 2**63 - 1],
        "dose": [81.0, 81.5, None, 5000.0, float("inf"), 0.25],
        "given": pd.to_datetime(
            ["2105-12-31 23:59", "2105-12-31 00:00", None, "2104-01-01 00:00", None, None]
        ),
        "ward": pd.Categorical(["icu", "icu", "er", "er", "er", None], ["icu", "er", "unused"]),
        "prn": [True, False, True, True, True, True],
        "codes": [["a"], ["b"], [], None, ["a"], ["a"]],
    }
)


def image_of(folder: Path) -> KernelImage:
    database = folder / "d.sqlite"
    with closing(sqlite3.connect(database)) as con:
        con.executescript(
            "CREATE TABLE DRUGS(drug TEXT); INSERT INTO drugs VALUES ('only in the copy');"
            'CREATE TABLE "odd ""name"(time TEXT, label TEXT, mixed);'
            """INSERT INTO "odd ""name" VALUES ('2105-12-31 10:00:00', 'ICU', 7), """
            """('2105-12-30', 'Straße', 'seven'), (NULL, 'x"y', NULL);"""
        )
    notes = pd.Series(["short", "long " * 100], name="note")
    variables = {
        "drugs": DRUGS,
        "notes": notes,
        "cutoff": 3,
        "sites": {"a": notes},
        "empty": pd.DataFrame({"x": []}),
    }
    return build_image(ImageSource("test.data", variables, database), folder / "images")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> DataIndex:
    folder = tmp_path_factory.mktemp("lookup")
    return open_index(image_of(folder), folder)


def found(index: DataIndex, matches: list[Match]) -> list[tuple[str, object, int]]:
    names = {one.id: f"{one.table}.{one.name}" for one in index.columns()}
    return [(names[match.column_id], match.value, match.count) for match in matches]


def asked(index: DataIndex, **fields: str) -> str:
    return answer_info(index, InfoRequest(tool="request_info", **fields))


def test_tables_and_columns_are_described(index: DataIndex) -> None:
    assert [(one.name, one.place, one.rows, one.columns) for one in index.tables()] == [
        ("drugs", "variable", 6, 7),
        ("notes", "variable", 2, 1),
        ("sites['a']", "variable", 2, 1),
        ("empty", "variable", 0, 1),
        ('odd "name', "database", 3, 3),  # the database's copy of `drugs` is not listed again
    ]
    described = {one.name: (one.kind, one.held, one.distinct) for one in index.columns("drugs")}
    assert described == {
        "drug": ("text", 5, 5), "hadm_id": ("number", 6, 5), "dose": ("number", 5, 5),
        "given": ("date", 3, 3), "ward": ("text", 5, 2), "prn": ("number", 6, 2),
        "codes": ("text", 5, 3),
    }  # fmt: skip
    [hadm_id] = [one for one in index.columns("drugs") if one.name == "hadm_id"]
    assert (hadm_id.low, hadm_id.high) == (100, 2**63 - 1)


def test_values_are_found_of_any_case_and_type(index: DataIndex) -> None:
    assert found(index, index.exact("ASPIRIN")) == [
        ("drugs.drug", "Aspirin", 1),
        ("drugs.drug", "aspirin", 1),
    ]
    assert found(index, index.exact("100")) == [("drugs.hadm_id", 100, 2)]
    assert found(index, index.exact("81.5")) == [("drugs.dose", 81.5, 1)]
    assert {name for name, _, _ in found(index, index.exact("icu"))} == {
        "drugs.ward",
        'odd "name.label',
    }
    assert sorted(str(value) for _, value, _ in found(index, index.exact("2105-12-31"))) == [
        "2105-12-31 00:00:00", "2105-12-31 10:00:00", "2105-12-31 23:59:00",
    ]  # fmt: skip
    assert found(index, index.exact("STRASSE")) == [('odd "name.label', "Straße", 1)]
    for nothing in ("", "nan", "no such", "1e999", "unused"):
        assert index.exact(nothing) == []


def test_parts_and_near_spellings_are_found(index: DataIndex) -> None:
    assert found(index, index.containing("pirin")) == [
        ("drugs.drug", "Aspirin", 1), ("drugs.drug", "Aspirin EC 81 mg", 1),
        ("drugs.drug", "aspirin", 1),
    ]  # fmt: skip
    assert found(index, index.containing("he")) == [("drugs.drug", "Heparin", 1)]
    assert found(index, index.containing('x"')) == [('odd "name.label', 'x"y', 1)]
    assert found(index, index.near("acetominophin")) == [("drugs.drug", "Acetaminophen", 1)]
    assert {value for _, value, _ in found(index, index.near("asprin"))} >= {"Aspirin", "aspirin"}
    for text in ('"', "NEAR(a b)", "a OR b", "*", "\0", "asp*", "éé", "\ud800"):
        index.containing(text.encode("utf-8", "replace").decode())
        index.near(text.encode("utf-8", "replace").decode())


def test_no_term_is_an_error(index: DataIndex) -> None:
    """An error here would be the infrastructure's, and unscore an episode at the policy's will."""
    for term in ("", "\0", "asp\0irin", "\ud800aspirin", '"asp*', "1" * 5_000, "nan", "x" * 10**5):
        for look in (index.exact, index.containing, index.near):
            look(term)
    assert found(index, index.containing("pi\0rin\ud800")) == found(
        index, index.containing("pirin")
    )


def test_questions_get_readable_answers(index: DataIndex) -> None:
    assert "drugs (variable): 6 rows, 7 columns" in asked(index, about="tables")
    columns = asked(index, about="columns", table="drugs")
    assert "hadm_id int64: 6 values, 5 distinct, 100 to 9223372036854775807" in columns
    assert "ward category: 5 values, 2 distinct, such as 'er', 'icu'" in columns
    assert asked(index, about="values", table="drugs", column="ward") == (
        "'er': 3 rows\n'icu': 2 rows"
    )
    assert asked(index, about="values", table="drugs", column="drug", term="heparn") == (
        "Values resembling the term:\n  drugs.drug: 'Heparin' (1 rows)"
    )
    term = asked(index, about="term", term="aspirin")
    assert "equal to the term:\n  drugs.drug: 'Aspirin' (1 rows); 'aspirin' (1 rows)" in term
    assert "containing the term:\n  drugs.drug: 'Aspirin EC 81 mg' (1 rows)" in term
    assert "Names that resemble the term: drugs.hadm_id" in asked(index, about="term", term="HADM")
    assert "long: notes.note, sites['a'].note" in asked(index, about="term", term="short")
    assert "Nothing resembles 'zzzzzz'" in asked(index, about="term", term="zzzzzz")
    assert "no table 'drug'. Do you mean drugs?" in asked(index, about="columns", table="drug")
    wrong = asked(index, about="values", table="drugs", column="hadmid")
    assert "no column 'hadmid'. Do you mean hadm_id?" in wrong
    assert asked(index, about="columns").startswith('Give the "table". There are: drugs, empty')


WORDS = st.text("abcde ", min_size=1, max_size=12).map(str.strip).filter(bool)


@given(st.lists(WORDS, min_size=1, max_size=30), WORDS, st.data())
@settings(max_examples=40, deadline=None)
def test_the_index_finds_what_a_scan_finds(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], term: str, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("scan")
    table = pd.DataFrame({"word": words})
    index = open_index(build_image(ImageSource("t", {"t": table}), folder / "images"), folder)
    counts = table.word.value_counts()
    assert {(m.value, m.count) for m in index.exact(term)} == {
        (word, n) for word, n in counts.items() if word == term
    }
    inside = str.startswith if len(term) < 3 else str.__contains__
    assert {(m.value, m.count) for m in index.containing(term)} == {
        (word, n) for word, n in counts.items() if inside(word, term) and word != term
    }
    # one edit in a longer word is never missed
    word = data.draw(st.sampled_from(words))
    place = data.draw(st.integers(0, len(word) - 1))
    misspelt = word[:place] + data.draw(st.sampled_from("abcde")) + word[place + 1 :]
    if len(word) >= 6 and Levenshtein.distance(word, misspelt) <= 1:
        alike = {m.value for m in index.near(misspelt, limit=len(words))}
        assert word in alike or len(misspelt.strip()) < 6


def test_an_index_is_made_once_for_each_content_and_says_why_it_cannot(tmp_path: Path) -> None:
    image = image_of(tmp_path)
    first = open_index(image, tmp_path)
    written = first.path.stat().st_mtime_ns
    assert open_index(image, tmp_path) == first
    assert first.path.stat().st_mtime_ns == written
    assert [path.name for path in (tmp_path / "indexes").iterdir() if path.is_dir()] == []
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"index of test\.data@.* cannot be written"):
        open_index(image, tmp_path / "file")
