"""Builder: runs every reference over the user's tables and its assertions over what it makes.

Left out, and counted by reason: tasks whose tables are absent, whose reference fails, whose
assertions do not hold for the reference's own objects once these have left the kernel, and those
whose assertions hold for a stub (such as an empty table), as they prove nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from benchside.errors import DataMissingError
from benchside.graders.assertions import AssertionsGrader
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites.biodsbench import code, objects
from benchside.suites.biodsbench.rows import Row, Shape, read_rows
from benchside.suites.biodsbench.study import Study, read_study, table_paths
from benchside.task import AnswerKey, AnswerSchema, GraderRef, Limits, Split, TaskSpec
from benchside_kernels.backend import KernelMaker
from benchside_kernels.cell import CellResult
from benchside_kernels.image import KernelImage, build_image
from benchside_kernels.makers import open_kernels
from benchside_kernels.session import KernelSession
from benchside_kernels.submission import Json

TIMEOUT_S = 30.0
REFERENCE_TIMEOUT_S = 120.0
PARALLEL = 2
MODULES = ("lifelines", "matplotlib.pyplot", "scipy.stats")
SPLITS: tuple[tuple[str, Split], ...] = (
    ("biodsbench/train_tasks.jsonl.gz", "train"),
    ("biodsbench/test_tasks.jsonl.gz", "test"),
)


@dataclass(frozen=True, slots=True)
class Item:
    """A task of the user's file."""

    row: Row
    split: Split

    @property
    def task_id(self) -> str:
        """The study and the number of the question in it."""
        return f"{self.row.study_ids}-{int(self.row.question_ids):02d}"

    @property
    def before(self) -> tuple[str, ...]:
        """The steps before this one, with paths in the work folder."""
        return tuple(code.placed(source) for source in self.row.code_histories)

    @property
    def assertions(self) -> str:
        """The assertions, with paths in the work folder."""
        return code.placed(self.row.test_cases)


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of an item: the forms of its objects, or why it is left out."""

    item: Item
    forms: dict[str, Any]
    reason: str = ""


def build(options: BuildOptions) -> SuiteBuild:
    """Make tasks of the user's files.

    Raises:
        DataMissingError: no task file is there, or no study has all its tables.
        InputError: a malformed row, or a table of another shape.
    """
    assert options.data is not None
    items = _items(options.manifest, options.data)
    shapes = _shapes(items)
    paths = {name: table_paths(options.manifest, options.data, name) for name in shapes}
    lacking = {
        name: sorted({one.file for one in shapes[name]} - paths[name].keys()) for name in shapes
    }
    whole = [name for name in shapes if not lacking[name]]
    if not whole:
        raise DataMissingError(
            f"BioDSBench: {len(items)} tasks were read, 0 can be run without their tables",
            where=options.data / "biodsbench", fix=_what_to_bring(items, lacking),
        )  # fmt: skip
    studies = {name: read_study(name, shapes[name], paths[name], options.scratch) for name in whole}
    # a thread of its own: builders are called with and without a running event loop
    with ThreadPoolExecutor(1) as pool:
        work = _check_all(items, studies, options.scratch / "images")
        checked = pool.submit(asyncio.run, work).result()
    kept = [one for one in checked if not one.reason]
    left_out = Counter(one.reason for one in checked if one.reason)
    return SuiteBuild(
        [_task(options.manifest, one, studies) for one in kept],
        [_key(one) for one in kept],
        [study.image for study in studies.values()],
        {
            "items": len(items),
            "tasks": len(kept),
            "studies": len(studies),
            **{f"left out: {reason}": n for reason, n in left_out.most_common()},
        },
    )


def _items(manifest: SuiteManifest, data: Path) -> list[Item]:
    items: list[Item] = []
    for file in manifest.data:
        path = file.find(data) if file.path in dict(SPLITS) else None
        if path is not None:
            items += [Item(row, dict(SPLITS)[file.path]) for row in read_rows(path)]
    if not items:
        raise DataMissingError(
            "there are no BioDSBench tasks", where=data / "biodsbench", fix=manifest.how_to_get
        )
    return items


def _shapes(items: Sequence[Item]) -> dict[str, list[Shape]]:
    """Study → its tables, over all its tasks."""
    found: defaultdict[str, dict[str, Shape]] = defaultdict(dict)
    for item in items:
        found[item.row.study_ids] |= {shape.file: shape for shape in item.row.tables}
    return {name: list(tables.values()) for name, tables in sorted(found.items())}


def _what_to_bring(items: Sequence[Item], lacking: dict[str, list[str]]) -> str:
    counted = Counter(item.row.study_ids for item in items)
    lines = [
        f"  biodsbench/{name}/: {', '.join(files)} ({counted[name]} tasks)"
        for name, files in lacking.items()
    ]
    return "put a study's tables into its folder:\n" + "\n".join(lines)


async def _check_all(
    items: Sequence[Item], studies: dict[str, Study], images: Path
) -> list[Checked]:
    built = {name: build_image(study.image, images) for name, study in studies.items()}
    async with open_kernels(modules=MODULES) as maker:
        limit = asyncio.Semaphore(PARALLEL)

        async def work(item: Item) -> Checked:
            name = item.row.study_ids
            if name not in studies:
                return Checked(item, {}, "the study's tables are absent")
            async with limit:
                return await _check(item, studies[name], built[name], maker)

        return await asyncio.gather(*(work(item) for item in items))


async def _check(item: Item, study: Study, image: KernelImage, maker: KernelMaker) -> Checked:
    tables = [str(name) for name in study.image.variables]
    reference = code.placed(item.row.reference_answer)
    if not all(map(code.is_python, (*item.before, reference, item.assertions))):
        return Checked(item, {}, "its code is not Python")
    names = code.wanted(item.assertions, reference, tables)
    if not names:
        return Checked(item, {}, "the assertions look at nothing that the reference makes")
    earlier: set[str] = set().union(*(code.made_by(source) for source in item.before))
    if missing := code.unknown(item.assertions, {*names, *tables, *earlier}):
        return Checked(item, {}, f"nobody makes {', '.join(missing)}, which assertions look at")
    files = tuple(study.image.files)
    async with KernelSession(image, files=files, maker=maker) as session:
        result = await _run(session, (*_cells(item), _form_cell(names)))
    if result.submission is None:
        return Checked(item, {}, f"the reference fails: {_why(result)}")
    forms: Any = result.submission.value
    unfit = [name for name, form in forms.items() if form is None]
    if unfit:
        return Checked(item, {}, f"{', '.join(unfit)} cannot leave a kernel as data")
    async with KernelSession(image, files=files, maker=maker) as session:
        result = await _run(session, (*_cells(item), _submit_cell(forms)))
    if result.submission is None:
        return Checked(item, {}, f"the objects cannot be submitted: {_why(result)}")
    return await _judged(item, study, forms, result.submission.value, image, maker)


async def _judged(
    item: Item, study: Study, forms: dict[str, Any], reference: Json, image: KernelImage,
    maker: KernelMaker,
) -> Checked:  # fmt: skip
    """Run the assertions over the reference's objects, and over stubs of them."""
    grader = AssertionsGrader(forms=forms, before=_before(item), assertions=item.assertions)
    submissions = [reference, *objects.stubs(forms, study.lengths)]
    async with KernelSession(image, files=tuple(study.image.files), maker=maker) as session:
        result = await session.run(f"{grader.checks(submissions)})", REFERENCE_TIMEOUT_S)
    if result.submission is None:
        return Checked(item, {}, f"the assertions do not end: {_why(result)}")
    outcomes: Any = result.submission.value
    count = code.count_assertions(item.assertions)
    passed = [grader.judge({"outcomes": one}, count).passed for one in outcomes]
    if not passed[0]:
        return Checked(item, {}, "the assertions do not hold for the reference")
    if any(passed[1:]):
        return Checked(item, {}, "the assertions hold for a stub")
    return Checked(item, forms)


def _cells(item: Item) -> tuple[str, ...]:
    return (code.OPENING, *item.before, code.placed(item.row.reference_answer))


def _before(item: Item) -> str:
    """The earlier steps, where assertions look at what they make."""
    names = set(code.unknown(item.assertions, ()))
    makes = any(code.made_by(source) & names for source in item.before)
    return "\n\n".join((code.OPENING, *item.before)) if makes else code.OPENING


def _form_cell(names: Sequence[str]) -> str:
    source = resources.files("benchside.graders").joinpath("assertions_cell.py").read_text("utf-8")
    forms = ", ".join(f"{name!r}: form_of({name})" for name in names)
    return f"{source}\n\nsubmit({{{forms}}})"


def _submit_cell(forms: dict[str, Any]) -> str:
    parts = (f"{name!r}: {objects.submitted(name, form)}" for name, form in forms.items())
    return f"submit({{{', '.join(parts)}}})"


async def _run(session: KernelSession, cells: Sequence[str]) -> CellResult:
    """Run cells up to the first that fails; return the last result."""
    for source in cells:
        result = await session.run(source, REFERENCE_TIMEOUT_S)
        if result.status != "ok":
            break
    return result


def _why(result: CellResult) -> str:
    errors = [str(out["ename"]) for out in result.outputs if out["output_type"] == "error"]
    return errors[-1] if errors else result.status


def _category(forms: dict[str, Any]) -> str:
    kinds = {form["kind"] for form in forms.values()}
    inside = {part["kind"] for form in forms.values() for part in form.get("parts", {}).values()}
    if "curve" in kinds | inside:
        return "survival curves"
    if kinds & {"bars", "oncoprint"}:
        return "plots"
    return "statistics" if kinds <= {"scalar", "tuple"} else "tables"


def _task(manifest: SuiteManifest, checked: Checked, studies: dict[str, Study]) -> TaskSpec:
    item = checked.item
    image = studies[item.row.study_ids].image
    earlier = ""
    if item.before:
        steps = "\n\n".join(source.strip() for source in item.before)
        earlier = f"\n\nAn earlier step, which has not been run here:\n\n```python\n{steps}\n```"
    prompt = (
        f"{code.placed(item.row.queries).strip()}{earlier}\n\n{objects.request(checked.forms)}\n\n"
        "Assertions are run over these objects, which are rebuilt from what you submit."
    )
    return TaskSpec(
        task_id=item.task_id,
        suite=manifest.name,
        version=manifest.version,
        category=_category(checked.forms),
        split=item.split,
        group=item.row.study_ids,
        prompt=prompt,
        image=image.name,
        answer=AnswerSchema(kind="record", description="the named objects"),
        grader=GraderRef(name="assertions", params={"timeout_s": TIMEOUT_S}),
        files=tuple(image.files),
        limits=Limits(cell_timeout_s=REFERENCE_TIMEOUT_S),
        licence=manifest.licence,
        sensitivity=manifest.sensitivity,
    )


def _key(checked: Checked) -> AnswerKey:
    item = checked.item
    return AnswerKey(
        task_id=item.task_id,
        value=code.count_assertions(item.assertions),
        params={
            "forms": checked.forms, "before": _before(item), "assertions": item.assertions,
        },
        solution=(*_cells(item), _submit_cell(checked.forms)),
    )  # fmt: skip
