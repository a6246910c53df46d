"""A large image: preparing it beside writing a plain pickle, and starting a kernel on it.

python benchmarks/bench_image.py [ROWS]
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from bench_lookup import table
from measure import Timing, repeat

from benchside_kernels.image import HOME_VARIABLE, ImageSource, build_image, images_folder
from benchside_kernels.makers import open_kernels
from benchside_kernels.session import KernelSession

STARTS = 20


async def main(home: Path) -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000_000
    events = table(rows)
    plain = home / "plain.pkl"
    started = time.perf_counter()
    events.to_pickle(plain)
    pickled = Timing("a plain pickle", ((time.perf_counter() - started) * 1e3,))
    started = time.perf_counter()
    image = build_image(ImageSource("bench", {"events": events}), images_folder(home))
    prepared = Timing("preparing the image", ((time.perf_counter() - started) * 1e3,))
    size = sum(path.stat().st_size for path in image.folder.rglob("*")) / 2**20
    print(f"{rows:,} rows, 7 columns, {size:,.0f} MiB")
    print(pickled.line())
    print(prepared.line(pickled))
    del events

    async def read() -> None:
        pd.read_pickle(plain)

    async with open_kernels() as maker:

        async def start() -> None:
            async with KernelSession(image, maker=maker, memory_mib=4096) as session:
                result = await session.run("len(events)", 60)
                assert result.status == "ok", result

        reading = await repeat("reading the plain pickle", 3, read)
        print(reading.line())
        timing = await repeat("a kernel with the data, to its first result", STARTS, start)
        print(timing.line(reading))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        os.environ[HOME_VARIABLE] = scratch  # kernels look for images there
        asyncio.run(main(Path(scratch)))
