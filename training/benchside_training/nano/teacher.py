"""The imperfect teacher: reference solutions with the slips that analysts make.

Two fifths of its episodes have one slip: a forgotten condition, a comparison the wrong way round,
records counted instead of patients, a window off by one, all rows submitted instead of one value,
or how many they are; where a solution gives no occasion for any of these, it is played as it is. In
some others a column is misnamed first, and put right when the error is read. Whether an episode is
right is for its grader to say: a slip need not change the answer.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping

from benchside.library import Suite
from benchside.policies.scripted import ScriptedPolicy
from benchside.policy import Action
from benchside.protocol import run_cell_action
from benchside.task import TaskSpec

Cells = tuple[str, ...]

SLIP, STUMBLE = 0.4, 0.1  # share of the episodes
_CONDITION = re.compile(r" AND [\w.]+ (?:=|>=|<=|>|<) (?:'[^']*'|[\d.]+)(?=[\s)])")
_OTHER_WAY = {
    ">=": "<=", "<=": ">=", " > ": " < ", " < ": " > ", "MIN(": "MAX(", "MAX(": "MIN(",
    " DESC LIMIT": " LIMIT", " LIMIT 1": " DESC LIMIT 1",
}  # fmt: skip
_WINDOW = re.compile(r"'-(\d+) (\w+)'|'(2\d{3})'|\b(\d+)\b(?=\s*\)?\n)")
_COLUMN = re.compile(r"\bsubject_id\b|\bSUBJECT_ID\b|\bpatientunitstayid\b")


def teacher(suites: Mapping[str, Suite], sample: int, seed: int) -> ScriptedPolicy:
    """Return the policy of one sample: of other samples, other episodes go wrong.

    Args:
        suites: whose answer keys hold the solutions.
    """

    def script(task: TaskSpec, turn: int) -> Action | None:
        key = suites[task.suite].answer_key(task.task_id)
        cells = played(key.solution, random.Random(f"{seed}/{sample}/{task.hash}"))
        return run_cell_action(cells[turn]) if turn < len(cells) else None

    return ScriptedPolicy(f"teacher-{sample}", script, {"slips": SLIP, "seed": seed})


def played(cells: Cells, rng: random.Random) -> Cells:
    """Return the cells of one episode."""
    drawn = rng.random()
    if drawn < SLIP:
        slipped = [slip(cells) for slip in _SLIPS]
        return rng.choice(
            [made for made in slipped if made is not None and made != cells] or [cells]
        )
    if drawn < SLIP + STUMBLE:
        return _stumble(cells) or cells
    return cells


def _forgets_a_condition(cells: Cells) -> Cells | None:
    found = list(_CONDITION.finditer(cells[0]))
    if not found:
        return None
    last = found[-1]
    return (cells[0][: last.start()] + cells[0][last.end() :], *cells[1:])


def _compares_the_other_way(cells: Cells) -> Cells | None:
    for sign, other in _OTHER_WAY.items():
        if sign in cells[0]:
            return (cells[0].replace(sign, other, 1), *cells[1:])
    return None


def _counts_records(cells: Cells) -> Cells | None:
    return (cells[0].replace("COUNT(DISTINCT ", "COUNT(", 1), *cells[1:])


def _is_off_by_one(cells: Cells) -> Cells | None:
    found = _WINDOW.search(cells[0])
    if found is None:
        return None
    group = next(number for number in (1, 3, 4) if found[number])
    start, end = found.span(group)
    return (f"{cells[0][:start]}{int(found[group]) + 1}{cells[0][end:]}", *cells[1:])


def _submits_all_rows(cells: Cells) -> Cells | None:
    return (*cells[:-1], "submit(rows)") if _has_rows(cells) else None


def _submits_their_number(cells: Cells) -> Cells | None:
    return (*cells[:-1], "submit(len(rows))") if _has_rows(cells) else None


def _has_rows(cells: Cells) -> bool:
    return any(cell.startswith("rows = ") for cell in cells[:-1])


def _stumble(cells: Cells) -> Cells | None:
    """A misnamed column, and the right one after the error."""
    wrong = _COLUMN.sub("patient_id", cells[0], count=1)
    return None if wrong == cells[0] else (wrong, *cells)


_SLIPS: tuple[Callable[[Cells], Cells | None], ...] = (
    _forgets_a_condition, _compares_the_other_way, _counts_records, _is_off_by_one,
    _submits_all_rows, _submits_their_number,
)  # fmt: skip
