"""Admission: lets kernels start as long as memory is left, so that their number adapts to it.

What a kernel will need is not known when it starts. So a start waits while the machine is short of
memory, by either of two signs, and goes on when running kernels have ended; the first one never
waits, so that work always goes on.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from pathlib import Path

from benchside_kernels import cgroup

RESERVED_SHARE = 0.08
MIN_RESERVED_MIB = 512.0
START_MIB = 48.0
"""Set aside for each kernel that has just started and not used its memory yet."""
SETTLE_S = 2.0
MAX_STALLED_PERCENT = 20.0
LOOK_EVERY_S = 0.1
LOOK_AGAIN_S = 0.5  # starts in a row need not each read what the system says


class Admission:
    """Memory that is there, and how many kernels have just started.

    Args:
        memory: returns total and available memory in MiB.
        stalled: returns the share of the last 10 s in which some task waited for memory, percent.
        start_mib: set aside for a kernel that has not used its memory yet.
    """

    def __init__(
        self,
        memory: Callable[[], tuple[float, float]] | None = None,
        stalled: Callable[[], float] | None = None,
        start_mib: float = START_MIB,
    ) -> None:
        self._start_mib = start_mib
        self._memory, self._stalled = memory or our_memory, stalled or memory_stalls
        self._recent: list[float] = []
        self._seen = (0.0, 0.0)
        self._looked = -math.inf
        self._turn = asyncio.Lock()

    def problem(self) -> str | None:
        """Why no kernel should start now; None if one may."""
        now = time.monotonic()
        if now - self._looked > LOOK_AGAIN_S:
            self._looked, self._seen = now, self._memory()
        total, available = self._seen
        reserved = reserved_mib(total)
        self._recent = [start for start in self._recent if now - start < SETTLE_S]
        free = available - reserved - self._start_mib * (len(self._recent) + 1)
        if free < 0:
            return f"{available:.0f} MiB of memory are free, {reserved:.0f} are kept back"
        if (stalled := self._stalled()) > MAX_STALLED_PERCENT:
            return f"processes waited for memory in {stalled:.0f}% of the last 10 s"
        return None

    async def enter(self, running: Callable[[], int], relieve: Callable[[], None]) -> None:
        """Wait, in order of arrival, until a kernel may start.

        Args:
            running: number of kernels that run.
            relieve: called when memory is short; gives up what is not needed at once.
        """
        async with self._turn:
            while self.problem() is not None:
                relieve()
                if running() == 0:
                    break
                await asyncio.sleep(LOOK_EVERY_S)
                self._looked = -math.inf
            self._recent.append(time.monotonic())


def reserved_mib(total: float) -> float:
    """What kernels leave of so much memory to all else, in MiB."""
    return max(total * RESERVED_SHARE, MIN_RESERVED_MIB)


def our_memory() -> tuple[float, float]:
    """Total and available memory in MiB: the machine's, or our cgroup's where that is tighter."""
    total, available = machine_memory()
    group = cgroup.own_memory()
    if group is None:
        return total, available
    return min(total, group[0]), min(available, group[1])


def machine_memory() -> tuple[float, float]:
    """Total and available memory of the machine in MiB, from /proc/meminfo; else without end."""
    if not Path("/proc/meminfo").exists():
        return 0.0, math.inf
    lines = Path("/proc/meminfo").read_text().splitlines()
    sizes = {line.partition(":")[0]: float(line.split()[1]) / 1024 for line in lines}
    return sizes["MemTotal"], sizes["MemAvailable"]


def memory_stalls() -> float:
    """Pressure stall information (docs.kernel.org/accounting/psi.html); 0 where there is none."""
    try:
        some = Path("/proc/pressure/memory").read_text().splitlines()[0]
    except OSError:
        return 0.0
    return float(some.split()[1].removeprefix("avg10="))
