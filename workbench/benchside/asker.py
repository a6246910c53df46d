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

from benchside.policy import Usage

DRAWS_OF_A_SAMPLE = 1_000_000


@dataclass(slots=True)
class Clock:
    """When an episode's time is up.

    Args:
        deadline: by `time.monotonic`; moved by what was waited for a server. Time that several
            calls have waited side by side moves it once.
    """

    deadline: float
    _limit: asyncio.Timeout | None = None
    _held: int = 0
    _held_since: float = 0.0
    _returned: list[tuple[float, float]] = field(default_factory=list)  # apart, and in order

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
                self.give_back(self._held_since)

    def give_back(self, since: float) -> None:
        """Add the time from then until now, as a server has wasted it, but no part of it twice.

        Args:
            since: by `time.monotonic`.
        """
        now = time.monotonic()
        begin, known = since, 0.0
        while self._returned and self._returned[-1][1] > since:
            first, last = self._returned.pop()
            known += last - max(first, since)
            begin = min(begin, first)
        self._returned.append((begin, now))
        self.deadline += now - since - known
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
        spent: what models have cost on the way to this action; all that is left of it where the
            action fails.
    """

    sample: int = 0
    clock: Clock = field(default_factory=lambda: Clock(float("inf")))
    spent: list[Usage] = field(default_factory=list)


_ASKER: ContextVar[Asker | None] = ContextVar("benchside_asker", default=None)


def asker() -> Asker:
    """Return who asks; outside of an episode somebody with unlimited time."""
    return _ASKER.get() or Asker()


def seed_of(seed: int | None, draw: int) -> int | None:
    """Return the seed of one request, the same for all backends; None where none was chosen.

    Args:
        seed: of the policy's options; each sample of a task draws anew.
        draw: of the turn (`Conversation.draw`), or of several equal questions.
    """
    return None if seed is None else (seed + draw + DRAWS_OF_A_SAMPLE * asker().sample) % 2**31


@contextmanager
def asking(episode: Asker) -> Iterator[None]:
    """Let all calls within be on behalf of an episode."""
    token = _ASKER.set(episode)
    try:
        yield
    finally:
        _ASKER.reset(token)
