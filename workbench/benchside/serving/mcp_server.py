"""A suite as an MCP server: `start` a task, `run_cell` in its kernel, `submit` the answer.

Each start gives a kernel of its own and a handle that nobody can guess, which the other tools take:
the protocol of 2026 has no sessions over HTTP, so that a handle is all that tells clients apart. An
episode ends with its submission, with its limits, with its client (stdio: the process; HTTP: the
session, where the client has one), or when its client has not called for a while. Nothing that a
tool says reveals whether an answer was right: that stands in the run folder.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import JsonValue

from benchside import __version__
from benchside.errors import BenchsideError, InputError
from benchside.policy import Action
from benchside.protocol import run_cell_action, submit_action
from benchside.serving.desk import Desk
from benchside.serving.driven import DrivenEpisode
from benchside_kernels.errors import KernelError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_OPEN = 64
PAGE = 50
SESSION_HEADER = "mcp-session-id"
INSTRUCTIONS = (
    "Data science tasks in live Jupyter kernels. Call `start`, with a task id of `tasks` or none; "
    "then `run_cell` as often as needed and `submit` once, both with the episode that `start` gave."
)


@dataclass(slots=True)
class _Guest:
    """An episode that is open, its session, when it is given up, and how many calls it has."""

    episode: DrivenEpisode
    session: str | None
    timer: asyncio.TimerHandle | None = None
    calls: int = 0


class Guests:
    """The open episodes of a server by their handles.

    Args:
        idle_s: an episode whose client has not called for so long is left, unscored.
    """

    def __init__(self, desk: Desk, idle_s: float) -> None:
        self.desk, self._idle_s = desk, idle_s
        self._open: dict[str, _Guest] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._next = 0

    async def start(self, task_id: str, session: str | None) -> str:
        """Open an episode and return what its client is to read first."""
        if len(self._open) >= MAX_OPEN:
            raise ToolError(f"{MAX_OPEN} episodes are open; submit to one of them, or wait")
        desk = self.desk
        if task_id:
            task = desk.task(task_id)
        else:  # each in turn
            task = desk.tasks[self._next % len(desk.tasks)]
            self._next += 1
        handle = secrets.token_hex(8)
        guest = _Guest(desk.episode(task), session)
        self._open[handle] = guest  # counted while its kernel starts, too
        try:
            await guest.episode.__aenter__()
        except BaseException:
            del self._open[handle]
            raise
        self._wait_for(handle, guest)
        return (
            f'Episode "{handle}", task {task.task_id}. Give this episode to run_cell and submit.'
            f"\n\n{guest.episode.opening_text}"
        )

    async def act(self, handle: str, action: Action) -> str:
        """Take an action in an open episode and return what came of it."""
        guest = self._open.get(handle)
        if guest is None:
            raise ToolError(f"no episode {handle!r} is open: it is over, or was never started")
        if guest.timer is not None:
            guest.timer.cancel()
        guest.calls += 1
        try:
            step = await guest.episode.step(action)
        finally:
            guest.calls -= 1
            if guest.episode.over:
                self._open.pop(handle, None)
            elif guest.calls == 0:  # otherwise another call is still waiting for its turn
                self._wait_for(handle, guest)
        return step.text

    def end_session(self, session: str) -> None:
        """Leave the episodes of a session."""
        for handle in [key for key, guest in self._open.items() if guest.session == session]:
            self._leave(handle)

    async def close(self) -> None:
        """Leave all episodes."""
        for handle in list(self._open):
            self._leave(handle)
        if self._leaving:
            await asyncio.wait(self._leaving)

    def _wait_for(self, handle: str, guest: _Guest) -> None:
        guest.timer = asyncio.get_running_loop().call_later(self._idle_s, self._leave, handle)

    def _leave(self, handle: str) -> None:
        guest = self._open.pop(handle, None)
        if guest is not None:
            if guest.timer is not None:
                guest.timer.cancel()
            leaving = asyncio.create_task(guest.episode.leave())
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)


@asynccontextmanager
async def open_server(desk: Desk, idle_s: float) -> AsyncIterator[tuple[MCPServer[Any], Guests]]:
    """Offer a desk's tasks as tools; what is open at the end is left."""
    guests = Guests(desk, idle_s)
    server: MCPServer[Any] = MCPServer(
        "benchside", title="Benchside", version=__version__, instructions=INSTRUCTIONS,
        log_level="WARNING",
    )  # fmt: skip

    @server.tool()
    async def tasks(after: str = "") -> dict[str, JsonValue]:
        """List the tasks by id, 50 at a time; `after` is the last id of the page before."""
        ids = [task.task_id for task in desk.tasks]
        with _told():
            first = ids.index(desk.task(after).task_id) + 1 if after else 0
        return {"tasks": list[JsonValue](ids[first : first + PAGE]), "total": len(ids)}

    @server.tool()
    async def start(ctx: Context[Any, Any], task_id: str = "") -> str:
        """Start a task, or without an id the next one, in a fresh kernel; returns the task."""
        request = ctx.request_context.request
        session = None if request is None else request.headers.get(SESSION_HEADER)
        with _told():
            return await guests.start(task_id, session)

    @server.tool()
    async def run_cell(episode: str, code: str) -> str:
        """Run Python code in the episode's kernel and return its output."""
        with _told():
            return await guests.act(episode, run_cell_action(code))

    @server.tool()
    async def submit(episode: str, value: JsonValue) -> str:
        """Submit the final answer, any JSON value. This ends the episode and can be done once."""
        with _told():
            return await guests.act(episode, submit_action(value))

    try:
        yield server, guests
    finally:
        await guests.close()


@contextmanager
def _told() -> Iterator[None]:
    """Turn errors for people into errors of the tool: the SDK hides what others say."""
    try:
        yield
    except (BenchsideError, KernelError) as error:
        raise ToolError(str(error)) from error


async def serve_stdio(desk: Desk, idle_s: float) -> None:
    """Serve one client over stdin and stdout, until it closes them or dies."""
    async with open_server(desk, idle_s) as (server, _):
        await server.run_stdio_async()


async def serve_http(desk: Desk, idle_s: float, port: int, say: Callable[[str], None]) -> None:
    """Serve clients of this machine at /mcp, until Ctrl-C.

    Args:
        port: 0 for any that is free; `say` is told the address.
    """
    async with open_server(desk, idle_s) as (server, guests):
        app = server.streamable_http_app(session_idle_timeout=idle_s)

        async def watched(scope: Scope, receive: Receive, send: Send) -> None:
            """Note the end of sessions, of which the SDK tells nobody."""
            await app(scope, receive, send)
            if scope["type"] == "http" and scope["method"] == "DELETE":
                session = dict(scope["headers"]).get(SESSION_HEADER.encode(), b"")
                guests.end_session(session.decode("latin-1"))

        with listening(port) as server_socket:
            say(f"MCP server: http://127.0.0.1:{server_socket.getsockname()[1]}/mcp")
            config = uvicorn.Config(watched, log_level="warning")
            await uvicorn.Server(config).serve(sockets=[server_socket])


def listening(port: int) -> socket.socket:
    """Return a socket that listens on this machine alone."""
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise InputError(
            f"cannot listen: {error.strerror}", where="--port", value=port,
            fix="choose another, or 0 for any that is free",
        ) from None  # fmt: skip
