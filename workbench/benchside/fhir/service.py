"""The FHIR server of one episode: its own copy on write of the suite's template, on a socket."""

from __future__ import annotations

import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from benchside.fhir.server import make_app
from benchside.fhir.store import TEMPLATE, FhirStore
from benchside.state import StateChange
from benchside.task import ServiceRef
from benchside_kernels.hosts import UNIX
from benchside_kernels.image import KernelImage


class FhirService:
    """A server that is listening; see `benchside.services.Service`."""

    def __init__(self, upstream: str, store: FhirStore) -> None:
        self.upstream = upstream
        self._store = store

    def changes(self) -> tuple[StateChange, ...]:
        """Return what is not as in the template."""
        return tuple(
            StateChange(kind=one.type, id=one.id, before=one.before, after=one.after)
            for one in self._store.changes()
        )


@contextlib.asynccontextmanager
async def open_service(ref: ServiceRef, data: KernelImage) -> AsyncIterator[FhirService]:
    """Serve the template of an image on a socket of its own.

    Args:
        ref: its parameter `now`, an ISO time with zone, stands still as the server's clock.
    """
    now = ref.params.get("now")
    fixed = None if now is None else datetime.fromisoformat(str(now))
    template = data.folder / "files" / TEMPLATE
    with (
        tempfile.TemporaryDirectory(prefix="bs-fhir-") as folder,
        FhirStore(template, now=fixed) as store,
    ):
        path = Path(folder) / "socket"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(path))
            async with serving(make_app(store), listener):
                yield FhirService(f"{UNIX}{path}", store)


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    """Serve an application on a bound socket from this event loop."""
    config = uvicorn.Config(
        app, http="h11", ws="none", lifespan="off", log_config=None, access_log=False,
        server_header=False, date_header=False, timeout_graceful_shutdown=1, proxy_headers=False,
    )  # fmt: skip
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    # `serve` would take over the signals of the process
    await server.startup(sockets=[listener])
    try:
        yield
    finally:
        await server.shutdown(sockets=[listener])
