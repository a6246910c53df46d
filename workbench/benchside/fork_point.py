"""`ForkPoint`: where an episode in play is copied, so that others go on from the same cell.

The stem is played by one episode, as any other; once it has taken so many turns, its kernel is
copied for each of the others, which begin with its turns. Where it does not come so far, or cannot
be copied, they are played from the start: nobody waits for what does not come.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import NamedTuple

from benchside.policy import Turn
from benchside_kernels.errors import KernelStartError
from benchside_kernels.session import KernelSession


class Copy(NamedTuple):
    """A kernel of its own, and what has been done in it."""

    session: KernelSession
    turns: tuple[Turn, ...]


class ForkPoint:
    """One stem and those that wait for a copy of it; whoever made it closes it.

    Args:
        stem: id of the episode that plays it.
        turn: turns that are shared.
        copies: episodes that wait.
    """

    def __init__(self, stem: str, turn: int, copies: int):
        self.stem, self.turn = stem, turn
        self._wanted = copies
        self._made: list[Copy] = []
        self._settled = asyncio.Event()

    async def reached(self, session: KernelSession, turns: tuple[Turn, ...]) -> bool:
        """Copy the stem's kernel; True where somebody has got a copy. Only the first time counts.

        Called by the rollout of the stem, between two turns.
        """
        if self._settled.is_set():
            return False
        try:
            with contextlib.suppress(KernelStartError):  # the others are played from the start
                for _ in range(self._wanted):
                    self._made.append(Copy(await session.fork(), turns))
            return bool(self._made)
        finally:
            self._settled.set()

    def passed(self) -> None:
        """Say that the stem has ended; called by its rollout, whatever became of it."""
        self._settled.set()

    async def copy(self) -> Copy | None:
        """Wait for the stem, whose own time is limited; None: play from the start."""
        await self._settled.wait()
        return self._made.pop() if self._made else None

    async def aclose(self) -> None:
        """End the copies that nobody has taken."""
        self._settled.set()
        while self._made:
            await self._made.pop().session.close()
