"""The cradle: a small process beside a zygote, which does what needs a fork but not the imports.

It makes the init of each kernel's pid namespace, and furnishes copies of kernels. Init reaps
orphans and tells of them, and with it dies all that the kernel has started. The kernel itself is
forked by the zygote, into init's namespace: a second fork of its many pages is saved.

Zygotes are large from birth, so the nursery forks their cradles: it was itself forked while the
root was small. A cradle enters the namespaces of its zygote, with whose pid namespace it ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import traceback
from dataclasses import asdict
from typing import NoReturn

from benchside_kernels import linux, packets
from benchside_kernels.kernel_sandbox import SandboxSpec, ZygoteSandbox

FURNISH_TIMEOUT_S = 30


class Nursery:
    """The root's side; made while the root is still small. Its stream ends with the nursery."""

    def __init__(self, control: socket.socket) -> None:
        self.stream, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            self.stream.close()
            control.close()
            _nurse(theirs)
        theirs.close()


class Cradle:
    """The zygote's side.

    Args:
        sandbox: around the zygote, and so around the cradle.
        nursery: the stream of the `Nursery`, which is closed.

    Raises:
        SystemExit: there is none to be had.
    """

    def __init__(
        self, sandbox: ZygoteSandbox, control: socket.socket, nursery: socket.socket
    ) -> None:
        self._stream, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        zygote = os.pidfd_open(os.getpid())
        order = {"sandbox": asdict(sandbox.spec), "rootless": sandbox.rootless}
        fds = [zygote, theirs.fileno(), control.fileno()]
        packets.send(nursery, {**order, "links": sandbox.links}, fds)
        os.close(zygote)
        theirs.close()
        nursery.close()
        if packets.receive(self._stream) is None:
            raise SystemExit("there is no cradle for the zygote")

    def make_init(self, exits: int) -> int:
        """Return a pidfd of a new init, which reports to the pipe `exits`.

        Raises:
            RuntimeError: it could not be made.
        """
        packets.send(self._stream, {"init": 1}, [exits])
        packet = packets.receive(self._stream)
        if packet is None:
            raise SystemExit("the cradle has ended")
        message, fds = packet
        if "refused" in message:
            raise RuntimeError(f"no init: {message['refused']}")
        if not fds:
            os.kill(message["made"], signal.SIGKILL)
            raise RuntimeError(packets.shortage())
        return fds[0]

    def furnish(self, number: int, copy: int, slot: int) -> None:
        """Have a copy furnished, by its pidfd; the answer goes to the supervisor at once."""
        packets.send(self._stream, {"furnish": number, "slot": slot}, [copy])

    def close(self) -> None:
        """In a forked child: let go of it."""
        self._stream.close()


def _nurse(stream: socket.socket) -> NoReturn:
    """Make cradles until the root ends, which ends this process, too."""
    linux.name_process("bs-nursery")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a child has ended
    while (packet := packets.receive(stream)) is not None:
        message, fds = packet
        with contextlib.suppress(OSError):  # no fork: the zygote sees its descriptor close
            if os.fork() == 0:
                stream.close()
                _enter_cradle(message, fds)
        for fd in fds:
            os.close(fd)
    os._exit(0)


def _enter_cradle(message: packets.Message, fds: list[int]) -> NoReturn:
    """In a child of the nursery: become a cradle.

    Args:
        fds: pidfd of the zygote, the cradle's connection to it, and the zygote's control socket.
    """
    try:
        zygote, connection, control = fds
        kinds = linux.NEWNS | linux.NEWPID | linux.NEWNET | linux.NEWIPC | linux.NEWUTS
        linux.join_namespace(zygote, kinds, "a zygote's namespaces")
        os.close(zygote)
        if os.fork() == 0:  # its child is in the pid namespace, and dies with that
            linux.name_process("bs-cradle")
            spec = SandboxSpec.from_dict(message["sandbox"])
            sandbox = ZygoteSandbox(spec, message["rootless"], message["links"])
            stream = socket.socket(fileno=connection)
            packets.send(stream, {"ready": 1})
            _serve(stream, socket.socket(fileno=control), sandbox)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _serve(stream: socket.socket, control: socket.socket, sandbox: ZygoteSandbox) -> NoReturn:
    """Work until the zygote ends, which ends this process, too."""
    while (packet := packets.receive(stream)) is not None:
        message, (descriptor,) = packet
        try:
            if "init" in message:
                _make_init(stream, sandbox, descriptor, control)
            elif os.fork() == 0:
                _furnish(control, sandbox, message, descriptor)
        except OSError as error:
            if "init" in message:
                packets.send(stream, {"refused": str(error)})
            else:
                packets.send(control, {"refused": str(error), "number": message["furnish"]})
        finally:
            os.close(descriptor)
    os._exit(0)


def _furnish(
    control: socket.socket, sandbox: ZygoteSandbox, message: packets.Message, copy: int
) -> NoReturn:
    """In a child: give the copy of a kernel folders of its own."""
    number = message["furnish"]
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.alarm(FURNISH_TIMEOUT_S)
        sandbox.furnish(copy, message["slot"])
        packets.send(control, {"furnished": number})
    except BaseException as error:
        reason = f"{type(error).__name__}: {error}"
        packets.send(control, {"refused": reason, "number": number})
    finally:
        os._exit(0)


def _make_init(
    stream: socket.socket, sandbox: ZygoteSandbox, exits: int, control: socket.socket
) -> None:
    sandbox.before_fork()
    pid = -1
    try:
        pid = os.fork()
    finally:
        if pid != 0:
            sandbox.after_fork()
    if pid == 0:
        stream.close()
        control.close()
        _be_init(exits)
    try:
        pidfd = os.pidfd_open(pid)
        packets.send(stream, {"made": pid}, [pidfd])
        os.close(pidfd)
    except OSError:  # no descriptor is left
        os.kill(pid, signal.SIGKILL)
        raise


def _be_init(exits: int) -> NoReturn:
    """Reap whatever ends in this namespace and tell of it, until killed."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL, "death signal")
    os.set_blocking(exits, False)
    while True:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        try:
            pid, status, usage = os.wait3(0)
        except ChildProcessError:
            signal.sigwait({signal.SIGCHLD})
            continue
        code, cpu_s = os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime
        line = json.dumps([pid, code, cpu_s, usage.ru_maxrss / 1024]).encode() + b"\n"
        with contextlib.suppress(BlockingIOError):  # a flood of orphans: nobody needs them all
            os.write(exits, line)
