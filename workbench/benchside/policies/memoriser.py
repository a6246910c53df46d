"""`memoriser`: answers with the gold of the training task whose wording is nearest.

It looks at no data and asks no model: what it scores, a policy can reach that has merely kept the
training tasks. That is a contamination baseline, as `blind:MODEL` is one for what a model knows.
Nearest is by the cosine of tf-idf weights of words and pairs of words, which makes little of the
frame that the prompts of a suite share.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from benchside.library import Suite
from benchside.policy import Action, Conversation
from benchside.protocol import text_action
from benchside.scaffolds.answer_source import submit_json_action
from benchside.task import TaskSpec

NUMBERS_COUNT = r"(?u)\b\w[\w.]*\b"  # 0.05 is a word of its own


@dataclass(frozen=True, slots=True)
class _Index:
    """Training tasks of a suite: ids, and their prompts as rows of unit length."""

    ids: tuple[str, ...]
    vectorizer: Any
    rows: Any


class Memory:
    """The training tasks of a run's suites, with their gold.

    Args:
        suites: by name.
    """

    def __init__(self, suites: Mapping[str, Suite]) -> None:
        self._suites = suites
        self._indexes: dict[str, _Index | None] = {}

    def nearest(self, task: TaskSpec) -> tuple[str, JsonValue] | None:
        """Return id and gold of the nearest training task; None where the suite has none.

        A training task is not its own nearest, nor is one of its group.
        """
        suite = self._suites[task.suite]
        index = self._index(suite)
        if index is None:
            return None
        alike = (index.rows @ index.vectorizer.transform([task.prompt]).T).toarray().ravel()
        for place in (-alike).argsort(kind="stable"):
            found = suite.task(index.ids[place])
            if task.split != "train" or found.group != task.group:
                return found.task_id, suite.answer_key(found.task_id).value
        return None

    def _index(self, suite: Suite) -> _Index | None:
        if suite.name not in self._indexes:
            self._indexes[suite.name] = _index(suite)
        return self._indexes[suite.name]


def _index(suite: Suite) -> _Index | None:
    # imported here: it takes a second to load, and only this policy needs it
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415

    tasks = [(task.task_id, task.prompt) for task in suite.tasks if task.split == "train"]
    if not tasks:
        return None
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=NUMBERS_COUNT)
    rows = vectorizer.fit_transform([prompt for _, prompt in tasks])
    return _Index(tuple(task_id for task_id, _ in tasks), vectorizer, rows)


class MemoriserPolicy:
    """Submits what it remembers, and nothing where the suite has no training tasks."""

    name = "memoriser"

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._turn = asyncio.Lock()
        self.config: dict[str, JsonValue] = {"policy": self.name}

    async def act(self, conversation: Conversation) -> Action:
        """Submit the nearest task's gold; it names that task."""
        async with self._turn:  # one index is made once
            found = await asyncio.to_thread(self._memory.nearest, conversation.task)
        if found is None:
            return text_action("There are no training tasks to remember.")
        task_id, value = found
        return submit_json_action(value, f"As in {task_id}.", turn=len(conversation.turns))

    async def check(self) -> None:
        """Nothing to check: no server is asked."""

    async def aclose(self) -> None:
        """Nothing to close."""
