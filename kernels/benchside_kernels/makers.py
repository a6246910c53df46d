"""Chooses the kernels of this machine: sandboxed forks where they can be had, else stock ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchside_kernels.backend import KernelMaker
from benchside_kernels.errors import KernelStartError
from benchside_kernels.forked import STOCK as AHEAD
from benchside_kernels.forked import ForkedKernels
from benchside_kernels.sandbox import Level, sandbox_problem
from benchside_kernels.stock import StockKernels

STOCK = 1
"""Stock kernels that are started ahead: each takes hundreds of MiB."""


@asynccontextmanager
async def open_kernels(
    level: Level | None = None, modules: tuple[str, ...] = (), *, ahead: int = AHEAD
) -> AsyncIterator[KernelMaker]:
    """Own a maker of kernels for as long as the context lasts.

    Args:
        level: `sandbox` or `process`; None for the strongest that this machine gives.
        modules: imported before the first fork, where installed, so that cells need not.
        ahead: kernels of each image that are kept forked in advance; stock ones are not.

    Raises:
        KernelStartError: the level cannot be had here; the message has reason and cure.
    """
    problem = sandbox_problem() if level in (None, "sandbox") else None
    if level == "sandbox" and problem is not None:
        raise KernelStartError(f"no sandbox on this machine: {problem}")
    if problem is not None or level not in (None, "sandbox"):
        async with StockKernels(stock=STOCK) as stock:
            yield stock
        return
    async with ForkedKernels(modules, stock=ahead) as maker:
        yield maker
