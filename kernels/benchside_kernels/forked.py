"""Kernels forked from warm zygotes: the host's side.

A zygote serves all images with the same hidden files; small images are loaded by the kernel itself
(a millisecond), large ones by a zygote of their own. Each kernel is reached by a stream socket for
frames, two pipes for what C code and subprocesses print, and a pidfd for signals.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import itertools
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchside_kernels import namespaces, sandbox, tree
from benchside_kernels.backend import KernelRequest, first
from benchside_kernels.connection import listening, read_connection, write_connection
from benchside_kernels.errors import KernelStartError
from benchside_kernels.frames import HEADER, MAX_FRAME_BYTES, pack
from benchside_kernels.image import KernelImage, font_cache, images_folder
from benchside_kernels.output import OutputCollector
from benchside_kernels.process import ProcessExit
from benchside_kernels.startup import HOME_VARIABLE
from benchside_kernels.wire import RunningCell
from benchside_kernels.zygote import ForkRequest, ZygoteSpec

LARGE_IMAGE_BYTES = 8 * 1024**2
MAX_ZYGOTES = 6
ZYGOTE_TIMEOUT_S = 120.0
FIRST_UID = 200_000
UID_BLOCKS = 50_000
FORK_TIMEOUT_S = 30.0
KILL_TIMEOUT_S = 10.0
PIPE_CHUNK = 1 << 16
EXIT_GRACE_S = 1.0
FORKS_AT_A_TIME = 16  # more would not fit into the control socket's buffer

_ROOT = str(Path(__file__).resolve().parent.parent)
_ZYGOTE = (
    f"import sys; sys.path[:0] = [{_ROOT!r}]; "
    "from benchside_kernels import zygote; zygote.main(int(sys.argv[1]))"
)
_TICKS = os.sysconf("SC_CLK_TCK")


class ForkedKernel:
    """One forked kernel: frames in and out, its output pipes, its process by pidfd."""

    def __init__(
        self, connection: socket.socket, output_fds: Mapping[str, int], max_chars: int
    ) -> None:
        loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[ProcessExit] = loop.create_future()
        self.ready: asyncio.Future[None] = loop.create_future()
        self._connection, self._output_fds = connection, dict(output_fds)
        self._max_chars = max_chars
        self._cell: RunningCell | None = None
        self._numbers = itertools.count(1)
        self._number = 0
        self._buffer = bytearray()
        self._unsent = bytearray()
        self._init_pidfd: int | None = None
        self._pidfd: int | None = None
        self._pid: int | None = None
        self._end: asyncio.TimerHandle | None = None
        decoder = codecs.getincrementaldecoder("utf-8")
        self._decoders = {name: decoder("replace") for name in output_fds}
        connection.setblocking(False)
        loop.add_reader(connection, self._read_frames)
        for name, fd in self._output_fds.items():
            os.set_blocking(fd, False)
            loop.add_reader(fd, self._read_output, name)

    def adopt(self, pidfd: int) -> None:
        """Take the pidfd of the kernel's init from the zygote: with it dies all the rest."""
        self._init_pidfd = pidfd

    @property
    def adopted(self) -> bool:
        """True once there is a process."""
        return self._init_pidfd is not None

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

    async def attach(self, folder: Path, key: bytes | None = None) -> Path:
        """Turn the kernel into a Jupyter kernel with its sockets in `folder`."""
        file = write_connection(folder, key)
        info = read_connection(file)
        self.ready = asyncio.get_running_loop().create_future()
        with listening(info) as descriptors:
            self._send(pack({"attach": info, "fresh": self._number == 0}))
            if self._unsent:
                raise KernelStartError("the kernel reads no messages: does a cell run in it?")
            socket.send_fds(self._connection, [b"."], descriptors)
        if not await first(self.ready, self.exited, timeout_s=FORK_TIMEOUT_S):
            raise KernelStartError(f"no Jupyter kernel within {FORK_TIMEOUT_S:.0f} s")
        if not self.ready.done():
            raise KernelStartError(f"the kernel ended by {self.exited.result()}")
        self.ready.result()
        return file

    async def kill(self) -> ProcessExit:
        """Kill the kernel; its pid namespace takes all its descendants with it."""
        self._signal(self._init_pidfd, signal.SIGKILL)
        return await asyncio.wait_for(asyncio.shield(self.exited), KILL_TIMEOUT_S)

    async def release(self) -> None:
        """Close socket, pipes and pidfds."""
        loop = asyncio.get_running_loop()
        if self._end is not None:
            self._end.cancel()
        loop.remove_reader(self._connection)
        loop.remove_writer(self._connection)
        self._connection.close()
        for fd in self._output_fds.values():
            loop.remove_reader(fd)
            os.close(fd)
        for pidfd in (self._init_pidfd, self._pidfd):
            if pidfd is not None:
                os.close(pidfd)

    def cpu_s(self) -> float | None:
        """CPU time used so far, with reaped children; None where /proc does not tell."""
        try:
            fields = Path(f"/proc/{self._pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return None
        return sum(int(field) for field in fields[11:15]) / _TICKS

    def peak_mib(self) -> float | None:
        """Peak resident memory so far; None where /proc does not tell."""
        try:
            status = Path(f"/proc/{self._pid}/status").read_text()
        except OSError:
            return None
        peaks = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
        return int(peaks[0]) / 1024 if peaks else None

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
            self._end = loop.call_later(
                EXIT_GRACE_S, self._signal, self._init_pidfd, signal.SIGKILL
            )
            if not self.ready.done():
                self.ready.set_exception(KernelStartError("the kernel ended at its start"))
            return
        self._buffer += data
        while len(self._buffer) >= HEADER.size:
            (size,) = HEADER.unpack_from(self._buffer)
            if size > MAX_FRAME_BYTES:  # not what our shell sends: an agent wrote to the socket
                self._signal(self._init_pidfd, signal.SIGKILL)
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
            self._pidfd = fds[0]
            fields = Path(f"/proc/self/fdinfo/{self._pidfd}").read_text().splitlines()
            self._pid = next(int(line.split()[1]) for line in fields if line.startswith("Pid:"))
        return data

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
            if kind in ("ready", "attached"):
                self.ready.set_result(None)
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


@dataclass(slots=True)
class _Zygote:
    """One zygote process and its kernels that are alive."""

    process: asyncio.subprocess.Process
    control: socket.socket
    preloaded: bool
    kernels: dict[int, ForkedKernel] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: itertools.count(1))
    answers: dict[int, asyncio.Future[None]] = field(default_factory=dict)
    ready: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    gone: bool = False
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(FORKS_AT_A_TIME))

    def read(self) -> None:
        """Take one packet of the zygote: ready, forked, refused, exited; or its end."""
        try:
            packet, fds, _, _ = socket.recv_fds(self.control, 1 << 16, 1)
        except BlockingIOError:
            return
        except OSError:
            packet, fds = b"", []
        try:
            message = json.loads(packet)  # empty at the end
        except ValueError:
            self._end()
            return
        if "ready" in message:
            self.ready.set_result(None)
        elif "failed" in message:
            self.ready.set_exception(KernelStartError(message["failed"]))
        elif "forked" in message:
            self._hand_over(message["forked"], fds[0])
        elif "refused" in message:
            answer = self.answers.pop(message["number"], None)
            if answer is not None and not answer.done():
                reason = f"the zygote refused to fork: {message['refused']}"
                answer.set_exception(KernelStartError(reason))
        elif "exited" in message:
            kernel = self.kernels.pop(message.pop("exited"), None)
            if kernel is not None and not kernel.exited.done():
                kernel.exited.set_result(ProcessExit(**message))

    def _hand_over(self, number: int, pidfd: int) -> None:
        """Give a new process to the kernel that waits for it; kill it if nobody does any more."""
        kernel, answer = self.kernels.get(number), self.answers.pop(number, None)
        if kernel is None or answer is None or answer.done():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)
            return
        kernel.adopt(pidfd)
        answer.set_result(None)

    def _end(self) -> None:
        """The zygote is gone, and with it all its kernels."""
        self.gone = True
        asyncio.get_running_loop().remove_reader(self.control)
        self.control.close()
        error = KernelStartError("the zygote ended")
        for waiting in (self.ready, *self.answers.values()):
            if not waiting.done():
                waiting.set_exception(error)
        for kernel in self.kernels.values():
            if not kernel.exited.done():
                kernel.exited.set_result(ProcessExit(None))
        self.kernels.clear()

    async def fork(self, request: ForkRequest, kernel: ForkedKernel, fds: list[int]) -> None:
        """Ask for one kernel and wait until its process is there."""
        number = request["number"]
        async with self.turns:
            self.kernels[number] = kernel
            answer = self.answers[number] = asyncio.get_running_loop().create_future()
            try:
                socket.send_fds(self.control, [json.dumps({"fork": request}).encode()], fds)
                await asyncio.wait_for(answer, FORK_TIMEOUT_S)
            except (OSError, TimeoutError) as error:
                raise KernelStartError(f"the zygote did not fork: {error!r}") from None
            finally:
                self.answers.pop(number, None)
                if not kernel.adopted:
                    self.kernels.pop(number, None)

    async def close(self) -> None:
        """End the zygote and all its kernels."""
        if not self.gone:
            asyncio.get_running_loop().remove_reader(self.control)
        self.control.close()
        try:
            await asyncio.wait_for(self.process.wait(), 2.0)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        self._end_kernels()

    def _end_kernels(self) -> None:
        for kernel in self.kernels.values():
            if not kernel.exited.done():
                kernel.exited.set_result(ProcessExit(None))
        self.kernels.clear()


class ForkedKernels:
    """Makes sandboxed kernels by forking; `async with` owns the zygotes.

    Args:
        modules: imported by zygotes before they fork, where installed, so that cells need not.
    """

    keeps_files = False

    def __init__(self, modules: tuple[str, ...] = ()) -> None:
        self.isolation = sandbox.detect_sandbox()
        self._modules = modules
        self._blocks = itertools.count()
        self._zygotes: OrderedDict[tuple[object, ...], asyncio.Task[_Zygote]] = OrderedDict()
        self._scratch = tempfile.TemporaryDirectory(prefix="bs-zygote-")

    async def __aenter__(self) -> Self:
        """Zygotes start when first needed."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for starting in self._zygotes.values():
            with contextlib.suppress(KernelStartError):
                await (await starting).close()
        self._zygotes.clear()
        self._scratch.cleanup()

    async def start(self, request: KernelRequest, folder: Path) -> ForkedKernel:
        """Fork one kernel; `folder` is not used, its files live in the sandbox."""
        zygote = await self._zygote(request)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        output_fd, kernel_output_fd = os.pipe()
        error_fd, kernel_error_fd = os.pipe()
        outputs = {"stdout": output_fd, "stderr": error_fd}
        kernel = ForkedKernel(ours, outputs, request.max_output_chars)
        number = next(zygote.numbers)
        image = request.image
        fork = ForkRequest(
            number=number, image=None if image is None else image.ref,
            preloaded=zygote.preloaded, files=list(request.files), seed=request.seed,
            max_chars=request.max_output_chars, rules=_own_rules(request.images),
        )  # fmt: skip
        try:
            try:
                fds = [theirs.fileno(), kernel_output_fd, kernel_error_fd]
                await zygote.fork(fork, kernel, fds)
            finally:
                theirs.close()
                os.close(kernel_output_fd)
                os.close(kernel_error_fd)
            if not await first(kernel.ready, timeout_s=FORK_TIMEOUT_S):
                raise KernelStartError(f"the kernel was not ready within {FORK_TIMEOUT_S:.0f} s")
            kernel.ready.result()
        except BaseException:
            if kernel.adopted:
                with contextlib.suppress(TimeoutError):
                    await kernel.kill()
            await kernel.release()
            raise
        return kernel

    async def _zygote(self, request: KernelRequest) -> _Zygote:
        """The zygote for a request; a new one where there is none, the least used retired."""
        image = request.image
        large = image is not None and _size(image) > LARGE_IMAGE_BYTES
        home = request.images[0].folder.parent.parent if request.images else None
        patterns = tuple(sorted({glob for found in request.images for glob in found.hidden}))
        own = image.ref if image is not None and large else None
        key = (home, patterns, request.hidden, request.memory_mib, own)
        known = self._zygotes.get(key)
        if known is not None and known.done() and (known.exception() or known.result().gone):
            del self._zygotes[key]
            known = None
        if known is None:
            known = asyncio.create_task(self._start_zygote(request, home, preload=large))
            self._zygotes[key] = known
            await self._retire()
        self._zygotes.move_to_end(key)
        return await asyncio.shield(known)

    async def _retire(self) -> None:
        idle = [
            key for key, task in self._zygotes.items()
            if task.done() and not task.exception() and not task.result().kernels
        ]  # fmt: skip
        for key in idle[: max(len(self._zygotes) - MAX_ZYGOTES, 0)]:
            await self._zygotes.pop(key).result().close()

    async def _start_zygote(
        self, request: KernelRequest, home: Path | None, *, preload: bool
    ) -> _Zygote:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        extra = {
            "JE_ARROW_MALLOC_CONF": "background_thread:false",  # else importing pyarrow starts one
            "MPLCONFIGDIR": f"{tree.TMP}/matplotlib",
        }
        if home is not None:
            extra |= {HOME_VARIABLE: str(home)}
        environment = sandbox.scrubbed_environment(Path(tree.WORK), Path(tree.TMP), extra)
        log = await asyncio.to_thread(self._log)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _ZYGOTE, str(theirs.fileno()),
            stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
            env=environment, cwd="/", pass_fds=(theirs.fileno(),), start_new_session=True,
        )  # fmt: skip
        os.close(log)
        theirs.close()
        ours.setblocking(False)
        zygote = _Zygote(process, ours, preload)
        asyncio.get_running_loop().add_reader(ours, zygote.read)
        spec = _zygote_spec(request, home, self._modules, self._first_uid(), preload=preload)
        ours.send(json.dumps(spec).encode())
        try:
            await asyncio.wait_for(asyncio.shield(zygote.ready), ZYGOTE_TIMEOUT_S)
        except (KernelStartError, TimeoutError) as error:
            await zygote.close()
            said = (Path(self._scratch.name) / "zygote.log").read_text(errors="replace").strip()
            raise KernelStartError(f"no zygote: {error}; it said:\n{said[-2000:]}") from None
        return zygote

    def _first_uid(self) -> int:
        """Users of its own for each zygote, since root's kernels count processes by user."""
        block = (os.getpid() * MAX_ZYGOTES * 4 + next(self._blocks)) % UID_BLOCKS
        return FIRST_UID + block * namespaces.SLOTS

    def _log(self) -> int:
        path = Path(self._scratch.name) / "zygote.log"
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)


def _zygote_spec(
    request: KernelRequest, home: Path | None, modules: tuple[str, ...], first_uid: int,
    *, preload: bool,
) -> ZygoteSpec:  # fmt: skip
    image = request.image
    folders = [] if home is None else [images_folder(home), font_cache(home)]
    patterns = [glob for found in request.images for glob in found.hidden]
    hidden = [*request.hidden, *sandbox.packaged_files(patterns)]
    rules = sandbox.file_rules(readable=folders, writable=[], hidden=hidden) or []
    confined = namespaces.SandboxSpec(
        readable=tuple(map(str, [*sandbox.python_folders(), *folders])),
        rules=tuple(rules),
        memory_mib=request.memory_mib,
        first_uid=first_uid,
    )
    return ZygoteSpec(
        modules=list(modules),
        imports=list(image.imports) if image else [],
        image=image.ref if image and preload else None,
        home=str(home or ""),
        sandbox=asdict(confined),
    )


def _own_rules(images: Sequence[KernelImage]) -> list[tuple[str, str]]:
    """A second layer of rules, by which a kernel reads its own images only."""
    if not images:
        return []
    home = images[0].folder.parent.parent
    open_folders = [*sandbox.python_folders(), Path("/proc"), Path("/etc"), font_cache(home)]
    open_folders += [image.folder for image in images]
    readable = [(str(path), "read") for path in open_folders]
    return [*readable, ("/kernel", "write"), ("/dev", "write")]


def _size(image: KernelImage) -> int:
    return sum((image.folder / f"variables.{part}").stat().st_size for part in ("pkl", "buf"))
