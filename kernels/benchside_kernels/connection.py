"""The sockets of a kernel that speaks Jupyter, made by the host for a kernel in a sandbox.

The host binds Unix sockets in a folder of its own (0700, out of every sandbox's sight), passes the
listening descriptors into the kernel, and clients find them by the connection file.
"""

from __future__ import annotations

import json
import secrets
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client.connect import write_connection_file

from benchside_kernels.errors import KernelStartError

CHANNELS = {"shell_port": 1, "iopub_port": 2, "stdin_port": 3, "control_port": 4, "hb_port": 5}
MAX_SOCKET_PATH = 107 if sys.platform == "linux" else 103
CONNECTION_FILE = "connection.json"
_BACKLOG = 100


def write_connection(folder: Path, key: bytes | None = None) -> Path:
    """Write a connection file for sockets `k-1` to `k-5` in `folder`; return its path.

    Raises:
        KernelStartError: the sockets' paths would be too long.
    """
    prefix = str(folder / "k")
    if len(prefix) > MAX_SOCKET_PATH - 2:
        raise KernelStartError(
            f"socket path {prefix} is longer than the system's {MAX_SOCKET_PATH} characters; "
            "set TMPDIR to a shorter folder"
        )
    path = folder / CONNECTION_FILE
    write_connection_file(
        str(path), transport="ipc", ip=prefix, key=key or secrets.token_hex(32).encode(),
        shell_port=CHANNELS["shell_port"], iopub_port=CHANNELS["iopub_port"],
        stdin_port=CHANNELS["stdin_port"], control_port=CHANNELS["control_port"],
        hb_port=CHANNELS["hb_port"],
    )  # fmt: skip
    return path


def read_connection(path: Path) -> dict[str, Any]:
    """Return the connection info in a file, as JSON has it."""
    info = json.loads(path.read_text())
    assert isinstance(info, dict)
    return info


@contextmanager
def listening(info: dict[str, Any]) -> Iterator[list[int]]:
    """Listen at the paths of `info`, in the order of CHANNELS; the context owns the descriptors.

    The sockets stay in the file system: whoever got the descriptors serves them.
    """
    sockets: list[socket.socket] = []
    try:
        for channel in CHANNELS:
            path = Path(f"{info['ip']}-{info[channel]}")
            path.unlink(missing_ok=True)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sockets.append(listener)
            listener.bind(str(path))
            listener.listen(_BACKLOG)
        yield [listener.fileno() for listener in sockets]
    finally:
        for listener in sockets:
            listener.close()
