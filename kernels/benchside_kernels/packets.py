"""Packets between a runner, its supervisor and the zygotes: one JSON object each, with descriptors.

They travel over SOCK_SEQPACKET, so that an object and its descriptors arrive together or not at
all. Objects larger than a socket takes at once travel in a file in memory, whose descriptor comes
last. `send` and `receive` wait; `PacketStream` is for an event loop. Kernels hold no such socket.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import json
import os
import resource
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

MAX_BYTES = 16 << 20
MAX_DESCRIPTORS = 9
INLINE_BYTES = 1 << 15
IN_FILE = b"@"
"""The packet of an object that is in a file: no JSON begins so."""

Message = dict[str, Any]


def send(stream: socket.socket, message: Message, fds: Sequence[int] = ()) -> None:
    """Send one packet; to a receiver that is gone, nothing.

    Raises:
        ValueError: it is larger than `MAX_BYTES`.
    """
    data, copies = _packed(message, fds)
    try:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            stream.sendmsg([data], _rights(copies))
    finally:
        _close(copies)


def receive(stream: socket.socket) -> tuple[Message, list[int]] | None:
    """Return the next packet and its descriptors; None at the end.

    Raises:
        BlockingIOError: the socket does not wait, and nothing is there.
        ValueError: what came is no packet.
    """
    try:
        data, fds, _, _ = socket.recv_fds(stream, INLINE_BYTES + 1, MAX_DESCRIPTORS)
    except ConnectionResetError:
        return None
    try:
        if data == IN_FILE and fds:
            with open(fds.pop(), "rb") as file:  # noqa: PTH123 (a descriptor)
                data = file.read(MAX_BYTES)
        elif not data:
            return None
        message = json.loads(data)
        if not isinstance(message, dict):
            raise ValueError(f"a packet holds a {type(message).__name__}, not an object")
    except (ValueError, RecursionError) as error:
        _close(fds)
        raise ValueError(f"no packet: {error}") from None
    return message, fds


def shortage() -> str:
    """What to say where fewer descriptors came than were sent: the system has dropped them."""
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        f"no descriptors are left for another kernel: a process may open {limit}, and each kernel "
        f"takes six; raise it (ulimit -n, up to {most}), or run fewer at once"
    )


class PacketStream:
    """Packets on the running event loop; what the other end does not take yet waits here.

    Args:
        on_packet: called with each packet; the descriptors are the callee's to close.
        on_end: called once when the other end is gone or has sent what is no packet.
    """

    def __init__(
        self,
        stream: socket.socket,
        on_packet: Callable[[Message, list[int]], None],
        on_end: Callable[[], None],
    ) -> None:
        self._stream, self._on_packet, self._on_end = stream, on_packet, on_end
        self._waiting: deque[tuple[bytes, list[int]]] = deque()
        self._loop = asyncio.get_running_loop()
        stream.setblocking(False)
        self._loop.add_reader(stream, self._read)
        self.open = True

    def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Send one packet, now or as soon as there is room; the caller may close its `fds`.

        Raises:
            ValueError: it is larger than `MAX_BYTES`.
        """
        if not self.open:
            return
        self._waiting.append(_packed(message, fds))
        if len(self._waiting) == 1:
            self._write()

    def close(self) -> None:
        """Stop, and let the other end see it."""
        if not self.open:
            return
        self.open = False
        self._loop.remove_reader(self._stream)
        self._loop.remove_writer(self._stream)
        self._stream.close()
        for _, fds in self._waiting:
            _close(fds)
        self._waiting.clear()

    def _read(self) -> None:
        try:
            packet = receive(self._stream)
        except BlockingIOError:
            return
        except (OSError, ValueError):
            packet = None
        if packet is None:
            self.close()
            self._on_end()
        else:
            self._on_packet(*packet)

    def _write(self) -> None:
        while self._waiting:
            data, fds = self._waiting[0]
            try:
                self._stream.sendmsg([data], _rights(fds))
            except BlockingIOError:
                self._loop.add_writer(self._stream, self._write)
                return
            except OSError:  # gone: the reader will see the end
                pass
            _close(self._waiting.popleft()[1])
        self._loop.remove_writer(self._stream)


def _packed(message: Message, fds: Sequence[int]) -> tuple[bytes, list[int]]:
    """Return the bytes to send, and copies of the descriptors to send with them."""
    data = json.dumps(message).encode()
    if len(data) > MAX_BYTES:
        size = f"{len(data) / 2**20:.1f} MiB"
        raise ValueError(f"a packet of {size} is too large, the limit is {MAX_BYTES >> 20} MiB")
    copies: list[int] = []
    try:
        for fd in fds:
            copies.append(os.dup(fd))
        if len(data) > INLINE_BYTES:
            copies.append(os.memfd_create("packet"))
            with open(copies[-1], "wb", closefd=False) as file:
                file.write(data)
            os.lseek(copies[-1], 0, os.SEEK_SET)
            data = IN_FILE
    except BaseException:
        _close(copies)
        raise
    return data, copies


def _rights(fds: Sequence[int]) -> list[tuple[int, int, array.array[int]]]:
    if not fds:
        return []
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]


def _close(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)
