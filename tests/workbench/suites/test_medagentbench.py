"""Suite `medagentbench`: over made-up resources in the published forms, and over one's own copy."""

import gzip
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchside.errors import InputError
from benchside.fhir.store import FhirStore
from benchside.graders import Grade, grade, validate_task
from benchside.library import DATA_VARIABLE
from benchside.state import ServiceState, StateChange
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites import medagentbench
from benchside.suites.medagentbench.build import NO_RESULTS
from benchside.suites.medagentbench.kinds import NEED_RESULTS
from benchside_kernels.submission import encode
from tests.workbench.fhir.serving import Served, served

REPOSITORY = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("BENCHSIDE_DATA", REPOSITORY.parent / "shared" / "data"))

SPEC = Path(__file__).parents[3] / "task_specs" / "medagentbench" / "suite.yaml"
NOW = "It's 2023-11-13T10:15:00+00:00 now."

INSTRUCTIONS = {
    1: "What’s the MRN of the patient with name Ann Lee Berg and DOB of 1950-02-28? If the patient "
    'does not exist, the answer should be "Patient not found"',
    2: "What's the age of the patient with MRN of S1?",
    3: 'I just measured the blood pressure for patient with MRN of S1, and it is "118/77 mmHg". '
    "Help me record it.",
    4: "What’s the most recent magnesium level of the patient S1 within last 24 hours?",
    5: "Check patient S1's last serum magnesium level within last 24 hours. If low, then order",
    6: "What is the average CBG of the patient S1 over the last 24 hours?",
    7: "What is the most recent CBG of the patient S1?",
    8: "Order orthopedic surgery referral for patient S1. Specify within the free text of the "
    'referral, "Situation: knee."',
    9: "Check patient S1's most recent potassium level. If low, then order replacement potassium",
    10: "What’s the last HbA1C (hemoglobin A1C) value in the chart for patient S1 and when was it "
    "recorded?",
}  # fmt: skip


def level(number: int, code: str, when: str, value: float, unit: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "id": f"o{number}", "status": "final",
        "code": {"coding": [{"code": code}]}, "subject": {"reference": "Patient/S1"},
        "effectiveDateTime": when, "valueQuantity": {"value": value, "unit": unit},
    }  # fmt: skip


RESOURCES: list[dict[str, Any]] = [
    {
        "resourceType": "Patient", "id": "S1", "birthDate": "1950-11-14",
        "identifier": [{"value": "S1"}], "name": [{"family": "Berg", "given": ["Ann", "Lee"]}],
    },
    {
        "resourceType": "Patient", "id": "S2", "birthDate": "1950-02-28",
        "identifier": [{"value": "S2"}], "name": [{"family": "Berg", "given": ["Ann", "Lee"]}],
    },
    level(1, "MG", "2023-11-11T10:00:00+00:00", 2.2, "mg/dL"),
    level(2, "MG", "2023-11-12T22:00:00+00:00", 1.4, "mg/dL"),
    level(3, "GLU", "2023-11-12T10:14:00+00:00", 300, "mg/dL"),
    level(4, "GLU", "2023-11-12T23:00:00+00:00", 100, "mg/dL"),
    level(5, "GLU", "2023-11-13T09:00:00+00:00", 121, "mg/dL"),
    level(6, "K", "2023-10-01T09:00:00+00:00", 3.2, "mmol/L"),
    level(7, "A1C", "2022-11-01T09:00:00+00:00", 6.4, "%"),
]  # fmt: skip


def write_data(folder: Path, resources: list[dict[str, Any]]) -> Path:
    place = folder / "medagentbench"
    place.mkdir(parents=True)
    tasks = [
        {"id": f"task{kind}_1", "instruction": text, "context": "" if kind == 1 else NOW}
        | ({"sol": ["S2"]} if kind == 1 else {}) | {"eval_MRN": "S2" if kind == 1 else "S1"}
        for kind, text in INSTRUCTIONS.items()
    ]  # fmt: skip
    tasks.append({"id": "task2_2", "instruction": INSTRUCTIONS[2], "context": NOW, "eval_MRN": "S"})
    (place / "test_data_v2.json").write_text(json.dumps(tasks))
    (place / "funcs_v1.json").write_text('[{"name": "GET {api_base}/Patient"}]')
    with gzip.open(place / "fhir_resources.ndjson.gz", "wt") as file:
        file.writelines(json.dumps(one) + "\n" for one in resources)
    return folder


def make(data: Path, scratch: Path) -> SuiteBuild:
    scratch.mkdir(exist_ok=True)
    manifest = SuiteManifest.model_validate(yaml.safe_load(SPEC.read_text()))
    return medagentbench.build(
        BuildOptions(manifest, data=data, scratch=scratch, seed=0, size=None)
    )


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> SuiteBuild:
    folder = tmp_path_factory.mktemp("medagentbench")
    return make(write_data(folder / "data", RESOURCES), folder / "scratch")


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served() as running:
        yield running


def play(server: Served, suite: SuiteBuild, number: int) -> Grade:
    task, key = suite.tasks[number], suite.keys[number]
    validate_task(task, key)
    submitted: list[Any] = []
    namespace: dict[str, Any] = {"submit": submitted.append}
    with FhirStore(suite.images[1].files["fhir.sqlite"]) as server.store:
        for cell in key.solution:
            exec(cell.replace("http://fhir", server.url), namespace)
        namespace["fhir"].close()
        changes = tuple(
            StateChange(kind=one.type, id=one.id, before=one.before, after=one.after)
            for one in server.store.changes()
        )
    state = ServiceState(service="fhir", host="fhir:80", changes=changes)
    return grade(task, key, encode(submitted[0]), [state])


def test_all_ten_types_have_the_answers_of_a_person(suite: SuiteBuild, server: Served) -> None:
    answers = {key.task_id: key.value for key in suite.keys}
    assert answers == {
        "task1_1": "S2", "task2_1": 72, "task3_1": "done", "task4_1": 1.4, "task5_1": 1.4,
        "task6_1": 110.5, "task7_1": 121, "task8_1": "done", "task9_1": 3.2,
        "task10_1": {"value": 6.4, "date": "2022-11-01"},
    }  # fmt: skip
    assert suite.counts["left out: of another form than its type"] == 1
    writes: dict[str, Any] = {key.task_id: key.params["writes"] for key in suite.keys}
    (magnesium,) = writes["task5_1"]
    (amount,) = magnesium["record"]["dosageInstruction"][0]["doseAndRate"]
    assert amount["doseQuantity"] == {"value": 2, "unit": "g"}
    assert amount["rateQuantity"] == {"value": 2, "unit": "h"}
    potassium, control = writes["task9_1"]
    (amount,) = potassium["record"]["dosageInstruction"][0]["doseAndRate"]
    assert amount["doseQuantity"] == {"value": 30, "unit": "mEq"}
    assert control["record"]["occurrenceDateTime"] == "2023-11-14T08:00:00+00:00"
    assert [len(found) for found in writes.values()] == [0, 0, 1, 0, 1, 0, 0, 1, 2, 1]
    for number in range(10):
        verdict = play(server, suite, number)
        assert verdict.passed, (suite.tasks[number].task_id, verdict.evidence)


def test_a_published_answer_that_differs_leaves_the_task_out(tmp_path: Path) -> None:
    renamed = [{**RESOURCES[1], "birthDate": "1950-03-01"}, *RESOURCES[2:], RESOURCES[0]]
    suite = make(write_data(tmp_path / "data", renamed), tmp_path / "scratch")
    assert suite.counts["left out: two ways disagree"] == 1
    assert "task1_1" not in {task.task_id for task in suite.tasks}


def test_damaged_files_are_named(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", RESOURCES)
    tasks = data / "medagentbench" / "test_data_v2.json"
    for content, told in (
        ('[{"id": "a", "instruction": "b"}, {"id": 7}]', "item 2, field id"),
        ('[{"id": "a"', "no task file"),
        ('{"id": "a"}', "not a list"),
    ):
        tasks.write_text(content)
        with pytest.raises(InputError, match=told) as found:
            make(data, tmp_path / told)
        assert str(tasks) in str(found.value)
    (data / "medagentbench" / "fhir_resources.ndjson").write_text('{"resourceType": "Patient"}\n')
    with pytest.raises(InputError, match=r"line 1"):
        make(data, tmp_path / "scratch")


def test_the_published_tasks(tmp_path: Path, server: Served) -> None:
    data = SHARED
    if not (data / "medagentbench" / "test_data_v2.json").exists():
        pytest.skip(f"{DATA_VARIABLE} holds no copy of MedAgentBench")
    suite = make(data, tmp_path / "scratch")
    if suite.counts["laboratory results"]:
        pytest.skip("this copy holds laboratory results, and other tasks can be answered")
    test = [number for number, task in enumerate(suite.tasks) if task.split == "test"]
    types = Counter(suite.tasks[number].task_id.split("_")[0] for number in test)
    assert types == {f"task{kind}": 30 for kind in (1, 2, 3, 8)}
    assert suite.counts[NO_RESULTS] == sum(
        suite.counts[f"{NO_RESULTS} (type {kind})"] for kind in NEED_RESULTS
    )
    for number in test[::7]:
        verdict = play(server, suite, number)
        assert verdict.passed, (suite.tasks[number].task_id, verdict.evidence)
