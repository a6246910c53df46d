"""A root process, seen from the supervisor: has it fork zygotes; notices its end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from benchside_kernels import packets, sandbox, tree
from benchside_kernels.errors import KernelStartError
from benchside_kernels.packet_stream import PacketStream
from benchside_kernels.packets import Message
from benchside_kernels.program import program
from benchside_kernels.root import RootSpec
from benchside_kernels.zygote_process import ZygoteProcess

READY_TIMEOUT_S = 120.0
FORK_TIMEOUT_S = 30.0
CLOSE_TIMEOUT_S = 1.0

_ROOT = program("root", "main(int(sys.argv[1]))")


class RootProcess:
    """One root process.

    Args:
        control: our end of its control socket.
        log: descriptor of the file that it writes its errors to.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, control: socket.socket, log: int
    ) -> None:
        self._process, self._log = process, log
        self._packets = PacketStream(control, self._take, self._end)
        self._numbers = itertools.count(1)
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answers: dict[int, asyncio.Future[int]] = {}
        self.gone = False

    @classmethod
    async def start(
        cls, spec: RootSpec, variables: dict[str, str], group: Callable[[int], None]
    ) -> Self:
        """Start one and wait until it is warm.

        Args:
            variables: of its environment, and so its kernels', beside the usual ones.
            group: is told its pid before it does anything.

        Raises:
            KernelStartError: it ended, failed, or took too long.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        extra = {
            "JE_ARROW_MALLOC_CONF": "background_thread:false",  # else importing pyarrow starts one
            "MPLCONFIGDIR": f"{tree.TMP}/matplotlib",
            **variables,
        }
        environment = sandbox.scrubbed_environment(Path(tree.WORK), Path(tree.TMP), extra)
        log = os.memfd_create("root.log")
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _ROOT, str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment, cwd="/", pass_fds=(theirs.fileno(),), start_new_session=True,
            )  # fmt: skip
        except BaseException:
            ours.close()
            os.close(log)
            raise
        finally:
            theirs.close()  # else its end would not be seen
        root = cls(process, ours, log)
        try:
            group(process.pid)
            root._packets.send(dict(spec))
            await asyncio.wait_for(asyncio.shield(root._ready), READY_TIMEOUT_S)
        except BaseException as error:
            said = said_in(log)
            await root.close()
            if isinstance(error, TimeoutError):
                error = KernelStartError(f"it was not ready within {READY_TIMEOUT_S:.0f} s")
            if not isinstance(error, KernelStartError):
                raise
            raise KernelStartError(f"no root for zygotes: {error}; it said:\n{said}") from None
        return root

    async def fork(self, log: int, stock: int) -> ZygoteProcess:
        """Return a new zygote, which waits for its spec.

        Args:
            log: descriptor of the file that it writes its errors to.
            stock: kernels that it keeps forked in advance.

        Raises:
            KernelStartError: the root refused, did not answer in time, or is gone.
        """
        if self.gone:
            raise KernelStartError("the root of the zygotes has ended")
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        with contextlib.ExitStack() as undo:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            undo.callback(ours.close)  # which ends a zygote of a late answer
            with theirs:
                self._packets.send({"zygote": number}, [theirs.fileno(), log])
            try:
                process = await asyncio.wait_for(answer, FORK_TIMEOUT_S)
            except TimeoutError:
                reason = f"the root of the zygotes did not answer within {FORK_TIMEOUT_S:.0f} s"
                raise KernelStartError(reason) from None
            finally:
                self._answers.pop(number, None)
            undo.pop_all()
        return ZygoteProcess(process, ours, stock)

    async def close(self) -> None:
        """End the root and, with it, all its zygotes and kernels."""
        self._packets.close()
        try:
            await asyncio.wait_for(self._process.wait(), CLOSE_TIMEOUT_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        self._end()
        if self._log >= 0:
            os.close(self._log)
            self._log = -1

    def _take(self, message: Message, fds: list[int]) -> None:
        if "ready" in message:
            self._ready.set_result(None)
        elif "failed" in message:
            self._ready.set_exception(KernelStartError(message["failed"]))
        elif "made" in message:
            answer = self._answers.get(message["made"])
            if answer is None or answer.done():
                for fd in fds:
                    os.close(fd)
            elif fds:
                answer.set_result(fds[0])
            else:
                answer.set_exception(KernelStartError(f"in the supervisor {packets.shortage()}"))
        elif "refused" in message:
            answer = self._answers.get(message["number"])
            if answer is not None and not answer.done():
                answer.set_exception(KernelStartError(f"the root refused: {message['refused']}"))

    def _end(self) -> None:
        """The root is gone, and with it all its zygotes."""
        if self.gone:
            return
        self.gone = True
        self._packets.close()
        error = KernelStartError("the root of the zygotes ended")
        waiting: list[asyncio.Future[Any]] = [self._ready, *self._answers.values()]
        for future in waiting:
            if not future.done():
                future.set_exception(error)
                future.exception()  # it may be that nobody waits


def said_in(log: int) -> str:
    """The end of what a process has written to a file in memory."""
    return os.pread(log, 1 << 20, 0).decode(errors="replace").strip()[-2000:]
