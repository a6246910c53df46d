"""Stock ipykernels, one cold start each, confined as far as the `process` level goes.

They run wherever Jupyter does; where a sandbox can be had, `forked.py` takes their place.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from pathlib import Path

from jupyter_client.connect import write_connection_file

from benchside_kernels import sandbox
from benchside_kernels.backend import first
from benchside_kernels.errors import KernelStartError
from benchside_kernels.image import HOME_VARIABLE, font_cache
from benchside_kernels.keeper import KeeperSpec
from benchside_kernels.output import OutputCollector
from benchside_kernels.process import KernelProcess, ProcessExit
from benchside_kernels.request import KernelRequest
from benchside_kernels.wire import KernelWire, RunningCell

START_TIMEOUT_S = 60.0
MAX_SOCKET_PATH = 107 if sys.platform == "linux" else 103


class StockKernels:
    """Makes stock kernels."""

    keeps_files = True

    def __init__(self) -> None:
        self.isolation = sandbox.detect()
        self._starting = asyncio.Semaphore(os.cpu_count() or 1)  # more at once only wait longer

    async def start(self, request: KernelRequest, folder: Path | None) -> StockKernel:
        """Start one kernel and run its set-up cell."""
        assert folder is not None
        try:
            async with self._starting, asyncio.timeout(START_TIMEOUT_S):
                return await _start(request, folder)
        except TimeoutError:
            raise KernelStartError(
                f"the kernel did not answer within {START_TIMEOUT_S:.0f} s{_log_tail(folder)}"
            ) from None


class StockKernel:
    """One ipykernel: its process, through the keeper, and its sockets."""

    def __init__(self, process: KernelProcess, wire: KernelWire) -> None:
        self._process, self._wire = process, wire
        self.exited = process.exited
        self.lost_threads: tuple[str, ...] = ()
        self.finish = wire.finish
        self.cpu_s, self.peak_mib = process.cpu_s, process.peak_mib

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


async def _start(request: KernelRequest, folder: Path) -> StockKernel:
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
        await _set_up(process, wire, request, folder)
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


async def _set_up(
    process: KernelProcess, wire: KernelWire, request: KernelRequest, folder: Path
) -> None:
    cell = wire.execute(request.setup_source, OutputCollector(20_000))
    await first(cell.done, process.exited)
    _raise_if_ended(process, folder)
    wire.finish(cell)
    errors = [out for out in cell.collector.outputs() if out["output_type"] == "error"]
    if errors:
        raise KernelStartError(
            f"the kernel's set-up failed: {errors[0]['ename']}: {errors[0]['evalue']}"
        )


def _keeper_spec(
    request: KernelRequest, folder: Path, tmp: Path, connection_file: Path
) -> KeeperSpec:
    work = folder / "work"
    extra = {"MPLCONFIGDIR": str(tmp / "matplotlib")}
    readable: list[Path] = []
    hidden = list(request.hidden)
    if request.image is not None:
        home = request.image.folder.parent.parent
        extra = {HOME_VARIABLE: str(home), "MPLCONFIGDIR": str(font_cache(home))}
        readable = [request.image.folder, font_cache(home)]
        hidden += sandbox.packaged_files(request.image.hidden)
    return KeeperSpec(
        argv=[sys.executable, "-m", "ipykernel_launcher", "-f", str(connection_file),
              "--HistoryManager.enabled=False"],
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
