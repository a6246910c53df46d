"""A zygote process, seen from the host: asks it to fork, hears of exits, and of its own end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
from dataclasses import dataclass, field
from typing import Any

from benchside_kernels.errors import KernelStartError
from benchside_kernels.forked_kernel import FORK_TIMEOUT_S, ForkedKernel
from benchside_kernels.process import ProcessExit
from benchside_kernels.zygote import ForkRequest

FORKS_AT_A_TIME = 16  # more would not fit into the control socket's buffer


@dataclass(slots=True)
class ZygoteProcess:
    """One zygote process and its kernels that are alive."""

    process: asyncio.subprocess.Process
    control: socket.socket
    preloaded: bool
    kernels: dict[int, ForkedKernel] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: itertools.count(1))
    answers: dict[int, asyncio.Future[None]] = field(default_factory=dict)
    ready: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    gone: bool = False
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(FORKS_AT_A_TIME))

    def read(self) -> None:
        """Take one packet of the zygote: ready, forked, refused, exited; or its end."""
        try:
            packet, fds, _, _ = socket.recv_fds(self.control, 1 << 16, 1)
        except BlockingIOError:
            return
        except OSError:
            packet, fds = b"", []
        try:
            message = json.loads(packet)  # empty at the end
        except ValueError:
            self._end()
            return
        if "ready" in message:
            self.ready.set_result(None)
        elif "failed" in message:
            self.ready.set_exception(KernelStartError(message["failed"]))
        elif "forked" in message:
            self._hand_over(message["forked"], fds[0])
        elif "refused" in message:
            answer = self.answers.pop(message["number"], None)
            if answer is not None and not answer.done():
                reason = f"the zygote refused to fork: {message['refused']}"
                answer.set_exception(KernelStartError(reason))
        elif "exited" in message:
            kernel = self.kernels.pop(message.pop("exited"), None)
            if kernel is not None and not kernel.exited.done():
                kernel.exited.set_result(ProcessExit(**message))

    def _hand_over(self, number: int, pidfd: int) -> None:
        """Give a new process to the kernel that waits for it; kill it if nobody does any more."""
        kernel, answer = self.kernels.get(number), self.answers.pop(number, None)
        if kernel is None or answer is None or answer.done():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)
            return
        kernel.adopt(pidfd)
        answer.set_result(None)

    def _end(self) -> None:
        """The zygote is gone, and with it all its kernels."""
        self.gone = True
        asyncio.get_running_loop().remove_reader(self.control)
        self.control.close()
        error = KernelStartError("the zygote ended")
        for waiting in (self.ready, *self.answers.values()):
            if not waiting.done():
                waiting.set_exception(error)
        for kernel in self.kernels.values():
            if not kernel.exited.done():
                kernel.exited.set_result(ProcessExit(None))
        self.kernels.clear()

    async def fork(self, request: ForkRequest, kernel: ForkedKernel, fds: list[int]) -> None:
        """Ask for one kernel and wait until its process is there."""
        number = request["number"]
        async with self.turns:
            self.kernels[number] = kernel
            answer = self.answers[number] = asyncio.get_running_loop().create_future()
            try:
                socket.send_fds(self.control, [json.dumps({"fork": request}).encode()], fds)
                await asyncio.wait_for(answer, FORK_TIMEOUT_S)
            except (OSError, TimeoutError) as error:
                raise KernelStartError(f"the zygote did not fork: {error!r}") from None
            finally:
                self.answers.pop(number, None)
                if not kernel.adopted:
                    self.kernels.pop(number, None)

    async def close(self) -> None:
        """End the zygote and all its kernels."""
        if not self.gone:
            asyncio.get_running_loop().remove_reader(self.control)
        self.control.close()
        try:
            await asyncio.wait_for(self.process.wait(), 2.0)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        self._end_kernels()

    def _end_kernels(self) -> None:
        for kernel in self.kernels.values():
            if not kernel.exited.done():
                kernel.exited.set_result(ProcessExit(None))
        self.kernels.clear()
