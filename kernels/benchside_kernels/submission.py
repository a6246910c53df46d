"""A submitted value on its way out of the kernel: typed JSON, never pickle.

`encode` runs inside the kernel and `decode` on the host; both know one format. JSON's own types
stand for themselves; other types are objects with a single tag key:

    {"$float": "nan"}                                   nan, inf, -inf and missing values
    {"$date": "2024-02-29"}                             datetime.date
    {"$datetime": "2024-02-29T10:00:00"}                datetime, pandas.Timestamp, numpy.datetime64
    {"$time": "14:35:00"}                               datetime.time
    {"$duration_s": 86400.0}                            timedelta
    {"$set": [...]}                                     set, frozenset
    {"$series": {"index": [...], "values": [...]}}      pandas.Series
    {"$table": {"columns": [...], "rows": [[...]]}}     pandas.DataFrame (a named index is a column)

numpy scalars and arrays, tuples and ranges become plain JSON; members of a set are sorted, so that
equal sets give equal JSON. A dict whose single key starts with "$" is refused, as it would be read
as a tag. `encode` recognises numpy and pandas
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

from typing_extensions import TypeAliasType

MAX_SUBMISSION_CHARS = 4_000_000
MAX_DEPTH = 50
# the host's json.loads refuses integers of more than 4300 digits, about 14,000 bits
MAX_INTEGER_BITS = 10_000
MIME = "application/vnd.benchside.submission+json"

Json = TypeAliasType("Json", "bool | int | float | str | list[Json] | dict[str, Json] | None")


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
    bool | int | float | str | dt.date | dt.datetime | dt.time | dt.timedelta
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
    if depth > MAX_DEPTH:
        raise UnsupportedValueError(
            f"submit() got a value nested more than {MAX_DEPTH} levels deep"
        )
    match value:
        case None | bool() | str():
            return str(value) if isinstance(value, str) else value
        case int():
            if value.bit_length() > MAX_INTEGER_BITS:
                raise UnsupportedValueError("submit() got an integer of more than 3000 digits")
            return int(value)
        case float():
            return float(value) if math.isfinite(value) else {"$float": str(float(value))}
        case Decimal() | Fraction():
            return _encode(_rounded(value), depth)
    if type(value).__name__ in ("NaTType", "NAType", "MaskedConstant"):
        return {"$float": "nan"}
    match value:
        case dt.datetime():
            return {"$datetime": value.isoformat()}
        case dt.date():
            return {"$date": value.isoformat()}
        case dt.time():
            return {"$time": value.isoformat()}
        case dt.timedelta():
            return {"$duration_s": value.total_seconds()}
        case Mapping():
            return _encode_mapping(value, depth)
        case AbstractSet():
            return {"$set": sorted((_encode(item, depth + 1) for item in value), key=_set_order)}
        case Sequence() if not isinstance(value, (bytes, bytearray, memoryview)):
            return [_encode(item, depth + 1) for item in value]
    return _encode_array(value, depth)


def _encode_mapping(value: Mapping[Any, Any], depth: int) -> Json:
    encoded = {_key(key): _encode(item, depth + 1) for key, item in value.items()}
    if len(encoded) < len(value):
        raise UnsupportedValueError("submit() got a dict in which two keys are the same as text")
    if len(encoded) == 1 and next(iter(encoded)).startswith("$"):
        raise UnsupportedValueError('submit() got a dict whose key starts with "$"; rename the key')
    return encoded


def _rounded(value: Decimal | Fraction) -> float:
    """Return the nearest float; a signalling NaN is nan and too large a fraction infinite."""
    if isinstance(value, Decimal) and value.is_nan():
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _set_order(item: Json) -> tuple[bool, float, str]:
    """Numbers first and by size, then the rest: hashing orders a set anew in each process."""
    number = isinstance(item, (int, float))
    return not number, item if isinstance(item, (int, float)) else 0, repr(item)


def _encode_array(value: Any, depth: int) -> Json:
    """numpy, pandas, and whatever converts itself like them."""
    module = type(value).__module__.partition(".")[0]
    if module == "pandas":
        if hasattr(value, "columns"):
            frame = _with_named_index(value)
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
            return _encode_numpy_time(value, depth)
        kind = getattr(getattr(value, "dtype", None), "kind", "")
        if kind in ("m", "M") and value.ndim:
            return [_encode(item, depth + 1) for item in value]
        if kind == "f" and not getattr(value, "ndim", 0):
            return _encode(float(value), depth)  # tolist() leaves a long double as it is
        if hasattr(value, "tolist") and kind != "c":
            return _encode(value.tolist(), depth)
    raise UnsupportedValueError(
        f"submit() cannot send a {type(value).__module__}.{type(value).__qualname__}; submit a "
        "number, text, bool, date, time, timedelta, list, set, dict, numpy array, Series or "
        "DataFrame"
    )


def _encode_numpy_time(value: Any, depth: int) -> Json:
    """datetime64 and timedelta64, through microseconds: item() of nanoseconds is a bare integer."""
    if str(value) == "NaT":
        return _encode(math.nan, depth)
    in_us = value.astype(f"{type(value).__name__}[us]")
    item = in_us.item()
    finer = str(value.dtype).endswith(("ns]", "ps]", "fs]", "as]"))  # these only lose digits
    if isinstance(item, int) or (in_us.astype(value.dtype) != value and not finer):
        raise UnsupportedValueError(f"submit() got a {type(value).__name__} out of range: {value}")
    return _encode(item, depth)


def _with_named_index(frame: Any) -> Any:
    """Make a named index columns, unless `set_index(..., drop=False)` has kept them as such."""
    names = list(frame.index.names)
    if None in names or set(names) & set(frame.columns):
        return frame
    return frame.reset_index(allow_duplicates=True)


def _key(key: object) -> str:
    if isinstance(key, tuple):  # a column of several levels; those that are not used are empty
        return " / ".join(str(part) for part in key if part != "")
    return str(key)


def decode(encoded: Json) -> Value:
    """Return the typed value of a submission's JSON; hostile input gives `ValueError`."""
    return _decode(encoded, depth=0)


def _decode(encoded: Json, depth: int) -> Value:
    if depth > MAX_DEPTH:
        raise ValueError(f"malformed submission: nested more than {MAX_DEPTH} levels deep")
    if isinstance(encoded, list):
        return [_decode(item, depth + 1) for item in encoded]
    if not isinstance(encoded, dict):
        return encoded
    if len(encoded) == 1:
        (tag, body), = encoded.items()  # fmt: skip
        if tag.startswith("$"):
            try:
                return _decode_tagged(tag, body, depth)
            except (TypeError, KeyError, OverflowError, ValueError) as error:
                raise ValueError(f"malformed submission at {tag}: {error}") from error
    return {key: _decode(item, depth + 1) for key, item in encoded.items()}


def _decode_tagged(tag: str, body: Any, depth: int) -> Value:
    match tag:
        case "$float":
            if body not in ("nan", "inf", "-inf"):
                raise ValueError("not one of nan, inf and -inf")
            return float(body)
        case "$date":
            return dt.date.fromisoformat(body)
        case "$datetime":
            return dt.datetime.fromisoformat(body)
        case "$time":
            return dt.time.fromisoformat(body)
        case "$duration_s":
            if isinstance(body, bool):
                raise ValueError("not a number")
            return dt.timedelta(seconds=body)
        case "$set":
            return SetValue(_decode_items(body, depth))
        case "$series":
            index, values = (
                _decode_items(body["index"], depth),
                _decode_items(body["values"], depth),
            )
            if len(index) != len(values):
                raise ValueError("lengths differ")
            return Series(index, values)
        case "$table":
            columns = body["columns"]
            if not isinstance(columns, list) or not all(isinstance(c, str) for c in columns):
                raise ValueError("columns is not a list of texts")
            rows = tuple(_decode_items(row, depth + 1) for row in body["rows"])
            if any(len(row) != len(columns) for row in rows):
                raise ValueError("a row has another length")
            return Table(tuple(columns), rows)
    raise ValueError("unknown tag")


def _decode_items(body: Any, depth: int) -> tuple[Value, ...]:
    if not isinstance(body, list):
        raise ValueError("not a list")
    # plain cells are most of a table; a call for each would double the time
    return tuple(
        _decode(item, depth + 1) if isinstance(item, (list, dict)) else item for item in body
    )
