"""The zygote: a warm, single-threaded process that forks one kernel per request.

It is itself forked, from the root (see `root.py`), which has imported what cells need and built
the shell. It loads the image, and then only forks. It refuses to fork with more than one thread,
since a lock that another thread holds would hang the child.

Control socket (inherited, packets). In: the `ZygoteSpec`; then
{"fork": number, "network": bool} with four descriptors: connection, pipes for stdout, stderr and
exits;
{"furnish": number, "of": number} with the pidfd of a copy of a kernel (see
`ZygoteSandbox.furnish`);
{"end": number} for a kernel whose handles did not arrive.
Out: {"ready": MiB}; {"forked": number, "handles": count} with so many: the pidfds of the kernel and
of its init and, where it has a network, the socket for its proxy (see `loopback.py`);
{"furnished": number}; {"refused": why, "number": number}; {"unfit": true}, which it stays;
{"ended": number, ...} when the kernel has ended, {"exited": number} when all of its namespace has.
Its end is the end of zygote and kernels.

Each kernel has a pid namespace of its own, whose first process is a small init (see `cradle.py`),
with which dies all that the kernel has started. Down the pipe for exits go the kernel's secret
(`seccomp.KEY_BYTES`), then a line of JSON for each process that init reaps: pid in the namespace,
exit code, CPU time in s, peak memory in MiB. Init waits to be killed even when the kernel has
ended, since copies of it may live on.

A forked kernel waits for a `Preparation` on its connection, so that kernels can be kept in stock.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import resource
import select
import signal
import socket
import traceback
from pathlib import Path
from typing import Any, NoReturn, TypedDict

from benchside_kernels import landlock, linux, loopback, namespaces, packets
from benchside_kernels.cradle import Cradle
from benchside_kernels.kernel_sandbox import SandboxSpec
from benchside_kernels.namespaces import Walls

KERNEL_NICENESS = 5  # the control side comes first


class ZygoteSpec(TypedDict):
    """What makes a fork of the root a zygote.

    Args:
        imports: import lines of the image.
        image: reference of an image that is loaded before the first fork; None: each kernel loads
            its own, which is right for small ones.
        home: Benchside home, where images are.
        sandbox: the `SandboxSpec` as a dict.
    """

    imports: list[str]
    image: str | None
    home: str
    sandbox: dict[str, Any]


class Preparation(TypedDict):
    """What makes a forked kernel ready for one session.

    Args:
        rules: narrow what its zygote may read.
        environment: further variables.
    """

    image: str | None
    files: list[str]
    seed: int
    max_chars: int
    rules: list[tuple[str, str]]
    environment: dict[str, str]


def run(control: socket.socket, walls: Walls, nursery: socket.socket, shell: Any) -> None:
    """Run a zygote in a fork of the root.

    Args:
        shell: what `build_shell` gave in the root.
    """
    packet = packets.receive(control)
    if packet is None:
        return
    spec: Any = packet[0]
    confined = SandboxSpec.from_dict(spec["sandbox"])
    linux.name_process("bs-zygote-outer")
    sandbox = namespaces.enter_room(confined, walls, keep=(control.fileno(), nursery.fileno()))
    linux.name_process("bs-zygote")
    cradle = Cradle(sandbox, control, nursery)
    shell.user_ns.update(_load(spec))
    gc.collect()
    gc.freeze()  # collections in children then do not touch, and so copy, the zygote's pages
    gc.enable()
    threads = thread_names()
    if len(threads) > 1:
        reason = f"the zygote has {len(threads)} threads: {', '.join(threads)}"
        packets.send(control, {"failed": reason})
        return
    packets.send(control, {"ready": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024})
    Zygote(control, shell, sandbox, cradle, spec["image"]).serve()


def _load(spec: ZygoteSpec) -> dict[str, Any]:
    """Load the image; return the variables that kernels start with."""
    namespace: dict[str, Any] = {}
    for line in spec["imports"]:
        exec(line, namespace)
    if spec["image"] is not None:
        from benchside_kernels.image import images_folder, load_image  # noqa: PLC0415

        image = load_image(spec["image"], images_folder(Path(spec["home"])))
        namespace.update(image.load_variables())
    namespace.pop("__builtins__", None)
    return namespace


def thread_names() -> list[str]:
    """Names of this process's threads; a process that forks has one."""
    names = []
    for thread in os.listdir("/proc/self/task"):  # noqa: PTH208 (before each fork: pathlib is slow)
        with open(f"/proc/self/task/{thread}/comm") as comm:  # noqa: PTH123
            names.append(comm.read().strip())
    return names


class Zygote:
    """Serves requests and reports exits until the control socket ends."""

    def __init__(
        self, control: socket.socket, shell: Any, sandbox: Any, cradle: Cradle, image: str | None
    ) -> None:
        self._control, self._shell, self._sandbox = control, shell, sandbox
        self._cradle, self._image = cradle, image
        self._kernels: dict[int, int] = {}  # pid → number
        self._slots: dict[int, int] = {}  # number → slot
        self._inits: dict[int, int] = {}  # pidfd → number
        self._wake, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._poll = select.epoll()
        self._poll.register(control, select.EPOLLIN)
        self._poll.register(self._wake, select.EPOLLIN)

    def serve(self) -> None:
        """Fork, reap, report."""
        while True:
            ready = [descriptor for descriptor, _ in self._poll.poll()]
            if self._wake in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake, 4096)
            self._reap()
            for init in self._inits.keys() & ready:
                self._forget(init)
            if self._control.fileno() not in ready:
                continue
            packet = packets.receive(self._control)
            if packet is None:
                return
            self._obey(*packet)

    def _obey(self, message: packets.Message, fds: list[int]) -> None:
        if "end" in message:
            self._kill(message["end"])
            return
        number = message["fork"] if "fork" in message else message["furnish"]
        try:
            if "fork" in message:
                threads = thread_names()
                if len(threads) > 1:
                    packets.send(self._control, {"unfit": True})
                    raise RuntimeError(f"the zygote has threads: {', '.join(threads)}")
                self._fork(number, fds, network=message["network"])
            else:
                self._furnish(number, message["of"], *fds)
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            packets.send(self._control, {"refused": str(error), "number": number})
        finally:
            for fd in fds:
                os.close(fd)

    def _fork(self, number: int, fds: list[int], *, network: bool) -> None:
        connection, stdout, stderr, exits = fds
        taken = set(self._slots.values())
        slot = next(slot for slot in itertools.count() if slot not in taken)
        listener = None
        init = self._cradle.make_init(exits)
        pid = -1
        try:
            self._sandbox.enter_pids_of(init)
            if network:
                listener = self._sandbox.enter_network()
            pid = os.fork()
        finally:
            if pid != 0:
                self._sandbox.after_fork()
            if pid == -1:
                signal.pidfd_send_signal(init, signal.SIGKILL)
                os.close(init)
        if pid == 0:
            self._become_kernel(slot, connection, (stdout, stderr), exits)
        self._kernels[pid], self._slots[number], self._inits[init] = number, slot, number
        self._poll.register(init, select.EPOLLIN)
        handles = [init] if listener is None else [init, listener.fileno()]
        try:
            handles.insert(0, os.pidfd_open(pid))
            answer = {"forked": number, "handles": len(handles)}
            packets.send(self._control, answer, handles)
            os.close(handles[0])
        except OSError:  # no descriptor is left
            self._kill(number)
            raise
        finally:
            if listener is not None:
                listener.close()

    def _kill(self, number: int) -> None:
        """Kill a kernel's init, and so all of its namespace."""
        for init, of in self._inits.items():
            if of == number:
                signal.pidfd_send_signal(init, signal.SIGKILL)

    def _forget(self, init: int) -> None:
        """All processes of a namespace are gone."""
        number = self._inits.pop(init)
        self._poll.unregister(init)
        os.close(init)
        del self._slots[number]
        packets.send(self._control, {"exited": number})

    def _furnish(self, number: int, of: int, copy: int) -> None:
        """Have a copy of kernel `of` given folders of its own."""
        if of not in self._slots:
            raise ValueError("all of the kernels that it belongs to have ended")
        self._cradle.furnish(number, copy, self._slots[of])

    def _become_kernel(
        self, slot: int, connection_fd: int, outputs: tuple[int, int], exits: int
    ) -> NoReturn:
        """In the child: confine, take what the session needs, and serve cells."""
        connection = socket.socket(fileno=connection_fd)
        try:
            signal.set_wakeup_fd(-1)
            linux.name_process("python")
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            redirect(*outputs)
            self._control.close()
            self._cradle.close()
            self._poll.close()
            os.nice(KERNEL_NICENESS)
            self._sandbox.enter_kernel(slot, keep=(connection_fd, exits), key_fd=exits)
            os.close(exits)
            os.setsid()
            from benchside_kernels.shell import serve  # noqa: PLC0415 (imported already)

            serve(self._shell, connection, self._rehearse, self._prepare)
        except BaseException:
            from benchside_kernels.frames import pack  # noqa: PLC0415

            reason = traceback.format_exc(limit=-3)
            with contextlib.suppress(OSError):
                connection.sendall(
                    pack({"cell": 0, "kind": "failed", "content": {"reason": reason}})
                )
        finally:
            os._exit(70)

    def _rehearse(self) -> None:
        """Do for nothing what `_prepare` will: a kernel in stock then owns the pages it writes."""
        from benchside_kernels import startup  # noqa: PLC0415 (imported already)

        os.close(landlock.make_ruleset([("/", landlock.READ)], [loopback.PORT]))
        startup.fill({}, self._image, preloaded=True)

    def _prepare(self, request: dict[str, Any]) -> None:
        """Give a fresh kernel its data, seed and `submit`, as a `Preparation` says."""
        from benchside_kernels import startup  # noqa: PLC0415 (imported already)

        startup.take_font_list(startup.home_folder())
        # also where they narrow nothing: another domain keeps the kernel from its init
        landlock.restrict_self(request["rules"] or [("/", landlock.WRITE)], [loopback.PORT])
        os.environ.update(request["environment"])
        startup.fill(
            self._shell.user_ns, request["image"], files=request["files"], seed=request["seed"],
            preloaded=self._image is not None,
        )  # fmt: skip
        self._shell.execution_count = 2  # as after a set-up cell

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._kernels:
                report = {
                    "ended": self._kernels.pop(pid),
                    "code": os.waitstatus_to_exitcode(status),
                    "cpu_s": usage.ru_utime + usage.ru_stime,
                    "peak_mib": usage.ru_maxrss / 1024,
                }
                packets.send(self._control, report)


def redirect(stdout: int, stderr: int) -> None:
    """stdin is empty; what C code and subprocesses print goes to the host's pipes."""
    null = os.open(os.devnull, os.O_RDONLY)
    for number, fd in enumerate((null, stdout, stderr)):
        os.dup2(fd, number)
        os.close(fd)
