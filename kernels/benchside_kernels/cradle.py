"""The cradle: a small process beside the zygote that makes the init of each kernel's pid namespace.

Init reaps orphans and tells of them, and with it dies all that the kernel has started. The kernel
itself is forked by the zygote, into init's namespace. That init comes from here saves a second fork
of the zygote's many pages.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from typing import Any, NoReturn

from benchside_kernels import linux, packets


class Cradle:
    """The zygote's side; made while the zygote is still small.

    Args:
        sandbox: the `ZygoteSandbox` around both.
    """

    def __init__(self, sandbox: Any, control: socket.socket) -> None:
        self._stream, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            control.close()
            self._stream.close()
            _serve(theirs, sandbox)
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
        if not fds:
            raise RuntimeError(f"no init: {message['refused']}")
        return fds[0]

    def close(self) -> None:
        """In a forked child: let go of it."""
        self._stream.close()


def _serve(stream: socket.socket, sandbox: Any) -> NoReturn:
    """Make inits until the zygote ends, which ends this process, too."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how an init has ended
    while (packet := packets.receive(stream)) is not None:
        (exits,) = packet[1]
        try:
            sandbox.before_fork()
            pid = -1
            try:
                pid = os.fork()
            finally:
                if pid != 0:
                    sandbox.after_fork()
            if pid == 0:
                stream.close()
                _be_init(exits)
            pidfd = os.pidfd_open(pid)
            packets.send(stream, {"made": 1}, [pidfd])
            os.close(pidfd)
        except OSError as error:
            packets.send(stream, {"refused": str(error)})
        finally:
            os.close(exits)
    os._exit(0)


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
