"""Memory of live idle kernels: of each, and of a thousand at once, all of which still answer.

    python benchmarks/bench_memory.py --kernels 1000

A kernel's own memory is its proportional share (PSS) with that of its init, since the two share
pages with each other; their share of what a thousand kernels have in common is small. The sum has
zygotes in it. The limit on open descriptors is raised as far as this user may.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

from bench_kernels import made_image
from process_tree import available_mib, below, children, inits, supervisors, total_mib, zygotes

from benchside_kernels.forked import ForkedKernels
from benchside_kernels.image import KernelImage
from benchside_kernels.sandbox import sandbox_problem
from benchside_kernels.session import KernelSession

AT_ONCE = 4
MEASURED = 30


async def measure(image: KernelImage, count: int) -> None:
    free = available_mib()
    async with ForkedKernels() as maker:
        sessions: list[KernelSession] = []
        wanted = iter(range(count))
        started = time.monotonic()

        async def start() -> None:
            for _ in wanted:
                session = await KernelSession(image, maker=maker).__aenter__()
                sessions.append(session)
                assert (await session.run("1 + 1")).status == "ok"

        try:
            await asyncio.gather(*(start() for _ in range(AT_ONCE)))
            seconds = time.monotonic() - started
            print(f"{count} kernels started in {seconds:.0f} s: {count / seconds:.1f}/s")
            (supervisor,) = supervisors()
            kernels = [pid for zygote in zygotes(supervisor) for pid in children(zygote)]
            pairs = zip(kernels[:MEASURED], inits(supervisor), strict=False)
            own = sorted(total_mib(pair, "Pss") for pair in pairs)
            print(
                f"memory of an idle kernel and its init (PSS)  n={len(own)}  p50 "
                f"{statistics.median(own):.1f}  p95 {own[int(0.95 * len(own))]:.1f} MiB"
            )
            print(
                f"all {len(below(os.getpid()))} processes: PSS "
                f"{total_mib(below(os.getpid()), 'Pss') / 1024:.2f} GiB; MemAvailable fell by "
                f"{(free - available_mib()) / 1024:.2f} GiB; {len(zygotes(supervisor))} zygotes"
            )
            answers = [await session.run("len(labs) > 0") for session in sessions]
            well = sum(answer.status == "ok" for answer in answers)
            print(f"still answering: {well} of {len(sessions)}")
            assert well == count
        finally:
            await asyncio.gather(*(session.close() for session in sessions))


async def main(count: int) -> None:
    if problem := sandbox_problem():
        print(f"not measured, no sandbox here: {problem}")
        return
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as folder:
        await measure(await asyncio.to_thread(made_image, Path(folder)), count)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernels", type=int, default=1000)
    asyncio.run(main(parser.parse_args().kernels))
