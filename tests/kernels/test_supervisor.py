"""Supervisors, zygotes and kernels that are killed: typed results, and nothing is left."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from benchside_kernels.forked import ForkedKernels
from benchside_kernels.sandbox import sandbox_problem
from benchside_kernels.session import KernelSession
from tests.kernels.processes import below, children, is_running, newest_child


@pytest.fixture(autouse=True)
def _sandbox() -> None:
    if problem := sandbox_problem():
        pytest.skip(f"no sandbox here: {problem}")


@pytest.mark.parametrize("depth", range(3), ids=["supervisor", "outer", "zygote"])
async def test_kill_9_above_kernels_ends_them_and_the_next_start_makes_new_ones(depth: int) -> None:
    async with ForkedKernels() as maker:  # noqa: SIM117
        async with KernelSession(maker=maker) as busy, KernelSession(maker=maker) as idle:
            victim = newest_child()
            inside = below(victim)
            for _ in range(depth):
                (victim,) = children(victim)
            running = asyncio.create_task(busy.run("while True: pass", timeout_s=60))
            await asyncio.sleep(0.3)
            os.kill(victim, signal.SIGKILL)
            killed = time.monotonic()
            assert (await running).status == "dead"
            assert time.monotonic() - killed < 5
            assert (await idle.run("1")).status == "dead"
            await idle.restart()
            assert (await idle.run("6 * 7")).outputs[0]["data"]["text/plain"] == "42"
            alive = {newest_child(), *below(newest_child())}
            assert not [pid for pid in inside if is_running(pid) and pid not in alive]


async def test_kill_9_of_a_kernels_init_is_a_death_of_that_kernel_only() -> None:
    async with ForkedKernels(stock=0) as maker:  # noqa: SIM117
        async with KernelSession(maker=maker) as first:
            present = set(below(newest_child()))
            async with KernelSession(maker=maker) as second:
                init = min(set(below(newest_child())) - present)
                os.kill(init, signal.SIGKILL)
                assert (await second.run("import time; time.sleep(60)")).status == "dead"
            assert (await first.run("1")).status == "ok"


async def test_many_starts_leave_nothing() -> None:
    async with ForkedKernels() as maker:
        async with KernelSession(maker=maker) as session:
            assert (await session.run("1")).status == "ok"

        async def counts() -> tuple[int, int, str]:
            await asyncio.sleep(0.5)
            descriptors = len(list(Path("/proc/self/fd").iterdir()))
            return descriptors, len(below(os.getpid())), Path("/proc/self/mounts").read_text()

        before = await counts()
        for _ in range(300):
            async with KernelSession(maker=maker):
                pass
        assert await counts() == before
