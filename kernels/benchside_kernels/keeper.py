"""The keeper: a small process that owns one kernel process and everything it starts.

It starts the kernel confined (own session, resource limits, Landlock), reports its end at once,
delivers interrupts, and when told, or when the host process is gone (its pipe closes, also after
`kill -9`), it kills the kernel with all descendants, daemonised ones included, and deletes the
session folder. Standard library only: it must start in milliseconds.

Protocol, one JSON object a line. In: the `KeeperSpec`, then {"do": "interrupt" | "kill"}, and after
the kernel's end {"do": "release"}. Out: {"pid": int}, then {"exit": ExitReport} once.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import shutil
import signal
import sys
import time
from typing import Any, NoReturn, TypedDict

from benchside_kernels import landlock

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER, _PR_CAPBSET_DROP = 1, 36, 24
KILL_DEADLINE_S = 5.0


class KeeperSpec(TypedDict):
    """What to start and how.

    Args:
        rules: Landlock rules (path, right); None leaves the file system open.
        limits: resource limit name (such as "RLIMIT_DATA") → value, in the limit's own unit.
        folder: session folder, deleted if the host goes away without a release.
    """

    argv: list[str]
    env: dict[str, str]
    cwd: str
    log: str
    rules: list[tuple[str, str]] | None
    limits: dict[str, int]
    folder: str


class ExitReport(TypedDict):
    """How the kernel process ended: `code` as in subprocess (negative: signal number)."""

    code: int
    cpu_s: float
    peak_mib: float
    leftover: int


def main() -> None:
    """Run one kernel as its keeper until it ends or the host goes away."""
    spec: KeeperSpec = json.loads(sys.stdin.buffer.readline())
    libc = ctypes.CDLL(None)
    if sys.platform == "linux":
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    kernel = os.fork()
    if kernel == 0:
        _become_kernel(spec, libc)
    _say({"pid": kernel})
    code, usage = _watch(kernel, wake_read)
    report = ExitReport(
        code=code,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_mib=usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2),
        leftover=_kill_descendants(),
    )
    _say({"exit": report})
    if not _released():
        shutil.rmtree(spec["folder"], ignore_errors=True)


def _become_kernel(spec: KeeperSpec, libc: ctypes.CDLL) -> NoReturn:
    """In the forked child: confine, then exec; a failure is logged and ends the child."""
    log = os.open(spec["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        os.chdir(spec["cwd"])
        for name, value in spec["limits"].items():
            _limit(getattr(resource, name), value)
        if sys.platform == "linux":
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            with open("/proc/self/oom_score_adj", "w") as file:
                file.write("900")
            _drop_capabilities(libc)
        if spec["rules"] is not None:
            landlock.restrict_self(spec["rules"])
        os.execve(spec["argv"][0], spec["argv"], spec["env"])
    except BaseException as error:
        os.write(2, f"kernel not started: {type(error).__name__}: {error}\n".encode())
        os._exit(127)


def _limit(which: int, value: int) -> None:
    """Set soft and hard limit, but never above the hard limit that holds already."""
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, value))


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """Root loses its powers: with an empty bounding set, exec gives none back. Others have none."""
    if os.geteuid() != 0:
        return
    for capability in range(64):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    # with uid 0 the effective set survives until exec, which masks it with the bounding set


def _watch(kernel: int, wake: int) -> tuple[int, resource.struct_rusage]:
    """Serve the host until the kernel ends; reap orphans meanwhile. Host gone: kill."""
    host_gone = False
    pending = b""
    while True:
        reads = [wake] if host_gone else [wake, 0]
        ready, _, _ = select.select(reads, [], [], 1.0)
        if wake in ready:
            os.read(wake, 4096)
        if 0 in ready:
            chunk = os.read(0, 65536)
            if not chunk:
                host_gone = True
                os.kill(kernel, signal.SIGKILL)
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                _obey(kernel, json.loads(line)["do"])
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid == kernel:
                return os.waitstatus_to_exitcode(status), usage


def _obey(kernel: int, order: str) -> None:
    with contextlib.suppress(ProcessLookupError):  # it may just have ended; wait4 will tell
        if order == "interrupt":
            os.killpg(kernel, signal.SIGINT)  # the group: `!sleep 100` has to end as well
        elif order == "kill":
            os.kill(kernel, signal.SIGKILL)


def _kill_descendants() -> int:
    """Kill and reap all that the kernel left behind; orphans are our children. Return how many."""
    killed = 0
    deadline = time.monotonic() + KILL_DEADLINE_S
    while time.monotonic() < deadline:
        found = _descendants(os.getpid())
        for pid in found:  # stop all first, so that none forks while others die
            _signal(pid, signal.SIGSTOP)
        for pid in found:
            _signal(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                killed += 1
        except ChildProcessError:
            return killed
        time.sleep(0.005)
    return killed


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _descendants(root: int) -> list[int]:
    """All processes below `root`, from /proc; empty where there is no /proc."""
    children: dict[int, list[int]] = {}
    if not os.path.isdir("/proc/self"):
        return []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(name))
    found, queue = [], [root]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def _released() -> bool:
    """Wait until the host closes the pipe; return whether it released us before."""
    said = b""
    while chunk := os.read(0, 65536):
        said += chunk
    return b'"release"' in said


def _say(message: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):  # the host is gone: there is nobody to tell
        os.write(1, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main()
