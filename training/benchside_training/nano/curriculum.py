"""`Curriculum`: which tasks the nano policy learns from, and on which it is measured.

Of each suite it learns a few template families, those with the shortest solutions, in a build that
holds nothing else; of suites that are only made whole, all families of the split `train`. Their
tasks are dealt out by hash: seven tenths are *taught* (the teacher plays
them), two are *practised* (the model plays them itself, and learns from what comes of it), one is
*held out*: same kinds of question over the same records, other values. What is held out but has the
solution of a task that is taught or practised, in other words, is left out. Never learned are
families of the split `test` ("unseen templates") and tasks of `UNSEEN_SUITE`; they come from the
suites as users have them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Literal

from benchside.batch import select
from benchside.library import Suite, load_suite
from benchside.task import TaskSpec

UNSEEN_SUITE = "rounds"
USUAL_HOME = "as-users-have-them"  # in a pipeline's folder
MOST_UNSEEN = 400  # of each suite, spread over its categories

Part = Literal["taught", "practised", "held-out", "unseen-templates", "unseen-suite"]
SHARES: tuple[tuple[Part, int], ...] = (("taught", 7), ("practised", 2), ("held-out", 1))
AskedTask = tuple[Suite, TaskSpec]


@dataclass(frozen=True, slots=True)
class Curriculum:
    """Tasks by part.

    Args:
        families: that are learned, by suite.
    """

    families: dict[str, tuple[str, ...]]
    parts: dict[Part, list[AskedTask]]

    def is_practised(self, task: TaskSpec) -> bool:
        """Whether the model may learn from its own episodes of a task."""
        return task.group in self.families[task.suite] and part_of(task) == "practised"


def read_curriculum(names: Iterable[str], home: Path, usual: Path) -> Curriculum:
    """Deal out the tasks of prepared suites.

    Args:
        names: of the suites that are learned.
        home: where suites hold the learned families.
        usual: where they are as users have them.

    Raises:
        DataMissingError: a suite is not prepared.
    """
    families: dict[str, tuple[str, ...]] = {}
    parts: dict[Part, list[AskedTask]] = defaultdict(list)
    for name in names:
        suite = load_suite(name, home)
        tasks = select(suite, "train", None)
        families[name] = tuple(sorted({task.group for task in tasks}))
        for task in tasks:
            parts[part_of(task)].append((suite, task))
        whole = load_suite(name, usual)
        parts["unseen-templates"] += [(whole, one) for one in select(whole, "test", MOST_UNSEEN)]
    known: tuple[Part, Part] = ("taught", "practised")
    learned = {solution(one) for part in known for one in parts[part]}
    parts["held-out"] = [one for one in parts["held-out"] if solution(one) not in learned]
    unseen = load_suite(UNSEEN_SUITE, usual)
    parts["unseen-suite"] = [(unseen, task) for task in select(unseen, None, MOST_UNSEEN)]
    return Curriculum(families, parts)


def some(tasks: list[AskedTask], number: int) -> list[AskedTask]:
    """Return `number` of the tasks, evenly from all suites and chosen by hash."""
    by_suite: dict[str, list[AskedTask]] = defaultdict(list)
    for suite, task in sorted(tasks, key=lambda asked: asked[1].hash):
        by_suite[suite.name].append((suite, task))
    share = -(-number // len(by_suite))
    return [asked for own in by_suite.values() for asked in own[:share]]


def solution(asked: AskedTask) -> tuple[str, ...]:
    """Return the cells of a task's reference solution; rewordings of a question share them."""
    suite, task = asked
    return suite.answer_key(task.task_id).solution


def part_of(task: TaskSpec) -> Part:
    """Return the part of a task of a learned family."""
    dealt = [part for part, share in SHARES for _ in range(share)]
    return dealt[int(task.hash[:8], 16) % len(dealt)]


def shortest_families(suite: Suite, number: int) -> tuple[str, ...]:
    """Return the answerable families of the split `train` with the shortest solutions."""
    lengths: dict[str, list[int]] = defaultdict(list)
    for task in select(suite, "train", None):
        key = suite.answer_key(task.task_id)
        if key.value is not None:
            lengths[task.group].append(sum(map(len, key.solution)))
    most = max(map(len, lengths.values()))
    common = {group: mean(own) for group, own in lengths.items() if len(own) * 2 >= most}
    return tuple(sorted(sorted(common, key=lambda group: (common[group], group))[:number]))
