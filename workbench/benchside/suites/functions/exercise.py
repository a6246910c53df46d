"""`Exercise`: one function to write, in variants; and the register of all of them.

A function of ours is the reference. Its docstring is the statement of the task, in which {braces}
stand for the variant's parameters; its source, with the parameters fixed, is the task's solution.
So it imports nothing that `HEADER` does not, and calls nothing beyond `uses`.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchside.suites.functions.draw import Draw

HEADER = """\
from __future__ import annotations

import functools
import itertools
import math
import re
import statistics
from collections import Counter, defaultdict, deque
from typing import Any
"""


@dataclass(frozen=True, slots=True)
class Variant:
    """Fixed parameters of an exercise, by name."""

    parameters: tuple[tuple[str, Any], ...]

    @property
    def slug(self) -> str:
        """For task ids, such as "gap=2,match=1"."""
        return ",".join(f"{name}={value}" for name, value in self.parameters)


@dataclass(frozen=True, slots=True)
class Exercise:
    """A function to write.

    Args:
        draw: makes the arguments of one call.
        choices: name → values of each parameter; variants are all combinations.
        uses: functions of ours that the reference calls.
        second: the same by another route; where both differ, the variant is dropped.
        edges: arguments of calls that each variant is tested with besides those drawn.
        category: of the module that it stands in.
    """

    reference: Callable[..., Any]
    draw: Callable[[Draw], Sequence[Any]]
    choices: dict[str, tuple[Any, ...]]
    uses: tuple[Callable[..., Any], ...]
    second: Callable[..., Any] | None
    edges: tuple[Sequence[Any], ...]
    category: str

    @property
    def name(self) -> str:
        """The function's name, which is the family that splits go by."""
        return self.reference.__name__

    def variants(self) -> Iterator[Variant]:
        """All combinations of the parameters' values."""
        for values in itertools.product(*self.choices.values()):
            yield Variant(tuple(zip(self.choices, values, strict=True)))

    def statement(self, variant: Variant) -> str:
        """What is to be written."""
        return inspect.cleandoc(self.reference.__doc__ or "").format(**dict(variant.parameters))

    def signature(self) -> str:
        """The function's head without the variant's parameters, such as "def f(a: str) -> int"."""
        kept = inspect.signature(self.reference)
        free = [p for name, p in kept.parameters.items() if name not in self.choices]
        return f"def {self.name}{kept.replace(parameters=free)}".replace("'", "")

    def program(self, variant: Variant) -> str:
        """The reference as a program of its own."""
        parts = [HEADER, *(_source(one) for one in (*self.uses, self.reference))]
        if variant.parameters:
            fixed = ", ".join(f"{name}={value!r}" for name, value in variant.parameters)
            parts.append(f"{self.name} = functools.partial({self.name}, {fixed})\n")
        return "\n\n".join(parts)


@functools.cache
def _source(function: Callable[..., Any]) -> str:
    """The definition without decorators and docstring."""
    tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(function)))
    node = tree.body[0]
    assert isinstance(node, ast.FunctionDef)
    node.decorator_list = []
    if ast.get_docstring(node) is not None:
        node.body = node.body[1:]
    return ast.unparse(node) + "\n"


class Exercises:
    """The exercises of a category; an object of it is the decorator of their references."""

    def __init__(self, category: str) -> None:
        self.category = category
        self.all: list[Exercise] = []

    def __call__(
        self,
        draw: Callable[[Draw], Sequence[Any]],
        *,
        uses: tuple[Callable[..., Any], ...] = (),
        second: Callable[..., Any] | None = None,
        edges: tuple[Sequence[Any], ...] = (),
        **choices: tuple[Any, ...],
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register a reference; see `Exercise`."""

        def register(reference: Callable[..., Any]) -> Callable[..., Any]:
            made = Exercise(reference, draw, choices, uses, second, edges, self.category)
            self.all.append(made)
            return reference

        return register
