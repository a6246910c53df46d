"""Processes below a test: whom to kill, and who must be gone."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path


def children(pid: int) -> list[int]:
    """Direct children of a process, in the order in which they were started."""
    task = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in task.read_text().split()] if task.exists() else []


def below(root: int) -> list[int]:
    """All processes below `root`."""
    found = children(root)
    return [*found, *(pid for child in found for pid in below(child))]


def named(root: int, name: str) -> list[int]:
    """Processes below `root` with a name: bs-root, bs-nursery, bs-zygote-outer."""
    return [pid for pid in below(root) if _name(pid) == name]


def zygote_processes(root: int) -> list[int]:
    """Zygotes below `root`, not by their name: a kernel bears it too until it has its own."""
    return [pid for outer in named(root, "bs-zygote-outer") for pid in children(outer)]


def _name(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:  # it has just ended
        return None


def is_running(pid: int) -> bool:
    """False also for a zombie, which waits for the system's own init."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def newest_child() -> int:
    """The process that this one has started last: the supervisor, in these tests."""
    return children(os.getpid())[-1]


def open_descriptors(pid: int | str = "self") -> int:
    """How many descriptors a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Wait for a condition; TimeoutError if it does not come."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.02)


async def gone(pids: Iterable[int], timeout_s: float = 5.0) -> None:
    """Wait until none of these processes runs."""
    left = list(pids)
    await until(lambda: not any(map(is_running, left)), timeout_s)


async def settled(count: Callable[[], tuple[int, ...]], still_s: float = 2.0) -> tuple[int, ...]:
    """Return counts once they have stayed the same for a while."""
    last, since = count(), time.monotonic()
    while time.monotonic() - since < still_s:
        await asyncio.sleep(0.05)
        if (now := count()) != last:
            last, since = now, time.monotonic()
    return last
