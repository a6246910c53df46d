"""`Engine`: where episodes run. The batch gives it one episode at a time and writes all rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from benchside.episode import Provenance
from benchside.policy import Turn
from benchside.rollout import Assignment
from benchside.store import EpisodeRow
from benchside_kernels.sandbox import Isolation

EngineName = Literal["local", "ray"]


class NodeLostError(Exception):
    """The node that an episode was running on is gone; nothing of the episode is left there."""


class Engine(Protocol):
    """Runs episodes."""

    @property
    def isolation(self) -> Isolation:
        """Of its kernels; the weakest where nodes differ."""
        ...

    @property
    def provenance(self) -> Provenance:
        """What `run.json` says of a run that starts now."""
        ...

    @property
    def slots(self) -> int:
        """How many episodes it runs at a time unless told otherwise."""
        ...

    async def play(self, assignment: Assignment, on_turn: Callable[[Turn], None]) -> EpisodeRow:
        """Called by the batch, once per attempt, for many episodes at once.

        Returns:
            The episode's row; its transcript is in the run folder, the row is for the caller to
            append.

        Raises:
            NodeLostError: the episode is to be run again.
            StoreError: the transcript cannot be written.
        """
        ...
