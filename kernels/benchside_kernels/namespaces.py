"""Isolation level `sandbox`: Linux namespaces around all zygotes, around each, around each kernel.

`enter_walls`, once: new user (if not root), mount, pid, net, ipc and uts namespaces, and the small
read-only file tree of `tree.py`. `enter_room`, for each zygote, which is forked within the walls:
all of that anew, but user and tree. What each kernel then gets of its own is in
`kernel_sandbox.py`. `enter_zygote` is both for a zygote that stands alone.

    host process ── outer (waits, dies with the host) ── root (pid 1 of its namespace)
                                                           ├── nursery
                                                           └── outer ── zygote (pid 1 of its own)

    in the zygote's pid namespace: cradle ── init (pid 1 of its own)
                                   zygote ── kernel (pid 2, below that init)

Does *not* cover: memory that is not private to a process (memfd, shared anonymous mappings) and the
sum over a kernel's processes, both left to a cgroup and to the OOM killer, which picks kernels
first; CPU time; flaws of the Linux kernel. What the zygote holds in memory every kernel can read.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import select
import signal
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from benchside_kernels import linux, tree
from benchside_kernels.kernel_sandbox import SLOTS, SandboxSpec, ZygoteSandbox, close_all_but
from benchside_kernels.linux import SandboxError

_CAP_SETGID, _CAP_SETUID, _CAP_SETPCAP, _CAP_SYS_ADMIN = 6, 7, 8, 21


@dataclass(frozen=True, slots=True)
class Walls:
    """What a process has learnt by `enter_walls`.

    Args:
        rootless: kernels have this process's user, not users of their own.
        links: that each kernel's folders need (see `tree.enter_tree`).
    """

    rootless: bool
    links: Mapping[str, str]


def enter_zygote(spec: SandboxSpec, keep: Sequence[int] = ()) -> ZygoteSandbox:
    """Do what `enter_walls` does, for a process that forks kernels itself."""
    walls = enter_walls(spec, keep)
    return ZygoteSandbox(spec, walls.rootless, walls.links)


def enter_room(spec: SandboxSpec, walls: Walls, keep: Sequence[int] = ()) -> ZygoteSandbox:
    """Move this single-threaded fork of a process within walls into namespaces of its own.

    It forks as `enter_walls` does; dies with the process that has forked it; and shares with others
    of its kind the user namespace and the tree, which nobody can write to.

    Args:
        spec: with the same readable paths as the walls'.

    Raises:
        SandboxError: the system does not permit it.
    """
    flags = linux.NEWNS | linux.NEWPID | linux.NEWNET | linux.NEWIPC | linux.NEWUTS
    try:
        linux.unshare(flags, "namespaces of the zygote's own")
        _fork_into_pid_namespace(keep)
        tree.renew([] if walls.rootless else _accounts(spec, rootless=False), walls.links)
        return ZygoteSandbox(spec, walls.rootless, walls.links)
    except OSError as error:
        raise _refusal(error, walls.rootless) from error


def enter_walls(spec: SandboxSpec, keep: Sequence[int] = ()) -> Walls:
    """Move this fresh, single-threaded process into a sandbox for zygotes.

    The process forks: the caller goes on as pid 1 of a new pid namespace, while the process that
    was started stays outside as a waiter that ends as the inner one does. If the waiter or its
    parent dies, everything inside is killed. As pid 1 the caller inherits orphans and must reap
    them. Its environment, standard streams and `keep` stay; its other descriptors are closed, its
    folder becomes /, and of the file system it can write to /kernel/tmp only: set TMPDIR.

    Args:
        spec: what is visible inside.
        keep: descriptors that stay open in the inner process; the outer one holds none.

    Raises:
        SandboxError: the system does not permit it; the message names the cure where one is known.
    """
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL, "death signal")
    rootless = not _owns_uids(spec)
    os.umask(0o022)
    try:
        _leave_host_namespaces(rootless)
        _fork_into_pid_namespace(keep)
        links = tree.enter_tree(spec.readable, _accounts(spec, rootless))
        if not rootless:
            _check_other_users_can_read(spec)
            # the look as another user has cleared it
            linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL, "death signal")
        return Walls(rootless, links)
    except OSError as error:
        raise _refusal(error, rootless) from error


def _refusal(error: OSError, rootless: bool) -> SandboxError:
    where = f": {error.filename}" if error.filename else ""
    return SandboxError(f"no sandbox: {error.strerror}{where}{_cure(error, rootless)}")


def _owns_uids(spec: SandboxSpec) -> bool:
    """True where this process is root enough to give each kernel a uid of its own."""
    status = Path("/proc/self/status").read_text().splitlines()
    powers = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff"))
    needed = (_CAP_SETGID, _CAP_SETUID, _CAP_SETPCAP, _CAP_SYS_ADMIN)
    if os.geteuid() != 0 or not all(powers >> capability & 1 for capability in needed):
        return False
    maps = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    last = spec.first_uid + SLOTS
    return any(int(at) <= spec.first_uid and last <= int(at) + int(n) for at, _, n in maps)


def _accounts(spec: SandboxSpec, rootless: bool) -> list[tuple[int, int]]:
    if rootless:
        return [(os.getuid(), os.getgid())]
    return [(uid, uid) for uid in range(spec.first_uid, spec.first_uid + SLOTS)]


def _leave_host_namespaces(rootless: bool) -> None:
    uid, gid = os.getuid(), os.getgid()
    flags = linux.NEWNS | linux.NEWPID | linux.NEWNET | linux.NEWIPC | linux.NEWUTS
    linux.unshare(flags | (linux.NEWUSER if rootless else 0), "namespaces")
    if rootless:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    socket.sethostname("kernel")
    with contextlib.suppress(OSError):  # hides the host's cgroup names, where there are cgroups
        linux.unshare(linux.NEWCGROUP, "cgroup namespace")


def _fork_into_pid_namespace(keep: Sequence[int]) -> None:
    """Return in the inner process only; the outer one waits for it."""
    alive, held = os.pipe2(os.O_CLOEXEC)
    inner = os.fork()
    if inner:
        _wait_outside(inner, held)
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL, "death signal")
    os.close(held)
    poll = select.poll()
    poll.register(alive, 0)
    if poll.poll(0):  # the outer process is gone already: its signal will not come any more
        os._exit(1)
    close_all_but({0, 1, 2, *keep})


def _wait_outside(inner: int, held: int) -> NoReturn:
    """The outer process: hold nothing open, end the way the inner process ends."""
    try:
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL, "death signal")
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the zygote's host decides about Ctrl-C
        close_all_but({held})
        _, status = os.waitpid(inner, 0)
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            if -code != signal.SIGKILL:
                signal.signal(-code, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            os.kill(os.getpid(), -code)
        os._exit(code)
    finally:
        os._exit(1)  # never go on as a second caller


def _check_other_users_can_read(spec: SandboxSpec) -> None:
    """Kernels run as users who own nothing: say so now if they could not even enter a folder."""
    os.setegid(spec.first_uid)
    os.seteuid(spec.first_uid)
    try:
        shut = [
            path
            for path in spec.readable
            if os.path.lexists(path) and not os.access(path, os.R_OK, effective_ids=True)
        ]
    finally:
        os.seteuid(0)
        os.setegid(0)
    if shut:
        raise SandboxError(
            f"kernels have users of their own, who cannot read {shut[0]}: chmod -R a+rX {shut[0]}"
        )


def _cure(error: OSError, rootless: bool) -> str:
    """Return a phrase that begins with ": " and says how to permit it; empty if unknown."""
    if rootless and _setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return ": sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile"
    if rootless and _setting("kernel/unprivileged_userns_clone") == "0":
        return ": sysctl kernel.unprivileged_userns_clone=1"
    if rootless and _setting("user/max_user_namespaces") == "0":
        return ": sysctl user.max_user_namespaces=10000"
    if str(error.strerror).startswith("mount proc"):
        return ": /proc is masked, as in a container: --security-opt systempaths=unconfined"
    if error.filename and not str(error.filename).startswith("/proc/"):
        return ""  # a file is at fault
    if error.errno in (errno.EPERM, errno.EACCES):
        return (
            ": namespaces are forbidden; in a container: --privileged, or --security-opt "
            "seccomp=unconfined --security-opt apparmor=unconfined"
        )
    return ": Linux 5.13 or later is needed" if error.errno == errno.ENOSYS else ""


def _setting(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return ""
