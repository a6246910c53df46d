"""Timing of repeated work, printed as n, p50, p95 and ratio to a baseline of the same run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Times of one thing in milliseconds."""

    name: str
    times_ms: tuple[float, ...]

    @property
    def p50(self) -> float:
        """The median."""
        return statistics.median(self.times_ms)

    def line(self, baseline: Timing | None = None) -> str:
        """One line for people."""
        ordered = sorted(self.times_ms)
        p95 = ordered[min(int(0.95 * len(ordered)), len(ordered) - 1)]
        ratio = "" if baseline is None else f"  {baseline.p50 / self.p50:7.1f}x faster"
        return f"{self.name:<52} n={len(ordered):<4} p50 {self.p50:9.2f}  p95 {p95:9.2f} ms{ratio}"


async def repeat(name: str, n: int, work: Callable[[], Awaitable[None]]) -> Timing:
    """Time `n` runs of `work`, after one that does not count."""
    await work()
    times = []
    for _ in range(n):
        started = time.perf_counter()
        await work()
        times.append((time.perf_counter() - started) * 1e3)
    return Timing(name, tuple(times))
