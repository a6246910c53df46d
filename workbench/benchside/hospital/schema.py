"""`Table`: the columns of one table of a view, its SQLite definition, and its indexes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from benchside.hospital.catalogue import lines


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `columns` maps names to SQL types, in order; `indexed` lists column groups."""

    name: str
    columns: dict[str, str]
    indexed: tuple[tuple[str, ...], ...]

    @property
    def definition(self) -> str:
        """The CREATE TABLE statement; the first column is the key, * in the type is NOT NULL."""
        parts = []
        for number, (column, kind) in enumerate(self.columns.items()):
            null = " NOT NULL" if kind.endswith("*") else ""
            key = " PRIMARY KEY" if number == 0 and kind.startswith("INT*") else ""
            parts.append(f"{column} {kind.rstrip('*')}{null}{key}")
        return f"CREATE TABLE {self.name} ({', '.join(parts)})"

    @property
    def index_definitions(self) -> list[str]:
        """One CREATE INDEX statement for each group of indexed columns."""
        return [
            f"CREATE INDEX {self.name}_{'_'.join(group)} ON {self.name} ({', '.join(group)})"
            for group in self.indexed
        ]


def tables(text: str) -> tuple[Table, ...]:
    """Read tables, one a line: name | column TYPE, ... | indexed columns, groups parted by ";"."""
    found = []
    for name, columns, indexed in lines(text):
        # commas inside parentheses belong to a type
        kinds: dict[str, str] = {}
        for column in re.split(r",(?![^(]*\))", columns):
            label, kind = column.split(maxsplit=1)
            kinds[label] = kind
        groups = tuple(tuple(group.split()) for group in indexed.split(";") if group)
        found.append(Table(name, kinds, groups))
    return tuple(found)
