"""`Board`: what the jobs of a pipeline are at, live, read from the folders that they write."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table

from benchside.curves import METRICS, MetricsRow
from benchside.row_file import readable_rows
from benchside.store import EpisodeRow, RunFolder

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 30  # characters of a curve


class Board:
    """A table with a row per job: its training, its curve, what was measured on held-out tasks.

    Args:
        out: folder of the pipeline.
        jobs: where each trains (patterns of folders), and its runs on held-out tasks.
    """

    def __init__(self, out: Path, jobs: Mapping[str, tuple[str, dict[str, str]]]):
        self._out, self._jobs = out, jobs

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = Table("job", "training", "step", "reward or loss", "", "solved, held out")
        for name, (trained, runs) in self._jobs.items():
            solved = ", ".join(
                f"{method} {share:.0%}"
                for method, run in runs.items()
                if (share := self._solved(run)) is not None
            )
            table.add_row(name, *self._training(trained), solved)
        yield table

    def _training(self, pattern: str) -> tuple[str, str, str, str]:
        logs = sorted(self._out.glob(f"{pattern}/{METRICS}"), key=lambda log: log.stat().st_mtime)
        if not logs:
            return "", "", "", ""
        rows = list(readable_rows(logs[-1], MetricsRow, []))
        rewards = [row.reward_mean for row in rows if row.reward_mean is not None]
        values = rewards or [row.loss for row in rows if row.loss is not None]
        drawn = (curve(values), f"{values[-1]:.3g}") if values else ("", "")
        return logs[-1].parent.name, str(len(rows)), *drawn

    def _solved(self, run: str) -> float | None:
        outcomes = [
            row.outcome
            for row in readable_rows(
                RunFolder(self._out / "played" / run).rows_path, EpisodeRow, []
            )
        ]
        return outcomes.count("solved") / len(outcomes) if outcomes else None


def curve(values: list[float]) -> str:
    """Return a line of bars, the means of `WIDTH` stretches of the values or fewer."""
    ends = [len(values) * part // WIDTH for part in range(WIDTH + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(ends) if b > a]
    low, high = min(means), max(means)
    return "".join(
        BARS[round((value - low) / (high - low) * (len(BARS) - 1)) if high > low else 0]
        for value in means
    )
