"""The shell of a forked kernel: IPython as ipykernel sets it up, over frames instead of ZMQ.

`build_shell` runs once in the zygote and holds no socket, thread or loop; `serve` runs in each
forked kernel. Output is sent as it is made, up to the cell's budget; beyond it only the tail is
kept here and sent at the end, so that a flood costs neither side memory.
"""

from __future__ import annotations

import asyncio
import builtins
import codecs
import contextlib
import getpass
import io
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NoReturn

from ipykernel.compiler import XCachingCompiler
from ipykernel.jsonutil import json_clean
from ipykernel.zmqshell import ZMQInteractiveShell
from IPython.core.error import StdinNotImplementedError, UsageError
from IPython.core.profiledir import ProfileDir
from jupyter_client.session import Session
from traitlets.config import Config

from benchside_kernels.frames import MAX_FRAME_BYTES, pack, receive
from benchside_kernels.jupyter import become_jupyter_kernel, prepare
from benchside_kernels.live_copy import copy_kernel, reap_copies

FLUSH_CHARS = 8_192
FLUSH_S = 0.05
WARM_CELLS = ("1 + 1", "1 / 0", "w_ = [1, 2]; w_", "del w_")


class _FrameSession(Session):
    """What display hook and publisher send becomes a frame; before the fork, nothing."""

    outlet: Outlet | None = None

    def send(
        self, stream: Any, msg_or_type: Any, content: Any = None, *_: Any, **__: Any
    ) -> dict[str, Any]:
        """Send a Jupyter message's type and content."""
        kind = msg_or_type
        if isinstance(msg_or_type, dict):
            kind, content = msg_or_type["header"]["msg_type"], msg_or_type["content"]
        if self.outlet is not None:
            self.outlet.send(str(kind), json_clean(content))
        return {"content": {}}


class Outlet:
    """Sends a cell's outputs to the host, in order, within the cell's budget of characters."""

    def __init__(self, connection: socket.socket, max_chars: int) -> None:
        self._connection = connection
        self._max_chars = max_chars
        self._lock = threading.RLock()
        self.cell = 0
        self._held = b""
        self._reset()

    def _reset(self) -> None:
        self._room = self._max_chars
        self._pending: list[str] = []
        self._pending_name = "stdout"
        self._pending_chars = 0
        self._last_flush = time.monotonic()
        self._tail: deque[tuple[str, str]] = deque()
        self._tail_chars = 0
        self._dropped = 0

    def begin(self, cell: int) -> None:
        """Start a cell's outputs."""
        with self._lock:
            self.cell = cell
            self._reset()

    def move_to(self, connection: socket.socket) -> None:
        """In a copy of the kernel: send to its own host from now on, and belong to no cell."""
        self._connection = connection
        self._lock = threading.RLock()  # the old one may be held by a thread that is not here
        self.begin(0)

    def write(self, name: str, text: str) -> None:
        """Take text of stdout or stderr."""
        with self._lock:
            if self._room <= 0:
                self._keep_tail(name, text)
                return
            if name != self._pending_name:
                self.flush()
                self._pending_name = name
            self._pending.append(text)
            self._pending_chars += len(text)
            self._room -= len(text)
            late = time.monotonic() - self._last_flush > FLUSH_S
            if late or self._pending_chars > FLUSH_CHARS:
                self.flush()

    def _keep_tail(self, name: str, text: str) -> None:
        self._tail.append((name, text[-self._max_chars :]))
        self._dropped += max(len(text) - self._max_chars, 0)
        self._tail_chars += len(self._tail[-1][1])
        while self._tail_chars - len(self._tail[0][1]) > self._max_chars:
            _, dropped = self._tail.popleft()
            self._tail_chars -= len(dropped)
            self._dropped += len(dropped)

    def flush(self) -> None:
        """Send what is pending."""
        with self._lock:
            if self._pending:
                text = "".join(self._pending)
                self._pending, self._pending_chars = [], 0
                self._frame("stream", {"name": self._pending_name, "text": text})
            self._last_flush = time.monotonic()

    def send(self, kind: str, content: dict[str, Any]) -> None:
        """Send a display, result, error or the like, after the text before it."""
        with self._lock:
            self.flush()
            self._release_tail()
            self._frame(kind, content)

    def end(self, content: dict[str, Any]) -> None:
        """Send all that is left, then the cell's end."""
        with self._lock:
            self.send("done", content)

    def _release_tail(self) -> None:
        if self._dropped:
            self._frame("dropped", {"chars": self._dropped})
        for name, text in self._tail:
            self._frame("stream", {"name": name, "text": text})
        self._tail.clear()
        self._tail_chars = self._dropped = 0

    def _frame(self, kind: str, content: dict[str, Any]) -> None:
        """Send a frame; a result waits for what comes next, as a rule the cell's end."""
        frame = pack({"cell": self.cell, "kind": kind, "content": content})
        if len(frame) > MAX_FRAME_BYTES:
            note = {"name": "stderr", "text": f"[{kind} of {len(frame):,} bytes is too large]\n"}
            frame = pack({"cell": self.cell, "kind": "stream", "content": note})
        held, self._held = self._held, b""
        if kind == "execute_result":
            self._held = held + frame
        else:
            self._connection.sendall(held + frame)


class OutStream(io.TextIOBase):
    """stdout or stderr of the kernel, known to libraries by the name of ipykernel's class."""

    encoding = "UTF-8"

    def __init__(self, name: str, outlet: Outlet) -> None:
        super().__init__()
        self.name = name
        self._outlet = outlet

    def writable(self) -> bool:
        """True."""
        return True

    def isatty(self) -> bool:
        """False: there is no terminal."""
        return False

    def fileno(self) -> int:
        """The descriptor that subprocesses and C code write to; the host reads it too."""
        return 2 if self.name == "stderr" else 1

    def write(self, text: str) -> int:
        """Take text; anything else raises TypeError, as any text stream does."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text)}")
        self._outlet.write(self.name, text)
        return len(text)

    def flush(self) -> None:
        """Send what is pending."""
        self._outlet.flush()


def build_shell(namespace: dict[str, Any], ipython_folder: str) -> Any:
    """Build IPython's shell over `namespace` and run a few cells, so that children start warm."""
    config = Config()
    prepare()
    config.HistoryManager.enabled = False  # no database file, no thread
    config.InteractiveShellApp.exec_PYTHONSTARTUP = False
    config.Completer.use_jedi = False
    profile = ProfileDir.create_profile_dir_by_name(ipython_folder, "default")
    shell: Any = ZMQInteractiveShell.instance(
        config=config, profile_dir=profile, user_ns=namespace, compiler_class=XCachingCompiler
    )
    shell.kernel = SimpleNamespace(eventloop=None, shell=shell)
    shell._tee = lambda **_: contextlib.nullcontext()  # else all that cells print is kept
    session = _FrameSession()
    for part in (shell.displayhook, shell.display_pub):
        part.session, part.pub_socket, part.topic, part.parent_header = session, None, b"", {}
    shell.system = shell.system_piped = _system
    shell.enable_gui = _no_gui
    inline = sys.modules.get("matplotlib_inline.backend_inline")
    if inline is not None:  # imported before there was a shell: its hooks are not installed yet
        inline._enable_matplotlib_integration()
    warm_up(shell, WARM_CELLS)
    return shell


def warm_up(shell: Any, cells: Sequence[str]) -> None:
    """Run a few cells that leave nothing, so that later ones find the pages that they write to."""
    streams = sys.stdout, sys.stderr, sys.displayhook
    with open(os.devnull, "w") as sink:  # noqa: PTH123
        sys.stdout = sys.stderr = sink
        try:
            for source in cells:
                shell.run_cell(source, store_history=False)
        finally:
            sys.stdout, sys.stderr, sys.displayhook = streams
    shell.displayhook.flush()
    shell.user_ns.pop("_0", None)
    shell.push({"_": "", "__": "", "___": ""}, interactive=False)
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        if hasattr(sys, name):
            delattr(sys, name)


def serve(
    shell: Any,
    connection: socket.socket,
    rehearse: Callable[[], None],
    prepare_for: Callable[[dict[str, Any]], None],
) -> NoReturn:
    """Prepare for a session, then run cells until the host closes the connection or a cell ends it.

    As in ipykernel a loop runs in cells and between them, so that tasks go on; it is made here,
    since a loop made before the fork would be shared with the zygote.

    Args:
        rehearse: called while there is time before the first request.
        prepare_for: called with the first request, a `Preparation`.
    """
    loop = _fresh_loop()
    if not select.select([connection], [], [], 0)[0]:  # in stock: there is time
        warm_up(shell, WARM_CELLS[:1])  # others would cost each kernel megabytes
        loop.run_until_complete(asyncio.sleep(0))
        rehearse()
    first = receive(connection)
    if first is None:
        os._exit(0)
    prepare_for(first["prepare"])
    max_chars = first["prepare"]["max_chars"]
    outlet = Outlet(connection, max_chars)
    _wire(shell, outlet)
    os.register_at_fork(after_in_child=_plain_streams)
    ready = pack({"cell": 0, "kind": "ready", "content": {}})
    socket.send_fds(connection, [ready], [os.pidfd_open(os.getpid())])  # for signals from the host
    while (request := _next(loop, connection)) is not None:
        reap_copies()
        if "attach" in request:
            outlet.begin(0)
            become_jupyter_kernel(shell, connection, request, lambda: outlet.send("attached", {}))
            break
        if "fork" in request:
            streams = sys.stdout, sys.stderr
            copied = copy_kernel(connection)
            if copied is not None:  # this is the copy
                connection = copied
                sys.stdout, sys.stderr = streams
                outlet.move_to(connection)
                _abandoned.append(loop)
                loop = _fresh_loop()
                outlet.send("ready", {})
            continue
        outlet.begin(request["cell"])
        try:
            content = _run(loop, shell, request["source"])
        except KeyboardInterrupt:  # it came between the cell's last step and its end
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            content = {"failed": True, "exiting": False}
        outlet.end(content)
        if content["exiting"]:
            break
    os._exit(0)


_abandoned: list[asyncio.AbstractEventLoop] = []
"""Loops of the kernel that this one is a copy of. To close one would unregister its descriptors
there too, so they are kept from the collector."""


def _fresh_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop


def _next(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> dict[str, Any] | None:
    """Run the loop until there is a request; return it."""
    readable = loop.create_future()
    loop.add_reader(connection.fileno(), _settle, readable)
    loop.run_until_complete(readable)
    loop.remove_reader(connection.fileno())
    return receive(connection)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _run(loop: asyncio.AbstractEventLoop, shell: Any, source: str) -> dict[str, Any]:
    """Run one cell; SIGINT raises KeyboardInterrupt while it runs and is ignored otherwise."""
    cell = loop.create_task(_run_cell(shell, source))
    failed = True
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        while not cell.done():
            try:
                loop.run_until_complete(cell)
            except KeyboardInterrupt:  # outside of the cell's own code: while it awaits
                cell.cancel()
        failed = cell.cancelled() or not cell.result()
    except KeyboardInterrupt:
        shell.showtraceback()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    shell.payload_manager.clear_payload()
    return {"failed": failed, "exiting": bool(shell.exit_now)}


async def _run_cell(shell: Any, source: str) -> bool:
    """Run a cell the way ipykernel does, inside the running loop; return whether it succeeded."""
    pid = os.getpid()
    transformed = _transformed(shell, source)
    if transformed is not None and shell.should_run_async(source, transformed_cell=transformed):
        shell._last_traceback_during_displayhook = False
        result = None
        try:
            result = await shell.run_cell_async(
                source, store_history=True, transformed_cell=transformed
            )
        finally:
            shell.events.trigger("post_execute")
            shell.events.trigger("post_run_cell", result)
    else:
        result = shell.run_cell(source, store_history=True)
    if os.getpid() != pid:  # a cell has forked: the copy is not the kernel
        sys.stdout.flush()
        os._exit(0)
    return bool(result.success) and not shell._last_traceback_during_displayhook


def _transformed(shell: Any, source: str) -> str | None:
    """The Python of a cell that may await at top level; None where `run_cell` can have it all."""
    if "await" not in source and "async" not in source:
        return None
    try:
        return str(shell.transform_cell(source))
    except SyntaxError:
        return None  # it is told by `run_cell`


def _wire(shell: Any, outlet: Outlet) -> None:
    """Point all ways out of the shell at the outlet."""
    shell.displayhook.session.outlet = outlet
    sys.displayhook = shell.displayhook
    sys.stdout, sys.stderr = OutStream("stdout", outlet), OutStream("stderr", outlet)
    builtins.input, getpass.getpass = _no_input, _no_getpass
    builtins.get_ipython = shell.get_ipython  # type: ignore[attr-defined]


def _no_gui(gui: str | None = None) -> None:
    """`%matplotlib inline` needs no event loop; others have none to run in."""
    if gui not in (None, "inline", "agg"):
        raise UsageError(f"this kernel has no event loop for {gui!r}")


def _plain_streams() -> None:
    """In a process that a cell forks: print to the descriptors, never into the kernel's frames."""
    sys.stdout = open(1, "w", closefd=False, buffering=1)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False, buffering=1)  # noqa: SIM115


def _no_input(_prompt: object = "") -> str:
    raise StdinNotImplementedError(
        "raw_input was called, but this frontend does not support input requests."
    )


def _no_getpass(*_: object, **__: object) -> str:
    raise StdinNotImplementedError(
        "getpass was called, but this frontend does not support input requests."
    )


def _system(command: str) -> None:
    """`!command` without a terminal: its output goes where the cell's goes, as it comes."""
    shell: Any = ZMQInteractiveShell.instance()
    expanded = shell.var_expand(command, depth=1)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    with subprocess.Popen(
        expanded, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        try:
            while data := os.read(process.stdout.fileno(), 1 << 16):
                sys.stdout.write(decoder.decode(data))
        except BaseException:
            process.kill()
            raise
    shell.user_ns["_exit_code"] = process.returncode
