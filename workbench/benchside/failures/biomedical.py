"""Scanners for mistakes of biomedical practice; they look at solved episodes, too.

Static: they read code, outputs and the tables that the kernel started with. What they do not see:
features that cells have computed under another name, splits made by hand, units in free text.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from benchside.export.redaction import MIN_CELL
from benchside.failures.case import Case
from benchside.failures.facts import queries_of
from benchside.failures.finding import Finding
from benchside.failures.lineage import Step, base, read, steps, written
from benchside_kernels.cell import CellResult
from benchside_kernels.submission import MIME as SUBMISSION_MIME

MANY_TESTS = 5

_PATIENT = re.compile(
    r"^(?:subject_?id|patient_?id|patient|pid|mrn|person_?id|uniquepid|pat_?id)$", re.IGNORECASE
)
_LATER = re.compile(
    r"dod$|death|deceased|died|expire|dischtime|discharge|length_?of_?stay|^los$|readmi|autopsy"
    r"|_after$|post_?op|follow_?up|surviv|outcome|cause_of",
    re.IGNORECASE,
)
_SPLITTERS = {
    "train_test_split", "KFold", "StratifiedKFold", "ShuffleSplit", "StratifiedShuffleSplit",
    "cross_val_score", "cross_val_predict", "cross_validate",
}  # fmt: skip
_TESTS = {
    "ttest_ind", "ttest_rel", "ttest_1samp", "mannwhitneyu", "wilcoxon", "ks_2samp", "f_oneway",
    "chi2_contingency", "fisher_exact", "kruskal", "pearsonr", "spearmanr", "logrank_test",
    "proportions_ztest", "anderson_ksamp",
}  # fmt: skip
_CORRECTION = re.compile(
    r"multipletests|bonferroni|false_discovery_control|fdr|holm|tukey|dunnett|sidak"
    r"|/\s*len\(|\*\s*len\(",
    re.IGNORECASE,
)
_UNIT_COLUMN = re.compile(r"^(?:valueuom|units?|uom|unit_of_measure\w*)$", re.IGNORECASE)
_CONVERTIBLE = [
    {"mg/dl", "mmol/l"}, {"mg/dl", "µmol/l"}, {"mg/dl", "umol/l"}, {"g/dl", "g/l"},
    {"kg", "lb"}, {"kg", "lbs"}, {"cm", "in"}, {"cm", "m"}, {"c", "f"}, {"°c", "°f"},
    {"mg", "g"}, {"mg", "mcg"}, {"mmhg", "kpa"}, {"ng/ml", "nmol/l"},
]  # fmt: skip
_AGGREGATES = {"mean", "median", "sum", "max", "min", "std", "quantile", "describe", "corr"}
_COUNTING = {"value_counts", "crosstab", "size", "nunique", "count"}


def biomedical(case: Case) -> Iterator[Finding]:
    """Yield findings of biomedical practice."""
    known = steps([cell for cell in case.cells if cell.status == "ok"])
    yield from _leaks(case, known)
    yield from _splits(case, known)
    yield from _units(case, known)
    yield from _tests(case)
    yield from _small(case)


def _calls(node: ast.AST, names: set[str]) -> Iterator[ast.Call]:
    """The calls of functions or methods of these names in a node."""
    for one in ast.walk(node):
        if isinstance(one, ast.Call):
            name = one.func.attr if isinstance(one.func, ast.Attribute) else base(one.func)
            if name in names:
                yield one


def _before(known: list[Step], place: int, names: set[str]) -> list[Step]:
    """The statements before a place that some names follow from."""
    taken: list[Step] = []
    for step in reversed(known[:place]):
        if written(step.node) & names:
            taken.append(step)
            names = names | read(step.node)
    return taken


def _code(taken: list[Step]) -> str:
    """The text of statements; what is only imported is not used."""
    used = (one.node for one in taken if not isinstance(one.node, (ast.Import, ast.ImportFrom)))
    return "\n".join(map(ast.unparse, used))


def _leaks(case: Case, known: list[Step]) -> Iterator[Finding]:
    """`fit(X, y)` where X has a column that is known only later than y, or is y."""
    for place, step in enumerate(known):
        for call in _calls(step.node, {"fit", "cross_val_score", "cross_validate"}):
            arguments = call.args[1:] if base(call.func) in _SPLITTERS else call.args
            if len(arguments) < 2:
                continue
            features = _columns(arguments[0], case, known, place)
            target = _columns(arguments[1], case, known, place)
            leaked = sorted(name for name in features if name in target or _LATER.search(name))
            if features and target and leaked:
                why = "the target itself" if leaked[0] in target else "known only afterwards"
                yield Finding(
                    kind="leaked feature", cell_id=step.cell_id,
                    evidence=f"{', '.join(leaked)} among the features for "
                    f"{', '.join(sorted(target))}: {why}",
                )  # fmt: skip


def _columns(node: ast.expr, case: Case, known: list[Step], place: int) -> set[str]:
    """The columns that an expression takes from a table, through names and literal lists."""
    match node:
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return {name}
        case ast.Subscript(slice=ast.List(elts=items)):
            return {
                i.value for i in items if isinstance(i, ast.Constant) and isinstance(i.value, str)
            }
        case ast.List(elts=items):
            return {
                i.value for i in items if isinstance(i, ast.Constant) and isinstance(i.value, str)
            }
        case ast.Subscript(slice=ast.Name() as listed):
            return _columns(listed, case, known, place)
        case ast.Call(func=ast.Attribute(value=table, attr="drop"), keywords=keywords):
            whole = _columns(table, case, known, place)
            gone = [_columns(k.value, case, known, place) for k in keywords if k.arg == "columns"]
            names = {
                k.value.value for k in keywords
                if k.arg == "columns" and isinstance(k.value, ast.Constant)
            }  # fmt: skip
            return whole - names - set().union(*gone)
        case ast.Call(func=ast.Attribute(value=inner)):
            return _columns(inner, case, known, place)  # .astype(…), .fillna(…), .values …
        case ast.Attribute(value=ast.Name(id=table), attr=name) if table in case.tables:
            return {name} if name in case.tables[table] else set(map(str, case.tables[table]))
        case ast.Name(id=name):
            for at in range(place - 1, -1, -1):
                found = _assigned(known[at].node, name)
                if found is not None:
                    return _columns(found, case, known, at)
            return set(map(str, case.tables[name].columns)) if name in case.tables else set()
    return set()


def _assigned(node: ast.stmt, name: str) -> ast.expr | None:
    """What a statement sets a name to; through a split, the part that the name comes from."""
    if not isinstance(node, ast.Assign):
        return None
    target = node.targets[0]
    if isinstance(target, ast.Name) and target.id == name:
        return node.value
    if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Call):
        names = [item.id if isinstance(item, ast.Name) else "" for item in target.elts]
        if name in names and any(_calls(node.value, {"train_test_split"})):
            return node.value.args[min(names.index(name) // 2, len(node.value.args) - 1)]
    return None


def _splits(case: Case, known: list[Step]) -> Iterator[Finding]:
    """A random split of rows, of a table in which patients have several."""
    for place, step in enumerate(known):
        for call in _calls(step.node, _SPLITTERS):
            if any(keyword.arg == "groups" for keyword in call.keywords):
                continue
            before = _before(known, place, read(step.node))
            code = _code([*before, step])
            if re.search(r"drop_duplicates|Group\w*(?:Fold|Split)|groupby", code):
                continue
            for name in sorted(set().union(*(read(one.node) for one in [*before, step]))):
                table = case.tables.get(name)
                if table is None:
                    continue
                for column in table.columns:
                    if _PATIENT.match(str(column)) and table[column].duplicated().any():
                        yield Finding(
                            kind="patients in both splits", cell_id=step.cell_id,
                            evidence=f"{ast.unparse(call.func)} splits rows of {name}, which has "
                            f"{len(table):,} of {table[column].nunique():,} {column}",
                        )  # fmt: skip


def _units(case: Case, known: list[Step]) -> Iterator[Finding]:
    """An aggregate over values in units that can be converted into each other, never looked at."""
    for place, step in enumerate(known):
        if not any(_calls(step.node, _AGGREGATES)):
            continue
        code_steps = [*_before(known, place, read(step.node)), step]
        code = _code(code_steps)
        for name in sorted(set().union(*(read(one.node) for one in code_steps))):
            table = case.tables.get(name)
            if table is None:
                continue
            for column in filter(lambda c: _UNIT_COLUMN.match(str(c)), table.columns):
                if re.search(rf"\b{re.escape(str(column))}\b", code):
                    continue
                mixed = _mixed(case, name, str(column), code)
                if mixed:
                    yield Finding(
                        kind="mixed units", cell_id=step.cell_id,
                        evidence=f"{ast.unparse(step.node)[:80]} takes values of {name} in {mixed} "
                        f"together; {column} is not looked at",
                    )  # fmt: skip


def _mixed(case: Case, name: str, column: str, code: str) -> str | None:
    """The convertible units of the items that the code names, or of all if it names none."""
    table = case.tables[name]
    rows = table
    for other in table.select_dtypes(include=["object", "string", "category"]).columns:
        if other == column or table[other].nunique() > 1_000:
            continue
        named = [item for item in table[other].dropna().unique() if repr(str(item)) in code]
        if named:
            rows = rows[rows[other].isin(named)]
    units = {str(unit).lower() for unit in rows[column].dropna().unique()}
    pair = next((pair for pair in _CONVERTIBLE if pair <= units), None)
    return None if pair is None else " and ".join(sorted(pair))


def _tests(case: Case) -> Iterator[Finding]:
    """Many hypothesis tests, or one in a loop, and no correction in any cell."""
    done = [cell for cell in case.cells if cell.status == "ok"]
    if any(_CORRECTION.search(cell.source) for cell in done):
        return
    count, looped, last = 0, False, None
    for step in steps(done):
        calls = list(_calls(step.node, _TESTS))
        if not calls:
            continue
        count, last = count + len(calls), step.cell_id
        for loop in ast.walk(step.node):
            if isinstance(loop, (ast.For, ast.ListComp, ast.DictComp, ast.GeneratorExp)) and any(
                _calls(loop, _TESTS)
            ):
                looped = looped or _rounds(loop) >= MANY_TESTS
    if last is not None and (looped or count >= MANY_TESTS):
        how = "tests in a loop" if looped else f"{count} tests"
        yield Finding(
            kind="uncorrected tests", cell_id=last,
            evidence=f"{how}, and no cell corrects for their number",
        )  # fmt: skip


def _rounds(loop: ast.For | ast.ListComp | ast.DictComp | ast.GeneratorExp) -> int:
    """How often a loop runs at least; one over something that is no literal counts as many."""
    over = loop.iter if isinstance(loop, ast.For) else loop.generators[0].iter
    if isinstance(over, (ast.List, ast.Tuple, ast.Set)):
        return len(over.elts)
    return MANY_TESTS


def _small(case: Case) -> Iterator[Finding]:
    """Counts of groups that are shown and may point to persons; the answer was asked for."""
    sources: set[str] = set()
    for cell in case.cells:
        if cell.status != "ok" or cell.source in sources or not _counts_groups(cell):
            continue
        sources.add(cell.source)
        small = [n for n in _counts_shown(case.seen(_without_answer(cell))) if 0 < n < MIN_CELL]
        if small:
            yield Finding(
                kind="small cells", cell_id=cell.cell_id,
                evidence=f"{len(small)} groups of fewer than {MIN_CELL}, the smallest of "
                f"{min(small)}",
            )  # fmt: skip


def _without_answer(cell: CellResult) -> CellResult:
    """A cell without the display of what it submitted."""
    outputs = [one for one in cell.outputs if SUBMISSION_MIME not in one.get("data", {})]
    return replace(cell, outputs=tuple(outputs))


def _counts_groups(cell: CellResult) -> bool:
    nodes = [step.node for step in steps([cell])]
    for node in nodes:
        names = {ast.unparse(call.func).rpartition(".")[2] for call in _calls(node, _COUNTING)}
        grouped = any(_calls(node, {"groupby"}))
        if names & {"value_counts", "crosstab"} or (grouped and names):
            return True
    return any(
        re.search(r"\bcount\s*\(", text, re.IGNORECASE)
        and re.search(r"\bgroup\s+by\b", text, re.IGNORECASE)
        for text in queries_of(nodes)
    )


def _counts_shown(text: str) -> Iterator[int]:
    """Whole numbers at the ends of lines, as of a Series or table, and of tuples."""
    for line in text.splitlines():
        if line.startswith(("Name:", "Length:", "dtype")):
            continue
        found = re.search(r"\s(\d+)\s*$", line)
        if found:
            yield int(found[1])
    for number in re.findall(r", (\d+)\)", text):
        yield int(number)
