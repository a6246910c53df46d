"""Turns MedAgentBench's task files and a file of resources into tasks with a server."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from pydantic import JsonValue

from benchside.errors import InputError
from benchside.fhir.resource_file import read_resources
from benchside.fhir.store import TEMPLATE, FhirStore, write_template
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites.charts.solution import BASE, cells
from benchside.suites.medagentbench.kinds import CATEGORIES, NEED_RESULTS, NOTES, Solved, solve
from benchside.suites.medagentbench.levels import Reader, Searching, scanning
from benchside.suites.medagentbench.published import Request, read_requests
from benchside.task import AnswerKey, GraderRef, ServiceRef, Split, TaskSpec
from benchside_kernels.image import ImageSource

RESOURCES, FUNCTIONS = "medagentbench/fhir_resources.ndjson", "medagentbench/funcs_v1.json"
FILES: dict[Split, str] = {
    "test": "medagentbench/test_data_v2.json",
    "valid": "medagentbench/rushilcs_validation_tasks_v2.json",
    "train": "medagentbench/rushilcs_training_tasks_v2.json",
}
HOST, KERNEL_IMAGE, SERVICE_IMAGE = "fhir:80", "medagentbench", "medagentbench.server"
NO_RESULTS = "left out: asks for laboratory results, and the resources hold none"


def build(options: BuildOptions) -> SuiteBuild:
    """Build all tasks that the user's resources can answer."""
    data, manifest = options.data, options.manifest
    assert data is not None  # the manifest names files
    found = {file.path: file.find(data) for file in manifest.data}
    files = {split: path for split, name in FILES.items() if (path := found[name]) is not None}
    held = found[RESOURCES]
    if not files or held is None:
        raise InputError(
            "there are no tasks" if not files else "there are no patients",
            where=data / "medagentbench", fix=manifest.how_to_get,
        )  # fmt: skip
    resources = list(read_resources(held))
    template = options.scratch / TEMPLATE
    counts = Counter({"resources": write_template(template, resources)})
    counts["laboratory results"] = sum(one["resourceType"] == "Observation" for one in resources)
    requests = read_requests(files, counts)
    functions = found[FUNCTIONS]
    tasks, keys = [], []
    with FhirStore(template) as store:
        readers = (Searching(store), scanning(resources))
        for request in requests:
            solved = _agreed(request, readers, counts)
            if solved is not None:
                tasks.append(_task(request, solved, manifest, functions is not None))
                keys.append(_key(request, solved))
    return SuiteBuild(tasks, keys, _images(template, functions), dict(counts))


def _agreed(
    request: Request, readers: tuple[Reader, Reader], counts: Counter[str]
) -> Solved | None:
    if request.type in NEED_RESULTS and not counts["laboratory results"]:
        counts[NO_RESULTS] += 1
        counts[f"{NO_RESULTS} (type {request.type})"] += 1
        return None
    if request.mrn is not None and not readers[1].has(request.mrn):
        counts["left out: its patient is not among the resources"] += 1
        return None
    one, other = (solve(request, reader) for reader in readers)
    if one is None or other is None:
        counts["left out: the text leaves open what to do with these data"] += 1
        return None
    published = request.published
    if one != other or (published is not None and published != one.answer):
        counts["left out: two ways disagree"] += 1
        return None
    return one


def _task(request: Request, solved: Solved, manifest: SuiteManifest, functions: bool) -> TaskSpec:
    params: dict[str, JsonValue] = {} if solved.grader is None else {"answer": solved.grader}
    now = {} if request.now is None else {"now": request.now}
    return TaskSpec(
        task_id=request.task_id, suite=manifest.name, version=manifest.version,
        category=CATEGORIES[request.type], split=request.split,
        group=request.mrn or f"{request.name} {request.born}", prompt=_prompt(request, functions),
        image=KERNEL_IMAGE, answer=solved.schema,
        grader=GraderRef(name="charted", params=params), hosts=(HOST,),
        services=(ServiceRef(name="fhir", host=HOST, image=SERVICE_IMAGE, params={**now}),),
        licence=manifest.licence,
    )  # fmt: skip


def _prompt(request: Request, functions: bool) -> str:
    known = " `functions` lists its functions as published." if functions else ""
    notes = (
        f"The FHIR R4 server is at {BASE} (such as {BASE}/Patient?family=Stafford).{known} A "
        "patient's MRN is the id of the Patient, too. The server checks what is written: elements "
        "that R4 lets repeat, such as note, are lists. Write only what is asked for."
    )
    parts = (request.instruction, request.context, NOTES.get(request.type, ""), notes)
    return "\n\n".join(part for part in parts if part)


def _key(request: Request, solved: Solved) -> AnswerKey:
    written: list[JsonValue] = [write.model_dump(mode="json") for write in solved.writes]
    return AnswerKey(
        task_id=request.task_id, value=solved.answer, params={"writes": written},
        solution=cells(*solved.solution), ways=2,
    )  # fmt: skip


def _images(template: Path, functions: Path | None) -> list[ImageSource]:
    variables: dict[str, object] = {}
    said = "The data are on the FHIR server; `httpx` reaches it."
    if functions is not None:
        variables["functions"] = json.loads(functions.read_text(encoding="utf-8"))
        said += " `functions`: list of dicts, the functions of MedAgentBench as published."
    return [
        ImageSource(KERNEL_IMAGE, variables=variables, description=said),
        ImageSource(SERVICE_IMAGE, files={TEMPLATE: template}),
    ]
