"""Soak: many short episodes, some that misbehave; says what has grown, and fails if anything has.

    python benchmarks/soak_kernels.py --episodes 20000

Of every hundred episodes four fork their kernel, two time out, two end their kernel, one floods and
one cannot be interrupted; each runs `--cells` cells besides. Counts are taken while no episode
runs, the first after a tenth of the episodes: until then zygotes start and memory settles.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from process_tree import below, descriptors, memory_mib, named, supervisors, zygotes

from benchside_kernels.forked import ForkedKernels
from benchside_kernels.sandbox import sandbox_problem
from benchside_kernels.session import KernelSession

SETTLE_S = 1.5
RSS_TOLERANCE_MIB = 16.0
"""Allocators keep what peaks have needed; a leak of 1 KiB an episode exceeds this in 16,000."""
STUBBORN = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
SPECIAL = {
    11: "fork", 36: "fork", 61: "fork", 86: "fork", 5: "timeout", 55: "timeout", 20: "death",
    70: "death", 40: "flood", 90: "stubborn",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sample:
    """What there is between two batches of episodes; memory in MiB."""

    runner_rss: float
    supervisor_rss: float
    zygotes_rss: float
    descriptors: int
    mounts: int
    processes: int
    temporary_files: int

    @classmethod
    def take(cls) -> Sample:
        """Look at this process and at all below it."""
        (supervisor,) = supervisors()
        inner = [*named(supervisor, "bs-root"), *zygotes(supervisor)]
        return cls(
            runner_rss=memory_mib(os.getpid(), "Rss"),
            supervisor_rss=memory_mib(supervisor, "Rss"),
            zygotes_rss=sum(memory_mib(pid, "Rss") for pid in inner),
            descriptors=sum(map(descriptors, (os.getpid(), supervisor, *inner))),
            mounts=len(Path("/proc/self/mounts").read_text().splitlines()),
            processes=len(below(os.getpid())),
            temporary_files=len(list(Path(tempfile.gettempdir()).rglob("*"))),
        )

    def grown_since(self, first: Sample) -> list[str]:
        """Name what has grown: memory beyond what allocators keep, anything else at all."""
        grown = []
        for name, before in asdict(first).items():
            now = getattr(self, name)
            allowed = RSS_TOLERANCE_MIB if name.endswith("rss") else 0
            if now > before + allowed:
                grown.append(f"{name}: {before:g} -> {now:g}")
        return grown


async def episode(maker: ForkedKernels, number: int, cells: int) -> str:
    """Run one episode; return what became of it, as far as it is as it should be."""
    kind = SPECIAL.get(number % 100, "plain")
    async with KernelSession(maker=maker, seed=number) as session:
        for cell in range(cells):
            result = await session.run(f"x = {cell}; x + 1")
            if result.status != "ok":
                return f"plain cell: {result.status}: {result.note}"
        if kind == "fork":
            async with await session.fork() as copy:
                results = await asyncio.gather(session.run("x"), copy.run("x"))
                statuses = tuple(result.status for result in results)
            return kind if statuses == ("ok", "ok") else f"fork: {statuses}"
        if kind == "plain":
            return kind
        source, wanted = {
            "timeout": ("while True: pass", ("timeout", True)),
            "stubborn": (STUBBORN, ("timeout", False)),
            "death": ("import os; os._exit(3)", ("dead", False)),
            "flood": ("for n in range(20_000): print('x' * 1000)", ("ok", True)),
        }[kind]
        result = await session.run(source, timeout_s=30 if kind in ("flood", "death") else 0.3)
        found = (result.status, result.state_survived)
        return kind if found == wanted else f"{kind}: {found}: {result.note}"


async def batch(maker: ForkedKernels, numbers: range, cells: int, at_once: int) -> Counter[str]:
    """Run episodes `at_once`; count what became of them."""
    left, outcomes = iter(numbers), Counter[str]()

    async def worker() -> None:
        for number in left:
            outcomes[await episode(maker, number, cells)] += 1

    await asyncio.gather(*(worker() for _ in range(at_once)))
    return outcomes


async def main(arguments: argparse.Namespace) -> int:
    every = max(arguments.episodes // 10, 100)
    outcomes, first, started = Counter[str](), None, time.monotonic()
    async with ForkedKernels() as maker:
        await batch(maker, range(50), 1, 16)  # more at once than later: all zygotes start now
        for begin in range(0, arguments.episodes, every):
            numbers = range(begin, min(begin + every, arguments.episodes))
            before = time.monotonic()
            outcomes += await batch(maker, numbers, arguments.cells, arguments.at_once)
            rate = len(numbers) / (time.monotonic() - before)
            await asyncio.sleep(SETTLE_S)
            sample = Sample.take()
            first = first or sample
            print(f"{numbers.stop:>7} episodes, {rate:5.1f}/s  {_line(sample)}", flush=True)
    grown = sample.grown_since(first)
    wrong = {what: count for what, count in outcomes.items() if ":" in what}
    print(
        f"{outcomes.total()} episodes of {arguments.cells} cells, {arguments.at_once} at once, in "
        f"{time.monotonic() - started:.0f} s: {dict(outcomes)}"
    )
    print("grown: " + ("; ".join(grown) or "nothing"))
    print(f"not as they should be: {wrong or 'none'}")
    return 1 if grown or wrong else 0


def _line(sample: Sample) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in asdict(sample).items())


if __name__ == "__main__":
    if problem := sandbox_problem():
        sys.exit(f"no sandbox here: {problem}")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, default=20_000)
    parser.add_argument("--cells", type=int, default=2)
    parser.add_argument("--at-once", type=int, default=4)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TMPDIR"] = tempfile.tempdir = folder  # others' files are not ours to count
        sys.exit(asyncio.run(main(parser.parse_args())))
