"""The file tree of a sandbox: what kernels can see at all, built once by the zygote.

    host paths      named by the caller, bound read-only at their own place, with the host's links
    /kernel         work, tmp and shm: mount points that each kernel covers with its own
    /proc           a link to /.live/proc, /tmp, /var/tmp and /dev/shm links into /kernel
    /.host          binds of host paths below /tmp and the like, where kernels have a folder of
                    their own: a link in that folder makes them appear at their own place
    /dev, /etc      five harmless devices; accounts, name tables, fonts, time zone

/proc and the folders in /kernel are mount points *below* a folder, because a Landlock rule on a
folder covers what is mounted below it, never what is mounted on it: one ruleset, made once, then
holds for every kernel's own mounts. Files in /etc are copies, as each mount costs every kernel's
start some microseconds. The root itself is read-only.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchside_kernels import linux
from benchside_kernels.linux import SandboxError

WORK, TMP, SHM = "/kernel/work", "/kernel/tmp", "/kernel/shm"
PROC = "/.live/proc"
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

_HOST = "/.host"
_PRIVATE = {"/tmp": TMP, "/var/tmp": TMP, "/dev/shm": SHM}
_DEVICE_LINKS = {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}
_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/sys/devices/system")
_ETC = ("alternatives", "fonts", "ld.so.cache", "localtime", "mime.types", "os-release", "timezone")
_RESERVED = {"/", "/dev", "/etc", "/sys", "/var", *_PRIVATE}
_RESERVED_TREES = ("/kernel/", "/proc/", "/.live/", f"{_HOST}/")
_MAX_LINKS = 40
_QUIET = linux.MS_NOSUID | linux.MS_NODEV

_Found = tuple[str | None, dict[str, str]]
"""A host path's real place (None where absent) and the links on the way: name → target."""


def enter_tree(readable: Sequence[str], accounts: Iterable[tuple[int, int]]) -> dict[str, str]:
    """Build the tree in this process's own mount namespace and make it the root.

    Args:
        readable: absolute host paths; those that are absent are skipped.
        accounts: user and group numbers that /etc knows as `agent`.

    Returns:
        The links that each kernel's own folders need: name such as `tmp/x` → target.

    Raises:
        SandboxError: a path cannot be readable in a sandbox.
        OSError: the system refused.
    """
    linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
    found = {path: _resolve(path) for path in dict.fromkeys((*readable, *_SYSTEM))}
    copies = _copy_mounts({place for place, _ in found.values() if place is not None})
    root = next(name for name in ("/tmp", "/mnt", "/run", "/usr") if Path(name).is_dir())
    linux.mount("tmpfs", root, "tmpfs", _QUIET, "mode=755,size=64m,nr_inodes=64k")
    _make_folders(root)
    _make_etc(Path(root, "etc"), accounts)
    for place, copy in copies.items():
        _attach(copy, Path(root + _inside(place)))
        os.close(copy)
    _make_devices(root)
    linux.mount("tmpfs", root + TMP, "tmpfs", _QUIET, "mode=1777,size=256m")
    links = _make_links(root, found)
    linux.mount("proc", root + PROC, "proc", _QUIET | linux.MS_NOEXEC)
    linux.change_root(root)
    linux.make_read_only("/")
    return links


def renew(accounts: Iterable[tuple[int, int]], links: Mapping[str, str]) -> None:
    """Give a process that has left the tree's mount namespace for a copy what must not be shared.

    That is /proc, the zygote's own temporary folder and, where they differ, the accounts.

    Args:
        accounts: as for `enter_tree`; empty: those that it was given.
        links: what `enter_tree` returned.
    """
    linux.mount("tmpfs", TMP, "tmpfs", _QUIET, "mode=1777,size=256m")
    linux.mount("proc", PROC, "proc", _QUIET | linux.MS_NOEXEC)
    place_links("/kernel", links)
    for name, text in _account_files(accounts).items():
        Path(TMP, name).write_text(text)
        linux.mount(f"{TMP}/{name}", f"/etc/{name}", None, linux.MS_BIND)
        linux.make_read_only(f"/etc/{name}")


def place_links(folder: str, links: Mapping[str, str]) -> None:
    """Make the links that `enter_tree` returned in a kernel's own `folder`."""
    for name, target in links.items():
        link = f"{folder}/{name}"
        with contextlib.suppress(FileExistsError):  # it lies below another link
            try:
                os.symlink(target, link)  # noqa: PTH211 (pathlib would double the whole step)
            except FileNotFoundError:
                os.makedirs(link.rpartition("/")[0])  # noqa: PTH103
                os.symlink(target, link)  # noqa: PTH211


def _resolve(path: str) -> _Found:
    """Follow a host path by hand, to learn the links on the way.

    Raises:
        SandboxError: it is relative, or leads to a folder that the sandbox has its own of.
    """
    if not path.startswith("/") or os.path.normpath(path) != path:
        raise SandboxError(f"readable path {path!r} is not absolute and normal")
    links: dict[str, str] = {}
    done, todo = Path("/"), list(Path(path).parts[1:])
    while todo:
        here = done / todo.pop(0)
        if not here.is_symlink():
            done = here
            continue
        links[str(here)] = str(here.readlink())
        if len(links) > _MAX_LINKS:
            raise SandboxError(f"{path} has too many levels of links")
        target = Path(os.path.normpath(done / links[str(here)]))
        done, todo = Path("/"), [*target.parts[1:], *todo]
    if str(done) in _RESERVED or f"{done}/".startswith(_RESERVED_TREES):
        raise SandboxError(f"{path} cannot be readable in a sandbox, which has its own {done}")
    return (str(done) if done.exists() else None), links


def _copy_mounts(places: set[str]) -> dict[str, int]:
    """Return place → descriptor of a copy of its mounts, before the new root covers any of them.

    A place below another comes with it.
    """
    copies: dict[str, int] = {}
    for place in sorted(places):
        if not any(str(above) in copies for above in Path(place).parents):
            copies[place] = linux.clone_read_only(place)
    return copies


def _attach(copy: int, target: Path) -> None:
    if stat.S_ISDIR(os.fstat(copy).st_mode):
        target.mkdir(parents=True, exist_ok=True)
    elif not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    linux.attach(copy, str(target))


def _inside(place: str) -> str:
    """Where a host place is in the tree: set aside, if kernels have their own folder there."""
    return _HOST + place if _is_private(place) else place


def _is_private(name: str) -> bool:
    return any(name.startswith(f"{folder}/") for folder in _PRIVATE)


def _make_folders(root: str) -> None:
    for folder in ("/dev", "/var", PROC, _HOST, WORK, TMP, SHM):
        Path(root + folder).mkdir(parents=True, exist_ok=True)
    for name, target in {"/proc": PROC, **_PRIVATE}.items():
        Path(root + name).symlink_to(target)


def _make_links(root: str, found: Mapping[str, _Found]) -> dict[str, str]:
    """Repeat the host's links. Return those inside the folders that kernels have for themselves."""
    own: dict[str, str] = {}
    for path, (place, links) in found.items():
        if place is None:
            continue
        for folder, private in _PRIVATE.items():
            for name in (path, place):
                if name.startswith(f"{folder}/"):
                    own[Path(private).name + name.removeprefix(folder)] = _inside(place)
        for name, target in links.items():
            if not _is_private(name):
                _place_link(Path(root + name), target)
    # what lies in a folder comes with the folder
    own = {
        name: target for name, target in sorted(own.items())
        if not any(str(above) in own for above in Path(name).parents)
    }  # fmt: skip
    place_links(f"{root}/kernel", own)
    return own


def _place_link(link: Path, target: str) -> None:
    if not os.path.lexists(link):
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)


def _make_devices(root: str) -> None:
    for device in DEVICES:
        Path(root + device).touch()
        linux.mount(device, root + device, None, linux.MS_BIND)
    for name, end in _DEVICE_LINKS.items():
        Path(root, "dev", name).symlink_to(f"/proc/self/fd{end}")


def _make_etc(etc: Path, accounts: Iterable[tuple[int, int]]) -> None:
    etc.mkdir()
    for name in _ETC:
        source = Path("/etc", name)
        if source.is_symlink():
            (etc / name).symlink_to(source.readlink())
        elif source.is_dir():
            shutil.copytree(source, etc / name, symlinks=True)
        elif source.exists():
            shutil.copyfile(source, etc / name)
    for name, text in _account_files(accounts).items():
        (etc / name).write_text(text)
    (etc / "hosts").write_text("127.0.0.1 localhost kernel\n::1 localhost\n")
    (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n")


def _account_files(accounts: Iterable[tuple[int, int]]) -> dict[str, str]:
    """The text of /etc/passwd and /etc/group; none where there are no accounts."""
    users, groups = ["root:x:0:0:root:/:/bin/sh\n"], ["root:x:0:\n"]
    for uid, gid in accounts:
        users.append(f"agent:x:{uid}:{gid}:agent:{WORK}:/bin/sh\n")
        groups.append(f"agent:x:{gid}:\n")
    return {"passwd": "".join(users), "group": "".join(groups)} if len(users) > 1 else {}
