"""Packets between a runner, its supervisor and the zygotes: one JSON object each, with descriptors.

They travel over SOCK_SEQPACKET, so that an object and its descriptors arrive together or not at
all. Objects larger than a socket takes at once travel in a file in memory, whose descriptor comes
last. `send` and `receive` wait; for an event loop there is `packet_stream.py`. Kernels hold no such
socket.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import resource
import socket
from collections.abc import Sequence
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
    data, copies = packed(message, fds)
    try:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            stream.sendmsg([data], rights(copies))
    finally:
        close(copies)


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
        close(fds)
        raise ValueError(f"no packet: {error}") from None
    return message, fds


def shortage() -> str:
    """What to say where fewer descriptors came than were sent: the system has dropped them."""
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        f"no descriptors are left for another kernel: a process may open {limit}, and each kernel "
        f"takes six; raise it (ulimit -n, up to {most}), or run fewer at once"
    )


def packed(message: Message, fds: Sequence[int]) -> tuple[bytes, list[int]]:
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
        close(copies)
        raise
    return data, copies


def rights(fds: Sequence[int]) -> list[tuple[int, int, array.array[int]]]:
    """Return what has `sendmsg` send descriptors along."""
    if not fds:
        return []
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]


def close(fds: Sequence[int]) -> None:
    """Close all of them."""
    for fd in fds:
        os.close(fd)
