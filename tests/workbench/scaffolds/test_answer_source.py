"""Any submission can be submitted again from its JSON."""

import datetime as dt
from typing import Any

import pandas as pd
import pytest

from benchside.scaffolds.answer_source import submit_json_action
from benchside_kernels.submission import encode


@pytest.mark.parametrize(
    "value",
    [
        None, True, 3, 0.1 + 0.2, "µg", float("nan"), float("-inf"), [1, [2, "x"]], {"a": {"b": 1}},
        dt.date(2024, 2, 29), dt.datetime(2024, 2, 29, 10, 5), dt.time(14, 35),
        dt.timedelta(weeks=3, days=2), {1, 2}, {("a", 1), ("b", 2)}, set(), {dt.date(2024, 1, 1)},
        pd.Series([1.5, 2.5], index=["a", "b"]), pd.DataFrame({"a": [1, 2], "b": ["x", None]}),
        pd.DataFrame({"when": pd.to_datetime(["2024-01-01", "2024-01-02"])}),
        pd.DataFrame([[1, 2]], columns=["same", "same"]), {"x": {dt.timedelta(hours=1)}},
    ],
)  # fmt: skip
def test_the_same_value_is_submitted_again(value: Any) -> None:
    submitted: list[Any] = []
    form = encode(value)
    action = submit_json_action(form)
    assert action.code is not None
    exec(action.code, {"submit": submitted.append, "pd": pd})
    assert encode(submitted[0]) == form
