"""`debug`: what can be told of the last failed cell by rules, without running or asking anything.

The rules name what failed, and where a name or value is nearly one of the data's, which. They do
not judge whether a cell that ran gave the right result.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from benchside.lookup.index import DataIndex
from benchside.policy import Turn
from benchside_kernels.cell import CellResult

MOST_LITERALS = 5
LEAST_LITERAL_CHARS = 3

_QUOTED_NAME = re.compile(
    r"(?:no such (?:column|table)|named|attribute|name|key|column):? ['\"]?([\w. ]+)"
)
_RULES = (
    (r"KeyError|UndefinedVariableError", "A name was looked up that is not there."),
    (r"NameError|UnboundLocalError", "The name has not been set. After a restart of the kernel, "
     "variables of earlier cells are gone."),
    (r"AttributeError", "The object has no attribute of that name."),
    (r"no such table|no such column|CatalogException|BinderException",
     "The query names a table or column that is not there."),
    (r"OperationalError|DatabaseError|ParserException", "The database did not accept the query."),
    (r"ModuleNotFoundError|ImportError", "It is not installed, and nothing can be installed here."),
    (r"FileNotFoundError|PermissionError", "The kernel sees its work folder and its data only; "
     "the data are variables, as the task describes."),
    (r"SyntaxError|IndentationError|TabError", "Python cannot read the cell; none of it was run."),
    (r"out of bounds|out-of-bounds|IndexError|empty sequence|NoneType",
     "A result was probably empty: a filter matched no rows."),
    (r"not supported between|unsupported operand|can only concatenate|ufunc",
     "Values of two types were combined: compare the columns' types."),
    (r"could not convert|invalid literal|Cannot convert|time data|Unknown datetime",
     "A text is not of the form that was expected: look at the column's values."),
    (r"MemoryError", "The cell wanted more memory than the kernel has: select rows first."),
    (r"UnsupportedValueError|submit\(\)", "The value cannot be submitted in this form."),
)  # fmt: skip


def explain(index: DataIndex, turns: Sequence[Turn]) -> str:
    """Return an explanation of the last cell that failed, or a word on why there is none."""
    results = [turn.result for turn in turns if turn.result is not None]
    failed = next((result for result in reversed(results) if result.status != "ok"), None)
    if failed is None:
        return "No cell has failed so far." if results else "No cell has been run so far."
    return "\n".join([*_what(failed), *_names(index, failed), *_literals(index, failed)])


def _what(failed: CellResult) -> Iterator[str]:
    if failed.status == "timeout":
        yield f"The cell was stopped after {failed.duration_s:.0f} s: it ran too long."
        yield "Select rows first, replace loops over rows by operations on columns, or use SQL."
        return
    if failed.status == "dead":
        yield "The kernel ended while the cell ran, most likely for lack of memory."
        return
    error = _error(failed)
    said = f"{error.get('ename', 'error')}: {error.get('evalue', '')}"[:500]
    yield f"The last cell that failed raised {said}"
    if line := _line(failed, error):
        yield f"in its line: {line}"
    for pattern, rule in _RULES:
        if re.search(pattern, said):
            yield rule
            return


def _error(failed: CellResult) -> dict[str, Any]:
    return next((out for out in failed.outputs if out["output_type"] == "error"), {})


def _line(failed: CellResult, error: dict[str, Any]) -> str:
    """The cell's own line that the traceback points at."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.get("traceback", ())))
    found = re.search(r"Cell In\[\d+\], line (\d+)", text)
    lines = failed.source.splitlines()
    number = int(found[1]) if found else 0
    return lines[number - 1].strip() if 0 < number <= len(lines) else ""


def _names(index: DataIndex, failed: CellResult) -> Iterator[str]:
    """Tables and columns near the name that the error complains of."""
    error = _error(failed)
    said = str(error.get("evalue", ""))
    bare = said.strip("'\"") if error.get("ename") == "KeyError" else ""
    found = _QUOTED_NAME.search(said)
    name = (bare or (found[1] if found else "")).rpartition(".")[2].strip()
    if not name:
        return
    columns = index.columns()
    known = {one.name: f"{one.table}.{one.name}" for one in columns}
    known |= {one.name: one.name for one in index.tables()}
    folded = {one.casefold(): one for one in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.6)
    if near:
        yield f"Similar names in the data: {', '.join(known[folded[one]] for one in near)}"


def _literals(index: DataIndex, failed: CellResult) -> Iterator[str]:
    """Texts of the cell that no column holds, though some hold one much like it."""
    for literal in list(dict.fromkeys(_texts(failed.source)))[:MOST_LITERALS]:
        if index.exact(literal) or index.containing(literal):
            continue
        near = list(dict.fromkeys(str(match.value) for match in index.near(literal, limit=3)))
        if near:
            yield f"No column holds {literal!r}; near it: {', '.join(map(repr, near[:3]))}"


def _texts(source: str) -> Iterator[str]:
    """String literals of a cell, those within SQL included, without names of columns."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            within = re.findall(r"'([^'\n]+)'", node.value)
            for text in within or [node.value]:
                if len(text) >= LEAST_LITERAL_CHARS and len(text.split()) <= 8:
                    yield text
