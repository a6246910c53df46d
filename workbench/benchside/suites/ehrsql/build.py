"""Building the suites over MIMIC-III and eICU: every gold SQL is run here.

Items whose gold is not found, or says nothing, are left out and counted. Splits go by template, so
that the published split, which parts the questions of one template, is not kept.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pydantic import JsonValue

from benchside.errors import DataMissingError, InputError
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites.ehrsql import eicu, mimic_iii
from benchside.suites.ehrsql.counterpart import counterpart, with_present_patient
from benchside.suites.ehrsql.database import Database, Schema, database_image, prepare_database
from benchside.suites.ehrsql.gold import Found, Gold, Rows, agrees, comparable, open_gold
from benchside.suites.ehrsql.question import DatabaseId, Question, read_questions
from benchside.suites.ehrsql.sql import (
    NOW,
    category,
    gives_yes_no,
    runnable,
    words_yes_no,
)
from benchside.suites.ehrsql2024.answer import (
    DECIMALS,
    ROWS,
    ROWS_GRADER,
    YES_NO,
    YES_NO_GRADER,
)
from benchside.suites.ehrsql2024.sql import NORMAL_RANGES
from benchside.task import AnswerKey, Split, TaskSpec

DUPLICATES = "duplicate-rows"
DIFFERS = "published-answer-differs"
UNPAIRED = "yes-without-a-no"
GUESSED = "gold is 1, which a guess may hit"
SPLITS: tuple[Split, ...] = ("train",) * 6 + ("valid",) * 2 + ("test",) * 2

_RANGES = ", ".join(f"{name.replace('_', ' ')} {a}-{b}" for name, (a, b) in NORMAL_RANGES.items())
CONVENTIONS = f"""\
Conventions of the data set:
- The present time is {NOW}; "today", "this month", "last year" and "since 2 months ago" count \
from it. There is no later data.
- Text in the database is lower-case; times are like '2105-12-31 23:59:00'.
- Who is in hospital now has no discharge time yet; the first and the last visit are looked for \
among those that have one. Ages are those at admission.
- "Top n" and "n most" mean all entries up to dense rank n by their number of rows, ties included.
- Time spans are numbers of days or hours, not rounded; rates of survival and death are in \
percent, in the whole-number arithmetic of SQLite.
- Normal ranges: {_RANGES}.
- Submit only what is asked for, names rather than codes, one row for each record that meets the \
question. The order of rows does not matter, numbers count to {DECIMALS} decimals.
- Some questions cannot be answered from this database; for those, call submit(None)."""


@dataclass(frozen=True, slots=True)
class Source:
    """One data set: what its questions call it, its schema, and how it names patients."""

    id: DatabaseId
    title: str
    schema: Schema
    patient_pattern: str


SOURCES = {
    "ehrsql_mimic3": Source(
        id="mimic_iii",
        title="MIMIC-III",
        schema=Schema(
            tables=mimic_iii.TABLES,
            sources=mimic_iii.SOURCES,
            indexes=mimic_iii.INDEXES,
            preprocess=mimic_iii.preprocess,
            patients="SELECT subject_id FROM patients ORDER BY subject_id",
            demo_ids="SELECT subject_id FROM patients",
        ),
        patient_pattern=r"(?<=patient )\d+\b",
    ),
    "ehrsql_eicu": Source(
        id="eicu",
        title="eICU",
        schema=Schema(
            tables=eicu.TABLES,
            sources=eicu.SOURCES,
            indexes=eicu.INDEXES,
            preprocess=eicu.preprocess,
            patients="SELECT DISTINCT uniquepid FROM patient ORDER BY uniquepid",
            demo_ids="SELECT patientunitstayid FROM patient",
        ),
        patient_pattern=r"\b\d{3}-\d+\b",
    ),
}


def build(options: BuildOptions) -> SuiteBuild:
    """Build a suite from the user's question files and database or release.

    Raises:
        DataMissingError: a file is not there.
        InputError: a file is damaged, or not in a format that is read here.
    """
    source, data = SOURCES[options.manifest.name], options.data_folder
    counts: Counter[str] = Counter()
    questions = distinct(
        (
            question
            for path in question_files(options, data)
            for question in read_questions(path, source.id)
        ),
        counts,
    )
    database = prepare_database(options, source.schema, data)
    builder = _Builder(source, options.manifest, database, counts)
    with open_gold(database.path) as gold:
        for question in questions:
            builder.add(question, gold)
    require_answers(builder.keys, counts, data)
    counts[GUESSED] = sum(key.value == [[1]] for key in builder.keys)
    counts["database: preprocessed here from the tables"] = int(database.preprocessed)
    counts["database: open demo"] = int(database.sensitivity == "open")
    counts["patients in the database"] = len(database.patients)
    image = database_image(
        database, f"{options.manifest.name}.records",
        f"{source.title} in the schema of EHRSQL. Text is lower-case.",
    )  # fmt: skip
    return SuiteBuild(builder.tasks, builder.keys, [image], dict(counts))


def question_files(options: BuildOptions, data: Path) -> list[Path]:
    """Return the question files that are there, in the manifest's order.

    Raises:
        DataMissingError: there is none.
    """
    listed = [file for file in options.manifest.data if ".json" in file.path]
    found = [path for file in listed if (path := file.find(data)) is not None]
    if not found:
        raise DataMissingError(
            f"there is no question file for {options.manifest.name}",
            where=f"{data}: none of {', '.join(file.path for file in listed)}",
            fix=options.manifest.how_to_get,
        )
    return found


def distinct(questions: Iterator[Question], counts: Counter[str]) -> list[Question]:
    """Return the questions without those whose id or text came before."""
    ids, texts = set[str](), set[str]()
    kept = []
    for question in questions:
        counts["questions read"] += 1
        text = " ".join(question.text.lower().split())
        if question.id in ids or text in texts:
            counts["left out, came before"] += 1
        elif not question.clean:
            counts["left out, text is spoilt"] += 1
        else:
            kept.append(question)
            ids.add(question.id)
            texts.add(text)
    return kept


def require_answers(keys: Sequence[AnswerKey], counts: Counter[str], data: Path) -> None:
    """Refuse questions and a database that have nothing to do with each other.

    Raises:
        InputError: none of the questions has an answer there.
    """
    if all(key.value is None for key in keys):
        raise InputError(
            "no question has an answer in this database",
            where=data,
            value=", ".join(f"{name}: {count}" for name, count in counts.items()),
            fix="take questions that were made for this database, or the release they are about",
        )


class _Builder:
    """Collects tasks and keys, and counts what became of each question."""

    def __init__(
        self, source: Source, manifest: SuiteManifest, database: Database, counts: Counter[str]
    ) -> None:
        self.tasks: list[TaskSpec] = []
        self.keys: list[AnswerKey] = []
        self._source, self._manifest, self._database = source, manifest, database
        self._patients = frozenset(database.patients)
        self._counts = counts

    def add(self, question: Question, gold: Gold) -> None:
        """Add what a question gives: a task, two of them, or none."""
        if question.sql is None:
            present = with_present_patient(
                question, self._source.patient_pattern, self._database.patients
            )
            self._keep(present, "unanswerable")
            return
        found = gold.run(runnable(question.sql))
        problem = self._problem(question, found)
        if problem:
            self._counts[f"left out, {problem}"] += 1
            return
        yes = gives_yes_no(question.sql) and bool(found.rows[0][0])
        other = (
            counterpart(question, self._database.patients, lambda sql: _is_no(gold, sql))
            if yes
            else None
        )
        flags = (UNPAIRED,) if yes and other is None else ()
        self._keep(question, "answerable", found.rows, flags)
        if other is not None and other.sql is not None:
            self._counts["yes/no: no, made from a yes"] += 1
            self._keep(other, "answerable", gold.run(runnable(other.sql)).rows)

    def _problem(self, question: Question, found: Found) -> str | None:
        """Return why a question is no task; None where it is one."""
        assert question.sql is not None  # only those with a query come here
        yes_no = gives_yes_no(question.sql)
        if found.standing != "found":
            return f"gold SQL {found.standing}"
        if question.patient is not None and question.patient not in self._patients:
            return "its patient is not in the database"
        if yes_no and [len(row) for row in found.rows] != [1]:
            return "gold SQL gives no single yes or no"
        if not yes_no and words_yes_no(question.text):
            return "asks for yes or no, gold SQL does not"
        if not yes_no and comparable(found.rows) == [["0.0"]]:
            return "gold is zero"
        return None

    def _keep(
        self, question: Question, kind: str, rows: Rows = (), flags: tuple[str, ...] = ()
    ) -> None:
        yes_no = gives_yes_no(question.sql) if question.sql else words_yes_no(question.text)
        if question.sql and yes_no:
            self._counts[f"yes/no: {'yes' if rows[0][0] else 'no'}"] += 1
        if question.sql and not yes_no:
            found = comparable(rows)
            if any(row == following for row, following in pairwise(found)):
                flags += (DUPLICATES,)
        if question.published is not None and not agrees(rows, question.published):
            flags += (DIFFERS,)
        task = self._task(question, yes_no)
        self.tasks.append(task)
        self.keys.append(_key(question, rows, yes_no, flags))
        self._counts[f"{task.split}: {kind}"] += 1
        for flag in flags:
            self._counts[f"flagged {flag}"] += 1

    def _task(self, question: Question, yes_no: bool) -> TaskSpec:
        answer = YES_NO if yes_no else ROWS
        group = template(question.tag or question.text)
        return TaskSpec(
            task_id=question.id,
            suite=self._manifest.name,
            version=self._manifest.version,
            category=category(question.sql),
            split=split(group),
            group=group,
            prompt="Answer a question about the electronic health records of "
            f"{self._source.title}. The tables are DataFrames in the kernel, and `con` is a "
            f"read-only SQLite connection to them.\n\nQuestion: {question.text}\n\n{CONVENTIONS}"
            f"\n\nSubmit {answer.description}.",
            image=f"{self._manifest.name}.records",
            answer=answer,
            grader=YES_NO_GRADER if yes_no else ROWS_GRADER,
            licence=self._manifest.licence,
            sensitivity=self._database.sensitivity,
        )


def _is_no(gold: Gold, sql: str) -> bool:
    return gold.run(runnable(sql)) == Found("found", ((0,),))


def _key(question: Question, rows: Rows, yes_no: bool, flags: tuple[str, ...]) -> AnswerKey:
    if question.sql is None:
        return AnswerKey(task_id=question.id, value=None, solution=("submit(None)",), vacuous=True)
    value: JsonValue = bool(rows[0][0]) if yes_no else json_rows(rows)
    query = f"sql = {runnable(question.sql)!r}\nrows = con.execute(sql).fetchall()\nrows[:10]"
    last = "submit(bool(rows[0][0]))" if yes_no else "submit(rows)"
    return AnswerKey(task_id=question.id, value=value, solution=(query, last), flags=flags)


def json_rows(rows: Sequence[Sequence[object]]) -> JsonValue:
    """Return rows as JSON; SQLite gives None, numbers and text."""
    return [
        [cell if cell is None or isinstance(cell, (int, float)) else str(cell) for cell in row]
        for row in rows
    ]


def template(text: str) -> str:
    """Return the group of a task: the hash of its template, or of its text without numbers."""
    bare = re.sub(r"\d[\d.-]*", "?", " ".join(text.lower().split()))
    return "template-" + hashlib.sha256(bare.encode()).hexdigest()[:12]


def split(group: str) -> Split:
    """Return the split of a group: train, valid and test as 6 to 2 to 2, by lot."""
    return SPLITS[int(hashlib.sha256(group.encode()).hexdigest()[:8], 16) % len(SPLITS)]
