"""`HeldOut`: the tasks that training must not have seen, and what of an example is among them.

A task is held out if it is the same task (by hash, or by id, since other limits give another hash)
or if its question is nearly that of one: most 10-grams of its words are those of *one* held-out
question. 10-grams that many held-out tasks of one suite share (its instructions, its conventions)
count for nothing.

Source of the measure: T. Brown et al., Language Models are Few-Shot Learners (2020), appendix C.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable

from benchside.gate.leakage import COMMON, MOST_SHARED, grams
from benchside.task import TaskSpec

FEWEST_FRAMED = 5  # among fewer questions, nothing can be told to be a frame


class HeldOut:
    """An index of held-out tasks.

    Args:
        tasks: of evaluation splits, of any number of suites.
    """

    def __init__(self, tasks: Iterable[TaskSpec]):
        self._hashes: set[str] = set()
        self._ids: set[tuple[str, str]] = set()
        questions: dict[str, dict[str, set[int]]] = defaultdict(dict)  # by suite
        for task in tasks:
            self._hashes.add(task.hash)
            self._ids.add((task.suite, task.task_id))
            questions[task.suite][task.task_id] = _grams(task.prompt)
        self._frames = {suite: _frame(own.values()) for suite, own in questions.items()}
        self._asked = {
            (suite, task_id): grams_ - self._frames[suite]
            for suite, own in questions.items()
            for task_id, grams_ in own.items()
        }
        self._askers: dict[int, list[tuple[str, str]]] = defaultdict(list)
        for name, own in self._asked.items():
            for gram in own:
                self._askers[gram].append(name)

    def __len__(self) -> int:
        return len(self._ids)

    def reason(self, task: TaskSpec) -> str | None:
        """Return why a task must not be trained on; None if nothing is in the way."""
        if task.hash in self._hashes or (task.suite, task.task_id) in self._ids:
            return "is a held-out task"
        own = _grams(task.prompt) - self._frames.get(task.suite, set())
        fewest = MOST_SHARED * len(own)
        # whoever shares that many has one of any larger number of grams: those that few ask
        rarest = sorted(own, key=lambda gram: len(self._askers.get(gram, ())))
        able = {
            name
            for gram in rarest[: int(len(own) - fewest) + 1]
            for name in self._askers.get(gram, ())
        }
        shared = {name: len(own & self._asked[name]) for name in sorted(able)}
        name = max(shared, key=lambda name: shared[name], default=None)
        if name is not None and shared[name] >= fewest:
            return f"asks nearly what a held-out task of {name[0]} asks"
        return None


def _frame(questions: Collection[set[int]]) -> set[int]:
    """The 10-grams that so many questions of a suite share that they tell nothing of any."""
    said = Counter(gram for own in questions for gram in own)
    fewest = max(COMMON * len(questions), FEWEST_FRAMED)
    return {gram for gram, count in said.items() if count >= fewest}


def _grams(prompt: str) -> set[int]:
    return grams(tuple(re.findall(r"\w+", prompt.lower())))
