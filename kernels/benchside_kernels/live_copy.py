"""Inside a kernel: makes a copy of it between two cells, for `KernelSession.fork`.

The copy has all variables, but no thread, no background task and no child process; files that are
open still belong to both. Its work folder is a copy, which the zygote makes (see
`ZygoteSandbox.furnish`), and another Landlock domain keeps it from the original and its siblings.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import traceback
import warnings
from pathlib import Path
from typing import Any

from benchside_kernels import kernel_sandbox, seccomp, startup
from benchside_kernels.frames import pack, receive
from benchside_kernels.tree import WORK


def copy_kernel(connection: socket.socket) -> socket.socket | None:
    """Copy this kernel: return the copy's connection in the copy, None in the original.

    Args:
        connection: the original's; by it come three descriptors for the copy: its connection, and
            pipes for stdout and stderr. The copy's connection then holds its secret key.
    """
    _, fds, _, _ = socket.recv_fds(connection, 1, 3)
    threads, drawn, folder = _other_threads(), random.getstate(), _folder()
    copied = socket.socket(fileno=fds[0])
    reap_copies()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of threads; the host tells of them
            copy = os.fork()
    except OSError as error:
        _tell(copied, "failed", {"reason": f"the kernel cannot fork: {error.strerror}"})
        copy = -1
    if copy:
        copied.close()
        for fd in fds[1:]:
            os.close(fd)
        if copy > 0:
            _copies.add(copy)
        return None
    try:
        _copies.clear()
        connection.close()
        _become_copy(copied, fds[1], fds[2], threads, drawn)
        with contextlib.suppress(OSError):  # it was deleted, or lies outside of what is copied
            os.chdir(folder)
    except BaseException:
        _tell(copied, "failed", {"reason": traceback.format_exc(limit=-3)})
        os._exit(70)
    return copied


_copies: set[int] = set()
"""Copies of this kernel; one that has ended keeps its exit code for the supervisor until reaped."""


def reap_copies() -> None:
    """Let go of copies that have ended."""
    for pid in list(_copies):
        with contextlib.suppress(ChildProcessError):  # a cell has waited for it, or ignores SIGCHLD
            if os.waitpid(pid, os.WNOHANG)[0] == 0:
                continue
        _copies.discard(pid)


def _become_copy(
    connection: socket.socket, stdout: int, stderr: int, threads: list[str], drawn: Any
) -> None:
    os.setsid()
    for fd, target in ((stdout, 1), (stderr, 2)):
        os.dup2(fd, target)
        os.close(fd)
    secret = receive(connection)
    if secret is None:
        os._exit(0)
    seccomp.unshare_folders(bytes.fromhex(secret["key"]))
    pidfd = os.pidfd_open(os.getpid())
    frame = pack({"cell": 0, "kind": "copied", "content": {"threads": threads}})
    socket.send_fds(connection, [frame], [pidfd])
    os.close(pidfd)
    settle = receive(connection)
    if settle is None:
        os._exit(0)
    kernel_sandbox.settle_copy()
    random.setstate(drawn)  # Python has seeded it anew in the fork
    if settle["seed"] is not None:
        startup.reseed(settle["seed"])


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 (pathlib raises the same)
    except FileNotFoundError:
        return WORK


def _other_threads() -> list[str]:
    """Names of the threads that a copy will be without."""
    tasks = Path("/proc/self/task")
    return [
        (task / "comm").read_text().strip()
        for task in tasks.iterdir()
        if int(task.name) != os.getpid()
    ]


def _tell(connection: socket.socket, kind: str, content: dict[str, object]) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(pack({"cell": 0, "kind": kind, "content": content}))
