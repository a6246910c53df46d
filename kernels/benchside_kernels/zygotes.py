"""The zygotes of a supervisor: which one serves a request, when a new one is made or one retired.

All are forks of a root (see `root.py`): one for each Benchside home and hash seed. A zygote serves
all images with the same hidden files; small images are loaded by the kernel itself (a millisecond),
large ones by a zygote of their own. Where forks queue up at a zygote, another like it is started.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections import OrderedDict
from collections.abc import Coroutine, Sequence
from dataclasses import asdict
from pathlib import Path

import certifi

from benchside_kernels import loopback, sandbox
from benchside_kernels.admission import our_memory, reserved_mib
from benchside_kernels.cgroup import KernelCgroup, make_cgroup
from benchside_kernels.errors import KernelStartError
from benchside_kernels.image import HOME_VARIABLE, KernelImage, font_cache, images_folder
from benchside_kernels.kernel_sandbox import SLOTS, SandboxSpec
from benchside_kernels.request import KernelRequest
from benchside_kernels.root import RootSpec
from benchside_kernels.root_process import RootProcess, said_in
from benchside_kernels.zygote import Preparation, ZygoteSpec
from benchside_kernels.zygote_process import ZygoteProcess

LARGE_IMAGE_BYTES = 8 * 1024**2
MAX_KINDS = 6
MAX_PER_KIND = min(os.cpu_count() or 1, 8)
BUSY_FORKS = 4
BUSY_KERNELS = 512  # forks become slower, the more kernels share a zygote's pages
FIRST_UID = 200_000
UID_BLOCKS = 50_000

_RootKind = tuple[Path | None, int]
_Kind = tuple[object, ...]
_Starting = asyncio.Task[ZygoteProcess]


class Zygotes:
    """All zygotes of one supervisor.

    Args:
        modules: imported before the first fork, where installed, so that cells need not.
        stock: kernels that each zygote keeps forked in advance.
        grouped: have all kernels in one cgroup; where it cannot be made, no zygote starts.
    """

    def __init__(self, modules: Sequence[str], stock: int, grouped: bool = False) -> None:
        self._modules, self._stock = list(modules), stock
        self._grouped = grouped
        self._cgroup: KernelCgroup | None = None
        self._roots: dict[_RootKind, asyncio.Task[RootProcess]] = {}
        self._kinds: OrderedDict[_Kind, list[_Starting]] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()
        self._blocks = itertools.count()

    async def choose(self, request: KernelRequest) -> ZygoteProcess:
        """Return the zygote for a request, after making it where there is none.

        Raises:
            KernelStartError: it did not come up.
        """
        kind = _kind(request)
        while True:
            task = self._pick(kind, request)
            zygote = await asyncio.shield(task)
            if task in self._kinds.get(kind, ()):  # else it was retired just as it came up
                return zygote

    def _pick(self, kind: _Kind, request: KernelRequest) -> _Starting:
        known = self._kinds.setdefault(kind, [])
        known[:] = [task for task in known if _is_usable(task)]
        self._kinds.move_to_end(kind)
        if not known or (len(known) < MAX_PER_KIND and all(map(_is_busy, known))):
            known.append(asyncio.create_task(self._start(request)))
            self._retire()
        warm = [task for task in known if task.done()]
        if warm:
            return min(warm, key=lambda task: (task.result().load, task.result().kernels))
        return known[0]

    def drain(self) -> None:
        """Give up all kernels in stock, for their memory."""
        for task in itertools.chain.from_iterable(self._kinds.values()):
            if task.done() and not task.cancelled() and not task.exception():
                task.result().drain()

    async def close(self) -> None:
        """End all zygotes and their kernels, side by side."""
        tasks = list(itertools.chain.from_iterable(self._kinds.values()))
        self._kinds.clear()
        for task in tasks:
            if not task.done():
                task.cancel()
        started = await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(one.close() for one in started if isinstance(one, ZygoteProcess)))
        await asyncio.gather(*self._closing)
        await asyncio.gather(*map(_close_root, self._roots.values()))
        self._roots.clear()
        if self._cgroup is not None:
            self._cgroup.remove()
            self._cgroup = None

    def _retire(self) -> None:
        """Let the least used kinds go, where no kernel of theirs is alive or on its way."""
        idle = [kind for kind, tasks in self._kinds.items() if all(map(_is_idle, tasks))]
        for kind in idle[: max(len(self._kinds) - MAX_KINDS, 0)]:
            for task in filter(_is_usable, self._kinds.pop(kind)):
                self._aside(task.result().close())
        used = {kind[0] for kind in self._kinds}
        for root_kind in self._roots.keys() - used:
            self._aside(_close_root(self._roots.pop(root_kind)))

    def _aside(self, work: Coroutine[None, None, None]) -> None:
        closing = asyncio.create_task(work)
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _root(self, request: KernelRequest) -> RootProcess:
        """The root for a request; another one where it has died."""
        kind = _root_kind(request)
        task = self._roots.get(kind)
        if task is None or not _is_alive(task):
            task = self._roots[kind] = asyncio.create_task(self._start_root(request))
        return await asyncio.shield(task)

    async def _start_root(self, request: KernelRequest) -> RootProcess:
        variables = {"PYTHONHASHSEED": str(request.hash_seed)}
        if request.home is not None:
            variables |= {HOME_VARIABLE: str(request.home)}
        return await RootProcess.start(_root_spec(request, self._modules), variables, self._group)

    async def _start(self, request: KernelRequest) -> ZygoteProcess:
        log = os.memfd_create("zygote.log")
        try:
            zygote = await (await self._root(request)).fork(log, self._stock)
            try:
                await zygote.start(_spec(request, self._first_uid()))
            except BaseException as error:
                await zygote.close()
                if not isinstance(error, KernelStartError):
                    raise
                raise KernelStartError(f"no zygote: {error}; it said:\n{said_in(log)}") from None
            return zygote
        finally:
            os.close(log)

    def _group(self, pid: int) -> None:
        """Put a root, which waits for its spec, into the cgroup of all kernels."""
        if self._grouped and self._cgroup is None:
            total, _ = our_memory()
            self._cgroup = make_cgroup(total - reserved_mib(total))
        if self._cgroup is not None:
            self._cgroup.add(pid)

    def _first_uid(self) -> int:
        """Users of its own for each zygote, since root's kernels count processes by user."""
        most = MAX_KINDS * MAX_PER_KIND * 4
        block = (os.getpid() * most + next(self._blocks)) % UID_BLOCKS
        return FIRST_UID + block * SLOTS


def preparation(request: KernelRequest) -> Preparation:
    """Return what a forked kernel is told, once it is known whose it will be."""
    return Preparation(
        image=None if request.image is None else request.image.ref,
        files=list(request.files), seed=request.seed, max_chars=request.max_output_chars,
        rules=_own_rules(request), environment=_network(request),
    )  # fmt: skip


def _root_kind(request: KernelRequest) -> _RootKind:
    return request.home, request.hash_seed


def _kind(request: KernelRequest) -> _Kind:
    """What requests have in common that a zygote serves; the kind of its root comes first."""
    patterns = tuple(sorted({glob for found in request.images for glob in found.hidden}))
    own = request.image.ref if request.image is not None and _is_large(request.image) else None
    return (_root_kind(request), patterns, request.hidden, request.memory_mib, own)


def _is_large(image: KernelImage) -> bool:
    parts = (image.folder / f"variables.{part}" for part in ("pkl", "buf"))
    return sum(part.stat().st_size for part in parts) > LARGE_IMAGE_BYTES


def _is_usable(task: _Starting) -> bool:
    if not task.done():
        return True
    if task.cancelled() or task.exception() is not None:
        return False
    return not task.result().gone and not task.result().unfit


def _is_busy(task: _Starting) -> bool:
    if not task.done() or task.exception():
        return False
    return task.result().load >= BUSY_FORKS or task.result().kernels >= BUSY_KERNELS


def _is_idle(task: _Starting) -> bool:
    if not task.done():
        return False
    return not _is_usable(task) or task.result().load == task.result().kernels == 0


async def _close_root(task: asyncio.Task[RootProcess]) -> None:
    task.cancel()
    (root,) = await asyncio.gather(task, return_exceptions=True)
    if isinstance(root, RootProcess):
        await root.close()


def _is_alive(task: asyncio.Task[RootProcess]) -> bool:
    if not task.done():
        return True
    return not task.cancelled() and task.exception() is None and not task.result().gone


def _folders(home: Path | None) -> list[Path]:
    return [] if home is None else [images_folder(home), font_cache(home)]


def _readable(home: Path | None) -> tuple[str, ...]:
    return tuple(map(str, [*sandbox.python_folders(), *_folders(home)]))


def _root_spec(request: KernelRequest, modules: list[str]) -> RootSpec:
    last = FIRST_UID + (UID_BLOCKS - 1) * SLOTS  # where these are ours, all are
    walls = SandboxSpec(_readable(request.home), (), request.memory_mib, first_uid=last)
    return RootSpec(modules=modules, home=str(request.home or ""), sandbox=asdict(walls))


def _spec(request: KernelRequest, first_uid: int) -> ZygoteSpec:
    image = request.image
    patterns = [glob for found in request.images for glob in found.hidden]
    hidden = [*request.hidden, *sandbox.packaged_files(patterns)]
    rules = sandbox.file_rules(readable=_folders(request.home), writable=[], hidden=hidden) or []
    confined = SandboxSpec(
        readable=_readable(request.home),
        rules=tuple(rules),
        memory_mib=request.memory_mib,
        first_uid=first_uid,
    )
    return ZygoteSpec(
        imports=list(image.imports) if image else [],
        image=image.ref if image and _is_large(image) else None,
        home=str(request.home or ""),
        sandbox=asdict(confined),
    )


def _network(request: KernelRequest) -> dict[str, str]:
    """The way to the proxy, and certificates, since those of the host are not to be seen."""
    if not request.hosts:
        return {}
    return {**loopback.environment(), "SSL_CERT_FILE": certifi.where()}


def _own_rules(request: KernelRequest) -> list[tuple[str, str]]:
    """A second layer of rules, by which a kernel reads its own images only."""
    if request.home is None:
        return []
    open_folders = [*sandbox.python_folders(), Path("/proc"), Path("/etc")]
    open_folders += [font_cache(request.home), *(image.folder for image in request.images)]
    readable = [(str(path), "read") for path in open_folders]
    return [*readable, ("/kernel", "write"), ("/dev", "write")]
