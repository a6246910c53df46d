"""What a session needs of a kernel, whoever makes it: the seam below `KernelSession`.

Two kinds of kernel stand behind it: stock ipykernels over ZMQ (`stock.py`), which run everywhere,
and kernels forked from a warm zygote into a sandbox (`forked.py`), which start in milliseconds.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Protocol

from benchside_kernels.output import OutputCollector
from benchside_kernels.process import ProcessExit
from benchside_kernels.request import KernelRequest
from benchside_kernels.sandbox import Isolation
from benchside_kernels.wire import RunningCell


class LiveKernel(Protocol):
    """One kernel process that is up and has its data.

    `exited` is done as soon as it has ended; `lost_threads` are those that a copy is without.
    """

    exited: asyncio.Future[ProcessExit]
    lost_threads: tuple[str, ...]

    def execute(self, source: str, collector: OutputCollector) -> RunningCell:
        """Send one cell."""
        ...

    def finish(self, cell: RunningCell) -> None:
        """Forget a cell; what still comes for it is dropped."""
        ...

    def interrupt(self) -> None:
        """Interrupt the running cell."""
        ...

    async def attach(self, folder: Path | None = None, key: bytes | None = None) -> Path:
        """Turn the kernel into a Jupyter kernel with its sockets in `folder`.

        Args:
            folder: exists, and only the user can enter it; None: one that goes with the kernel.
            key: signs messages; None for a new one.

        Returns:
            The connection file.

        Raises:
            KernelStartError: it did not become one; it must be killed.
        """
        ...

    async def fork(self, seed: int | None) -> LiveKernel:
        """Return an independent copy of the kernel, which no cell runs in.

        Args:
            seed: of the copy's random generators; None: they go on as in the original.

        Raises:
            KernelStartError: this kind of kernel cannot, or no copy came up.
        """
        ...

    async def keep(self, name: str, keep_s: float) -> None:
        """Leave the kernel, frozen, where others can take it by its name; release it then.

        Raises:
            KernelStartError: this kind of kernel cannot, or the name is taken.
        """
        ...

    async def kill(self) -> ProcessExit:
        """Kill the kernel with all it has started; return how it ended."""
        ...

    async def release(self) -> None:
        """Give back what is held for an ended kernel."""
        ...

    def cpu_s(self) -> float | None:
        """CPU time so far."""
        ...

    def peak_mib(self) -> float | None:
        """Peak resident memory so far."""
        ...


class KernelMaker(Protocol):
    """Starts kernels. `keeps_files`: sessions have a folder, and find it again after a restart."""

    keeps_files: bool
    isolation: Isolation

    def new_folder(self, request: KernelRequest) -> Path | None:
        """Return a folder of its own for a session; None where `keeps_files` is False."""
        ...

    async def start(self, request: KernelRequest, folder: Path | None) -> LiveKernel:
        """Start a kernel.

        Args:
            folder: the session's own, from `new_folder`.

        Raises:
            KernelStartError: it did not come up, or its set-up failed.
        """
        ...


async def first(*ends: asyncio.Future[Any], timeout_s: float | None = None) -> bool:
    """Wait until one of the futures is done; return False if none was in time."""
    done, _ = await asyncio.wait(ends, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    return bool(done)
