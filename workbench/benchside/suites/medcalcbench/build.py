"""Building the suite: one task per published row; all published rows are the test split."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from pydantic import JsonValue

from benchside.errors import DataMissingError
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites.medcalcbench.agreement import DECIMALS, DIFFERS, Recomputation, recompute
from benchside.suites.medcalcbench.calculators import ANSWER_UNITS
from benchside.suites.medcalcbench.entities import DATE_FORMAT
from benchside.suites.medcalcbench.rows import Row, read_rows
from benchside.suites.medcalcbench.solution import gold, solution
from benchside.task import AnswerKey, AnswerKind, AnswerSchema, GraderRef, TaskSpec
from benchside_kernels.image import ImageSource

IMAGE = "medcalcbench.notes"
PUBLIC_PARAMS: dict[AnswerKind, dict[str, JsonValue]] = {
    "date": {"formats": [DATE_FORMAT]},
    "duration": {"units": ["weeks", "days"]},
}
DESCRIPTIONS: dict[AnswerKind, str] = {
    "number": f"a number, rounded to {DECIMALS} decimals",
    "integer": "a whole number; criteria that the note does not mention count as absent",
    "date": "a date, such as datetime.date(2023, 8, 31), '2023-08-31' or '08/31/2023'",
    "duration": "weeks and days, such as [4, 3], '4 weeks 3 days' or a timedelta",
}


def build(options: BuildOptions) -> SuiteBuild:
    """Build the suite from the user's copy of the published rows.

    Raises:
        DataMissingError: the file is not there.
        InputError: it is damaged or not in the published format.
    """
    if options.data is None:
        raise DataMissingError(
            f"{options.manifest.name} needs a data folder",
            fix=options.manifest.how_to_get or "set BENCHSIDE_DATA to the folder that holds it",
        )
    rows = read_rows(options.data)
    recomputed = [recompute(row) for row in rows]
    return SuiteBuild(
        tasks=[_task(row, options.manifest) for row in rows],
        keys=[_key(row, found) for row, found in zip(rows, recomputed, strict=True)],
        images=[_notes(rows)],
        counts=_counts(rows, recomputed),
    )


def task_id(row: Row) -> str:
    """Return the id of a row's task."""
    return f"row-{row.number:04d}"


def slug(name: str) -> str:
    """Return a calculator's name in lower-case words joined by hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower().replace("'", "")).strip("-")


def _task(row: Row, manifest: SuiteManifest) -> TaskSpec:
    unit = ANSWER_UNITS.get(row.calculator)
    answer = AnswerSchema(kind=row.kind, description=DESCRIPTIONS[row.kind], unit=unit)
    measured = f", in {unit}" if unit else ""
    prompt = (
        f"Patient note (the same text is `notes[{row.number}]` in the kernel):\n\n{row.note}\n\n"
        f"Question: {row.question}\n\nSubmit {answer.description}{measured}."
    )
    return TaskSpec(
        task_id=task_id(row),
        suite=manifest.name,
        version=manifest.version,
        category=slug(row.name),
        split="test",
        group=slug(row.name),
        prompt=prompt,
        image=IMAGE,
        answer=answer,
        grader=GraderRef(name=row.kind, params=PUBLIC_PARAMS.get(row.kind, {})),
        licence=manifest.licence,
    )


def _key(row: Row, found: Recomputation) -> AnswerKey:
    lower, upper = row.limits
    limits: dict[str, JsonValue] = {}
    if row.kind == "number":
        limits = {"lower": gold(lower), "upper": gold(upper)}
    return AnswerKey(
        task_id=task_id(row),
        value=gold(row.label),
        params=limits,
        solution=solution(row, found),
        vacuous=found.status != "agrees",
        flags=(DIFFERS,) if found.status == "differs" else (),
    )


def _notes(rows: Sequence[Row]) -> ImageSource:
    return ImageSource(
        name=IMAGE,
        variables={"notes": {row.number: row.note for row in rows}},
        description="`notes`: dict from row number (int) to the text of that patient note.",
    )


def _counts(rows: Sequence[Row], recomputed: Sequence[Recomputation]) -> dict[str, int]:
    """Count rows by what became of recomputing them, and the differing ones by calculator."""
    found = Counter(recomputation.status for recomputation in recomputed)
    differing = Counter(
        row.name
        for row, recomputation in zip(rows, recomputed, strict=True)
        if recomputation.status == "differs"
    )
    return {
        "rows": len(rows),
        "calculators": len({row.calculator for row in rows}),
        "recomputed, agrees with the label": found["agrees"],
        "recomputed, differs (flagged)": found["differs"],
        "not recomputed": found["not recomputed"],
        **{f"differs: {name}": n for name, n in differing.most_common()},
    }
