"""Start of a bare stock kernel to its first answer: asked for, and started ahead.

    python benchmarks/bench_stock.py

The baseline is the start that is asked for, in the same run.
"""

from __future__ import annotations

import asyncio
import time

from measure import Timing

from benchside_kernels.session import KernelSession
from benchside_kernels.stock import StockKernels

ROUNDS = 5
REFILL_S = 4.0


async def starts(name: str, stock: int) -> Timing:
    """Starts to the first answer; the stock fills up in between, as while a model thinks."""
    times = []
    async with StockKernels(stock=stock) as maker:
        async with KernelSession(maker=maker):
            pass
        for _ in range(ROUNDS):
            await asyncio.sleep(REFILL_S)
            begun = time.perf_counter()
            async with KernelSession(maker=maker) as session:
                assert (await session.run("1")).status == "ok"
                times.append((time.perf_counter() - begun) * 1e3)
    return Timing(name, tuple(times))


async def main() -> None:
    asked = await starts("stock kernel, bare, when asked for", 0)
    print(asked.line())
    print((await starts("stock kernel, bare, started ahead", 1)).line(asked))


if __name__ == "__main__":
    asyncio.run(main())
