"""Building the suite: every gold SQL is run here, and only items that it confirms become tasks.

Left out on purpose: the official score (-1 for a wrong answer, 0 for abstaining); a task here is
passed or not, and reports can weigh abstentions themselves.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

from pydantic import JsonValue

from benchside.suite import BuildOptions, DataFile, SuiteBuild, SuiteManifest
from benchside.suites.ehrsql2024.answer import (
    DECIMALS,
    ROWS,
    ROWS_GRADER,
    YES_NO,
    YES_NO_GRADER,
)
from benchside.suites.ehrsql2024.database import (
    IMAGE,
    database_image,
    find_database,
    open_database,
)
from benchside.suites.ehrsql2024.questions import SPLITS, Question, read_questions
from benchside.suites.ehrsql2024.sql import (
    NORMAL_RANGES,
    NOW,
    UNANSWERABLE,
    asks_yes_no,
    category,
    runnable,
    template,
)
from benchside.task import AnswerKey, TaskSpec

MAX_ROWS = 100  # official answers are cut to the first 100 rows in sorted order
YES_NO_ROWS: dict[tuple[tuple[str, ...], ...], bool] = {(("1",),): True, (("0",),): False}
DUPLICATES = "duplicate-rows"
VERIFIED, NULL = "answerable, verified", "unanswerable"
Rows: TypeAlias = Sequence[Sequence[object]]

_RANGES = ", ".join(f"{name.replace('_', ' ')} {a}-{b}" for name, (a, b) in NORMAL_RANGES.items())
CONVENTIONS = f"""\
Conventions of the data set:
- The present time is {NOW}; "today", "this month", "last year" and "since 2 months ago" count \
from it. There is no later data.
- Text in the database is lower-case; times are like '2100-12-31 23:59:00'.
- A current hospital or ICU visit has no dischtime or outtime yet; the first and the last visit \
are looked for among those that have one. Ages are those at admission.
- A patient's weight is the chart item 'daily weight'.
- "Top n" means all entries up to dense rank n by their number of rows, ties included.
- Time spans are numbers of days or hours, not rounded; rates and percentiles are fractions \
between 0 and 1; a percentile is a PERCENT_RANK.
- The total hospital cost is the sum of costs per hospital admission.
- Normal ranges: {_RANGES}.
- Submit only what is asked for, names rather than codes. The order of rows does not matter, \
numbers count to {DECIMALS} decimals.
- Some questions cannot be answered from this database; for those, call submit(None)."""
PREAMBLE = (
    "Answer a question about the electronic health records of the MIMIC-IV demo. The tables are "
    "DataFrames in the kernel, and `con` is a read-only SQLite connection to them."
)


def build(options: BuildOptions) -> SuiteBuild:
    """Build the suite from the user's question files and database.

    Raises:
        DataMissingError: a file is not there.
        InputError: a file is damaged or not in the published format.
    """
    data = options.data_folder
    questions = [question for split in SPLITS for question in read_questions(data, split)]
    database = find_database(_database_file(options), data, options.scratch)
    tasks, keys, counts = [], [], Counter[str]()
    with open_database(database) as con:
        for question in questions:
            found = _run(question, con)
            standing = _standing(question, found)
            counts[f"{question.split}: {standing}"] += 1
            if standing in (VERIFIED, NULL):
                tasks.append(_task(question, options.manifest))
                keys.append(_key(question, found))
    counts["questions with repeated rows (flagged)"] = sum(bool(key.flags) for key in keys)
    counts.update(_straddling(tasks))
    return SuiteBuild(tasks, keys, [database_image(database)], dict(counts))


def _run(question: Question, con: sqlite3.Connection) -> Rows | None:
    """Return the rows of an item's gold SQL; None where it has none or it does not run."""
    if question.sql is None:
        return None
    try:
        return con.execute(runnable(question.sql)).fetchall()
    except sqlite3.Error:
        return None


def _standing(question: Question, found: Rows | None) -> str:
    """Return what an item counts as; only the first two become tasks."""
    if question.rows is None:
        return NULL
    if found is None:
        return "left out, gold SQL does not run"
    if comparable(found) != comparable(question.rows):
        return "left out, gold SQL gives other rows than the official answer"
    return VERIFIED


def comparable(rows: Rows) -> list[list[str]]:
    """Return rows as the official scorer compares them.

    Source: `process_answer` of the shared task's scoring program: cells as text, numbers rounded
    to 3 decimals, rows sorted, the first 100 kept.
    """
    return sorted([_cell(cell) for cell in row] for row in rows)[:MAX_ROWS]


def _cell(cell: object) -> str:
    try:
        return str(round(float(str(cell)), DECIMALS))
    except ValueError:
        return str(cell)


def _is_yes_no(question: Question) -> bool:
    return asks_yes_no(question.text) and (question.rows is None or question.rows in YES_NO_ROWS)


def _task(question: Question, manifest: SuiteManifest) -> TaskSpec:
    yes_no = _is_yes_no(question)
    answer = YES_NO if yes_no else ROWS
    prompt = (
        f"{PREAMBLE}\n\nQuestion: {question.text}\n\n{CONVENTIONS}\n\nSubmit {answer.description}."
    )
    return TaskSpec(
        task_id=question.id,
        suite=manifest.name,
        version=manifest.version,
        category=category(question.sql),
        split=question.split,
        group=template(question.sql or question.text),
        prompt=prompt,
        image=IMAGE,
        answer=answer,
        grader=YES_NO_GRADER if yes_no else ROWS_GRADER,
        licence=manifest.licence,
    )


def _key(question: Question, found: Rows | None) -> AnswerKey:
    if question.sql is None or question.rows is None or found is None:
        return AnswerKey(task_id=question.id, value=None, solution=("submit(None)",), vacuous=True)
    query = f"sql = {runnable(question.sql)!r}\nrows = con.execute(sql).fetchall()\nrows[:10]"
    if _is_yes_no(question):
        value: JsonValue = YES_NO_ROWS[question.rows]
        last = "submit(bool(rows[0][0]))"
    else:
        value = [list(row) for row in _gold_rows(question.rows, found)]
        last = "submit(rows)"
    rows = comparable(question.rows)
    repeated = any(row == following for row, following in pairwise(rows))  # they are sorted
    return AnswerKey(
        task_id=question.id,
        value=value,
        solution=(query, last),
        flags=(DUPLICATES,) if repeated else (),
    )


def _gold_rows(official: tuple[tuple[str, ...], ...], found: Rows) -> list[tuple[str, ...]]:
    """Return the official rows, or all that the gold SQL gives where the official ones are cut."""
    if len(official) < MAX_ROWS:
        return list(official)
    return [tuple(str(cell) for cell in row) for row in found]


def _straddling(tasks: Sequence[TaskSpec]) -> dict[str, int]:
    """Count the templates on both sides of the published split; it was made by question."""
    groups = {
        split: {t.group for t in tasks if t.split == split and t.category != UNANSWERABLE}
        for split in SPLITS
    }
    both = groups["train"] & groups["valid"]
    return {
        "templates in train": len(groups["train"]),
        "templates in valid": len(groups["valid"]),
        "templates in both": len(both),
        "valid tasks whose template is in train": sum(
            task.split == "valid" and task.group in both for task in tasks
        ),
    }


def _database_file(options: BuildOptions) -> DataFile:
    """The manifest's entry of the database, known by its suffix."""
    return next(file for file in options.manifest.data if file.path.endswith(".sqlite"))
