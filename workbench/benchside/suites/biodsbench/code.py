"""What a task's code says: paths put right, and which objects its assertions look at."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable

# the tasks' code reads from /workdir, in places the text files from which the tables were made
_TEXT_FILE = re.compile(r"""\.txt(["'])(\)?)\s*,\s*sep\s*=\s*["']\\t["']""")
OPENING = """\
import os
import numpy as np
import pandas as pd
import matplotlib.pyplot as plt
INPUT_DIR = "."
pd.DataFrame.applymap = pd.DataFrame.map"""
# names that are there before any step
GIVEN = frozenset({"os", "np", "pd", "plt", "INPUT_DIR", *dir(builtins)})


def placed(source: str) -> str:
    """Return code or a question with paths in the work folder."""
    text = _TEXT_FILE.sub(r".csv\1\2", source)
    return text.replace("/workdir/", "").replace('"/workdir"', '"."').replace("'/workdir'", "'.'")


def is_python(source: str) -> bool:
    """Can this be read as Python? Not all published code can."""
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def wanted(assertions: str, reference: str, tables: Iterable[str]) -> list[str]:
    """Return the objects that the assertions look at and the reference makes, in their order."""
    tree = ast.parse(assertions)
    made_here = _made(tree)
    made = _made(ast.parse(reference), imports=False) - set(tables)
    used = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    used.sort(key=lambda node: (node.lineno, node.col_offset))
    return list(dict.fromkeys(node.id for node in used if node.id in made - made_here))


def unknown(assertions: str, known: Iterable[str]) -> list[str]:
    """Return names that the assertions use and nobody makes."""
    tree = ast.parse(assertions)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    own = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return sorted(names - own - _made(tree) - GIVEN - set(known))


def made_by(source: str) -> set[str]:
    """Return the names that code makes or changes."""
    return _made(ast.parse(source))


def count_assertions(assertions: str) -> int:
    """Return the number of assert statements at the top level, which is where all stand."""
    return sum(isinstance(node, ast.Assert) for node in ast.parse(assertions).body)


def _made(tree: ast.AST, *, imports: bool = True) -> set[str]:
    """Names that are assigned, imported, or called a method of in a statement of its own."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
            case ast.Subscript(ctx=ast.Store()) | ast.Attribute(ctx=ast.Store()):
                found |= _base(node)
            case ast.Expr(value=ast.Call(func=ast.Attribute() as method)):
                found |= _base(method)
            case ast.Import() | ast.ImportFrom() if imports:
                names = (alias.asname or alias.name for alias in node.names)
                found |= {name.partition(".")[0] for name in names}
    return found


def _base(node: ast.expr) -> set[str]:
    while isinstance(node, (ast.Subscript, ast.Attribute)):
        node = node.value
    return {node.id} if isinstance(node, ast.Name) else set()
