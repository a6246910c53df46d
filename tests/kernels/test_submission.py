"""What leaves the kernel comes back as the same value, and nothing else gets through."""

import datetime as dt
import json
import math
import os
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from benchside_kernels.submission import (
    MAX_DEPTH,
    Series,
    SetValue,
    Table,
    UnsupportedValueError,
    decode,
    encode,
)

NAN = {"$float": "nan"}


def through_json(value):
    """As the host sees it: text in between."""
    return decode(json.loads(json.dumps(encode(value), allow_nan=False)))


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.dates(),
    st.times(timezones=st.sampled_from([None, dt.UTC])).map(lambda time: time.replace(fold=0)),
    st.datetimes(timezones=st.sampled_from([None, dt.UTC])).map(lambda m: m.replace(fold=0)),
    st.timedeltas(dt.timedelta(days=-9999), dt.timedelta(days=9999)),
)
keys = st.text().filter(lambda key: not key.startswith("$"))
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@given(values)
@example(-math.inf)
def test_plain_values_come_back_equal_and_of_the_same_type(value):
    back = through_json(value)
    assert back == value
    assert repr(back) == repr(value)  # 1, 1.0 and True are equal, but not the same answer


@given(st.lists(st.tuples(scalars, scalars), max_size=5))
def test_tables_and_series_come_back(rows):
    frame = pd.DataFrame(rows, columns=["a", "b"], dtype=object)
    missing = [tuple(None if x is None else x for x in row) for row in frame.to_numpy().tolist()]
    assert through_json(frame) == Table(("a", "b"), tuple(missing))
    series = pd.Series([row[0] for row in rows], dtype=object, index=range(len(rows)))
    assert through_json(series) == Series(tuple(range(len(rows))), tuple(row[0] for row in rows))


@given(st.sets(st.one_of(st.integers(), st.text(), st.dates())))
def test_sets_come_back(members):
    back = through_json(members)
    assert isinstance(back, SetValue)
    assert set(back.members) == members


def test_equal_sets_give_equal_json_in_every_process():
    code = (
        "from benchside_kernels.submission import encode;"
        "print(encode({'TP53', 'KRAS', 'EGFR', 10, 9, ('a', 1)}))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(printed) == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, NAN),
        (None, None),
        (pd.NA, NAN),
        (pd.NaT, NAN),
        (np.datetime64("NaT"), NAN),
        (np.timedelta64("NaT"), NAN),
        (np.ma.masked, NAN),
        (Decimal("NaN"), NAN),
        (Decimal("sNaN"), NAN),
        (Decimal("12.5"), 12.5),
        (Decimal("1e400"), {"$float": "inf"}),
        (Fraction(1, 4), 0.25),
        (Fraction(-(10**400)), {"$float": "-inf"}),
        (np.float32(0.5), 0.5),
        (np.longdouble(0.5), 0.5),
        (np.int8(3), 3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array(5), 5),
        (np.array([[1, 2]]), [[1, 2]]),
        (np.array(["2024-01-01", "NaT"], dtype="M8[D]"),
         [{"$datetime": "2024-01-01T00:00:00"}, NAN]),
        (np.datetime64("2024-01-01T00:00:00.000000001"), {"$datetime": "2024-01-01T00:00:00"}),
        (np.timedelta64(36, "h"), {"$duration_s": 129600.0}),
        (pd.Timedelta(days=1), {"$duration_s": 86400.0}),
        (pd.Timestamp("2024-02-29"), {"$datetime": "2024-02-29T00:00:00"}),
        (pd.Period("2024-02"), {"$datetime": "2024-02-01T00:00:00"}),
        (dt.date(2024, 2, 29), {"$date": "2024-02-29"}),
        (range(3), [0, 1, 2]),
        ((1, "a"), [1, "a"]),
        ({10, 9, "b", "a"}, {"$set": [9, 10, "a", "b"]}),
        ({1: "a", dt.date(2024, 1, 1): 2}, {"1": "a", "2024-01-01": 2}),
        (pd.Series([1, None], dtype="Int64", index=["x", "y"]),
         {"$series": {"index": ["x", "y"], "values": [1, NAN]}}),
        (pd.Index([1, 2]), [1, 2]),
        (pd.Categorical(["a", "b"]), ["a", "b"]),
    ],
)  # fmt: skip
def test_other_types_become_json(value, expected):
    encoded = encode(value)
    assert encoded == expected
    assert type(encoded) is type(expected)


def test_index_of_a_data_frame():
    frame = pd.DataFrame({"a": [1, 2], "b": [3.0, None]})

    def columns(value):
        return encode(value)["$table"]["columns"]

    assert columns(frame) == ["a", "b"]
    assert columns(frame.set_index("a")) == ["a", "b"]
    assert columns(frame.set_index("a", drop=False)) == ["a", "b"]
    grouped = frame.groupby("a").agg({"b": ["mean", "max"]})
    assert columns(grouped) == columns(grouped.reset_index()) == ["a", "b / mean", "b / max"]
    assert encode(frame)["$table"]["rows"] == [[1, 3.0], [2, NAN]]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (object(), "builtins.object"),
        (b"x", "builtins.bytes"),
        (np.bytes_(b"x"), "bytes"),
        (1j, "complex"),
        (np.complex64(1), "complex64"),
        (len, "builtin_function_or_method"),
        (pd.DataFrame, "type"),
        ((x for x in ()), "generator"),
        (10**4000, "3000 digits"),
        ({1: "a", "1": "b"}, "two keys are the same"),
        ({"$date": "2024-01-01"}, 'starts with "$"'),
        (np.datetime64("20000-01-01"), "out of range"),
        (np.timedelta64(10**17, "s"), "out of range"),
    ],
)
def test_what_cannot_leave_is_refused_with_its_type(value, says):
    with pytest.raises(UnsupportedValueError, match="submit\\(\\)") as caught:
        encode([value])
    assert says in str(caught.value)


def test_depth_is_bounded_on_both_sides():
    nested = 1
    for _ in range(MAX_DEPTH):
        nested = [nested]
    assert through_json(nested) == nested
    with pytest.raises(UnsupportedValueError, match="nested more than 50 levels"):
        encode([nested])
    loop = []
    loop.append(loop)
    with pytest.raises(UnsupportedValueError, match="nested"):
        encode(loop)
    deep = []
    for _ in range(100_000):
        deep = {"$set": [deep]}
    with pytest.raises(ValueError, match="nested"):
        decode(deep)


@pytest.mark.parametrize(
    "encoded",
    [
        {"$float": "1"}, {"$float": []}, {"$float": True},
        {"$date": 5}, {"$date": "2024-13-01"}, {"$date": "2024-01-01T00:00"}, {"$date": None},
        {"$time": "25:00"}, {"$time": 5}, {"$datetime": "x"}, {"$datetime": ["2024-01-01"]},
        {"$duration_s": "1"}, {"$duration_s": True}, {"$duration_s": 1e300},
        {"$duration_s": math.nan},
        {"$duration_s": 10**400}, {"$duration_s": None},
        {"$set": "abc"}, {"$set": {"a": 1}}, {"$set": 1},
        {"$series": []}, {"$series": {}}, {"$series": {"index": [1], "values": []}},
        {"$series": {"index": "ab", "values": [1, 2]}},
        {"$table": []}, {"$table": {"columns": ["a"]}}, {"$table": {"columns": "ab", "rows": []}},
        {"$table": {"columns": [1], "rows": [[1]]}}, {"$table": {"columns": ["a"], "rows": ["b"]}},
        {"$table": {"columns": ["a"], "rows": [[1, 2]]}},
        {"$table": {"columns": ["a"], "rows": None}},
        {"$pickle": "x"}, {"$": 1}, [{"a": {"$eval": "1"}}],
    ],
)  # fmt: skip
def test_malformed_json_is_refused(encoded):
    with pytest.raises(ValueError, match="malformed submission"):
        decode(encoded)


tagged = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["$float", "$date", "$datetime", "$duration_s", "$set", "$series", "$table", "$x"]
            ),
            inner,
            min_size=1,
            max_size=1,
        ),
        st.dictionaries(st.sampled_from(["index", "values", "columns", "rows"]), inner),
    ),
    max_leaves=10,
)


@given(tagged)
def test_hostile_json_gives_a_value_or_a_value_error(encoded):
    try:
        decode(encoded)
    except ValueError as error:
        assert "malformed submission" in str(error)


def test_the_kernel_needs_neither_numpy_nor_pandas():
    code = (
        "import sys; from benchside_kernels.submission import encode; encode({'a': [1, {2}]});"
        "sys.exit('numpy' in sys.modules or 'pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
