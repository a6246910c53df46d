"""The host's handle on a kernel process, through its keeper."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from dataclasses import dataclass
from typing import Any

from benchside_kernels.errors import KernelStartError
from benchside_kernels.keeper import KILL_DEADLINE_S, KeeperSpec
from benchside_kernels.process_usage import ProcessUsage
from benchside_kernels.program import program

_KEEPER = program("keeper", "main()")


@dataclass(frozen=True, slots=True)
class ProcessExit:
    """How a kernel process ended.

    Args:
        code: exit code, negative for a signal; None where the keeper itself was lost.
        leftover: processes that the kernel had left behind and that were killed; None where they
            are not counted.
        cause: why it was ended, where it was not by itself.
    """

    code: int | None
    cpu_s: float | None = None
    peak_mib: float | None = None
    leftover: int | None = None
    cause: str = ""

    def __str__(self) -> str:
        if self.cause:
            return self.cause
        if self.code is None:
            return "the loss of the process that owned it"
        if self.code >= 0:
            return f"exit code {self.code}"
        name = signal.Signals(-self.code).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"signal {name}{hint}"


class KernelProcess:
    """One kernel process. `exited` is done as soon as it has ended, for whatever reason."""

    def __init__(self, keeper: Process, pid: int) -> None:
        self._keeper, self.pid = keeper, pid
        self._usage = ProcessUsage(pid)
        self.exited: asyncio.Future[ProcessExit] = asyncio.get_running_loop().create_future()
        self._watcher = asyncio.create_task(self._watch())

    @classmethod
    async def start(cls, spec: KeeperSpec) -> KernelProcess:
        """Start a keeper and, by it, the kernel.

        Raises:
            KernelStartError: the keeper ended before it had started the kernel.
        """
        keeper = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", "-c", _KEEPER,
            stdin=PIPE, stdout=PIPE, stderr=DEVNULL, start_new_session=True,
        )  # fmt: skip
        assert keeper.stdin is not None and keeper.stdout is not None
        try:
            keeper.stdin.write(json.dumps(spec).encode() + b"\n")
            await keeper.stdin.drain()
            line = await keeper.stdout.readline()
        except (BrokenPipeError, ConnectionResetError):
            line = b""
        except asyncio.CancelledError:
            keeper.kill()  # the kernel follows: it asked for the signal when its parent dies
            _close_transport(keeper)
            raise
        if not line:
            _close_transport(keeper)
            raise KernelStartError("the keeper process ended before it had started a kernel")
        return cls(keeper, int(json.loads(line)["pid"]))

    async def _watch(self) -> None:
        assert self._keeper.stdout is not None
        line = await self._keeper.stdout.readline()
        if not line:  # the keeper was killed; take the kernel's whole group down with it
            _kill_group(self.pid)
            self.exited.set_result(ProcessExit(None))
            return
        report = json.loads(line)["exit"]
        self.exited.set_result(ProcessExit(**report))

    def interrupt(self) -> None:
        """Send SIGINT to the kernel's process group."""
        self._order("interrupt")

    async def kill(self) -> ProcessExit:
        """Kill the kernel with all its descendants and wait until they are gone."""
        self._order("kill")
        try:
            return await asyncio.wait_for(asyncio.shield(self.exited), KILL_DEADLINE_S + 5)
        except TimeoutError:
            self._keeper.kill()
            return await self.exited

    async def release(self) -> None:
        """Let the keeper of an ended kernel go; the session folder stays."""
        self._usage.close()
        self._order("release")
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        await self._watcher
        await self._keeper.wait()
        _close_transport(self._keeper)

    def _order(self, order: str) -> None:
        stdin = self._keeper.stdin
        if stdin is not None and not stdin.is_closing():
            stdin.write(json.dumps({"do": order}).encode() + b"\n")

    def cpu_s(self) -> float | None:
        """CPU time used so far, with reaped children; None where /proc does not tell."""
        return self._usage.cpu_s()

    def peak_mib(self) -> float | None:
        """Peak resident memory so far; None where /proc does not tell."""
        return self._usage.peak_mib()


def _close_transport(process: Process) -> None:
    """Close now what asyncio would close a moment later, when the loop may have ended."""
    transport: Any = process._transport  # type: ignore[attr-defined]
    transport.close()


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
