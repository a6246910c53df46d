"""Grader `charted`: an answer, and exactly these changes in the records of a service.

The changes come from the service itself (`benchside.state`), never from the kernel. One that is
missing, in excess or other than expected fails the task; reading does not matter, nor does what was
undone again. Written records are compared element by element: times as moments, references by type
and id, numbers by value, text but for white space, lists without order. An element that was not
expected fails, apart from what a server or a form adds (`_ADDED`) and what the task leaves open.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, Self

from pydantic import JsonValue

from benchside.errors import GraderError
from benchside.fhir.moments import interval
from benchside.fhir.parameters import local_reference
from benchside.graders.grader import Grader, NestedGrader, Verdict, compare, register
from benchside.graders.show import show
from benchside.state import ServiceState, StateChange
from benchside.task import Frozen
from benchside_kernels.submission import Value

_ADDED = frozenset({"meta", "id", "text", "display", "userSelected", "type", "resourceType"})
_OF_QUANTITIES = frozenset({"system", "code"})


class ExpectedWrite(Frozen):
    """One change that a task asks for.

    Args:
        kind: of the record, such as "ServiceRequest".
        id: of the record that is updated or deleted; None for a creation.
        record: as it is to be afterwards; None for a deletion.
        optional: elements of the record that may be there with any value.
    """

    verb: Literal["create", "update", "delete"]
    kind: str
    id: str | None = None
    record: dict[str, JsonValue] | None = None
    optional: tuple[str, ...] = ()


@register
class ChartedGrader(Grader):
    """Passes when the answer passes its own grader and the changes are those that were expected.

    Args:
        answer: grader of what is submitted; None where anything will do.
        writes: secret; in any order.
        service: whose changes count.
    """

    name: ClassVar[str] = "charted"
    secret: ClassVar[frozenset[str]] = frozenset({"writes"})
    answer: NestedGrader | None = None
    writes: tuple[ExpectedWrite, ...] | None = None
    service: str = "fhir"
    changes: tuple[StateChange, ...] | None = None

    def with_unit(self, unit: str) -> Self:
        """Return this grader with the answer's in `unit`."""
        if self.answer is None:
            return self
        return self.model_copy(update={"answer": self.answer.with_unit(unit)})

    def with_states(self, states: Sequence[ServiceState]) -> Self:
        """Return this grader for an episode's changes."""
        found = [state.changes for state in states if state.service == self.service]
        return self.model_copy(update={"changes": found[0] if found else None})

    def exposed(self) -> list[str]:
        """Secret parameters, the answer's included."""
        below = [] if self.answer is None else self.answer.exposed()
        return super().exposed() + [f"answer.params.{name}" for name in below]

    def check_gold(self, gold: Value) -> None:
        """The gold is the answer's."""
        if self.answer is not None:
            self.answer.check_gold(gold)

    def judge(self, submitted: Value, gold: Value) -> Verdict:
        """Judge answer and changes, each also where the other has failed."""
        if self.writes is None or self.changes is None:
            raise GraderError(
                "an episode cannot be graded without what its service recorded",
                where=f"grader {self.label}", value=self.service,
                fix="run the episode again; the answer key needs `writes`, the task the service",
            )  # fmt: skip
        said = Verdict(True, "any answer will do")
        if self.answer is not None:
            said = compare(self.answer, submitted, gold)
        problems = differences(self.writes, self.changes)
        changed = "; ".join(problems) or f"the {len(self.writes)} expected changes and no others"
        parts = {"answer": float(said.passed), "changes": float(not problems)}
        evidence = f"answer: {said.evidence}; records: {changed}"
        return Verdict(said.passed and not problems, evidence, parts)


def differences(expected: Sequence[ExpectedWrite], changes: Sequence[StateChange]) -> list[str]:
    """Return what is wrong with the changes, one sentence each; none if all is as expected."""
    left = list(changes)
    problems: list[str] = []
    unmet = []
    for write in expected:
        fitting = next((one for one in left if not _wrong(write, one)), None)
        if fitting is None:
            unmet.append(write)
        else:
            left.remove(fitting)
    for write in unmet:  # the nearest of the rest explains best
        near = next((one for one in left if _same_place(write, one)), None)
        if near is None:
            problems.append(f"missing: {write.verb} {write.kind} {write.id or ''}".rstrip())
        else:
            left.remove(near)
            problems.append(f"{near.kind}/{near.id}: {_wrong(write, near)}")
    return problems + [f"not asked for: {_verb(one)} {one.kind}/{one.id}" for one in left]


def _verb(change: StateChange) -> str:
    if change.before is None:
        return "create"
    return "delete" if change.after is None else "update"


def _same_place(write: ExpectedWrite, change: StateChange) -> bool:
    return (write.verb, write.kind) == (_verb(change), change.kind) and write.id in (
        None,
        change.id,
    )


def _wrong(write: ExpectedWrite, change: StateChange) -> str:
    """What differs between what was asked for and what was done; empty if nothing does."""
    if not _same_place(write, change):
        return f"{_verb(change)} instead of {write.verb}"
    if write.record is None:
        return ""
    after = change.after if isinstance(change.after, dict) else {}
    shown = {name: part for name, part in after.items() if name not in write.optional}
    wanted = {name: part for name, part in write.record.items() if name not in write.optional}
    return _unlike(wanted, shown, "")


def _unlike(wanted: JsonValue, found: JsonValue, path: str) -> str:
    """Where and how two pieces of a record differ; empty if they say the same."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return _unlike_objects(wanted, found, path)
    if isinstance(wanted, list) and isinstance(found, list):
        rest = list(found)
        for item in wanted:
            fitting = next((one for one in rest if not _unlike(item, one, path)), None)
            if fitting is None:
                near = rest[0] if len(rest) == 1 else None
                return _unlike(item, near, path) if near is not None else f"{path} lacks an item"
            rest.remove(fitting)
        return f"{path} has {len(rest)} items too many" if rest else ""
    if _plain(wanted, path) == _plain(found, path):
        return ""
    return f"{path} is {show(str(found)[:100])}, expected {show(str(wanted)[:100])}"


def _unlike_objects(wanted: dict[str, JsonValue], found: dict[str, JsonValue], path: str) -> str:
    added = _ADDED | (_OF_QUANTITIES if "value" in wanted and "unit" in wanted else frozenset())
    if "reference" in wanted:
        added |= {"identifier"}
    for name in found.keys() - wanted.keys() - added:
        return f"{path}.{name} was not asked for".lstrip(".")
    for name, part in wanted.items():
        below = f"{path}.{name}".lstrip(".")
        if name in ("meta", "display") or (name in ("id", "resourceType", "text") and not path):
            continue
        if name not in found:
            return f"{below} is missing"
        if problem := _unlike(part, found[name], below):
            return problem
    return ""


def _plain(value: JsonValue, path: str) -> object:
    """The value in the form in which it is compared."""
    if isinstance(value, bool) or value is None:
        return (type(value), value)
    if isinstance(value, int | float):
        return round(float(value), 9)
    if isinstance(value, str):
        if path.endswith(".reference"):
            return local_reference(value) or value
        if path.endswith(("DateTime", "authoredOn", "recordedDate")):
            try:
                return interval(value)
            except ValueError:
                return value
        return " ".join(value.split())
    return value
