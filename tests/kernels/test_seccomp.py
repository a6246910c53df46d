"""The system call filter, run by a small BPF interpreter for machines that we do not have."""

import errno
import json
import platform
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from benchside_kernels import seccomp

ALLOW, KILL = "allow", "kill"
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "i386": 0x40000003, "arm": 0x40000028}
# calls that numpy, threads, subprocesses and plotting live on: (x86_64, aarch64)
NEEDED = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "lseek": (8, 62), "mmap": (9, 222),
    "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "madvise": (28, 233), "dup": (32, 23), "nanosleep": (35, 101),
    "getpid": (39, 172), "connect": (42, 203), "sendmsg": (46, 211), "execve": (59, 221),
    "wait4": (61, 260), "kill": (62, 129), "fcntl": (72, 25), "ftruncate": (77, 46),
    "getcwd": (79, 17), "chdir": (80, 49), "sysinfo": (99, 179), "getuid": (102, 174),
    "sched_yield": (24, 124), "mremap": (25, 216), "futex": (202, 98), "statfs": (137, 43),
    "sched_getaffinity": (204, 123), "getdents64": (217, 61), "exit_group": (231, 94),
    "openat": (257, 56), "unlinkat": (263, 35), "pipe2": (293, 59),
    "getrandom": (318, 278), "memfd_create": (319, 279), "statx": (332, 291),
    "rseq": (334, 293), "pidfd_open": (434, 434), "close_range": (436, 436),
    "faccessat2": (439, 439), "epoll_pwait2": (441, 441), "landlock_restrict_self": (446, 446),
}  # fmt: skip
DENIED_IN_SPIRIT = {
    "ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd", "mount", "umount2",
    "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr",
    "pivot_root", "chroot", "setns", "unshare", "keyctl", "add_key", "request_key", "bpf",
    "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register",
    "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot",
    "swapon", "swapoff", "acct", "quotactl", "syslog", "sethostname", "setdomainname",
    "open_by_handle_at", "process_madvise", "personality", "settimeofday", "clock_settime",
    "adjtimex", "clock_adjtime", "fanotify_init", "lookup_dcookie", "memfd_secret",
    "msgget", "semget", "mq_open",
}  # fmt: skip
ONLY_WITH = {  # numbers, and the arguments with which they pass; None: any
    "prlimit64": ((302, 261), (0,)), "sched_setaffinity": ((203, 122), (0,)),
    "sched_setattr": ((314, 274), (0,)), "sched_setscheduler": ((144, 119), (None, 0)),
    "setpriority": ((141, 140), (0, 0)), "ioprio_set": ((251, 30), (1, 0)),
}  # fmt: skip
CLONE, SOCKET, SOCKETPAIR = (56, 220), (41, 198), (53, 199)
IOCTL, CLONE3 = (16, 29), (435, 435)

machines = pytest.mark.parametrize("machine", seccomp.MACHINES)


def verdict(program: bytes, number: int, arch: int, *arguments: int) -> str | int:
    """Run a filter on one system call: "allow", "kill", or the errno that it fails with."""
    padded = (*arguments, *(0,) * 6)[:6]
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, arch, 0, *padded)
    at, accumulator = 0, 0
    while True:
        code, jump_true, jump_false, operand = struct.unpack_from("=HBBI", program, 8 * at)
        at += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, operand)
        elif code == 0x06:
            known = {0x7FFF0000: ALLOW, 0x80000000: KILL}
            return known.get(operand) or operand & 0xFFFF
        else:
            holds = {
                0x15: accumulator == operand,
                0x35: accumulator >= operand,
                0x45: bool(accumulator & operand),
            }[code]
            at += jump_true if holds else jump_false


@machines
def test_every_denied_call_is_denied_and_needed_ones_pass(machine: str) -> None:
    program, column = seccomp.build_filter(machine), seccomp.MACHINES.index(machine)
    denied = seccomp.denied_calls(machine)
    assert set(denied) >= DENIED_IN_SPIRIT
    for number in range(470):
        expected: str | int = errno.EPERM if number in denied.values() else ALLOW
        if number == 435:
            expected = errno.ENOSYS
        if number in (SOCKET[column], SOCKETPAIR[column]):
            expected = errno.EAFNOSUPPORT  # family 0
        if number == ONLY_WITH["ioprio_set"][0][column]:
            expected = errno.EPERM  # 0 is no kind of target
        assert verdict(program, number, ARCH[machine]) == expected, number
    for name, numbers in NEEDED.items():
        assert verdict(program, numbers[column], ARCH[machine], 1, 2, 3) == ALLOW, name


@machines
def test_calls_that_depend_on_their_arguments(machine: str) -> None:
    program, column = seccomp.build_filter(machine), seccomp.MACHINES.index(machine)

    def ask(numbers: tuple[int, int], *arguments: int) -> str | int:
        return verdict(program, numbers[column], ARCH[machine], *arguments)

    vfork, thread = 0x4111, 0x3D0F00
    assert ask(CLONE, vfork) == ask(CLONE, thread) == ALLOW
    for new in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert ask(CLONE, new | 17) == errno.EPERM
    for numbers in (SOCKET, SOCKETPAIR):
        assert ask(numbers, 1, 1) == ALLOW
        # only the low half of the argument is the family, for the kernel and so for the filter
        assert ask(numbers, 1 << 32 | 1, 1) == ALLOW
        for family in (2, 10, 16, 17, 38, 40, 44, 1 << 32 | 2):
            assert ask(numbers, family, 1) == errno.EAFNOSUPPORT
    for request in (0x5412, 0x541C, 0xFFFFFFFF_00005412):
        assert ask(IOCTL, 0, request) == errno.EPERM
    for numbers, own in ONLY_WITH.values():
        passing = [value or 0 for value in own]
        assert ask(numbers, *passing) == ask(numbers, *passing, 7, 7) == ALLOW
        for place, value in enumerate(own):
            other = [*passing[:place], passing[place] + 2, *passing[place + 1 :]]
            assert ask(numbers, *other) == (ALLOW if value is None else errno.EPERM)
    assert ask(IOCTL, 0x5412, 0x5401) == ask(IOCTL, 0, 0x5413) == ALLOW


@machines
def test_foreign_numbers_are_not_taken_for_ours(machine: str) -> None:
    program = seccomp.build_filter(machine)
    for arch in set(ARCH.values()) - {ARCH[machine]}:
        assert verdict(program, 0, arch) == KILL
    assert verdict(program, 470, ARCH[machine]) == errno.ENOSYS
    assert verdict(program, 0x3FFFFFFF, ARCH[machine]) == errno.ENOSYS
    for number in (0x40000000, 0x40000000 | 101, -1):  # x32 and nonsense
        assert verdict(program, number, ARCH[machine]) == errno.EPERM


@machines
def test_the_program_is_well_formed(machine: str) -> None:
    program = seccomp.build_filter(machine)
    instructions = list(struct.iter_unpack("=HBBI", program))
    assert len(instructions) < 4096  # the system's limit
    for at, (code, jump_true, jump_false, _) in enumerate(instructions):
        if code in (0x15, 0x35, 0x45):
            assert at + 1 + max(jump_true, jump_false) < len(instructions)
    assert instructions[-1][0] == 0x06


def test_numbers_agree_with_the_headers_of_this_system() -> None:
    headers = {
        "x86_64": [Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")],
        "aarch64": [Path("/usr/include/asm-generic/unistd.h")],
    }
    seen = 0
    for machine, paths in headers.items():
        denied = seccomp.denied_calls(machine)
        column = seccomp.MACHINES.index(machine)
        named = denied | {name: numbers[column] for name, numbers in NEEDED.items()}
        for path in filter(Path.exists, paths):
            for line in path.read_text().splitlines():
                words = line.replace("__NR3264_", "__NR_").split()
                if words[:1] == ["#define"] and len(words) == 3 and words[2].isdigit():
                    name = words[1].removeprefix("__NR_")
                    if name in named:
                        assert named[name] == int(words[2]), (machine, name)
                        seen += 1
    if not seen:
        pytest.skip("no Linux headers installed")


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in seccomp.MACHINES,
    reason="needs Linux on a machine with a table",
)
def test_the_installed_filter_holds_and_ordinary_work_goes_on() -> None:
    script = """
import ctypes, errno, json, os, socket, subprocess, sys, threading
from benchside_kernels import seccomp
seccomp.install()
libc = ctypes.CDLL(None, use_errno=True)
def refused(number):
    return errno.errorcode[ctypes.get_errno()] if libc.syscall(number, 0, 0, 0, 0, 0) < 0 else None
threading.Thread(target=int).start()
try: socket.socket()
except OSError as error: family = error.errno
pair = socket.socketpair()
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "unshare": refused(seccomp.denied_calls(os.uname().machine)["unshare"]),
    "clone3": refused(435), "family": errno.errorcode[family],
    "echo": subprocess.check_output(["/bin/sh", "-c", "echo $((6 * 7))"]).decode(),
    "in_child": subprocess.check_output(["grep", "Seccomp:", "/proc/self/status"]).decode()[-2],
    "new_privileges": status["NoNewPrivs"].strip(),
}))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(done.stdout) == {
        "unshare": "EPERM", "clone3": "ENOSYS", "family": "EAFNOSUPPORT", "echo": "42\n",
        "in_child": "2", "new_privileges": "1",
    }  # fmt: skip


def test_a_machine_without_a_table_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(KeyError):
        seccomp.install()
