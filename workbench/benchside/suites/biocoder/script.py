"""From a task's context to scripts that test a program, and to what a policy may see of it.

The context's `main` makes the inputs, mostly at random from fixed seeds, and prints the result.
Each hidden case shifts these seeds; one that has none is seeded anyway, so that it repeats.
"""

from __future__ import annotations

import ast
import re

from benchside.graders.program import PLACE

MARK = re.compile(r"^([ \t]*)(?:#[ \t]*)?<<insert solution here>>[^\n]*$", re.MULTILINE)
_SEED = re.compile(r"(\bseed\(\s*)(\d+)(\s*\))")
SHIFT = 1_000
# names that NumPy 2.0 has removed and programs of its first version still use
OLD_NUMPY = """\
import numpy
for _old, _new in {"float_": numpy.float64, "complex_": numpy.complex128, "Inf": numpy.inf,
                   "NaN": numpy.nan, "product": numpy.prod, "alltrue": numpy.all,
                   "asfarray": lambda a: numpy.asarray(a, dtype=float)}.items():
    if _old not in numpy.__dict__:
        setattr(numpy, _old, _new)
"""


def function_name(signature: str) -> str:
    """Return the name in a signature such as "def f(x)"."""
    found = re.search(r"def\s+(\w+)", signature)
    if found is None:
        raise ValueError(f"no function is defined by {signature!r}")
    return found[1]


def without_repeats(context: str, name: str) -> str:
    """Return the context without later definitions of the same function at its top level.

    They would take the place of what is to be tested, and show how it is written.
    """
    place = MARK.search(context)
    if place is None or place[1]:
        return context
    before, after = context[: place.end()], context[place.end() :]
    try:
        tree = ast.parse(after)
    except SyntaxError:
        return context
    lines = after.split("\n")
    for node in reversed(tree.body):
        if isinstance(node, ast.FunctionDef) and node.name == name and node.end_lineno:
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            del lines[first - 1 : node.end_lineno]
    return before + "\n".join(lines)


def script(context: str, case: int) -> str:
    """Return the whole script of a case, with `<<program>>` in the program's place."""
    shifted = _SEED.sub(lambda m: f"{m[1]}{int(m[2]) + SHIFT * case}{m[3]}", context)
    placed = MARK.sub(lambda m: f"{m[1]}{PLACE}", shifted, count=1)
    seeded = f"import random\nrandom.seed({case})\nnumpy.random.seed({case})\n"
    return OLD_NUMPY + seeded + placed


def public_context(context: str) -> str:
    """Return what a policy sees: everything but `main`, which holds the inputs."""
    main = re.search(r"^def main\b.*", context, re.MULTILINE | re.DOTALL)
    return (context[: main.start()] if main else context).rstrip()
