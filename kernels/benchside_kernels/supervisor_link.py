"""A runner's side of its supervisor: starts it, asks it for kernels, hears of their ends."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from benchside_kernels import packets
from benchside_kernels.errors import KernelStartError
from benchside_kernels.packet_stream import PacketStream
from benchside_kernels.packets import Message
from benchside_kernels.pidfd import ended, kill
from benchside_kernels.process import ProcessExit
from benchside_kernels.program import program

ANSWER_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 2.0

_SUPERVISOR = program("supervisor", "main(int(sys.argv[1]))")

Answer = tuple[Message, list[int]]


class SupervisorLink:
    """A connection to a supervisor.

    Args:
        stream: the connected socket.
        process: pidfd of a supervisor that we have started; None for one that was met.
        log: descriptor of the file that it writes its errors to.
    """

    def __init__(
        self, stream: socket.socket, process: int | None = None, log: int | None = None
    ) -> None:
        self._packets = PacketStream(stream, self._take, self._end)
        self._process, self._log = process, log
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Answer]] = {}
        self._exits: dict[int, asyncio.Future[ProcessExit]] = {}
        self._scratch: Path | None = None
        self._has_kept = False

    @classmethod
    def start(cls, modules: Sequence[str], stock: int, grouped: bool) -> Self:
        """Start a supervisor; see `Zygotes` for the settings."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        packets.send(ours, {"modules": list(modules), "stock": stock, "grouped": grouped})
        theirs.set_inheritable(True)
        # -P: a file of a cell's or of the user's in our folder, such as queue.py, is no module
        argv = [sys.executable, "-P", "-c", _SUPERVISOR, str(theirs.fileno())]
        null = os.open(os.devnull, os.O_RDWR)
        log = os.memfd_create("supervisor.log")  # it may outlive the terminal, and us
        actions = [(os.POSIX_SPAWN_DUP2, fd, to) for fd, to in ((null, 0), (null, 1), (log, 2))]
        pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=actions, setsid=True)
        os.close(null)
        theirs.close()
        return cls(ours, os.pidfd_open(pid), log)

    @property
    def open(self) -> bool:
        """False once the supervisor is gone."""
        return self._packets.open

    async def ask(self, verb: str, descriptors: int, **details: object) -> tuple[int, Answer]:
        """Ask for one thing under a new number; return number and answer.

        Args:
            descriptors: how many come with the answer.

        Raises:
            KernelStartError: it was refused, or the supervisor has ended, or this process can open
                no more descriptors, which the system then drops.
        """
        number = next(self._numbers)
        self._exits[number] = asyncio.get_running_loop().create_future()
        try:
            answer = await self.tell(number, verb, (), **details)
            if len(answer[1]) < descriptors:
                for fd in answer[1]:
                    os.close(fd)
                raise KernelStartError(packets.shortage())
            return number, answer
        except BaseException:
            self.end(number)
            self._exits.pop(number, None)
            raise

    async def tell(
        self, number: int, verb: str, fds: Sequence[int] = (), **details: object
    ) -> Answer:
        """Say something about a lease and wait for the answer; see `ask`."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            if not self.open:
                raise KernelStartError("the supervisor has ended")
            self._packets.send({verb: number, **details}, fds)
            async with asyncio.timeout(ANSWER_TIMEOUT_S):  # wait_for would lose a cancellation
                return await answer
        except asyncio.CancelledError:
            if answer.done() and not answer.cancelled() and answer.exception() is None:
                for fd in answer.result()[1]:  # it came just before
                    os.close(fd)
            raise
        except TimeoutError:
            raise KernelStartError(
                f"the supervisor did not answer within {ANSWER_TIMEOUT_S:.0f} s: is memory short?"
            ) from None
        finally:
            self._answers.pop(number, None)

    def exited(self, number: int) -> asyncio.Future[ProcessExit]:
        """The future of a kernel's end."""
        return self._exits[number]

    def end(self, number: int) -> None:
        """Have a kernel killed, or a start given up."""
        self._packets.send({"end": number})

    async def keep(self, number: int, fds: Sequence[int], name: str, keep_s: float) -> None:
        """Leave a kernel to the supervisor, for others to take.

        Raises:
            KernelStartError: it has ended, or the name is taken.
        """
        await self.tell(number, "keep", fds, name=name, keep_s=keep_s)
        self._has_kept = True
        self.forget(number, "being kept for others")

    def forget(self, number: int, cause: str = "") -> None:
        """Expect to hear nothing more of a kernel."""
        exited = self._exits.pop(number, None)
        if exited is not None and not exited.done():
            exited.set_result(ProcessExit(None, cause=cause))

    def scratch(self) -> Path:
        """Return a folder that is gone when this process is."""
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="bs-"))
            self.bequeath(self._scratch)
        return self._scratch

    def bequeath(self, folder: Path) -> None:
        """Have a folder deleted when this process is gone, also by `kill -9`."""
        self._packets.send({"scratch": 0, "path": str(folder)})

    def abandon(self) -> None:
        """Kill a supervisor that does not answer; all its kernels go with it."""
        if self._process is not None:
            kill(self._process)

    async def close(self) -> None:
        """End all our kernels and, where none is kept, the supervisor."""
        self._packets.close()
        if self._process is not None:
            if not self._has_kept and not await ended(self._process, STOP_TIMEOUT_S):
                self.abandon()
                await ended(self._process, STOP_TIMEOUT_S)
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PIDFD, self._process, os.WEXITED | os.WNOHANG)  # noqa: ASYNC222
            os.close(self._process)
            self._process = None
        if self._log is not None:
            os.close(self._log)
            self._log = None
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
        self._end()

    def _take(self, message: Message, fds: list[int]) -> None:
        if "exited" in message:
            exited = self._exits.pop(message["exited"], None)
            if exited is not None and not exited.done():
                exited.set_result(ProcessExit(**message["exit"]))
            return
        number = message["done"] if "done" in message else message["failed"]
        answer = self._answers.get(number)
        if answer is None or answer.done():
            for fd in fds:
                os.close(fd)
            if "done" in message:
                self.end(number)
        elif "done" in message:
            answer.set_result((message, fds))
        else:
            answer.set_exception(KernelStartError(message["reason"]))

    def _end(self) -> None:
        """The supervisor is gone, and with it all kernels."""
        said = b"" if self._log is None else os.pread(self._log, 1 << 16, 0)
        reason = f"the supervisor ended {said.decode(errors='replace')[-2000:]}".strip()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(KernelStartError(reason))
        for exited in self._exits.values():
            if not exited.done():
                exited.set_result(ProcessExit(None))
        self._exits.clear()
