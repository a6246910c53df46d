"""The supervisor's view of one pid namespace: its init, the kernel forked first, and its copies.

All die with init. Each kernel's end is noticed at once: the zygote reaps the first one and tells; a
copy's pidfd shows its end, and how it ended is read from the zombie or, if the original is gone,
told by init.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchside_kernels import linux
from benchside_kernels.errors import KernelStartError
from benchside_kernels.pidfd import kill
from benchside_kernels.process import ProcessExit
from benchside_kernels.seccomp import KEY_BYTES

FIRST_PID = 2  # in its namespace: init is 1
REPORT_GRACE_S = 0.5
MAX_REPORT_BYTES = 1 << 12

OnExit = Callable[[ProcessExit], None]


@dataclass(slots=True)
class Member:
    """One kernel of a family; `cause` says why the supervisor ended it."""

    on_exit: OnExit
    pidfd: int | None = None
    cause: str = ""


@dataclass(frozen=True, slots=True)
class KernelEnds:
    """One side's ends of a kernel's connection and of its stdout and stderr."""

    connection: socket.socket
    stdout: int
    stderr: int

    @classmethod
    def pair(cls) -> tuple[KernelEnds, KernelEnds]:
        """Return the host's ends and the kernel's."""
        with contextlib.ExitStack() as undo:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            undo.callback(theirs.close)
            undo.callback(ours.close)
            stdout, kernel_stdout = os.pipe()
            undo.callback(os.close, stdout)
            undo.callback(os.close, kernel_stdout)
            stderr, kernel_stderr = os.pipe()
            undo.pop_all()
        return cls(ours, stdout, stderr), cls(theirs, kernel_stdout, kernel_stderr)

    @classmethod
    def of(cls, fds: Sequence[int]) -> KernelEnds:
        """The other way round of `descriptors`."""
        connection, stdout, stderr = fds
        return cls(socket.socket(fileno=connection), stdout, stderr)

    @property
    def descriptors(self) -> tuple[int, int, int]:
        """In the order in which they are handed on."""
        return self.connection.fileno(), self.stdout, self.stderr

    def close(self) -> None:
        """Close all of them."""
        self.connection.close()
        os.close(self.stdout)
        os.close(self.stderr)


@dataclass(slots=True, eq=False)
class KernelFamily:
    """An init and the kernels below it.

    `listeners` holds the socket for the proxy of a kernel with hosts until its owner has it.
    """

    number: int
    ends: KernelEnds
    exits: int
    init: int | None = None
    first: int | None = None
    listeners: list[int] = field(default_factory=list)
    key: bytes = b""
    members: dict[int, Member] = field(default_factory=dict)
    first_ended: bool = False
    gone: bool = False
    _reports: dict[int, ProcessExit] = field(default_factory=dict)
    _buffer: bytearray = field(default_factory=bytearray)

    def watch(self) -> None:
        """Listen to init's reports on the running loop."""
        os.set_blocking(self.exits, False)
        asyncio.get_running_loop().add_reader(self.exits, self.read_reports)

    def read_reports(self) -> None:
        """Take the secret and the lines that init has written."""
        try:
            data = os.read(self.exits, 1 << 16)
        except BlockingIOError:
            return
        if not data:
            asyncio.get_running_loop().remove_reader(self.exits)
            return
        self._buffer += data
        if not self.key:
            if len(self._buffer) < KEY_BYTES:
                return
            self.key = bytes(self._buffer[:KEY_BYTES])
            del self._buffer[:KEY_BYTES]
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = bytearray(rest[:MAX_REPORT_BYTES])
        for line in lines:
            try:
                pid, code, cpu_s, peak_mib = (float(part) for part in json.loads(line))
            except (ValueError, TypeError, RecursionError):
                self.kill()  # init is not itself any more
                return
            if pid in self.members:
                self._reports[int(pid)] = ProcessExit(int(code), cpu_s, peak_mib)

    def first_has_ended(self, report: ProcessExit) -> None:
        """Take the zygote's report."""
        self.first_ended = True
        self._reports[FIRST_PID] = report
        self._end_member(FIRST_PID)

    def add_first(self, on_exit: OnExit) -> None:
        """Hand the kernel that was forked first to its owner."""
        self.members[FIRST_PID] = Member(on_exit)
        if self.gone:
            self._tell(FIRST_PID, self.members[FIRST_PID], ProcessExit(None))
        elif self.first_ended:
            self.kill()

    def adopt_copy(self, pidfd: int, on_exit: OnExit) -> int:
        """Take a copy into the family; return its pid in the namespace.

        Args:
            pidfd: of the copy; stays the caller's.

        Raises:
            KernelStartError: it is no new kernel. The kernel has sent the handle, so it may be any.
            OSError: it has ended, or the descriptor is none of a process.
        """
        pid = _inner_pid(pidfd)
        if pid <= FIRST_PID or pid in self.members:
            raise KernelStartError(f"the kernel gave process {pid}, which is not new, for its copy")
        own = os.dup(pidfd)
        self.members[pid] = Member(on_exit, own)
        asyncio.get_running_loop().add_reader(own, self._copy_ended, pid)
        return pid

    def end(self, pid: int, cause: str = "") -> None:
        """Kill one kernel; with the last one of the family all that it has started."""
        member = self.members.get(pid)
        if member is None:
            return
        member.cause = member.cause or cause
        if len(self.members) == 1 or self.init is None:
            self.kill()
        else:
            pidfd = self.first if pid == FIRST_PID else member.pidfd
            assert pidfd is not None
            kill(pidfd)

    def hand_out(self) -> None:
        """The owner has got the ends: close them here."""
        self.ends.close()
        self._close_listeners()

    def discard(self) -> None:
        """Give up a kernel that nobody has got yet."""
        self.hand_out()
        self.kill()

    def kill(self) -> None:
        """Kill init, and so all."""
        if self.init is not None and not self.gone:
            kill(self.init)

    def close(self) -> None:
        """All have ended: tell those who wait, and let go of the descriptors."""
        if self.gone:
            return
        self.gone = True
        loop = asyncio.get_running_loop()
        self.read_reports()
        for pid, member in list(self.members.items()):
            self._tell(pid, member, self._reports.get(pid, ProcessExit(None)))
        loop.remove_reader(self.exits)
        os.close(self.exits)
        self._close_listeners()
        for pidfd in (self.init, self.first):
            if pidfd is not None:
                os.close(pidfd)

    def _close_listeners(self) -> None:
        for fd in self.listeners:
            os.close(fd)
        self.listeners = []

    def _copy_ended(self, pid: int) -> None:
        """Learn how from what is left of it; wait a moment for init, where that has reaped it."""
        loop = asyncio.get_running_loop()
        pidfd = self.members[pid].pidfd
        assert pidfd is not None
        loop.remove_reader(pidfd)
        if (report := _zombie(pidfd)) is not None:
            self._reports.setdefault(pid, report)
        if pid in self._reports:
            self._end_member(pid)
        else:
            loop.call_later(REPORT_GRACE_S, self._end_member, pid)

    def _end_member(self, pid: int) -> None:
        member = self.members.get(pid)
        if member is None or self.gone:
            return
        if len(self.members) == 1:
            self.kill()  # the end is told when all is gone
        else:
            self._tell(pid, member, self._reports.get(pid, ProcessExit(None)))

    def _tell(self, pid: int, member: Member, report: ProcessExit) -> None:
        del self.members[pid]
        if member.pidfd is not None:
            asyncio.get_running_loop().remove_reader(member.pidfd)
            os.close(member.pidfd)
        if member.cause:
            report = ProcessExit(report.code, report.cpu_s, report.peak_mib, cause=member.cause)
        member.on_exit(report)


def _zombie(pidfd: int) -> ProcessExit | None:
    """How a process ended that nobody has reaped; None where it is gone (see proc_pid_stat(5))."""
    try:
        line = Path(f"/proc/{linux.process_of(pidfd)}/stat").read_text()
    except OSError:
        return None
    fields = line.rpartition(")")[2].split()
    if fields[0] != "Z":
        return None
    cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return ProcessExit(os.waitstatus_to_exitcode(int(fields[49])), cpu_s)


def _inner_pid(pidfd: int) -> int:
    """The pid in the innermost namespace."""
    lines = Path(f"/proc/{linux.process_of(pidfd)}/status").read_text().splitlines()
    return next(int(line.split()[-1]) for line in lines if line.startswith("NSpid:"))
