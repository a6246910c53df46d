"""The memory file: what the root has in memory moves into a file, which its forks map privately.

To fork a kernel, the system copies an entry of the page table for every page of private memory, and
undoes them all when the kernel ends: for 45,000 pages and 800 pieces of memory a third of what a
kernel costs. Pages of a file it looks up when they are touched. One that is written to is copied
first, as after any fork; and nobody can write to the file, which is sealed.

What is written to memory while it moves would be lost, and Python writes all the time. So C's
`makecontext` chains the two calls for a piece, one that copies it and one that maps the copy over
it, with no Python in between. Pieces that are thinly used stay where they are, also since
allocators which give pages back to the system and expect zeros afterwards (jemalloc, mimalloc) have
such; what C's own and Python's do needs no zeros.

Source: makecontext(3), memfd_create(2), mmap(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MACHINE = "x86_64"
"""Where glibc hands 64 bits of each argument on to a context, and this was tried."""
LEAST_USED = 0.25
SEALING_S = 10.0

_ADDRESSES = 1 << 48
_MOST_BYTES = 1 << 30  # of one piece: longer writes may be cut
_ROOM = 1 << 16  # bytes for a context (4.5 KiB at most) or its stack
_MAP_FIXED = 0x10
_RIGHTS = {"rw-p": mmap.PROT_READ | mmap.PROT_WRITE, "r--p": mmap.PROT_READ}

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A range of addresses with the same rights; `size` in bytes."""

    start: int
    size: int
    rights: int


def can_move_memory() -> bool:
    """Return whether this machine and its C library have what it takes; musl has not."""
    return platform.machine() == MACHINE and hasattr(_libc, "makecontext")


def move_memory() -> int:
    """Move this single-threaded process's private memory into a file; return how many bytes.

    Where the system cannot, or has no memory left, it stays as it is: kernels then cost more,
    nothing else.
    """
    if not can_move_memory():
        return 0
    file = os.memfd_create("benchside-memory", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    moved = 0
    with mmap.mmap(-1, 5 * _ROOM) as room:  # shared, so that it is no piece itself
        rooms = ctypes.addressof(ctypes.c_char.from_buffer(room))
        with contextlib.suppress(OSError):
            # by addresses: a piece that grows later (mremap) then finds no end of the file
            os.ftruncate(file, _ADDRESSES)
            for piece in _pieces():
                os.posix_fallocate(file, piece.start, piece.size)  # the copy then cannot fail
                _move(piece, file, rooms)
                moved += piece.size
    seal(file)
    os.close(file)
    return moved


def seal(file: int) -> None:
    """Keep a file in memory from being changed by anybody, for good.

    Linux refuses while somebody has hold of a page, which may be itself for a moment: waited for.
    """
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    last = time.monotonic() + SEALING_S
    while True:
        try:
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, seals)
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > last:
                raise
            time.sleep(0.01)
        else:
            return


def _pieces() -> Iterator[_Piece]:
    """Private memory: the heap, what is mapped without a file, what of libraries was written to."""
    for line in Path("/proc/self/smaps").read_text().splitlines():
        word, *others = line.split(maxsplit=5)
        if not word.endswith(":"):
            start, end = (int(address, 16) for address in word.split("-"))
            rights, name = others[0], others[4] if len(others) > 4 else ""
        elif word == "Anonymous:" and rights in _RIGHTS and (name[:1] != "[" or name == "[heap]"):
            used = int(others[0]) * 1024
            if used > LEAST_USED * (end - start) and end - start <= _MOST_BYTES:
                yield _Piece(start, end - start, _RIGHTS[rights])


def _move(piece: _Piece, file: int, rooms: int) -> None:
    """Copy a piece into the file, map the file over it, come back."""
    back, copy, cover, *stacks = range(rooms, rooms + 5 * _ROOM, _ROOM)
    flags = mmap.MAP_PRIVATE | _MAP_FIXED
    _make_context(copy, cover, stacks[0], "pwrite", file, piece.start, piece.size, piece.start)
    _make_context(
        cover, back, stacks[1], "mmap", piece.start, piece.size, piece.rights, flags, file,
        piece.start,
    )  # fmt: skip
    if _libc.swapcontext(ctypes.c_void_p(back), ctypes.c_void_p(copy)):
        raise OSError(ctypes.get_errno(), "no context")


def _make_context(at: int, then: int, stack: int, function: str, *arguments: int) -> None:
    """Make a context at an address that calls a function and goes on with another context."""
    _libc.getcontext(ctypes.c_void_p(at))
    # of ucontext_t: flags, link, then stack_t: address, flags, size
    fields = (ctypes.c_uint64 * 5).from_address(at)
    fields[1], fields[2], fields[4] = then, stack, _ROOM
    called = ctypes.cast(getattr(_libc, function), ctypes.c_void_p)
    words = map(ctypes.c_uint64, arguments)
    _libc.makecontext(ctypes.c_void_p(at), called, len(arguments), *words)
