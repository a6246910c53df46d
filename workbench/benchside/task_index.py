"""`TaskIndex`: the tasks of a prepared suite, parsed when they are asked for.

A suite may have tens of thousands of tasks, and most commands look at a few of them. The file is
held as it is (its hash has been checked), with the place of each line and of each id; a task that
is asked for twice is parsed twice, in about 15 µs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import overload

from benchside.task import TaskSpec

_TASK_ID = re.compile(rb'^\{"task_id":("(?:[^"\\]|\\.)*")', re.MULTILINE)


class TaskIndex(Sequence[TaskSpec]):
    """Read-only sequence of tasks over the bytes of a `tasks.jsonl`.

    Args:
        content: one task per line, each ended by a newline, `task_id` its first field, as
            `prepare` writes them.
    """

    def __init__(self, content: bytes):
        self._content = content
        self._bounds: list[int] = []  # line i is content[bounds[i]:bounds[i + 1]]
        self._places: dict[str, int] = {}
        for number, found in enumerate(_TASK_ID.finditer(content)):
            self._bounds.append(found.start())
            self._places[str(json.loads(found[1]))] = number
        self._bounds.append(len(content))
        lines = content.count(b"\n")
        if not lines == len(self._places) == len(self):
            raise ValueError(f"{len(self._places)} task ids in {lines} lines")

    def __len__(self) -> int:
        return len(self._bounds) - 1

    @overload
    def __getitem__(self, place: int) -> TaskSpec: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[TaskSpec, ...]: ...

    def __getitem__(self, place: int | slice) -> TaskSpec | tuple[TaskSpec, ...]:
        if isinstance(place, slice):
            return tuple(self._task(number) for number in range(len(self))[place])
        return self._task(range(len(self))[place])

    def __iter__(self) -> Iterator[TaskSpec]:
        for start, end in pairwise(self._bounds):
            yield TaskSpec.model_validate_json(self._content[start:end])

    def __eq__(self, other: object) -> bool:
        if isinstance(other, TaskIndex):
            return self._content == other._content
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self._content)

    def ids(self) -> tuple[str, ...]:
        """Return all task ids in order, without parsing the tasks."""
        return tuple(self._places)

    def find(self, task_id: str) -> TaskSpec | None:
        """Return the task of an id, None if there is none."""
        number = self._places.get(task_id)
        return None if number is None else self._task(number)

    def _task(self, number: int) -> TaskSpec:
        start, end = self._bounds[number], self._bounds[number + 1]
        return TaskSpec.model_validate_json(self._content[start:end])
