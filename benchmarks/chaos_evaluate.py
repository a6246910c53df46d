"""`kill -9` at random points of an evaluation; then compared with an undisturbed one.

    python benchmarks/chaos_evaluate.py --kills 100 --samples 4

Each start of the evaluation is killed after a random time, so many times or until it is done. Then
it is resumed to its end. Episodes (ids, outcomes, rewards, turns) and cells (sources, outputs,
submissions) have to equal those of a run that nobody disturbed.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

import benchside

CONFIG = """
suites: [{name: power, limit: %d}, {name: cohorts, limit: %d}]
policies: [reference, constant, dump]
samples: %d
parallel: 2
"""
EPISODE = [
    "episode_id",
    "task_hash",
    "policy",
    "sample",
    "outcome",
    "reward",
    "end_reason",
    "turns",
]
CELL = ["episode_id", "turn", "source", "status", "error", "text", "submitted"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--limit", type=int, default=200, help="tasks of each of two suites")
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    generator = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "config.yaml").write_text(CONFIG % (asked.limit, asked.limit, asked.samples))
        undisturbed, disturbed = folder / "undisturbed", folder / "disturbed"
        evaluate(folder, undisturbed).wait()
        kills = inside = 0
        while kills < asked.kills:
            before = rows(disturbed)
            process = evaluate(folder, disturbed)
            try:
                process.wait(generator.uniform(0.5, 12))
                break  # done before it could be killed
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
            kills += 1
            inside += rows(disturbed) > before
        assert evaluate(folder, disturbed).wait() == 0
        compare(undisturbed, disturbed)
        print(f"{kills} kills, {inside} of them after an episode had ended in that start: equal")


def rows(folder: Path) -> int:
    """How many episodes are finished."""
    path = folder / "episodes.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def evaluate(folder: Path, out: Path) -> subprocess.Popen[bytes]:
    """Start or resume."""
    resume = ["--resume"] if (out / "run.json").exists() else []
    code = "from benchside.cli import main; main()"
    arguments = ["evaluate", str(folder / "config.yaml"), "--out", str(out), *resume]
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def compare(first: Path, second: Path) -> None:
    """Fail with the first difference."""
    runs = [benchside.load_run(path) for path in (first, second)]
    assert runs[1].defects == (), runs[1].defects
    for columns, frames in ((EPISODE, [r.episodes for r in runs]), (CELL, [r.cells for r in runs])):
        keys = columns[:1] if columns is EPISODE else columns[:2]
        ordered = [frame[columns].sort_values(keys, ignore_index=True) for frame in frames]
        pd.testing.assert_frame_equal(*ordered)
        print(f"{len(ordered[0])} equal rows of {len(columns)} columns")


if __name__ == "__main__":
    main()
