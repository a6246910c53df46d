"""The system call filter of a kernel: a seccomp program for x86_64 and aarch64, by ctypes.

It shuts what numpy, pandas, plotting, subprocesses and threads never need and escapes are made
of: tracing, mounts, namespaces, key rings, bpf, io_uring, userfaultfd, modules, clocks, sockets
other than Unix ones, System V and POSIX queues, injected terminal input, and limits and priorities
of other processes, since a kernel and its copies see each other and are one user. Denied calls
fail with EPERM, so that a library sees an ordinary refusal; calls newer than the table get ENOSYS,
as on an older system. It is a second wall behind namespaces and Landlock and does *not* look at
paths: a filter sees no memory. Kernels with hosts may also have sockets for TCP over IPv4, and for
nothing else: Landlock, which allows them one port, looks at TCP only.
Source: docs.kernel.org/userspace-api/seccomp_filter.html; numbers from asm/unistd_64.h and
asm-generic/unistd.h.

One call has a lock: `unshare` into new user and mount namespaces passes with a secret second
argument, different in each kernel, that only the host knows. A copy of a live kernel needs it once,
to get folders of its own (see `kernel_sandbox.py`).
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import struct
from dataclasses import dataclass
from itertools import pairwise

_SAME_NUMBER_EVERYWHERE = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432,
    "fspick": 433, "pidfd_getfd": 438, "process_madvise": 440, "mount_setattr": 442,
    "quotactl_fd": 443, "memfd_secret": 447, "process_mrelease": 448, "open_tree_attr": 467,
}  # fmt: skip
_BY_MACHINE: dict[str, tuple[int, int | None]] = {  # name: (x86_64, aarch64)
    "_sysctl": (156, None), "acct": (163, 89), "add_key": (248, 217), "adjtimex": (159, 171),
    "bpf": (321, 280), "chroot": (161, 51), "clock_adjtime": (305, 266),
    "clock_settime": (227, 112), "create_module": (174, None), "delete_module": (176, 106),
    "fanotify_init": (300, 262), "fanotify_mark": (301, 263), "finit_module": (313, 273),
    "get_kernel_syms": (177, None), "init_module": (175, 105), "ioperm": (173, None),
    "iopl": (172, None), "kcmp": (312, 272), "kexec_file_load": (320, 294),
    "kexec_load": (246, 104), "keyctl": (250, 219), "lookup_dcookie": (212, 18),
    "modify_ldt": (154, None), "mount": (165, 40), "name_to_handle_at": (303, 264),
    "nfsservctl": (180, 42), "open_by_handle_at": (304, 265), "perf_event_open": (298, 241),
    "personality": (135, 92), "pivot_root": (155, 41), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "ptrace": (101, 117), "query_module": (178, None),
    "quotactl": (179, 60), "reboot": (169, 142), "request_key": (249, 218),
    "setdomainname": (171, 162), "sethostname": (170, 161), "setns": (308, 268),
    "settimeofday": (164, 170), "mq_open": (240, 180), "msgget": (68, 186), "semget": (64, 190),
    "shmget": (29, 194),  # System V memory escapes the work folder's quota; POSIX memory does not
    "swapoff": (168, 225), "swapon": (167, 224), "syslog": (103, 116), "umount2": (166, 39),
    "unshare": (272, 97), "uselib": (134, None), "userfaultfd": (323, 282), "vhangup": (153, 58),
}  # fmt: skip
_ONLY_WITH: dict[str, tuple[tuple[int, int], tuple[tuple[int, int], ...]]] = {
    # numbers as above; arguments (place, value) by which a process means itself
    "ioprio_set": ((251, 30), ((0, 1), (1, 0))), "prlimit64": ((302, 261), ((0, 0),)),
    "sched_setaffinity": ((203, 122), ((0, 0),)), "sched_setattr": ((314, 274), ((0, 0),)),
    "setpriority": ((141, 140), ((0, 0), (1, 0))),
    # ... or the ordinary policy, which ZeroMQ sets for each of its threads
    "sched_setscheduler": ((144, 119), ((1, 0),)),
}  # fmt: skip
_FIRST_UNKNOWN = 470  # one past the newest call that was looked at: Linux 6.17
_CLONE3 = 435
_X32 = 0x4000_0000

_CLONE_NEW_ANY = 0x7E02_0000  # every CLONE_NEW* flag that clone() takes
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_AF_UNIX, _AF_INET = 1, 2
_SOCK_STREAM, _SOCK_TYPES = 1, 0xF
_TCP = (0, 6)  # 0: the default of a stream

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF opcodes
_MASK = 0x54
_KILL, _ERRNO, _ALLOW = 0x8000_0000, 0x0005_0000, 0x7FFF_0000
_NUMBER, _ARCH, _ARG_0, _ARG_1, _ARG_2 = (
    0,
    4,
    16,
    24,
    32,
)  # offsets in struct seccomp_data, little-endian
_NEW_FOLDERS = 0x1002_0000  # CLONE_NEWUSER | CLONE_NEWNS
_KEY_PLACES = (0x5EC0_0001, 0x5EC0_0002)  # where `install` puts the two halves of the secret
KEY_BYTES = 8
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2


@dataclass(frozen=True, slots=True)
class _Machine:
    """What differs between machines: column of the table, audit name, calls looked at closely."""

    column: int
    audit_arch: int
    ioctl: int
    socket: int
    socketpair: int
    clone: int


_MACHINES = {
    "x86_64": _Machine(0, 0xC000_003E, ioctl=16, socket=41, socketpair=53, clone=56),
    "aarch64": _Machine(1, 0xC000_00B7, ioctl=29, socket=198, socketpair=199, clone=220),
}
MACHINES = tuple(_MACHINES)
"""The machines (as `platform.machine()` names them) that have a table."""

_Code = list[tuple[int, int, int, int]]
"""Instructions: opcode, distance if true, distance if false, operand."""


def denied_calls(machine: str) -> dict[str, int]:
    """Return the calls that always fail with EPERM on `machine`: name → number."""
    column = _MACHINES[machine].column
    named = {name: numbers[column] for name, numbers in _BY_MACHINE.items()}
    return {name: number for name, number in named.items() if number is not None} | (
        _SAME_NUMBER_EVERYWHERE
    )


def build_filter(machine: str, *, tcp: bool = False) -> bytes:
    """Return the BPF program for `machine`; with `tcp`, sockets may be TCP over IPv4.

    The calls stand in a search tree, not in a list: installing is several times faster, because
    the kernel runs the program once for each call number to learn which are always allowed.

    Raises:
        KeyError: there is no table for this machine; see `MACHINES`.
    """
    target = _MACHINES[machine]
    denied = denied_calls(machine)
    special: dict[int, _Code] = dict.fromkeys(denied.values(), _fail(errno.EPERM))
    special[denied["unshare"]] = _locked(_NEW_FOLDERS)
    for numbers, arguments in _ONLY_WITH.values():
        tests = [(_ARG_0 + 8 * place, value) for place, value in arguments]
        special[numbers[target.column]] = _where(tests, errno.EPERM)
    special[_CLONE3] = _fail(errno.ENOSYS)  # its flags lie in memory; libc then takes clone
    special[target.clone] = _unless(_ANY_BIT, _ARG_0, (_CLONE_NEW_ANY,), errno.EPERM)
    special[target.ioctl] = _unless(_EQUAL, _ARG_1, (_TIOCSTI, _TIOCLINUX), errno.EPERM)
    for call in (target.socket, target.socketpair):
        special[call] = _where([(_ARG_0, _AF_UNIX)], errno.EAFNOSUPPORT)
    if tcp:
        special[target.socket] = _unix_or_tcp()
    code = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, target.audit_arch), (_RETURN, 0, 0, _KILL)]
    code += [(_LOAD, 0, 0, _NUMBER), *_search(_segments(special))]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def install(program: bytes | None = None, key_fd: int | None = None) -> None:
    """Put this thread, and all that it will start, under the filter, for good.

    Args:
        program: `build_filter` of this machine, where it was made ahead.
        key_fd: the secret of `unshare_folders` is written there; None: nobody learns it. No copy of
            it stays in this process.

    Raises:
        KeyError: there is no table for this machine.
        OSError: the system refused; the process is then not filtered.
    """
    program = build_filter(platform.machine()) if program is None else program
    buffer = ctypes.create_string_buffer(program, len(program))
    attached = _Program(len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        for place in _key_places(program):
            half = ctypes.addressof(buffer) + place
            _check(libc.getrandom(ctypes.c_void_p(half), ctypes.c_size_t(4), 0) - 4, "getrandom")
            if key_fd is not None:
                os.write(key_fd, memoryview(buffer)[place : place + 4])
        _check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
        filtered = libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(attached), 0, 0)
        _check(filtered, "seccomp")
    finally:
        ctypes.memset(buffer, 0, len(buffer))


def unshare_folders(key: bytes) -> None:
    """Leave the user and mount namespaces for new ones, through the filter's lock.

    Raises:
        OSError: not the key of this process's filter.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    number = denied_calls(platform.machine())["unshare"]
    secret = ctypes.c_ulong(int.from_bytes(key, "little"))
    done = libc.syscall(ctypes.c_long(number), ctypes.c_ulong(_NEW_FOLDERS), secret)
    _check(done, "namespaces for a copy")


@functools.cache
def _key_places(program: bytes) -> tuple[int, ...]:
    """Offsets of the two words of the secret."""
    operands = struct.unpack(f"={len(program) // 8}Q", program)
    return tuple(
        8 * next(at for at, word in enumerate(operands) if word >> 32 == place) + 4
        for place in _KEY_PLACES
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))


def _segments(special: dict[int, _Code]) -> list[tuple[int, _Code]]:
    """Cut all call numbers into runs that are treated alike: (first number, what to do)."""
    starts = {0: _allow(), _FIRST_UNKNOWN: _fail(errno.ENOSYS), _X32: _fail(errno.EPERM)}
    for number, code in special.items():
        starts[number] = code
        if number + 1 not in special:
            starts.setdefault(number + 1, _allow())
    ordered = sorted(starts.items())
    return ordered[:1] + [now for before, now in pairwise(ordered) if now[1] != before[1]]


def _search(segments: list[tuple[int, _Code]]) -> _Code:
    """Return a binary search for the segment of the loaded number."""
    if len(segments) == 1:
        return segments[0][1]
    middle = len(segments) // 2
    low, high = _search(segments[:middle]), _search(segments[middle:])
    if len(low) > 255:  # a BPF jump cannot reach further
        raise ValueError(f"the filter grew too long: a jump over {len(low)} instructions")
    return [(_AT_LEAST, len(low), 0, segments[middle][0]), *low, *high]


def _allow() -> _Code:
    return [(_RETURN, 0, 0, _ALLOW)]


def _fail(code: int) -> _Code:
    return [(_RETURN, 0, 0, _ERRNO | code)]


def _unless(test: int, argument: int, values: tuple[int, ...], code: int) -> _Code:
    """Allow, unless one of the tests on an argument holds."""
    tests = [(test, len(values) - done, 0, value) for done, value in enumerate(values)]
    return [(_LOAD, 0, 0, argument), *tests, *_allow(), *_fail(code)]


def _where(tests: list[tuple[int, int]], code: int) -> _Code:
    """Allow only where each argument equals its value."""
    found: _Code = []
    for done, (argument, value) in enumerate(tests):
        over = 2 * (len(tests) - 1 - done) + 1
        found += [(_LOAD, 0, 0, argument), (_EQUAL, 0, over, value)]
    return [*found, *_allow(), *_fail(code)]


def _unix_or_tcp() -> _Code:
    """Allow a Unix socket of any type, or one for TCP over IPv4."""
    return [
        (_LOAD, 0, 0, _ARG_0), (_EQUAL, 7, 0, _AF_UNIX), (_EQUAL, 0, 7, _AF_INET),
        (_LOAD, 0, 0, _ARG_1), (_MASK, 0, 0, _SOCK_TYPES), (_EQUAL, 0, 4, _SOCK_STREAM),
        (_LOAD, 0, 0, _ARG_2), (_EQUAL, 1, 0, _TCP[0]), (_EQUAL, 0, 1, _TCP[1]),
        *_allow(), *_fail(errno.EAFNOSUPPORT),
    ]  # fmt: skip


def _locked(flags: int) -> _Code:
    """Allow where the first argument is `flags` and the second the secret, half by half."""
    secret = [(_ARG_1, _KEY_PLACES[0]), (_ARG_1 + 4, _KEY_PLACES[1])]
    return _where([(_ARG_0, flags), *secret], errno.EPERM)


def _check(result: int, what: str) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
