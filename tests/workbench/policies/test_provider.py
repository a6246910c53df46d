"""The circuit breaker before a model server, and the episode's clock while a policy waits."""

from __future__ import annotations

import asyncio
import time

import pytest

from benchside.asker import Asker, Clock, asker, asking
from benchside.errors import ServerDownError
from benchside.policies.fault import Fault, status_fault
from benchside.policies.options import PolicyOptions
from benchside.policies.provider import TRIPPING, Provider

FAULT = Fault("unreachable", "no answer")


def provider(**options: float) -> Provider:
    made = Provider("http://h")
    made.tighten(PolicyOptions.model_validate({"backoff_s": 0.0, **options}))
    return made


async def test_after_faults_in_a_row_one_probe_at_a_time_is_let_through() -> None:
    server = provider(max_downtime_s=1000)
    for _ in range(TRIPPING):
        assert not server.tripped
        server.answered(FAULT)
    assert server.tripped
    most = 0

    async def ask(fault: Fault | None) -> None:
        nonlocal most
        async with server.slot():
            most = max(most, server.open)
            await asyncio.sleep(0)
            server.answered(fault)

    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(ask(FAULT))
    assert most == 1
    await ask(None)
    assert not server.tripped and server.faults == 0


async def test_a_server_that_refuses_works() -> None:
    server = provider()
    for _ in range(3 * TRIPPING):
        server.answered(status_fault(400, {}, "temperature"))
        server.answered(status_fault(500, {}, "context length"))
    assert not server.tripped


async def test_a_server_that_stays_down_is_given_up_for_all_who_wait() -> None:
    server = provider(max_downtime_s=0.0, max_concurrent_requests=1)
    for _ in range(TRIPPING - 1):
        server.answered(FAULT)

    async def ask() -> None:
        async with server.slot():
            await asyncio.sleep(0)
            server.answered(FAULT)

    first = asyncio.create_task(ask())
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(ask()) for _ in range(3)]
    done = await asyncio.gather(first, *waiting, return_exceptions=True)
    assert done[0] is None
    assert all(isinstance(error, ServerDownError) for error in done[1:])
    with pytest.raises(ServerDownError, match="no answer"):
        async with server.slot():
            pass


async def test_an_episodes_time_stands_still_while_its_policy_waits() -> None:
    clock = Clock(time.monotonic() + 0.2)
    async with asyncio.timeout(clock.left_s) as limit:
        with clock.limiting(limit), asking(Asker(0, clock)):

            async def wait() -> None:
                with asker().clock.stopped():
                    await asyncio.sleep(0.4)

            before = clock.deadline
            await asyncio.gather(wait(), wait())  # side by side: they stop it once
            assert 0.4 <= clock.deadline - before < 0.75
            clock.give_back(time.monotonic() - 5)
            assert clock.left_s > 4
    assert asker().clock.left_s == float("inf")


async def test_faults_side_by_side_give_their_time_back_once() -> None:
    now = time.monotonic()
    clock = Clock(now)
    with clock.stopped():
        for seconds in (3, 3, 2, 7, 5):  # of calls that began so long ago
            clock.give_back(now - seconds)
    assert 7 <= clock.deadline - now <= time.monotonic() - now + 7
    before, later = clock.deadline, time.monotonic()
    clock.give_back(later)
    assert clock.deadline - before <= time.monotonic() - later


async def test_time_that_a_policy_takes_itself_runs_out() -> None:
    clock = Clock(time.monotonic() + 0.05)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(clock.left_s) as limit:
            with clock.limiting(limit), asking(Asker(0, clock)):
                with asker().clock.stopped():
                    await asyncio.sleep(0.1)
                await asyncio.sleep(30)
