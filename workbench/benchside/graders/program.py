"""Grader `program`: runs a submitted program on hidden cases and compares what it does.

The program runs in a fresh kernel (`benchside.execution`), which has the cases but neither the
reference nor what it does; this grader judges the outcomes, outside. The gold is the list of the
reference's outcomes on the same cases, from its own run. Compared are: the value returned (numbers
by tolerance, tuples as lists), that the arguments are left as the reference leaves them, the type
of an exception (a subclass will do), text files by content, and what a script prints, word by word.
"""

from __future__ import annotations

import json
import math
import re
import textwrap
from importlib import resources
from itertools import zip_longest
from typing import ClassVar

from pydantic import Field, JsonValue

from benchside.graders.grader import UnreadableError, Verdict, register
from benchside.graders.observed import ObservedGrader
from benchside.graders.show import show
from benchside.task import Frozen
from benchside_kernels.submission import Json, Series, SetValue, Table, Value

MAX_SOURCE_CHARS = 200_000
PLACE = "<<program>>"
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


class ProgramCase(Frozen):
    """One hidden input.

    Args:
        arguments: of one call of the entry; "$folder" in a text stands for the case's own folder.
        files: name → text of files that lie in that folder.
        script: a whole script instead of a call, in which a line `<<program>>` stands for the
            program; it is indented as that line is.
    """

    arguments: tuple[JsonValue, ...] = ()
    files: dict[str, str] = Field(default_factory=dict)
    script: str | None = None


@register
class ProgramGrader(ObservedGrader):
    """Passes when the program does on every case what the reference did.

    Args:
        entry: name of the function that the program defines.
        cases: secret.
        abs_tol, rel_tol: of all numbers that are not whole in the reference's outcome.
        timeout_s: for all cases together.
    """

    name: ClassVar[str] = "program"
    secret: ClassVar[frozenset[str]] = frozenset({"cases"})
    entry: str
    cases: tuple[ProgramCase, ...] = ()
    abs_tol: float = Field(1e-9, ge=0, allow_inf_nan=False)
    rel_tol: float = Field(1e-6, ge=0, lt=1)

    def cell(self, submission: Json) -> str:
        """Return the cell that runs a program on all cases and submits the outcomes."""
        program = readable_program(submission)
        cases = [case.model_dump(mode="json") for case in self.cases]
        for case in cases:
            if case["script"] is not None:
                case["script"] = inserted(case["script"], program)
        runner = resources.files(__package__).joinpath("program_cell.py").read_text("utf-8")
        given = f"{program!r}, {self.entry!r}, __import__('json').loads({json.dumps(cases)!r})"
        return f"{runner}\n\nsubmit(run_cases({given}))"

    def check_gold(self, gold: Value) -> None:
        """The gold has an outcome for each case, and there is a case."""
        if not isinstance(gold, list) or not gold or len(gold) != len(self.cases):
            raise UnreadableError(
                f"the gold is not a list of {len(self.cases)} outcomes, one for each case"
            )
        if not all(isinstance(one, dict) and one.keys() & {"returned", "raised", "printed"}
                   for one in gold):  # fmt: skip
            raise UnreadableError(
                "an outcome in the gold says neither what was returned nor raised"
            )

    def judge(self, submitted: Value, gold: Value) -> Verdict:
        """Compare outcomes as `benchside.execution` has observed them."""
        assert isinstance(gold, list)  # check_gold
        if not isinstance(submitted, dict) or submitted.keys() not in ({"failed"}, {"outcomes"}):
            return Verdict(False, f"{show(submitted)} is not what a program did")
        if "failed" in submitted:
            return Verdict(False, str(submitted["failed"]))
        outcomes = submitted["outcomes"]
        if not isinstance(outcomes, list) or len(outcomes) != len(gold):
            return Verdict(False, f"the program left {show(outcomes)}, not {len(gold)} outcomes")
        problems = [self._difference(*pair) for pair in zip(outcomes, gold, strict=True)]
        wrong = [number for number, problem in enumerate(problems, 1) if problem]
        right = len(gold) - len(wrong)
        parts = {"cases": right / len(gold)}
        if not wrong:
            return Verdict(True, f"all {len(gold)} cases as the reference", parts)
        first = wrong[0]
        text = f"{right} of {len(gold)} cases as the reference; case {first}: {problems[first - 1]}"
        return Verdict(False, text, parts)

    def _difference(self, outcome: Value, gold: Value) -> str:
        """Say how an outcome differs; nothing where it does not."""
        assert isinstance(gold, dict)  # check_gold
        if not isinstance(outcome, dict):
            return f"{show(outcome)} is no outcome"
        if "raised" in gold or "raised" in outcome:
            return _other_exception(outcome, gold) or self._other_print(outcome, gold)
        if "printed" in gold:
            return self._other_print(outcome, gold)
        for part in ("returned", "arguments", "files"):
            if not self.same(outcome.get(part), gold.get(part)):
                verb = "returned" if part == "returned" else f"left {part}"
                return f"{verb} {show(outcome.get(part))}, expected {show(gold.get(part))}"
        return ""

    def _other_print(self, outcome: dict[str, Value], gold: dict[str, Value]) -> str:
        printed, expected = str(outcome.get("printed", "")), str(gold.get("printed", ""))
        for one, other in zip_longest(_words(printed), _words(expected)):
            if not self.same(one, other):
                return f"printed {show(one)}, expected {show(other)}"
        return ""

    def same(self, one: Value, gold: Value) -> bool:
        """Are two values the same within tolerance?"""
        if isinstance(one, bool) or isinstance(gold, bool):
            return one is gold
        match one, gold:
            case int() | float(), int() | float():
                return _close(one, gold, self.abs_tol, self.rel_tol)
            case list(), list():
                return self._all_same(one, gold)
            case SetValue(), SetValue():
                return self._all_same(one.members, gold.members)
            case dict(), dict():
                return one.keys() == gold.keys() and all(self.same(one[k], gold[k]) for k in gold)
            case Series(), Series():
                pairs = ((one.index, gold.index), (one.values, gold.values))
                return all(self._all_same(*pair) for pair in pairs)
            case Table(), Table():
                rows = [list(row) for row in one.rows], [list(row) for row in gold.rows]
                return one.columns == gold.columns and self._all_same(*rows)
        return type(one) is type(gold) and one == gold

    def _all_same(
        self, some: list[Value] | list[list[Value]] | tuple[Value, ...],
        golds: list[Value] | list[list[Value]] | tuple[Value, ...],
    ) -> bool:  # fmt: skip
        return len(some) == len(golds) and all(
            self.same(one, gold) for one, gold in zip(some, golds, strict=True)
        )


def inserted(script: str, program: str) -> str:
    """Return the script with the program in its place, indented as the place is."""
    before, _, after = script.partition(PLACE)
    indent = before[before.rfind("\n") + 1 :]
    body = textwrap.indent(textwrap.dedent(program).strip("\n"), indent)
    return before[: len(before) - len(indent)] + body + after


def readable_program(submission: Json) -> str:
    """Return the source that was submitted.

    Raises:
        UnreadableError: not a text, or one of more than 200,000 characters.
    """
    if not isinstance(submission, str):
        raise UnreadableError("what was submitted is not the source text of a program")
    if len(submission) > MAX_SOURCE_CHARS:
        raise UnreadableError(f"the program has more than {MAX_SOURCE_CHARS:,} characters")
    return submission


def _other_exception(outcome: dict[str, Value], gold: dict[str, Value]) -> str:
    expected, raised = gold.get("raised"), outcome.get("raised")
    if not isinstance(expected, list):
        return f"raised {show(raised)}, expected {show(gold.get('returned', gold.get('printed')))}"
    if not isinstance(raised, list) or expected[0] not in raised:
        done = raised[0] if isinstance(raised, list) and raised else outcome.get("returned")
        return f"expected {show(expected[0])} to be raised, but: {show(done)}"
    return ""


def _words(text: str) -> list[Value]:
    """Numbers and the rest of a text, apart; brackets and commas are words of their own."""
    words = re.findall(r"[\w.+-]+|[^\w\s]", text)
    return [float(word) if _NUMBER.fullmatch(word) else word for word in words]


def _close(one: float, gold: float, abs_tol: float, rel_tol: float) -> bool:
    if isinstance(one, int) and isinstance(gold, int):
        return one == gold
    try:
        if math.isnan(gold) or math.isnan(one):
            return math.isnan(gold) and math.isnan(one)
        return math.isclose(one, gold, abs_tol=abs_tol, rel_tol=rel_tol)
    except OverflowError:  # an integer beyond all floats
        return one == gold
