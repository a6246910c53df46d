"""`Provider`: a model server as all policies that ask it share it, with its limits.

How many requests are open at once follows the server: each answer lets in a little more, up to the
limit, and each "too busy" halves it (additive increase, multiplicative decrease, as TCP does).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from aiolimiter import AsyncLimiter

from benchside.policies.options import PolicyOptions

BUSY_STATUSES = frozenset({429, 503, 529})
CALM_S = 1.0  # requests that were open together are refused together: that is one refusal


class ModelServer(Protocol):
    """What a policy asks of a server's limits, wherever they are kept."""

    def tighten(self, options: PolicyOptions) -> None:
        """Called once by each policy."""
        ...

    def slot(self) -> AbstractAsyncContextManager[None]:
        """Held by a policy for the time of each request."""
        ...

    def answered(self, status: int | None) -> None:
        """Called by a policy after each answer: an HTTP status, None for one that is sound."""
        ...


class ModelServers(Protocol):
    """The servers of one run, by URL."""

    def at(self, url: str) -> ModelServer:
        """Called once by each policy."""
        ...


class Provider:
    """Slots and rate of one server. The tightest options of its policies hold for all of them."""

    def __init__(self) -> None:
        self.allowed = float("inf")
        self.open = 0
        self._limit = float("inf")
        self._per_minute: float | None = None
        self._limiter: AsyncLimiter | None = None
        self._freed = asyncio.Condition()
        self._slowed_at = float("-inf")

    def tighten(self, options: PolicyOptions) -> None:
        """Take over the limits of a policy where they are tighter."""
        self._limit = self.allowed = min(self._limit, options.max_concurrent_requests)
        asked = options.requests_per_minute
        if asked is not None and (self._per_minute is None or asked < self._per_minute):
            self._per_minute = asked
            # evenly: a bucket that holds a minute's requests lets twice as many through at first
            self._limiter = AsyncLimiter(1, 60 / asked)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one of the open requests, and wait for its turn."""
        async with self._freed:
            await self._freed.wait_for(lambda: self.open < max(1, int(self.allowed)))
            self.open += 1
        try:
            if self._limiter is not None:
                await self._limiter.acquire()
            yield
        finally:
            self.open -= 1
            async with self._freed:
                self._freed.notify_all()

    def answered(self, status: int | None) -> None:
        """Adapt to an answer: an HTTP status, None for one that was as it should be."""
        if status is None:
            self.allowed = min(self._limit, self.allowed + 1 / self.allowed)
        elif status in BUSY_STATUSES and time.monotonic() - self._slowed_at > CALM_S:
            self._slowed_at = time.monotonic()
            self.allowed = max(1.0, min(self.allowed, self.open) / 2)


class Providers:
    """The servers of one run, by URL."""

    def __init__(self) -> None:
        self._known: dict[str, Provider] = {}

    def at(self, url: str) -> Provider:
        """Return the server of a URL."""
        return self._known.setdefault(url.rstrip("/"), Provider())
