"""`LocalEngine`: episodes in this process, their kernels on this machine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from nbformat import ValidationError as NotebookError

from benchside.episode import Episode, Failure, Provenance
from benchside.isolation import hidden_paths
from benchside.policy import Turn
from benchside.provenance import provenance
from benchside.rollout import Assignment, Keep, run_episode
from benchside.store import EpisodeRow, RunFolder
from benchside.task_kernel import WARM_MODULES
from benchside_kernels.backend import KernelMaker
from benchside_kernels.makers import open_kernels
from benchside_kernels.sandbox import Isolation, Level


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """Runs episodes here.

    Args:
        hidden: paths that kernels must not read, beside answer keys and Benchside's own code.
        store: writes an episode's transcript and returns its row.
        keep: leave kernels alive, frozen, for `benchside attach`; None: they end.
    """

    maker: KernelMaker
    provenance: Provenance
    hidden: tuple[Path, ...]
    store: Callable[[Episode], EpisodeRow]
    keep: Keep | None = None

    @property
    def isolation(self) -> Isolation:
        """Of this machine's kernels."""
        return self.maker.isolation

    @property
    def slots(self) -> int:
        """One for each core."""
        return os.cpu_count() or 1

    async def play(self, assignment: Assignment, on_turn: Callable[[Turn], None]) -> EpisodeRow:
        """Run one episode and write its transcript."""
        suite = assignment.suite
        episode = await run_episode(
            assignment,
            self.provenance.model_copy(update={"suite_build": suite.record.build}),
            maker=self.maker,
            hidden=(*hidden_paths(suite.home), *self.hidden),
            on_turn=on_turn,
            keep=self.keep,
        )
        return await asyncio.to_thread(self._stored, episode)

    def _stored(self, episode: Episode) -> EpisodeRow:
        """Store an episode; one that cannot be written is kept without its turns, as unscored."""
        try:
            return self.store(episode)
        except (ValueError, TypeError, RecursionError, NotebookError) as error:
            failure = Failure(kind=type(error).__name__, message=f"transcript: {str(error)[:500]}")
            bare = episode.model_copy(
                update={
                    "turns": (), "submission": None, "grade": None, "failure": failure,
                    "outcome": "infrastructure_error", "end_reason": "failed",
                    "terminated": False, "truncated": False,
                }
            )  # fmt: skip
            return self.store(bare)


@asynccontextmanager
async def open_local(
    folder: RunFolder, level: Level | None, seed: int, keep_s: float | None
) -> AsyncIterator[LocalEngine]:
    """Own an engine of this machine that writes to a run folder.

    Args:
        level: of the kernels' isolation; None for the strongest.
        keep_s: how long kernels outlive their episodes; None: not at all.
    """
    keep = None if keep_s is None else Keep(folder.path, keep_s)
    async with open_kernels(level, WARM_MODULES) as maker:
        origin = provenance(seed, maker.isolation)
        yield LocalEngine(maker, origin, (folder.path.resolve(),), folder.put, keep)
