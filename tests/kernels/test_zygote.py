"""Zygotes that die and serve many: typed results, and nothing is left."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from benchside_kernels.forked import ForkedKernels
from benchside_kernels.sandbox import sandbox_problem
from benchside_kernels.session import KernelSession


@pytest.fixture(autouse=True)
def _sandbox() -> None:
    if problem := sandbox_problem():
        pytest.skip(f"no sandbox here: {problem}")


def zygotes() -> list[int]:
    """Children of this process: the outer processes of zygotes."""
    task = Path(f"/proc/self/task/{os.getpid()}/children")
    return [int(pid) for pid in task.read_text().split()]


def below(root: int) -> list[int]:
    """All processes below `root`."""
    task = Path(f"/proc/{root}/task/{root}/children")
    children = [int(pid) for pid in task.read_text().split()] if task.exists() else []
    return [*children, *(pid for child in children for pid in below(child))]


def is_running(pid: int) -> bool:
    """False also for a zombie, which waits for the system's own init."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


async def test_kill_9_of_a_zygote_ends_its_kernels_and_the_next_start_makes_a_new_one() -> None:
    before = set(zygotes())
    async with ForkedKernels() as maker:  # noqa: SIM117
        async with KernelSession(maker=maker) as busy, KernelSession(maker=maker) as idle:
            (zygote,) = set(zygotes()) - before
            inside = below(zygote)
            running = asyncio.create_task(busy.run("while True: pass", timeout_s=60))
            await asyncio.sleep(0.3)
            os.kill(zygote, signal.SIGKILL)
            killed = time.monotonic()
            assert (await running).status == "dead"
            assert time.monotonic() - killed < 5
            assert (await idle.run("1")).status == "dead"
            await idle.restart()
            assert (await idle.run("6 * 7")).outputs[0]["data"]["text/plain"] == "42"
            assert not [pid for pid in inside if is_running(pid)]


async def test_kill_9_of_a_kernels_init_is_a_death_of_that_kernel_only() -> None:
    before = set(zygotes())
    async with ForkedKernels() as maker:  # noqa: SIM117
        async with KernelSession(maker=maker) as first:
            (zygote,) = set(zygotes()) - before
            present = set(below(zygote))
            async with KernelSession(maker=maker) as second:
                init = min(set(below(zygote)) - present)
                os.kill(init, signal.SIGKILL)
                assert (await second.run("import time; time.sleep(60)")).status == "dead"
            assert (await first.run("1")).status == "ok"


async def test_many_starts_leave_nothing() -> None:
    async with ForkedKernels() as maker:
        async with KernelSession(maker=maker) as session:
            assert (await session.run("1")).status == "ok"

        async def counts() -> tuple[int, int, str]:
            await asyncio.sleep(0.2)
            descriptors = len(list(Path("/proc/self/fd").iterdir()))
            return descriptors, len(below(os.getpid())), Path("/proc/self/mounts").read_text()

        before = await counts()
        for _ in range(300):
            async with KernelSession(maker=maker):
                pass
        assert await counts() == before
