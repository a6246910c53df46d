import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchside.errors import GraderError
from benchside.graders import grade, grade_missing, known_graders, validate_task
from benchside.task import AnswerKey
from tests.workbench.graders.tasks import graded, task_and_key

# one valid task per grader: name, gold, parameters
TASKS = [
    ("number", 12.5, {"abs_tol": 0.1}),
    ("integer", 3, {}),
    ("text", "BRCA1", {}),
    ("boolean", True, {"numeric": True}),
    ("date", dt.date(2024, 2, 29), {"formats": ["%m/%d/%Y"]}),
    ("time", dt.time(14, 35), {}),
    ("datetime", dt.datetime(2024, 2, 29, 14, 35), {"resolution": "second"}),
    ("duration", dt.timedelta(days=23), {"units": ["weeks", "days"]}),
    ("set", ["a", "b"], {"item": "text"}),
    ("list", [1.0, 2.0], {"item": "number"}),
    ("table", [["a", 1.5], ["b", None]], {"columns": "any", "abs_tol": 0.1}),
    ("table", [["a", 1.5], ["b", None]], {"as_text": True, "max_rows": 100}),
    ("record", {"n": 3}, {"parts": {"n": {"grader": "integer"}}}),
    ("any_of", [3, "three"], {"alternatives": [{"grader": "integer"}, {"grader": "text"}]}),
    ("prediction", {"$series": {"index": ["a", "b"], "values": [0, 1]}},
     {"metric": "auroc", "threshold": 0.7}),
    ("program", [{"returned": 3, "arguments": [1, 2], "files": {}}], {"entry": "add"}),
    ("assertions", 2, {}),
]  # fmt: skip


def tasks():
    for name, gold, params in TASKS:
        if name == "prediction":  # the gold is JSON already
            task, _ = task_and_key(name, 0, params)
            yield task, AnswerKey(task_id=task.task_id, value=gold)
        elif name == "program":
            cases = [{"arguments": [1, 2]}]
            yield task_and_key(name, gold, params, secret={"cases": cases}, kind="code")
        elif name == "assertions":
            secret = {"forms": {"x": {"kind": "scalar"}}, "assertions": "assert x\nassert x > 1"}
            yield task_and_key(name, gold, params, secret=secret, kind="record")
        else:
            yield task_and_key(name, gold, params)


def test_every_grader_has_a_task_here():
    # `charted` also needs what a service recorded: see test_charted
    known = {name for name in known_graders() if not name.startswith("broken_")} - {"charted"}
    assert {name for name, _, _ in TASKS} == known
    for task, key in tasks():
        validate_task(task, key)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=30),
    st.sampled_from(["a", "12.5", "2024-02-29", "nan", "\ud800", "0x1", "9" * 400, 10**400]),
)
TAGS = ["$float", "$date", "$datetime", "$duration_s", "$set", "$series", "$table", "$other"]
hostile = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["n", "a", "$set", "index", ""]), inner, max_size=3),
        st.builds(lambda tag, body: {tag: body}, st.sampled_from(TAGS), inner),
        st.builds(lambda i, v: {"$series": {"index": i, "values": v}}, inner, inner),
        st.builds(lambda c, r: {"$table": {"columns": c, "rows": r}}, inner, inner),
        st.lists(inner, max_size=3).map(
            lambda row: {"$table": {"columns": [str(i) for i in range(len(row))], "rows": [row]}}
        ),
    ),
    max_leaves=20,
)


@given(hostile)
def test_any_json_gets_a_grade(submission):
    for task, key in tasks():
        given_grade = grade(task, key, submission)
        assert given_grade.reward == float(given_grade.passed)
        assert 0 < len(given_grade.evidence) < 2100
        json.loads(given_grade.model_dump_json())


def test_deep_and_malformed_json_fails_with_evidence():
    deep: list[object] = []
    for _ in range(10_000):
        deep = [deep]
    for task, key in tasks():
        assert "nested" in grade(task, key, deep).evidence
        assert "unknown tag" in grade(task, key, {"$pickle": "x"}).evidence
        assert "\\ud800" in grade(task, key, {"$\ud800": "x"}).evidence  # no valid UTF-8


def test_abstention_is_decided_before_any_grader():
    for task, key in tasks():
        asked = task.model_copy(
            update={"answer": task.answer.model_copy(update={"may_abstain": True})}
        )
        unanswerable = key.model_copy(update={"value": None})
        validate_task(asked, unanswerable)
        assert grade(asked, unanswerable, None).passed
        for wrong in (0, "", [], {}, "None", {"$float": "nan"}, False):
            assert not grade(asked, unanswerable, wrong).passed
        assert not grade(asked, key, None).passed


def test_nothing_submitted():
    for task, _ in tasks():
        missing = grade_missing(task)
        assert (missing.reward, missing.passed) == (0.0, False)
        assert missing.evidence == "nothing was submitted"
        version = {"number": 2, "integer": 2}.get(task.grader.name, 1)
        assert missing.grader == f"{task.grader.name}/{version}"


@pytest.mark.parametrize(
    ("name", "gold", "params", "secret", "says"),
    [
        ("nummber", 1, {}, {}, ["'nummber'", "did you mean 'number'", "prediction"]),
        ("number", 1, {"tol": 0.1}, {}, ["parameter tol", "0.1"]),
        ("number", 1, {"abs_tol": -1}, {}, ["parameter abs_tol", "-1"]),
        ("number", 1, {"abs_tol": float("nan")}, {}, ["parameter abs_tol"]),
        ("number", 1, {"rel_tol": 1}, {}, ["parameter rel_tol"]),
        ("number", 1, {"lower": 0, "upper": 2}, {}, ["gives its answer away", "lower, upper"]),
        ("number", 1, {}, {"lower": 0}, ["go together"]),
        ("number", 1, {}, {"lower": 3, "upper": 2}, ["is above"]),
        ("number", 1, {}, {"lower": 2, "upper": 3}, ["the gold 1 lies outside 2.0 to 3.0"]),
        ("number", float("nan"), {}, {}, ["does not fit grader number/2", "not a finite number"]),
        ("number", True, {}, {}, ["True is not a number"]),
        ("number", [1], {}, {}, ["[1] is not a number"]),
        ("integer", 1.5, {}, {}, ["1.5 is not an integer"]),
        ("text", "", {}, {}, ["the text is empty"]),
        ("text", "a", {"accept": ["b"]}, {}, ["gives its answer away", "accept"]),
        ("text", "a", {}, {"accept": [""]}, ["parameter accept"]),
        ("boolean", 1, {}, {}, ["1 is not true or false"]),
        ("date", dt.datetime(2024, 1, 1, 10), {}, {}, ["is a time of day"]),
        ("date", dt.date(2024, 1, 1), {"formats": ["%Y"]}, {}, ["does not hold day, month"]),
        ("date", dt.date(2024, 1, 1), {"formats": ["%Q"]}, {}, ["parameter formats"]),
        ("duration", 5, {}, {}, ["5 is not a duration"]),
        ("duration", dt.timedelta(1), {"units": ["months"]}, {}, ["parameter units.0", "months"]),
        ("set", [1], {}, {}, ["parameter item"]),
        ("set", [1], {"item": "table"}, {}, ["parameter item", "table"]),
        ("set", ["a"], {"item": "number"}, {}, ["'a' is not a number"]),
        ("set", [1], {"item": "number", "item_params": {"tol": 1}}, {}, ["tol"]),
        ("list", 5, {"item": "number"}, {}, ["not a list"]),
        ("table", {"a": 1}, {}, {}, ["is a dict"]),
        ("table", [[1], [1, 2]], {}, {}, ["rows have different lengths"]),
        ("table", [[float("inf")]], {}, {}, ["infinite"]),
        ("table", [[1]], {"columns": "by_name"}, {}, ["needs a gold with distinct column names"]),
        ("table", [list(range(13))], {"columns": "any"}, {}, ["13 columns"]),
        ("record", {"a": 1}, {"parts": {"b": {"grader": "number"}}}, {}, ["exactly the parts"]),
        ("record", {"a": 1}, {"parts": {"a": {"grader": "numbr"}}}, {}, ["did you mean 'number'"]),
        ("record", {"a": 1},
         {"parts": {"a": {"grader": "number", "params": {"lower": 0, "upper": 2}}}},
         {}, ["parts.a.params.lower"]),
        ("any_of", [1], {"alternatives": [{"grader": "number"}, {"grader": "text"}]}, {},
         ["each of 2"]),
        ("prediction", [0, 1], {"metric": "auroc", "threshold": 0.5}, {},
         ["not a Series of labels"]),
        ("prediction", [0, 1], {"metric": "f1", "threshold": 0.5}, {}, ["parameter metric", "f1"]),
    ],
)  # fmt: skip
def test_a_malformed_task_is_refused_with_its_reason(name, gold, params, secret, says):
    task, key = task_and_key(name, gold, params, secret=secret)  # kinds are not checked here
    with pytest.raises(GraderError) as caught:
        validate_task(task, key)
    for part in ["suite/1", name, "next:", *says]:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "metric", "says"),
    [
        ([1, 1], "auroc", "both present"),
        ([0, 2], "auroc", "both present"),
        ([0, None], "auroc", "not a finite number"),
        ([3, 3], "r2", "all labels are equal"),
        ([1, 2], "c_index", "pair [time, event]"),
        ([[1, 0], [2, 0]], "c_index", "no pair of rows is comparable"),
        ([[1, 2], [2, 0]], "c_index", "0 or 1"),
    ],
)
def test_labels_that_leave_a_metric_undefined_are_refused(labels, metric, says):
    task, _ = task_and_key("prediction", 0, {"metric": metric, "threshold": 0.7})
    value = {"$series": {"index": ["a", "b"], "values": labels}}
    with pytest.raises(GraderError, match="does not fit") as caught:
        validate_task(task, AnswerKey(task_id=task.task_id, value=value))
    assert says in str(caught.value)


def test_a_key_that_does_not_belong_to_its_task_is_refused():
    task, key = task_and_key("number", 1)
    with pytest.raises(GraderError, match="was given for"):
        grade(task, key.model_copy(update={"task_id": "suite/2"}), 1)
    with pytest.raises(GraderError, match="does not allow abstaining"):
        validate_task(task, key.model_copy(update={"value": None}))
    closed, wrong = task_and_key("text", "maybe", choices=("yes", "no"))
    with pytest.raises(GraderError, match="none of the task's choices"):
        validate_task(closed, wrong)


def test_evidence_of_a_huge_submission_is_short():
    assert len(graded("text", "a", "b" * 1_000_000).evidence) < 200
    assert len(graded("number", 1, {str(i): i for i in range(10_000)}).evidence) < 400
