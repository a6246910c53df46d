"""Memory and time of making EHRSQL's databases when the largest table of a release grows.

python benchmarks/bench_release.py [MB]     size of the blown-up table as CSV; 200 by default

Rows of the open demo's table are repeated; every database is made in a process of its own. Needs
the demos in the folder that BENCHSIDE_DATA names.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from benchside.build_record import Meter
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


def data_folders(name: str, demos: Path, scratch: Path, size: int) -> Iterator[tuple[str, Path]]:
    """The demo as it is, and with its largest table blown up."""
    for label, wanted in (("as it is", 0), ("blown up", size)):
        data = scratch / label.replace(" ", "-")
        folder = data / FOLDERS[name]
        shutil.copytree(demos / FOLDERS[name], folder, ignore=shutil.ignore_patterns("*.sqlite*"))
        packed = folder / LARGEST[name]
        table = packed.with_suffix("")
        packed.chmod(0o600)
        folder.chmod(0o700)
        rows = blow_up(packed, table, wanted)
        packed.unlink()
        yield f"{name} {label}: {rows:,} rows, {table.stat().st_size / 1e6:,.0f} MB", data


def measure(name: str, data: Path) -> None:
    """Make the database and print what that took."""
    with tempfile.TemporaryDirectory(dir=data) as scratch:
        meter = Meter()
        made = prepare_database(
            BuildOptions(manifest(name), data, Path(scratch), 0, None), SOURCES[name].schema, data
        )
        cost = meter.cost()
        size = made.path.stat().st_size / 1e6
    print(
        f"  database {size:,.0f} MB: {cost.wall_s:.1f} s, CPU {cost.cpu_s:.1f} s, "
        f"peak {cost.peak_mib or 0:,.0f} MiB"
    )


def main(size_mb: int) -> None:
    demos = Path(os.environ.get(DATA_VARIABLE, "."))
    for name, folder in FOLDERS.items():
        if not (demos / folder / LARGEST[name]).exists():
            print(f"{name}: left out, no {folder} in ${DATA_VARIABLE}")
            continue
        with tempfile.TemporaryDirectory() as scratch:
            for label, data in data_folders(name, demos, Path(scratch), size_mb * 10**6):
                print(label, flush=True)
                subprocess.run([sys.executable, __file__, name, str(data)], check=True)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure(sys.argv[1], Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
