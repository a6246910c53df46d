"""The host's answers to `request_info` and `debug`, as text that a policy reads."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from itertools import groupby

from benchside.lookup.explain import explain
from benchside.lookup.index import MOST_COMPARED, ColumnFacts, DataIndex, Match
from benchside.policy import HostRequest, InfoRequest, Turn

SHOWN_VALUES = 5  # of each column
SHOWN_COLUMNS = 20
SHOWN_CHARS = 100  # of each value


def answer(index: DataIndex, asks: HostRequest, turns: Sequence[Turn], max_chars: int) -> str:
    """Return what the index and the turns so far have on a request.

    Args:
        max_chars: the answer's end is cut off beyond it.
    """
    text = answer_info(index, asks) if isinstance(asks, InfoRequest) else explain(index, turns)
    return text if len(text) <= max_chars else f"{text[:max_chars]}\n[... cut ...]"


def answer_info(index: DataIndex, request: InfoRequest) -> str:
    """Return what the index has on a request; what does not exist is answered by what is near."""
    match request.about:
        case "tables":
            return _tables(index)
        case "columns":
            return _columns(index, request.table)
        case "values":
            return _values(index, request)
        case "term":
            return _term(index, request.term or "", None)


def _tables(index: DataIndex) -> str:
    tables = index.tables()
    if not tables:
        return "There are no tables in the kernel's data."
    return "\n".join(
        f"{table.name} ({table.place}): {table.rows:,} rows, {table.columns} columns"
        for table in tables
    )


def _columns(index: DataIndex, table: str | None) -> str:
    found = _table(index, table)
    return found if isinstance(found, str) else "\n".join(_column_line(index, one) for one in found)


def _table(index: DataIndex, table: str | None) -> list[ColumnFacts] | str:
    """The columns of a table, or why there are none."""
    named = {one.name for one in index.tables()}
    if table is None or table not in named:
        return _no_such("table", table, named)
    return index.columns(table)


def _column_line(index: DataIndex, column: ColumnFacts) -> str:
    line = f"{column.name} {column.type}: {column.held:,} values, {column.distinct:,} distinct"
    if column.kind != "text":
        return line if column.low is None else f"{line}, {column.low} to {column.high}"
    examples = ", ".join(_shown(match) for match in index.frequent(column.id)[:3])
    return f"{line}, such as {examples}" if examples else line


def _values(index: DataIndex, request: InfoRequest) -> str:
    columns = _table(index, request.table)
    if isinstance(columns, str):
        return columns
    named = {one.name: one for one in columns}
    column = named.get(request.column or "")
    if column is None:
        return _no_such("column", request.column, named)
    if request.term:
        return _term(index, request.term, column)
    shown = [f"{_shown(match)}: {match.count:,} rows" for match in index.frequent(column.id)]
    if len(shown) < column.distinct:
        shown.append(f"[the most frequent of {column.distinct:,} values]")
    return "\n".join([*shown, *_unindexed([column])]) or "The column holds no values."


def _term(index: DataIndex, term: str, column: ColumnFacts | None) -> str:
    """What equals a term, what contains it, and where nothing does, what is near."""
    columns = [column] if column else index.columns()
    only = column.id if column else None
    lines = _by_column("equal to the term", index.exact(term, only), columns)
    lines += _by_column("containing the term", index.containing(term, only), columns)
    if not lines:
        lines = _by_column("resembling the term", index.near(term, only), columns, ranked=True)
    names = [] if column else _names_like(index, term)
    if names:
        lines.append(f"Names that resemble the term: {', '.join(names)}")
    return "\n".join(
        [*(lines or [f"Nothing resembles {term[:SHOWN_CHARS]!r}."]), *_unindexed(columns)]
    )


def _by_column(
    what: str, matches: Sequence[Match], columns: Iterable[ColumnFacts], *, ranked: bool = False
) -> list[str]:
    """One line for each column, those with most rows (or the nearest value) first."""
    if not matches:
        return []
    named = {one.id: f"{one.table}.{one.name}" for one in columns}
    by_column = {
        column: list(own)
        for column, own in groupby(
            sorted(matches, key=lambda match: match.column_id), key=lambda match: match.column_id
        )
    }
    order = list(dict.fromkeys(match.column_id for match in matches))
    if not ranked:
        order.sort(key=lambda one: -sum(match.count for match in by_column[one]))
    more = "at least " if len(matches) >= MOST_COMPARED else ""
    lines = [f"Values {what}:"]
    for column in order[:SHOWN_COLUMNS]:
        own = by_column[column]
        shown = "; ".join(f"{_shown(match)} ({match.count:,} rows)" for match in own[:SHOWN_VALUES])
        rest = f"; {more}{len(own) - SHOWN_VALUES:,} more" if len(own) > SHOWN_VALUES else ""
        lines.append(f"  {named[column]}: {shown}{rest}")
    if len(order) > SHOWN_COLUMNS:
        lines.append(f"  and {more}{len(order) - SHOWN_COLUMNS} more columns")
    return lines


def _names_like(index: DataIndex, term: str) -> list[str]:
    """Tables and columns by a name that contains the term or is near it."""
    word = term.strip().casefold().replace(" ", "_")
    names = [one.name for one in index.tables()]
    names += [f"{one.table}.{one.name}" for one in index.columns()]
    last = {name: name.rpartition(".")[2].casefold() for name in names}
    near = set(difflib.get_close_matches(word, set(last.values()), cutoff=0.8))
    return [name for name in names if word in last[name] or last[name] in near][:SHOWN_COLUMNS]


def _unindexed(columns: Iterable[ColumnFacts]) -> list[str]:
    long = [f"{one.table}.{one.name}" for one in columns if one.unindexed]
    return [f"[not searched, since their texts are long: {', '.join(long)}]"] if long else []


def _no_such(what: str, name: str | None, known: Iterable[str]) -> str:
    names = sorted(known)
    if name is None:
        return f'Give the "{what}". There are: {", ".join(names)}'
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f" Do you mean {' or '.join(near)}?" if near else ""
    return f"There is no {what} {name[:SHOWN_CHARS]!r}.{hint} There are: {', '.join(names)}"


def _shown(match: Match) -> str:
    value = match.value
    if not isinstance(value, str):
        return f"{value}"
    return repr(value if len(value) <= SHOWN_CHARS else value[:SHOWN_CHARS] + "…")
