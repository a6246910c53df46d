"""Where a supervisor that keeps kernels can be met by another process of the same user.

One socket per supervisor in a folder that only the user can enter: `$XDG_RUNTIME_DIR/benchside`,
else one in the system's folder for temporary files. Kernels see neither.
"""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchside_kernels.errors import KernelStartError


def listen(pid: int) -> tuple[socket.socket, Path]:
    """Return a listening socket and its path."""
    path = _folder() / f"{pid}.socket"
    path.unlink(missing_ok=True)
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with _short(path) as address:
        stream.bind(address)
    stream.listen(16)
    stream.setblocking(False)
    return stream, path


def connections() -> Iterator[socket.socket]:
    """Connect to each supervisor that keeps kernels; sockets of dead ones are removed."""
    for path in sorted(_folder().glob("*.socket")):
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with _short(path) as address:
                stream.connect(address)
        except ConnectionRefusedError:
            stream.close()
            path.unlink(missing_ok=True)
        except FileNotFoundError:
            stream.close()
        else:
            yield stream


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name for a socket, which has to be short: 107 bytes."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _folder() -> Path:
    """Make the folder if need be.

    Raises:
        KernelStartError: it belongs to somebody else, or others can enter it.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir():
        folder = Path(runtime) / "benchside"
    else:
        folder = Path(tempfile.gettempdir()) / f"benchside-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise KernelStartError(
            f"{folder} is not this user's alone: remove it, or set XDG_RUNTIME_DIR"
        )
    return folder
