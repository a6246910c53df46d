"""Grading a submission in a process apart, beside grading it in this one.

python benchmarks/bench_grading.py
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence

import pandas as pd
from measure import Timing, repeat

from benchside.graders.grading import grade
from benchside.graders.workers import grade_apart, warm_up
from benchside.task import AnswerKey, AnswerKind, AnswerSchema, GraderRef, TaskSpec
from benchside_kernels.submission import Json, encode

N = 500


def task(kind: AnswerKind) -> TaskSpec:
    return TaskSpec(
        task_id="bench", suite="bench", version="1", category="bench", split="test", group="bench",
        prompt="What is the mean age of the patients? " * 20, image="bench",
        answer=AnswerSchema(kind=kind), grader=GraderRef(name=kind),
    )  # fmt: skip


async def time_both(name: str, kind: AnswerKind, value: Json, n: int) -> None:
    """Print both timings of one submission that equals its gold."""
    asked, key = task(kind), AnswerKey(task_id="bench", value=value)

    async def here() -> None:
        assert grade(asked, key, value).passed

    async def apart() -> None:
        assert (await grade_apart(asked, key, value, (), limit_s=60)).passed

    alone = await repeat(f"in this process: {name}", n, here)
    print(alone.line())
    print((await repeat(f"in a process apart: {name}", n, apart)).line(alone))


async def main() -> None:
    started = time.perf_counter()
    warm_up()
    await grade_apart(task("number"), AnswerKey(task_id="bench", value=1), 1, (), limit_s=60)
    print(Timing("first grading, with the start", ((time.perf_counter() - started) * 1e3,)).line())
    table = pd.DataFrame({"id": range(1000), "value": [number / 7 for number in range(1000)]})
    await time_both("a number", "number", 12.5, N)
    await time_both("a table of 1,000 rows", "table", encode(table), N // 10)
    print("load", *(f"{load:.1f}" for load in _load()))


def _load() -> Sequence[float]:
    return os.getloadavg()


if __name__ == "__main__":
    asyncio.run(main())
