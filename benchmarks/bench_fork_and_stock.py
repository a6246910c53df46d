"""Starts with and without stock, forks of live episodes, starts and episodes per second.

    python benchmarks/bench_fork_and_stock.py

Kernels have pandas, numpy, duckdb and matplotlib imported and about 110 MB of tables; the baseline
is a cold ipykernel with the same, measured in the same run.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench_kernels import cells, episodes_per_second, made_image, starts, stock_cold_start
from measure import Timing, repeat

from benchside_kernels.forked import ForkedKernels
from benchside_kernels.image import KernelImage
from benchside_kernels.sandbox import sandbox_problem
from benchside_kernels.session import KernelSession

REFILL_S = 0.15


async def starts_from_stock(image: KernelImage, maker: ForkedKernels, n: int) -> Timing:
    """As `starts`, with a pause in which the stock is filled again."""
    times = []
    for _ in range(n + 1):
        started = time.perf_counter()
        async with KernelSession(image, maker=maker) as session:
            assert (await session.run("1 + 1")).status == "ok"
            times.append((time.perf_counter() - started) * 1e3)
        await asyncio.sleep(REFILL_S)
    return Timing("start to first reply, from the stock", tuple(times[1:]))


async def forks(image: KernelImage, maker: ForkedKernels, n: int) -> tuple[Timing, Timing]:
    """Fork an episode that has worked on its tables: until the copy is ready, and has answered."""
    ready, answered = [], []
    async with KernelSession(image, maker=maker) as session:
        await session.run("means = labs.groupby('itemid').valuenum.mean()\nmeans.to_csv('m.csv')")
        for _ in range(n + 1):
            started = time.perf_counter()
            async with await session.fork() as copy:
                ready.append((time.perf_counter() - started) * 1e3)
                assert (await copy.run("len(means)")).status == "ok"
                answered.append((time.perf_counter() - started) * 1e3)
    return (
        Timing("fork of a live episode, until it is ready", tuple(ready[1:])),
        Timing("fork of a live episode, until its first reply", tuple(answered[1:])),
    )


async def rate(work: Callable[[], Awaitable[None]], seconds: float) -> float:
    """Pieces of work per second, four at a time."""
    deadline, done = time.monotonic() + seconds, 0

    async def worker() -> None:
        nonlocal done
        while time.monotonic() < deadline:
            await work()
            done += 1

    started = time.monotonic()
    await asyncio.gather(*(worker() for _ in range(4)))
    return done / (time.monotonic() - started)


async def main() -> None:
    if problem := sandbox_problem():
        print(f"not measured, no sandbox here: {problem}")
        return
    with tempfile.TemporaryDirectory() as folder:
        image = await asyncio.to_thread(made_image, Path(folder))
        labs = image.load_variables()["labs"]
        labs.to_pickle(image.folder / "plain.pkl")
        print(f"tables: {labs.memory_usage().sum() / 1e6:.0f} MB; cores: {os.cpu_count()}")
        name = "cold ipykernel, imports and data (jupyter_client)"
        cold = await repeat(name, 4, lambda: stock_cold_start(image))
        print(cold.line())
        async with ForkedKernels(stock=0) as maker:
            print(
                (await starts("start to first reply, without stock", image, maker, 40)).line(cold)
            )
        async with ForkedKernels() as maker:
            print((await starts_from_stock(image, maker, 40)).line(cold))
            print((await cells("cell `1 + 1`", image, maker, 400)).line())
            for timing in await forks(image, maker, 40):
                print(timing.line(cold))

            async def start() -> None:
                async with KernelSession(image, maker=maker):
                    pass

            print(f"sandboxed starts, four at a time: {await rate(start, 8):.1f}/s")
            per_second = await episodes_per_second(image, maker, 8)
            print(f"ten-cell episodes, four at a time: {per_second:.1f}/s")


if __name__ == "__main__":
    asyncio.run(main())
