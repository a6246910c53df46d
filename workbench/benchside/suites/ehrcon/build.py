# ruff: noqa: E501 — what prompts say stays whole
"""Building the suite: a task asks about several entities of a note, some of them wrong.

Labels are those of the annotators and are not computed here, so that solutions only state them.
Each task has entities of both kinds, so that neither naming all nor naming none is ever right; what
cannot be paired so is left out and counted. The published splits are kept.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchside.errors import DataMissingError, InputError
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites.ehrcon.labels import Entity, read_labels, read_tasks
from benchside.suites.ehrcon.records import describe, prepare_records, read_notes
from benchside.task import AnswerKey, AnswerSchema, GraderRef, Split, TaskSpec
from benchside_kernels.image import ImageSource

PER_TASK = 8  # entities, at most
KINDS = ("discharge", "nursing", "physician")
SEVERAL = "several notes"
ANSWER = AnswerSchema(
    kind="set",
    description="a set or list of those of the texts above that are not consistent, as they stand "
    "there",
)
GRADER = GraderRef(name="set", params={"item": "text"})
CONVENTIONS = """\
What a note says of an entity is consistent if the tables of the same hospital stay (`hadm_id`) agree \
with it in everything that it says: that it happened, value, unit, and time. Items of the tables may \
have other names than the note uses. `con` is a read-only SQLite connection to tables and notes."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """Entities of one note, or of one admission where the note is not known."""

    split: Split
    kind: str
    note: str
    hadm: str
    entities: tuple[Entity, ...]


def build(options: BuildOptions) -> SuiteBuild:
    """Build the suite from the user's notes, labels and tables.

    Raises:
        DataMissingError: a file is not there.
        InputError: a file is damaged, or not in a format that is read here.
    """
    data = options.data_folder
    counts: Counter[str] = Counter()
    notes = read_notes(_note_files(options, data))
    asked = [*_published(options, data, notes), *_medagentgym(options, data, notes)]
    if not asked:
        raise DataMissingError(
            f"there are no labels for {options.manifest.name}", where=data,
            fix=options.manifest.how_to_get,
        )  # fmt: skip
    path = prepare_records(options, data, notes)
    tasks: list[TaskSpec] = []
    keys: list[AnswerKey] = []
    for one in asked:
        for number, chunk in enumerate(_chunks(_certain(one, counts), counts), start=1):
            task, key = _pose(one, number, chunk, options.manifest)
            tasks.append(task)
            keys.append(key)
            counts[f"{one.split}: {one.kind}"] += 1
    if not tasks:
        raise InputError(
            "no note has both consistent and inconsistent entities", where=data,
            value=", ".join(f"{name}: {count}" for name, count in counts.items()),
            fix="bring the labels of whole notes",
        )  # fmt: skip
    counts["notes"] = len(notes)
    image = ImageSource(
        name=f"{options.manifest.name}.records", variables={"noteevents": notes}, database=path,
        description=describe(path),
    )  # fmt: skip
    return SuiteBuild(tasks, keys, [image], dict(counts))


def _note_files(options: BuildOptions, data: Path) -> list[Path]:
    listed = [
        file for file in options.manifest.data
        if Path(file.path).name == "clinical_notes.csv" or "/original/" in file.path
        if file.path.endswith(".csv")
    ]  # fmt: skip
    found = [path for file in listed if (path := file.find(data)) is not None]
    if not found:
        raise DataMissingError(
            f"there are no notes for {options.manifest.name}",
            where=f"{data}: none of {', '.join(file.path for file in listed)}",
            fix=options.manifest.how_to_get,
        )
    return found


def _published(options: BuildOptions, data: Path, notes: pd.DataFrame) -> list[_Asked]:
    """The labels in folders <split>/<kind>/<kind>_label."""
    stays = dict(zip(notes["row_id"], notes["hadm_id"], strict=True))
    asked = []
    for file in options.manifest.data:
        for path in file.find_all(data) if "_label/" in file.path else ():
            kind, split = path.parts[-3], path.parts[-4]
            by_note: defaultdict[str, list[Entity]] = defaultdict(list)
            for entity in read_labels(path):
                if entity.note not in stays:
                    raise InputError(
                        "the labels are about a note that is not there", where=path,
                        value=entity.note, fix=options.manifest.how_to_get,
                    )  # fmt: skip
                by_note[entity.note].append(entity)
            asked += [
                _Asked("test" if split == "test" else "valid", kind, note, stays[note], tuple(some))
                for note, some in by_note.items()
            ]
    return asked


def _medagentgym(options: BuildOptions, data: Path, notes: pd.DataFrame) -> list[_Asked]:
    kinds: defaultdict[str, set[str]] = defaultdict(set)
    for stay, category in zip(notes["hadm_id"], notes["category"], strict=True):
        kinds[stay].add(_kind(category))
    asked: list[_Asked] = []
    for file in options.manifest.data:
        path = file.find(data) if file.path.endswith("_tasks.jsonl") else None
        if path is None:
            continue
        split: Split = "train" if path.name.startswith("train") else "test"
        by_stay: defaultdict[str, list[Entity]] = defaultdict(list)
        for entity in read_tasks(path):
            by_stay[entity.note].append(entity)
        for hadm, some in by_stay.items():
            found = kinds.get(hadm)
            if found is None:
                raise InputError(
                    "a task is about an admission without notes", where=path, value=hadm,
                    fix=options.manifest.how_to_get,
                )  # fmt: skip
            kind = next(iter(found)) if len(found) == 1 else SEVERAL
            asked.append(_Asked(split, kind, "", hadm, tuple(some)))
    return asked


def _kind(category: str) -> str:
    return next((kind for kind in KINDS if category.strip().lower().startswith(kind)), SEVERAL)


def _certain(asked: _Asked, counts: Counter[str]) -> list[Entity]:
    """Entities whose text says one thing: those that are labelled both ways are left out."""
    verdicts: defaultdict[str, set[bool]] = defaultdict(set)
    for entity in asked.entities:
        verdicts[_text(entity)].add(entity.wrong)
    kept = {}
    for entity in asked.entities:
        text = _text(entity)
        if len(verdicts[text]) == 1 and text not in kept:
            kept[text] = entity
            counts[f"entities: {'inconsistent' if entity.wrong else 'consistent'}"] += 1
        else:
            reason = "named before" if text in kept else "labelled both ways"
            counts[f"entities left out, {reason}"] += 1
    return list(kept.values())


def _text(entity: Entity) -> str:
    """How a task names an entity."""
    name = re.sub(r"\s+", " ", entity.name).casefold()
    return name if entity.line is None else f"line {entity.line}: {name}"


def _chunks(entities: Sequence[Entity], counts: Counter[str]) -> list[list[Entity]]:
    """Deal entities into tasks that have both kinds."""
    shuffled = sorted(entities, key=lambda one: hashlib.sha256(_text(one).encode()).digest())
    wrong = [entity for entity in shuffled if entity.wrong]
    fine = [entity for entity in shuffled if not entity.wrong]
    number = min(len(wrong), len(fine), -(-len(entities) // PER_TASK))
    chunks: list[list[Entity]] = [[] for _ in range(number)]
    for some in (wrong, fine):
        for turn, entity in enumerate(some):
            chunk = chunks[turn % number] if number else []
            if (
                not number
                or len(chunk) == PER_TASK
                or sum(one.wrong == entity.wrong for one in chunk) == PER_TASK - 1
            ):
                counts["entities left out, too few of the other kind"] += 1
            else:
                chunk.append(entity)
    return chunks


def _pose(
    asked: _Asked, number: int, chunk: Sequence[Entity], manifest: SuiteManifest
) -> tuple[TaskSpec, AnswerKey]:
    source = f"note-{asked.note}" if asked.note else f"{asked.split}-stay-{asked.hadm}"
    listed = "\n".join(f"- {text}" for text in sorted(_text(entity) for entity in chunk))
    about = (
        f"the note with `row_id` {asked.note} (hadm_id {asked.hadm}). The numbers of lines are the "
        "annotators' and may be off by one"
        if asked.note
        else f"the notes of the hospital stay {asked.hadm}"
    )
    gold = sorted(_text(entity) for entity in chunk if entity.wrong)
    task = TaskSpec(
        task_id=f"{source}-{number}",
        suite=manifest.name,
        version=manifest.version,
        category=asked.kind,
        split=asked.split,
        group=f"stay-{asked.hadm}",
        prompt=f"Compare clinical notes of MIMIC-III with its tables. These entities stand in {about}. "
        f"Which of them are not consistent with the tables?\n{listed}\n\n{CONVENTIONS}\n\n"
        f"Submit {ANSWER.description}.",
        image=f"{manifest.name}.records",
        answer=ANSWER,
        grader=GRADER,
        licence=manifest.licence,
        sensitivity="credentialed",
    )
    key = AnswerKey(
        task_id=task.task_id, value={"$set": [*gold]}, solution=(f"submit({gold!r})",),
        vacuous=True,
    )  # fmt: skip
    return task, key
