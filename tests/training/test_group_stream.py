"""Playing ahead of training: how far, in which order, and that a policy learns from it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from benchside_training.group_stream import GroupStream
from benchside_training.local.engine import Engine
from benchside_training.local.sampling import Sampling
from benchside_training.policy_update import UpdateConfig, update
from benchside_training.ratios import fresh
from benchside_training.trajectory import Trajectory, trajectories
from tests.training.tiny import episode_of, sampled, tiny_llama


async def test_a_batch_begins_when_it_is_at_most_so_far_ahead() -> None:
    begun: list[int] = []
    ends = {number: asyncio.Event() for number in range(4)}

    async def play(batch: int, done: Callable[[int], None]) -> None:
        begun.append(batch)
        await ends[batch].wait()
        done(batch)

    async with GroupStream(play, 0, 4, max_staleness=1) as stream:
        ends[1].set()  # the first batch is slow: the second is taken before it
        assert await stream.take(1) == [1]
        assert begun == [0, 1]
        await stream.updated(1)
        for end in ends.values():
            end.set()
        assert await stream.take(2) == [0, 2]
        assert begun == [0, 1, 2]
        await stream.updated(2)
        assert await stream.take(1) == [3]
        with pytest.raises(RuntimeError, match="all batches"):
            await stream.take(1)


async def test_what_playing_fails_with_ends_the_training() -> None:
    stopped = asyncio.Event()

    async def play(batch: int, done: Callable[[int], None]) -> None:
        if batch == 1:
            raise ValueError("no kernels")
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with GroupStream(play, 0, 2, max_staleness=1) as stream:
        with pytest.raises(ValueError, match="no kernels"):
            await stream.take(1)
    assert stopped.is_set()


async def test_a_policy_learns_from_what_was_played_ahead() -> None:
    """The reward is for the token 7 of 16; the generator is a copy, one update behind at most."""
    trained, copy = tiny_llama(vocabulary=16), tiny_llama(vocabulary=16)
    optimiser = torch.optim.AdamW(trained.parameters(), lr=1e-2, weight_decay=0.0)
    engine = Engine(copy, max_batch=32, kv_memory_mib=8)
    updates = 25

    async def play(batch: int, done: Callable[[list[Trajectory]], None]) -> None:
        async def one(number: int) -> Trajectory:
            drawn = await engine.sample([3], Sampling(1, frozenset(), seed=100 * batch + number))
            tokens = sampled([3], drawn.ids)
            tokens = tokens.model_copy(
                update={"logprobs": tuple(drawn.logprobs), "versions": tuple(drawn.versions)}
            )
            (found,) = trajectories(episode_of([tokens], float(drawn.ids[0] == 7), sample=number))
            return found

        done(await asyncio.gather(*(one(number) for number in range(32))))

    rates, ages, shares = [], set(), []
    try:
        async with GroupStream(play, 0, updates, max_staleness=1) as stream:
            for version in range(updates):
                (group,) = await stream.take(1)
                rates.append(sum(one.reward or 0.0 for one in group) / 32)
                learned, stale = fresh(group, version, 1)
                assert stale == 0
                ages |= {version - one.oldest_version for one in learned}
                report = await asyncio.to_thread(
                    update, trained, optimiser, learned, UpdateConfig(), version=version
                )
                if report.effective_share is not None:
                    shares.append(report.effective_share)
                await engine.update(trained.state_dict(), version + 1)
                await stream.updated(version + 1)
    finally:
        await engine.aclose()
    assert ages == {0, 1}
    assert rates[0] < 0.3
    assert sum(rates[-3:]) / 3 > 0.8
    assert min(shares) < 0.9999  # old tokens weigh by their ratios
    assert max(shares) <= 1 + 1e-6


def test_what_is_too_old_is_left_out_and_counted() -> None:
    young, old = (
        trajectories(episode_of([sampled([3], [7], version=version)]))[0] for version in (4, 2)
    )
    mixed = replace(young, versions=torch.where(young.versions >= 0, 3, -1))
    assert fresh([young, old, mixed], 4, 1) == ([young, mixed], 1)
