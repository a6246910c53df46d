"""`KernelSession`: one live kernel: start, run cells, interrupt ladder, restart, close.

    async with KernelSession(image, seed=7) as session:
        result = await session.run("1 + 1", timeout_s=10)

The kernel is a stock ipykernel reached over IPC sockets in a private folder; its keeper process
owns it (see `keeper.py`). Leaves out on purpose: grading, policies, and who may start how many.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from jupyter_client.connect import write_connection_file

from benchside_kernels import sandbox
from benchside_kernels.cell import CellResult, CellStatus, Submission
from benchside_kernels.errors import KernelStartError, SessionClosedError
from benchside_kernels.image import KernelImage, font_cache
from benchside_kernels.keeper import KeeperSpec
from benchside_kernels.output import OutputCollector
from benchside_kernels.process import KernelProcess, ProcessExit
from benchside_kernels.startup import HOME_VARIABLE
from benchside_kernels.wire import KernelWire, RunningCell

START_TIMEOUT_S = 60.0
INTERRUPT_GRACE_S = 2.0
SECOND_GRACE_S = 0.5
LATE_OUTPUT_S = 1.0
MAX_SOCKET_PATH = 107 if sys.platform == "linux" else 103


@dataclass(frozen=True, slots=True)
class KernelUsage:
    """What a session used over all its kernel processes; None where not measured."""

    cpu_s: float | None
    peak_mib: float | None
    starts: int
    leftover_processes: int


class KernelSession:
    """One fresh kernel in its own folder, used by one episode.

    Args:
        image: data and imports; None for a bare kernel.
        files: files of the image that go into the work folder.
        hidden: paths that the kernel must not read, such as answer keys.
        seed: seed of the kernel's random generators.
        memory_mib: memory that the kernel process may allocate before it gets MemoryError.
        max_output_chars: text of outputs that is kept for each cell.
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
    ) -> None:
        self.image = image
        self.isolation = sandbox.detect()
        self._files, self._hidden, self._seed = tuple(files), tuple(hidden), seed
        self._memory_mib, self.max_output_chars = memory_mib, max_output_chars
        self._process: KernelProcess | None = None
        self._wire: KernelWire | None = None
        self._submitted = False
        self._cells = 0
        self._starts = 0
        self._exits: list[ProcessExit] = []
        self._folder: Path | None = None

    @property
    def setup_source(self) -> str:
        """The set-up cell: runs before the first cell, and in any kernel with Benchside."""
        reference = None if self.image is None else self.image.ref
        arguments = [repr(reference)]
        if self._files:
            arguments.append(f"files={list(self._files)!r}")
        arguments.append(f"seed={self._seed}")
        call = f"setup({', '.join(arguments)})"
        return f"from benchside_kernels.startup import setup\n\n{call}"

    @property
    def alive(self) -> bool:
        """False once the kernel process has ended, until `restart`."""
        return self._process is not None and not self._process.exited.done()

    async def __aenter__(self) -> Self:
        """Start the kernel and load its image.

        Raises:
            KernelStartError: it did not come up in time, or its set-up failed.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="bs-"))
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
        """Replace a dead (or live) kernel by a fresh one; files in the work folder stay.

        Raises:
            KernelStartError: the new kernel did not come up.
        """
        await self._stop()
        await self._start()

    async def run(self, source: str, timeout_s: float = 60.0) -> CellResult:
        """Execute one cell and return what became of it.

        Args:
            timeout_s: after this the cell is interrupted, and killed where it does not obey.

        Raises:
            SessionClosedError: the session is closed or was never started.
        """
        if self._process is None or self._wire is None:
            raise SessionClosedError("run() needs a started session: async with KernelSession()")
        self._cells += 1
        cell_id = f"cell-{self._cells:03d}"
        started = time.monotonic()
        if not self.alive:
            note = "The kernel is not running; restart it first."
            return CellResult(cell_id, source, "dead", (), 0.0, state_survived=False, note=note)
        before = self._process.cpu_s()
        cell = self._wire.execute(source, OutputCollector(self.max_output_chars))
        status, note = await self._wait(cell, timeout_s)
        await self._drain(cell)
        self._wire.finish(cell)
        after, survived = self._process.cpu_s(), self.alive
        submission = None
        if cell.collector.submitted and not self._submitted:
            self._submitted = True
            submission = Submission(cell.collector.submission)
        return CellResult(
            cell_id=cell_id,
            source=source,
            status=status,
            outputs=cell.collector.outputs(),
            duration_s=time.monotonic() - started,
            cpu_s=None if before is None or after is None else max(after - before, 0.0),
            peak_mib=self._process.peak_mib(),
            dropped_chars=cell.collector.dropped_chars,
            state_survived=survived,
            note=note,
            submission=submission,
        )

    async def close(self) -> None:
        """Kill the kernel with all it started and remove its folder."""
        await self._stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    @property
    def usage(self) -> KernelUsage:
        """What the kernel processes that have ended used; all of them once closed."""
        known = [exit_ for exit_ in self._exits if exit_.cpu_s is not None]
        return KernelUsage(
            cpu_s=sum(exit_.cpu_s or 0.0 for exit_ in known) if known else None,
            peak_mib=max((exit_.peak_mib or 0.0 for exit_ in known), default=None),
            starts=self._starts,
            leftover_processes=sum(exit_.leftover for exit_ in self._exits),
        )

    async def _start(self) -> None:
        assert self._folder is not None
        self._starts += 1
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._launch(self._folder)
                await self._set_up()
        except TimeoutError:
            raise KernelStartError(
                f"the kernel did not answer within {START_TIMEOUT_S:.0f} s{self._log_tail()}"
            ) from None

    async def _launch(self, folder: Path) -> None:
        """Start the process and connect to it."""
        connections, work, tmp = (folder / name for name in ("c", "work", "tmp"))
        for part in (connections, work, tmp):
            part.mkdir(mode=0o700, exist_ok=True)
        for stale in connections.iterdir():
            stale.unlink()
        connection_file = _write_connection_file(connections)
        self._process = await KernelProcess.start(
            self._keeper_spec(folder, connection_file, work, tmp)
        )
        sockets = [connections / f"k-{number}" for number in range(1, 6)]
        while not all(socket.exists() for socket in sockets):
            self._raise_if_ended()
            await asyncio.sleep(0.01)
        self._wire = KernelWire(str(connection_file))
        ready = asyncio.create_task(self._wire.ready())
        try:
            await _first(ready, self._process.exited)
        finally:
            ready.cancel()
        self._raise_if_ended()

    def _keeper_spec(
        self, folder: Path, connection_file: Path, work: Path, tmp: Path
    ) -> KeeperSpec:
        extra = {"MPLCONFIGDIR": str(tmp / "matplotlib")}
        readable = []
        hidden = list(self._hidden)
        if self.image is not None:
            home = self.image.folder.parent.parent
            extra = {HOME_VARIABLE: str(home), "MPLCONFIGDIR": str(font_cache(home))}
            readable = [self.image.folder, font_cache(home)]
            hidden += sandbox.packaged_files(self.image.hidden)
        return KeeperSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", str(connection_file),
                  "--HistoryManager.enabled=False"],
            env=sandbox.scrubbed_environment(work, tmp, extra),
            cwd=str(work),
            log=str(folder / "kernel.log"),
            rules=sandbox.file_rules(
                readable=readable, writable=[connection_file.parent, work, tmp], hidden=hidden
            ),
            limits=sandbox.resource_limits(self._memory_mib),
            folder=str(folder),
        )  # fmt: skip

    async def _set_up(self) -> None:
        assert self._wire is not None
        assert self._process is not None
        cell = self._wire.execute(self.setup_source, OutputCollector(20_000))
        await _first(cell.done, self._process.exited)
        self._raise_if_ended()
        self._wire.finish(cell)
        errors = [out for out in cell.collector.outputs() if out["output_type"] == "error"]
        if errors:
            raise KernelStartError(
                f"the kernel's set-up failed: {errors[0]['ename']}: {errors[0]['evalue']}"
            )

    def _raise_if_ended(self) -> None:
        assert self._process is not None
        if self._process.exited.done():
            ended = self._process.exited.result()
            raise KernelStartError(f"the kernel ended at start by {ended}{self._log_tail()}")

    def _log_tail(self) -> str:
        """The end of what the kernel process itself wrote, for error messages."""
        log = None if self._folder is None else self._folder / "kernel.log"
        if log is None or not log.exists():
            return ""
        text = log.read_text(errors="replace").strip()
        return f"; it said:\n{text[-2000:]}" if text else ""

    async def _stop(self) -> None:
        """Take the kernel down and give back what it held; safe to call again."""
        process, wire = self._process, self._wire
        self._process = self._wire = None
        if wire is not None:
            await wire.close()
        if process is not None:
            self._exits.append(await process.kill())
            await process.release()

    async def _wait(self, cell: RunningCell, timeout_s: float) -> tuple[CellStatus, str]:
        """Wait for the cell's end; past its time, climb the ladder: interrupt, again, kill."""
        assert self._process is not None
        assert self._wire is not None
        if await self._ended(cell, timeout_s):
            return self._verdict(cell)
        for grace_s in (INTERRUPT_GRACE_S, SECOND_GRACE_S):
            self._process.interrupt()
            self._wire.nudge()
            if await self._ended(cell, grace_s):
                break
        if cell.done.done() and self.alive:
            return "timeout", (
                f"The cell was interrupted after {timeout_s:g} s. The kernel is still running and "
                "its variables are kept."
            )
        await self._process.kill()
        return "timeout", (
            f"The cell did not end within {timeout_s:g} s nor obey an interrupt, so the kernel was "
            "killed: all variables are lost, files in the work folder are kept."
        )

    async def _ended(self, cell: RunningCell, timeout_s: float) -> bool:
        assert self._process is not None
        ended = await _first(cell.done, self._process.exited, timeout_s=timeout_s)
        if cell.exiting:  # exit() and quit() answer first and end the process right after
            await asyncio.wait([self._process.exited], timeout=INTERRUPT_GRACE_S)
        return ended

    def _verdict(self, cell: RunningCell) -> tuple[CellStatus, str]:
        assert self._process is not None
        if not self.alive:
            ended = self._process.exited.result()
            return "dead", (
                f"The kernel ended by {ended} while the cell ran: all variables are lost, files "
                "in the work folder are kept."
            )
        note = "Some output was lost on its way." if cell.output_lost else ""
        return ("error" if cell.failed else "ok"), note

    async def _drain(self, cell: RunningCell) -> None:
        """After a death, take what the kernel printed just before it."""
        deadline = time.monotonic() + LATE_OUTPUT_S
        while not self.alive and not cell.idle and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
            if time.monotonic() - cell.last_message > 0.1:
                return


async def _first(*ends: asyncio.Future[Any], timeout_s: float | None = None) -> bool:
    """Wait until one of the futures is done; return False if none was in time."""
    done, _ = await asyncio.wait(ends, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    return bool(done)


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
