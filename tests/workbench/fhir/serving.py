"""A FHIR server on a port of this machine, in a thread, whose store can be exchanged."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from benchside.fhir.server import make_app
from benchside.fhir.service import serving
from benchside.fhir.store import FhirStore


@dataclass
class Served:
    """Where the server is, and the store that it serves at present."""

    url: str
    store: FhirStore | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.store is not None
        await make_app(self.store)(scope, receive, send)


@contextlib.contextmanager
def served() -> Iterator[Served]:
    """Serve until the context ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Served(f"http://127.0.0.1:{listener.getsockname()[1]}")
    ready = threading.Event()
    loop, done = asyncio.new_event_loop(), asyncio.Event()

    async def work() -> None:
        async with serving(server, listener):
            ready.set()
            await done.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(work()))
    thread.start()
    try:
        assert ready.wait(10)
        yield server
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(10)
        loop.close()
