"""Cell source of the `dump` policy: print all data of the kernel and submit as much of it as fits.

This file is sent to the kernel as text and runs there, so that it imports the standard library
only and recognises pandas and numpy objects by what they can do.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from types import ModuleType
from typing import Any, NamedTuple

_MAX_CELLS = 10_000
_COUNTED_ROWS = 1_000
_MAX_CHARS = 500_000  # a submission holds 4 million, and escaping can make six of one
_MAX_DEPTH = 4


class DumpTable(NamedTuple):
    """A variable as a table: `rows` are as long as `columns`, and can be gone through once."""

    name: str
    columns: list[str]
    rows: Iterator[list[Any]]


def dump_tables(namespace: dict[str, Any]) -> list[DumpTable]:
    """Return all data of the namespace as tables of plain values, real tables first."""
    tables: list[DumpTable] = []
    for name, value in list(namespace.items()):
        if isinstance(value, sqlite3.Connection):  # before the rest: connections are callable
            tables += _database_tables(value)
        elif not (name.startswith("_") or name in ("In", "Out") or callable(value)):
            tables += [] if isinstance(value, ModuleType) else _tables_of(name, value, 0)
    return sorted(tables, key=lambda table: not table.columns)


def _tables_of(name: str, value: Any, depth: int) -> list[DumpTable]:
    if hasattr(value, "itertuples"):
        rows = value.head(_MAX_CELLS).itertuples(index=False, name=None)
        return [_table(name, [str(column) for column in value.columns], rows)]
    if isinstance(value, dict) and depth < _MAX_DEPTH:
        parts = list(value.items())[:_MAX_CELLS]
        scalars = [(key, part) for key, part in parts if not _is_container(part)]
        tables = [_table(name, [], scalars)]
        for key, part in parts:
            if _is_container(part):
                tables += _tables_of(f"{name}.{key}", part, depth + 1)
        return tables
    if hasattr(value, "tolist"):  # Series, Index, array, numpy scalar
        value = value.tolist()
    items = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
    return [_table(name, [], ([item] for item in list(items)[:_MAX_CELLS]))]


def _is_container(value: Any) -> bool:
    return (
        isinstance(value, (dict, list, tuple, set, frozenset))
        or hasattr(value, "tolist")
        or (hasattr(value, "itertuples"))
    )


def _database_tables(con: sqlite3.Connection) -> list[DumpTable]:
    found = con.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
    tables = []
    for (name,) in found.fetchall():
        quoted = '"' + name.replace('"', '""') + '"'
        try:
            cursor = con.execute(f"SELECT * FROM {quoted} LIMIT {_MAX_CELLS}")
            columns = [column[0] for column in cursor.description]
            tables.append(_table(name, columns, cursor.fetchall()))
        except sqlite3.Error as error:  # a view over what is gone, or text that is not UTF-8
            print(f"{name}: {error}")
    return tables


def _table(name: str, columns: list[str], rows: Iterable[Any]) -> DumpTable:
    return DumpTable(name, columns, ([_plain(cell) for cell in row] for row in rows))


def _plain(cell: Any) -> Any:
    if hasattr(cell, "tolist"):
        cell = cell.tolist()
    if isinstance(cell, (bool, float)) or cell is None:
        return cell
    if isinstance(cell, int):
        return cell if cell.bit_length() < 1000 else None  # Python refuses to print longer ones
    return str(cell)[:200]


def dump_print(namespace: dict[str, Any]) -> None:
    """Print size, first rows and most frequent values of all data."""
    for table in dump_tables(namespace):
        rows = list(islice(table.rows, _COUNTED_ROWS))
        more = " and perhaps more" if len(rows) == _COUNTED_ROWS else ""
        print(f"{table.name}: {len(rows)} rows{more}; columns {table.columns}")
        for row in rows[:5]:
            print("  ", row)
        for index, column in enumerate(table.columns):
            counts = Counter(str(row[index]) for row in rows)
            print(f"   {column}: {len(counts)} values, {counts.most_common(5)}")


def dump_superset(namespace: dict[str, Any], kind: str) -> Any:
    """Return an answer of a kind that holds as many possible answers as a submission may."""
    tables = dump_tables(namespace)
    first = tables[0] if tables else DumpTable("none", ["value"], iter([[1]]))
    if kind == "table":
        return _fitting(first.rows) or [[1]]
    if kind == "record":
        rows = list(islice(first.rows, 100))
        return {name: [row[index] for row in rows] for index, name in enumerate(first.columns)}
    cells = (cell for table in tables for row in table.rows for cell in row)
    distinct: dict[tuple[str, str], Any] = {}
    for cell in chain(range(100), cells):
        distinct[type(cell).__name__, str(cell)] = cell
        if len(distinct) == _MAX_CELLS:
            break
    return _fitting(distinct.values())


def _fitting(items: Iterable[Any]) -> list[Any]:
    """The first items whose text fits a submission."""
    left = _MAX_CHARS
    fitting = []
    for item in items:
        left -= len(str(item)) + 2
        if left < 0:
            break
        fitting.append(item)
    return fitting
