"""Poses tasks over generated charts, answers each in two ways, and makes the server's template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from benchside.errors import InputError
from benchside.fhir.store import TEMPLATE, FhirStore, write_template
from benchside.suite import BuildOptions, SuiteBuild
from benchside.suites.charts import reads, writes
from benchside.suites.charts.chart import CITIES, NOW, Chart, make_charts
from benchside.suites.charts.draft import Draft, Found
from benchside.suites.charts.resources import moment, resources
from benchside.suites.charts.second import second_answer
from benchside.suites.charts.solution import BASE, cells
from benchside.task import AnswerKey, GraderRef, ServiceRef, Split, TaskSpec
from benchside_kernels.image import ImageSource

Kind = Callable[[np.random.Generator, Chart, Sequence[Chart]], Draft | None]

KINDS: dict[str, Kind] = {
    "find": reads.find,
    "age": reads.age,
    "pressure": writes.pressure,
    "newest-of-a-day": partial(reads.newest, code="MG", window=True),
    "magnesium": writes.magnesium,
    "mean": reads.mean,
    "newest": partial(reads.newest, code="GLU", window=False),
    "referral": writes.referral,
    "potassium": writes.potassium,
    "overdue": writes.overdue,
    "problems": reads.problems,
    "cohort": reads.cohort,
    "procedure": reads.procedure,
    "stop": writes.stop,
    "mistaken": writes.mistaken,
}

TASKS_PER_PATIENT = 4
MIN_PATIENTS, MAX_PATIENTS = 120, 6000
MAX_DRAWS = 200
SPLITS: tuple[Split, ...] = ("train",) * 6 + ("valid",) * 2 + ("test",) * 2
NOTES = (
    f"The hospital's FHIR R4 server is at {BASE} (for example {BASE}/Patient?family=Ito; what it "
    f"can do is at {BASE}/metadata). Searches are answered page by page. It is {moment(NOW)} now. "
    "Patients are identified by their MRN; references need the id of the resource. Results that "
    "were entered in error do not count. Write only what is asked for; what you write is checked "
    "on the server when you have submitted."
)
HOST, SERVICE_IMAGE, KERNEL_IMAGE = "fhir:80", "charts.server", "charts"


def build(options: BuildOptions) -> SuiteBuild:
    """Generate `options.size` tasks from `options.seed`."""
    size = options.size or 0
    if size < 1:
        raise InputError("charts needs a size", where="size", value=size, fix="--size 600")
    patients = min(max(MIN_PATIENTS, size // TASKS_PER_PATIENT), MAX_PATIENTS)
    charts = make_charts(patients, options.seed)
    template = options.scratch / TEMPLATE
    held = write_template(template, (one for chart in charts for one in resources(chart)))
    counts = Counter({"patients": patients, "resources": held})
    with FhirStore(template) as store:
        drafts = _drafts(charts, size, options.seed, store, counts)
    tasks, keys = [], []
    for number, draft in enumerate(drafts):
        task_id = f"{draft.asked.kind}-{number:05d}"
        tasks.append(_task(draft, task_id, options))
        keys.append(_key(draft, task_id))
    return SuiteBuild(tasks, keys, _images(template), dict(counts))


def agree(one: Found, other: Found) -> bool:
    """Tell whether two ways came to the same answer and the same orders."""
    return one.orders == other.orders and _near(one.answer, other.answer)


def _near(one: JsonValue, other: JsonValue) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_near(one[key], other[key]) for key in one)
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other) < 1e-4
    return one == other


def _drafts(
    charts: Sequence[Chart], size: int, seed: int, store: FhirStore, counts: Counter[str]
) -> list[Draft]:
    """Draw kinds in turn; no question twice, and no two of a kind about the same thing."""
    drafts: list[Draft] = []
    asked = set()
    rng = np.random.default_rng([seed, size, 4711])
    counts["dropped: two ways disagree"] = 0
    names = list(KINDS)
    while len(drafts) < size:
        name = names[len(drafts) % len(names)]
        for _ in range(MAX_DRAWS):
            draft = KINDS[name](rng, charts[int(rng.integers(len(charts)))], charts)
            if draft is None or draft.asked in asked:
                continue
            asked.add(draft.asked)
            if agree(draft.found, second_answer(store, draft.asked)):
                drafts.append(draft)
                break
            counts["dropped: two ways disagree"] += 1
        else:
            raise InputError(
                f"there are not enough charts for so many tasks of kind {name}", where="size",
                value=size, fix="ask for fewer",
            )  # fmt: skip
    return drafts


def split_of(group: str) -> Split:
    """Return the split of a patient or town; it depends on nothing else."""
    if group.startswith("city "):
        return SPLITS[CITIES.index(group.removeprefix("city ")) % len(SPLITS)]
    return SPLITS[int(group[1:]) % len(SPLITS)]


def _task(draft: Draft, task_id: str, options: BuildOptions) -> TaskSpec:
    manifest = options.manifest
    params: dict[str, JsonValue] = {} if draft.grader is None else {"answer": draft.grader}
    return TaskSpec(
        task_id=task_id, suite=manifest.name, version=manifest.version, category=draft.category,
        split=split_of(draft.group), group=draft.group, prompt=f"{draft.question}\n\n{NOTES}",
        image=KERNEL_IMAGE, answer=draft.answer, grader=GraderRef(name="charted", params=params),
        hosts=(HOST,), services=(service(moment(NOW)),), licence=manifest.licence,
    )  # fmt: skip


def service(now: str) -> ServiceRef:
    """Return the reference to the server that `_images` prepares."""
    return ServiceRef(name="fhir", host=HOST, image=SERVICE_IMAGE, params={"now": now})


def _key(draft: Draft, task_id: str) -> AnswerKey:
    written: list[JsonValue] = [write.model_dump(mode="json") for write in draft.writes]
    return AnswerKey(
        task_id=task_id, value=draft.found.answer, params={"writes": written},
        solution=cells(*draft.solution), ways=2,
    )  # fmt: skip


def _images(template: Path) -> list[ImageSource]:
    return [
        ImageSource(
            KERNEL_IMAGE,
            description="There are no data in the kernel: they are on the FHIR server. "
            "`httpx` reaches it; other hosts cannot be reached.",
        ),
        ImageSource(SERVICE_IMAGE, files={TEMPLATE: template}),
    ]
