"""`Limits`: the model servers of a run, shared by all its nodes.

One actor holds the slots and rates of all servers. A node asks it for a slot before each request
and gives it back after the answer; slots of a node that vanishes are freed by the driver.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchside.asker import asker
from benchside.errors import BenchsideError, InfrastructureError
from benchside.policies.fault import Fault
from benchside.policies.options import PolicyOptions
from benchside.policies.provider import Providers


class Limits:
    """The actor."""

    def __init__(self) -> None:
        self._providers = Providers()
        self._held: dict[str, dict[int, asyncio.Task[None]]] = defaultdict(dict)

    async def tighten(self, url: str, options: PolicyOptions) -> None:
        """Take over the limits of a policy where they are tighter."""
        self._providers.at(url).tighten(options)

    async def enter(self, node: str, ticket: int, url: str) -> None:
        """Wait for a slot; `node` holds it under a number of its own until it leaves."""
        entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def hold() -> None:
            async with self._providers.at(url).slot():
                entered.set_result(None)
                await asyncio.get_running_loop().create_future()  # until it is cancelled

        holding = self._held[node][ticket] = asyncio.create_task(hold())
        await asyncio.wait((entered, holding), return_when=asyncio.FIRST_COMPLETED)
        if holding.done() and not holding.cancelled():
            holding.result()  # the server was given up

    async def leave(self, node: str, ticket: int) -> None:
        """Give a slot back, or the wait for it up."""
        holding = self._held[node].pop(ticket, None)
        if holding is not None:
            holding.cancel()

    async def answered(self, url: str, fault: Fault | None) -> None:
        """Adapt to an answer; see `Provider.answered`."""
        self._providers.at(url).answered(fault)

    async def forget(self, node: str) -> None:
        """Free all slots of a node that is gone."""
        for holding in self._held.pop(node, {}).values():
            holding.cancel()


class SharedProvider:
    """A node's side of one server.

    Args:
        limits: the handle of the run's `Limits`.
    """

    def __init__(self, limits: Any, node: str, url: str, tickets: itertools.count[int]) -> None:
        self._limits, self._node, self._url, self._tickets = limits, node, url, tickets

    def tighten(self, options: PolicyOptions) -> None:
        """Take over the limits of a policy where they are tighter."""
        self._limits.tighten.remote(self._url, options)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one of the open requests, and wait for its turn; an episode's time stands still."""
        ticket = next(self._tickets)
        try:
            with asker().clock.stopped():
                await self._enter(ticket)
            yield
        finally:
            self._limits.leave.remote(self._node, ticket)

    async def _enter(self, ticket: int) -> None:
        try:
            await self._limits.enter.remote(self._node, ticket, self._url)
        except Exception as error:
            told = getattr(error, "cause", None) or error  # Ray wraps what an actor has raised
            if isinstance(told, BenchsideError):
                raise told from None
            raise InfrastructureError(
                "the run's limits cannot be asked", where=self._url, value=type(told).__name__
            ) from None

    def answered(self, fault: Fault | None) -> None:
        """Adapt to an answer."""
        self._limits.answered.remote(self._url, fault)


class SharedProviders:
    """A node's side of all servers of a run, by URL."""

    def __init__(self, limits: Any, node: str) -> None:
        self._limits, self._node = limits, node
        self._tickets = itertools.count()

    def at(self, url: str) -> SharedProvider:
        """Return the server of a URL."""
        return SharedProvider(self._limits, self._node, url.rstrip("/"), self._tickets)
