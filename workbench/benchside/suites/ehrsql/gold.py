"""Gold from the database: each query is run twice, the second time with tables read backwards.

Where both disagree, the answer hangs on ties that the question does not settle, and the item is
left out.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from benchside.suites.ehrsql.question import Published
from benchside.suites.ehrsql2024.answer import DECIMALS

Rows: TypeAlias = tuple[tuple[object, ...], ...]
Standing: TypeAlias = Literal["found", "does not run", "times out", "hangs on ties", "is empty"]

TIMEOUT_S = 30.0
STEPS_BETWEEN_LOOKS = 100_000  # of SQLite's virtual machine, about 10 ms


@dataclass(frozen=True, slots=True)
class Found:
    """What running a gold query gave."""

    standing: Standing
    rows: Rows = ()


class Gold:
    """Runs gold queries on a database that it cannot write to."""

    def __init__(self, forwards: sqlite3.Connection, backwards: sqlite3.Connection) -> None:
        self._forwards, self._backwards = forwards, backwards
        backwards.execute("PRAGMA reverse_unordered_selects = ON")

    def run(self, sql: str, *, timeout_s: float = TIMEOUT_S) -> Found:
        """Return the rows on which both directions agree."""
        try:
            rows = _fetch(self._forwards, sql, timeout_s)
            again = _fetch(self._backwards, sql, timeout_s)
        except sqlite3.OperationalError as error:
            interrupted = "interrupted" in str(error)
            return Found("times out" if interrupted else "does not run")
        except (sqlite3.Error, sqlite3.Warning, UnicodeDecodeError):
            return Found("does not run")
        if comparable(rows) != comparable(again):
            return Found("hangs on ties")
        if all(cell is None for row in rows for cell in row):
            return Found("is empty")
        return Found("found", rows)


@contextmanager
def open_gold(path: Path) -> Iterator[Gold]:
    """Open a database twice, read-only, and close it again."""
    with ExitStack() as stack:
        connections = [open_database(path) for _ in range(2)]
        for connection in connections:
            stack.callback(connection.close)
        yield Gold(*connections)


def open_database(path: Path) -> sqlite3.Connection:
    """Open an SQLite file read-only."""
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


def _fetch(con: sqlite3.Connection, sql: str, timeout_s: float) -> Rows:
    deadline = time.monotonic() + timeout_s
    con.set_progress_handler(lambda: time.monotonic() > deadline, STEPS_BETWEEN_LOOKS)
    return tuple(con.execute(sql).fetchall())


def comparable(rows: Sequence[Sequence[object]]) -> list[list[str]]:
    """Return rows as EHRSQL's scorers compare them: cells as text, 3 decimals, rows sorted."""
    return sorted([_cell(cell) for cell in row] for row in rows)


def _cell(cell: object) -> str:
    try:
        return str(round(float(str(cell)), DECIMALS))
    except ValueError:
        return str(cell)


def agrees(rows: Rows, published: Published) -> bool:
    """Return whether rows are the published ones, as far as those were published."""
    found = comparable([row[:1] for row in rows] if published.first_column_only else rows)
    expected = comparable(published.rows)
    if published.count == len(expected):
        return found == expected
    left = Counter(map(tuple, expected)) - Counter(map(tuple, found))
    return len(found) == published.count and not left
