"""Loading a suite of 72,000 tasks: time, memory, looking up, beside parsing every line.

The suite is synthetic; each measurement of memory has a process of its own.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import Timing

from benchside.batch import select
from benchside.build_record import BuildHashes, BuildRecord, Contents, Cost
from benchside.library import load_suite
from benchside.manifests import manifest
from benchside.task import AnswerSchema, GraderRef, TaskSpec

TASKS = 72_000
ROUNDS = 5
PROMPT = "What is the mean age of the patients whose first stay was in ward {}? " * 12


def write_suite(home: Path) -> None:
    """A build of `power` in form, with synthetic tasks."""
    described = manifest("power")
    folder = home / "suites" / "power" / "synthetic"
    folder.mkdir(parents=True)
    lines = [
        TaskSpec(
            task_id=f"task-{number:06d}", suite="power", version=described.version,
            category=f"category {number % 40}", split=("train", "valid", "test")[number % 3],
            group=f"group-{number % 500}", image="power.none",
            prompt=PROMPT.replace("{}", str(number)),
            answer=AnswerSchema(kind="number", description="the mean age", unit="years"),
            grader=GraderRef(name="number", params={"abs_tol": 0.05}), licence="Apache-2.0",
        ).model_dump_json() + "\n"
        for number in range(TASKS)
    ]  # fmt: skip
    content = "".join(lines).encode()
    (folder / "tasks.jsonl").write_bytes(content)
    hashes = BuildHashes(tasks=hashlib.sha256(content).hexdigest(), answers="")
    record = BuildRecord(
        build="synthetic", recipe="", seed=0, size=TASKS, data={}, images={}, hashes=hashes,
        counts={}, cost=Cost(wall_s=0, cpu_s=0, peak_mib=0),
        contents=Contents(tasks=TASKS, splits={}, categories=40, verified=0, vacuous=0),
    )  # fmt: skip
    (folder / "build.json").write_text(record.model_dump_json())


def measure(home: Path, what: str) -> None:
    """Do one thing and print its time and this process's peak memory."""
    started, started_cpu = time.perf_counter(), time.process_time()
    if what == "every line parsed and kept":
        with (home / "suites/power/synthetic/tasks.jsonl").open(newline="\n") as file:
            kept = [TaskSpec.model_validate_json(line) for line in file]
        assert len(kept) == TASKS
    else:
        suite = load_suite("power", home, build="synthetic")
        assert len(suite.tasks) == TASKS
        if what == "load, look up 1,000 tasks":
            for number in range(0, TASKS, TASKS // 1000):
                assert suite.task(f"task-{number:06d}").task_id.endswith(f"{number:06d}")
        elif what == "load, select 400 over all categories":
            assert len(select(suite, None, 400)) == 400
    taken, cpu = time.perf_counter() - started, time.process_time() - started_cpu
    print(json.dumps([1e3 * taken, 1e3 * cpu, peak_mib()]))


def peak_mib() -> float:
    """Peak resident memory; `getrusage` would count the parent's, which survives the exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        write_suite(home)
        baseline = None
        for what in (
            "every line parsed and kept", "load", "load, look up 1,000 tasks",
            "load, select 400 over all categories",
        ):  # fmt: skip
            command = [sys.executable, __file__, scratch, what]
            told = [subprocess.check_output(command) for _ in range(ROUNDS)]
            taken, cpu, peak = zip(*map(json.loads, told), strict=True)
            timing = Timing(what, taken)
            print(timing.line(baseline))
            print(f"  CPU p50 {statistics.median(cpu):.0f} ms, peak {max(peak):.0f} MiB")
            baseline = baseline or timing


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure(Path(sys.argv[1]), sys.argv[2])
    else:
        main()
