"""The identifiers of people, stays and records in the data that a run's kernels had.

They are read from the images themselves, so that an identifier is known whatever it looks like. Row
numbers (`row_id`) are left out, and so are short numbers in columns that number events or places:
they run from 1, and would hide every count.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchside.library import Suite
from benchside_kernels.image import KernelImage, images_folder, load_image

_CODES = {"itemid", "row_id", "rowid", "cgid", "d_itemid", "labtypeid", "drughiclseqno", "valid"}
_NAMES = {"name", "firstname", "lastname", "first_name", "last_name", "patient_name", "family"}
_PERSONAL = re.compile(r"subject|patient|person|hadm|stay|encounter|visit|admission|unique")
_OTHER = {"mrn", "ssn", "identifier"}


PHRASE_WORDS = 4
MAX_TEXTS = 50_000  # of a column; of more, phrases are not known
LONG_TEXT = 60  # mean characters of a column that holds notes


@dataclass(frozen=True, slots=True)
class Identifiers:
    """What must not leave.

    Args:
        values: identifiers, in lower case; `columns` are those that they come from.
        phrases: hashes of all runs of `PHRASE_WORDS` words in long texts.
        lengths: of the identifiers that are looked for inside of longer words, too.
    """

    values: frozenset[str] = frozenset()
    columns: tuple[str, ...] = ()
    phrases: frozenset[int] = frozenset()
    lengths: tuple[int, ...] = ()

    @classmethod
    def of(
        cls, values: Iterable[str], columns: Iterable[str] = (), texts: Iterable[str] = ()
    ) -> Identifiers:
        """Return the identifiers of some cells."""
        known = frozenset(values) - {""}
        phrases = frozenset(phrase for text in texts for phrase in _phrases(text))
        lengths = sorted({len(value) for value in known if len(value) >= 5})
        return cls(known, tuple(sorted(columns)), phrases, tuple(lengths))

    def holds(self, token: str) -> bool:
        """True where a token (in lower case) is an identifier, or has one as or in a part."""
        if token in self.values or any(part in self.values for part in re.split(r"[-._]", token)):
            return True
        return any(
            token[start : start + length] in self.values
            for length in self.lengths
            for start in range(len(token) - length + 1)
        )

    def quotes(self, line: str) -> bool:
        """True where a line has a run of words from a note."""
        return bool(self.phrases) and not self.phrases.isdisjoint(_phrases(line))


def _phrases(text: str) -> Iterator[int]:
    words = re.findall(r"[a-z]+|\d+", text.lower())
    for start in range(len(words) - PHRASE_WORDS + 1):
        yield hash(tuple(words[start : start + PHRASE_WORDS]))


def is_identifier(column: str) -> bool:
    """True for columns such as subject_id, patientunitstayid, uniquepid, id, mrn."""
    name = column.lower()
    return name in _OTHER or (name.endswith(("id", "id_x", "id_y")) and name not in _CODES)


def suite_identifiers(suite: Suite) -> Identifiers:
    """Return all identifiers in the images of a suite."""
    values: set[str] = set()
    columns: set[str] = set()
    texts: list[str] = []
    for ref in suite.record.images.values():
        image = load_image(ref, images_folder(suite.home))
        for column, cells in _columns(image, texts):
            columns.add(column)
            tokens = (token for cell in cells for token in spellings(cell))
            values.update(token for token in tokens if _telling(column, token))
    return Identifiers.of(values, columns, texts)


def _telling(column: str, value: str) -> bool:
    """False for short numbers that number no person, stay or record."""
    name = column.rpartition(".")[2].lower()
    personal = name == "id" or name in _OTHER or _PERSONAL.search(name) is not None
    return personal or not (value.isdecimal() and len(value) < 5)


def spellings(value: object) -> Iterator[str]:
    """An identifier as a text may spell it: whole, without ".0", and each word of a name."""
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return
    text = str(value).strip().lower()
    if re.fullmatch(r"-?\d+\.0", text):
        text = text[:-2]
    yield text
    for part in re.split(r"[\s,;/|]+", text):
        if len(part) > 2:
            yield part


def _columns(image: KernelImage, texts: list[str]) -> Iterator[tuple[str, Iterable[object]]]:
    """Yield columns of identifiers; long texts are added to `texts`."""
    for name, value in image.load_variables().items():
        yield from _of_variable(name, value, texts)
    if image.has_database:
        path = image.folder / "database.sqlite"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as con:
            yield from _of_database(con, texts)


def _of_variable(name: str, value: Any, texts: list[str]) -> Iterator[tuple[str, Iterable[object]]]:
    if isinstance(value, pd.DataFrame):
        found = _identifying([str(column) for column in value.columns])
        for place, column in enumerate(value.columns):
            cells = value.iloc[:, place]
            if str(column) in found:
                yield f"{name}.{column}", cells.dropna().unique().tolist()
            elif not pd.api.types.is_numeric_dtype(cells):
                texts += _long([cell for cell in cells.head(MAX_TEXTS) if isinstance(cell, str)])
        if value.index.name is not None and is_identifier(str(value.index.name)):
            yield f"{name}.{value.index.name}", value.index.unique().tolist()
    elif isinstance(value, dict):
        for key, part in value.items():
            if isinstance(key, str) and is_identifier(key) and isinstance(part, (str, int)):
                yield f"{name}.{key}", [part]
            else:
                yield from _of_variable(f"{name}.{key}", part, texts)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _of_variable(name, part, texts)
    elif isinstance(value, str):
        texts += _long([value])


def _of_database(
    con: sqlite3.Connection, texts: list[str]
) -> Iterator[tuple[str, Iterable[object]]]:
    tables = con.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        quoted = _quoted(table)
        columns = [row[1] for row in con.execute(f"PRAGMA table_info({quoted})")]
        found = _identifying(columns)
        for column in columns:
            if column in found:
                cells = con.execute(f"SELECT DISTINCT {_quoted(column)} FROM {quoted}")
                yield f"{table}.{column}", (cell for (cell,) in cells)
            else:
                cells = con.execute(f"SELECT {_quoted(column)} FROM {quoted} LIMIT {MAX_TEXTS}")
                texts += _long([cell for (cell,) in cells if isinstance(cell, str)])


def _long(cells: list[str]) -> list[str]:
    """The distinct cells of a column that holds notes, nothing of another one."""
    if sum(map(len, cells)) < LONG_TEXT * max(len(cells), 1):
        return []
    return list(dict.fromkeys(cells))


def _identifying(columns: list[str]) -> list[str]:
    """A table's identifiers; people's names only beside one, so that drugs keep theirs."""
    found = [column for column in columns if is_identifier(column)]
    if any(column.lower() in {"subject_id", "patient_id", "person_id"} for column in found):
        found += [column for column in columns if column.lower() in _NAMES]
    return found


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
