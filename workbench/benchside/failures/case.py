"""`Case`: an episode with all that the rules may look at, gold and tables included."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from benchside.episode import Episode
from benchside.failures.facts import Facts, facts_of
from benchside.failures.lineage import Step, lineage
from benchside.protocol import observation_text
from benchside.task import AnswerKey
from benchside_kernels.cell import CellResult

MAX_SEEN_CHARS = 200_000


@dataclass(frozen=True)
class Case:
    """One episode under analysis; it stays on the host.

    Args:
        key: gold; None where it could not be loaded.
        load_tables: gives the DataFrames that the kernel started with.
    """

    episode: Episode
    key: AnswerKey | None = None
    load_tables: Callable[[], Mapping[str, object]] = dict

    @cached_property
    def cells(self) -> list[CellResult]:
        """The cells that ran, in order."""
        return [turn.result for turn in self.episode.turns if turn.result is not None]

    @cached_property
    def submitting(self) -> CellResult | None:
        """The cell that submitted."""
        return next((cell for cell in self.cells if cell.submission is not None), None)

    @cached_property
    def before(self) -> list[CellResult]:
        """The cells before the submission; all where there is none."""
        return [cell for cell in self.cells if cell is not self.submitting]

    @property
    def wrong(self) -> bool:
        """True where something was submitted and failed."""
        return self.episode.outcome == "wrong"

    @cached_property
    def slice(self) -> list[Step]:
        """What the submission follows from."""
        return lineage(self.cells)

    @cached_property
    def facts(self) -> Facts:
        """What the analysis does."""
        return facts_of(self.slice)

    @cached_property
    def gold_facts(self) -> Facts | None:
        """What the reference does; None where it is not known or only states the gold."""
        if self.key is None or not self.key.solution or self.key.vacuous:
            return None
        done = [
            CellResult(f"solution-{place}", source, "ok", (), 0.0)
            for place, source in enumerate(self.key.solution)
        ]
        return facts_of(lineage(done))

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The preloaded DataFrames by name."""
        loaded = self.load_tables()
        return {name: table for name, table in loaded.items() if isinstance(table, pd.DataFrame)}

    def seen(self, cell: CellResult) -> str:
        """What a policy was shown of a cell."""
        return observation_text(cell, MAX_SEEN_CHARS)

    @property
    def submitted(self) -> Any:
        """The submitted value as JSON; None where there is none."""
        return None if self.episode.submission is None else self.episode.submission.value
