"""Frames of the pipe front end: a length (4 bytes, little endian), then JSON, over a stream socket.

Used inside the kernel; the host reads the same frames asynchronously (see `forked.py`).
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

HEADER = struct.Struct("<I")
MAX_FRAME_BYTES = 64 * 1024**2


def pack(message: dict[str, Any]) -> bytes:
    """Return the frame of a message; values that JSON does not know become their repr."""
    body = json.dumps(message, default=repr).encode()
    return HEADER.pack(len(body)) + body


def receive(connection: socket.socket) -> dict[str, Any] | None:
    """Read one message; None at the end of the stream."""
    header = _exactly(connection, HEADER.size)
    if header is None:
        return None
    body = _exactly(connection, HEADER.unpack(header)[0])
    return None if body is None else json.loads(body)


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    parts = []
    while size:
        part = connection.recv(min(size, 1 << 20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
