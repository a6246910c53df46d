"""How a node tells the driver of turns: what costs something at once, the rest with its row.

A message between a node and the driver costs both some milliseconds of CPU. A short episode of a
policy that costs nothing takes one in all: its turns come with its row. A turn that has used
tokens is told at once, since the budget may end with it, and none is kept back for long, since
people follow a run by its turns.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from benchside.errors import BenchsideError
from benchside.policy import Turn
from benchside.store import EpisodeRow

LINGER_S = 1.0
"""No turn is kept back for longer."""


@dataclass(frozen=True, slots=True)
class Told:
    """Some turns of the episode with this lease; `first` were told before them."""

    lease: str
    first: int
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Played:
    """An episode that has ended: its row, and the turns that were not told yet."""

    rest: Told
    row: EpisodeRow


class Outbox:
    """On a node: the turns of its episodes that the driver has not heard of."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Turn]] = {}
        self._told: defaultdict[str, int] = defaultdict(int)
        self._due = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, lease: str, turn: Turn) -> None:
        """Put a turn in that is complete."""
        self._waiting.setdefault(lease, []).append(turn)
        usage = turn.action.usage
        if usage.input_tokens or usage.output_tokens or usage.cost_usd:
            self._due.set()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LINGER_S, self._due.set)

    async def take(self) -> list[Told]:
        """Wait until turns are due; take out all that there are."""
        while True:
            await self._due.wait()
            self._rest()
            if self._waiting:
                return [self._out(lease) for lease in list(self._waiting)]

    def end(self, lease: str) -> Told:
        """Take out what there is of an episode that has ended, and forget it."""
        rest = self._out(lease)
        del self._told[lease]
        if not self._waiting:
            self._rest()
        return rest

    def _out(self, lease: str) -> Told:
        turns = tuple(self._waiting.pop(lease, ()))
        first = self._told[lease]
        self._told[lease] += len(turns)
        return Told(lease, first, turns)

    def _rest(self) -> None:
        """Nothing is due until the next turn."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Inbox:
    """On the driver: one episode's turns, heard in their order, each once, however they come.

    Args:
        on_turn: called with each; what it raises is the episode's end, and raised by `whole`.
    """

    def __init__(self, on_turn: Callable[[Turn], None]) -> None:
        self._on_turn = on_turn
        self._heard = 0
        self._early: dict[int, tuple[Turn, ...]] = {}
        self._more = asyncio.Event()
        self.refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def hear(self, told: Told) -> None:
        """Pass turns on once all that were told before them have come."""
        self._early[told.first] = told.turns
        try:
            while self._heard in self._early and not self.refused.done():
                for turn in self._early.pop(self._heard):
                    self._heard += 1
                    self._on_turn(turn)
        except BenchsideError as error:
            self.refused.set_exception(error)
            self.refused.exception()  # it may be that nobody listens any more
        self._more.set()

    async def whole(self, rest: Told) -> None:
        """Hear the rest of an ended episode, and of what is on its way before it."""
        self.hear(rest)
        while self._early and not self.refused.done():
            self._more.clear()
            await self._more.wait()
        if self.refused.done():
            self.refused.result()
