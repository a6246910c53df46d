"""Sandboxed kernels, forked in milliseconds: the maker that sessions use."""

from __future__ import annotations

import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from benchside_kernels import sandbox
from benchside_kernels.forked_kernel import ForkedKernel, up
from benchside_kernels.kernel_family import KernelEnds
from benchside_kernels.proxy import Proxy
from benchside_kernels.request import KernelRequest
from benchside_kernels.supervisor_link import SupervisorLink

STOCK = 2


class ForkedKernels:
    """Makes sandboxed kernels by forking; `async with` owns the supervisor that owns them.

    Args:
        modules: imported by zygotes before they fork, where installed, so that cells need not.
        stock: kernels that are kept forked in advance, for each zygote; each is used once.
        scratch: a folder of the caller's that goes with this process, also by `kill -9`.
    """

    keeps_files = False

    def __init__(
        self, modules: tuple[str, ...] = (), *, stock: int = STOCK, scratch: Path | None = None
    ) -> None:
        self.isolation = sandbox.detect_sandbox()
        self._modules, self._stock, self._scratch = modules, stock, scratch
        self._link: SupervisorLink | None = None

    async def __aenter__(self) -> Self:
        """The supervisor starts when first needed."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._link is not None:
            await self._link.close()
            self._link = None

    def new_folder(self, request: KernelRequest) -> None:
        """None: files live in the sandbox."""

    async def start(self, request: KernelRequest, folder: Path | None = None) -> ForkedKernel:
        """Get a kernel, from the stock or newly forked; its files live in the sandbox."""
        link = await self._supervisor()
        number, (_, fds) = await link.ask(
            "start", 4 if request.hosts else 3, request=request.as_message()
        )
        proxy = Proxy(request.hosts, socket.socket(fileno=fds[3])) if request.hosts else None
        ends = KernelEnds.of(fds[:3])
        return await up(ForkedKernel(link, number, ends, request.lease_s, proxy=proxy))

    async def _supervisor(self) -> SupervisorLink:
        """The supervisor; another one where it has died."""
        dead = None
        if self._link is not None and not self._link.open:
            dead, self._link = self._link, None  # so that one of several starts closes it
        if self._link is None:
            self._link = SupervisorLink.start(
                self._modules, self._stock, grouped=sandbox.group_problem() is None
            )
            if self._scratch is not None:
                self._link.bequeath(self._scratch)
        link = self._link
        if dead is not None:
            await dead.close()
        return link
