import datetime as dt
from typing import Any, ClassVar

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchside.graders import NumberGrader, TextGrader
from benchside.graders.grader import Verdict, register
from benchside.graders.probes import check_probes, probes
from tests.workbench.graders.tasks import task_and_key

NUMBER = st.floats(-1e9, 1e9)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20)
DAY = st.dates(dt.date(1700, 1, 1), dt.date(2200, 1, 1))
LENGTH = st.timedeltas(dt.timedelta(0), dt.timedelta(days=4000)).map(
    lambda length: dt.timedelta(seconds=round(length.total_seconds()))
)
RESOLUTION = st.fixed_dictionaries({"resolution": st.sampled_from(["minute", "second"])})
CELLS = st.one_of(NUMBER, st.none(), DAY, TEXT, st.booleans())
TABLE = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=5).map(
        lambda rows: pd.DataFrame(rows, columns=[f"c{i}" for i in range(width)], dtype=object)
    )
)
TASKS = st.one_of(
    st.tuples(st.just("number"), NUMBER, st.fixed_dictionaries({"abs_tol": st.floats(0, 10)})),
    st.tuples(st.just("number"), NUMBER, st.fixed_dictionaries({"rel_tol": st.floats(0, 0.3)})),
    st.tuples(st.just("integer"), st.integers(-(10**20), 10**20), st.just({})),
    st.tuples(st.just("text"), TEXT, st.just({})),
    st.tuples(st.just("boolean"), st.booleans(), st.fixed_dictionaries({"numeric": st.booleans()})),
    st.tuples(st.just("date"), DAY, st.just({"formats": ["%m/%d/%Y"]})),
    st.tuples(st.just("time"), st.times(), RESOLUTION),
    st.tuples(st.just("datetime"), st.datetimes(), RESOLUTION),
    st.tuples(st.just("duration"), LENGTH, st.just({"units": ["weeks", "days", "seconds"]})),
    st.tuples(
        st.sampled_from(["set", "list"]),
        st.lists(NUMBER, max_size=6),
        st.just({"item": "number", "item_params": {"abs_tol": 0.01}}),
    ),
    st.tuples(
        st.sampled_from(["set", "list"]), st.lists(TEXT, max_size=6), st.just({"item": "text"})
    ),
    st.tuples(
        st.just("table"),
        TABLE,
        st.fixed_dictionaries(
            {
                "columns": st.sampled_from(["by_name", "by_position", "any"]),
                "abs_tol": st.sampled_from([0, 0.1]),
                "ordered": st.booleans(),
            }
        ),
    ),
)


@given(TASKS, st.sampled_from(["mg/dL", "1/min", "10^9/L", "%"]))
@settings(max_examples=300, deadline=None)
def test_probes_hold_for_any_gold(drawn, unit):
    name, gold, params = drawn
    assert check_probes(*task_and_key(name, gold, params, unit=unit)) == []


def test_probes_of_records_alternatives_predictions_and_abstention():
    parts = {
        "hr": {"grader": "number", "params": {"abs_tol": 0.01}},
        "n": {"grader": "integer"},
        "ids": {"grader": "set", "params": {"item": "text"}},
        "died": {"grader": "date"},
    }
    record = {"hr": 0.8, "n": 12, "ids": ["a", "b"], "died": None}
    options = {"alternatives": [{"grader": "number"}, {"grader": "text"}]}
    labels = pd.Series([0, 1, 1, 0, 1], index=list("abcde"))
    times = pd.Series([[3, 1], [5, 0], [5, 1], [2, 1]], index=[1, 2, 3, 4])
    cases = [
        ("record", record, {"parts": parts}),
        ("any_of", [1, "one"], options),
        ("prediction", labels, {"metric": "auroc", "threshold": 0.8}),
        ("prediction", labels * 2.5, {"metric": "rmse", "threshold": 0.5}),
        ("prediction", labels * 2.5, {"metric": "r2", "threshold": 0.5}),
        ("prediction", times, {"metric": "c_index", "threshold": 0.8}),
        ("number", None, {}),
    ]
    for name, gold, params in cases:
        assert check_probes(*task_and_key(name, gold, params, may_abstain=gold is None)) == []


def test_a_constant_that_is_the_gold_is_skipped_and_says_so():
    skipped = {p.name: p.skipped for p in probes(*task_and_key("number", 1.02, {"abs_tol": 0.05}))}
    assert skipped["constant 1"] == skipped['constant "1"'] == "happens to be the right answer"
    assert skipped["constant True"] == skipped["constant 0"] == ""


def test_every_task_is_probed_from_both_sides():
    for name, gold, params in [("number", 5, {}), ("text", "a", {}), ("table", [[5]], {})]:
        made = probes(*task_and_key(name, gold, params))
        assert sum(probe.should_pass for probe in made) >= 5
        assert {"nan", "None", "empty text", "empty list", "range dump"} <= {p.name for p in made}


@register
class StrippingGrader(NumberGrader):
    """Wrong on purpose: drops "." and "-", so that 1.5 = 15 and -2 = 2."""

    name: ClassVar[str] = "broken_stripping"

    def judge_read(self, submitted: Any, gold: Any) -> Verdict:
        def strip(x):
            return f"{x:g}".replace(".", "").replace("-", "")

        return Verdict(strip(submitted) == strip(gold), "stripped")


@register
class SignedToleranceGrader(NumberGrader):
    """Wrong on purpose: a tolerance of 1e-4 * answer is negative for negative gold."""

    name: ClassVar[str] = "broken_tolerance"

    def judge_read(self, submitted: Any, gold: Any) -> Verdict:
        return Verdict(abs(submitted - gold) <= 1e-4 * gold, "signed tolerance")


@register
class SubstringGrader(TextGrader):
    """Wrong on purpose: any text that contains the answer passes."""

    name: ClassVar[str] = "broken_substring"

    def judge_read(self, submitted: Any, gold: Any) -> Verdict:
        return Verdict(gold in submitted, "substring")


@pytest.mark.parametrize(
    ("name", "kind", "gold", "caught"),
    [
        ("broken_stripping", "number", -2.5, ["sign flip", "ten times"]),
        ("broken_tolerance", "number", -2.5, ["'float' must pass"]),
        ("broken_substring", "text", "TP53", ["text that contains the answer", "the text twice"]),
    ],
)
def test_probes_catch_graders_that_were_broken_elsewhere(name, kind, gold, caught):
    task, key = task_and_key(name, gold, kind=kind)
    found = "\n".join(check_probes(task, key))
    assert [reason for reason in caught if reason not in found] == []


def test_probes_catch_a_threshold_that_a_constant_reaches():
    labels = pd.Series([0, 1, 1, 0], index=list("abcd"))
    found = check_probes(*task_and_key("prediction", labels, {"metric": "auroc", "threshold": 0.5}))
    assert ["constant prediction" in line for line in found] == [True]
