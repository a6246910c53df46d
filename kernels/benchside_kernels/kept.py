"""Kernels that were kept alive (`KernelSession.keep`): who they are, and how to take one over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchside_kernels.errors import KernelStartError
from benchside_kernels.forked_kernel import ForkedKernel
from benchside_kernels.kernel_family import KernelEnds
from benchside_kernels.meeting_place import connections
from benchside_kernels.supervisor_link import SupervisorLink


async def kept_names() -> list[str]:
    """Names of all kernels of this user that are kept, over all supervisors."""
    names: list[str] = []
    for stream in connections():
        link = SupervisorLink(stream)
        try:
            names += (await link.tell(0, "list"))[0]["kept"]
        finally:
            await link.close()
    return names


@asynccontextmanager
async def take_kept(name: str) -> AsyncIterator[ForkedKernel]:
    """Take a kept kernel, which goes on where it was; at the end of the context it is killed.

    Raises:
        KernelStartError: no kernel of this name is kept.
    """
    for stream in connections():
        link = SupervisorLink(stream)
        try:
            if name not in (await link.tell(0, "list"))[0]["kept"]:
                continue
            number, (_, fds) = await link.ask("take", 4, name=name)
            kernel = ForkedKernel(link, number, KernelEnds.of(fds[:3]), pidfd=fds[3], fresh=False)
            try:
                yield kernel
            finally:
                await kernel.kill()
                await kernel.release()
            return
        finally:
            await link.close()
    raise KernelStartError(f"no kernel is kept by the name {name}")
