"""`GroupStream`: groups of episodes, played ahead of training, at most so many updates ahead.

Batch k is begun once k - `max_staleness` updates are done. With 0 that is after each update, and
training and playing take turns. Otherwise both go on at a time: groups are taken as they are
finished, whichever batch they are of, so that one slow episode holds nothing up; what its tokens
are then too old for is the trainer's to leave out (see `ratios.fresh`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

Group = TypeVar("Group")


class GroupStream(Generic[Group]):
    """Plays batches in the background while the context lasts.

    Args:
        play: plays the batch of a number, and hands each group over as it is finished.
        first, last: the batches, without the last.
        max_staleness: in updates.
    """

    def __init__(
        self,
        play: Callable[[int, Callable[[Group], None]], Awaitable[None]],
        first: int,
        last: int,
        max_staleness: int,
    ):
        self._play, self._batches, self._ahead = play, range(first, last), max_staleness
        self._version = first
        self._updated = asyncio.Condition()
        self._finished: asyncio.Queue[Group] = asyncio.Queue()
        self._playing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin with the first batch."""
        self._playing = asyncio.create_task(self._produce())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._playing is not None
        self._playing.cancel()
        await asyncio.gather(self._playing, return_exceptions=True)

    async def take(self, count: int) -> list[Group]:
        """Wait for so many groups and return them.

        Raises:
            Exception: what playing has failed with.
        """
        assert self._playing is not None
        found: list[Group] = []
        while len(found) < count:
            if self._finished.empty():
                waiting = asyncio.create_task(self._finished.get())
                await asyncio.wait({waiting, self._playing}, return_when=asyncio.FIRST_COMPLETED)
                if not waiting.done():
                    waiting.cancel()
                    self._playing.result()
                    raise RuntimeError(f"all batches are played, and {count} groups were asked for")
                found.append(waiting.result())
            else:
                found.append(self._finished.get_nowait())
        return found

    async def updated(self, version: int) -> None:
        """Say that so many updates are done."""
        async with self._updated:
            self._version = version
            self._updated.notify_all()

    async def _produce(self) -> None:
        try:
            async with asyncio.TaskGroup() as batches:
                for batch in self._batches:
                    async with self._updated:
                        await self._updated.wait_for(self._may_begin(batch))
                    batches.create_task(self._played(batch))
        except* Exception as errors:
            raise errors.exceptions[0] from None  # the others were cancelled for its sake

    def _may_begin(self, batch: int) -> Callable[[], bool]:
        return lambda: self._version >= batch - self._ahead

    async def _played(self, batch: int) -> None:
        await self._play(batch, self._finished.put_nowait)
