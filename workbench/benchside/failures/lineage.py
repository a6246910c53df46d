"""The statements that a submitted value follows from: a backward slice over an episode's cells.

Names only, no aliases: a statement belongs to the slice if it sets, or calls a method of, a name
that a later statement of the slice reads. Sources that do not parse (magics apart) have no slice.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Sequence
from dataclasses import dataclass

from benchside_kernels.cell import CellResult

SUBMIT = "submit"


@dataclass(frozen=True, slots=True)
class Step:
    """One statement of a cell."""

    cell_id: str
    node: ast.stmt


def parse(source: str) -> list[ast.stmt]:
    """Return the statements of a cell, magics and shell lines left out; none if it is no Python."""
    try:
        return ast.parse(re.sub(r"^\s*[%!].*$", "", source, flags=re.MULTILINE)).body
    except (SyntaxError, ValueError):
        return []


def steps(cells: Sequence[CellResult]) -> list[Step]:
    """Return all statements of cells."""
    return [Step(cell.cell_id, node) for cell in cells for node in parse(cell.source)]


def submit_calls(node: ast.AST) -> list[ast.Call]:
    """Return the calls of `submit` in a statement."""
    return [
        one for one in ast.walk(node)
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Name) and one.func.id == SUBMIT
    ]  # fmt: skip


def lineage(cells: Sequence[CellResult]) -> list[Step]:
    """Return what the submission follows from, in order, the submission included.

    A submission that only states a value follows from what was last shown before it.
    """
    known = steps([cell for cell in cells if cell.status == "ok" or cell.submission is not None])
    place = next((p for p in range(len(known) - 1, -1, -1) if submit_calls(known[p].node)), None)
    if place is None:
        return []
    taken = [known[place]]
    needed = {name for call in submit_calls(known[place].node) for name in read(call)} - {SUBMIT}
    rest = known[:place]
    if not needed:
        last = next((p for p in range(len(rest) - 1, -1, -1) if _shows(rest[p].node)), None)
        if last is None:
            return taken
        taken.append(rest[last])
        needed = read(rest[last].node)
        rest = rest[:last]
    for step in reversed(rest):
        if written(step.node) & needed:
            taken.append(step)
            needed |= read(step.node)
    return taken[::-1]


def read(node: ast.AST) -> set[str]:
    """Return the names that a node reads, builtins left out."""
    return {
        one.id for one in ast.walk(node)
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)
        and not hasattr(builtins, one.id)
    }  # fmt: skip


def written(node: ast.AST) -> set[str]:
    """Return the names that a statement sets, defines, imports, or changes in place."""
    names: set[str] = set()
    for one in ast.walk(node):
        match one:
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name):
                names.add(name)
            case ast.alias(name=name, asname=asname):
                names.add((asname or name).partition(".")[0])
            case ast.Subscript(ctx=ast.Store()) | ast.Attribute(ctx=ast.Store()):
                names |= {root} if (root := base(one)) else set()
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        func = node.value.func
        if isinstance(func, ast.Attribute) and (root := base(func)):
            names.add(root)  # such as rows.append(…)
    return names


def base(node: ast.AST) -> str | None:
    """Return the name that an attribute, subscript or call chain starts from."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def _shows(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)
