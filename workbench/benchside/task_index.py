"""`TaskIndex`: the tasks of a prepared suite, read and parsed when they are asked for.

A suite may have tens of thousands of tasks, and most commands look at a few of them. Only the place
of each line and of each id is held; the file (whose hash has been checked) stays open, so that
tasks can be read after its build was replaced. A task that is asked for twice is parsed twice, in
about 15 µs.
"""

from __future__ import annotations

import json
import os
import re
import weakref
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

from benchside.task import TaskSpec

_TASK_ID = re.compile(rb'\{"task_id":("(?:[^"\\]|\\.)*")')


class TaskIndex(Sequence[TaskSpec]):
    """Read-only sequence of tasks over a `tasks.jsonl`.

    Args:
        path: one task per line, each ended by a newline, `task_id` its first field, as `prepare`
            writes them.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line has no id, or one that another line has.
    """

    def __init__(self, path: Path):
        self._path = path
        self._bounds = array("Q", [0])  # line i is bytes bounds[i] to bounds[i + 1]
        self._places: dict[str, int] = {}
        with path.open("rb", buffering=1 << 20) as file:
            self._fd = os.dup(file.fileno())
            weakref.finalize(self, os.close, self._fd)
            for line in file:
                self._bounds.append(self._bounds[-1] + len(line))
                found = _TASK_ID.match(line)
                if found is not None and line.endswith(b"\n"):
                    quoted = found[1]
                    name = json.loads(quoted) if b"\\" in quoted else quoted[1:-1].decode()
                    self._places[name] = len(self._bounds) - 2
        if len(self._places) != len(self):
            raise ValueError(f"{len(self._places)} task ids in {len(self)} lines")

    def __reduce__(self) -> tuple[type[TaskIndex], tuple[Path]]:
        return TaskIndex, (self._path,)

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
        return map(self._task, range(len(self)))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, TaskIndex):
            return len(self) == len(other) and all(map(TaskSpec.__eq__, self, other))
        return NotImplemented

    def __hash__(self) -> int:
        return hash((len(self), next(iter(self._places), "")))

    def ids(self) -> tuple[str, ...]:
        """Return all task ids in order, without parsing the tasks."""
        return tuple(self._places)

    def find(self, task_id: str) -> TaskSpec | None:
        """Return the task of an id, None if there is none."""
        number = self._places.get(task_id)
        return None if number is None else self._task(number)

    def _task(self, number: int) -> TaskSpec:
        start, end = self._bounds[number], self._bounds[number + 1]
        return TaskSpec.model_validate_json(os.pread(self._fd, end - start, start))
