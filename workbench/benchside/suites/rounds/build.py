# ruff: noqa: E501 — what prompts say stays whole
"""Building the suite: draw series from all courses in turn, and keep those whose every turn is sure."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from pydantic import JsonValue

from benchside.errors import InputError
from benchside.hospital import mimic
from benchside.hospital.database import write_database
from benchside.hospital.questions.form import agree, from_rows, key
from benchside.hospital.questions.mimic_view import mimic_view
from benchside.hospital.questions.pose import MAX_SET, split_families, split_patients
from benchside.hospital.questions.suite import CONVENTIONS, DEFAULT_SIZE, describe, patients_for
from benchside.hospital.questions.view import View
from benchside.hospital.record import generate
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites.rounds import cohorts, patients
from benchside.suites.rounds.course import Course, Turn
from benchside.suites.wards import NOTES
from benchside.task import AnswerKey, AnswerSchema, GraderRef, Split, TaskSpec
from benchside_kernels.image import ImageSource

FEWEST_TURNS = 2
ATTEMPTS = 80  # draws for one task
OPENING = (
    "Answer a series of questions about the records of a hospital, kept in the schema of MIMIC-III. The "
    "tables are DataFrames in the kernel, and `con` is a read-only SQLite connection to them. A question "
    "may speak of what those before it have found, so keep your results."
)


def build(options: BuildOptions) -> SuiteBuild:
    """Generate `options.size` series from `options.seed`."""
    size = DEFAULT_SIZE if options.size is None else options.size
    if size < 1:
        raise InputError("the suite needs at least one task", where="size", value=size)
    frames = mimic.frames(generate(patients_for(size), options.seed))
    path = options.scratch / "hospital.sqlite"
    write_database(path, mimic.TABLES, frames)
    image = ImageSource(
        name=f"{options.manifest.name}.hospital", variables=frames, database=path,
        description=describe(frames),
    )  # fmt: skip
    con = sqlite3.connect(path)
    try:
        maker = _Maker(mimic_view(frames, con), options.manifest, options.seed)
        maker.fill(size)
    finally:
        con.close()
    counts = {
        "tasks": len(maker.tasks),
        "turns": maker.turns,
        "families": len({task.group for task in maker.tasks}),
        "dropped: two ways disagree": 0,
        **{f"dropped: {reason}": number for reason, number in sorted(maker.dropped.items())},
    }
    return SuiteBuild(maker.tasks, maker.keys, [image], counts)


def all_courses() -> list[Course]:
    """Every kind of series."""
    return [*cohorts.courses(), *patients.courses()]


@dataclass(slots=True)
class _Maker:
    """Makes tasks, each asked once; `dropped` counts draws that became none."""

    view: View
    manifest: SuiteManifest
    seed: int
    tasks: list[TaskSpec] = field(default_factory=list)
    keys: list[AnswerKey] = field(default_factory=list)
    turns: int = 0
    asked: set[str] = field(default_factory=set)
    dropped: Counter[str] = field(default_factory=Counter)

    def fill(self, size: int) -> None:
        """Draw from all courses in turn; one that gives nothing new any more is left out."""
        courses = all_courses()
        splits = split_families(courses, self.seed)
        pools = split_patients(self.view.patients, self.seed)
        rngs = {course.family: _generator(self.seed, course.family) for course in courses}
        while courses and len(self.tasks) < size:
            for course in list(courses):
                if len(self.tasks) == size:
                    break
                split = splits[course.family]
                pool = self.view.patients if course.level == "all" else pools[split]
                if not any(
                    self._add(course, split, rngs[course.family], pool) for _ in range(ATTEMPTS)
                ):
                    courses.remove(course)

    def _add(self, course: Course, split: Split, rng: np.random.Generator, pool: object) -> bool:
        drawn = course.draw(rng, self.view, pool)
        if drawn is None:
            self.dropped["nothing to ask"] += 1
            return False
        turns = drawn[: int(rng.integers(FEWEST_TURNS, len(drawn) + 1))]
        listed = "\n".join(f"q{number}. {_tidy(turn.text)}" for number, turn in enumerate(turns, 1))
        if listed in self.asked:
            self.dropped["same series"] += 1
            return False
        for turn in turns:
            fault = self._fault(turn)
            if fault:
                self.dropped[fault] += 1
                return False
        self.asked.add(listed)
        self.turns += len(turns)
        self._keep(course, split, turns, listed)
        return True

    def _fault(self, turn: Turn) -> str:
        """Why an answer cannot be used, or nothing."""
        if turn.value is None:
            return "no single answer"
        if isinstance(turn.value, frozenset) and not 1 <= len(turn.value) <= MAX_SET:
            return "empty or long set"
        rows = self.view.con.execute(turn.sql).fetchall()
        return (
            "" if agree(turn.form, from_rows(turn.form, rows), turn.value) else "two ways disagree"
        )

    def _keep(self, course: Course, split: Split, turns: Sequence[Turn], listed: str) -> None:
        task_id = f"{course.family.replace('/', '.')}.{self.seed}-{len(self.tasks):05d}"
        parts: dict[str, JsonValue] = {}
        value: dict[str, JsonValue] = {}
        cells = ["answers = {}"]
        asks = []
        for number, turn in enumerate(turns, 1):
            name = f"q{number}"
            grader = turn.form.grader
            parts[name] = {"grader": grader.name, "params": grader.params}
            value[name] = key(turn.form, turn.value)
            asks.append(f'"{name}": {turn.form.asks}')
            cells.append(
                f'rows = con.execute("""\n{turn.sql}\n""").fetchall()\n'
                f"answers[{name!r}] = {turn.form.take}\nrows[:10]"
            )
        answer = AnswerSchema(
            kind="record",
            description=f"a dict with one answer for each question: {{{', '.join(asks)}}}",
        )
        self.tasks.append(
            TaskSpec(
                task_id=task_id,
                suite=self.manifest.name,
                version=self.manifest.version,
                category=course.category,
                split=split,
                group=course.family,
                prompt=f"{OPENING}\n\n{listed}\n\n{CONVENTIONS}\n{NOTES}\n\nSubmit {answer.description}.",
                image=f"{self.manifest.name}.hospital",
                answer=answer,
                grader=GraderRef(name="record", params={"parts": parts}),
                licence=self.manifest.licence,
                sensitivity=self.manifest.sensitivity,
            )
        )
        self.keys.append(
            AnswerKey(task_id=task_id, value=value, solution=(*cells, "submit(answers)"), ways=2)
        )


def _tidy(text: str) -> str:
    return " ".join(text.split()).replace(" ?", "?")


def _generator(seed: int, family: str) -> np.random.Generator:
    return np.random.default_rng([seed, *hashlib.sha256(family.encode()).digest()[:8]])
