"""What the root has in memory lies in a file that kernels map, and each kernel changes its own."""

import errno
import mmap
import os
import subprocess
import sys
import threading

import pytest

from benchside_kernels import memory_file
from benchside_kernels.forked import ForkedKernels
from benchside_kernels.memory_file import can_move_memory, seal
from benchside_kernels.sandbox import sandbox_problem
from benchside_kernels.session import KernelSession

MOVED_AND_USED = """
import mmap, os
from benchside_kernels.memory_file import move_memory

def anonymous():
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("Anonymous:")).split()[1])

names = {number: str(number) for number in range(100_000)}
numbers, block = list(range(300_000)), bytearray(b"a" * (8 << 20))
before = anonymous()
moved = move_memory()
if moved:
    assert moved > before // 2 and anonymous() < before // 4, (before, moved, anonymous())
    file = next(line for line in open("/proc/self/maps") if "benchside-memory" in line)
    assert "rw-p" in file or "r--p" in file, file
assert all(names[number] == str(number) for number in range(100_000))
child = os.fork()
block[0] = ord("c" if child == 0 else "p")
names[0] = numbers[0] = block[:2]
numbers.extend(range(300_000, 900_000))  # realloc: grows where it is, or moves
block += b"z" * (32 << 20)
assert sum(numbers[1:]) == sum(range(1, 900_000)) and block.count(b"z") == 32 << 20
assert names[0] == (b"ca" if child == 0 else b"pa") and names[99_999] == "99999"
del names, numbers
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0 and block[:2] == b"pa"
print(moved)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory files exist on Linux only")
def test_moved_memory_is_what_it_was_and_each_process_changes_its_own() -> None:
    command = [sys.executable, "-c", MOVED_AND_USED]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (done.stdout != "0\n") == can_move_memory()


REACH = """
import os
line = next(line for line in open("/proc/self/maps") if "benchside-memory" in line)
span, rights = line.split()[:2]
try:
    os.open(f"/proc/self/map_files/{span}", os.O_RDWR)
except OSError as error:
    print(rights, "kept out:", type(error).__name__)
"""


async def test_kernels_begin_in_the_file_and_cannot_write_to_it() -> None:
    if problem := sandbox_problem():
        pytest.skip(f"no sandbox here: {problem}")
    if not can_move_memory():
        pytest.skip("this system's C library cannot move memory")
    async with ForkedKernels(stock=0) as maker, KernelSession(maker=maker) as session:
        (output,) = (await session.run(REACH)).outputs
        assert output["text"] in {
            f"{rights} kept out: {error}\n"
            for rights in ("rw-p", "r--p")
            for error in ("PermissionError", "FileNotFoundError")
        }


def test_a_file_that_is_busy_is_sealed_as_soon_as_it_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = os.memfd_create("busy", os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(file, mmap.PAGESIZE)
        held = mmap.mmap(file, mmap.PAGESIZE)  # shared and writable: Linux says EBUSY
        with monkeypatch.context() as patched:
            patched.setattr(memory_file, "SEALING_S", 0.05)
            with pytest.raises(OSError) as refused:
                seal(file)
        assert refused.value.errno == errno.EBUSY
        threading.Timer(0.2, held.close).start()
        seal(file)
        with pytest.raises(PermissionError):
            os.pwrite(file, b"x", 0)
    finally:
        os.close(file)
