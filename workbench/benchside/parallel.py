"""Work side by side, so many at a time; the first error cancels the rest and is raised."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


async def side_by_side(
    items: Sequence[Item], work: Callable[[Item], Awaitable[None]], parallel: int
) -> None:
    """Do `work` for each item, in order of their starts, at most `parallel` at a time."""
    queue = iter(items)

    async def worker() -> None:
        for item in queue:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(parallel, len(items))):
                group.create_task(worker())
    except* Exception as errors:
        raise errors.exceptions[0] from None  # siblings were cancelled for the first one's sake
