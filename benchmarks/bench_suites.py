"""Making questions: verified tasks a second for each synthetic suite, beside loading them.

python benchmarks/bench_suites.py [SIZE]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from measure import Timing

from benchside.library import load_suite, prepare

SUITES = ("wards", "units", "registry")
ROUNDS = 3


def main() -> None:
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 600
    for name in SUITES:
        made, loaded, cores = [], [], 0.0
        for seed in range(ROUNDS):
            with tempfile.TemporaryDirectory() as home:
                began, used = time.perf_counter(), time.process_time()
                prepare(name, Path(home), size=size, seed=seed)
                made.append(1e3 * (time.perf_counter() - began))
                cores += time.process_time() - used
                began = time.perf_counter()
                assert len(list(load_suite(name, Path(home)).tasks)) > size / 2
                loaded.append(1e3 * (time.perf_counter() - began))
        print(Timing(f"{name}: {size} tasks made", tuple(made)).line())
        print(Timing(f"{name}: all of them loaded and parsed", tuple(loaded)).line())
        rate = ROUNDS * size / cores
        print(f"{name}: {rate:.0f} tasks a second of a core; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
