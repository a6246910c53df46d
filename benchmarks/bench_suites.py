"""Making questions: generated patients and verified tasks a second, for each synthetic suite.

python benchmarks/bench_suites.py [SIZE]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from benchside.library import prepare

SUITES = ("wards", "units", "registry")


def main() -> None:
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 1500
    for name in SUITES:
        with tempfile.TemporaryDirectory() as home:
            began, used = time.perf_counter(), time.process_time()
            suite = prepare(name, Path(home), size=size)
            wall, cpu = time.perf_counter() - began, time.process_time() - used
        count = len(suite.tasks)
        rate = count / cpu
        print(f"{name:10} {count} tasks: {wall:.1f} s wall, {cpu:.1f} s of a core, {rate:.0f} a s")


if __name__ == "__main__":
    main()
