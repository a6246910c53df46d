"""`Asker`: the episode on whose behalf a model is being asked, as deep as the call may stand.

A context variable, since scaffolds and plain completions ask models without a conversation. It
holds what a model's answer may depend on (the sample) and the episode's time, which stands still
while a policy waits for a server that is busy or failing: that is not the policy's time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True)
class Clock:
    """When an episode's time is up.

    Args:
        deadline: by `time.monotonic`; moved by what was waited for a server.
    """

    deadline: float
    _limit: asyncio.Timeout | None = None
    _held: int = 0
    _held_since: float = 0.0

    @property
    def left_s(self) -> float:
        """What is left, as of now."""
        return self.deadline - time.monotonic()

    @contextmanager
    def limiting(self, limit: asyncio.Timeout) -> Iterator[None]:
        """Keep the timeout of a call at the deadline while that moves."""
        self._limit = limit
        try:
            yield
        finally:
            self._limit = None

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stand still; calls of one episode that wait side by side stop it once."""
        if self._held == 0:
            self._held_since = time.monotonic()
            self._set(None)
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            if self._held == 0:
                self.give_back(time.monotonic() - self._held_since)

    def give_back(self, seconds: float) -> None:
        """Add time that a server has wasted."""
        self.deadline += seconds
        if self._held == 0:
            self._set(asyncio.get_running_loop().time() + self.left_s)

    def _set(self, when: float | None) -> None:
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(when)


@dataclass(frozen=True, slots=True)
class Asker:
    """An episode that asks.

    Args:
        sample: number of the episode among those of its task and policy.
    """

    sample: int = 0
    clock: Clock = field(default_factory=lambda: Clock(float("inf")))


_ASKER: ContextVar[Asker | None] = ContextVar("benchside_asker", default=None)


def asker() -> Asker:
    """Return who asks; outside of an episode somebody with unlimited time."""
    return _ASKER.get() or Asker()


@contextmanager
def asking(episode: Asker) -> Iterator[None]:
    """Let all calls within be on behalf of an episode."""
    token = _ASKER.set(episode)
    try:
        yield
    finally:
        _ASKER.reset(token)
