"""The cohorts suite: structure, independence of golds, planted slips, and every solution."""

import contextlib
import io
import json
import re
import subprocess
import sys
import warnings
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from benchside.graders import grade, validate_task
from benchside.graders.probes import check_probes
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites.cohorts import build
from benchside.suites.cohorts.builder import all_questions, fault, spread, task_id
from benchside.suites.cohorts.catalogue import catalogue
from benchside.suites.cohorts.data import HIDDEN
from benchside.suites.cohorts.estimators import (
    cox,
    kaplan_meier,
    least_squares,
    log_rank,
    logistic,
    rank_auc,
)
from benchside.suites.cohorts.prediction import CHALLENGES, held_out
from benchside.task import AnswerKey, TaskSpec
from benchside_kernels.image import ImageSource, build_image, load_image
from benchside_kernels.submission import encode

MANIFEST = Path(__file__).parents[3] / "task_specs" / "cohorts" / "suite.yaml"


def options(scratch, seed=0, size=None):
    manifest = SuiteManifest.model_validate(yaml.safe_load(MANIFEST.read_text()))
    return BuildOptions(manifest=manifest, data=None, scratch=scratch, seed=seed, size=size)


@pytest.fixture(scope="module")
def suite(tmp_path_factory) -> SuiteBuild:
    return build(options(tmp_path_factory.mktemp("cohorts")))


@pytest.fixture(scope="module")
def keys(suite) -> dict[str, AnswerKey]:
    return {key.task_id: key for key in suite.keys}


@pytest.fixture(scope="module")
def images(suite) -> dict[str, ImageSource]:
    return {image.name: image for image in suite.images}


@pytest.fixture(scope="module")
def questions():
    return {task_id(question): question for question in all_questions(catalogue(), seed=0)}


def solve(key: AnswerKey, image: ImageSource) -> object:
    """Run the solution's cells as a kernel would; return the submission in JSON form."""
    submitted: list[object] = []
    namespace: dict[str, object] = {name: value.copy() for name, value in image.variables.items()}
    namespace |= {"np": np, "pd": pd, "submit": lambda value: submitted.append(encode(value))}
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that a solution uses
        for cell in key.solution:
            exec(cell, namespace)
    assert len(submitted) == 1, key.task_id
    return json.loads(json.dumps(submitted[0]))


def unsolved(tasks: list[TaskSpec], keys, images) -> list[str]:
    failures = []
    for task in tasks:
        verdict = grade(task, keys[task.task_id], solve(keys[task.task_id], images[task.image]))
        if not verdict.passed:
            failures.append(f"{task.task_id}: {verdict.evidence}")
    return failures


def test_size_and_breadth(suite):
    categories = Counter(task.category for task in suite.tasks)
    assert len(suite.tasks) >= 300
    assert len(categories) >= 15
    assert min(categories.values()) >= 4
    assert suite.counts["kept"] == len(suite.tasks)
    assert suite.counts["asked"] - suite.counts["kept"] < 0.05 * suite.counts["asked"]
    assert "dropped: second method disagrees" not in suite.counts
    kinds = Counter(task.answer.kind for task in suite.tasks)
    assert set(kinds) == {
        "number", "integer", "text", "boolean", "date", "duration", "set", "list", "table",
        "record",
    }  # fmt: skip


def test_ids_prompts_keys_and_images_match(suite, keys, images):
    assert len({task.task_id for task in suite.tasks}) == len(suite.tasks)
    assert len({task.prompt for task in suite.tasks}) == len(suite.tasks)
    assert [task.task_id for task in suite.tasks] == [key.task_id for key in suite.keys]
    assert {task.image for task in suite.tasks} <= set(images)
    for task in suite.tasks:
        assert re.fullmatch(r"[a-z0-9_.-]+", task.task_id)
        named = [name for name in images[task.image].variables if f"`{name}`" in task.prompt]
        assert named, f"{task.task_id} names no variable of its kernel"
        assert len(keys[task.task_id].solution) >= 2


def test_every_key_fits_its_grader(suite, keys):
    for task in suite.tasks:
        validate_task(task, keys[task.task_id])
        assert grade(task, keys[task.task_id], gold_submission(keys[task.task_id])).passed


def test_a_sample_of_grader_probes_holds(suite, keys):
    """Equivalent forms of the gold pass; constants, dumps, flips and unit slips fail."""
    by_grader = defaultdict(list)
    for task in suite.tasks:
        by_grader[task.grader.name].append(task)
    for tasks in by_grader.values():
        for task in tasks[:: max(1, len(tasks) // 6)]:
            assert check_probes(task, keys[task.task_id]) == [], task.task_id


def gold_submission(key: AnswerKey):
    """What to submit; for predictions the labels themselves, or the reversed times."""
    value = key.value
    if isinstance(value, dict) and "$series" in value and isinstance(value["$series"], dict):
        body = value["$series"]
        scores = [-v[0] if isinstance(v, list) else v for v in body["values"]]
        return {"$series": {"index": body["index"], "values": scores}}
    return value


def test_groups_are_whole_and_every_category_reaches_every_split(suite):
    by_group, by_category = defaultdict(set), defaultdict(set)
    for task in suite.tasks:
        by_group[task.group].add(task.split)
        by_category[task.category].add(task.split)
    assert all(len(splits) == 1 for splits in by_group.values())
    assert all(splits == {"train", "valid", "test"} for splits in by_category.values())
    shares = Counter(task.split for task in suite.tasks)
    assert shares["train"] > shares["test"] > 80
    assert shares["valid"] > 60


def test_two_builds_are_the_same_and_seeds_matter(suite, tmp_path):
    again = build(options(tmp_path))
    assert [t.hash for t in again.tasks] == [t.hash for t in suite.tasks]
    assert again.keys == suite.keys
    for one, other in zip(suite.images, again.images, strict=True):
        a = build_image(one, tmp_path / "a")
        assert a.ref == build_image(other, tmp_path / "b").ref


def test_seeds_shuffle_the_held_out_rows():
    cohort, challenge = catalogue()["breast_cancer"], CHALLENGES[0]
    labels = [held_out(challenge, cohort, seed).labels for seed in (0, 0, 1)]
    assert labels[0].equals(labels[1])
    assert not labels[0].equals(labels[2])


def test_size_spreads_over_the_categories(questions):
    chosen = spread(list(questions.values()), 60)
    assert len(chosen) == 60
    assert len({question.category for question in chosen}) >= 45


def test_a_sample_of_solutions_passes(suite, keys, images):
    per_category = defaultdict(list)
    for task in suite.tasks:
        per_category[task.category].append(task)
    sample = [tasks[index] for tasks in per_category.values() for index in (0, len(tasks) // 2)]
    assert unsolved(sample, keys, images) == []


@pytest.mark.slow
def test_all_solutions_pass(suite, keys, images):
    assert unsolved(suite.tasks, keys, images) == []


def test_planted_slips_fail(suite, keys, questions):
    passed, tried = [], 0
    for task in suite.tasks:
        for name, slip in questions[task.task_id].slips.items():
            tried += 1
            if grade(task, keys[task.task_id], slip).passed:
                passed.append(f"{task.task_id}: {name}")
    assert passed == []
    assert tried > 2 * len(suite.tasks)


@pytest.mark.parametrize(
    ("category", "slip"),
    [
        ("description/spread", "population sd"),
        ("comparison/t-test", "reversed"),
        ("comparison/t-test", "one-sided"),
        ("comparison/t-test", "pooled df"),
        ("comparison/rank-sum", "no correction"),
        ("contingency/chi-square", "other correction"),
        ("contingency/odds-ratio", "reciprocal"),
        ("contingency/odds-ratio", "crude"),
        ("survival/cox", "reciprocal"),
        ("survival/cox", "Breslow"),
        ("survival/cox", "entry ignored"),
        ("survival/kaplan-meier", "censored as survivors"),
        ("survival/log-rank", "other weights"),
        ("resampling/permutation", "without plus one"),
        ("tables/baseline", "population sd"),
        ("prediction/held-out", "constant"),
    ],
)
def test_classic_slips_are_planted(suite, questions, category, slip):
    """The slip test above is only worth as much as the slips it tries."""
    planted = [
        task.task_id
        for task in suite.tasks
        if task.category == category and slip in questions[task.task_id].slips
    ]
    assert planted


def test_constants_and_dumps_solve_next_to_nothing(suite, keys):
    tasks = [task for task in suite.tasks if task.answer.kind != "boolean"]
    guesses = [0, 1, -1, 0.5, 2, 10, 100, "", "yes", "age", "I", [], {}, None, True, False]
    guesses += [list(range(100)), {"$set": list(range(100))}, list(map(str, range(100)))]
    common = Counter(json.dumps(key.value) for key in keys.values())
    guesses += [json.loads(text) for text, _ in common.most_common(10)]
    for guess in guesses:
        solved = [t.task_id for t in tasks if grade(t, keys[t.task_id], guess).passed]
        assert len(solved) <= 0.01 * len(tasks), (guess, solved)


def test_truths_are_balanced(suite, keys):
    answers = Counter(
        keys[task.task_id].value for task in suite.tasks if task.answer.kind == "boolean"
    )
    assert answers[True] == answers[False] >= 5


def test_solutions_do_not_state_the_gold(suite, keys):
    for task in suite.tasks:
        key = keys[task.task_id]
        if isinstance(key.value, float) and task.grader.name == "number":
            digits = f"{abs(key.value):.5g}".strip("0.")
            assert len(digits) < 4 or digits not in "\n".join(key.solution), task.task_id


def test_held_out_labels_are_in_no_variable(suite, images):
    for name in {t.image for t in suite.tasks if t.category == "prediction/held-out"}:
        train, test = images[name].variables["train"], images[name].variables["test"]
        assert isinstance(train, pd.DataFrame) and isinstance(test, pd.DataFrame)
        lacking = set(train.columns) - set(test.columns)
        assert lacking and set(test.columns) < set(train.columns)
        assert not set(train.index) & set(test.index)
        assert test.index.name == train.index.name == "row_id"


def test_descriptions_name_every_column(images):
    for name, image in images.items():
        assert image.hidden == HIDDEN
        assert "Source: " in image.description
        for variable, frame in image.variables.items():
            assert f"`{variable}`" in image.description, name
            assert isinstance(frame, pd.DataFrame)
            for column in frame.columns:
                family = re.match(r"(mean|worst)_|.*_error$|y\d{4}$|country$|code$", column)
                assert family or f"`{column}`" in image.description, (name, column)


def test_packages_import_without_the_hidden_files():
    """Refuse to open hidden files in a fresh interpreter, then load and use the packages."""
    script = f"""
import pathlib, sys
import lifelines
site = pathlib.Path(lifelines.__file__).parents[1]
hidden = {{str(path) for pattern in {HIDDEN!r} for path in site.glob(pattern)}}
assert len(hidden) > 30 and not any(name.endswith(".py") for name in hidden)
def refuse(event, arguments):
    if event == "open" and str(arguments[0]) in hidden:
        raise PermissionError(arguments[0])
sys.addaudithook(refuse)
import lifelines.datasets, sklearn.datasets, sklearn.linear_model, statsmodels.api
import statsmodels.datasets
import numpy as np
lifelines.KaplanMeierFitter().fit([1, 2, 3], [1, 0, 1])
sklearn.linear_model.LogisticRegression().fit([[0.0], [1.0]], [0, 1])
statsmodels.api.OLS(np.arange(4.0), np.ones((4, 1))).fit()
loaders = (
    lifelines.datasets.load_lung, lifelines.datasets.load_gbsg2, lifelines.datasets.load_lymph_node,
    lifelines.datasets.load_kidney_transplant, sklearn.datasets.load_breast_cancer,
    sklearn.datasets.load_diabetes, statsmodels.api.datasets.heart.load_pandas,
)
for load in loaders:
    try:
        load()
    except PermissionError:
        continue
    raise SystemExit(f"{{load.__name__}} still reads its data")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_images_round_trip(images, tmp_path):
    image = build_image(images["cohorts.lymph_node"], tmp_path)
    loaded = load_image(image.ref, tmp_path).load_variables()["lymph_node"]
    pd.testing.assert_frame_equal(loaded, images["cohorts.lymph_node"].variables["lymph_node"])


def test_a_faulty_question_is_dropped(questions):
    good = questions["lung.description.spread.sd-age"]
    assert fault(good) == ""
    assert "disagrees" in fault(replace(good, check=good.check * 1.001))
    assert "slip" in fault(replace(good, slips={"same": good.gold}))
    assert "obvious" in fault(replace(good, gold=1.0, check=1.0))
    assert "finite" in fault(replace(good, gold=float("nan")))


# Estimators against numbers worked out by hand or published.


def test_kaplan_meier_of_the_6mp_arm():
    """Kleinbaum & Klein, Survival Analysis, table 2.1: S(6) = 0.8571, S(10) = 0.7529."""
    weeks = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
    event = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    curve = kaplan_meier(np.array(weeks, dtype=float), np.array(event, dtype=float))
    assert curve.at(6) == pytest.approx(18 / 21)
    assert curve.at(10) == pytest.approx(0.7529, abs=5e-5)
    assert curve.error_at(6) == pytest.approx(0.0764, abs=5e-5)
    assert curve.quantile(0.5) == 23
    assert curve.restricted_mean(7) == pytest.approx(6 + 18 / 21)
    assert curve.cumulative_hazard(7) == pytest.approx(3 / 21 + 1 / 17)


def test_log_rank_and_cox_of_the_leukaemia_trial():
    """Published: log-rank 16.79; Cox coefficient 1.57 (Efron) and 1.51 (Breslow)."""
    frame = catalogue()["leukemia"].frame
    time, event = frame["weeks"].to_numpy(float), frame["relapse"].to_numpy(float)
    placebo = (frame["arm"] == "placebo").to_numpy(float)
    assert log_rank(time, event, placebo) == pytest.approx(16.79, abs=5e-3)
    efron = cox(placebo[:, None], time, event)
    assert efron.beta[0] == pytest.approx(1.572, abs=5e-4)
    assert efron.errors[0] == pytest.approx(0.412, abs=5e-4)
    assert cox(placebo[:, None], time, event, "breslow").beta[0] == pytest.approx(1.509, abs=5e-4)


def test_late_entry_leaves_out_who_has_not_entered():
    curve = kaplan_meier(
        np.array([2.0, 3.0, 4.0]), np.array([1.0, 1.0, 0.0]), np.array([0.0, 2.0, 0.0])
    )
    assert curve.at_risk.tolist() == [2, 2]
    assert curve.at(3) == pytest.approx(0.25)


def test_regressions_by_hand():
    x = np.column_stack([np.ones(4), [0.0, 0.0, 1.0, 1.0]])
    line = least_squares(x, np.array([1.0, 3.0, 4.0, 8.0]))
    assert line.beta == pytest.approx([2, 4])
    assert line.errors[1] == pytest.approx(np.sqrt(10 / 2 * 1))
    group = np.repeat([0.0, 1.0], [10, 10])
    event = np.concatenate([np.repeat([1.0, 0.0], [2, 8]), np.repeat([1.0, 0.0], [6, 4])])
    model = logistic(np.column_stack([np.ones(20), group]), event)
    assert np.exp(model.beta[1]) == pytest.approx(6 * 8 / (4 * 2))
    assert model.errors[1] == pytest.approx(np.sqrt(1 / 2 + 1 / 8 + 1 / 6 + 1 / 4))
    assert rank_auc(np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, True, False, True])) == 0.875
