"""Graders made of graders: `record` (named parts, all must pass) and `any_of` (one must pass)."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field

from benchside.graders.grader import (
    Grader,
    NestedGrader,
    UnreadableError,
    Verdict,
    compare,
    register,
)
from benchside.graders.show import show
from benchside_kernels.submission import Series, Table, Value


def read_record(value: Value) -> dict[str, Value]:
    """Return a dict, a Series with text labels, or a table of one row, as a dict.

    Raises:
        UnreadableError: for anything else.
    """
    match value:
        case dict():
            return value
        case Series() if all(isinstance(label, str) for label in value.index):
            return {str(k): v for k, v in zip(value.index, value.values, strict=True)}
        case Table() if len(value.rows) == 1:
            return dict(zip(value.columns, value.rows[0], strict=True))
    raise UnreadableError(f"{show(value)} is not a dict of named parts")


@register
class RecordGrader(Grader):
    """Passes when each named part passes its own grader and no other part is there.

    Args:
        parts: name → grader; secret parameters stand below the same names in the answer key.
    """

    name: ClassVar[str] = "record"
    parts: dict[str, NestedGrader] = Field(min_length=1)

    def exposed(self) -> list[str]:
        """Secret parameters of all parts."""
        return [f"parts.{n}.params.{s}" for n, part in self.parts.items() for s in part.exposed()]

    def check_gold(self, gold: Value) -> None:
        """The gold has exactly these parts; a part of None is to be submitted as None."""
        if not isinstance(gold, dict) or set(gold) != set(self.parts):
            raise UnreadableError(f"the gold {show(gold)} needs exactly the parts {[*self.parts]}")
        for name, part in self.parts.items():
            if gold[name] is not None:
                part.check_gold(gold[name])

    def judge(self, submitted: Value, gold: Value) -> Verdict:
        """Judge all parts, also those after a failed one."""
        assert isinstance(gold, dict)  # check_gold
        try:
            values = read_record(submitted)
        except UnreadableError as problem:
            return Verdict(False, f"{problem}; expected the parts {', '.join(self.parts)}")
        given = {name.strip().casefold(): value for name, value in values.items()}
        wanted = {name.strip().casefold() for name in self.parts}
        if len(given) < len(values) or set(given) != wanted:
            names = show(list(values))
            return Verdict(False, f"submitted parts {names}, expected {', '.join(self.parts)}")
        verdicts = {
            name: compare(part, given[name.strip().casefold()], gold[name])
            for name, part in self.parts.items()
        }
        evidence = "; ".join(f"{name}: {v.evidence}" for name, v in verdicts.items())
        scores = {name: float(v.passed) for name, v in verdicts.items()}
        return Verdict(all(v.passed for v in verdicts.values()), evidence, scores)


@register
class AnyOfGrader(Grader):
    """Passes when one of several graders passes with its own gold; the gold is a list of golds.

    Args:
        alternatives: the graders, in the order of the golds.
    """

    name: ClassVar[str] = "any_of"
    alternatives: tuple[NestedGrader, ...] = Field(min_length=1)

    def exposed(self) -> list[str]:
        """Secret parameters of all alternatives."""
        each = enumerate(self.alternatives)
        return [f"alternatives.{i}.params.{s}" for i, grader in each for s in grader.exposed()]

    def with_unit(self, unit: str) -> Self:
        """Return this grader with all alternatives in `unit`."""
        inside = tuple(grader.with_unit(unit) for grader in self.alternatives)
        return self.model_copy(update={"alternatives": inside})

    def check_gold(self, gold: Value) -> None:
        """There is one gold for each alternative, and it fits."""
        if not isinstance(gold, list) or len(gold) != len(self.alternatives):
            count = len(self.alternatives)
            raise UnreadableError(f"the gold {show(gold)} needs one gold for each of {count}")
        for grader, one in zip(self.alternatives, gold, strict=True):
            if one is None:
                raise UnreadableError("an alternative cannot be None")
            grader.check_gold(one)

    def judge(self, submitted: Value, gold: Value) -> Verdict:
        """Return the first verdict that passes, or all reasons."""
        assert isinstance(gold, list)  # check_gold
        verdicts = []
        for grader, one in zip(self.alternatives, gold, strict=True):
            verdicts.append(compare(grader, submitted, one))
            if verdicts[-1].passed:
                return verdicts[-1]
        return Verdict(False, "; or ".join(verdict.evidence for verdict in verdicts))
