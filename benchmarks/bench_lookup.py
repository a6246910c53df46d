"""`request_info` on a table of millions of rows: making the index, and each question beside a scan.

python benchmarks/bench_lookup.py [ROWS]

The scan does in pandas what the reference system does for each question, on data in memory.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pandas as pd
from measure import repeat
from rapidfuzz import fuzz, process

from benchside.lookup.index import open_index
from benchside_kernels.image import ImageSource, build_image

SYLLABLES = ("car", "do", "pril", "zo", "le", "me", "tho", "ben", "sta", "tin", "ami", "cil")


def table(rows: int) -> pd.DataFrame:
    """Events of a hospital: ids, times, 50,000 labels of three to six syllables, values, units."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 7, 50_000)
    labels = np.unique(["".join(rng.choice(SYLLABLES, size)) for size in lengths])
    seconds = rng.integers(0, 10**8, rows)
    return pd.DataFrame(
        {
            "row_id": np.arange(rows),
            "subject_id": rng.integers(10_000, 60_000, rows),
            "itemid": rng.integers(200_000, 230_000, rows),
            "charttime": pd.Timestamp("2100-01-01") + pd.to_timedelta(seconds, unit="s"),
            "label": labels[rng.integers(0, len(labels), rows)],
            "valuenum": rng.normal(100, 20, rows).round(1),
            "valueuom": np.array(["mg/dl", "mmol/l", "units"])[rng.integers(0, 3, rows)],
        }
    )


async def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    events = table(rows)
    label = str(events.label[0])
    misspelt, part, number = f"{label[:3]}x{label[3:]}", label[2:8], int(events.subject_id[0])
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        image = build_image(ImageSource("bench", {"events": events}), home / "images")
        started, cpu = time.perf_counter(), time.process_time()
        index = open_index(image, home)
        taken, used = time.perf_counter() - started, time.process_time() - cpu
        size = index.path.stat().st_size / 2**20
        print(
            f"{rows:,} rows, 7 columns: indexed in {taken:.1f} s (CPU {used:.1f} s), {size:.0f} MiB"
        )
        text = events.label
        asked: list[tuple[str, Callable[[], object], Callable[[], object]]] = [
            ("text equal to a term", lambda: index.exact(label), lambda: text[text == label].size),
            (
                "number in any column", lambda: index.exact(str(number)),
                lambda: [(events[c] == number).sum() for c in ("row_id", "subject_id", "itemid")],
            ),
            (
                "texts that contain a term", lambda: index.containing(part),
                lambda: text[text.str.contains(part, regex=False)].value_counts().to_dict(),
            ),
            (
                "texts near a term", lambda: index.near(misspelt),
                lambda: process.extract(
                    misspelt, text.unique(), scorer=fuzz.WRatio, score_cutoff=80, limit=20
                ),
            ),
            ("columns of a table", lambda: index.columns("events"), events.nunique),
        ]  # fmt: skip
        for name, ask, scan in asked:
            slow = await repeat(f"  by a scan: {name}", 3, _async(scan))
            print((await repeat(f"request_info: {name}", 30, _async(ask))).line(slow))
            print(slow.line())


def _async(work: Callable[[], object]) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        work()

    return run


if __name__ == "__main__":
    asyncio.run(main())
