"""Building the suite: a task is a whole series, its answer one part for each turn.

Every gold SQL is run here, as for the suite `ehrsql_mimic3`, whose database this is. A series of
which one turn has no answer is left out and counted. Answers that came without their SQL are
believed and flagged.
"""

from __future__ import annotations

from collections import Counter

from pydantic import JsonValue

from benchside.errors import InputError
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites.ehr_seqsql.series import Series, read_series
from benchside.suites.ehrsql.build import (
    CONVENTIONS,
    SOURCES,
    json_rows,
    question_files,
    split,
    template,
)
from benchside.suites.ehrsql.database import Database, database_image, prepare_database
from benchside.suites.ehrsql.gold import Found, Gold, Rows, comparable, open_gold
from benchside.suites.ehrsql.sql import category, gives_yes_no, runnable
from benchside.suites.ehrsql2024.answer import ROWS, ROWS_GRADER, YES_NO, YES_NO_GRADER
from benchside.task import AnswerKey, AnswerSchema, GraderRef, TaskSpec

UNVERIFIED = "published-answer-not-verified"
SINGLE = "single turn"  # category of turns that came without their SQL
SOURCE = SOURCES["ehrsql_mimic3"]
OPENING = (
    "Answer a series of questions about the electronic health records of MIMIC-III. The tables are "
    "DataFrames in the kernel, and `con` is a read-only SQLite connection to them."
)


def build(options: BuildOptions) -> SuiteBuild:
    """Build the suite from the user's files.

    Raises:
        DataMissingError: a file is not there.
        InputError: a file is damaged, or not in a format that is read here.
    """
    data = options.data_folder
    counts: Counter[str] = Counter()
    series = _distinct(
        [one for path in question_files(options, data) for one in read_series(path)], counts
    )
    database = prepare_database(options, SOURCE.schema, data)
    tasks: list[TaskSpec] = []
    keys: list[AnswerKey] = []
    with open_gold(database.path) as gold:
        for one in series:
            found = _answers(one, gold, database)
            if isinstance(found, str):
                counts[f"left out, {found}"] += 1
                continue
            task = _task(one, options.manifest, database)
            tasks.append(task)
            keys.append(_key(one, found))
            counts[f"{task.split}: series"] += 1
            counts["turns"] += len(one.turns)
    if not tasks:
        raise InputError(
            "no series has an answer in this database", where=data,
            value=", ".join(f"{name}: {count}" for name, count in counts.items()),
            fix="take questions that were made for this database, or the release they are about",
        )  # fmt: skip
    image = database_image(
        database, f"{options.manifest.name}.records",
        "MIMIC-III in the schema of EHRSQL. Text is lower-case.",
    )  # fmt: skip
    return SuiteBuild(tasks, keys, [image], dict(counts))


def _distinct(series: list[Series], counts: Counter[str]) -> list[Series]:
    kept: dict[str, Series] = {}
    texts: set[tuple[str, ...]] = set()
    for one in series:
        counts["series read"] += 1
        words = (one.goal, *(turn.text for turn in one.turns))
        if one.id in kept or words in texts:
            counts["left out, came before"] += 1
            continue
        texts.add(words)
        kept[one.id] = one
    return list(kept.values())


def _answers(series: Series, gold: Gold, database: Database) -> list[Rows] | str:
    """Return the rows of each turn, or why the series is no task."""
    if series.patient is not None and series.patient not in database.patients:
        return "its patient is not in the database"
    answers: list[Rows] = []
    for number, turn in enumerate(series.turns, start=1):
        if turn.sql is None:
            assert series.published is not None  # a turn has one or the other
            found = Found("found", series.published.rows)
        else:
            found = gold.run(runnable(turn.sql))
        yes_no = turn.sql is not None and gives_yes_no(turn.sql)
        if found.standing != "found":
            return f"gold SQL of a turn {found.standing}"
        if yes_no and [len(row) for row in found.rows] != [1]:
            return "gold SQL of a turn gives no single yes or no"
        last = number == len(series.turns)
        if last and not yes_no and comparable(found.rows) in ([], [["0.0"]], [["None"]]):
            return "its last answer is zero or nothing"
        answers.append(found.rows)
    return answers


def _yes_no(sql: str | None) -> bool:
    return sql is not None and gives_yes_no(sql)


def _task(series: Series, manifest: SuiteManifest, database: Database) -> TaskSpec:
    asked, described = [], []
    parts: dict[str, JsonValue] = {}
    for number, turn in enumerate(series.turns, start=1):
        yes_no = _yes_no(turn.sql)
        asked.append(f"q{number}. {turn.text}")
        described.append(f'"q{number}": {"yes or no" if yes_no else "rows"}')
        grader = YES_NO_GRADER if yes_no else ROWS_GRADER
        parts[f"q{number}"] = {"grader": grader.name, "params": grader.params}
    last = series.turns[-1].sql
    group = template(series.template)
    answer = AnswerSchema(
        kind="record",
        description=f"a dict with one answer for each question, {{{', '.join(described)}}}; "
        f"yes or no: {YES_NO.description}; rows: {ROWS.description}",
    )
    listed = "\n".join(asked)
    return TaskSpec(
        task_id=series.id,
        suite=manifest.name,
        version=manifest.version,
        category=SINGLE if last is None else category(last),
        split=split(group),
        group=group,
        prompt=f"{OPENING} A question may speak of what those before it have found.\n\n"
        f"Goal: {series.goal}\n{listed}\n\n{CONVENTIONS}\n\nSubmit {answer.description}.",
        image=f"{manifest.name}.records",
        answer=answer,
        grader=GraderRef(name="record", params={"parts": parts}),
        licence=manifest.licence,
        sensitivity=database.sensitivity,
    )


def _key(series: Series, answers: list[Rows]) -> AnswerKey:
    value: dict[str, JsonValue] = {}
    cells = ["answers = {}"]
    for number, (turn, rows) in enumerate(zip(series.turns, answers, strict=True), start=1):
        name, yes_no = f"q{number}", _yes_no(turn.sql)
        value[name] = bool(rows[0][0]) if yes_no else json_rows(rows)
        if turn.sql is not None:
            kept = "bool(rows[0][0])" if yes_no else "rows"
            cells.append(
                f"sql = {runnable(turn.sql)!r}\nrows = con.execute(sql).fetchall()\n"
                f"answers[{name!r}] = {kept}\nrows[:10]"
            )
    if series.published is not None:
        stated = (f"submit({value!r})",)
        return AnswerKey(
            task_id=series.id, value=value, solution=stated, vacuous=True, flags=(UNVERIFIED,)
        )
    return AnswerKey(task_id=series.id, value=value, solution=(*cells, "submit(answers)"))
