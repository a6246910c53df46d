"""A submitted value on its way out of the kernel: typed JSON, never pickle.

`encode` runs inside the kernel and `decode` on the host; both know one format. JSON's own types
stand for themselves; other types are objects with a single tag key:

    {"$float": "nan"}                                   nan, inf, -inf and missing values
    {"$date": "2024-02-29"}                             datetime.date
    {"$datetime": "2024-02-29T10:00:00"}                datetime, pandas.Timestamp, numpy.datetime64
    {"$duration_s": 86400.0}                            timedelta
    {"$set": [...]}                                     set, frozenset
    {"$series": {"index": [...], "values": [...]}}      pandas.Series
    {"$table": {"columns": [...], "rows": [[...]]}}     pandas.DataFrame (a named index is a column)

numpy scalars and arrays, tuples and ranges become plain JSON. `encode` recognises numpy and pandas
by duck typing, so that nothing is imported in a kernel that does not use them.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeAlias

MAX_SUBMISSION_CHARS = 4_000_000
MIME = "application/vnd.benchside.submission+json"

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None


@dataclass(frozen=True, slots=True)
class Series:
    """A decoded pandas.Series: `index` and `values` have the same length."""

    index: tuple[Value, ...]
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A decoded pandas.DataFrame: `rows` are tuples as long as `columns`."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True, slots=True)
class SetValue:
    """A decoded set; a tuple, since members may be unhashable once decoded."""

    members: tuple[Value, ...]


Value: TypeAlias = (
    bool | int | float | str | dt.date | dt.datetime | dt.timedelta
    | Series | Table | SetValue | list["Value"] | dict[str, "Value"] | None
)  # fmt: skip


class UnsupportedValueError(TypeError):
    """The value has no form that can leave the kernel."""


def encode(value: object) -> Json:
    """Return the JSON form of a value that is submitted.

    Raises:
        UnsupportedValueError: for objects without a JSON form, naming the type and the fix.
    """
    return _encode(value, depth=0)


def _encode(value: Any, depth: int) -> Json:
    if depth > 50:
        raise UnsupportedValueError("submit() got a value nested more than 50 levels deep")
    match value:
        case None | bool() | str():
            return str(value) if isinstance(value, str) else value
        case int():
            return int(value)
        case float():
            return float(value) if math.isfinite(value) else {"$float": str(float(value))}
        case Decimal() | Fraction():
            return _encode(float(value), depth)
    if type(value).__name__ in ("NaTType", "NAType"):
        return {"$float": "nan"}
    match value:
        case dt.datetime():
            return {"$datetime": value.isoformat()}
        case dt.date():
            return {"$date": value.isoformat()}
        case dt.timedelta():
            return {"$duration_s": value.total_seconds()}
        case Mapping():
            return {_key(key): _encode(item, depth + 1) for key, item in value.items()}
        case AbstractSet():
            return {"$set": [_encode(item, depth + 1) for item in value]}
        case Sequence() if not isinstance(value, (bytes, bytearray, memoryview)):
            return [_encode(item, depth + 1) for item in value]
    return _encode_array(value, depth)


def _encode_array(value: Any, depth: int) -> Json:
    """numpy, pandas, and whatever converts itself like them."""
    module = type(value).__module__.partition(".")[0]
    if module == "pandas":
        if hasattr(value, "columns"):
            named = [name is not None for name in value.index.names]
            frame = value.reset_index() if all(named) else value
            rows = frame.astype(object).itertuples(index=False, name=None)
            columns: list[Json] = [_key(name) for name in frame.columns]
            return {"$table": {"columns": columns, "rows": [_encode(r, depth + 1) for r in rows]}}
        if hasattr(value, "index") and hasattr(value, "to_numpy"):
            index, items = list(value.index), list(value.astype(object))
            encoded = [_encode(item, depth + 1) for item in items]
            labels = [_encode(label, depth + 1) for label in index]
            return {"$series": {"index": labels, "values": encoded}}
        if hasattr(value, "to_timestamp"):
            return _encode(value.to_timestamp().to_pydatetime(), depth + 1)
        if hasattr(value, "tolist"):
            return [_encode(item, depth + 1) for item in value.tolist()]
    if module == "numpy":
        if type(value).__name__ in ("datetime64", "timedelta64"):
            # through microseconds: tolist() of nanoseconds is a bare integer
            return _encode(value.astype(f"{type(value).__name__}[us]").item(), depth + 1)
        kind = getattr(getattr(value, "dtype", None), "kind", "")
        if kind in ("m", "M") and value.ndim:
            return [_encode(item, depth + 1) for item in value]
        if hasattr(value, "tolist") and kind != "c":
            return _encode(value.tolist(), depth + 1)
    raise UnsupportedValueError(
        f"submit() cannot send a {type(value).__module__}.{type(value).__qualname__}; submit a "
        "number, text, bool, date, timedelta, list, set, dict, numpy array, Series or DataFrame"
    )


def _key(key: object) -> str:
    if isinstance(key, tuple):
        return " / ".join(str(part) for part in key)
    return str(key)


def decode(encoded: Json) -> Value:
    """Return the typed value of a submission's JSON; hostile input gives `ValueError`."""
    if isinstance(encoded, list):
        return [decode(item) for item in encoded]
    if not isinstance(encoded, dict):
        return encoded
    if len(encoded) == 1:
        (tag, body), = encoded.items()  # fmt: skip
        if tag.startswith("$"):
            try:
                return _decode_tagged(tag, body)
            except (TypeError, KeyError, AttributeError, OverflowError) as error:
                raise ValueError(f"malformed submission at {tag}: {error}") from error
    return {key: decode(item) for key, item in encoded.items()}


def _decode_tagged(tag: str, body: Any) -> Value:
    match tag:
        case "$float":
            if body not in ("nan", "inf", "-inf"):
                raise ValueError(f"malformed submission at $float: {body!r}")
            return float(body)
        case "$date":
            return dt.date.fromisoformat(body)
        case "$datetime":
            return dt.datetime.fromisoformat(body)
        case "$duration_s":
            return dt.timedelta(seconds=body)
        case "$set":
            return SetValue(tuple(decode(item) for item in body))
        case "$series":
            index = tuple(decode(item) for item in body["index"])
            values = tuple(decode(item) for item in body["values"])
            if len(index) != len(values):
                raise ValueError("malformed submission at $series: lengths differ")
            return Series(index, values)
        case "$table":
            columns = tuple(str(name) for name in body["columns"])
            rows = tuple(tuple(decode(item) for item in row) for row in body["rows"])
            if any(len(row) != len(columns) for row in rows):
                raise ValueError("malformed submission at $table: a row has another length")
            return Table(columns, rows)
    raise ValueError(f"malformed submission: unknown tag {tag!r}")
