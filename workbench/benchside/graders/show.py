"""Short readable text of a submitted value, for evidence; bounded however large the value is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from benchside_kernels.submission import Series, SetValue, Table, Value

MAX_TEXT_CHARS = 80
MAX_ITEMS = 4
MAX_DEPTH = 3


def show(value: Value, depth: int = 0) -> str:
    """Return one line for people, such as `'abc'`, `12.5` or `[1, 2, 3, 4, … 100 items]`."""
    match value:
        case str():
            cut = value if len(value) <= MAX_TEXT_CHARS else value[:MAX_TEXT_CHARS] + "…"
            return repr(cut)
        case bool() | None:
            return str(value)
        case int():
            # str() of an integer refuses above 4300 digits
            return str(value) if value.bit_length() < 256 else f"{value.bit_length()}-bit integer"
        case float():
            return f"{value:.12g}"
        case dt.date() | dt.time():
            return value.isoformat()
        case dt.timedelta():
            return str(value)
    if depth >= MAX_DEPTH:
        return "…"
    match value:
        case Table():
            shape = f"{len(value.rows)} rows × {len(value.columns)} columns"
            return f"table of {shape} ({_items(value.columns, depth)})"
        case Series():
            return f"series of {len(value.values)} values [{_items(value.values, depth)}]"
        case SetValue():
            return f"{{{_items(value.members, depth)}}}"
        case dict():
            pairs = [f"{show(k)}: {show(v, depth + 1)}" for k, v in list(value.items())[:MAX_ITEMS]]
            return f"{{{_joined(pairs, len(value))}}}"
        case _:
            return f"[{_items(value, depth)}]"


def show_row(row: Sequence[Value]) -> str:
    """Return a table's row, in parentheses."""
    return f"({_joined([show(cell, 1) for cell in row[:12]], len(row))})"


def _items(items: Sequence[Value], depth: int) -> str:
    return _joined([show(item, depth + 1) for item in items[:MAX_ITEMS]], len(items))


def _joined(shown: Sequence[str], count: int) -> str:
    more = f", … {count} items" if count > len(shown) else ""
    return ", ".join(shown) + more
