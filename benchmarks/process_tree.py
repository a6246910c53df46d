"""The processes below this one, and what they hold: for benchmarks, soak and chaos."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def children(pid: int) -> list[int]:
    """Direct children of a process, in the order in which they were started."""
    try:
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    except OSError:  # it has just ended
        return []


def below(root: int) -> list[int]:
    """All processes below `root`."""
    found = children(root)
    return [*found, *(pid for child in found for pid in below(child))]


def is_running(pid: int) -> bool:
    """False also for a zombie, which waits for the system's own init."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def supervisors() -> list[int]:
    """Supervisors that this process has started, oldest first."""
    return [pid for pid in children(os.getpid()) if _is(pid, "supervisor.main")]


def named(root: int, name: str) -> list[int]:
    """Processes below `root` with a name: bs-root, bs-nursery, bs-zygote-outer, bs-zygote."""
    return [pid for pid in below(root) if _name(pid) == name]


def zygotes(supervisor: int) -> list[int]:
    """The zygotes of a supervisor; their children are kernels."""
    return named(supervisor, "bs-zygote")


def inits(supervisor: int) -> list[int]:
    """The inits of its kernels: children of cradles, which are children of the root."""
    cradles = [
        pid for root in named(supervisor, "bs-root") for pid in children(root)
        if _name(pid) == "bs-cradle"
    ]  # fmt: skip
    return [pid for cradle in cradles for pid in children(cradle)]


def descriptors(pid: int) -> int:
    """How many descriptors a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def memory_mib(pid: int, field: str) -> float:
    """One of a process's sums by the system: Rss, Pss, or "Uss", which nobody shares."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.partition(":")[0]: int(line.split()[1]) / 1024 for line in lines}
    if field == "Uss":
        return sizes["Private_Clean"] + sizes["Private_Dirty"]
    return sizes[field]


def total_mib(pids: Iterable[int], field: str) -> float:
    """The sum over processes; those that have ended count nothing."""
    total = 0.0
    for pid in pids:
        try:
            total += memory_mib(pid, field)
        except (OSError, KeyError):
            continue
    return total


def marked(text: str) -> set[int]:
    """Processes with a text in their environment, and all below them.

    Ray's workers are no children of whoever started the node; they have its environment.
    """
    found = set()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if text.encode() in (place / "environ").read_bytes():
                found |= {int(place.name), *below(int(place.name))}
        except OSError:  # it has just ended
            continue
    return found


def cpu_s(pids: Iterable[int]) -> float:
    """CPU time of processes, and of their children that have ended and were waited for."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def machine_cpu_s() -> float:
    """CPU time of all that runs on the machine: also of processes whose end nobody waits for."""
    user, nice, system, _, _, *interrupts = Path("/proc/stat").read_text().split(maxsplit=8)[1:8]
    ticks = sum(map(int, (user, nice, system, *interrupts)))
    return ticks / os.sysconf("SC_CLK_TCK")


def available_mib() -> float:
    """Memory of the machine that processes may still take."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("MemAvailable"))


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:  # it has just ended
        return ""


def _is(pid: int, what: str) -> bool:
    try:
        return what in Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return False
