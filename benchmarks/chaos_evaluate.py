"""`kill -9` at random points of evaluations; then compared with an undisturbed one.

    python benchmarks/chaos_evaluate.py --kills 100

One start in five is killed at a random time from its beginning on, the others at a random time
after their first sign of an episode. A run that has come to its end is compared and another one
begun, until there were so many kills. Episodes (ids, outcomes, rewards, turns) and cells (sources,
outputs, submissions) have to equal those of a run that nobody disturbed.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
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
    parser.add_argument("--limit", type=int, default=10, help="tasks of each of two suites")
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    generator = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "config.yaml").write_text(CONFIG % (asked.limit, asked.limit, asked.samples))
        undisturbed = folder / "undisturbed"
        assert evaluate(folder, undisturbed).wait() == 0
        kills = inside = runs = 0
        delays: list[float] = []
        started = time.monotonic()
        while kills < asked.kills:
            runs += 1
            disturbed = folder / f"disturbed-{runs}"
            while kills < asked.kills:
                before = rows(disturbed)
                begun = time.monotonic()
                if not killed(evaluate(folder, disturbed), disturbed, generator):
                    break  # done before it could be killed
                delays.append(time.monotonic() - begun)
                kills += 1
                inside += rows(disturbed) > before
            if rows(disturbed) == 0 or kills == asked.kills:
                assert evaluate(folder, disturbed).wait() == 0
            compare(undisturbed, disturbed)
            print(f"run {runs}: equal after {kills} kills in all", flush=True)
        delays.sort()
        print(
            f"{kills} kills, {delays[0]:.1f} to {delays[-1]:.1f} s after a start, median "
            f"{delays[len(delays) // 2]:.1f}, {inside} of them after an episode had ended in that "
            f"start: {runs} runs equal the undisturbed one; {time.monotonic() - started:.0f} s"
        )


def killed(process: subprocess.Popen[bytes], out: Path, generator: random.Random) -> bool:
    """Kill an evaluation at a random time; False where it came to its end before."""
    if generator.random() < 0.2:
        delay_s = generator.uniform(0, 3)
    else:
        delay_s, before = generator.uniform(0, 1.5), signs(out)
        while process.poll() is None and signs(out) == before:
            time.sleep(0.01)
    try:
        assert process.wait(delay_s) == 0
        return False
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True


def rows(folder: Path) -> int:
    """How many episodes are finished."""
    path = folder / "episodes.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def signs(folder: Path) -> tuple[int, set[str]]:
    """What changes as soon as a start mends the folder or an episode has its first turn."""
    return rows(folder), {path.name for path in folder.glob("turns/*")}


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


if __name__ == "__main__":
    main()
