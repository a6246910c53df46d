"""Chaos: kill -9 of supervisor, zygotes, inits and kernels at random points under eight sessions.

    python benchmarks/chaos_kernels.py --rounds 100 --seed 7

Each session runs episodes of cells and a fork. After a kill every cell must end as `ok` or `dead`
and every start as a kernel or a KernelStartError; a session that nothing hit must give the right
values; fresh kernels must start; and five seconds after the round's end only what was there before
may run. Rounds in which the runner itself is killed run in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

from process_tree import below, children, inits, is_running, named, supervisors, zygotes

from benchside_kernels.errors import KernelStartError, SessionClosedError
from benchside_kernels.forked import ForkedKernels
from benchside_kernels.sandbox import sandbox_problem
from benchside_kernels.session import KernelSession

SESSIONS = 8
KILLS = 3
DEADLINE_S = 5.0
VICTIMS = ("supervisor", "root", "zygote", "init", "kernel", "runner")


def victims(kind: str) -> list[int]:
    """All processes of a kind that run now."""
    below_supervisor = {
        "supervisor": lambda one: [one],
        "root": lambda one: named(one, "bs-root"),
        "zygote": zygotes,
        "init": inits,
        "kernel": lambda one: [pid for zygote in zygotes(one) for pid in children(zygote)],
    }
    return [pid for one in supervisors() for pid in below_supervisor[kind](one)]


async def episode(maker: ForkedKernels, draw: random.Random, outcomes: Counter[str]) -> None:
    """One episode; anything but a typed end is raised."""
    mark = draw.randrange(10**9)
    try:
        async with KernelSession(maker=maker, seed=mark) as session:
            if not await runs(session, f"x = {mark}", outcomes):
                return
            for _ in range(draw.randrange(1, 5)):
                pause = draw.random() / 20
                if not await runs(session, f"import time; time.sleep({pause}); x", outcomes, mark):
                    return
            async with await session.fork() as copy:
                await runs(copy, "x", outcomes, mark)
    except KernelStartError:
        outcomes["start refused"] += 1
    except SessionClosedError:
        outcomes["fork of a dead kernel"] += 1


async def runs(
    session: KernelSession, source: str, outcomes: Counter[str], value: int | None = None
) -> bool:
    """Run a cell; False if its kernel was dead."""
    result = await asyncio.wait_for(session.run(source, timeout_s=20), 30)
    outcomes[result.status] += 1
    if result.status == "ok" and value is not None:
        assert result.outputs[-1]["data"]["text/plain"] == str(value), result
    assert result.status in ("ok", "dead"), result
    return result.status == "ok"


async def round_of_kills(maker: ForkedKernels, draw: random.Random, outcomes: Counter[str]) -> str:
    """Kill some processes while sessions run; return what was killed."""
    end = asyncio.Event()

    async def worker(seed: int) -> None:
        own = random.Random(seed)
        while not end.is_set():
            await episode(maker, own, outcomes)

    workers = [asyncio.create_task(worker(draw.randrange(10**9))) for _ in range(SESSIONS)]
    killed = []
    if draw.randrange(4):  # else the first kill may hit a supervisor or zygote that is coming up
        await asyncio.sleep(2.0)
    for _ in range(KILLS):
        await asyncio.sleep(draw.random())
        kind = draw.choice(VICTIMS[:5])
        if found := victims(kind):
            with contextlib.suppress(ProcessLookupError):
                os.kill(draw.choice(found), signal.SIGKILL)
                killed.append(kind)
    end.set()
    await asyncio.wait_for(asyncio.gather(*workers), 90)
    async with KernelSession(maker=maker) as fresh:
        assert await runs(fresh, "6 * 7", outcomes, 42)
    return " ".join(killed)


async def gone(pids: list[int]) -> None:
    """Fail unless all these have ended in time."""
    deadline = time.monotonic() + DEADLINE_S
    while left := [pid for pid in pids if is_running(pid)]:
        assert time.monotonic() < deadline, f"still there after {DEADLINE_S:g} s: {left}"
        await asyncio.sleep(0.05)


async def one_round(seed: int, outcomes: Counter[str]) -> str:
    """One round with a supervisor of its own."""
    draw = random.Random(seed)
    if draw.randrange(6) == 0:
        return await kill_a_runner(draw)
    async with ForkedKernels(stock=draw.randrange(3)) as maker:
        killed = await round_of_kills(maker, draw, outcomes)
        inside = below(os.getpid())
    await gone(inside)
    return killed


async def kill_a_runner(draw: random.Random) -> str:
    """Run sessions in another process and kill that."""
    command = [sys.executable, __file__, "--victim", str(draw.randrange(10**9))]
    runner = subprocess.Popen(command)  # noqa: ASYNC220 (returns at once)
    await asyncio.sleep(1 + 3 * draw.random())
    inside = below(runner.pid)
    runner.kill()
    runner.wait()
    await gone(inside)
    return "runner"


async def be_victim(seed: int) -> None:
    """Run sessions until killed."""
    async with ForkedKernels() as maker:

        async def worker(number: int) -> None:
            own = random.Random(number)
            while True:
                await episode(maker, own, Counter())

        await asyncio.gather(*(worker(seed + number) for number in range(SESSIONS)))


async def main(rounds: int, seed: int) -> None:
    outcomes, kills = Counter[str](), Counter[str]()
    for number in range(rounds):
        started = time.monotonic()
        killed = await one_round(seed + number, outcomes)
        kills.update(killed.split())
        print(
            f"round {seed + number}: killed {killed}, {time.monotonic() - started:.1f} s",
            flush=True,
        )
    print(f"{rounds} rounds, {SESSIONS} sessions at once; killed {dict(kills)}")
    print(f"what became of cells, starts and forks: {dict(outcomes)}; nothing was left running")


if __name__ == "__main__":
    if problem := sandbox_problem():
        sys.exit(f"no sandbox here: {problem}")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--victim", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.victim is not None:
        asyncio.run(be_victim(arguments.victim))
    else:
        asyncio.run(main(arguments.rounds, arguments.seed))
