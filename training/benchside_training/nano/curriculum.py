"""`Curriculum`: which tasks the nano policy learns from, and on which it is measured.

Of each suite it learns a few template families, those with the shortest solutions. A fifth of their
tasks is held out: same kind of question, other values ("in distribution"). Families of the split
`test` are never learned ("unseen templates"), and neither is any task of `UNSEEN_SUITE`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Literal

from benchside.batch import select
from benchside.library import Suite, open_suite
from benchside.task import TaskSpec

SUITES = ("registry", "units", "wards")
UNSEEN_SUITE = "rounds"
HELD_OUT = 5  # every fifth task, by its hash

Part = Literal["learned", "held-out", "unseen-templates", "unseen-suite"]
AskedTask = tuple[Suite, TaskSpec]


@dataclass(frozen=True, slots=True)
class Curriculum:
    """Tasks by part.

    Args:
        families: that are learned, by suite.
    """

    families: dict[str, tuple[str, ...]]
    parts: dict[Part, list[AskedTask]]

    def has_learned(self, task: TaskSpec) -> bool:
        """Whether a task may be trained on."""
        return task.group in self.families.get(task.suite, ()) and not _held_out(task)


def read_curriculum(home: Path, families: int) -> Curriculum:
    """Deal out the tasks of prepared suites.

    Args:
        families: number of template families of each suite.

    Raises:
        DataMissingError: a suite is not prepared.
    """
    suites = {name: open_suite(name, home) for name in SUITES}
    chosen = {name: _shortest(suite, families) for name, suite in suites.items()}
    parts: dict[Part, list[AskedTask]] = {
        "learned": [], "held-out": [], "unseen-templates": [], "unseen-suite": []
    }  # fmt: skip
    for name, suite in suites.items():
        for task in select(suite, "train", None):
            if task.group in chosen[name]:
                parts["held-out" if _held_out(task) else "learned"].append((suite, task))
        parts["unseen-templates"] += [(suite, task) for task in select(suite, "test", None)]
    unseen = open_suite(UNSEEN_SUITE, home)
    parts["unseen-suite"] += [(unseen, task) for task in select(unseen, None, None)]
    return Curriculum(chosen, parts)


def some(tasks: list[AskedTask], number: int) -> list[AskedTask]:
    """Return `number` of the tasks, evenly from all suites and chosen by hash."""
    by_suite: dict[str, list[AskedTask]] = defaultdict(list)
    for suite, task in sorted(tasks, key=lambda asked: asked[1].hash):
        by_suite[suite.name].append((suite, task))
    share = -(-number // len(by_suite))
    return [asked for own in by_suite.values() for asked in own[:share]]


def _held_out(task: TaskSpec) -> bool:
    return int(task.hash[:8], 16) % HELD_OUT == 0


def _shortest(suite: Suite, families: int) -> tuple[str, ...]:
    """The answerable families of the split `train` with the shortest solutions."""
    lengths: dict[str, list[int]] = defaultdict(list)
    for task in select(suite, "train", None):
        key = suite.answer_key(task.task_id)
        if key.value is not None:
            lengths[task.group].append(sum(map(len, key.solution)))
    most = max(map(len, lengths.values()))
    common = {group: mean(own) for group, own in lengths.items() if len(own) * 2 >= most}
    return tuple(sorted(common, key=lambda group: (common[group], group))[:families])
