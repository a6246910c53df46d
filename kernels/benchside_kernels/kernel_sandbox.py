"""The sandbox of single kernels: what a zygote does around a fork, and its child after it.

`ZygoteSandbox.enter_kernel`, in each forked child, which is born into the pid namespace of an init
of its own (see `cradle.py`): mount and ipc namespace, a work folder in memory with a quota, own
/proc, own uid (root) or user namespace (not root), resource limits, no capabilities, Landlock,
seccomp. A kernel that may reach hosts also has a net namespace of its own, with the way to its
proxy in it (see `loopback.py`). `furnish`, for each copy of a live kernel: a mount namespace with a
work folder of its own; it stays in the pid, net and ipc namespaces of the kernel that it was copied
from. The walls around zygote and kernels together are those of `namespaces.py`.
"""

from __future__ import annotations

import errno
import os
import platform
import resource
import shutil
import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from benchside_kernels import landlock, linux, loopback, seccomp, tree
from benchside_kernels.linux import SandboxError
from benchside_kernels.tree import SHM, TMP, WORK

SLOTS = 4096
"""Kernels that may be alive at once in one zygote, each with its own uid where we are root."""

_CAP_DAC_OVERRIDE, _CAP_FOWNER = 1, 3
_OOM_SCORE = 900
_INODES_PER_MIB = 64
_ALL_DESCRIPTORS = 1 << 20


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """What the kernels of one zygote can see and use.

    Args:
        readable: host paths, bound read-only at the same place with all that is mounted below.
            Paths that are absent are skipped.
        rules: Landlock rules (path, right) for paths in the tree: what of `readable` may be read.
        memory_mib: private memory that a kernel's process may allocate beyond the zygote's.
        work_mib: quota of work, tmp and shm together.
        max_processes: processes and threads of one kernel.
        max_files: open files of one process.
        first_uid: where we are root, the kernel in slot n runs as uid and gid `first_uid + n`.
            Zygotes side by side need ranges apart: the system counts processes per uid.
    """

    readable: tuple[str, ...]
    rules: tuple[tuple[str, str], ...]
    memory_mib: int
    work_mib: int = 512
    max_processes: int = 128
    max_files: int = 1024
    first_uid: int = 200_000

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SandboxSpec:
        """Build a spec from what `asdict` gave, also after a trip through JSON."""
        known = {field.name for field in fields(cls)}
        if unknown := set(values) - known:
            raise ValueError(f"unknown fields of SandboxSpec: {sorted(unknown)}")
        rules = tuple((path, right) for path, right in values["rules"])
        return cls(**{**values, "readable": tuple(values["readable"]), "rules": rules})


class ZygoteSandbox:
    """The sandbox as seen from inside: what the zygote does around a fork, and the child after it.

    In the cradle, for an init: `before_fork()`, fork, `after_fork()` in the parent only, also where
    the fork failed. In the zygote, for the kernel: the same with `enter_pids_of(init)` first and,
    for a kernel with hosts, `enter_network()`. In the child, still single-threaded:
    `enter_kernel(slot)`; `descriptors` must be open until then.
    """

    def __init__(self, spec: SandboxSpec, rootless: bool, links: Mapping[str, str]) -> None:
        self.spec, self.rootless = spec, rootless
        self.links = dict(links)
        self._filter = seccomp.build_filter(platform.machine())
        self._tcp_filter = seccomp.build_filter(platform.machine(), tcp=True)
        self._pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._net_namespace = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._has_network = False  # the child that is being forked
        own = [("/kernel", landlock.WRITE), ("/.live", landlock.READ), ("/etc", landlock.READ)]
        own += [(device, landlock.WRITE) for device in tree.DEVICES]
        self._ruleset = landlock.make_ruleset([*spec.rules, *own])
        self._tcp_ruleset = landlock.make_ruleset([*spec.rules, *own], [loopback.PORT])
        # before ABI 6 Landlock does not stop abstract sockets: each kernel gets its own network
        self._own_network = landlock.abi() < 6

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Descriptors that `enter_kernel` needs and closes."""
        return (self._pid_namespace, self._ruleset, self._net_namespace, self._tcp_ruleset)

    def before_fork(self) -> None:
        """Give the next child a pid namespace of its own; it will be pid 1 in it.

        As pid 1 it gets no signal from inside that it has no handler for, not even its own SIGTERM
        or abort(); from outside SIGKILL always works, others only where it has a handler.
        """
        linux.unshare(linux.NEWPID, "a pid namespace of its own")

    def enter_pids_of(self, init: int) -> None:
        """Have the next child be born into the pid namespace of the process behind a pidfd."""
        linux.join_namespace(init, linux.NEWPID, "a kernel's pid namespace")

    def enter_network(self) -> socket.socket:
        """Give the next child a network of its own, too; return the socket for its proxy."""
        linux.unshare(linux.NEWNET, "a network for the kernel")
        self._has_network = True
        return loopback.listen()

    def after_fork(self) -> None:
        """In the zygote: children forked from now on share its own namespaces again."""
        linux.join_namespace(self._pid_namespace, linux.NEWPID, "back to the zygote's pids")
        if self._has_network:
            linux.join_namespace(self._net_namespace, linux.NEWNET, "back to the zygote's network")
            self._has_network = False

    def enter_kernel(
        self, slot: int, keep: Sequence[int] | None = None, key_fd: int | None = None
    ) -> None:
        """Confine this child for good; afterwards it stands in /kernel/work.

        Args:
            slot: from 0 to SLOTS - 1, unique among the living kernels of this zygote.
            keep: descriptors that stay open besides the standard streams; None: all but our own.
            key_fd: where the secret for `seccomp.unshare_folders` is written; None: nobody gets it.

        Raises:
            SandboxError: a step failed. The child must tell its host and `os._exit`: it is
                confined in part only.
        """
        if not 0 <= slot < SLOTS:
            raise SandboxError(f"slot {slot} is not between 0 and {SLOTS - 1}")
        for name, step in self.steps(slot, keep, key_fd):
            try:
                step()
            except OSError as error:
                raise SandboxError(f"kernel not confined: {name}: {error}") from error

    def steps(
        self, slot: int, keep: Sequence[int] | None = None, key_fd: int | None = None
    ) -> Iterator[tuple[str, Callable[[], None]]]:
        """Yield the steps of `enter_kernel` with their names, in the order that they depend on.

        Mounts need powers, so they come first; the limit on processes counts for the new user;
        a change of user clears dumpable and the death signal; Landlock and seccomp end all this.
        """
        self._take_slot(slot)
        self._own_proc = os.open("/proc/self", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        yield "OOM score", self._offer_to_oom_killer
        yield "namespaces", self._own_namespaces
        yield "folders", self._mount_folders
        yield "/proc", self._mount_proc
        yield "limits", self._limit_resources
        yield "user", self._become_user
        yield "capabilities", linux.drop_capabilities
        yield "settings", self._settle
        rules = self._tcp_ruleset if self._has_network else self._ruleset
        yield "Landlock", lambda: landlock.restrict_self_to(rules)
        yield "descriptors", lambda: self._close_descriptors(keep)
        program = self._tcp_filter if self._has_network else self._filter
        yield "seccomp", lambda: seccomp.install(program, key_fd)

    def furnish(self, copy: int, slot: int) -> None:
        """In a child of the zygote: give the copy of a kernel in `slot` folders of its own.

        The copy, which has left its mount namespace by `seccomp.unshare_folders` and waits, then
        sees a new work folder with what was in the old one.

        Args:
            copy: pidfd of the copy.

        Raises:
            OSError: the copy is not fit to go on.
        """
        self._take_slot(slot)
        proc = os.open(f"/proc/{linux.process_of(copy)}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        # of the programs that it starts: their /proc then knows them, which cp needs
        linux.join_namespace(copy, linux.NEWPID, "the copy's pids")
        if not self.rootless:
            os.setgroups([])
            os.setresgid(self._gid, self._gid, self._gid)
            os.setresuid(self._uid, self._uid, self._uid)
        linux.join_namespace(copy, linux.NEWUSER, "the copy's user namespace")
        self._own_proc = proc
        self._map_user()
        linux.join_namespace(copy, linux.NEWNS, "the copy's mounts")
        folders = {name: os.open(name, os.O_PATH | os.O_DIRECTORY) for name in (WORK, TMP, SHM)}
        self._mount_folders(owned=True)
        _copy_trees(folders)

    def _take_slot(self, slot: int) -> None:
        if self.rootless:
            self._uid, self._gid = os.getuid(), os.getgid()
        else:
            self._uid = self._gid = self.spec.first_uid + slot

    def _offer_to_oom_killer(self) -> None:
        if int(self._read_own("oom_score_adj")) < _OOM_SCORE:  # to lower it takes powers
            self._write_own("oom_score_adj", str(_OOM_SCORE))

    def _own_namespaces(self) -> None:
        own_network = self._own_network and not self._has_network
        flags = linux.NEWNS | linux.NEWIPC | (linux.NEWNET if own_network else 0)
        linux.unshare(flags, "mount and ipc namespaces")

    def _mount_folders(self, owned: bool = False) -> None:
        """One tmpfs, so one quota, seen as three folders; its root ends up out of reach.

        Args:
            owned: this process is the kernel's user already, so that all it makes belongs to it.
        """
        quota = self.spec.work_mib
        options = f"mode=755,size={quota}m,nr_inodes={_INODES_PER_MIB * quota}"
        linux.mount("tmpfs", WORK, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, options)
        parts = {folder: WORK + folder.removeprefix("/kernel") for folder in (TMP, SHM, WORK)}
        for part in parts.values():
            os.mkdir(part, 0o700)  # pathlib would double the whole step
            if not (owned or self.rootless):
                os.chown(part, self._uid, self._gid)
        tree.place_links(WORK, self.links)
        for folder, part in parts.items():  # WORK comes last: it covers the root of the tmpfs
            linux.mount(part, folder, None, linux.MS_BIND)
        os.chdir(WORK)

    def _mount_proc(self) -> None:
        flags = linux.MS_RDONLY | linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
        linux.mount("proc", tree.PROC, "proc", flags)

    def _limit_resources(self) -> None:
        data_pages = int(self._read_own("statm").split()[5])
        data = data_pages * resource.getpagesize()
        _limit(resource.RLIMIT_DATA, data + self.spec.memory_mib * 1024**2)
        _limit(resource.RLIMIT_FSIZE, self.spec.work_mib * 1024**2)
        _limit(resource.RLIMIT_NOFILE, self.spec.max_files)
        _limit(resource.RLIMIT_CORE, 0)

    def _become_user(self) -> None:
        if self.rootless:
            linux.unshare(linux.NEWUSER, "a user namespace for the kernel")  # counts its processes
            self._map_user()
            linux.give_up_bounding_set()
        else:
            linux.give_up_bounding_set()  # while still root
            os.setgroups([])
            os.setresgid(self._gid, self._gid, self._gid)
            os.setresuid(self._uid, self._uid, self._uid)
        _limit(resource.RLIMIT_NPROC, self.spec.max_processes)

    def _map_user(self) -> None:
        self._write_own("setgroups", "deny")
        self._write_own("uid_map", f"{self._uid} {self._uid} 1")
        self._write_own("gid_map", f"{self._gid} {self._gid} 1")

    def _settle(self) -> None:
        linux.prctl(linux.PR_SET_DUMPABLE, 1, "dumpable")  # else /proc/self belongs to root
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL, "death signal")
        linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1, "no_new_privs")

    def _close_descriptors(self, keep: Sequence[int] | None) -> None:
        if keep is not None:
            close_all_but({0, 1, 2, *keep})
            return
        for descriptor in (*self.descriptors, self._own_proc):
            os.close(descriptor)

    def _write_own(self, name: str, text: str) -> None:
        """Write to a file of this process in the zygote's /proc, which is not read-only."""
        descriptor = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=self._own_proc)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)

    def _read_own(self, name: str) -> bytes:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._own_proc)
        try:
            return os.read(descriptor, 4096)
        finally:
            os.close(descriptor)


def settle_copy() -> None:
    """In the copy, once furnished: the powers over its new namespaces go, and so do the bounds.

    Another Landlock domain keeps it from the kernel that it was copied from and from other copies.

    Raises:
        OSError: a step failed; the copy must end.
    """
    os.chdir(WORK)
    linux.give_up_bounding_set()
    linux.drop_capabilities()
    # allows no less: a domain is what it is for
    landlock.restrict_self([("/", landlock.WRITE)], [loopback.PORT])


def _copy_trees(folders: Mapping[str, int]) -> None:
    """Copy to each path what is in the folder behind a descriptor, pipes and links included."""
    cp = shutil.which("cp", path=os.defpath)
    if cp is None:
        raise FileNotFoundError(errno.ENOENT, "no cp in this system", os.defpath)
    # over the kernel's own files, which it may have shut to itself
    linux.hand_capabilities_on(_CAP_DAC_OVERRIDE, _CAP_FOWNER)
    said = os.memfd_create("said")
    to_file = [(os.POSIX_SPAWN_DUP2, said, 2)]
    running = []
    for target, folder in folders.items():  # side by side
        os.fchdir(folder)
        if not os.listdir():
            continue
        argv = [cp, "-a", ".", target]
        running.append(os.posix_spawn(cp, argv, {"PATH": os.defpath}, file_actions=to_file))
    codes = [os.waitpid(pid, 0)[1] for pid in running]  # of all, before any is told of
    if any(codes):
        reason = os.pread(said, 200, 0).decode(errors="replace").partition("\n")[0]
        raise OSError(errno.EIO, f"files were not copied: {reason}")


def close_all_but(kept: set[int]) -> None:
    """Close all descriptors of this process but these."""
    first = 0
    for descriptor in (*sorted(kept), _ALL_DESCRIPTORS):
        if first < descriptor:  # an empty range that begins at 0 would close everything
            os.closerange(first, descriptor)
        first = descriptor + 1


def _limit(which: int, value: int) -> None:
    """Set soft and hard limit, but never above the hard limit that holds already."""
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, value))
