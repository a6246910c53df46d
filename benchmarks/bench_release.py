"""Memory and time of making EHRSQL's databases when the largest table of a release grows.

    python benchmarks/bench_release.py --mb 400 --rounds 3

Rows of the open demo's table are repeated until it has so many megabytes as CSV; the baseline has a
quarter of them, enough for more than one of the parts in which it is read. Every database is made
in a process of its own, of both by turns. Ends with 1 where memory grows by more than a quarter of
what the table does. Needs the demos in the folder that BENCHSIDE_DATA names.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchside.build_record import Cost, Meter
from benchside.library import DATA_VARIABLE
from benchside.manifests import manifest
from benchside.suite import BuildOptions
from benchside.suites.ehrsql.build import SOURCES
from benchside.suites.ehrsql.database import prepare_database

FOLDERS = {"ehrsql_mimic3": "mimic_iii_demo", "ehrsql_eicu": "eicu_demo"}
LARGEST = {
    "ehrsql_mimic3": "CHARTEVENTS.csv.xz",
    "ehrsql_eicu": "derived_vitalPeriodic_hourly.csv.gz",
}
MOST_GROWTH = 0.25  # MiB of memory a MB of the table


def blow_up(source: Path, target: Path, size: int) -> int:
    """Write a table again and again until the file has `size` bytes; return its rows."""
    table = pd.read_csv(source, dtype=str)
    table.to_csv(target, index=False)
    rows = len(table)
    body = target.read_bytes().partition(b"\n")[2]
    with target.open("ab") as file:
        while file.tell() < size:
            file.write(body)
            rows += len(table)
    return rows


def data_folder(name: str, demos: Path, data: Path, size: int) -> str:
    """Copy a demo, with its largest table blown up to a size; return what it is, in words."""
    folder = data / FOLDERS[name]
    shutil.copytree(demos / FOLDERS[name], folder, ignore=shutil.ignore_patterns("*.sqlite*"))
    packed = folder / LARGEST[name]
    table = packed.with_suffix("")
    packed.chmod(0o600)
    folder.chmod(0o700)
    rows = blow_up(packed, table, size)
    packed.unlink()
    return f"{name}: {rows:,} rows, {table.stat().st_size / 1e6:,.0f} MB"


def make(name: str, data: Path) -> None:
    """Make the database and print what that took."""
    with tempfile.TemporaryDirectory(dir=data) as scratch:
        meter = Meter()
        prepare_database(
            BuildOptions(manifest(name), data, Path(scratch), 0, None), SOURCES[name].schema, data
        )
        print(meter.cost().model_dump_json())


def measured(name: str, data: Path) -> Cost:
    """Make the database in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--make", name, str(data)],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return Cost.model_validate_json(done.stdout.splitlines()[-1])


def spread(values: Sequence[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):,.1f} ({min(values):,.1f} to {max(values):,.1f})"


def compare(name: str, demos: Path, scratch: Path, size_mb: int, rounds: int) -> bool:
    """Measure a demo at two sizes of its table; print, and return whether memory grew too much."""
    tables = [(mb, scratch / str(mb)) for mb in (size_mb // 4, size_mb)]
    labels = [data_folder(name, demos, data, mb * 10**6) for mb, data in tables]
    found: list[list[Cost]] = [[], []]
    for _ in range(rounds):
        for (_, data), costs in zip(tables, found, strict=True):
            costs.append(measured(name, data))
    for label, costs in zip(labels, found, strict=True):
        print(
            f"{label}: n={rounds}, {spread([one.wall_s for one in costs])} s, "
            f"CPU {spread([one.cpu_s for one in costs])} s, "
            f"peak {spread([one.peak_mib or 0 for one in costs])} MiB",
            flush=True,
        )
    few, many = (statistics.median(one.peak_mib or 0 for one in costs) for costs in found)
    print(f"{name}: {many - few:+,.1f} MiB of memory for the larger table")
    return many - few > MOST_GROWTH * 0.75 * size_mb


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mb", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--make", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.make is not None:
        make(asked.make[0], Path(asked.make[1]))
        return
    demos = Path(os.environ.get(DATA_VARIABLE, "."))
    there = [name for name, kind in FOLDERS.items() if (demos / kind / LARGEST[name]).exists()]
    if not there:
        sys.exit(f"nothing is measured: there are no demos in ${DATA_VARIABLE}")
    grown = []
    for name in there:
        with tempfile.TemporaryDirectory() as scratch:
            if compare(name, demos, Path(scratch), asked.mb, asked.rounds):
                grown.append(name)
    print(f"load {os.getloadavg()[0]:.1f}")
    if grown:
        sys.exit(f"missed: memory grows with the table of {', '.join(grown)}")


if __name__ == "__main__":
    main()
