"""`JupyterKernels`: attached kernels for the servers of one process, the next one made ahead.

Callers' event loops come and go, and zygotes are to outlive them, so kernels live on a loop in a
thread of its own. One kernel of each kind waits forked, for first kernels of a recipe and for
restarts. Whoever has asked for a second kernel of a recipe will ask for more: from then on one more
waits, attached, fresh and used once. They cost some 8 and 15 MB until the process ends.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from benchside_kernels.connection import CONNECTION_FILE
from benchside_kernels.errors import KernelError
from benchside_kernels.forked import ForkedKernels
from benchside_kernels.forked_kernel import ForkedKernel
from benchside_kernels.image import images_folder, load_image
from benchside_kernels.request import KernelRequest

CLOSE_TIMEOUT_S = 5.0
STOCK = 1
_MAX_CHARS = 20_000  # of what a kernel prints before it is attached
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class KernelRecipe:
    """What a kernelspec asks for; kernels of equal recipes may stand in for each other.

    Args:
        home: Benchside home, where images are; `image` and `images` are references.
        modules: imported before kernels are forked.
        seed: of the random generators; negative: another one for each kernel.
    """

    home: Path
    image: str
    images: tuple[str, ...]
    modules: tuple[str, ...]
    memory_mib: int
    seed: int

    def request(self) -> KernelRequest:
        """Return the request for one kernel.

        Raises:
            ImageError: an image is not prepared.
        """
        folder = images_folder(self.home)
        image = load_image(self.image, folder) if self.image else None
        return KernelRequest(
            image, () if image is None else image.files, (),
            self.seed if self.seed >= 0 else secrets.randbits(32), self.memory_mib, _MAX_CHARS,
            setup_source="", more_images=tuple(load_image(ref, folder) for ref in self.images),
        )  # fmt: skip


class AttachedKernel(NamedTuple):
    """A kernel that serves Jupyter clients, and the folder of its sockets and connection file."""

    kernel: ForkedKernel
    folder: Path

    @property
    def connection_file(self) -> Path:
        """The connection file."""
        return self.folder / CONNECTION_FILE


class _Spare(NamedTuple):
    recipe: KernelRecipe
    starting: asyncio.Task[AttachedKernel]


class JupyterKernels:
    """Starts attached kernels on a loop in a thread of its own, until the process ends.

    `call` bridges to that loop; all other coroutines are to run on it.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self.folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bs-jupyter-"))
        self._makers: dict[tuple[str, ...], ForkedKernels] = {}
        self._asked: set[KernelRecipe] = set()
        self._spare: _Spare | None = None
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="benchside-kernels", daemon=True
        )
        self._thread.start()

    async def call(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine on the kernels' loop; wait for it on the caller's."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))

    async def take(self, recipe: KernelRecipe) -> AttachedKernel:
        """Return the kernel that was made ahead, if it fits and lives, else a new one.

        Raises:
            KernelError: it did not start.
        """
        attached = await self._take_spare(recipe) or await self.start(recipe)
        if recipe in self._asked and (self._spare is None or self._spare.recipe != recipe):
            old = self._spare
            self._spare = _Spare(recipe, asyncio.create_task(self.start(recipe)))
            await _drop(old)
        self._asked.add(recipe)
        return attached

    async def start(
        self, recipe: KernelRecipe, folder: Path | None = None, key: bytes | None = None
    ) -> AttachedKernel:
        """Start and attach a kernel; `folder` and `key` are those of one that it replaces."""
        own = folder or Path(tempfile.mkdtemp(prefix="k", dir=self.folder))
        try:
            maker = await self._maker(recipe.modules)
            kernel = await maker.start(recipe.request(), own)
            try:
                await kernel.attach(own, key)
            except BaseException:
                await kernel.kill()
                await kernel.release()
                raise
        except BaseException:
            if folder is None:
                shutil.rmtree(own, ignore_errors=True)
            raise
        return AttachedKernel(kernel, own)

    async def drop_spare(self) -> None:
        """End the kernel that was made ahead, if there is one."""
        spare, self._spare = self._spare, None
        await _drop(spare)

    async def _take_spare(self, recipe: KernelRecipe) -> AttachedKernel | None:
        spare = self._spare
        if spare is None or spare.recipe != recipe:
            return None
        self._spare = None  # before anything is awaited: it is for one taker
        with contextlib.suppress(KernelError):  # the start that follows says why
            attached = await spare.starting
            if not attached.kernel.exited.done():
                return attached
        await _drop(spare)
        return None

    async def _maker(self, modules: tuple[str, ...]) -> ForkedKernels:
        if modules not in self._makers:
            maker = ForkedKernels(modules, stock=STOCK, scratch=Path(self.folder))
            self._makers[modules] = await self._stack.enter_async_context(maker)
            if len(self._makers) == 1:  # now, so that it runs before the maker's own clean-up
                atexit.register(self._close)
        return self._makers[modules]

    async def _end(self) -> None:
        await self.drop_spare()
        await self._stack.aclose()

    def _close(self) -> None:
        """End all zygotes and, with them, all kernels."""
        closing = asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        closing.result(CLOSE_TIMEOUT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_TIMEOUT_S)
        self._loop.close()


async def _drop(spare: _Spare | None) -> None:
    if spare is None:
        return
    with contextlib.suppress(KernelError, TimeoutError):  # nobody has asked for it
        kernel, folder = await spare.starting
        await kernel.kill()
        await kernel.release()
        shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def _kernels_of(pid: int) -> JupyterKernels:
    assert pid == os.getpid()
    return JupyterKernels()


def jupyter_kernels() -> JupyterKernels:
    """The kernels of this process; a forked copy of the process makes its own."""
    return _kernels_of(os.getpid())
