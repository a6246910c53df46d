"""What a session needs of a kernel, whoever makes it: the seam below `KernelSession`.

Two kinds of kernel stand behind it: stock ipykernels over ZMQ (`stock.py`), which run everywhere,
and kernels forked from a warm zygote into a sandbox (`forked.py`), which start in milliseconds.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchside_kernels.image import KernelImage
from benchside_kernels.output import OutputCollector
from benchside_kernels.process import ProcessExit
from benchside_kernels.sandbox import Isolation
from benchside_kernels.wire import RunningCell


@dataclass(frozen=True, slots=True)
class KernelRequest:
    """What kernel is wanted; see `KernelSession` for the fields.

    `more_images` are not loaded, but `setup(...)` in a cell may.
    """

    image: KernelImage | None
    files: tuple[str, ...]
    hidden: tuple[Path, ...]
    seed: int
    memory_mib: int
    max_output_chars: int
    setup_source: str
    more_images: tuple[KernelImage, ...] = ()

    @property
    def images(self) -> tuple[KernelImage, ...]:
        """All images that the kernel may read; they have one home."""
        return self.more_images if self.image is None else (self.image, *self.more_images)


class LiveKernel(Protocol):
    """One kernel process that is up and has its data. `exited` is done as soon as it has ended."""

    exited: asyncio.Future[ProcessExit]

    def execute(self, source: str, collector: OutputCollector) -> RunningCell:
        """Send one cell."""
        ...

    def finish(self, cell: RunningCell) -> None:
        """Forget a cell; what still comes for it is dropped."""
        ...

    def interrupt(self) -> None:
        """Interrupt the running cell."""
        ...

    async def attach(self, folder: Path, key: bytes | None = None) -> Path:
        """Turn the kernel into a Jupyter kernel with its sockets in `folder`.

        Args:
            folder: exists, and only the user can enter it.
            key: signs messages; None for a new one.

        Returns:
            The connection file.

        Raises:
            KernelStartError: it did not become one; it must be killed.
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
    """Starts kernels. `keeps_files`: a restarted session finds its work folder as it was."""

    keeps_files: bool
    isolation: Isolation

    async def start(self, request: KernelRequest, folder: Path) -> LiveKernel:
        """Start a kernel; `folder` is the session's own, empty at its first start.

        Raises:
            KernelStartError: it did not come up, or its set-up failed.
        """
        ...


async def first(*ends: asyncio.Future[Any], timeout_s: float | None = None) -> bool:
    """Wait until one of the futures is done; return False if none was in time."""
    done, _ = await asyncio.wait(ends, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    return bool(done)
