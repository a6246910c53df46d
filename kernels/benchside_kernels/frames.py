"""Frames of the pipe front end: a length (4 bytes, little endian), then JSON, over a stream socket.

Used inside the kernel and by its supervisor; the host reads the same frames asynchronously (see
`forked_kernel.py`).
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

HEADER = struct.Struct("<I")
MAX_FRAME_BYTES = 32 * 1024**2
"""Larger ones are not sent, and whoever announces one is no kernel of ours any more."""


def pack(message: dict[str, Any]) -> bytes:
    """Return the frame of a message; what JSON does not know becomes what Jupyter makes of it."""
    try:
        body = json.dumps(message, default=_plain, allow_nan=False).encode()
    except ValueError:
        from jupyter_client.jsonutil import json_clean  # noqa: PLC0415 (see _plain)

        body = json.dumps(json_clean(message)).encode()  # not a number: becomes text
    return HEADER.pack(len(body)) + body


def _plain(value: object) -> object:
    from jupyter_client.jsonutil import json_default  # noqa: PLC0415 (slow; in kernels only)

    try:
        return json_default(value)
    except TypeError:
        return repr(value)


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
