"""Starts sandboxed kernels for Jupyter: JupyterLab, nbclient, papermill and `jupyter execute`.

A kernelspec names this provisioner (entry point `jupyter_client.kernel_provisioners`) and an image;
each start forks a kernel from a warm zygote and attaches it (see `jupyter_kernels.py`). Nothing of
the server's environment, working folder or files gets into a kernel.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase
from traitlets import Integer, List, Unicode

from benchside_kernels.connection import read_connection
from benchside_kernels.errors import KernelStartError
from benchside_kernels.forked_kernel import ForkedKernel
from benchside_kernels.jupyter_kernels import KernelRecipe, jupyter_kernels
from benchside_kernels.sandbox import sandbox_problem
from benchside_kernels.startup import home_folder

NAME = "benchside-provisioner"


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
        kernels = jupyter_kernels()
        if self._folder is None:
            attached = await kernels.call(kernels.take(self._recipe()))
        else:  # a restart: clients know the sockets and the key
            key: Any = self.connection_info["key"]
            attached = await kernels.call(kernels.start(self._recipe(), self._folder, key))
        self._kernel, self._folder = attached
        info: Any = read_connection(attached.connection_file)
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
        code = await jupyter_kernels().call(_end(kernel))
        self._kernel = None
        return code

    async def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel process; SIGKILL ends all that it has started, too."""
        if self._kernel is None:
            return
        if signum == signal.SIGKILL:
            await jupyter_kernels().call(self._kernel.kill())
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

    def _recipe(self) -> KernelRecipe:
        return KernelRecipe(
            home_folder(), self.image, tuple(self.images), tuple(self.modules), self.memory_mib,
            self.seed,
        )  # fmt: skip


async def _end(kernel: ForkedKernel) -> int:
    await asyncio.wait([kernel.exited])
    await kernel.release()
    return _code(kernel)


def _code(kernel: ForkedKernel) -> int:
    code = kernel.exited.result().code
    return -signal.SIGKILL if code is None else code
