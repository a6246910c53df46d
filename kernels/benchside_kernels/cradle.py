"""The cradle: a small process beside the zygote, which does what needs a fork but not the imports.

It makes the init of each kernel's pid namespace, and furnishes copies of kernels. Init reaps
orphans and tells of them, and with it dies all that the kernel has started. The kernel itself is
forked by the zygote, into init's namespace: a second fork of its many pages is saved.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from typing import Any, NoReturn

from benchside_kernels import linux, packets

FURNISH_TIMEOUT_S = 30


class Cradle:
    """The zygote's side; made while the zygote is still small.

    Args:
        sandbox: the `ZygoteSandbox` around both.
    """

    def __init__(self, sandbox: Any, control: socket.socket) -> None:
        self._stream, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            self._stream.close()
            _serve(theirs, control, sandbox)
        theirs.close()

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


def _serve(stream: socket.socket, control: socket.socket, sandbox: Any) -> NoReturn:
    """Work until the zygote ends, which ends this process, too."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a child has ended
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


def _furnish(control: socket.socket, sandbox: Any, message: packets.Message, copy: int) -> NoReturn:
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


def _make_init(stream: socket.socket, sandbox: Any, exits: int, control: socket.socket) -> None:
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
