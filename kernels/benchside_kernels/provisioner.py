"""Starts sandboxed kernels for Jupyter: JupyterLab, nbclient, papermill and `jupyter execute`.

A kernelspec names this provisioner (entry point `jupyter_client.kernel_provisioners`) and an image;
each start forks a kernel from a warm zygote and attaches it. One thread per server process owns the
zygotes, because callers' event loops come and go, and zygotes are to outlive them. Nothing of the
server's environment, working folder or files gets into a kernel.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import os
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase
from traitlets import Integer, List, Unicode

from benchside_kernels.connection import read_connection
from benchside_kernels.errors import KernelStartError
from benchside_kernels.forked import ForkedKernels
from benchside_kernels.forked_kernel import ForkedKernel
from benchside_kernels.image import images_folder, load_image
from benchside_kernels.request import KernelRequest
from benchside_kernels.sandbox import sandbox_problem
from benchside_kernels.startup import home_folder

NAME = "benchside-provisioner"
CLOSE_TIMEOUT_S = 5.0
_MAX_CHARS = 20_000  # of what a kernel prints before it is attached
_T = TypeVar("_T")


class BenchsideProvisioner(KernelProvisionerBase):
    """One sandboxed kernel of a `KernelManager`, over restarts."""

    image = Unicode("", help="Reference of a prepared kernel image; empty: none.").tag(config=True)
    images = List(Unicode(), help="References of what setup(...) may load.").tag(config=True)
    modules = List(Unicode(), help="Imported before kernels are forked.").tag(config=True)
    memory_mib = Integer(4096, help="Memory that a kernel may allocate.").tag(config=True)
    seed = Integer(-1, help="Seed of the random generators; negative: any.").tag(config=True)

    _kernel: ForkedKernel | None = None
    _folder: Path | None = None

    @property
    def has_process(self) -> bool:
        """True from launch until the end has been waited for."""
        return self._kernel is not None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Refuse where there is no sandbox.

        Raises:
            KernelStartError: with the reason and the cure.
        """
        if problem := await asyncio.to_thread(sandbox_problem):
            raise KernelStartError(f"no sandbox on this machine: {problem}")
        return {**await super().pre_launch(**kwargs), "cmd": []}

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Fork a kernel, attach it, and return how to reach it."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="k", dir=_home(os.getpid()).folder))
        key = self.parent.session.key if self.parent is not None else None
        self._kernel, file = await _home(os.getpid()).call(
            _launch(self._request(), tuple(self.modules), self._folder, key)
        )
        info: Any = read_connection(file)
        info["key"] = info["key"].encode()
        self.connection_info = info
        return self.connection_info

    async def poll(self) -> int | None:
        """Return None while the kernel runs, else its exit code."""
        if self._kernel is None:
            return 0
        return _code(self._kernel) if self._kernel.exited.done() else None

    async def wait(self) -> int | None:
        """Wait until the kernel has ended; return its exit code."""
        kernel = self._kernel
        if kernel is None:
            return 0
        code = await _home(os.getpid()).call(_end(kernel))
        self._kernel = None
        return code

    async def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel process; SIGKILL ends all that it has started, too."""
        if self._kernel is None:
            return
        if signum == signal.SIGKILL:
            await _home(os.getpid()).call(self._kernel.kill())
        else:
            self._kernel.send_signal(signum)

    async def kill(self, restart: bool = False) -> None:
        """Kill the kernel."""
        await self.send_signal(signal.SIGKILL)

    async def terminate(self, restart: bool = False) -> None:
        """Ask the kernel to end."""
        await self.send_signal(signal.SIGTERM)

    async def cleanup(self, restart: bool = False) -> None:
        """Remove the sockets' folder; it stays over a restart, as clients know the paths."""
        if self._kernel is not None:
            await self.kill()
            await self.wait()
        if not restart and self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
            self._folder = None

    def _request(self) -> KernelRequest:
        folder = images_folder(home_folder())
        image = load_image(self.image, folder) if self.image else None
        more = tuple(load_image(ref, folder) for ref in self.images)
        seed = self.seed if self.seed >= 0 else secrets.randbits(32)
        files = () if image is None else image.files
        return KernelRequest(
            image, files, (), seed, self.memory_mib, _MAX_CHARS, setup_source="", more_images=more
        )


class _Home:
    """The loop that kernels live on, in a thread of its own, and their makers by modules."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self.folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bs-jupyter-"))
        self._makers: dict[tuple[str, ...], ForkedKernels] = {}
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="benchside-kernels", daemon=True
        )
        self._thread.start()

    async def call(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine on the kernels' loop; wait for it on the caller's."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))

    async def maker(self, modules: tuple[str, ...]) -> ForkedKernels:
        """Return the maker of kernels with these modules; to be awaited on the kernels' loop."""
        if modules not in self._makers:
            self._makers[modules] = await self._stack.enter_async_context(ForkedKernels(modules))
            if len(self._makers) == 1:  # now, so that it runs before the maker's own clean-up
                atexit.register(self._close)
        return self._makers[modules]

    def _close(self) -> None:
        """End all zygotes and, with them, all kernels."""
        closing = asyncio.run_coroutine_threadsafe(self._stack.aclose(), self._loop)
        closing.result(CLOSE_TIMEOUT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_TIMEOUT_S)
        self._loop.close()


@functools.cache
def _home(pid: int) -> _Home:
    """The home of this process's kernels; a forked copy of the process makes its own."""
    return _Home()


async def _launch(
    request: KernelRequest, modules: tuple[str, ...], folder: Path, key: bytes | None
) -> tuple[ForkedKernel, Path]:
    maker = await _home(os.getpid()).maker(modules)
    kernel = await maker.start(request, folder)
    try:
        return kernel, await kernel.attach(folder, key or None)
    except BaseException:
        await kernel.kill()
        await kernel.release()
        raise


async def _end(kernel: ForkedKernel) -> int:
    await asyncio.wait([kernel.exited])
    await kernel.release()
    return _code(kernel)


def _code(kernel: ForkedKernel) -> int:
    code = kernel.exited.result().code
    return -signal.SIGKILL if code is None else code
