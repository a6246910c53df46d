"""`KernelSession`: one live kernel: start, run cells, interrupt ladder, restart, close.

    async with KernelSession(image, seed=7) as session:
        result = await session.run("1 + 1", timeout_s=10)

What kind of kernel stands behind it is the maker's matter (see `backend.py`). Leaves out on
purpose: grading, policies, and who may start how many.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from benchside_kernels.backend import KernelMaker, LiveKernel, first
from benchside_kernels.cell import CellResult, CellStatus, Submission
from benchside_kernels.errors import SessionClosedError
from benchside_kernels.hosts import Host
from benchside_kernels.image import KernelImage
from benchside_kernels.output import OutputCollector
from benchside_kernels.process import ProcessExit
from benchside_kernels.request import KernelRequest
from benchside_kernels.sandbox import Isolation
from benchside_kernels.stock import StockKernels
from benchside_kernels.wire import RunningCell

INTERRUPT_GRACE_S = 2.0
SECOND_GRACE_S = 0.5
LATE_OUTPUT_S = 1.0
EXIT_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class KernelUsage:
    """What a session used over all its kernel processes; None where not measured.

    `output_chars` counts what its cells have produced, see `CellResult`.
    """

    cpu_s: float | None
    peak_mib: float | None
    starts: int
    leftover_processes: int | None
    output_chars: int


class KernelSession:
    """One fresh kernel with its own work folder, used by one episode.

    Args:
        image: data and imports; None for a bare kernel.
        files: files of the image that go into the work folder.
        hidden: paths that the kernel must not read, such as answer keys.
        seed: seed of the kernel's random generators.
        memory_mib: memory that the kernel process may allocate before it gets MemoryError.
        max_output_chars: text of outputs that is kept for each cell.
        hosts: what the kernel may reach by HTTP, through a proxy; without any it has no network.
        lease_s: a sandboxed kernel is killed after so long, whatever its owner does; None: never.
        hash_seed: Python's PYTHONHASHSEED, by which sets of texts are ordered.
        maker: starts the kernels; stock ones by default.
    """

    def __init__(
        self,
        image: KernelImage | None = None,
        *,
        files: Sequence[str] = (),
        hidden: Sequence[Path] = (),
        seed: int = 0,
        memory_mib: int = 4096,
        max_output_chars: int = 20_000,
        hosts: Sequence[Host] = (),
        lease_s: float | None = None,
        hash_seed: int = 0,
        maker: KernelMaker | None = None,
    ) -> None:
        self._maker = maker or StockKernels()
        self.setup_source = _setup_source(image, files, seed, hosts)
        self.max_output_chars = max_output_chars
        self._request = KernelRequest(
            image, tuple(files), tuple(hidden), seed, memory_mib, max_output_chars,
            self.setup_source, lease_s=lease_s, hosts=tuple(hosts), hash_seed=hash_seed,
        )  # fmt: skip
        self._kernel: LiveKernel | None = None
        self._folder: Path | None = None
        self._closing: asyncio.Task[None] | None = None
        self._submitted = False
        self._attached = False
        self._cells = 0
        self._output_chars = 0
        self._starts = 0
        self._exits: list[ProcessExit] = []

    @property
    def isolation(self) -> Isolation:
        """What holds for this session's kernels."""
        return self._maker.isolation

    @property
    def alive(self) -> bool:
        """False once the kernel process has ended, until `restart`."""
        return self._kernel is not None and not self._kernel.exited.done()

    @property
    def lost(self) -> bool:
        """True where the kernel ended with what owned it: supervisor, zygote or keeper."""
        if self._kernel is None or not self._kernel.exited.done():
            return False
        ended = self._kernel.exited.result()
        return ended.code is None and not ended.cause

    @property
    def usage(self) -> KernelUsage:
        """What the kernel processes that have ended used; all of them once closed."""
        counted = [exit_.leftover for exit_ in self._exits if exit_.leftover is not None]
        known = [exit_ for exit_ in self._exits if exit_.cpu_s is not None]
        return KernelUsage(
            cpu_s=sum(exit_.cpu_s or 0.0 for exit_ in known) if known else None,
            peak_mib=max((exit_.peak_mib or 0.0 for exit_ in known), default=None),
            starts=self._starts,
            leftover_processes=sum(counted) if counted else None,
            output_chars=self._output_chars,
        )

    async def __aenter__(self) -> Self:
        """Start the kernel and load its image; a copy's kernel is there already.

        Raises:
            KernelStartError: it did not come up in time, or its set-up failed.
        """
        if self._kernel is not None:
            return self
        self._folder = self._maker.new_folder(self._request)
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def restart(self) -> None:
        """Replace a dead (or live) kernel by a fresh one.

        Raises:
            KernelStartError: the new kernel did not come up.
        """
        await self._stop()
        await self._start()

    async def renew(self) -> None:
        """Replace kernel and work folder by fresh ones that may submit again: another attempt.

        Raises:
            KernelStartError: the new kernel did not come up.
        """
        await self._stop()
        folder, self._folder = self._folder, None
        if folder is not None:
            await asyncio.to_thread(remove_tree, folder)
        self._folder = self._maker.new_folder(self._request)
        self._submitted = False
        await self._start()

    async def close(self) -> None:
        """Kill the kernel with all it started and remove its folder, cancelled or not."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        try:
            await asyncio.shield(self._closing)
        except asyncio.CancelledError:
            await self._closing
            raise

    async def _close(self) -> None:
        await self._stop()
        folder, self._folder = self._folder, None
        if folder is not None:
            await asyncio.to_thread(remove_tree, folder)

    async def attach(self) -> Path:
        """Turn the live kernel into a Jupyter kernel that keeps all its state.

        The session from then on only owns the kernel's lifetime: `close` ends it, `restart` gives
        an ordinary one, `run` raises SessionClosedError.

        Returns:
            The connection file, in a folder that only the user can enter.

        Raises:
            SessionClosedError: no kernel is alive, or it was attached before.
            KernelStartError: this kind of kernel cannot, or it failed and was killed.
        """
        kernel = self._live_kernel("attach")
        self._attached = True
        try:
            return await kernel.attach()
        except BaseException:
            await kernel.kill()
            raise

    async def fork(self, seed: int | None = None) -> KernelSession:
        """Return a session on an independent copy of the live kernel, which is not running a cell.

        The copy has all variables and files; both go on by themselves. It has no threads (see
        `lost_threads`), no background tasks and no subprocesses; what was an open file still
        belongs to both. Close it, as any session: `async with await session.fork() as copy`.

        Args:
            seed: of the copy's random generators; None: they go on as they do here.

        Raises:
            SessionClosedError: no kernel is alive, or it was attached.
            KernelStartError: this kind of kernel cannot, or no copy came up.
        """
        kernel = self._live_kernel("fork")
        copy = KernelSession(maker=self._maker)
        copy.setup_source, copy.max_output_chars = self.setup_source, self.max_output_chars
        copy._request, copy._submitted, copy._cells = self._request, self._submitted, self._cells
        copy._kernel = await kernel.fork(seed)
        copy._starts = 1
        return copy

    async def keep(self, name: str, keep_s: float) -> None:
        """Close the session but leave its kernel, frozen, for somebody to take by its name.

        Raises:
            SessionClosedError: no kernel is alive, or it was attached.
            KernelStartError: this kind of kernel cannot, or another one has that name.
        """
        kernel = self._live_kernel("keep")
        used = ProcessExit(None, kernel.cpu_s(), kernel.peak_mib())
        await kernel.keep(name, keep_s)
        self._kernel = None
        self._exits.append(used)
        await kernel.release()
        await self.close()

    @property
    def lost_threads(self) -> tuple[str, ...]:
        """Names of the threads of the original that this copy of a session is without."""
        return () if self._kernel is None else self._kernel.lost_threads

    def _live_kernel(self, verb: str) -> LiveKernel:
        if self._kernel is None or self._attached or not self.alive:
            raise SessionClosedError(f"{verb}() needs a live kernel that was not attached before")
        return self._kernel

    async def run(self, source: str, timeout_s: float = 60.0) -> CellResult:
        """Execute one cell and return what became of it.

        Args:
            timeout_s: after this the cell is interrupted, and killed where it does not obey.

        Raises:
            SessionClosedError: the session is closed or was never started.
        """
        kernel = self._kernel
        if kernel is None:
            raise SessionClosedError("run() needs a started session: async with KernelSession()")
        if self._attached:
            raise SessionClosedError("run() cannot reach the kernel: attach() gave it to Jupyter")
        self._cells += 1
        cell_id = f"cell-{self._cells:03d}"
        started = time.monotonic()
        if not self.alive:
            note = "The kernel is not running; restart it first."
            return CellResult(cell_id, source, "dead", (), 0.0, state_survived=False, note=note)
        before = kernel.cpu_s()
        cell = kernel.execute(source, OutputCollector(self.max_output_chars))
        status, note = await self._wait(kernel, cell, timeout_s)
        await self._drain(cell)
        kernel.finish(cell)
        after, survived = kernel.cpu_s(), self.alive
        self._output_chars += cell.collector.produced_chars
        return CellResult(
            cell_id=cell_id,
            source=source,
            status=status,
            outputs=cell.collector.outputs(),
            duration_s=time.monotonic() - started,
            cpu_s=None if before is None or after is None else max(after - before, 0.0),
            peak_mib=kernel.peak_mib(),
            output_chars=cell.collector.produced_chars,
            dropped_chars=cell.collector.dropped_chars,
            state_survived=survived,
            note=note,
            submission=self._first_submission(cell.collector),
        )

    def _first_submission(self, collector: OutputCollector) -> Submission | None:
        if not collector.submitted or self._submitted:
            return None
        self._submitted = True
        return Submission(collector.submission)

    async def _start(self) -> None:
        self._starts += 1
        self._attached = False
        self._kernel = await self._maker.start(self._request, self._folder)

    async def _stop(self) -> None:
        """Take the kernel down and give back what it held; safe to call again."""
        kernel, self._kernel = self._kernel, None
        if kernel is not None:
            peak_mib = kernel.peak_mib()
            end = await kernel.kill()
            if end.peak_mib is None:  # nobody was told: a copy
                end = replace(end, peak_mib=peak_mib)
            self._exits.append(end)
            await kernel.release()

    async def _wait(
        self, kernel: LiveKernel, cell: RunningCell, timeout_s: float
    ) -> tuple[CellStatus, str]:
        """Wait for the cell's end; past its time, climb the ladder: interrupt, again, kill."""
        if await _ended(kernel, cell, timeout_s):
            return self._verdict(kernel, cell)
        for grace_s in (INTERRUPT_GRACE_S, SECOND_GRACE_S):
            kernel.interrupt()
            if await _ended(kernel, cell, grace_s):
                break
        if cell.done.done() and self.alive:
            return "timeout", (
                f"The cell was interrupted after {timeout_s:g} s. The kernel is still running and "
                "its variables are kept."
            )
        await kernel.kill()
        return "timeout", (
            f"The cell did not end within {timeout_s:g} s nor obey an interrupt, so the kernel was "
            f"killed: {self._lost}"
        )

    def _verdict(self, kernel: LiveKernel, cell: RunningCell) -> tuple[CellStatus, str]:
        if not self.alive:
            ended = kernel.exited.result()
            return "dead", f"The kernel ended by {ended} while the cell ran: {self._lost}"
        note = "Some output was lost on its way." if cell.output_lost else ""
        return ("error" if cell.failed else "ok"), note

    @property
    def _lost(self) -> str:
        """What the end of a kernel costs, for notes."""
        if self._maker.keeps_files:
            return "all variables are lost, files in the work folder are kept."
        return "all variables and all files in the work folder are lost."

    async def _drain(self, cell: RunningCell) -> None:
        """After a death, take what the kernel printed just before it."""
        deadline = time.monotonic() + LATE_OUTPUT_S
        while not self.alive and not cell.idle and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
            if time.monotonic() - cell.last_message > 0.1:
                return


def remove_tree(folder: Path) -> None:
    """Delete a folder that a kernel could write to, folders in it without any rights included."""
    for path, names, _ in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                if not (Path(path) / name).is_symlink():
                    (Path(path) / name).chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


async def _ended(kernel: LiveKernel, cell: RunningCell, timeout_s: float) -> bool:
    ended = await first(cell.done, kernel.exited, timeout_s=timeout_s)
    if cell.exiting:  # exit() and quit() answer first and end the process right after
        await asyncio.wait([kernel.exited], timeout=EXIT_TIMEOUT_S)
    return ended


def _setup_source(
    image: KernelImage | None, files: Sequence[str], seed: int, hosts: Sequence[Host]
) -> str:
    """The set-up cell: what the kernel starts with, to be run in any kernel with Benchside."""
    arguments = [repr(None if image is None else image.ref)]
    if files:
        arguments.append(f"files={list(files)!r}")
    arguments.append(f"seed={seed}")
    said = f"# network: only {', '.join(host.name for host in hosts)}\n" if hosts else ""
    return f"from benchside_kernels.startup import setup\n\n{said}setup({', '.join(arguments)})"
