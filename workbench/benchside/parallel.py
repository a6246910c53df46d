"""Work side by side, so many at a time; the first error cancels the rest and is raised."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")


async def side_by_side(
    items: Iterable[Item], work: Callable[[Item], Awaitable[object]], parallel: int
) -> None:
    """Do `work` for each item, in order of their starts, at most `parallel` at a time.

    An item is taken when there is a place for it: an iterator may well end early.
    """
    queue = iter(items)

    async def worker() -> None:
        for item in queue:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(parallel):
                group.create_task(worker())
    except* Exception as errors:
        raise errors.exceptions[0] from None  # siblings were cancelled for the first one's sake
