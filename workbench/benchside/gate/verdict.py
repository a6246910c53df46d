"""From the gate's episodes to what is wrong with which task."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from pydantic import JsonValue

from benchside.episode import UNSCORED
from benchside.gate.log import GateRow
from benchside.gate.report import Held, Tally
from benchside.task import TaskSpec

REFERENCE = "reference"
PROBES = ("do-nothing", "constant", "dump", "cheat")
FORBIDDEN = ("do-nothing", "dump", "cheat")  # `constant` may be right by chance; it is counted
MOST_ABOVE_CHANCE = 0.01
SAME = 1e-9  # relative difference of two numbers that count as the same submission


def oracle(rows: Iterable[GateRow]) -> Tally:
    """Return how many episodes of the reference solved their task."""
    return _solved([row for row in rows if row.policy == REFERENCE])


def floor(rows: Sequence[GateRow]) -> dict[str, Tally]:
    """Return how many tasks each probe solved."""
    return {probe: _solved([row for row in rows if row.policy == probe]) for probe in PROBES}


def chances(tasks: Iterable[TaskSpec]) -> list[float]:
    """Return the chance of a guess at each closed question: one of the choices, yes or no."""
    open_choices = {"boolean": 2}
    counts = (
        len(task.answer.choices or ()) or open_choices.get(task.answer.kind) for task in tasks
    )
    return [1 / count for count in counts if count]


def above_chance(constant: Tally, guesses: Sequence[float], tasks: int) -> tuple[str, ...]:
    """Return a finding where one answer solves more than guessing does and 1% of the tasks.

    A suite may balance its answers, a sample of it is not balanced: by the luck of the draw it may
    be two standard deviations off (none where all tasks were gated).

    Args:
        guesses: the `chances` of the tasks gated.
        tasks: of the whole suite.
    """
    expected = sum(guesses)
    drawn = sum(one * (1 - one) for one in guesses) * (1 - constant.n / tasks)
    if constant.count <= expected + MOST_ABOVE_CHANCE * constant.n + 2 * math.sqrt(drawn):
        return ()
    solved = f"constant answers solve {constant.count:,} of {constant.n:,} tasks"
    return (f"{solved}, guessing {expected:,.0f}",)


def same(rows: Iterable[GateRow]) -> Tally:
    """Return how many tasks the reference answered alike under both seeds."""
    pairs = [pair for pair in _references(rows).values() if len(pair) == 2]
    return Tally(count=sum(_alike(*pair) for pair in pairs), n=len(pairs))


def judged(rows: Sequence[GateRow]) -> dict[str, list[str]]:
    """Return the tasks that the episodes speak against, with the reasons."""
    reasons: dict[str, list[str]] = defaultdict(list)
    scored = [row for row in rows if row.outcome not in UNSCORED]
    scored.sort(key=lambda row: (row.task_id, row.policy, row.sample))
    for row in scored:
        if row.policy == REFERENCE and row.outcome != "solved":
            reason = f"reference, attempt {row.sample}: {_ended(row)}"
            reasons[row.task_id].append(reason)
        if row.policy in FORBIDDEN and row.outcome == "solved":
            reasons[row.task_id].append(f"solved by {row.policy}")
    for task_id, pair in _references(scored).items():
        if len(pair) == 2 and not _alike(*pair):
            reasons[task_id].append("not deterministic: two seeds gave different submissions")
    return dict(reasons)


def held(*found: Mapping[str, Sequence[str]]) -> tuple[Held, ...]:
    """Return the quarantine: all reasons of each task, in order of the tasks' ids."""
    reasons: dict[str, dict[str, None]] = defaultdict(dict)
    for one in found:
        for task_id, listed in one.items():
            reasons[task_id].update(dict.fromkeys(listed))
    return tuple(
        Held(task_id=task_id, reasons=tuple(reasons[task_id])) for task_id in sorted(reasons)
    )


def _ended(row: GateRow) -> str:
    detail = row.error or ("" if row.end_reason == "submitted" else row.end_reason)
    return f"{row.outcome}, {detail}" if detail else row.outcome


def _solved(rows: Sequence[GateRow]) -> Tally:
    scored = [row for row in rows if row.outcome not in UNSCORED]
    return Tally(count=sum(row.outcome == "solved" for row in scored), n=len(scored))


def _references(rows: Iterable[GateRow]) -> dict[str, list[GateRow]]:
    found: dict[str, list[GateRow]] = defaultdict(list)
    for row in rows:
        if row.policy == REFERENCE and row.outcome not in UNSCORED:
            found[row.task_id].append(row)
    return found


def _alike(one: GateRow, other: GateRow) -> bool:
    return one.outcome == other.outcome and _equal(one.submitted, other.submitted)


def _equal(one: JsonValue, other: JsonValue) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, float) and isinstance(other, float):
        both_nan = math.isnan(one) and math.isnan(other)
        return both_nan or math.isclose(one, other, rel_tol=SAME)
    return type(one) is type(other) and one == other
