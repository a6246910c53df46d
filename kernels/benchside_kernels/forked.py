"""Kernels forked from warm zygotes: the host's side.

A zygote serves all images with the same hidden files; small images are loaded by the kernel itself
(a millisecond), large ones by a zygote of their own. Each kernel is reached by a stream socket for
frames, two pipes for what C code and subprocesses print, and a pidfd for signals.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import socket
import sys
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from benchside_kernels import namespaces, sandbox, tree
from benchside_kernels.backend import KernelRequest, first
from benchside_kernels.errors import KernelStartError
from benchside_kernels.forked_kernel import FORK_TIMEOUT_S, ForkedKernel
from benchside_kernels.image import KernelImage, font_cache, images_folder
from benchside_kernels.startup import HOME_VARIABLE
from benchside_kernels.zygote import ForkRequest, ZygoteSpec
from benchside_kernels.zygote_process import ZygoteProcess

LARGE_IMAGE_BYTES = 8 * 1024**2
MAX_ZYGOTES = 6
ZYGOTE_TIMEOUT_S = 120.0
FIRST_UID = 200_000
UID_BLOCKS = 50_000

_ROOT = str(Path(__file__).resolve().parent.parent)
_ZYGOTE = (
    f"import sys; sys.path[:0] = [{_ROOT!r}]; "
    "from benchside_kernels import zygote; zygote.main(int(sys.argv[1]))"
)


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
        self._zygotes: OrderedDict[tuple[object, ...], asyncio.Task[ZygoteProcess]] = OrderedDict()
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

    async def _zygote(self, request: KernelRequest) -> ZygoteProcess:
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
    ) -> ZygoteProcess:
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
        zygote = ZygoteProcess(process, ours, preload)
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
