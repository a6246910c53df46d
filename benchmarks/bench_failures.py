"""Precision and recall of `benchside failures` on planted faults, each with n and 95% interval.

The rules were written looking at faults in `wards` and in `cohorts` of seed 0; these are others.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from benchside.batch import select
from benchside.failures.labelled import pairs, plant, plant_practice, play_planted
from benchside.failures.measure import accuracy, accuracy_lines
from benchside.library import prepare
from benchside_kernels.makers import open_kernels

SEED = 5
SUITES = ("units", "registry", "medcalc_notes")


async def measure(home: Path, tasks: int) -> None:
    planted = []
    for name in SUITES:
        suite = prepare(name, home, size=200, seed=SEED)
        planted += plant(suite, select(suite, None, tasks), SEED)
    power = prepare("power", home, size=40)
    planted += plant_practice(power, power.tasks[0])
    async with open_kernels() as maker:
        done = await play_planted(planted, maker, parallel=2)
    print(f"{len(done)} labelled episodes; {len(planted) - len(done)} left out: no wrong answer")
    print("\n".join(accuracy_lines(accuracy(pairs(done)))))
    for one in done:
        if pairs([one])[0][0] != pairs([one])[0][1]:
            found = "; ".join(f"{f.kind} ({f.evidence[:80]})" for f in one.findings) or "nothing"
            told = ", ".join(sorted(one.fault.kinds)) or "none"
            print(f"{one.episode.task.task_id}, {one.fault.name}: true {told}; found {found}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), int(sys.argv[1]) if len(sys.argv) > 1 else 4))
