"""What an episode costs on a Ray cluster beside the local engine, at equal cores.

    python benchmarks/bench_ray.py --episodes 400 --rounds 3

Two nodes of one core each on this machine, against the local engine with two episodes at a time, by
turns. Starts of engines and zygotes do not count: the clock runs from the first eighth of the
episodes to the last one. CPU is that of all processes, Ray's own too. Those work a little all the
time: only on an idle machine, where episodes come fast, do the figures tell of episodes. Ends with
1 where an episode takes more than 10% longer on the cluster, by the median of the rounds.
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
from process_tree import cpu_s, marked
from rich.console import Console

from benchside.commands import RunRequest, run_suites
from benchside.engines.engine import EngineName
from benchside.evaluation import Evaluation
from benchside.library import open_suite
from benchside_kernels.startup import home_folder

MOST_OVERHEAD = 0.10
MARK = f"BENCH_RAY_{os.getpid()}"
CLUSTER = Path(__file__).parent.parent / "tests" / "workbench" / "engines" / "cluster.py"


@dataclass(frozen=True, slots=True)
class Costs:
    """Of one run: seconds between ends of episodes, and CPU seconds an episode."""

    gaps_s: list[float]
    cpu_s: float


async def costs(engine: EngineName, limit: int, out: Path) -> Costs:
    """Run an evaluation and watch its rows."""
    asked = Evaluation.model_validate(
        {"suites": [{"name": "power", "limit": limit}], "policies": ["reference"], "parallel": 2}
    )
    request = RunRequest(asked, out, engine=engine)
    quiet = Console(file=io.StringIO())
    running = asyncio.create_task(run_suites(request, home_folder(), quiet))
    rows, warm, ends, before = out / "episodes.jsonl", limit // 8, [], 0.0
    while not running.done():
        await asyncio.sleep(0.005)
        done = rows.read_bytes().count(b"\n") if rows.exists() else 0
        if done >= warm and not ends:
            before = cpu_s({os.getpid(), *marked(MARK)})
        if done >= warm:
            ends += [time.perf_counter()] * (done - warm - len(ends) + 1)
        if done == limit:
            break
    used = cpu_s({os.getpid(), *marked(MARK)}) - before
    await running
    return Costs([end - begun for begun, end in pairwise(ends)], used / (limit - warm))


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--episodes", type=int, default=200)
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
        found: dict[EngineName, list[Costs]] = {"local": [], "ray": []}
        for number in range(asked.rounds):
            for engine, all_costs in found.items():
                out = Path(scratch) / f"{engine}-{number}"
                all_costs.append(await costs(engine, asked.episodes, out))
        cluster.communicate()
    for engine, all_costs in found.items():
        cpu = ", ".join(f"{1e3 * one.cpu_s:.1f}" for one in all_costs)
        gaps = tuple(1e3 * gap for one in all_costs for gap in one.gaps_s)
        print(Timing(f"{engine}: between ends of episodes", gaps).line())
        print(f"{engine}: CPU an episode, by round: {cpu} ms")
    wall = more([statistics.mean(one.gaps_s) for one in found[engine]] for engine in found)
    cpu_more = more([one.cpu_s for one in found[engine]] for engine in found)
    for name, rounds in (("time", wall), ("CPU", cpu_more)):
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
