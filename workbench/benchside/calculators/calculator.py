"""`Calculator`: a published formula with its inputs, output and source."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from .errors import MissingInputError, UndefinedError, UnknownInputError
from .inputs import Argument, Input

Answer: TypeAlias = int | float | dt.date | dt.timedelta
OutputKind: TypeAlias = Literal["number", "integer", "date", "duration"]


@dataclass(frozen=True, slots=True)
class Output:
    """What a calculator gives.

    Args:
        unit: of a number; empty where it has none.
        decimals: numbers are rounded to so many, half to even; None for the other kinds.
        low, high: the possible values of a score.
    """

    kind: OutputKind
    unit: str = ""
    decimals: int | None = None
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Where a formula was published."""

    authors: str
    journal: str
    year: int
    pages: str = ""

    def __str__(self) -> str:
        return f"{self.authors}: {self.journal} {self.year}" + (f";{self.pages}" * bool(self.pages))


@dataclass(frozen=True, slots=True, eq=False)
class Calculator:
    """One calculator; two are equal only if they are the same object.

    Args:
        key: such as "anion-gap".
        number: its id in MedCalc-Bench.
        title: for people.
        formula: takes the inputs' arguments in the quantities' own units, as keywords.
        source: of the formula; where a variant was chosen, the formula's docstring says so.
    """

    key: str
    number: int
    title: str
    formula: Callable[..., Any]
    inputs: tuple[Input, ...]
    output: Output
    source: Source

    def input(self, name: str) -> Input:
        """Return one input by name.

        Raises:
            UnknownInputError: there is none of that name.
        """
        for item in self.inputs:
            if item.name == name:
                return item
        known = ", ".join(item.name for item in self.inputs)
        raise UnknownInputError("no such input", where=self.key, value=name, fix=f"it has {known}")

    def arguments(
        self, values: Mapping[str, object], *, in_range: bool = True
    ) -> dict[str, Argument]:
        """Return the formula's arguments in its units; a value of None counts as not given.

        Args:
            in_range: False to let values pass that no patient has, as when labels that were
                computed from such values are checked.

        Raises:
            UnknownInputError, MissingInputError, InputTypeError, UnitError, OutOfRangeError
        """
        given = {name: value for name, value in values.items() if value is not None}
        for name in given:
            self.input(name)
        missing = [item.name for item in self.inputs if item.required and item.name not in given]
        if missing:
            raise MissingInputError(f"missing: {', '.join(missing)}", where=self.key)
        return {
            item.argument: item.read(given[item.name], in_range=in_range)
            for item in self.inputs
            if item.name in given
        }

    def exact(self, arguments: Mapping[str, Argument]) -> Answer:
        """Return the unrounded result of a formula's arguments.

        Raises:
            UndefinedError: the formula has no value for them.
        """
        try:
            result: Answer = self.formula(**arguments)
        except ArithmeticError as error:
            raise UndefinedError(
                f"no value ({error})", where=self.key, value=dict(arguments)
            ) from None
        return result

    def compute(self, **values: object) -> Answer:
        """Return the result, rounded by the output's rule.

        Args:
            values: by the inputs' names; measured ones as numbers or as (number, unit).

        Raises:
            UnknownInputError, MissingInputError, InputTypeError, UnitError, OutOfRangeError
            UndefinedError: the formula has no value for these inputs.
        """
        result = self.exact(self.arguments(values))
        if self.output.decimals is None:
            return result
        assert isinstance(result, (int, float))  # dates and durations have no decimals
        return round(float(result), self.output.decimals)
