"""Episodes a second, end to end: embedded suites, real kernels, transcripts on disk, flat memory.

    python benchmarks/bench_evaluate.py --episodes 5000

Scripted policies, so that no model is waited for. Suites have to be prepared. The floor is kernels
that only start, run one cell and submit, without tasks, transcripts or grades, in the same run.
Ends with 1 where the goals are missed: `--goal` episodes a second over all (0: none), and a memory
that grows by less than 10% after the first fifth of the episodes.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from rich.console import Console

import benchside
from benchside.commands import RunRequest, run_suites
from benchside.evaluation import Evaluation
from benchside.library import Suite, open_suite
from benchside.task_kernel import WARM_MODULES
from benchside_kernels.makers import open_kernels
from benchside_kernels.session import KernelSession
from benchside_kernels.startup import home_folder

SUITES = ("cohorts", "power", "medcalc_notes", "functions", "wards", "units", "registry")
POLICIES = ("reference", "constant")
MOST_GROWTH = 1.1


@dataclass(frozen=True, slots=True)
class Sample:
    """Of the runner: a time, the episodes until then, its memory."""

    at_s: float
    done: int
    mib: float


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--episodes", type=int, default=1_000)
    parser.add_argument("--parallel", type=int, default=os.cpu_count())
    parser.add_argument("--suites", nargs="+", default=SUITES)
    parser.add_argument("--goal", type=float, default=30.0, help="episodes a second")
    asked = parser.parse_args()
    opened = [open_suite(name, home_folder()) for name in asked.suites]
    limit = -(-asked.episodes // (len(asked.suites) * len(POLICIES)))
    floor = await kernels_per_second(opened[0], min(asked.episodes, 500), asked.parallel)
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "run"
        evaluation = Evaluation.model_validate(
            {
                "suites": [{"name": name, "limit": limit} for name in asked.suites],
                "policies": POLICIES, "parallel": asked.parallel,
            }
        )  # fmt: skip
        samples: list[Sample] = []
        memory = asyncio.create_task(watch(out / "episodes.jsonl", asked.episodes // 10, samples))
        started, cpu = time.perf_counter(), time.process_time()
        request = RunRequest(evaluation, out)
        await run_suites(request, home_folder(), Console(file=io.StringIO()))
        took, cpu = time.perf_counter() - started, time.process_time() - cpu
        memory.cancel()
        episodes = benchside.load_run(out).episodes
        bytes_written = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    n = len(episodes)
    print(f"{n} episodes of {len(asked.suites)} suites in {took:.1f} s, {asked.parallel} at a time")
    print(f"{n / took:.1f} episodes/s; bare kernels {floor:.1f}/s: {floor * took / n:.2f}x")
    print(
        f"runner: {1e3 * cpu / n:.1f} ms of CPU an episode; {bytes_written / n / 1e3:.1f} kB each"
    )
    print(f"outcomes: {episodes.outcome.value_counts().to_dict()}; load {os.getloadavg()[0]:.1f}")
    missed = judged(n / took, asked.goal, samples)
    if missed:
        sys.exit(f"missed: {', '.join(missed)}")


def judged(rate: float, goal: float, samples: list[Sample]) -> list[str]:
    """Print the spread over the run; return which goals were missed."""
    rates = sorted((b.done - a.done) / (b.at_s - a.at_s) for a, b in pairwise(samples))
    if rates:
        print(
            f"n={len(rates)} parts of the run: {rates[0]:.1f} to {rates[-1]:.1f} episodes/s, "
            f"median {statistics.median(rates):.1f}"
        )
    settled = [one.mib for one in samples[len(samples) // 5 :]]
    growth = settled[-1] / settled[0] if settled else 1.0
    print(f"runner's memory after the first fifth: {growth - 1:+.1%}")
    missed = [f"{rate:.1f} of {goal:g} episodes/s"] if rate < goal else []
    return missed + ([f"memory grew by {growth - 1:.0%}"] if growth > MOST_GROWTH else [])


async def kernels_per_second(suite: Suite, n: int, parallel: int) -> float:
    """The floor."""
    image = suite.image(suite.tasks[0])
    async with open_kernels(None, WARM_MODULES) as maker:
        queue = iter(range(n))

        async def work() -> None:
            for _ in queue:
                async with KernelSession(image, maker=maker) as session:
                    await session.run("submit(1)")

        async with KernelSession(image, maker=maker) as session:
            await session.run("1")
        started = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(parallel)))
        return n / (time.perf_counter() - started)


async def watch(rows: Path, every: int, samples: list[Sample]) -> None:
    """Note the runner's memory as episodes go by."""
    wanted = 1
    while True:
        await asyncio.sleep(0.5)
        done = await asyncio.to_thread(
            lambda: rows.read_bytes().count(b"\n") if rows.exists() else 0
        )
        if done >= wanted:
            pages = int(Path("/proc/self/statm").read_text().split()[1])  # noqa: ASYNC240
            mib = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
            samples.append(Sample(time.perf_counter(), done, mib))
            print(f"{done:6} episodes: runner {mib:.0f} MiB", flush=True)
            wanted = done + every


if __name__ == "__main__":
    asyncio.run(main())
