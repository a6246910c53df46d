"""Kernels: start to first reply, cell round trip, ten-cell episodes; against a stock cold start.

    python benchmarks/bench_kernels.py

The baseline is a cold ipykernel started through jupyter_client that imports the same modules and
loads the same tables, measured in the same run.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from jupyter_client.manager import AsyncKernelManager
from measure import Timing, repeat

from benchside_kernels.backend import KernelMaker
from benchside_kernels.forked import ForkedKernels
from benchside_kernels.image import (
    ImageSource,
    KernelImage,
    build_image,
    images_folder,
    prepare_font_cache,
)
from benchside_kernels.sandbox import sandbox_problem
from benchside_kernels.session import KernelSession
from benchside_kernels.stock import StockKernels

IMPORTS = (
    "import duckdb", "import numpy as np", "import pandas as pd", "import matplotlib.pyplot as plt",
)  # fmt: skip
ROWS = 1_400_000


def made_image(home: Path) -> KernelImage:
    """An image of about 110 MB: one long table of laboratory values."""
    draw = np.random.default_rng(0)
    labs = pd.DataFrame(
        {
            "subject_id": draw.integers(1, 40_000, ROWS),
            "itemid": draw.integers(50_000, 51_500, ROWS),
            "charttime": pd.Timestamp("2150-01-01")
            + pd.to_timedelta(draw.integers(0, 10**8, ROWS), "s"),
            "valuenum": draw.normal(7.4, 1.0, ROWS),
            "ref_low": draw.normal(5.0, 0.1, ROWS),
            "ref_high": draw.normal(9.0, 0.1, ROWS),
            "flags": draw.integers(0, 8, (ROWS,)),
            "rate": draw.random(ROWS),
            "dose": draw.random(ROWS),
            "weight": draw.random(ROWS),
        }
    )
    prepare_font_cache(home)
    return build_image(
        ImageSource("bench.labs", {"labs": labs}, imports=IMPORTS), images_folder(home)
    )


async def stock_cold_start(image: KernelImage) -> None:
    """What Jupyter itself does: cold ipykernel, wait until ready, import, load, first reply."""
    manager = AsyncKernelManager(transport="ipc")
    await manager.start_kernel(env={**os.environ, "OMP_NUM_THREADS": "1"})
    client = manager.client()
    client.start_channels()
    await client.wait_for_ready(timeout=60)
    load = "\n".join(
        [*IMPORTS, f"labs = pd.read_pickle({str(image.folder / 'plain.pkl')!r})", "1 + 1"]
    )
    await client.execute_interactive(load, timeout=60, output_hook=lambda _: None)
    client.stop_channels()
    await manager.shutdown_kernel(now=True)


async def starts(name: str, image: KernelImage, maker: KernelMaker, n: int) -> Timing:
    """From the request to the first reply; closing the kernel is not counted."""
    times = []
    for _ in range(n + 1):  # the first one starts the zygote and does not count
        started = time.perf_counter()
        async with KernelSession(image, maker=maker) as session:
            assert (await session.run("1 + 1")).status == "ok"
            times.append((time.perf_counter() - started) * 1e3)
    return Timing(name, tuple(times[1:]))


async def cells(name: str, image: KernelImage, maker: KernelMaker, n: int) -> Timing:
    async with KernelSession(image, maker=maker) as session:

        async def one() -> None:
            assert (await session.run("1 + 1")).status == "ok"

        return await repeat(name, n, one)


async def episodes_per_second(image: KernelImage, maker: KernelMaker, seconds: float) -> float:
    """Ten-cell episodes, four at a time."""
    deadline = time.monotonic() + seconds
    done = 0

    async def worker() -> None:
        nonlocal done
        while time.monotonic() < deadline:
            async with KernelSession(image, maker=maker) as session:
                for _ in range(10):
                    await session.run("1 + 1")
            done += 1

    started = time.monotonic()
    await asyncio.gather(*(worker() for _ in range(4)))
    return done / (time.monotonic() - started)


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        image = await asyncio.to_thread(made_image, Path(folder))
        labs = image.load_variables()["labs"]
        labs.to_pickle(image.folder / "plain.pkl")
        print(
            f"tables: {labs.memory_usage().sum() / 1e6:.0f} MB in memory; cores: {os.cpu_count()}"
        )
        name = "cold ipykernel, imports and data (jupyter_client)"
        cold = await repeat(name, 4, lambda: stock_cold_start(image))
        print(cold.line())
        await measure("stock kernel, level process", image, StockKernels(), 4, cold)
        if problem := sandbox_problem():
            print(f"forked kernels not measured: {problem}")
            return
        async with ForkedKernels() as forked:
            await measure("forked kernel, level sandbox", image, forked, 40, cold)
            rate = await episodes_per_second(image, forked, 10)
            print(f"ten-cell episodes, forked, four at a time: {rate:.1f}/s")


async def measure(name: str, image: KernelImage, maker: KernelMaker, n: int, cold: Timing) -> None:
    """Start to first reply beside a cold start, then the round trip of a cell."""
    print((await starts(name, image, maker, n)).line(cold))
    print((await cells(f"cell `1 + 1`, {name}", image, maker, 10 * n)).line())


if __name__ == "__main__":
    asyncio.run(main())
