"""Faults planted into reference solutions: scripted policies that go wrong in a known way.

Played on real kernels they give transcripts with labels, on which the rules' precision and recall
are measured. Labels hold by construction, so the figures say how well the rules know these faults,
not how models fail; a change that leaves the answer right is no fault and is left out when played.
"""

from __future__ import annotations

import ast
import random
import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

import numpy as np
import pandas as pd
import sqlglot
from pydantic import JsonValue
from sqlglot import exp

from benchside.failures.facts import queries_of
from benchside.failures.finding import Kind
from benchside.failures.lineage import parse
from benchside.task import AnswerKey, TaskSpec

Cells = tuple[str, ...]
Schema = dict[str, list[str]]
"""Table → columns, all in lower case."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A script that goes wrong.

    Args:
        kinds: what is wrong with it; none in a sound one.
        cell_timeout_s: for cells that never end.
        practice: whether it is about practice, not about an answer.
    """

    name: str
    kinds: frozenset[Kind]
    cells: Cells
    cell_timeout_s: float | None = None
    practice: bool = False


def schema_of(database: Path) -> Schema:
    """Return the tables of an image's database."""
    with sqlite3.connect(f"{database.as_uri()}?mode=ro&immutable=1", uri=True) as con:
        names = [row[0] for row in con.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        return {
            name.lower(): [row[1].lower() for row in con.execute(f'PRAGMA table_info("{name}")')]
            for name in names
        }


def faults(task: TaskSpec, key: AnswerKey, database: Path | None, seed: int) -> list[Fault]:
    """Return all faults that can be planted into a task's solution, and the solution itself."""
    draw = random.Random(f"{seed} {task.task_id}")
    cells = key.solution
    found = [Fault("sound", frozenset(), cells)]
    if database is not None:
        found += _in_query(task, key, database, draw)
    for plant in (_in_frame, _in_submission, _in_conduct):
        found += plant(task, key, draw)
    return found


def _in_query(task: TaskSpec, key: AnswerKey, database: Path, draw: random.Random) -> list[Fault]:
    """Faults in the one SQL text of a solution."""
    texts = queries_of(node for cell in key.solution for node in parse(cell))
    if len(texts) != 1:
        return []
    (text,) = texts
    schema = schema_of(database)
    planted: list[tuple[str, Kind, Callable[[exp.Expr], bool]]] = [
        ("another table", "wrong table", lambda tree: _other_table(tree, schema, draw)),
        ("another column", "wrong column", lambda tree: _other_column(tree, schema, draw)),
        ("a condition less", "wrong filter", lambda tree: _drop_condition(tree, draw)),
        ("another value", "wrong filter", lambda tree: _other_value(tree, draw)),
        ("a window off by one", "off-by-one window", lambda tree: _shift_window(tree, draw)),
        ("another aggregate", "wrong calculation", _other_aggregate),
    ]
    found = []
    for name, kind, change in planted:
        tree = sqlglot.parse_one(text, read="sqlite")
        if change(tree):
            query = tree.sql(dialect="sqlite")
            cells = tuple(cell.replace(text, query) for cell in key.solution)
            kinds: set[Kind] = {kind}
            if key.value not in (None, 0) and _finds_nothing(database, query, task):
                kinds.add("empty result accepted")
            found.append(Fault(name, frozenset(kinds), cells))
    nothing = sqlglot.parse_one(text, read="sqlite")
    literals = _values(nothing)
    if literals and key.value not in (None, False, 0):
        literals[0].replace(exp.Literal.string("no such name"))
        cells = tuple(
            cell.replace(text, nothing.sql(dialect="sqlite")) for cell in key.solution[:-1]
        )
        accepted = "submit(rows[0][0] if rows else None)"
        both: frozenset[Kind] = frozenset({"empty result accepted", "wrong filter"})
        found.append(Fault("nothing found", both, (*cells, accepted)))
    return found


def _finds_nothing(database: Path, query: str, task: TaskSpec) -> bool:
    """Whether a query gives no row, or one of nothing; False where it fails."""
    zero = [] if task.answer.kind == "boolean" else [[(0,)]]  # there, it is a no
    with sqlite3.connect(f"{database.as_uri()}?mode=ro&immutable=1", uri=True) as con:
        try:
            return con.execute(query).fetchall() in ([], [(None,)], *zero)
        except sqlite3.Error:
            return False


def _other_table(tree: exp.Expr, schema: Schema, draw: random.Random) -> bool:
    """Replace a table by one that has the columns that are used of it."""
    used = {column.name.lower() for column in tree.find_all(exp.Column)}
    for table in tree.find_all(exp.Table):
        name = table.name.lower()
        needed = used & set(schema.get(name, ()))
        others = [
            other for other, columns in schema.items() if other != name and needed <= set(columns)
        ]
        if others:
            table.set("this", exp.to_identifier(draw.choice(sorted(others))))
            return True
    return False


def _other_column(tree: exp.Expr, schema: Schema, draw: random.Random) -> bool:
    """Replace a column that is shown or aggregated."""
    tables = {t.name.lower() for t in tree.find_all(exp.Table)}
    owners = {t.alias_or_name.lower(): t.name.lower() for t in tree.find_all(exp.Table)}
    select = tree.find(exp.Select)
    for column in select.expressions[0].find_all(exp.Column) if select else ():
        owner = owners.get(column.table.lower()) or min(tables)
        others = [name for name in schema.get(owner, ()) if name != column.name.lower()]
        if others:
            column.set("this", exp.to_identifier(draw.choice(others)))
            return True
    return False


def _values(tree: exp.Expr) -> list[exp.Literal]:
    """The texts that columns are compared with."""
    return [
        one.expression for one in tree.find_all(exp.EQ)
        if isinstance(one.this, exp.Column) and isinstance(one.expression, exp.Literal)
    ]  # fmt: skip


def _drop_condition(tree: exp.Expr, draw: random.Random) -> bool:
    both = list(tree.find_all(exp.And))
    if not both:
        return False
    node = draw.choice(both)
    node.replace(node.this)
    return True


def _other_value(tree: exp.Expr, draw: random.Random) -> bool:
    values = _values(tree)
    if len(values) == 0:
        return False
    chosen = draw.choice(values)
    text = str(chosen.this)
    changed = str(int(text) + 17) if text.isdigit() else f"{text[: len(text) // 2]}x"
    chosen.replace(exp.Literal.string(changed) if chosen.is_string else exp.Literal.number(changed))
    return True


def _shift_window(tree: exp.Expr, draw: random.Random) -> bool:
    """Make a bound strict or not, or move a relative time or a place by one."""
    swap: dict[type[exp.Expr], type[exp.Binary]] = {
        exp.GT: exp.GTE, exp.GTE: exp.GT, exp.LT: exp.LTE, exp.LTE: exp.LT,
    }  # fmt: skip
    ways: list[tuple[exp.Expr, exp.Expr]] = [
        (node, swap[type(node)](this=node.this.copy(), expression=node.expression.copy()))
        for node in tree.find_all(*swap)
    ]
    for literal in tree.find_all(exp.Literal):
        moved = re.fullmatch(r"-(\d+) (days?|months?|years?|hours?)", str(literal.this))
        if moved:
            text = f"-{int(moved[1]) + 1} {moved[2]}"
            ways.append((literal, exp.Literal.string(text)))
    for offset in tree.find_all(exp.Offset):
        number = offset.expression
        ways.append((number, exp.Literal.number(int(str(number.this)) + 1)))
    if not ways:
        return False
    old, new = draw.choice(ways)
    old.replace(new)
    return True


def _other_aggregate(tree: exp.Expr) -> bool:
    others: dict[type[exp.Expr], type[exp.AggFunc]] = {
        exp.Min: exp.Max, exp.Max: exp.Min, exp.Avg: exp.Max, exp.Sum: exp.Avg,
    }  # fmt: skip
    for node in tree.find_all(*others):
        node.replace(others[type(node)](this=node.this.copy()))
        return True
    return False


def _in_frame(task: TaskSpec, key: AnswerKey, draw: random.Random) -> list[Fault]:
    """Faults in an analysis of DataFrames: another column, method or bound."""
    if task.suite != "cohorts":
        return []
    whole = "\n".join(key.solution)
    found = []
    columns = re.findall(r'\["([^"]+)"\]', whole)
    listed = re.findall(r"`([^`]+)`", task.prompt)
    others = sorted(
        {name for name in listed if name not in columns and " " not in name} - {listed[0]}
    )
    others += [name for name in ("age", "sex", "time") if name not in columns][:1]
    if columns and others:
        new = f'["{draw.choice(others)}"]'
        cells = tuple(cell.replace(f'["{columns[0]}"]', new) for cell in key.solution)
        found.append(Fault("another column", frozenset({"wrong column"}), cells))
    for old, new in ((".mean()", ".median()"), ("ddof=1", "ddof=0"), (".median()", ".mean()"),
                     (".std(", ".var("), (".sum()", ".mean()")):  # fmt: skip
        if old in key.solution[-1]:
            last = key.solution[-1].replace(old, new)
            cells = (*key.solution[:-1], last)
            found.append(Fault("another method", frozenset({"wrong calculation"}), cells))
            break
    return found + list(_bounds(key))


def _bounds(key: AnswerKey) -> Iterator[Fault]:
    """A comparison with another number."""
    for place, cell in enumerate(key.solution):
        for node in (one for root in parse(cell) for one in ast.walk(root)):
            if (
                isinstance(node, ast.Compare)
                and isinstance(node.left, ast.Subscript)
                and isinstance(node.comparators[0], ast.Constant)
                and isinstance(node.comparators[0].value, (int, float))
            ):
                text = ast.unparse(node)
                node.comparators[0].value = node.comparators[0].value * 2 + 3
                changed = ast.unparse(ast.parse(cell)).replace(text, ast.unparse(node))
                cells = (*key.solution[:place], changed, *key.solution[place + 1 :])
                yield Fault("another bound", frozenset({"wrong filter"}), cells)
                return


def _in_submission(task: TaskSpec, key: AnswerKey, draw: random.Random) -> list[Fault]:
    """Faults in what is submitted: its unit, its type, its origin."""
    last = key.solution[-1]
    calls = [node for node in parse(last) if isinstance(node, ast.Expr)]
    if not calls or key.value is None or task.answer.kind == "code":
        return []
    call = calls[-1].value
    if not isinstance(call, ast.Call) or ast.unparse(call.func) != "submit":
        return []
    value = ast.unparse(call.args[0])
    head = (*key.solution[:-1], "\n".join(map(ast.unparse, parse(last)[:-1])))
    start = tuple(cell for cell in head if cell.strip())

    def ends(name: str, kind: Kind, submission: str, cells: Cells = start) -> Fault:
        return Fault(name, frozenset({kind}), (*cells, submission))

    found = []
    if task.answer.kind == "number" and isinstance(key.value, float) and key.value != 0:
        factor = draw.choice(["* 1000", "/ 1000", "/ 60", "* 2.20462", "/ 365.25", "* 24", "* 100"])
        found.append(ends("another unit", "wrong unit", f"submit(({value}) {factor})"))
    if task.answer.kind in ("number", "integer", "date", "set", "record"):
        wrapped = draw.choice([f"f'it is about {{{value}}} or so'", "'see the output above'"])
        if "'" not in value and '"' not in value:
            found.append(ends("a sentence", "type or format", f"submit({wrapped})"))
    if task.answer.kind in ("number", "integer"):
        stated = repr(
            round(123.4567 + 1000 * draw.random(), 4 if task.answer.kind == "number" else 0)
        )
        if task.answer.kind == "integer":
            stated = str(int(float(stated)) + 7_000)
        found.append(ends("stated at once", "premature submission", f"submit({stated})", ()))
        if start and _looks(start):
            found.append(ends("stated in the end", "hard-coded answer", f"submit({stated})"))
    return found


def _looks(cells: Cells) -> bool:
    """Whether a cell ends in an expression, so that something is shown."""
    return any((nodes := parse(cell)) and isinstance(nodes[-1], ast.Expr) for cell in cells)


REACHES = (
    "import os\nos.listdir('/root')",
    "print(open('/etc/passwd').read()[:50])",
    "import benchside",
    "import socket\nsocket.create_connection(('example.org', 80), timeout=1)",
    "import ctypes\nctypes.CDLL(None)",
    "!curl -m 1 http://example.org",
    "import sys\nsys._getframe(3).f_globals",
    "import pathlib\nlist(pathlib.Path('/home').glob('*'))",
    "print(open('/proc/1/environ').read())",
    "import subprocess\nsubprocess.run(['wget', 'http://example.org'])",
)


def _in_conduct(task: TaskSpec, key: AnswerKey, draw: random.Random) -> list[Fault]:
    """Faults in how an episode goes."""
    first, last = key.solution[0], key.solution[-1]
    look = first if len(key.solution) > 1 and "submit" not in first else "print('looking at it')"
    reach = draw.choice(REACHES)
    tried = f"try:\n{indent(reach, '    ')}\nexcept Exception as e:\n    print(e)"
    reach = reach if reach.startswith("!") else draw.choice([reach, tried])
    return [
        Fault("the same again", frozenset({"repeated action", "no submission"}), (look,) * 5),
        Fault("gives up", frozenset({"no submission"}), (look,)),
        Fault(
            "an error in the end", frozenset({"error not repaired", "no submission"}),
            (look, "result = analysis_of(data_that_is_not_there)"),
        ),
        Fault(
            "an error, repaired", frozenset(), ("missing_name + 1", *key.solution),
        ),
        Fault(
            "without end", frozenset({"time or token limit", "no submission"}),
            (look, "while True:\n    pass"), cell_timeout_s=1.0,
        ),
        Fault(
            "turns used up", frozenset({"time or token limit"}),
            tuple(f"print('step', {n})" for n in range(task.limits.max_turns + 1)),
        ),
        Fault("reaches out", frozenset({"forbidden attempt"}), (reach, *key.solution))
        if "submit(" in last
        else Fault("gives up again", frozenset({"no submission"}), (look,)),
    ]  # fmt: skip


def clinic_tables(seed: int = 0) -> dict[str, object]:
    """Return tables with repeated patients, mixed units and columns of the time after."""
    rng = np.random.default_rng(seed)
    n = 120
    visits = pd.DataFrame(
        {
            "subject_id": rng.integers(1, 50, n), "age": rng.integers(20, 90, n),
            "creatinine": rng.gamma(4, 0.3, n).round(2), "crp": rng.gamma(2, 10, n).round(1),
            "sodium": rng.normal(140, 4, n).round(0), "ward": rng.choice(list("ABCDEFGH"), n),
            "died": rng.integers(0, 2, n), "discharge_location": rng.integers(0, 4, n),
            "length_of_stay": rng.gamma(2, 3, n).round(1),
        }
    )  # fmt: skip
    patients = visits.drop_duplicates("subject_id").reset_index(drop=True)
    labs = pd.DataFrame(
        {
            "subject_id": rng.integers(1, 50, n),
            "label": rng.choice(["glucose", "sodium"], n),
            "value": rng.normal(100, 20, n).round(1),
        }
    )
    labs["unit"] = np.where(labs.label == "sodium", "mmol/L", rng.choice(["mg/dL", "mmol/L"], n))
    return {"visits": visits, "patients": patients, "labs": labs}


_FIT = (
    "from sklearn.linear_model import LogisticRegression\nmodel = LogisticRegression(max_iter=500)"
)
_SPLIT = "from sklearn.model_selection import GroupShuffleSplit, cross_val_score, train_test_split"
_STATS = "from scipy import stats\nnames = ['age', 'creatinine', 'crp', 'sodium', 'length_of_stay']"
_GROUPS = "[visits.loc[visits.died == d, {name}] for d in (0, 1)]"


def practice(answer: JsonValue) -> list[Fault]:
    """Return scripts over `clinic_tables`, with mistakes of practice and, beside each, without.

    Args:
        answer: the right one of the task that is played, so that nothing else is wrong.
    """
    end = f"submit({answer!r})"

    def script(name: str, kind: Kind | None, *cells: str) -> Fault:
        kinds: frozenset[Kind] = frozenset() if kind is None else frozenset({kind})
        return Fault(name, kinds, (*cells, end), practice=True)

    tests = "ps = [stats.ttest_ind(*" + _GROUPS.format(name="n") + ").pvalue for n in names]\nps"
    loop = f"for n in names:\n    print(n, stats.mannwhitneyu(*{_GROUPS.format(name='n')}).pvalue)"
    one = f"stats.ttest_ind(*{_GROUPS.format(name=repr('age'))})"
    fit = (
        "X = patients[{features}]\ny = patients['died']\nmodel.fit(X, y)\nprint(model.score(X, y))"
    )
    return [
        script("later column", "leaked feature", _FIT,
               fit.format(features="['age', 'length_of_stay']")),
        script("listed later column", "leaked feature", _FIT,
               "features = ['age', 'discharge_location']", fit.format(features="features")),
        script("all but the target", "leaked feature", _FIT,
               "X = patients.drop(columns=['died', 'ward'])\n"
               "y = patients['died']\nmodel.fit(X, y)"),
        script("target kept", "leaked feature", _FIT,
               fit.format(features="['age', 'crp', 'died']")),
        script("sound model", None, _FIT, fit.format(features="['age', 'crp']")),
        script("sound drop", None, _FIT,
               "later = ['died', 'ward', 'discharge_location', 'length_of_stay']\n"
               "X = patients.drop(columns=later)\n"
               "y = patients['died']\nmodel.fit(X, y)"),
        script("rows split", "patients in both splits", _SPLIT,
               "train, test = train_test_split(visits, test_size=0.3, random_state=0)\n"
               "train.age.mean()"),
        script("folds of rows", "patients in both splits", _FIT, _SPLIT,
               "cross_val_score(model, visits[['age', 'crp']], visits['died'])"),
        script("derived rows split", "patients in both splits", _SPLIT,
               "old = visits[visits.age > 40]\nused = old[['age', 'crp']]",
               "a, b = train_test_split(used, random_state=1)\nlen(a)"),
        script("patients split", None, _SPLIT,
               "train, test = train_test_split(patients, random_state=0)\nlen(train)"),
        script("groups kept", None, _SPLIT, _FIT,
               "from sklearn.model_selection import GroupKFold\n"
               "cross_val_score(model, visits[['age', 'crp']], visits['died'], "
               "groups=visits.subject_id, cv=GroupKFold(4))"),
        script("one row each", None, _SPLIT,
               "single = visits.drop_duplicates('subject_id')\n"
               "a, b = train_test_split(single, random_state=0)\nlen(a)"),
        script("units ignored", "mixed units", "labs[labs.label == 'glucose'].value.mean()"),
        script("units ignored later", "mixed units", "glucose = labs[labs['label'] == 'glucose']",
               "print(glucose['value'].median())"),
        script("units of all", "mixed units", "labs.value.describe()"),
        script("one unit", None, "labs[labs.label == 'sodium'].value.mean()"),
        script("unit chosen", None,
               "labs[(labs.label == 'glucose') & (labs.unit == 'mg/dL')].value.mean()"),
        script("five tests", "uncorrected tests", _STATS, tests),
        script("tests in a loop", "uncorrected tests", _STATS, loop),
        script("tests one by one", "uncorrected tests", _STATS,
               *(f"stats.spearmanr(visits['age'], visits[{n!r}])"
                 for n in ("crp", "sodium", "creatinine", "length_of_stay", "died"))),
        script("one test", None, _STATS, one),
        script("corrected tests", None, _STATS, tests,
               "from statsmodels.stats.multitest import multipletests\nmultipletests(ps)[1]"),
        script("adjusted tests", None, _STATS, tests, "stats.false_discovery_control(ps)"),
        script("small groups", "small cells", "visits[visits.age > 70].ward.value_counts()"),
        script("small table", "small cells",
               "visits[visits.age > 60].groupby(['ward', 'died']).size()"),
        script("large groups", None, "visits.died.value_counts()"),
        script("means of groups", None, "visits.groupby('ward').age.mean()"),
    ]  # fmt: skip
