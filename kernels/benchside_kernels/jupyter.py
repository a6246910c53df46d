"""Turns a live forked kernel into a full Jupyter kernel that keeps all it has.

Inside the kernel: `become_jupyter_kernel` puts ipykernel's sockets and threads around the shell
that runs already. The host has made the sockets (see `connection.py`), so the sandbox needs no
folder that both can write to. Not offered: the debugger, which talks TCP, and GUI event loops.
"""

from __future__ import annotations

import contextlib
import faulthandler  # noqa: F401  (imported by ipykernel and tornado when they start)
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import ipykernel.ipkernel
import tornado.platform.asyncio  # noqa: F401
import zmq
from ipykernel.heartbeat import Heartbeat
from ipykernel.iostream import IOPubThread
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from tornado.ioloop import IOLoop

from benchside_kernels.connection import CHANNELS

Descriptors = Mapping[int, int]
"""Port number of a channel → descriptor of its listening socket."""


def become_jupyter_kernel(
    shell: Any, connection: socket.socket, request: dict[str, Any], ready: Callable[[], None]
) -> None:
    """Serve Jupyter clients until one of them shuts the kernel down.

    Args:
        shell: the running shell; its namespace, counters and options stay.
        connection: the host's; the listening sockets come by it, in the order of `CHANNELS`.
            It stays open, as a sign of life.
        request: `attach` holds what a connection file does; `fresh` starts counting at one.
        ready: tells the host that clients are served.
    """
    _, fds, _, _ = socket.recv_fds(connection, 1, len(CHANNELS))
    listening = dict(zip(CHANNELS.values(), fds, strict=True))
    _leave_host_streams()
    if request["fresh"]:
        shell.execution_count = 1
    app: Any = _App.instance()
    app.set_up(shell, request["attach"], listening)
    wake_ends = _wake_loop_on_signals()
    ready()
    app.start()
    signal.set_wakeup_fd(-1)
    for end in wake_ends:
        end.close()
    app.close()


def prepare() -> None:
    """Do in the zygote what needs no socket, thread or loop that would stay."""
    _load_debugger_stub()
    app: Any = _App.instance(log_level=logging.CRITICAL)
    app.init_pdb()
    app.log.info("made")  # makes the log, too


def _load_debugger_stub() -> None:
    """Import ipykernel's debugger as if debugpy were absent: it saves 100 ms and 145 modules."""
    known = sys.modules.get("debugpy")
    sys.modules["debugpy"] = None  # type: ignore[assignment]  # makes its import fail
    try:
        import ipykernel.debugger  # noqa: F401, PLC0415 (only under this condition)
    finally:
        del sys.modules["debugpy"]
        if known is not None:
            sys.modules["debugpy"] = known


class _Kernel(IPythonKernel):
    """ipykernel's kernel around the shell that is there."""

    shell: Any

    def __init__(self, **kwargs: Any) -> None:
        with _few_modules():
            super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self.shell.kernel = self
        self.shell.display_pub.topic = b"display_data"

    async def _progressively_terminate_all_children(self) -> None:
        """Do nothing: they die with the pid namespace; upstream waits seconds for unreaped ones."""


class _App(IPKernelApp):
    """ipykernel's application on sockets that listen already; reads no files and no arguments."""

    name = "benchside-kernel"
    kernel_class = _Kernel
    listening: Descriptors

    def set_up(self, shell: Any, info: dict[str, Any], listening: Descriptors) -> None:
        """Do what `initialize` does, with the shell, sockets and connection info given."""
        app: Any = self  # most of ipykernel has no types
        self.listening = listening
        app.load_connection_info(info)
        app.profile_dir, app.user_ns = shell.profile_dir, shell.user_ns
        app.init_sockets()
        app.init_heartbeat()
        app.init_io()
        app.init_signal()
        app.init_kernel()
        app.init_shell()

    def _bind_socket(self, s: Any, port: int) -> int:
        s.setsockopt(zmq.USE_FD, self.listening[port])
        s.bind(f"ipc://{self.ip}-{port}")
        if port == self.shell_port:  # a part of ipykernel connects to it, and cannot from in here
            s.bind("inproc://shell")
        return port

    def init_iopub(self, context: Any) -> None:
        """As upstream, without the TCP socket for forked processes: they print to descriptors."""
        self.iopub_socket = context.socket(zmq.XPUB)
        self.iopub_socket.linger = 1000
        self.iopub_port = self._bind_socket(self.iopub_socket, self.iopub_port)
        self.configure_tornado_logger()  # type: ignore[no-untyped-call]
        self.iopub_thread = IOPubThread(self.iopub_socket, pipe=False, session=self.session)
        self.iopub_thread.start()
        self.iopub_socket = self.iopub_thread.background_socket

    def close(self) -> None:
        """As upstream, but first end the threads that publish.

        Upstream ends what they publish on before them: one that comes late then hangs in its last
        message, or aborts.
        """
        for thread in (self.control_thread, self.shell_channel_thread):
            if thread is not None and thread.is_alive():
                thread.stop()
                thread.join()
        super().close()  # type: ignore[no-untyped-call]

    def init_heartbeat(self) -> None:
        """As upstream, on its listening socket."""
        address = (self.transport, self.ip, self.hb_port)
        heartbeat = _Heartbeat(zmq.Context(), address)  # type: ignore[no-untyped-call]
        heartbeat.descriptor = self.listening[self.hb_port]
        heartbeat.start()
        self.heartbeat = heartbeat


class _Heartbeat(Heartbeat):
    descriptor = -1

    def _try_bind_socket(self) -> None:
        self.socket.setsockopt(zmq.USE_FD, self.descriptor)
        super()._try_bind_socket()  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def _few_modules() -> Iterator[None]:
    """Hide `sys.modules`: for its debugger ipykernel looks at each, and so copies their pages."""
    module: Any = ipykernel.ipkernel
    module.sys = SimpleNamespace(modules={}, version=sys.version)
    try:
        yield
    finally:
        module.sys = sys


def _leave_host_streams() -> None:
    """Print to nowhere until ipykernel captures the descriptors; it echoes to what was there."""
    sys.stdout.flush()
    null = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(null, descriptor)
    os.close(null)
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__


def _wake_loop_on_signals() -> tuple[socket.socket, socket.socket]:
    """Let SIGINT stop a cell that awaits: ipykernel's handler alone does not wake its loop."""
    reading, writing = socket.socketpair()
    for end in (reading, writing):
        end.setblocking(False)
    signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)

    def empty(*_: object) -> None:
        reading.recv(4096)

    IOLoop.current().add_handler(reading, empty, IOLoop.READ)
    return reading, writing
