"""`Provider`: a model server as all policies that ask it share it, with its limits.

How many requests are open at once follows the server: each answer lets in a little more, up to the
limit, and each "too busy" halves it (additive increase, multiplicative decrease, as TCP does).

A circuit breaker stands before it (M. Nygard, Release It!): after `TRIPPING` faults in a row all
requests wait, and one at a time is let through as a probe, after a pause that doubles. The first
that succeeds opens the way for all. A server that stays down is given up, once and for all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from aiolimiter import AsyncLimiter

from benchside.asker import asker
from benchside.errors import ServerDownError
from benchside.policies.fault import Fault
from benchside.policies.options import PolicyOptions

BUSY_STATUSES = frozenset({429, 503, 529})
CALM_S = 1.0  # requests that were open together are refused together: that is one refusal
TRIPPING = 10
MAX_PAUSE_S = 30.0


class ModelServer(Protocol):
    """What a policy asks of a server's limits, wherever they are kept."""

    def tighten(self, options: PolicyOptions) -> None:
        """Called once by each policy."""
        ...

    def slot(self) -> AbstractAsyncContextManager[None]:
        """Held by a policy for the time of each request."""
        ...

    def answered(self, fault: Fault | None) -> None:
        """Called by a policy after each answer, with None for one that is sound."""
        ...


class ModelServers(Protocol):
    """The servers of one run, by URL."""

    def at(self, url: str) -> ModelServer:
        """Called once by each policy."""
        ...


class Provider:
    """Slots, rate and breaker of one server. The tightest options of its policies hold for all."""

    def __init__(self, url: str = "") -> None:
        self.url = url
        self.allowed = float("inf")
        self.open = 0
        self.faults = 0  # since the last sound answer
        self._limit = float("inf")
        self._per_minute: float | None = None
        self._limiter: AsyncLimiter | None = None
        self._freed = asyncio.Condition()
        self._slowed_at = float("-inf")
        self._pause_s, self._max_downtime_s = MAX_PAUSE_S, float("inf")
        self._failing_since = 0.0
        self._probe_at = 0.0
        self._given_up: Fault | None = None

    def tighten(self, options: PolicyOptions) -> None:
        """Take over the limits of a policy where they are tighter."""
        self._limit = self.allowed = min(self._limit, options.max_concurrent_requests)
        self._pause_s = min(self._pause_s, options.backoff_s)
        self._max_downtime_s = min(self._max_downtime_s, options.max_downtime_s)
        asked = options.requests_per_minute
        if asked is not None and (self._per_minute is None or asked < self._per_minute):
            self._per_minute = asked
            # evenly: a bucket that holds a minute's requests lets twice as many through at first
            self._limiter = AsyncLimiter(1, 60 / asked)

    @property
    def tripped(self) -> bool:
        """Only probes are let through."""
        return self.faults >= TRIPPING

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one of the open requests, and wait for its turn; an episode's time stands still.

        Raises:
            ServerDownError: the server was given up.
        """
        clock = asker().clock
        with clock.stopped():
            async with self._freed:
                await self._freed.wait_for(lambda: self._given_up or self.open < self._slots)
                self._check()
                self.open += 1
        try:
            with clock.stopped():
                if self.tripped:
                    await asyncio.sleep(max(self._probe_at - time.monotonic(), 0.0))
                if self._limiter is not None:
                    await self._limiter.acquire()
            yield
        finally:
            self.open -= 1
            async with self._freed:
                self._freed.notify_all()

    @property
    def _slots(self) -> int:
        return 1 if self.tripped else max(1, int(self.allowed))

    def answered(self, fault: Fault | None) -> None:
        """Adapt to an answer; None for a sound one. A refusal is one, too: the server works."""
        if fault is None or fault.refused:
            self.faults = 0
            self.allowed = min(self._limit, self.allowed + 1 / self.allowed)
            return
        now = time.monotonic()
        if self.faults == 0:
            self._failing_since = now
        self.faults += 1
        if self.tripped:
            doublings = min(self.faults - TRIPPING, 30)
            self._probe_at = now + min(self._pause_s * 2.0**doublings, MAX_PAUSE_S)
            if now - self._failing_since >= self._max_downtime_s:
                self._given_up = fault
        if fault.status in BUSY_STATUSES and now - self._slowed_at > CALM_S:
            self._slowed_at = now
            self.allowed = max(1.0, min(self.allowed, self.open) / 2)

    def _check(self) -> None:
        if self._given_up is not None:
            raise ServerDownError(
                f"the model server was given up after {self.faults} faults in a row; the last: "
                f"{self._given_up.what}",
                where=self.url,
                fix="mend it, then go on with --resume: unfinished episodes are not scored",
            )


class Providers:
    """The servers of one run, by URL."""

    def __init__(self) -> None:
        self._known: dict[str, Provider] = {}

    def at(self, url: str) -> Provider:
        """Return the server of a URL."""
        url = url.rstrip("/")
        return self._known.setdefault(url, Provider(url))
