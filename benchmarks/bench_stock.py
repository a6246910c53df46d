"""Start of a bare stock kernel, asked for and started ahead, in seconds."""

import asyncio
import statistics
import time

from benchside_kernels.session import KernelSession
from benchside_kernels.stock import StockKernels

ROUNDS = 5


async def starts(stock: int) -> list[float]:
    """Starts to the first answer; the stock fills up in between, as while a model thinks."""
    taken = []
    async with StockKernels(stock=stock) as maker:
        async with KernelSession(maker=maker):
            pass
        for _ in range(ROUNDS):
            await asyncio.sleep(4)
            begun = time.perf_counter()
            async with KernelSession(maker=maker) as session:
                await session.run("1")
                taken.append(time.perf_counter() - begun)
    return taken


async def main() -> None:
    asked, ahead = await starts(0), await starts(1)
    median = statistics.median(asked) / statistics.median(ahead)
    for name, taken in (("when asked for", asked), ("started ahead", ahead)):
        print(f"{name:15} median {statistics.median(taken):.3f} s, worst {max(taken):.3f} s")
    print(f"ratio of medians {median:.1f}")


asyncio.run(main())
