"""Episodes a second, end to end: embedded suites, real kernels, transcripts on disk, flat memory.

    python benchmarks/bench_evaluate.py --episodes 5000

Scripted policies, so that no model is waited for. Suites that are not prepared are prepared first,
which does not count. The floor is the same number of kernels that only start, run one cell and
submit, without tasks, transcripts or grades.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import tempfile
import time
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


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--episodes", type=int, default=1_000)
    parser.add_argument("--parallel", type=int, default=os.cpu_count())
    parser.add_argument("--suites", nargs="+", default=SUITES)
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
        memory = asyncio.create_task(watch(out / "episodes.jsonl"))
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


async def watch(rows: Path) -> None:
    """Print the runner's memory as episodes go by."""
    wanted = 0
    while True:
        await asyncio.sleep(0.5)
        done = await asyncio.to_thread(
            lambda: rows.read_bytes().count(b"\n") if rows.exists() else 0
        )
        if done > wanted:
            pages = int(Path("/proc/self/statm").read_text().split()[1])  # noqa: ASYNC240
            print(f"{done:6} episodes: runner {pages * os.sysconf('SC_PAGE_SIZE') / 2**20:.0f} MiB")
            wanted = done + 500


if __name__ == "__main__":
    asyncio.run(main())
