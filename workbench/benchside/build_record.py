"""`BuildRecord`: what a prepared suite was made of, what it holds, and what it cost to make."""

from __future__ import annotations

import os
import time
from collections import Counter

from benchside.suite import SuiteBuild
from benchside.task import Frozen, Split
from benchside_kernels.process_usage import ProcessUsage


class BuildHashes(Frozen):
    """The sha256 of the two files of a build."""

    tasks: str
    answers: str


class Contents(Frozen):
    """What a build holds, counted once, so that listing suites reads no tasks.

    Args:
        verified: tasks whose gold was found in two independent ways.
        vacuous: tasks of which the solution can merely state the gold.
    """

    tasks: int
    splits: dict[Split, int]
    categories: int
    verified: int
    vacuous: int


class Cost(Frozen):
    """What preparing took.

    Args:
        peak_mib: the most memory that the process had until then; None where it is not told.
    """

    wall_s: float
    cpu_s: float
    peak_mib: float | None


class BuildRecord(Frozen):
    """`build.json`.

    Args:
        recipe: hash of manifest, seed, size, families, builder code and versions; `data` of the
            user's files.
        families: of which alone tasks were made; all where empty.
        images: image name → content-hashed reference.
        hashes: sha256 of the tasks and of the answers.
        counts: facts from the builder, such as items left out.
    """

    build: str
    recipe: str
    seed: int
    size: int | None
    families: tuple[str, ...] = ()
    data: dict[str, str]
    images: dict[str, str]
    hashes: BuildHashes
    counts: dict[str, int]
    contents: Contents
    cost: Cost

    @property
    def dropped(self) -> dict[str, int]:
        """Why items or draws became no task → how many."""
        mark = "dropped: "
        return {
            name.removeprefix(mark): count
            for name, count in self.counts.items()
            if name.startswith(mark) and count
        }


def contents_of(built: SuiteBuild) -> Contents:
    """Count what a builder gave."""
    return Contents(
        tasks=len(built.tasks),
        splits=dict(Counter(task.split for task in built.tasks)),
        categories=len({task.category for task in built.tasks}),
        verified=sum(key.ways >= 2 for key in built.keys),
        vacuous=sum(key.vacuous for key in built.keys),
    )


class Meter:
    """Measures the work of this process from when the meter is made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def cost(self) -> Cost:
        """Return the cost so far."""
        return Cost(
            wall_s=round(time.perf_counter() - self._wall, 2),
            cpu_s=round(time.process_time() - self._cpu, 2),
            peak_mib=ProcessUsage(os.getpid()).peak_mib(),
        )
