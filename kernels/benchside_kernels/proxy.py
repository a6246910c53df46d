"""The proxy of a kernel with hosts: the one way out of it, which leads to listed hosts only.

It runs in the process that has started the kernel and serves a socket that lies in the kernel's
network namespace (see `loopback.py`). HTTP requests in absolute form are made anew with checked
headers; CONNECT gives a tunnel to a listed host and port, for TLS. Names are compared as text and
looked up here, so that no answer of a name server can open another host; redirects are the
kernel's to follow, and are then checked as any request. All that comes from the kernel is hostile:
it is bounded, each wait has a deadline, and what is malformed is answered 400.

It does *not* cover what a listed host does with a request, or passes on to others; nor does it look
into tunnels. Source of the rules on forwarding: RFC 9110 section 7.6, RFC 9112 section 3.2.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import h11

from benchside_kernels.hosts import UNIX, Host, split

MAX_CONNECTIONS = 16  # of one kernel and its copies; more wait until one is free
MAX_HEAD_BYTES = 1 << 16
MAX_BODY_BYTES = 256 * 1024**2
MAX_TOTAL_BYTES = 4 * 1024**3
CHUNK_BYTES = 1 << 16

HEAD_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 10.0
IDLE_TIMEOUT_S = 120.0
EXCHANGE_TIMEOUT_S = 600.0
CLOSE_TIMEOUT_S = 2.0

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_TARGET = re.compile(
    r"http://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?([/?][^#]*)?", re.IGNORECASE
)
_HOP_BY_HOP = frozenset({
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization",
    b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"expect", b"host",
    b"content-length",
})  # fmt: skip

_Headers = list[tuple[bytes, bytes]]


class _RefusalError(Exception):
    """What the kernel is answered instead of what it wanted."""

    def __init__(self, status: int, reason: str) -> None:
        self.status, self.reason = status, reason
        super().__init__(reason)


class _HungUpError(_RefusalError):
    """A listed host ended the connection; it may have answered before."""


class Proxy:
    """Serves one kernel and its copies; closed when the last of them lets go.

    Args:
        hosts: what may be reached.
        listener: the socket in the kernel's network.
    """

    def __init__(self, hosts: Sequence[Host], listener: socket.socket) -> None:
        self._hosts = {host.name: host for host in hosts}
        self._listener = listener
        self._users = 1
        self._left_bytes = MAX_TOTAL_BYTES
        self._places = asyncio.Semaphore(MAX_CONNECTIONS)
        self._serving: set[asyncio.Task[None]] = set()
        listener.setblocking(False)
        self._accepting = asyncio.create_task(self._accept())

    def share(self) -> Proxy:
        """Serve one more copy, which will `release` it too."""
        self._users += 1
        return self

    async def release(self) -> None:
        """Let go; the last one ends all connections."""
        self._users -= 1
        if self._users:
            return
        tasks = [self._accepting, *self._serving]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._listener.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._places.acquire()
            try:
                stream, _ = await loop.sock_accept(self._listener)
            except OSError:  # it hung up at once, or this process has no descriptors left
                self._places.release()
                await asyncio.sleep(0.1)
                continue
            except BaseException:
                self._places.release()
                raise
            task = asyncio.create_task(self._serve(stream))
            self._serving.add(task)
            task.add_done_callback(functools.partial(self._served, stream))

    def _served(self, stream: socket.socket, task: asyncio.Task[None]) -> None:
        stream.close()  # of a task that was cancelled before its first step, nobody else does
        self._serving.discard(task)
        self._places.release()

    async def _serve(self, stream: socket.socket) -> None:
        """One connection, one exchange."""
        with contextlib.suppress(OSError):  # the kernel hung up, or took too long
            reader, writer = await asyncio.open_connection(sock=stream)
            http = h11.Connection(h11.SERVER, MAX_HEAD_BYTES)
            client = _Peer(reader, writer, http, self._count)
            async with _closing(writer), asyncio.timeout(EXCHANGE_TIMEOUT_S):
                try:
                    await self._exchange(client)
                except _RefusalError as refusal:
                    await client.refuse(refusal)
                except h11.ProtocolError as error:
                    wrong = _RefusalError(error.error_status_hint, f"not HTTP: {error}")
                    await client.refuse(wrong)

    async def _exchange(self, client: _Peer) -> None:
        async with asyncio.timeout(HEAD_TIMEOUT_S):
            request = await client.event()
        if not isinstance(request, h11.Request):
            return  # it hung up
        method, target = request.method.decode(), request.target.decode()
        if method == "CONNECT":
            await self._tunnel(client, self._allowed(target.lower()))
            return
        if method not in METHODS:
            raise _RefusalError(405, f"method {method[:20]} is not for this proxy")
        found = _TARGET.fullmatch(target)
        if found is None:
            raise _RefusalError(400, "this is a proxy: ask it for http://host:port/path")
        name, port, path = found[1].lower(), int(found[2] or 80), found[3] or "/"
        host = self._allowed(f"{name}:{port}")
        authority = name if port == 80 else host.name
        path = path if path.startswith("/") else f"/{path}"
        headers = [(b"host", authority.encode()), *_end_to_end(list(request.headers), body=True)]
        asked = h11.Request(method=method, target=path, headers=headers)
        await self._forward(client, host, asked)

    def _allowed(self, name: str) -> Host:
        host = self._hosts.get(name)
        if host is None:
            listed = ", ".join(self._hosts)
            shown = name[:200]
            raise _RefusalError(403, f"{shown} is not on this kernel's list of hosts: {listed}")
        return host

    async def _forward(self, client: _Peer, host: Host, request: h11.Request) -> None:
        reader, writer = await _connect(host)
        http = h11.Connection(h11.CLIENT, MAX_HEAD_BYTES)
        upstream = _Upstream(reader, writer, http, self._count, name=host.name)
        async with _closing(writer):
            with contextlib.suppress(_HungUpError):
                await upstream.send(request)
                while isinstance(part := await client.body(), h11.Data):
                    await upstream.send(part)
                await upstream.send(h11.EndOfMessage())
            answer = await upstream.event()
            while isinstance(answer, h11.InformationalResponse):
                answer = await upstream.event()
            if not isinstance(answer, h11.Response):
                raise _HungUpError(502, f"{host.name} hung up without an answer")
            headers = _end_to_end(list(answer.headers), body=False)
            await client.send(
                h11.Response(status_code=answer.status_code, headers=headers, reason=answer.reason)
            )
            while isinstance(part := await upstream.body(), h11.Data):
                await client.send(part)
            await client.send(part)

    async def _tunnel(self, client: _Peer, host: Host) -> None:
        reader, writer = await _connect(host)
        async with _closing(writer):
            await client.send(h11.Response(status_code=200, headers=[], reason=b"Connected"))
            writer.write(client.http.trailing_data[0])
            with contextlib.suppress(*_ENDS):
                try:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(self._relay(client.reader, writer))
                        group.create_task(self._relay(reader, client.writer))
                except* _ENDS as ends:
                    raise ends.exceptions[0] from None

    async def _relay(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(CHUNK_BYTES):
            self._count(len(data))
            sink.write(data)
            await sink.drain()
        sink.write_eof()

    def _count(self, size: int) -> None:
        self._left_bytes -= size
        if self._left_bytes < 0:
            mib = MAX_TOTAL_BYTES >> 20
            raise _RefusalError(429, f"this kernel has used up its {mib} MiB of traffic")


_ENDS = (OSError, _RefusalError)


@dataclass(slots=True, eq=False)
class _Peer:
    """HTTP with one end of an exchange; `count` is told of each byte that comes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    http: h11.Connection
    count: Callable[[int], None]
    received: int = 0

    async def event(self) -> object:
        """Return the next event.

        Raises:
            h11.RemoteProtocolError: what came is not HTTP.
            TimeoutError: nothing came.
        """
        while (event := self.http.next_event()) is h11.NEED_DATA:
            if self.http.they_are_waiting_for_100_continue:
                await self.send(h11.InformationalResponse(status_code=100, headers=[]))
            async with asyncio.timeout(IDLE_TIMEOUT_S):
                data = await self.reader.read(CHUNK_BYTES)
            self.count(len(data))
            self.http.receive_data(data)
        return event

    async def body(self) -> h11.Data | h11.EndOfMessage:
        """Return the next part of a body, without trailers."""
        event = await self.event()
        if not isinstance(event, h11.Data):
            return h11.EndOfMessage()  # an early end has raised
        self.received += len(event.data)
        if self.received > MAX_BODY_BYTES:
            raise _RefusalError(413, f"a body is larger than {MAX_BODY_BYTES >> 20} MiB")
        return h11.Data(data=bytes(event.data))

    async def send(self, event: h11.Event) -> None:
        """Send one event."""
        self.writer.write(self.http.send(event) or b"")
        async with asyncio.timeout(IDLE_TIMEOUT_S):
            await self.writer.drain()

    async def refuse(self, refusal: _RefusalError) -> None:
        """Answer with an error; an answer that has begun already is cut off instead."""
        if self.http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        text = "".join(char if " " <= char <= "~" else "?" for char in refusal.reason)
        body = f"benchside: {text}\n".encode()
        headers = [
            ("content-type", "text/plain"), ("content-length", str(len(body))),
            ("connection", "close"),
        ]  # fmt: skip
        # the reason too: of a refused tunnel, clients show nothing else
        answer = h11.Response(status_code=refusal.status, headers=headers, reason=text.encode())
        # past the library's state, which knows no body after HEAD or an unread request
        self.writer.write(self.http.send(answer) or b"")
        self.writer.write(body)
        self.writer.write_eof()
        with contextlib.suppress(TimeoutError):  # to close on unread data would lose the answer
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                while await self.reader.read(CHUNK_BYTES):
                    pass


@dataclass(slots=True, eq=False)
class _Upstream(_Peer):
    """A listed host; what it does wrong becomes an answer to the kernel that says so."""

    name: str = ""

    async def event(self) -> object:
        try:
            return await _Peer.event(self)
        except h11.RemoteProtocolError as error:
            if self.reader.at_eof():
                raise _HungUpError(502, f"{self.name} hung up") from None
            raise _RefusalError(502, f"{self.name} did not answer in HTTP: {error}") from None
        except TimeoutError:
            raise _RefusalError(504, f"{self.name} did not answer in time") from None
        except OSError:
            raise _HungUpError(502, f"{self.name} hung up") from None

    async def send(self, event: h11.Event) -> None:
        try:
            await _Peer.send(self, event)
        except TimeoutError:
            raise _RefusalError(504, f"{self.name} took nothing more in time") from None
        except OSError:
            raise _HungUpError(502, f"{self.name} hung up") from None


def _end_to_end(headers: _Headers, *, body: bool) -> _Headers:
    """Return the headers that go on to the other side, with the framing of the body.

    Args:
        body: of a request, whose length must be told; a response's is framed by what is sent.
    """
    named = {
        token.strip().lower()
        for name, value in headers if name == b"connection"
        for token in value.split(b",")
    }  # fmt: skip
    kept = [(name, value) for name, value in headers if name not in _HOP_BY_HOP | named]
    lengths = [value for name, value in headers if name == b"content-length"]
    if any(name == b"transfer-encoding" for name, _ in headers):  # it comes before a length
        kept += [(b"transfer-encoding", b"chunked")] if body else []
    elif lengths:
        kept.append((b"content-length", lengths[0]))
    return [*kept, (b"connection", b"close")]


async def _connect(host: Host) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            if host.address.startswith(UNIX):
                return await asyncio.open_unix_connection(host.address.removeprefix(UNIX))
            return await asyncio.open_connection(*split(host.address))
    except TimeoutError:
        reason = f"no connection within {CONNECT_TIMEOUT_S:.0f} s"
    except socket.gaierror:
        reason = "its name is not known"
    except OSError as error:  # its own text has the address in it
        reason = os.strerror(error.errno) if error.errno else "no connection"
    raise _RefusalError(502, f"{host.name} cannot be reached: {reason}")


@contextlib.asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Close a connection at the end, without waiting long for what is still on its way."""
    try:
        yield
        writer.close()
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await writer.wait_closed()
    finally:
        writer.transport.abort()
