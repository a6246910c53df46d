"""`DataIndex`: finds tables, columns and values of an image without reading its cells.

Exact matches (of any case) and beginnings come from sorted trees. Parts of values and near
spellings come from trigrams: of the rarest 3k + 1 trigrams of a term, k edits leave at least one
untouched (each edit touches three), so that values with any of those are all that need be compared.
Where those are too many, only the rarest are looked for, and a near spelling can be missed.

Source of the filter: E. Ukkonen, Approximate string-matching with q-grams and maximal matches,
Theoretical Computer Science 92 (1992).
"""

from __future__ import annotations

import fcntl
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rapidfuzz import fuzz, process

from benchside.errors import StoreError
from benchside.lookup.index_file import write_index
from benchside_kernels.image import HOME_VARIABLE, KernelImage

VERSION = 1  # of the index's form
GRAM = 3
MOST_COMPARED = 5_000  # values that are compared with a term, for each question
LEAST_ALIKE = 80.0  # of 100, as rapidfuzz weighs whole texts and parts of them
MAX_TERM_CHARS = 200
DAY_CHARS = len("2105-12-31")

Value = str | int | float


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A table; `place` is "variable" or "database"."""

    id: int
    name: str
    place: str
    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """A column of a table.

    Args:
        kind: "number", "date" or "text": how its values are found.
        held: rows that have a value; distinct: different values.
        low, high: of numbers and dates.
        unindexed: distinct texts that are too long to be found by a term.
    """

    id: int
    table: str
    name: str
    type: str
    kind: str
    held: int
    distinct: int
    low: Value | None
    high: Value | None
    unindexed: int


@dataclass(frozen=True, slots=True)
class Match:
    """A value of a column, and in how many rows it stands."""

    column_id: int
    value: Value
    count: int


def open_index(image: KernelImage, home: Path) -> DataIndex:
    """Return the index of an image, made first where there is none yet.

    Raises:
        StoreError: it cannot be written, for lack of space or rights.
    """
    folder = home / "indexes"
    path = folder / f"{image.ref}.{VERSION}.sqlite"
    if path.exists():
        return DataIndex(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f".{image.ref}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # others wait here instead of making it again
            if not path.exists():
                with tempfile.TemporaryDirectory(dir=folder, prefix=".indexing-") as scratch:
                    made = Path(scratch) / "index.sqlite"
                    write_index(image, made)
                    made.rename(path)
    except (OSError, sqlite3.OperationalError) as error:
        raise StoreError(
            f"the index of {image.ref} cannot be written: {error}", where=folder,
            fix=f"free some space or check the rights there, or set {HOME_VARIABLE}",
        ) from None  # fmt: skip
    return DataIndex(path)


@dataclass(frozen=True, slots=True)
class DataIndex:
    """The index of an image; each question opens the file anew, so that any thread may ask."""

    path: Path

    def tables(self) -> list[TableFacts]:
        """Return all tables."""
        with self._open() as con:
            found = con.execute(
                "SELECT t.id, t.name, place, row_count, count(c.id) FROM tables t "
                "LEFT JOIN columns c ON c.table_id = t.id GROUP BY t.id ORDER BY t.id"
            )
            return [TableFacts(*row) for row in found]

    def columns(self, table: str | None = None) -> list[ColumnFacts]:
        """Return the columns of a table, or of all."""
        with self._open() as con:
            found = con.execute(
                "SELECT c.id, t.name, c.name, type, kind, held, distinct_count, low, high, "
                "unindexed FROM columns c JOIN tables t ON t.id = c.table_id "
                "WHERE ?1 IS NULL OR t.name = ?1 ORDER BY c.id",
                (table,),
            )
            return [ColumnFacts(*row) for row in found]

    def frequent(self, column_id: int) -> list[Match]:
        """Return a column's most frequent values, at most 20."""
        with self._open() as con:
            found = con.execute("SELECT * FROM frequent WHERE column_id = ?", (column_id,))
            return [Match(*row) for row in found]

    def exact(self, term: str, column_id: int | None = None) -> list[Match]:
        """Return where a value stands, of any case; of a day, all times of it."""
        folded = _folded(term)
        with self._open() as con:
            found = con.execute(
                "SELECT column_id, text, n FROM term JOIN occurrence ON term_id = id "
                "WHERE folded = ? AND (?2 IS NULL OR column_id = ?2)",
                (folded, column_id),
            ).fetchall()
            number = _number(folded)
            if number is not None:
                found += con.execute(
                    "SELECT column_id, value, n FROM entry "
                    "WHERE value = ? AND (?2 IS NULL OR column_id = ?2)",
                    (number, column_id),
                )
            found += con.execute(
                "SELECT column_id, value, n FROM entry WHERE value >= ? AND value < ? "
                "AND (?3 IS NULL OR column_id = ?3) LIMIT ?4",
                (
                    folded,
                    folded + ("\U0010ffff" if len(folded) >= DAY_CHARS else "\0"),
                    column_id,
                    MOST_COMPARED,
                ),
            )
        return _most_frequent_first(found)

    def containing(self, term: str, column_id: int | None = None) -> list[Match]:
        """Return texts that contain a term and are longer; of a short term, that begin with it.

        At most `MOST_COMPARED` of them.
        """
        folded = _folded(term)[:MAX_TERM_CHARS]
        pieces = sorted(_grams(folded))
        if pieces:
            source = (
                "grams JOIN term ON term.id = grams.rowid",
                "grams MATCH ?1 AND instr(term.folded, ?2)",
                " AND ".join(map(_phrase, pieces)),
            )
        else:  # ?2 stands in both
            source = ("term", "term.folded >= ?1 AND term.folded < ?2 || char(1114111)", folded)
        where, condition, match = source
        with self._open() as con:
            found = con.execute(
                f"SELECT column_id, text, n FROM {where} JOIN occurrence ON term_id = term.id "
                f"WHERE {condition} AND term.folded != ?2 "
                "AND (?3 IS NULL OR column_id = ?3) LIMIT ?4",
                (match, folded, column_id, MOST_COMPARED),
            ).fetchall()
        return _most_frequent_first(found)

    def near(self, term: str, column_id: int | None = None, limit: int = 20) -> list[Match]:
        """Return texts that resemble a term, most alike first."""
        folded = _folded(term)[:MAX_TERM_CHARS]
        with self._open() as con:
            pieces = _rarest(con, folded)
            if not pieces:
                return []
            texts = dict(
                con.execute(
                    "SELECT id, term.folded FROM grams JOIN term ON term.id = grams.rowid "
                    "WHERE grams MATCH ?1 AND (?2 IS NULL OR EXISTS ("
                    "SELECT 1 FROM occurrence WHERE term_id = id AND column_id = ?2)) LIMIT ?3",
                    (" OR ".join(map(_phrase, pieces)), column_id, MOST_COMPARED),
                ).fetchall()
            )
            alike = process.extract(
                folded, texts, scorer=fuzz.WRatio, score_cutoff=LEAST_ALIKE, limit=limit
            )
            matches = []
            for _, _, term_id in alike:
                matches += con.execute(
                    "SELECT column_id, text, n FROM term JOIN occurrence ON term_id = id "
                    "WHERE id = ?1 AND (?2 IS NULL OR column_id = ?2) ORDER BY n DESC",
                    (term_id, column_id),
                ).fetchall()
        return [Match(*row) for row in matches]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        uri = f"{self.path.as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as con:
            yield con


def _rarest(con: sqlite3.Connection, folded: str) -> list[str]:
    """The trigrams of which a near spelling holds one, rarest first, as far as is cheap."""
    counted = [
        (n, gram)
        for gram in _grams(folded)
        for (n,) in con.execute("SELECT doc FROM gram_counts WHERE term = ?", (gram,))
    ]
    edits = max(1, len(folded) // 4)
    chosen: list[str] = []
    values = 0
    for n, gram in sorted(counted)[: 3 * edits + 1]:
        values += n
        if chosen and values > MOST_COMPARED:
            break
        chosen.append(gram)
    return chosen


def _folded(term: str) -> str:
    """A term as the index holds texts, without what SQLite cannot hold or takes for the end."""
    return term.encode(errors="ignore").decode().replace("\0", "").strip().casefold()


def _grams(folded: str) -> set[str]:
    return {folded[start : start + GRAM] for start in range(len(folded) - GRAM + 1)}


def _phrase(gram: str) -> str:
    """A trigram as FTS5 reads it."""
    return '"' + gram.replace('"', '""') + '"'


def _number(text: str) -> int | float | None:
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        return number if abs(number) < 2**63 else None
    return None


def _most_frequent_first(rows: list[tuple[int, Value, int]]) -> list[Match]:
    return [Match(*row) for row in sorted(rows, key=lambda row: (-row[2], str(row[1])))]
