"""Isolation of a kernel: which level this machine can give, what it covers and what it does not.

    process   own session and process tree, scrubbed environment, resource limits, no capabilities;
              with Landlock also: files outside an allow-list, TCP, foreign processes and signals

The level is detected, never assumed: what cannot be had is named in `Isolation.gaps` and recorded
with each episode.
"""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchside_kernels import cgroup, landlock, sandbox_probe

Level = Literal["process", "sandbox"]

_READABLE = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/proc",
    "/etc/alternatives", "/etc/fonts", "/etc/group", "/etc/hosts", "/etc/ld.so.cache",
    "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/mime.types",
    "/etc/nsswitch.conf", "/etc/os-release", "/etc/passwd", "/etc/timezone",
    "/sys/devices/system/cpu", "/sys/devices/system/node", "/sys/fs/cgroup",
    "/dev/random", "/dev/urandom", "/dev/zero",
)  # fmt: skip
_WRITABLE = ("/dev/full", "/dev/null", "/dev/ptmx", "/dev/pts", "/dev/shm", "/dev/tty")

_PASSED_ON = ("LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PATH", "TZ", "VIRTUAL_ENV")


@dataclass(frozen=True, slots=True)
class Isolation:
    """What holds for the kernels of this machine.

    Args:
        level: the level that is in force.
        landlock_abi: 0 where the kernel has no Landlock.
        gaps: what is not covered, each a phrase for people.
        kernels: how they are made, a phrase for people.
    """

    level: Level
    landlock_abi: int
    gaps: tuple[str, ...]
    kernels: str = "forked from warm zygotes"

    @property
    def hides_files(self) -> bool:
        """True where a kernel cannot read answer keys and other episodes."""
        return self.landlock_abi >= 1


@functools.cache
def detect() -> Isolation:
    """Return the strongest isolation that this machine gives to an ordinary process."""
    version = landlock.abi()
    gaps = []
    if version < 1:
        gaps.append(
            "files: a kernel can read whatever its user can, answer keys included "
            "(Landlock needs Linux 5.13 or later with it enabled)"
        )
    if version < 4:
        gaps.append("network: TCP is open (Landlock needs Linux 6.7 or later for this)")
    if version < 6:
        gaps.append("signals: a kernel can signal other processes of its user (Linux 6.12)")
    gaps += [
        "UDP and named Unix sockets",
        "mode and times of files that its user owns",
        "number of processes",
        "disk quota",
        "shared memory of other kernels (/dev/shm)",
    ]
    return Isolation("process", version, tuple(gaps))


@functools.cache
def sandbox_problem() -> str | None:
    """Why there is no sandbox on this machine, with the cure; None where there is one."""
    return sandbox_probe.probe()


@functools.cache
def group_problem() -> str | None:
    """Why the kernels together have no limit of memory here, with the cure; None: they have."""
    return cgroup.cgroup_problem()


def detect_sandbox() -> Isolation:
    """Return what the `sandbox` level covers here; only where `sandbox_problem` is None."""
    if group_problem() is None:
        memory = "shares of single kernels in the memory that all of them may use together"
    else:
        memory = "memory shared between processes and the sum over processes"
    return Isolation("sandbox", landlock.abi(), (memory, "CPU time"))


@functools.cache
def python_folders() -> tuple[Path, ...]:
    """What a kernel reads to run at all: the system's libraries, Python, and this package."""
    roots = [Path(name) for name in ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")]
    roots += [Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parent]
    return tuple(dict.fromkeys(root.resolve() for root in roots if root.exists()))


def file_rules(
    *, readable: Sequence[Path], writable: Sequence[Path], hidden: Sequence[Path]
) -> list[tuple[str, str]] | None:
    """Return the Landlock rules of a kernel, or None where there is no Landlock.

    Args:
        readable, writable: what this kernel needs besides Python and the system's libraries.
        hidden: paths that stay unreadable even below a readable one.
    """
    if not detect().hides_files:
        return None
    secret = frozenset(path.resolve() for path in hidden)
    base = _python_rules(secret)
    own = [rule for path in readable for rule in landlock.readable_rules(path.resolve(), secret)]
    return [*base, *own, *((str(path.resolve()), landlock.WRITE) for path in writable)]


@functools.lru_cache(maxsize=64)
def _python_rules(hidden: frozenset[Path]) -> tuple[tuple[str, str], ...]:
    roots = [Path(name) for name in _READABLE]
    roots += [Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent]
    roots.append(Path(__file__).parent)
    resolved = dict.fromkeys(root.resolve() for root in roots if root.exists())
    rules = [rule for root in resolved for rule in landlock.readable_rules(root, hidden)]
    # an editable install is found by listing the folder above the package
    rules.append((str(Path(__file__).resolve().parent.parent), landlock.LIST))
    shared = [Path(name).resolve() for name in _WRITABLE if Path(name).exists()]
    safe = [path for path in shared if not any(path in secret.parents for secret in hidden)]
    return (*rules, *((str(path), landlock.WRITE) for path in safe))


def packaged_files(patterns: Sequence[str]) -> list[Path]:
    """Resolve glob patterns relative to site-packages, as `KernelImage.hidden` holds them."""
    roots = {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}
    return [path for root in roots for pattern in patterns for path in sorted(root.glob(pattern))]


def scrubbed_environment(work: Path, tmp: Path, extra: dict[str, str]) -> dict[str, str]:
    """Return a kernel's whole environment: no variable of the host but a short list gets in.

    Threads are limited to one per library, so that episodes side by side do not fight for cores.
    """
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    threads = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM")
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        **passed,
        **{f"{name}_NUM_THREADS": "1" for name in threads},
        "HOME": str(work),
        "TMPDIR": str(tmp),
        "IPYTHONDIR": str(tmp / "ipython"),
        "JUPYTER_CONFIG_DIR": str(tmp / "jupyter"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        **extra,
    }


def resource_limits(memory_mib: int) -> dict[str, int]:
    """Return resource limits by name: memory gives MemoryError, a runaway file stops at 2 GiB."""
    limits = {"RLIMIT_CORE": 0, "RLIMIT_FSIZE": 2 * 1024**3, "RLIMIT_NOFILE": 4096}
    if sys.platform == "linux":
        limits["RLIMIT_DATA"] = memory_mib * 1024**2
    return limits
