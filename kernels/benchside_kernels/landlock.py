"""Landlock by ctypes: a process confines itself and all its children to a list of paths.

What it covers depends on the kernel's ABI: files (1), renames between folders (2), truncation (3),
TCP (4), ioctl on devices (5), abstract sockets and signals to other processes (6). From ABI 1 on a
confined process can neither trace nor read the memory or environment of a process outside. It does
*not* cover UDP, named Unix sockets, `stat`, or resource use.
Source: docs.kernel.org/userspace-api/landlock.html. Standard library only: the keeper imports it.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_PR_SET_NO_NEW_PRIVS = 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_FS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # number of access bits that each ABI knows
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_NET_TCP = 0b11  # bind, connect
_SCOPES = 0b11  # abstract Unix sockets, signals
_CONNECT_TCP = 0b10
_RULE_PATH, _RULE_PORT = 1, 2
_FILE_BITS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV

LIST, READ, WRITE = "list", "read", "write"
"""Rights of a rule: list a folder tree's names; read and execute; read, execute and change."""


class _RulesetAttr(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneathAttr(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"  # packed; Python 3.14 wants it said
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


class _NetPortAttr(ctypes.Structure):
    _fields_ = (("allowed_access", ctypes.c_uint64), ("port", ctypes.c_uint64))


def abi() -> int:
    """Return the kernel's Landlock ABI, 0 where there is none."""
    if sys.platform != "linux":
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    return max(int(libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)), 0)


def restrict_self(rules: Iterable[tuple[str, str]], ports: Iterable[int] = ()) -> None:
    """Confine this process to `rules`, pairs of path and right. Paths that are absent are skipped.

    Args:
        ports: TCP ports that it may connect to, as far as other domains of it do; see `abi`.

    Raises:
        OSError: the kernel refused; the process is then not confined.
    """
    ruleset = make_ruleset(rules, ports)
    try:
        restrict_self_to(ruleset)
    finally:
        os.close(ruleset)


def make_ruleset(rules: Iterable[tuple[str, str]], ports: Iterable[int] = ()) -> int:
    """Return a descriptor of a set of rules, for many processes to confine themselves by.

    A rule holds for the file or folder that its path names *now*. What is mounted there later is
    another folder and not covered, whereas what is mounted on a folder below it is.

    Raises:
        OSError: the kernel has no Landlock or refused.
    """
    version = abi()
    libc = ctypes.CDLL(None, use_errno=True)
    handled = (1 << _FS_BY_ABI[min(version, max(_FS_BY_ABI))]) - 1 if version else 0
    attr = _RulesetAttr(handled, _NET_TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = int(libc.syscall(_CREATE_RULESET, ctypes.byref(attr), ctypes.c_size_t(size), 0))
    _check(ruleset, "landlock_create_ruleset")
    rights = {
        LIST: _READ_DIR,
        READ: (_EXECUTE | _READ_FILE | _READ_DIR) & handled,
        WRITE: handled,
    }
    try:
        for path, right in rules:
            _add_rule(libc, ruleset, path, rights[right])
        for port in ports if attr.handled_access_net else ():
            rule = ctypes.byref(_NetPortAttr(_CONNECT_TCP, port))
            _check(libc.syscall(_ADD_RULE, ruleset, _RULE_PORT, rule, 0), f"rule for port {port}")
    except BaseException:
        os.close(ruleset)
        raise
    return ruleset


def restrict_self_to(ruleset: int) -> None:
    """Confine this thread, and all that it will start, to the rules behind a descriptor.

    Raises:
        OSError: the kernel refused; the process is then not confined.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _check(libc.syscall(_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")


def _add_rule(libc: ctypes.CDLL, ruleset: int, path: str, access: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            access &= _FILE_BITS
        if access:
            rule = _PathBeneathAttr(access, fd)
            _check(
                libc.syscall(_ADD_RULE, ruleset, _RULE_PATH, ctypes.byref(rule), 0),
                f"rule for {path}",
            )
    finally:
        os.close(fd)


def _check(result: int, what: str) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def readable_rules(path: Path, hidden: frozenset[Path]) -> list[tuple[str, str]]:
    """Return rules that make the tree at `path` readable except for `hidden` paths below it.

    Landlock can only allow, and allows whole trees: a folder above a hidden path is listed, and its
    children are allowed one by one. All paths must be resolved.
    """
    above = frozenset(folder for secret in hidden for folder in secret.parents)
    return _readable_rules(path, hidden, above)


def _readable_rules(
    path: Path, hidden: frozenset[Path], above: frozenset[Path]
) -> list[tuple[str, str]]:
    """As `readable_rules`; `above` are all folders above hidden paths."""
    if path in hidden:
        return []
    if path not in above:
        return [(str(path), READ)]
    rules = [(str(path), LIST)]
    for child in sorted(path.iterdir()):
        # a link is allowed at its target, which may lie elsewhere: rules hold for real files
        target = child.resolve() if child.is_symlink() else child
        if target not in (path, *path.parents):
            rules += _readable_rules(target, hidden, above)
    return rules
