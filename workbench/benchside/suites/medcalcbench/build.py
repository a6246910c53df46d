"""Building the suite: one task per published row of each file that the user has."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from benchside.errors import DataMissingError
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites.medcalcbench.agreement import DECIMALS, DIFFERS, Recomputation, recompute
from benchside.suites.medcalcbench.calculators import ANSWER_UNITS
from benchside.suites.medcalcbench.entities import DATE_FORMAT
from benchside.suites.medcalcbench.rows import Row, read_rows
from benchside.suites.medcalcbench.solution import gold, solution
from benchside.task import AnswerKey, AnswerKind, AnswerSchema, GraderRef, Split, TaskSpec
from benchside_kernels.image import ImageSource

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


@dataclass(frozen=True, slots=True)
class Part:
    """One published file, in the order of the manifest's data files.

    Args:
        prefix: what its task ids begin with.
        image: the kernel image that holds its notes.
    """

    prefix: str
    split: Split
    image: str


PARTS = (
    Part("row", "test", "medcalcbench.notes"),
    Part("train-row", "train", "medcalcbench.train-notes"),
    Part("verified-row", "test", "medcalcbench.verified-notes"),
)


def build(options: BuildOptions) -> SuiteBuild:
    """Build the suite from the files that the user has.

    Raises:
        DataMissingError: none of the files is there.
        InputError: one of them is damaged or not in a published format.
    """
    manifest, data = options.manifest, options.data_folder
    places = [(part, file.find(data)) for part, file in zip(PARTS, manifest.data, strict=True)]
    found = [(part, read_rows(path)) for part, path in places if path is not None]
    if not found:
        raise DataMissingError(
            "all files of MedCalc-Bench are missing",
            where=data / manifest.data[0].path,
            fix=manifest.how_to_get,
        )
    build = SuiteBuild([], [], [])
    everything: list[tuple[Row, Recomputation]] = []
    for part, rows in found:
        pairs = [(row, recompute(row)) for row in rows]
        build.tasks.extend(_task(row, part, manifest) for row in rows)
        build.keys.extend(_key(row, part, recomputed) for row, recomputed in pairs)
        build.images.append(_notes(rows, part))
        everything += pairs
    build.counts.update(_counts(everything))
    if len(found) > 1:
        build.counts.update({f"rows of the {part.prefix}s": len(rows) for part, rows in found})
    return build


def task_id(row: Row, part: Part) -> str:
    """Return the id of a row's task."""
    return f"{part.prefix}-{row.number:04d}"


def slug(name: str) -> str:
    """Return a calculator's name in lower-case words joined by hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower().replace("'", "")).strip("-")


def _task(row: Row, part: Part, manifest: SuiteManifest) -> TaskSpec:
    unit = ANSWER_UNITS.get(row.calculator)
    answer = AnswerSchema(kind=row.kind, description=DESCRIPTIONS[row.kind], unit=unit)
    measured = f", in {unit}" if unit else ""
    prompt = (
        f"Patient note (the same text is `notes[{row.number}]` in the kernel):\n\n{row.note}\n\n"
        f"Question: {row.question}\n\nSubmit {answer.description}{measured}."
    )
    return TaskSpec(
        task_id=task_id(row, part),
        suite=manifest.name,
        version=manifest.version,
        category=slug(row.name),
        split=part.split,
        group=slug(row.name),
        prompt=prompt,
        image=part.image,
        answer=answer,
        grader=GraderRef(name=row.kind, params=PUBLIC_PARAMS.get(row.kind, {})),
        licence=manifest.licence,
    )


def _key(row: Row, part: Part, found: Recomputation) -> AnswerKey:
    lower, upper = row.limits
    limits: dict[str, JsonValue] = {}
    if row.kind == "number":
        limits = {"lower": gold(lower), "upper": gold(upper)}
    return AnswerKey(
        task_id=task_id(row, part),
        value=gold(row.label),
        params=limits,
        solution=solution(row, found),
        vacuous=found.status != "agrees",
        flags=(DIFFERS,) if found.status == "differs" else (),
        ways=2 if found.status == "agrees" else 1,
    )


def _notes(rows: Sequence[Row], part: Part) -> ImageSource:
    return ImageSource(
        name=part.image,
        variables={"notes": {row.number: row.note for row in rows}},
        description="`notes`: dict from row number (int) to the text of that patient note.",
    )


def _counts(recomputed: Sequence[tuple[Row, Recomputation]]) -> dict[str, int]:
    """Count rows by what became of recomputing them, and the differing ones by calculator."""
    found = Counter(recomputation.status for _, recomputation in recomputed)
    differing = Counter(row.name for row, one in recomputed if one.status == "differs")
    return {
        "rows": len(recomputed),
        "calculators": len({row.calculator for row, _ in recomputed}),
        "recomputed, agrees with the label": found["agrees"],
        "recomputed, differs (flagged)": found["differs"],
        "not recomputed": found["not recomputed"],
        **{f"differs: {name}": n for name, n in differing.most_common()},
    }
