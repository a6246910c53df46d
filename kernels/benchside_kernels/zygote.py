"""The zygote: a warm, single-threaded process that forks one kernel per request.

It imports what cells need, loads the image, builds the shell, and then only forks. It refuses to
fork with more than one thread, since a lock that another thread holds would hang the child.

Control socket (inherited, SOCK_SEQPACKET, one JSON object a packet). In: the `ZygoteSpec`, then
{"fork": ForkRequest} with three descriptors (connection, pipes for stdout and stderr). Out:
{"ready": MiB}, then for each fork {"forked": kernel} with the pidfd of its init, or
{"refused": why, "number": kernel}, and later {"exited": kernel, ...}. Its end is the end of
zygote and kernels.

Each kernel has a pid namespace of its own, whose first process is a small init: it reaps orphans,
and with it dies all that the kernel has started.
"""

from __future__ import annotations

import array
import contextlib
import gc
import importlib
import itertools
import json
import os
import resource
import select
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn, TypedDict

from benchside_kernels import landlock, namespaces, tree


class ZygoteSpec(TypedDict):
    """What a zygote is made of.

    Args:
        modules: imported before the first fork, where they are installed.
        imports: import lines of the image.
        image: reference of an image that is loaded before the first fork; None: each kernel loads
            its own, which is right for small ones.
        home: Benchside home, where images are.
        sandbox: the `SandboxSpec` as a dict.
    """

    modules: list[str]
    imports: list[str]
    image: str | None
    home: str
    sandbox: dict[str, Any]


class ForkRequest(TypedDict):
    """One kernel: `number` names it in later messages, `rules` narrow what its zygote may read."""

    number: int
    image: str | None
    preloaded: bool
    files: list[str]
    seed: int
    max_chars: int
    rules: list[tuple[str, str]]


def main(control_fd: int) -> None:
    """Run a zygote on an inherited control socket."""
    control = socket.socket(fileno=control_fd)
    spec: ZygoteSpec = json.loads(control.recv(1 << 22))
    confined = namespaces.SandboxSpec.from_dict(spec["sandbox"])
    sandbox = namespaces.enter_zygote(confined, keep=(control_fd,))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    namespace = _warm(spec)
    from benchside_kernels.shell import build_shell  # noqa: PLC0415 (heavy; inside the sandbox)

    shell = build_shell(namespace, tree.TMP)
    del sys.argv[1:]  # what started the zygote is not for cells that parse arguments
    gc.collect()
    gc.freeze()  # collections in children then do not touch, and so copy, the zygote's pages
    threads = _threads()
    if len(threads) > 1:
        _send(control, {"failed": f"the zygote has {len(threads)} threads: {', '.join(threads)}"})
        sys.exit(3)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    _send(control, {"ready": peak})
    Zygote(control, shell, sandbox).serve()


def _warm(spec: ZygoteSpec) -> dict[str, Any]:
    """Import modules and load the image; return the namespace that kernels start with."""
    from benchside_kernels import startup  # noqa: PLC0415 (heavy; inside the sandbox)

    startup.take_font_list(Path(spec["home"]))
    for module in spec["modules"]:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(module)
    namespace: dict[str, Any] = {}
    for line in spec["imports"]:
        exec(line, namespace)
    if spec["image"] is not None:
        from benchside_kernels.image import images_folder, load_image  # noqa: PLC0415

        image = load_image(spec["image"], images_folder(Path(spec["home"])))
        namespace.update(image.load_variables())
    namespace.pop("__builtins__", None)
    return namespace


def _threads() -> list[str]:
    task = Path("/proc/self/task")
    return [(thread / "comm").read_text().strip() for thread in task.iterdir()]


class Zygote:
    """Serves fork requests and reports exits until the control socket ends."""

    def __init__(self, control: socket.socket, shell: Any, sandbox: Any) -> None:
        self._control, self._shell, self._sandbox = control, shell, sandbox
        self._kernels: dict[int, tuple[int, int]] = {}  # pid → number, slot
        self._wake, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Fork, reap, report."""
        while True:
            ends: list[Any] = [self._control, self._wake]
            ready, _, _ = select.select(ends, [], [])
            if self._wake in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake, 4096)
            self._reap()
            if self._control not in ready:
                continue
            packet, fds, _, _ = socket.recv_fds(self._control, 1 << 20, 3)
            if not packet:
                return
            self._fork(json.loads(packet)["fork"], fds)

    def _fork(self, request: ForkRequest, fds: list[int]) -> None:
        threads = _threads()
        if len(threads) > 1:
            reason = f"the zygote has threads: {', '.join(threads)}"
            _send(self._control, {"refused": reason, "number": request["number"]})
            for fd in fds:
                os.close(fd)
            return
        taken = {slot for _, slot in self._kernels.values()}
        slot = next(slot for slot in itertools.count() if slot not in taken)
        self._sandbox.before_fork()
        pid = -1
        try:
            pid = os.fork()
        finally:
            if pid != 0:
                self._sandbox.after_fork()
        if pid == 0:
            self._become_kernel(request, slot, *fds)
        for fd in fds:
            os.close(fd)
        self._kernels[pid] = request["number"], slot
        pidfd = os.pidfd_open(pid)
        _send(self._control, {"forked": request["number"]}, pidfd)
        os.close(pidfd)

    def _become_kernel(
        self, request: ForkRequest, slot: int, connection_fd: int, *output_fds: int
    ) -> NoReturn:
        """In the child: confine, become init, and serve cells in a child of its own."""
        connection = socket.socket(fileno=connection_fd)
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            _redirect(*output_fds)
            self._control.close()
            os.close(self._wake)
            self._sandbox.enter_kernel(slot, keep=(connection_fd,))
            if kernel := os.fork():
                connection.close()
                _be_init(kernel)
            os.setsid()
            _prepare(request, self._shell)
            from benchside_kernels.shell import serve  # noqa: PLC0415 (imported already)

            serve(self._shell, connection, request["max_chars"])
        except BaseException:
            from benchside_kernels.frames import pack  # noqa: PLC0415

            reason = traceback.format_exc(limit=-3)
            with contextlib.suppress(OSError):
                connection.sendall(
                    pack({"cell": 0, "kind": "failed", "content": {"reason": reason}})
                )
        finally:
            os._exit(70)

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._kernels:
                _send(
                    self._control,
                    {
                        "exited": self._kernels.pop(pid)[0],
                        "code": _kernel_code(os.waitstatus_to_exitcode(status)),
                        "cpu_s": usage.ru_utime + usage.ru_stime,
                        "peak_mib": usage.ru_maxrss / 1024,
                    },
                )


def _be_init(kernel: int) -> NoReturn:
    """Reap whatever ends in this namespace; end as the kernel does, signals as 128 + number."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    while True:
        pid, status = os.wait()
        if pid == kernel:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def _kernel_code(code: int) -> int:
    """A kernel's exit code from its init's: negative for a signal."""
    return 128 - code if code > 128 else code


def _redirect(stdout_fd: int, stderr_fd: int) -> None:
    """stdin is empty; what C code and subprocesses print goes to the host's pipes."""
    null = os.open(os.devnull, os.O_RDONLY)
    for number, fd in enumerate((null, stdout_fd, stderr_fd)):
        os.dup2(fd, number)
        os.close(fd)


def _prepare(request: ForkRequest, shell: Any) -> None:
    """Give a fresh kernel its data, seed and `submit`."""
    from benchside_kernels import startup  # noqa: PLC0415 (imported already)

    startup.take_font_list(startup.home_folder())
    if request["rules"]:
        landlock.restrict_self(request["rules"])
    startup.fill(
        shell.user_ns, request["image"], files=request["files"], seed=request["seed"],
        preloaded=request["preloaded"],
    )  # fmt: skip
    shell.execution_count = 2  # as after a set-up cell


def _send(control: socket.socket, message: dict[str, Any], fd: int | None = None) -> None:
    packet = json.dumps(message).encode()
    rights = [] if fd is None else [
        (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))
    ]  # fmt: skip
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        control.sendmsg([packet], rights)
