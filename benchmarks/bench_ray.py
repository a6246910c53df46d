"""What an episode costs on a Ray cluster beside the local engine, at equal cores.

    python benchmarks/bench_ray.py --episodes 400 --rounds 3

Two nodes of one core each on this machine, against the local engine with two episodes at a time, by
turns; nothing else may run. Three things are told apart: what an episode takes once all is warm,
from the first eighth of the episodes to the last one; what a run takes beside that, to start and to
end; and what Ray takes when nothing runs, which is by the second, so that slow episodes have more
of it. CPU is that of the whole machine; Ray's own processes count for its runs only. Ends with 1
where an episode takes more than 10% longer on the cluster, by the median of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from measure import Timing
from process_tree import cpu_s, machine_cpu_s, marked
from rich.console import Console

from benchside.commands import RunRequest, run_suites
from benchside.engines.engine import EngineName
from benchside.evaluation import Evaluation
from benchside.library import open_suite
from benchside.store import RunFolder
from benchside_kernels.startup import home_folder

MOST_OVERHEAD = 0.10
SETTLE_S, IDLE_S = 10.0, 10.0
MARK = f"BENCH_RAY_{os.getpid()}"
CLUSTER = Path(__file__).parent.parent / "tests" / "workbench" / "engines" / "cluster.py"


@dataclass(frozen=True, slots=True)
class Costs:
    """Of one run: seconds between ends of warm episodes, CPU seconds of one, the rest's seconds."""

    gaps_s: list[float]
    cpu_s: float
    rest_s: float


async def costs(engine: EngineName, limit: int, out: Path, others: set[int]) -> Costs:
    """Run an evaluation, and look at its CPU time when it is warm and when its last row is there.

    Args:
        others: processes that do not count.
    """
    asked = Evaluation.model_validate(
        {"suites": [{"name": "power", "limit": limit}], "policies": ["reference"], "parallel": 2}
    )
    request = RunRequest(asked, out, engine=engine)
    quiet = Console(file=io.StringIO())
    begun = time.perf_counter()
    running = asyncio.create_task(run_suites(request, home_folder(), quiet))
    warm, used_s = await used_at(limit // 8, running, out, others)
    last, used_in_all_s = await used_at(limit, running, out, others)
    await running
    taken = time.perf_counter() - begun
    # watching closely would cost as much as an episode: a transcript's own time is its end
    ends = sorted(path.stat().st_mtime for path in (out / "episodes").glob("*.ipynb"))[warm:]
    gaps = [end - before for before, end in pairwise(ends)]
    rest = taken - statistics.mean(gaps) * limit
    return Costs(gaps, (used_in_all_s - used_s) / (last - warm), rest)


async def used_at(
    episodes: int, running: asyncio.Task[RunFolder], out: Path, others: set[int]
) -> tuple[int, float]:
    """Wait until so many episodes are finished; return how many are, and the CPU seconds so far."""
    rows, done = out / "episodes.jsonl", 0
    while done < episodes and not running.done():
        await asyncio.sleep(0.05)
        done = rows.read_bytes().count(b"\n") if rows.exists() else 0
    return done, machine_cpu_s() - cpu_s(others)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--episodes", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    open_suite("power", home_folder())
    os.environ[MARK] = "1"  # for all that is started from here on
    with (
        tempfile.TemporaryDirectory() as scratch,
        subprocess.Popen(  # noqa: ASYNC220 (nothing else goes on)
            [sys.executable, str(CLUSTER), "2", "1"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        ) as cluster,
    ):  # fmt: skip
        assert cluster.stdout is not None
        told = next(line for line in cluster.stdout if line.startswith("address"))
        os.environ["RAY_ADDRESS"] = told.split()[1]
        rays = marked(MARK) - {os.getpid()}
        found: dict[EngineName, list[Costs]] = {"local": [], "ray": []}
        for number in range(asked.rounds):
            for engine, all_costs in found.items():
                out = Path(scratch) / f"{engine}-{number}"
                others = rays if engine == "local" else set()
                all_costs.append(await costs(engine, asked.episodes, out, others))
        await asyncio.sleep(SETTLE_S)  # Ray ends what it had started for the last run
        before = cpu_s(rays)
        await asyncio.sleep(IDLE_S)
        idle = (cpu_s(rays) - before) / IDLE_S
        cluster.communicate()
    for engine, all_costs in found.items():
        cpu = ", ".join(f"{1e3 * one.cpu_s:.1f}" for one in all_costs)
        rest = ", ".join(f"{one.rest_s:.1f}" for one in all_costs)
        gaps = tuple(1e3 * gap for one in all_costs for gap in one.gaps_s)
        print(Timing(f"{engine}: between ends of episodes", gaps).line())
        print(f"{engine}: CPU an episode, by round: {cpu} ms; start and end of a run: {rest} s")
    pace = [statistics.mean(one.gaps_s) for one in found["ray"]]
    print(
        f"ray: {1e3 * idle:.0f} ms of CPU a second when nothing runs (over {IDLE_S:g} s), so "
        + ", ".join(f"{1e3 * idle * gap:.1f}" for gap in pace) + " ms an episode of its CPU"
    )  # fmt: skip
    wall = more([statistics.mean(one.gaps_s) for one in found[engine]] for engine in found)
    local = [one.cpu_s for one in found["local"]]
    rays_cpu = [one.cpu_s for one in found["ray"]]
    busy = [one - idle * gap for one, gap in zip(rays_cpu, pace, strict=True)]
    shares = {
        "time": wall, "CPU": more((local, rays_cpu)), "CPU without the idle": more((local, busy))
    }  # fmt: skip
    for name, rounds in shares.items():
        print(
            f"ray over local, {name} of an episode: median {statistics.median(rounds):+.1%} of "
            f"n={len(rounds)} rounds, {min(rounds):+.1%} to {max(rounds):+.1%}"
        )
    print(f"load {os.getloadavg()[0]:.1f}")
    if statistics.median(wall) > MOST_OVERHEAD:
        sys.exit(f"missed: at most {MOST_OVERHEAD:.0%} more time")


def more(found: Iterable[list[float]]) -> list[float]:
    """By round, how much more the second engine took than the first, as a share."""
    return [ray / local - 1 for local, ray in zip(*found, strict=True)]


if __name__ == "__main__":
    asyncio.run(main())
