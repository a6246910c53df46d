"""Grader `assertions`: hidden assert statements over the objects that a task names.

The objects leave the agent's kernel as data and are rebuilt in a fresh one (`benchside.execution`):
a curve is fitted anew from its durations, so that nothing in it can be forged. No code of the
agent's runs there. The assertions do; they come with the task, and see the task's tables too.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import ClassVar

from pydantic import Field, JsonValue

from benchside.graders.grader import UnreadableError, Verdict, register
from benchside.graders.observed import ObservedGrader
from benchside.graders.show import show
from benchside_kernels.submission import Json, Value


@register
class AssertionsGrader(ObservedGrader):
    """Passes when every assertion holds; the gold is their number.

    Args:
        forms: secret; name of each object → what to rebuild; see `assertions_cell.form_of`.
        before: secret code that runs first, for what earlier steps have left behind.
        assertions: secret source: assert statements and what they need.
    """

    name: ClassVar[str] = "assertions"
    secret: ClassVar[frozenset[str]] = frozenset({"forms", "before", "assertions"})
    forms: dict[str, JsonValue] = Field(default_factory=dict)
    before: str = ""
    assertions: str = ""

    def cell(self, submission: Json) -> str:
        """Return the cell that checks one submission."""
        if not isinstance(submission, dict):
            raise UnreadableError("what was submitted is not a dict of the named objects")
        return f"{self.checks([submission])}[0])"

    def checks(self, submissions: list[Json]) -> str:
        """Return a cell up to its last bracket, which submits the outcomes of all submissions."""
        source = resources.files(__package__).joinpath("assertions_cell.py").read_text("utf-8")
        given = ", ".join(
            f"__import__('json').loads({json.dumps(one)!r})" for one in (submissions, self.forms)
        )
        check = f"check_all({given}, {self.before!r}, {self.assertions!r}, globals())"
        return f"{source}\n\nsubmit({check}"

    def check_gold(self, gold: Value) -> None:
        """There is an assertion."""
        if isinstance(gold, bool) or not isinstance(gold, int) or gold < 1:
            raise UnreadableError(f"the gold {show(gold)} is not the number of assertions")

    def judge(self, submitted: Value, gold: Value) -> Verdict:
        """Look at what became of each assertion."""
        if not isinstance(submitted, dict) or submitted.keys() not in ({"failed"}, {"outcomes"}):
            return Verdict(False, f"{show(submitted)} is not what became of assertions")
        if "failed" in submitted:
            return Verdict(False, str(submitted["failed"]))
        outcomes = submitted["outcomes"]
        if not isinstance(outcomes, list) or len(outcomes) != gold:
            return Verdict(False, f"{show(submitted)} is not the outcome of {gold} assertions")
        problems = [f"assertion {n}: {one}" for n, one in enumerate(outcomes, 1) if one != ""]
        held = len(outcomes) - len(problems)
        text = f"{held} of {gold} assertions hold"
        evidence = "; ".join([text, *problems])
        return Verdict(not problems, evidence, {"assertions": held / len(outcomes)})
