"""Suite `charts`: two ways agree, solutions solve over HTTP, and writes count exactly."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from benchside.fhir.store import FhirStore, write_template
from benchside.fhir.validation import check_resource
from benchside.graders import Grade, grade, validate_task
from benchside.state import ServiceState, StateChange
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites import charts
from benchside.suites.charts.build import KINDS, agree
from benchside.suites.charts.chart import make_charts
from benchside.suites.charts.resources import resources
from benchside.suites.charts.second import second_answer
from benchside.task import AnswerKey, TaskSpec
from benchside_kernels.submission import encode
from tests.workbench.fhir.serving import Served, served

SPECS = Path(__file__).parents[3] / "task_specs"


def make(folder: Path, size: int, seed: int = 0) -> SuiteBuild:
    folder.mkdir(exist_ok=True)
    text = (SPECS / "charts" / "suite.yaml").read_text()
    manifest = SuiteManifest.model_validate(yaml.safe_load(text))
    return charts.build(BuildOptions(manifest, data=None, scratch=folder, seed=seed, size=size))


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> SuiteBuild:
    return make(tmp_path_factory.mktemp("charts"), 90)


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served() as running:
        yield running


def template(suite: SuiteBuild) -> Path:
    return suite.images[1].files["fhir.sqlite"]


def states(store: FhirStore) -> tuple[ServiceState, ...]:
    changes = tuple(
        StateChange(kind=one.type, id=one.id, before=one.before, after=one.after)
        for one in store.changes()
    )
    return (ServiceState(service="fhir", host="fhir:80", changes=changes),)


def play(server: Served, store: FhirStore, task: TaskSpec, key: AnswerKey) -> Grade:
    """Run a solution as a kernel would, against the real server, and grade it."""
    submitted: list[Any] = []
    server.store = store
    namespace: dict[str, Any] = {"submit": submitted.append}
    try:
        for cell in key.solution:
            exec(cell.replace("http://fhir", server.url), namespace)
    finally:
        namespace["fhir"].close()
    return grade(task, key, encode(submitted[0]), states(store))


def test_each_solution_solves_its_task_and_no_less_does(suite: SuiteBuild, server: Served) -> None:
    written = 0
    for task, key in zip(suite.tasks, suite.keys, strict=True):
        validate_task(task, key)
        with FhirStore(template(suite)) as store:
            verdict = play(server, store, task, key)
            assert verdict.passed, (task.task_id, verdict.evidence)
            writes = key.params["writes"]
            assert isinstance(writes, list)
            written += bool(writes)
            if writes:  # the right answer without the records is not enough
                assert not grade(task, key, key.value, states(FhirStore(template(suite)))).passed
            store.put({"resourceType": "Patient", "id": "extra"})
            again = grade(task, key, key.value, states(store))
            assert not again.passed and "not asked for: create Patient/extra" in again.evidence
    assert written > 25


def test_suite_is_whole(suite: SuiteBuild) -> None:
    assert suite.counts["dropped: two ways disagree"] == 0
    assert len(suite.tasks) == len({task.prompt for task in suite.tasks}) == 90
    assert len({task.category for task in suite.tasks}) == len(KINDS) == 15
    groups: dict[str, set[str]] = {}
    for task in suite.tasks:
        groups.setdefault(task.group, set()).add(task.split)
    assert all(len(found) == 1 for found in groups.values())
    assert {task.split for task in suite.tasks} == {"train", "valid", "test"}
    orders = [key for key in suite.keys if key.task_id.split("-")[0] in ("magnesium", "potassium")]
    due = sum(bool(key.params["writes"]) for key in orders)
    assert 0.4 < due / len(orders) < 0.95


def test_no_constant_answers_many_tasks(tmp_path: Path) -> None:
    suite = make(tmp_path, 600)
    free = [
        str(key.value) for key in suite.keys if not key.params["writes"]
    ]  # fmt: skip
    assert Counter(free).most_common(1)[0][1] <= 0.01 * len(suite.tasks)


def test_same_seed_same_suite(tmp_path: Path) -> None:
    first, again = (make(tmp_path / part, 30) for part in "ab")
    other = make(tmp_path / "c", 30, seed=1)
    assert first.tasks == again.tasks and first.keys == again.keys
    assert {task.prompt for task in first.tasks}.isdisjoint({task.prompt for task in other.tasks})


def test_resources_are_valid_and_changed_charts_are_noticed(tmp_path: Path) -> None:
    import numpy as np

    made, changed = make_charts(60, 3), make_charts(60, 4)
    for chart in made[:5]:
        for one in resources(chart):
            check_resource(one, one["resourceType"], lambda *_: True)
    people = [replace(b, person=a.person) for a, b in zip(made, changed, strict=True)]
    for name, held in (("same", made), ("other", people)):
        write_template(tmp_path / name, [one for chart in held for one in resources(chart)])
    noticed: Counter[bool] = Counter()
    rng = np.random.default_rng(0)
    with FhirStore(tmp_path / "same") as same, FhirStore(tmp_path / "other") as other:
        for kind in KINDS.values():
            for chart in made[:20]:
                draft = kind(rng, chart, made)
                if draft is None:
                    continue
                assert agree(draft.found, second_answer(same, draft.asked)), draft.asked
                if draft.asked.kind in ("newest", "mean", "overdue", "problems", "potassium"):
                    wrong = second_answer(other, draft.asked)
                    noticed[not agree(draft.found, wrong)] += 1
    assert noticed[True] > 8 * noticed[False]


def test_the_server_is_there_for_all(server: Served, suite: SuiteBuild) -> None:
    with FhirStore(template(suite)) as server.store:
        assert httpx.get(f"{server.url}/metadata").json()["fhirVersion"] == "4.0.1"
