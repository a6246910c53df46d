"""Stock ipykernels, one cold start each, confined as far as the `process` level goes.

They run wherever Jupyter does; where a sandbox can be had, `forked.py` takes their place. Kernels
like the last ones asked for can be started ahead: each is used once, in the folder that it was
started in. What a request changes in them is done again by its set-up cell: seed and variables.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import sys
import tempfile
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from jupyter_client.connect import write_connection_file

from benchside_kernels import sandbox
from benchside_kernels.admission import Admission
from benchside_kernels.backend import first
from benchside_kernels.errors import KernelStartError
from benchside_kernels.image import HOME_VARIABLE, font_cache
from benchside_kernels.keeper import KeeperSpec
from benchside_kernels.output import OutputCollector
from benchside_kernels.process import KernelProcess, ProcessExit
from benchside_kernels.request import KernelRequest
from benchside_kernels.wire import KernelWire, RunningCell

START_TIMEOUT_S = 60.0
TAKE_TIMEOUT_S = 10.0
"""For the set-up cell of a kernel from the stock; past it, a new one is started."""
MAX_KINDS = 2
KERNEL_MIB = 400.0
"""About what a stock kernel takes, with the usual imports."""
MAX_SOCKET_PATH = 107 if sys.platform == "linux" else 103


@dataclass(slots=True)
class _Spare:
    """A kernel that was started ahead, in its own folder, and waits for its set-up."""

    folder: Path
    kernel: StockKernel

    async def discard(self) -> None:
        """End it and delete its folder."""
        await self.kernel.kill()
        await self.kernel.release()
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)


_Kind = tuple[object, ...]


class StockKernels:
    """Makes stock kernels; with a stock, `async with` owns the kernels that were started ahead.

    Args:
        stock: kernels to keep started ahead, like the one asked for last; for two kinds at most.
            None are kept while memory is short.
    """

    keeps_files = True

    def __init__(self, *, stock: int = 0) -> None:
        ahead = f"{stock} of a kind started ahead" if stock else "each started when asked for"
        self.isolation = replace(sandbox.detect(), kernels=f"stock ipykernels, {ahead}")
        self._starting = asyncio.Semaphore(os.cpu_count() or 1)  # more at once only wait longer
        self._stock = stock
        self._spares: OrderedDict[_Kind, list[_Spare]] = OrderedDict()
        self._taken: dict[Path, _Spare] = {}
        self._refilling: asyncio.Task[None] | None = None
        self._admission = Admission(start_mib=KERNEL_MIB)

    async def __aenter__(self) -> Self:
        """The first kernels are started ahead when the first one was asked for."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stock = 0
        if self._refilling is not None:
            self._refilling.cancel()
            await asyncio.gather(self._refilling, return_exceptions=True)
        unused = [*self._drain(set()), *self._taken.values()]
        await asyncio.gather(*(spare.discard() for spare in unused))

    def new_folder(self, request: KernelRequest) -> Path:
        """Return a folder for a session: the one of a kernel that was started ahead, or empty."""
        spares = self._spares.get(_kind(request))
        if not spares:
            return Path(tempfile.mkdtemp(prefix="bs-"))
        spare = spares.pop(0)
        self._taken[spare.folder] = spare
        return spare.folder

    async def start(self, request: KernelRequest, folder: Path | None) -> StockKernel:
        """Start one kernel, or take the one that was started ahead there; run its set-up cell."""
        assert folder is not None
        if request.hosts:
            names = ", ".join(host.name for host in request.hosts)
            raise KernelStartError(
                f"only a sandboxed kernel can be kept to the hosts that it may reach ({names}): "
                f"{sandbox.sandbox_problem() or 'use the isolation level sandbox'}"
            )
        try:
            kernel = await self._take(request, folder)
            if kernel is None:
                async with self._starting, asyncio.timeout(START_TIMEOUT_S):
                    kernel = await _start(request, folder)
        except TimeoutError:
            raise KernelStartError(
                f"the kernel did not answer within {START_TIMEOUT_S:.0f} s{_log_tail(folder)}"
            ) from None
        self._refill(request)
        return kernel

    async def _take(self, request: KernelRequest, folder: Path) -> StockKernel | None:
        """The kernel that was started ahead in a folder, once set up; None if it is not fit."""
        spare = self._taken.pop(folder, None)
        if spare is None:
            return None
        try:
            async with asyncio.timeout(TAKE_TIMEOUT_S):
                await spare.kernel.set_up(request, folder)
            return spare.kernel
        except BaseException as error:
            await spare.kernel.kill()
            await spare.kernel.release()
            if not isinstance(error, KernelStartError | TimeoutError):
                raise
            return None  # a new one, in the same folder, will say what is wrong

    def _refill(self, request: KernelRequest) -> None:
        """Start what the stock lacks in the background, after all who wait for a kernel."""
        if self._stock and (self._refilling is None or self._refilling.done()):
            self._refilling = asyncio.create_task(self._keep_stock(request))

    async def _keep_stock(self, request: KernelRequest) -> None:
        kind = _kind(request)
        self._spares.setdefault(kind, [])
        self._spares.move_to_end(kind)
        short = self._admission.problem() is not None
        kept = set() if short else set(list(self._spares)[-MAX_KINDS:])
        for spare in self._drain(kept):
            await spare.discard()
        while len(self._spares.get(kind, ())) < self._stock and self._admission.problem() is None:
            with contextlib.suppress(KernelStartError, TimeoutError):  # the next start says why
                async with self._starting:
                    self._spares.setdefault(kind, []).append(await _start_ahead(request))
                continue
            return

    def _drain(self, kept: set[_Kind]) -> list[_Spare]:
        """Take all kernels out of the stock but those of some kinds."""
        gone = [kind for kind in self._spares if kind not in kept]
        return [spare for kind in gone for spare in self._spares.pop(kind)]


def _kind(request: KernelRequest) -> _Kind:
    """What kernels must have in common to stand in for each other."""
    image = None if request.image is None else request.image.ref
    return (
        image,
        request.home,
        request.files,
        request.hidden,
        request.memory_mib,
        request.hash_seed,
    )


async def _start_ahead(request: KernelRequest) -> _Spare:
    """Start a kernel with all that it needs but the set-up of a session."""
    folder = Path(tempfile.mkdtemp(prefix="bs-"))
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            return _Spare(folder, await _start(request, folder, ahead=True))
    except BaseException:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        raise


class StockKernel:
    """One ipykernel: its process, through the keeper, and its sockets."""

    def __init__(self, process: KernelProcess, wire: KernelWire) -> None:
        self._process, self._wire = process, wire
        self.exited = process.exited
        self.lost_threads: tuple[str, ...] = ()
        self.finish = wire.finish
        self.cpu_s, self.peak_mib = process.cpu_s, process.peak_mib

    async def set_up(self, request: KernelRequest, folder: Path) -> None:
        """Run the set-up cell; the caller sets the deadline.

        Raises:
            KernelStartError: it failed, or the kernel has ended.
        """
        await _run(self._process, self._wire, request.setup_source, folder)

    def execute(self, source: str, collector: OutputCollector) -> RunningCell:
        """Send one cell."""
        return self._wire.execute(source, collector)

    def interrupt(self) -> None:
        """Send SIGINT, and the nudge without which an `await` in a cell ignores it."""
        self._process.interrupt()
        self._wire.nudge()

    async def attach(self, folder: Path | None = None, key: bytes | None = None) -> Path:
        """Not for this kind: its sockets have lost their names, so that nobody can listen in."""
        raise KernelStartError("only a sandboxed kernel can become a Jupyter kernel")

    async def fork(self, seed: int | None) -> StockKernel:
        """Not for this kind: it has threads and sockets, which no copy could go on with."""
        raise KernelStartError("only a sandboxed kernel can be forked")

    async def keep(self, name: str, keep_s: float) -> None:
        """Not for this kind: it belongs to the process that has started it."""
        raise KernelStartError("only a sandboxed kernel can be kept for others")

    async def kill(self) -> ProcessExit:
        """Kill the kernel with all its descendants."""
        return await self._process.kill()

    async def release(self) -> None:
        """Close the sockets and let the keeper go."""
        await self._wire.close()
        await self._process.release()


async def _start(request: KernelRequest, folder: Path, *, ahead: bool = False) -> StockKernel:
    """Start a kernel and set it up; `ahead` of a session, so that it can be set up once more."""
    connections, tmp = _fresh_folders(folder)
    connection_file = _write_connection_file(connections)
    process = await KernelProcess.start(_keeper_spec(request, folder, tmp, connection_file))
    wire: KernelWire | None = None
    try:
        sockets = [connections / f"k-{number}" for number in range(1, 6)]
        while not all(socket.exists() for socket in sockets):
            _raise_if_ended(process, folder)
            await asyncio.sleep(0.01)
        wire = KernelWire(str(connection_file))
        await _ready(process, wire, folder)
        for socket in sockets:  # connected: without a name, no other kernel can listen in
            socket.unlink()
        await _run(process, wire, request.setup_source, folder, silent=ahead)
        return StockKernel(process, wire)
    except BaseException:
        if wire is not None:
            await wire.close()
        await process.kill()
        await process.release()
        raise


def _fresh_folders(folder: Path) -> tuple[Path, Path]:
    """New folders for sockets and temporary files; the work folder stays as it was left."""
    start = len(list(folder.glob("c*")))
    connections, tmp = folder / f"c{start}", folder / f"t{start}"
    for part in (connections, tmp, folder / "work"):
        part.mkdir(mode=0o700, exist_ok=True)
    return connections, tmp


async def _ready(process: KernelProcess, wire: KernelWire, folder: Path) -> None:
    ready = asyncio.create_task(wire.ready())
    try:
        await first(ready, process.exited)
    finally:
        ready.cancel()
    _raise_if_ended(process, folder)


async def _run(
    process: KernelProcess, wire: KernelWire, source: str, folder: Path, *, silent: bool = False
) -> None:
    """Run a set-up cell; a silent one leaves no trace in the history and is not counted."""
    cell = wire.execute(source, OutputCollector(20_000), silent=silent)
    await first(cell.done, process.exited)
    _raise_if_ended(process, folder)
    wire.finish(cell)
    errors = [out for out in cell.collector.outputs() if out["output_type"] == "error"]
    if errors:
        raise KernelStartError(
            f"the kernel's set-up failed: {errors[0]['ename']}: {errors[0]['evalue']}"
        )
    if cell.failed:
        raise KernelStartError("the kernel's set-up failed")


def _keeper_spec(
    request: KernelRequest, folder: Path, tmp: Path, connection_file: Path
) -> KeeperSpec:
    work = folder / "work"
    extra = {
        "MPLCONFIGDIR": str(tmp / "matplotlib"), "PYTHONHASHSEED": str(request.hash_seed),
    }  # fmt: skip
    readable: list[Path] = []
    hidden = list(request.hidden)
    if request.image is not None:
        home = request.image.folder.parent.parent
        extra |= {HOME_VARIABLE: str(home), "MPLCONFIGDIR": str(font_cache(home))}
        readable = [request.image.folder, font_cache(home)]
        hidden += sandbox.packaged_files(request.image.hidden)
    return KeeperSpec(
        argv=[sys.executable, "-m", "ipykernel_launcher", "-f", str(connection_file),
              "--HistoryManager.enabled=False",
              "--Session.packer=benchside_kernels.packer.pack",
              "--Session.unpacker=benchside_kernels.packer.unpack"],
        env=sandbox.scrubbed_environment(work, tmp, extra),
        cwd=str(work),
        log=str(folder / "kernel.log"),
        rules=sandbox.file_rules(
            readable=readable, writable=[connection_file.parent, work, tmp], hidden=hidden
        ),
        limits=sandbox.resource_limits(request.memory_mib),
        folder=str(folder),
    )  # fmt: skip


def _raise_if_ended(process: KernelProcess, folder: Path) -> None:
    if process.exited.done():
        ended = process.exited.result()
        raise KernelStartError(f"the kernel ended at start by {ended}{_log_tail(folder)}")


def _log_tail(folder: Path) -> str:
    """The end of what the kernel process itself wrote, for error messages."""
    log = folder / "kernel.log"
    text = log.read_text(errors="replace").strip() if log.exists() else ""
    return f"; it said:\n{text[-2000:]}" if text else ""


def _write_connection_file(folder: Path) -> Path:
    """Write a connection file with IPC sockets `k-1` to `k-5` in `folder`."""
    prefix = str(folder / "k")
    if len(prefix) > MAX_SOCKET_PATH - 3:
        raise KernelStartError(
            f"socket path {prefix} is longer than the system's {MAX_SOCKET_PATH} characters; "
            "set TMPDIR to a shorter folder"
        )
    path = folder / "connection.json"
    write_connection_file(
        str(path), transport="ipc", ip=prefix, key=secrets.token_hex(32).encode(),
        shell_port=1, iopub_port=2, stdin_port=3, control_port=4, hb_port=5,
    )  # fmt: skip
    return path
