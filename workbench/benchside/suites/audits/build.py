# ruff: noqa: E501 — what prompts say stays whole
"""Building the suite: draw a stay, write a note of it with planted faults, and ask about them.

Half of a note's statements are wrong where they are all asked about. What was planted is the gold;
the notes are read again and compared with the database by code that knows nothing of the planting,
and where the two differ the task is dropped and counted.
"""

from __future__ import annotations

import functools
import pprint
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.random import Generator
from pydantic import JsonValue

from benchside.cell_source import cell_source
from benchside.errors import InputError
from benchside.hospital import mimic
from benchside.hospital.database import write_database
from benchside.hospital.notes import noteevents
from benchside.hospital.notes.compose import KINDS, Kind, Note, choose, days_for, write
from benchside.hospital.notes.plant import POSSIBLE, Fault, faults, mending_rows, plant
from benchside.hospital.notes.stay import Fact, Stay, Stays
from benchside.hospital.notes.style import ABBREVIATIONS, STYLES
from benchside.hospital.questions.pose import split_patients
from benchside.hospital.questions.suite import DEFAULT_SIZE, describe, patients_for
from benchside.hospital.record import NOW, generate
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites.audits import reading
from benchside.task import AnswerKey, AnswerSchema, GraderRef, Split, TaskSpec
from benchside_kernels.image import ImageSource

Asked = Literal["find", "classify", "correct"]
ASKED: tuple[Asked, ...] = ("find", "classify", "correct")
VERDICTS = ("consistent", "value", "unit", "route", "time", "absent")
CLASSIFIED = 6  # statements that a `classify` task asks about, half of them wrong
ATTEMPTS = 60  # draws of a stay for one task
OPENING = (
    "Compare a clinical note with the records of the hospital, kept in the schema of MIMIC-III. The "
    "tables are DataFrames in the kernel, and `con` is a read-only SQLite connection to them. Notes "
    "stand in `noteevents`; yours is that with `row_id` {row_id}."
)
CONVENTIONS = """\
Conventions:
- Lines of the text are numbered from 1, empty lines included. A line states at most one thing. \
Only the sections on diagnoses, procedures, laboratory tests, vital signs, cultures, drugs, intake \
and output state facts of the record; complaint, history, family history and plan do not.
- A statement is about the note's own hospital stay (`hadm_id`). It is consistent if one row of the \
stay agrees with all that it says: the item and, as far as stated, value (also dose, volume, or what \
grew), unit, route and time. Items may be abbreviated as is usual (Na, Cr, HR); case does not matter.
- Times are `charttime`, of drugs `startdate`. A date alone is any time of that day, a time of day \
alone is on the note's `chartdate`, and hospital day 1 is the date of admission. Seconds are left out.
- Intake and output are in ml. A culture without an organism showed no growth.
- A statement that is not consistent is "absent" if the stay has no row of the item at all; \
otherwise a row agrees with it in everything but one thing: "value", "unit", "route" or "time"."""


def build(options: BuildOptions) -> SuiteBuild:
    """Generate `options.size` tasks from `options.seed`."""
    size = DEFAULT_SIZE if options.size is None else options.size
    if size < 1:
        raise InputError("the suite needs at least one task", where="size", value=size)
    frames = mimic.frames(generate(patients_for(size), options.seed))
    path = options.scratch / "records.sqlite"
    write_database(path, mimic.TABLES, frames)
    con = sqlite3.connect(path)
    try:
        maker = _Maker(Stays(frames, NOW), con, options.manifest, options.seed)
        maker.fill(size)
    finally:
        con.close()
    frames["noteevents"] = noteevents.table(maker.written)
    path.unlink()
    write_database(path, (*mimic.TABLES, noteevents.TABLE), frames)
    image = ImageSource(
        name=f"{options.manifest.name}.hospital", variables=frames, database=path,
        description=describe(frames),
    )  # fmt: skip
    counts = {
        "tasks": len(maker.tasks),
        "statements": sum(maker.planted.values()),
        **{f"statements: {name}": maker.planted[name] for name in VERDICTS},
        "dropped: two ways disagree": 0,
        **{f"dropped: {reason}": count for reason, count in sorted(maker.dropped.items())},
    }
    return SuiteBuild(maker.tasks, maker.keys, [image], counts)


@dataclass(slots=True)
class _Maker:
    """Makes tasks with their notes; `planted` counts statements by verdict, `dropped` draws."""

    stays: Stays
    con: sqlite3.Connection
    manifest: SuiteManifest
    seed: int
    tasks: list[TaskSpec] = field(default_factory=list)
    keys: list[AnswerKey] = field(default_factory=list)
    written: list[tuple[Stay, Note]] = field(default_factory=list)
    planted: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    def fill(self, size: int) -> None:
        """Make that many tasks, kinds of question and of note in turn."""
        patients = self.stays.frames["patients"]["subject_id"].to_numpy()
        of_split = split_patients(patients, self.seed)
        split_of = {int(one): split for split, some in of_split.items() for one in some}
        words = _vocabulary(self.con, ABBREVIATIONS)
        rng = np.random.default_rng([self.seed, size, 2406])
        for number in range(size):
            asked, kind = ASKED[number % 3], KINDS[number // 3 % 3]
            for _ in range(ATTEMPTS):
                if self._add(rng, asked, kind, split_of, words):
                    break

    def _add(
        self, rng: Generator, asked: Asked, kind: Kind, split_of: Mapping[int, Split], words: object
    ) -> bool:
        stay = self.stays.stay(int(rng.integers(len(self.stays.frames["admissions"]))))
        days = days_for(stay, kind)
        if not days:
            return False
        day = days[rng.integers(len(days))]
        facts = choose(rng, stay, kind, day)
        wrong = 1 if asked == "correct" else len(facts) // 2
        told = _with_faults(rng, facts, stay, self.stays, wrong, single=asked == "correct")
        if not told:
            self.dropped["too little to plant"] += 1
            return False
        style = STYLES[rng.integers(len(STYLES))]
        note = write(rng, stay, self.stays, kind, day, [fact for fact, _ in told], style)
        verdicts = {line: _verdict(fact, told) for line, fact in note.lines.items()}
        read = _audit(self.con, note.text, stay.hadm, words)
        if {line: verdict for line, (verdict, _) in read.items()} != verdicts:
            self.dropped["two ways disagree"] += 1
            return False
        posed = _pose(rng, asked, note, stay, verdicts)
        if posed is None:
            self.dropped["more than one way to correct it"] += 1
            return False
        if asked == "correct":
            right = read[posed.gold["line"]][1]  # type: ignore[index,call-overload]
            if [str(_short(cell)) for cell in right] != [posed.gold["table"]]:  # type: ignore[index,call-overload]
                self.dropped["two ways disagree"] += 1
                return False
        self.planted.update(verdicts.values())
        self._keep(asked, kind, posed, stay, note, split_of[stay.subject])
        return True

    def _keep(
        self, asked: Asked, kind: Kind, posed: _Posed, stay: Stay, note: Note, split: Split
    ) -> None:
        self.written.append((stay, note))
        row_id = len(self.written)
        task_id = f"{asked}.{kind}.{self.seed}-{row_id:05d}"
        self.tasks.append(
            TaskSpec(
                task_id=task_id,
                suite=self.manifest.name,
                version=self.manifest.version,
                category=f"{asked}/{kind}",
                split=split,
                group=f"patient-{stay.subject}",
                prompt=f"{OPENING.format(row_id=row_id)}\n\nQuestion: {posed.question}\n\n"
                f"{CONVENTIONS}\n\nSubmit {posed.answer.description}.",
                image=f"{self.manifest.name}.hospital",
                answer=posed.answer,
                grader=posed.grader,
                licence=self.manifest.licence,
                sensitivity=self.manifest.sensitivity,
            )
        )
        cells = (reader_cell(), f"{LOOK.format(row_id=row_id)}\nfound", posed.submit)
        self.keys.append(AnswerKey(task_id=task_id, value=posed.gold, solution=cells, ways=2))


# the functions are without annotations, as kernels lack the names of types
_audit: Callable[..., dict[int, tuple[str, set[object]]]] = reading.audit
_vocabulary: Callable[..., object] = reading.vocabulary

LOOK = """\
text, hadm = con.execute(
    "SELECT text, hadm_id FROM noteevents WHERE row_id = {row_id}"
).fetchone()
found = audit(con, text, hadm, vocabulary(con, ABBREVIATIONS))"""


@functools.cache
def reader_cell() -> str:
    """The cell that defines `audit` and `vocabulary`."""
    audit, words = cell_source(reading.audit), cell_source(reading.vocabulary)
    table = pprint.pformat(dict(ABBREVIATIONS), width=96, compact=True)
    return f"{audit}\n\n\n{words}\n\n\nABBREVIATIONS = {table}"


def _with_faults(
    rng: Generator, facts: Sequence[Fact], stay: Stay, stays: Stays, wrong: int, *, single: bool
) -> list[tuple[Fact, str]]:
    """Facts with verdicts, so many of them wrong; empty where too few could be planted.

    Args:
        single: only faults that a single cell of a table corrects.
    """
    if any(faults(fact, stay) for fact in facts):
        return []
    told: list[tuple[Fact, str]] = [(fact, "consistent") for fact in facts]
    names = {(fact.source, fact.name) for fact in facts}
    planted = 0
    for place in rng.permutation(len(facts)).tolist():
        if planted == wrong:
            break
        possible: list[Fault] = [
            fault for fault in POSSIBLE[facts[place].source] if not (single and fault == "absent")
        ]
        for fault in (possible[turn] for turn in rng.permutation(len(possible))):
            altered = plant(rng, facts[place], stay, stays, fault)
            if altered is None or (fault == "absent" and (altered.source, altered.name) in names):
                continue
            told[place] = (altered, fault)
            names.add((altered.source, altered.name))
            planted += 1
            break
    return told if planted == wrong and wrong > 0 else []


def _verdict(fact: Fact, told: Sequence[tuple[Fact, str]]) -> str:
    return next(verdict for one, verdict in told if one == fact)


@dataclass(frozen=True, slots=True)
class _Posed:
    question: str
    answer: AnswerSchema
    grader: GraderRef
    gold: JsonValue
    submit: str


def _pose(
    rng: Generator, asked: Asked, note: Note, stay: Stay, verdicts: Mapping[int, str]
) -> _Posed | None:
    """The question with its gold; None where it would have several answers."""
    wrong = [line for line, verdict in verdicts.items() if verdict != "consistent"]
    match asked:
        case "find":
            return _Posed(
                "Which lines of the note are not consistent with the tables?",
                AnswerSchema(kind="set", description="a set or list of line numbers"),
                GraderRef(name="set", params={"item": "integer"}),
                {"$set": [*sorted(wrong)]},
                'submit({line for line, (verdict, _) in found.items() if verdict != "consistent"})',
            )
        case "classify":
            fine = [line for line in verdicts if line not in wrong]
            half = CLASSIFIED // 2
            chosen = [*rng.permutation(wrong)[:half], *rng.permutation(fine)[:half]]
            lines = sorted(int(line) for line in chosen)
            part: JsonValue = {"grader": "text", "params": {}}
            listed = ", ".join(f'"{verdict}"' for verdict in VERDICTS)
            return _Posed(
                "Judge these lines of the note: " + ", ".join(map(str, lines)) + ".",
                AnswerSchema(
                    kind="record",
                    description=f"a dict from each of these line numbers, as text, to one of {listed}",
                ),
                GraderRef(name="record", params={"parts": {str(line): part for line in lines}}),
                {str(line): verdicts[line] for line in lines},
                f"submit({{str(line): found[line][0] for line in {lines}}})",
            )
        case "correct":
            return _correction(note, stay, verdicts, wrong[0])


def _correction(note: Note, stay: Stay, verdicts: Mapping[int, str], line: int) -> _Posed | None:
    fault, fact = verdicts[line], note.lines[line]
    cells = {
        {
            "value": row.value, "unit": row.unit, "route": row.route,
            "time": str(row.time)[:16].replace("T", " "),
        }[fault]
        for row in mending_rows(fact, stay, fault)
    }  # fmt: skip
    if len(cells) != 1:
        return None
    parts: dict[str, JsonValue] = {
        "line": {"grader": "integer", "params": {}},
        "field": {"grader": "text", "params": {}},
        "table": {"grader": "table", "params": {"as_text": True}},
    }
    return _Posed(
        "Exactly one line of the note is not consistent with the tables, and not absent from them. "
        "Which one, in what, and what do the tables have instead?",
        AnswerSchema(
            kind="record",
            description='a dict with "line" (its number), "field" ("value", "unit", "route" or "time") '
            'and "table" (what the tables have there: a number or text; a time as text like '
            "'2105-01-31 07:05')",
        ),
        GraderRef(name="record", params={"parts": parts}),
        {"line": line, "field": fault, "table": cells.pop()},
        'line = next(n for n, (verdict, _) in found.items() if verdict != "consistent")\n'
        "field, (right,) = found[line]\n"
        'submit({"line": line, "field": field, "table": right})',
    )


def _short(cell: object) -> object:
    """A number as text is as short as it can be."""
    return f"{cell:g}" if isinstance(cell, float) else cell
