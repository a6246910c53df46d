"""Builder: runs every reference in kernels, keeps what is deterministic and tells programs apart.

Left out, and counted by reason: references that fail, time out, print nothing, or print something
else in a second kernel; and tasks that a stub solves (a function that returns nothing, its
argument, or a constant), as their output does not depend on what is to be written.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchside.errors import DataMissingError, InputError
from benchside.execution import observe
from benchside.graders.program import ProgramCase, ProgramGrader
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites.biocoder.rows import Row
from benchside.suites.biocoder.script import (
    MARK,
    function_name,
    public_context,
    script,
    without_repeats,
)
from benchside.suites.task_lines import read_lines
from benchside.task import AnswerKey, AnswerSchema, GraderRef, Split, TaskSpec
from benchside_kernels.backend import KernelMaker
from benchside_kernels.image import ImageSource, KernelImage, build_image
from benchside_kernels.makers import open_kernels
from benchside_kernels.submission import Json, decode

IMAGE = "biocoder.bare"
CASES = 4
TIMEOUT_S = 30.0
PARALLEL = 2
MODULES = ("scipy.stats", "pandas", "skimage.measure", "sklearn.cluster", "pysam")
STUBS = ("None", "a[-1]", "1", "[]", "''")
SPLITS: tuple[tuple[str, Split], ...] = (
    ("biocoder/test_tasks.jsonl.gz", "test"),
    ("biocoder/train_tasks.jsonl.gz", "train"),
)


@dataclass(frozen=True, slots=True)
class Item:
    """A row with its split, its context as used, and the cases that may be tried."""

    row: Row
    split: Split
    context: str
    cases: tuple[ProgramCase, ...]

    @property
    def entry(self) -> str:
        """The function's name."""
        return function_name(self.row.signature)


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of an item: its cases and outcomes, or why it is left out."""

    item: Item
    cases: tuple[ProgramCase, ...] = ()
    outcomes: tuple[Json, ...] = ()
    reason: str = ""


def build(options: BuildOptions) -> SuiteBuild:
    """Make tasks of the user's files.

    Raises:
        DataMissingError: none of the files is there.
        InputError: a malformed row.
    """
    assert options.data is not None
    items = _items(options.manifest, options.data)
    image = build_image(ImageSource(IMAGE), options.scratch / "images")
    # a thread of its own: builders are called with and without a running event loop
    with ThreadPoolExecutor(1) as pool:
        checked = pool.submit(asyncio.run, _check_all(items, image)).result()
    kept = [one for one in checked if not one.reason]
    counts = Counter(one.reason for one in checked if one.reason)
    return SuiteBuild(
        [_task(options.manifest, one) for one in kept],
        [_key(one) for one in kept],
        [ImageSource(IMAGE)],
        {
            "items": len(checked),
            "tasks": len(kept),
            "tasks with more than one input": sum(len(one.cases) > 1 for one in kept),
            **{f"left out: {reason}": n for reason, n in counts.most_common()},
        },
    )


def _items(manifest: SuiteManifest, data: Path) -> list[Item]:
    items: list[Item] = []
    for file in manifest.data:
        path = file.find(data)
        if path is None:
            continue
        for where, row in read_lines(path, Row, "BioCoder"):
            try:
                name = function_name(row.signature)
            except ValueError as problem:
                raise InputError(
                    str(problem), where=f"{where}, field signature", value=row.signature
                ) from None
            context = without_repeats(row.context, name)
            if MARK.search(context) is None:
                raise InputError(
                    "a context has no place for the solution", where=f"{where}, field context",
                    fix="it needs a line <<insert solution here>>",
                )  # fmt: skip
            cases = tuple(ProgramCase(script=script(context, n)) for n in range(CASES))
            items.append(Item(row, dict(SPLITS)[file.path], context, cases))
    if not items:
        raise DataMissingError(
            "there are no BioCoder tasks", where=data / "biocoder", fix=manifest.how_to_get
        )
    return items


async def _check_all(items: Sequence[Item], image: KernelImage) -> list[Checked]:
    async with open_kernels(modules=MODULES) as maker:
        limit = asyncio.Semaphore(PARALLEL)

        async def work(item: Item) -> Checked:
            async with limit:
                return await _check(item, image, maker)

        return await asyncio.gather(*(work(item) for item in items))


async def _check(item: Item, image: KernelImage, maker: KernelMaker) -> Checked:
    first = await _outcomes(item, item.cases, item.row.solution, image, maker)
    if isinstance(first, str):
        return Checked(item, reason=first)
    if problem := _problem(first[0]):
        return Checked(item, reason=problem)
    # literal inputs give the same output whatever the seed: one case is enough
    numbers = [0, *(n for n in range(1, len(first)) if _varies(first, n))]
    cases = tuple(item.cases[n] for n in numbers)
    outcomes = tuple(first[n] for n in numbers)
    second = await _outcomes(item, cases, item.row.solution, image, maker)
    if second != list(outcomes):
        return Checked(item, reason="the reference prints something else each time")
    grader = ProgramGrader(entry=item.entry, cases=cases, timeout_s=TIMEOUT_S)
    for stub in STUBS:
        program = f"def {item.entry}(*a, **k):\n    return {stub}"
        found = await observe(grader, program, image=image, maker=maker, hidden=())
        if grader.judge(decode(found), decode(list(outcomes))).passed:
            return Checked(item, reason=f"a stub that returns {stub} passes")
    return Checked(item, cases, outcomes)


def _varies(outcomes: Sequence[Json], number: int) -> bool:
    return not _problem(outcomes[number]) and outcomes[number] not in outcomes[:number]


async def _outcomes(
    item: Item, cases: tuple[ProgramCase, ...], program: str, image: KernelImage,
    maker: KernelMaker,
) -> list[Json] | str:  # fmt: skip
    grader = ProgramGrader(entry=item.entry, cases=cases, timeout_s=TIMEOUT_S)
    found: Any = await observe(grader, program, image=image, maker=maker, hidden=())
    if "failed" in found:
        return "the reference does not end"
    outcomes: list[Json] = found["outcomes"]
    return outcomes


def _problem(outcome: Json) -> str:
    """Why an outcome of the reference cannot be compared, or nothing."""
    assert isinstance(outcome, dict)
    raised = outcome.get("raised")
    if isinstance(raised, list):
        return f"the reference raises {raised[0]}"
    return "" if str(outcome.get("printed", "")).strip() else "the reference prints nothing"


def _task(manifest: SuiteManifest, checked: Checked) -> TaskSpec:
    item = checked.item
    indented = MARK.search(item.context)
    kind = "method" if indented and indented[1] else "function"
    prompt = (
        f"{item.row.problem.strip()}\n\nSignature: {item.row.signature.strip()}\n\n"
        f"It stands in this program in place of <<insert solution here>>:\n\n```python\n"
        f"{public_context(item.context)}\n```\n\nSubmit the source text of the {kind} alone. It is "
        "put in that place and called on hidden inputs; what the program then prints is compared "
        "with a reference. Names that NumPy 2.0 removed (asfarray, float_, product) are there."
    )
    return TaskSpec(
        task_id=_task_id(item),
        suite=manifest.name,
        version=manifest.version,
        category=kind,
        split=item.split,
        group=hashlib.sha256(public_context(item.context).encode()).hexdigest()[:12],
        prompt=prompt,
        image=IMAGE,
        answer=AnswerSchema(kind="code", entry=item.entry),
        grader=GraderRef(name="program", params={"entry": item.entry, "timeout_s": TIMEOUT_S}),
        licence=manifest.licence,
        sensitivity=manifest.sensitivity,
    )


def _key(checked: Checked) -> AnswerKey:
    return AnswerKey(
        task_id=_task_id(checked.item),
        value=list(checked.outcomes),
        params={"cases": [case.model_dump(mode="json") for case in checked.cases]},
        solution=(f"program = {checked.item.row.solution!r}\nsubmit(program)",),
    )


def _task_id(item: Item) -> str:
    return f"{item.entry}.{item.row.idx[:10]}"
