"""Control groups: one for all kernels of a supervisor, so that together they cannot take the
machine's memory or processes; and how much memory the group that we are in ourselves leaves.

Zygotes are put in, kernels and all that they start inherit it. Memory that processes share counts,
files in memory too. Where the limit is reached, the system kills the largest process of the group,
kernels before zygotes. Does *not* cover: shares of single kernels, so that a kernel with much
memory may be killed for what another one takes at the time.

Version 2 needs a delegated group, as `systemd-run --user --scope -p Delegate=yes` makes one: our
own processes move to a group beside, since one with processes cannot hand memory down. Version 1
needs root.
Source: docs.kernel.org/admin-guide/cgroup-v2.html and cgroup-v1/memory.html.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchside_kernels.errors import KernelStartError

CONTROLLERS = ("memory", "pids")
PREFIX = "benchside-"
HOST = "benchside-host"
"""Where our own processes go, in version 2."""
PROCESSES_SHARE = 0.5
REMOVE_TIMEOUT_S = 0.5
CURE = "systemd-run --user --scope -p Delegate=yes benchside …, or root"

_MIB = 1024**2
_UNLIMITED = 1 << 60


class CgroupError(KernelStartError):
    """There can be no cgroup for kernels here; one phrase."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where this process is in one hierarchy: `own` is at or below `mount`."""

    version: int
    mount: Path
    own: Path

    def upwards(self) -> Iterator[Path]:
        """Our own folder and all above it."""
        yield self.own
        if self.own != self.mount:
            yield from (path for path in self.own.parents if path.is_relative_to(self.mount))


@dataclass(frozen=True, slots=True)
class KernelCgroup:
    """A group for kernels: one folder in version 2, one for each controller in version 1."""

    folders: tuple[Path, ...]

    def add(self, pid: int) -> None:
        """Put a process in; what it starts from now on is in too.

        Raises:
            CgroupError: it has ended, or the group is gone.
        """
        for folder in self.folders:
            _write(folder / "cgroup.procs", str(pid))

    def remove(self) -> None:
        """Remove the group, whose processes are about to end; else the next supervisor does."""
        deadline = time.monotonic() + REMOVE_TIMEOUT_S
        for folder in self.folders:
            while not _removed(folder) and time.monotonic() < deadline:
                time.sleep(0.005)


def make_cgroup(memory_mib: float, controllers: Sequence[str] = CONTROLLERS) -> KernelCgroup:
    """Make a group for kernels of this process; groups of dead owners go.

    Args:
        memory_mib: limit of all kernels together, pages of files and shared memory included.

    Raises:
        CgroupError: the system does not permit it; the message names the cure where one is known.
    """
    found = places()
    if missing := [name for name in controllers if name not in found]:
        raise CgroupError(f"this system has no cgroups for {' and '.join(missing)}")
    parents = {
        name: _delegated(found[name].own, controllers)
        if found[name].version == 2
        else found[name].own
        for name in controllers
    }
    made: list[Path] = []
    try:
        for name, parent in parents.items():
            folder = parent / f"{PREFIX}{os.getpid()}"
            if folder not in made:
                _remove_stale(parent)
                _make(folder)
                made.append(folder)
            if name == "memory":
                _limit_memory(folder, found[name].version, int(memory_mib * _MIB))
            elif name == "pids":
                _write(folder / "pids.max", str(max_processes(found[name])))
    except BaseException:
        for folder in made:
            _removed(folder)
        raise
    return KernelCgroup(tuple(made))


def cgroup_problem() -> str | None:
    """Why kernels get no group of their own here, with the cure; None where they do."""
    try:
        make_cgroup(1024).remove()
    except CgroupError as error:
        return str(error)
    return None


def places() -> dict[str, Place]:
    """Return where this process is, by controller; empty where there are no cgroups."""
    try:
        groups = Path("/proc/self/cgroup").read_text().splitlines()
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return {}
    own: dict[str, str] = {}
    for line in groups:
        _, controllers, path = line.split(":", 2)
        own |= dict.fromkeys(controllers.split(","), path)
    found: dict[str, Place] = {}
    for line in mounts:
        before, _, after = line.partition(" - ")
        root, mount = before.split()[3:5]
        kind, _, options = after.split()[:3]
        if kind == "cgroup":
            names, version = [name for name in options.split(",") if name in own], 1
        elif kind == "cgroup2" and "" in own:
            names, version = ["", *_words(Path(mount, "cgroup.controllers"))], 2
        else:
            continue
        for name in names:
            path = own[name if version == 1 else ""]
            place = Place(version, Path(mount), _below(Path(mount), root, path))
            found.setdefault(name, place)
    return found


def own_memory() -> tuple[float, float] | None:
    """Limit and free memory in MiB where the group that we are in, or one above, has a limit.

    Pages of files that can be given up at once count as free.
    """
    place = _memory_place()
    if place is None:
        return None
    names = (
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        if place.version == 1
        else ("memory.max", "memory.current", "inactive_file")
    )
    tightest: tuple[float, float] | None = None
    for folder in place.upwards():
        limit, used = _number(folder / names[0]), _number(folder / names[1])
        if limit is None or used is None or limit >= _UNLIMITED:
            continue
        free = limit - used + _statistic(folder / "memory.stat", names[2])
        if tightest is None or free / _MIB < tightest[1]:
            tightest = limit / _MIB, free / _MIB
    return tightest


@functools.cache
def _memory_place() -> Place | None:
    """Looked for once: at most we move to a group below it, which has no limit."""
    return places().get("memory")


def max_processes(place: Place) -> int:
    """Processes and threads that all kernels together may have: half of what there may be."""
    files = [Path("/proc/sys/kernel/pid_max"), Path("/proc/sys/kernel/threads-max")]
    files += [folder / "pids.max" for folder in place.upwards()]
    limits = [number for number in map(_number, files) if number is not None]
    return int(min(limits) * PROCESSES_SHARE)


def _delegated(own: Path, controllers: Sequence[str]) -> Path:
    """The version 2 group to make ours in, which hands the controllers down."""
    parent = own.parent if own.name == HOST else own
    wanted = set(controllers)
    if wanted <= set(_words(parent / "cgroup.subtree_control")):
        return parent
    if lacking := wanted - set(_words(parent / "cgroup.controllers")):
        raise CgroupError(f"our cgroup does not get {' and '.join(sorted(lacking))}: {CURE}")
    if (parent / "cgroup.type").exists():  # all but the system's root: empty it first
        members = _members(parent)
        if members - _ourselves() and not _is_delegated(parent):
            raise CgroupError(f"our cgroup holds processes that are not ours: {CURE}")
        if members:
            _make(parent / HOST)
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                _write(parent / HOST / "cgroup.procs", str(pid))
    _write(parent / "cgroup.subtree_control", " ".join(f"+{name}" for name in controllers))
    return parent


def _is_delegated(folder: Path) -> bool:
    """True where systemd has marked a group as ours to arrange."""
    for name in ("user.delegate", "trusted.delegate"):
        with contextlib.suppress(OSError):
            if os.getxattr(folder, name) == b"1":
                return True
    return False


def _ourselves() -> set[int]:
    """This process and all below it."""
    found: set[int] = set()
    queue = [os.getpid()]
    while queue:
        pid = queue.pop()
        found.add(pid)
        for path in Path(f"/proc/{pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                queue += map(int, path.read_text().split())
    return found


def _limit_memory(folder: Path, version: int, limit: int) -> None:
    """Limit memory, and swap with it: else what is over the limit would go there."""
    if version == 1:
        _write(folder / "memory.limit_in_bytes", str(limit))
        swap, most = folder / "memory.memsw.limit_in_bytes", str(limit)
    else:
        _write(folder / "memory.max", str(limit))
        swap, most = folder / "memory.swap.max", "0"
    if swap.exists():  # where the system counts swap
        _write(swap, most)


def _remove_stale(parent: Path) -> None:
    """Remove groups of supervisors that are gone without having done so."""
    for folder in parent.glob(f"{PREFIX}*"):
        owner = folder.name.removeprefix(PREFIX)
        if owner.isdigit() and not Path("/proc", owner).exists():
            _removed(folder)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise _error("make", folder, error) from None


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError as error:
        return error.errno != errno.EBUSY  # busy: processes in it are about to end
    return True


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except ProcessLookupError:
        raise
    except OSError as error:
        raise _error("write to", path, error) from None


def _error(what: str, path: Path, error: OSError) -> CgroupError:
    cure = f": {CURE}" if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) else ""
    return CgroupError(f"cannot {what} {path}: {error.strerror}{cure}")


def _below(mount: Path, root: str, own: str) -> Path:
    """The folder of group `own` where the mount shows the hierarchy from `root` on."""
    if own == root or own.startswith(root.rstrip("/") + "/"):
        folder = mount / own[len(root.rstrip("/")) :].lstrip("/")
        if folder.is_dir():
            return folder
    return mount  # as in a container that sees its own group only


def _members(folder: Path) -> set[int]:
    return {int(pid) for pid in _words(folder / "cgroup.procs")}


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _number(path: Path) -> int | None:
    """A limit or a count; None where there is none, or it is "max"."""
    words = _words(path)
    return int(words[0]) if words and words[0].lstrip("-").isdigit() else None


def _statistic(path: Path, name: str) -> int:
    words = _words(path)
    return int(words[words.index(name) + 1]) if name in words else 0
