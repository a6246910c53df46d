"""`FhirStore`: resources in SQLite, copied on write.

The template is opened read-only and shared by all who use it; what a store writes lies in a second
database, by default in memory, whose rows hide the template's. Opening one takes a millisecond
whatever the template's size, and what was written is what the second database holds. Only the
current version of a resource is kept.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from benchside.fhir.outcome import FhirError, Resource
from benchside.fhir.parameters import entries

TEMPLATE = "fhir.sqlite"
"""Name of the template among the files of a service's image."""

MAX_WRITTEN_BYTES = 8 * 1024**2
MAX_WRITES = 2000

_SCHEMA = """
CREATE TABLE {db}.resource (
    type TEXT NOT NULL, id TEXT NOT NULL, seq INTEGER NOT NULL, version INTEGER NOT NULL,
    body TEXT, PRIMARY KEY (type, id)
) WITHOUT ROWID;
CREATE TABLE {db}.entry (
    type TEXT NOT NULL, id TEXT NOT NULL, param TEXT NOT NULL,
    system TEXT, code TEXT, text TEXT, low NUMERIC, high NUMERIC
);
CREATE INDEX {db}.entry_code ON entry (type, param, code);
CREATE INDEX {db}.entry_text ON entry (type, param, text);
CREATE INDEX {db}.entry_id ON entry (type, id, param);
"""

_VIEWS = """
CREATE TEMP VIEW live_resource AS
    SELECT type, id, seq, body FROM main.resource WHERE body IS NOT NULL
    UNION ALL
    SELECT type, id, seq, body FROM base.resource AS b WHERE NOT EXISTS (
        SELECT 1 FROM main.resource AS w WHERE w.type = b.type AND w.id = b.id);
CREATE TEMP VIEW live_entry AS
    SELECT * FROM main.entry
    UNION ALL
    SELECT * FROM base.entry AS b WHERE NOT EXISTS (
        SELECT 1 FROM main.resource AS w WHERE w.type = b.type AND w.id = b.id);
"""


class Change(NamedTuple):
    """A resource that is not as it was; None before a creation and after a deletion."""

    type: str
    id: str
    before: Resource | None
    after: Resource | None


@dataclass(frozen=True, slots=True)
class Stored:
    """A resource of this id that is or was there; `resource` is None once it is deleted."""

    resource: Resource | None
    version: int


def write_template(path: Path, resources: Iterable[Resource]) -> int:
    """Write a new template and return how many resources it holds.

    Args:
        resources: each with an id; of two with the same type and id the last counts.
    """
    latest = {
        (one["resourceType"], one["id"]): {**one, "meta": {**one.get("meta", {}), "versionId": "1"}}
        for one in resources
    }
    con = sqlite3.connect(path, isolation_level=None)
    with contextlib.closing(con):
        con.execute("PRAGMA journal_mode = OFF")
        con.execute("PRAGMA synchronous = OFF")
        con.execute("BEGIN")
        for statement in _SCHEMA.format(db="main").split(";")[:-1]:
            con.execute(statement)
        con.executemany(
            "INSERT INTO resource VALUES (?, ?, ?, 1, ?)",
            (
                (kind, name, seq, json.dumps(one, ensure_ascii=False))
                for seq, ((kind, name), one) in enumerate(latest.items())
            ),
        )
        rows = (
            (kind, name, param, *entry)
            for (kind, name), one in latest.items()
            for param, entry in entries(one)
        )
        con.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        con.execute("COMMIT")
        con.execute("ANALYZE")
    return len(latest)


class FhirStore:
    """What one server holds. Its methods may be called from several threads.

    Args:
        template: as `write_template` made it; None: nothing is there at first.
        written: file that keeps what is written; None: memory.
        now: the time of all writes; None: when they happen.
    """

    def __init__(
        self,
        template: Path | None = None,
        *,
        written: Path | None = None,
        now: datetime | None = None,
    ) -> None:
        self._now = now
        self._lock = threading.RLock()
        self._con = sqlite3.connect(
            written or ":memory:", check_same_thread=False, isolation_level=None, uri=True
        )
        base = ":memory:" if template is None else f"{template.resolve().as_uri()}?immutable=1"
        self._con.execute("ATTACH ? AS base", (base,))
        for db in ("main",) if template else ("main", "base"):
            known = self._con.execute(f"SELECT 1 FROM {db}.sqlite_master LIMIT 1").fetchone()
            if known is None:
                self._con.executescript(_SCHEMA.format(db=db))
        self._con.executescript(_VIEWS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of both databases; what was written to memory is gone."""
        with self._lock:
            self._con.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of what is written within it, or nothing if it raises; others wait meanwhile."""
        with self._lock:
            self._con.execute("SAVEPOINT bundle")
            try:
                yield
            except BaseException:
                self._con.execute("ROLLBACK TO bundle")
                raise
            finally:
                self._con.execute("RELEASE bundle")

    def query(self, sql: str, values: Sequence[object] = ()) -> list[tuple[str, ...]]:
        """Return rows of a SELECT over the views `live_resource` and `live_entry`."""
        with self._lock:
            return self._con.execute(sql, tuple(values)).fetchall()

    def find(self, kind: str, name: str) -> Stored | None:
        """Return a resource, or that it was deleted; None if no such id was ever there."""
        for db in ("main", "base"):
            found = self.query(
                f"SELECT body, version FROM {db}.resource WHERE type = ? AND id = ?", (kind, name)
            )
            if found:
                body, version = found[0]
                return Stored(None if body is None else json.loads(body), int(version))
        return None

    def read(self, kind: str, name: str) -> Resource:
        """Return a resource.

        Raises:
            FhirError: it is not there, or not any more.
        """
        found = self.find(kind, name)
        if found is None:
            raise FhirError(404, "not-found", f"there is no {kind}/{name}")
        if found.resource is None:
            raise FhirError(410, "deleted", f"{kind}/{name} was deleted")
        return found.resource

    def new_id(self, kind: str) -> str:
        """Return an id that no resource of this type has; equal in equal courses of events."""
        with self._lock:
            number = 1 + int(self.query("SELECT COUNT(*) FROM main.resource")[0][0])
            while self.find(kind, f"new-{number}") is not None:
                number += 1
            return f"new-{number}"

    def put(self, resource: Resource) -> Resource:
        """Store a resource under its id and return it with its new version and time.

        Raises:
            FhirError: more was written than a server takes.
        """
        kind, name = resource["resourceType"], resource["id"]
        with self.transaction():
            old = self.find(kind, name)
            version = 1 if old is None else old.version + 1
            stamp = (self._now or datetime.now(UTC)).isoformat(timespec="milliseconds")
            meta = {**resource.get("meta", {}), "versionId": str(version), "lastUpdated": stamp}
            stored = {**resource, "meta": meta}
            self._write(kind, name, version, json.dumps(stored, ensure_ascii=False))
            self._con.executemany(
                "INSERT INTO main.entry VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                ((kind, name, param, *entry) for param, entry in entries(stored)),
            )
        return stored

    def delete(self, kind: str, name: str) -> None:
        """Delete a resource; `FhirError` if it is not there."""
        with self.transaction():
            self.read(kind, name)
            found = self.find(kind, name)
            self._write(kind, name, 1 if found is None else found.version + 1, None)

    def changes(self) -> list[Change]:
        """Return what is not as in the template, in the order of the last writes.

        What was created and deleted again, or brought back to what it was, is no change.
        """
        with self._lock:
            rows = self.query("SELECT type, id, body FROM main.resource ORDER BY seq")
            before = {
                (kind, name): json.loads(body)
                for kind, name, body in self.query(
                    "SELECT b.type, b.id, b.body FROM base.resource AS b "
                    "JOIN main.resource AS w ON w.type = b.type AND w.id = b.id"
                )
            }
        found = [
            Change(kind, name, before.get((kind, name)), None if body is None else json.loads(body))
            for kind, name, body in rows
        ]
        return [one for one in found if _without_meta(one.before) != _without_meta(one.after)]

    def _write(self, kind: str, name: str, version: int, body: str | None) -> None:
        count, size = self._con.execute(
            "SELECT COUNT(*), COALESCE(SUM(LENGTH(body)), 0) FROM main.resource"
        ).fetchone()
        if count >= MAX_WRITES or size + len(body or "") > MAX_WRITTEN_BYTES:
            raise FhirError(
                413, "too-costly",
                f"this server takes {MAX_WRITES} written resources and {MAX_WRITTEN_BYTES} bytes",
            )  # fmt: skip
        seq = self._con.execute(
            "SELECT 1 + MAX((SELECT COALESCE(MAX(seq), 0) FROM main.resource), "
            "(SELECT COALESCE(MAX(seq), 0) FROM base.resource))"
        ).fetchone()[0]
        self._con.execute("DELETE FROM main.entry WHERE type = ? AND id = ?", (kind, name))
        self._con.execute(
            "INSERT OR REPLACE INTO main.resource VALUES (?, ?, ?, ?, ?)",
            (kind, name, seq, version, body),
        )


def _without_meta(resource: Resource | None) -> Resource | None:
    return resource and {name: part for name, part in resource.items() if name != "meta"}
