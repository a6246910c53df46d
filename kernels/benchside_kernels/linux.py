"""The Linux system calls that a sandbox is made of, by ctypes: each raises OSError saying what for.

Only what Python 3.11 does not offer itself. Importing works on any Unix, calling on Linux only.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from benchside_kernels.errors import KernelError

NEWNS, NEWCGROUP, NEWUTS, NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
NEWUSER, NEWPID, NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND = 1, 2, 4, 8, 4096
MS_REC, MS_PRIVATE = 16384, 1 << 18
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECUREBITS, PR_SET_NO_NEW_PRIVS = 1, 4, 28, 38

_PR_SET_NAME = 15
_PR_CAPBSET_DROP, _PR_CAP_AMBIENT, _AMBIENT_RAISE, _AMBIENT_CLEAR_ALL = 24, 47, 2, 4
_SECUREBITS_LOCKED = 0b1110_1111  # no root, no setuid fix-up, no ambient raise; all of it locked
_CAPABILITY_VERSION_3 = 0x20080522
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442  # the same on every architecture
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
_OPEN_TREE_CLONE, _MOVE_FROM_DESCRIPTOR, _MNT_DETACH = 1, 4, 2
_READ_ONLY = 1 | 2 | 4  # rdonly, nosuid, nodev

_libc = ctypes.CDLL(None, use_errno=True)


class SandboxError(KernelError):
    """The sandbox could not be entered; the process must end, it may be half confined."""


def process_of(pidfd: int) -> int:
    """Return the pid of the process behind a pidfd, as numbered in this pid namespace.

    Raises:
        OSError: it has ended (ProcessLookupError), or the descriptor is no pidfd.
    """
    with open(f"/proc/self/fdinfo/{pidfd}") as lines:  # noqa: PTH123 (half the time of pathlib)
        pid = next((int(line.split()[1]) for line in lines if line.startswith("Pid:")), None)
    if pid is None:
        raise OSError(errno.EBADF, f"descriptor {pidfd} is no pidfd")
    if pid < 1:
        raise ProcessLookupError(errno.ESRCH, "the process has ended")
    return pid


def name_process(name: str) -> None:
    """Set what `ps` and `top` show for this process and those forked from it; up to 15 bytes."""
    _check(_libc.prctl(_PR_SET_NAME, name.encode()), f"the name {name}")


def unshare(flags: int, what: str) -> None:
    """Leave the namespaces in `flags` for new ones."""
    _check(_libc.unshare(flags), what)


def join_namespace(descriptor: int, kind: int, what: str) -> None:
    """Enter the namespace behind a descriptor, or these of a pidfd's; NEWPID: children will."""
    _check(_libc.setns(descriptor, kind), what)


def prctl(option: int, value: int, what: str) -> None:
    """Set one of this process's settings."""
    _check(_libc.prctl(option, ctypes.c_ulong(value), *(ctypes.c_ulong(0),) * 3), what)


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str = "") -> None:
    """Mount a new file system, or a folder in a second place (MS_BIND)."""
    names = (None if name is None else os.fsencode(name) for name in (source, target, kind))
    done = _libc.mount(*names, ctypes.c_ulong(flags), data.encode() or None)
    _check(done, f"mount {kind or source} on {target}")


def clone_read_only(place: str) -> int:
    """Return a descriptor of a detached copy of the mounts from `place` down, all read-only."""
    flags = ctypes.c_uint(_OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_RECURSIVE)
    tree = int(_libc.syscall(ctypes.c_long(_OPEN_TREE), _AT_FDCWD, os.fsencode(place), flags))
    _check(tree, f"bind {place}")
    _set_read_only(tree, "", _AT_EMPTY_PATH | _AT_RECURSIVE, place)
    return tree


def attach(tree: int, target: str) -> None:
    """Put a detached copy of mounts in its place."""
    flags = ctypes.c_uint(_MOVE_FROM_DESCRIPTOR)
    number = ctypes.c_long(_MOVE_MOUNT)
    done = _libc.syscall(number, tree, b"", _AT_FDCWD, os.fsencode(target), flags)
    _check(done, f"attach {target}")


def make_read_only(path: str) -> None:
    """Make the one mount at `path` read-only."""
    _set_read_only(_AT_FDCWD, path, 0, path)


def change_root(root: str) -> None:
    """Make `root` the root folder and let go of the old one."""
    os.chdir(root)
    _check(_libc.pivot_root(b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", _MNT_DETACH), "let go of the host's files")
    os.chdir("/")


def give_up_bounding_set() -> None:
    """Nothing that is executed later gains a capability; needs CAP_SETPCAP."""
    capability = 0
    while _libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(capability)) == 0:
        capability += 1
    if ctypes.get_errno() != errno.EINVAL:  # EINVAL: past the last capability
        _check(-1, f"give up capability {capability} for good")
    prctl(PR_SET_SECUREBITS, _SECUREBITS_LOCKED, "lock the secure bits")


def drop_capabilities() -> None:
    """Give up every capability of this process."""
    prctl(_PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL, "clear ambient capabilities")
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(header, bytes(24)), "drop capabilities")


def hand_capabilities_on(*capabilities: int) -> None:
    """Keep these capabilities (below 32) only, and give them to programs executed from now on."""
    mask = sum(1 << capability for capability in capabilities)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(header, struct.pack("=6I", mask, mask, mask, 0, 0, 0)), "capabilities")
    for capability in capabilities:
        arguments = (ctypes.c_ulong(value) for value in (_AMBIENT_RAISE, capability, 0, 0))
        _check(_libc.prctl(_PR_CAP_AMBIENT, *arguments), f"hand capability {capability} on")


def _set_read_only(descriptor: int, path: str, flags: int, what: str) -> None:
    attributes = struct.pack("=QQQQ", _READ_ONLY, 0, 0, 0)
    done = _libc.syscall(
        ctypes.c_long(_MOUNT_SETATTR), descriptor, os.fsencode(path), ctypes.c_uint(flags),
        attributes, ctypes.c_size_t(len(attributes)),
    )  # fmt: skip
    _check(done, f"make {what} read-only")


def _check(result: int, what: str) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
