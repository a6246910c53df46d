"""The source of a function with all that it calls, for cells of kernels that cannot import it.

Such functions use nothing but modules, other functions of theirs, and builtins: annotations are
builtin types, and tables are literals inside the functions.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import CodeType, ModuleType
from typing import Any


def cell_source(function: Callable[..., Any]) -> str:
    """Return code that defines a function, with its imports and the functions it calls."""
    imports: dict[str, None] = {}
    sources: dict[str, str] = {}
    _collect(function, imports, sources)
    return "\n\n\n".join(filter(None, ["\n".join(imports), *sources.values()]))


def _collect(
    function: Callable[..., Any], imports: dict[str, None], sources: dict[str, str]
) -> None:
    """Add a function after those that it calls."""
    for name in _names(function.__code__):
        used = function.__globals__.get(name)
        if isinstance(used, ModuleType):
            alias = f" as {name}" if name != used.__name__ else ""
            imports[f"import {used.__name__}{alias}"] = None
        elif inspect.isfunction(used) and used is not function and name not in sources:
            _collect(used, imports, sources)
    sources[function.__name__] = inspect.getsource(function).strip()


def _names(code: CodeType) -> Iterator[str]:
    """The names that a function uses, those inside its comprehensions and lambdas included."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
