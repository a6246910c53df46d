"""One forked kernel, seen from the host: frames in and out, its output pipes, its process by pidfd.

What comes through any of them is hostile input: it is bounded, and what is no frame is dropped.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

from benchside_kernels import linux
from benchside_kernels.backend import first
from benchside_kernels.connection import listening, read_connection, write_connection
from benchside_kernels.errors import KernelStartError
from benchside_kernels.frames import HEADER, MAX_FRAME_BYTES, pack
from benchside_kernels.kernel_family import KernelEnds
from benchside_kernels.output import OutputCollector
from benchside_kernels.process import ProcessExit
from benchside_kernels.process_usage import ProcessUsage
from benchside_kernels.proxy import Proxy
from benchside_kernels.supervisor_link import SupervisorLink
from benchside_kernels.wire import RunningCell

START_TIMEOUT_S = 60.0
ATTACH_TIMEOUT_S = 30.0
KILL_TIMEOUT_S = 10.0
PIPE_CHUNK = 1 << 16
EXIT_GRACE_S = 1.0


class ForkedKernel:
    """One forked kernel: frames in and out, its output pipes, its process by pidfd."""

    def __init__(
        self,
        link: SupervisorLink,
        number: int,
        ends: KernelEnds,
        lease_s: float | None = None,
        pidfd: int | None = None,
        *,
        fresh: bool = True,
        proxy: Proxy | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[ProcessExit] = link.exited(number)
        self.ready: asyncio.Future[dict[str, Any]] = loop.create_future()
        self._link, self._lease, self._lease_s = link, number, lease_s
        self._connection = ends.connection
        self._output_fds = {"stdout": ends.stdout, "stderr": ends.stderr}
        self._cell: RunningCell | None = None
        self._numbers = itertools.count(1)
        self._number = 0
        self._fresh, self._proxy = fresh, proxy
        self._buffer = bytearray()
        self._unsent = bytearray()
        self._pidfd: int | None = None
        self._usage: ProcessUsage | None = None
        self.lost_threads: tuple[str, ...] = ()
        self._own_folder: Path | None = None
        self._end: asyncio.TimerHandle | None = None
        decoder = codecs.getincrementaldecoder("utf-8")
        self._decoders = {name: decoder("replace") for name in self._output_fds}
        if pidfd is not None:
            self._adopt(pidfd)
        self._connection.setblocking(False)
        loop.add_reader(self._connection, self._read_frames)
        for name, fd in self._output_fds.items():
            os.set_blocking(fd, False)
            loop.add_reader(fd, self._read_output, name)

    def execute(self, source: str, collector: OutputCollector) -> RunningCell:
        """Send one cell."""
        self._number = next(self._numbers)
        self._cell = RunningCell(str(self._number), collector)
        self._send(pack({"cell": self._number, "source": source}))
        return self._cell

    def finish(self, cell: RunningCell) -> None:
        """Forget a cell; what still comes for it is dropped."""
        if self._cell is cell:
            self._cell = None

    def interrupt(self) -> None:
        """Send SIGINT."""
        self.send_signal(signal.SIGINT)

    def send_signal(self, number: int) -> None:
        """Send a signal to the kernel process, if it has not ended."""
        self._signal(self._pidfd, number)

    async def attach(self, folder: Path | None = None, key: bytes | None = None) -> Path:
        """Turn the kernel into a Jupyter kernel with its sockets in `folder`, or one of its own."""
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="k", dir=self._link.scratch()))
            self._own_folder = folder
        file = write_connection(folder, key)
        info = read_connection(file)
        self.ready = asyncio.get_running_loop().create_future()
        with listening(info) as descriptors:
            self._send(pack({"attach": info, "fresh": self._fresh and self._number == 0}))
            if self._unsent:
                raise KernelStartError("the kernel reads no messages: does a cell run in it?")
            socket.send_fds(self._connection, [b"."], descriptors)
        if not await first(self.ready, self.exited, timeout_s=ATTACH_TIMEOUT_S):
            raise KernelStartError(f"no Jupyter kernel within {ATTACH_TIMEOUT_S:.0f} s")
        if not self.ready.done():
            raise KernelStartError(f"the kernel ended by {self.exited.result()}")
        self.ready.result()
        return file

    async def fork(self, seed: int | None) -> ForkedKernel:
        """Return a copy of the kernel; see `live_copy.py` for what it is without."""
        link = self._link
        number, (_, fds) = await link.ask("copy", 6, of=self._lease)
        proxy = None if self._proxy is None else self._proxy.share()
        ends = KernelEnds.of(fds[:3])
        copy = ForkedKernel(link, number, ends, self._lease_s, fresh=False, proxy=proxy)
        try:
            self._send(pack({"fork": True}))
            if self._unsent:
                raise KernelStartError("the kernel reads no messages: does a cell run in it?")
            socket.send_fds(self._connection, [b"."], fds[3:])
            if not await first(copy.ready, self.exited, timeout_s=START_TIMEOUT_S):
                raise KernelStartError(f"no copy within {START_TIMEOUT_S:.0f} s")
            if not copy.ready.done():
                raise KernelStartError(f"the kernel ended by {self.exited.result()}")
            copy.lost_threads = _texts(copy.ready.result().get("threads"))
            if copy._pidfd is None:
                raise KernelStartError("the kernel sent no handle on its copy")
            details = {"of": self._lease, "lease_s": self._lease_s}
            await link.tell(number, "adopt", [copy._pidfd], **details)
        except BaseException:
            link.forget(number)
            await copy.release()
            raise
        finally:
            for fd in fds[3:]:
                os.close(fd)
        copy.ready = asyncio.get_running_loop().create_future()
        copy._send(pack({"seed": seed}))
        return await up(copy)

    async def keep(self, name: str, keep_s: float) -> None:
        """Leave the kernel, frozen, to its supervisor; release it then: its network ends with that.

        Raises:
            KernelStartError: it has ended, or another kernel of this name is kept.
        """
        if self._pidfd is None:
            raise KernelStartError("the kernel is not up")
        fds = [self._connection.fileno(), *self._output_fds.values(), self._pidfd]
        await self._link.keep(self._lease, fds, name, keep_s)

    async def kill(self) -> ProcessExit:
        """Kill the kernel with all it has started; in a family, the last one takes that along."""
        self._link.end(self._lease)
        try:
            return await asyncio.wait_for(asyncio.shield(self.exited), KILL_TIMEOUT_S)
        except TimeoutError:
            self._link.abandon()
            return await self.exited

    async def release(self) -> None:
        """Close socket, pipes, pidfd and the way out."""
        loop = asyncio.get_running_loop()
        if self._end is not None:
            self._end.cancel()
        loop.remove_reader(self._connection)
        loop.remove_writer(self._connection)
        self._connection.close()
        for fd in self._output_fds.values():
            loop.remove_reader(fd)
            os.close(fd)
        if self._pidfd is not None:
            os.close(self._pidfd)
        if self._usage is not None:
            self._usage.close()
        if not self.ready.done():
            self.ready.cancel()
        if self._own_folder is not None:
            shutil.rmtree(self._own_folder, ignore_errors=True)
        if self._proxy is not None:
            await self._proxy.release()

    def cpu_s(self) -> float | None:
        """CPU time used so far, with reaped children; None where /proc does not tell."""
        return None if self._usage is None else self._usage.cpu_s()

    def peak_mib(self) -> float | None:
        """Peak resident memory so far; None where /proc does not tell."""
        return None if self._usage is None else self._usage.peak_mib()

    def _signal(self, pidfd: int | None, number: int) -> None:
        if pidfd is not None and not self.exited.done():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, number)

    def _send(self, data: bytes) -> None:
        """Send now what the socket takes, the rest when it is writable again."""
        self._unsent += data
        self._write()

    def _write(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            sent = self._connection.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:  # the kernel is gone; its exit is reported by the zygote
            self._unsent.clear()
            sent = 0
        del self._unsent[:sent]
        if self._unsent:
            loop.add_writer(self._connection, self._write)
        else:
            loop.remove_writer(self._connection)

    def _read_frames(self) -> None:
        try:
            data = self._receive()
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._connection)
            # it has ended and will be reported, or a cell has closed what it is reached by
            self._end = loop.call_later(EXIT_GRACE_S, self._link.end, self._lease)
            if not self.ready.done():
                self.ready.set_exception(KernelStartError("the kernel ended at its start"))
                self.ready.exception()
            return
        self._buffer += data
        while len(self._buffer) >= HEADER.size:
            (size,) = HEADER.unpack_from(self._buffer)
            if size > MAX_FRAME_BYTES:  # not what our shell sends: an agent wrote to the socket
                self._link.end(self._lease)
                self._buffer.clear()
                return
            if len(self._buffer) < HEADER.size + size:
                return
            body = bytes(self._buffer[HEADER.size : HEADER.size + size])
            del self._buffer[: HEADER.size + size]
            self._take(body)

    def _receive(self) -> bytes:
        """Receive bytes, and with the first of them the kernel's own pidfd."""
        if self._pidfd is not None:
            return self._connection.recv(1 << 18)
        data, fds, _, _ = socket.recv_fds(self._connection, 1 << 18, 1)
        if fds:
            self._adopt(fds[0])
        return data

    def _adopt(self, pidfd: int) -> None:
        """Take a handle on the kernel; a copy runs cells' code before, so it may be anything."""
        try:
            pid = linux.process_of(pidfd)
        except OSError:
            os.close(pidfd)
            return
        self._pidfd, self._usage = pidfd, ProcessUsage(pid)

    def _take(self, body: bytes) -> None:
        """Route one frame; what is no frame of ours is dropped."""
        try:
            message = json.loads(body)
            number, kind, content = message["cell"], message["kind"], message["content"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return
        if not isinstance(content, dict):
            return
        if number == 0 and not self.ready.done():
            if kind in ("ready", "attached", "copied"):
                self.ready.set_result(content)
            elif kind == "failed":
                reason = str(content.get("reason", "")).strip()
                self.ready.set_exception(KernelStartError(f"the kernel's set-up failed: {reason}"))
            return
        cell = self._cell
        if cell is None or number != self._number:
            return
        cell.last_message = time.monotonic()
        if kind == "done":
            for name in self._output_fds:
                self._read_output(name)
            cell.failed, cell.exiting = bool(content.get("failed")), bool(content.get("exiting"))
            cell.replied = cell.idle = True
            cell.settle()
        elif kind == "dropped":
            cell.collector.drop(content.get("chars"))
        else:
            cell.collector.add(str(kind), content)

    def _read_output(self, name: str) -> None:
        """Take what came through a pipe; at most a few chunks, so that a flood starves nobody."""
        fd = self._output_fds[name]
        for _ in range(16):
            try:
                data = os.read(fd, PIPE_CHUNK)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                asyncio.get_running_loop().remove_reader(fd)
                return
            if self._cell is not None:
                text = self._decoders[name].decode(data)
                self._cell.collector.add("stream", {"name": name, "text": text})
                self._cell.last_message = time.monotonic()


async def up(kernel: ForkedKernel) -> ForkedKernel:
    """Return a kernel once it is ready.

    Raises:
        KernelStartError: it is not; it was killed.
    """
    try:
        if not await first(kernel.ready, kernel.exited, timeout_s=START_TIMEOUT_S):
            raise KernelStartError(f"the kernel was not ready within {START_TIMEOUT_S:.0f} s")
        if not kernel.ready.done():
            raise KernelStartError(f"the kernel ended at its start by {kernel.exited.result()}")
        kernel.ready.result()
    except BaseException:
        await kernel.kill()
        await kernel.release()
        raise
    return kernel


def _texts(found: object) -> tuple[str, ...]:
    """Names that a kernel has sent, which may have sent anything."""
    return tuple(str(one)[:100] for one in found[:100]) if isinstance(found, list) else ()
