"""Reads what a run folder holds beside its episodes: findings, replays, counterfactuals."""

from __future__ import annotations

from benchside.defect import Defect
from benchside.episode import Episode
from benchside.errors import StoreError
from benchside.failures.command import FILE as FAILURES
from benchside.failures.finding import FailureRow
from benchside.replay.row import FILE as REPLAY_ROWS
from benchside.replay.row import ReplayRow
from benchside.report.related import Related
from benchside.row_file import readable_rows
from benchside.runs import sound_rows
from benchside.store import COUNTERFACTUALS, REPLAYS, RunFolder


def read_related(run: RunFolder, defects: list[Defect]) -> Related:
    """Read what stands beside a run's episodes, as far as it is sound."""
    failures = readable_rows(run.path / FAILURES, FailureRow, defects)
    replayed = readable_rows(run.path / REPLAY_ROWS, ReplayRow, defects)
    return Related(
        {row.episode_id: row.findings for row in failures},
        {
            row.episode_id: _told(row) for row in replayed
            if (run.path / REPLAYS / f"{row.episode_id}.ipynb").is_file()
        },
        _children(RunFolder(run.path / COUNTERFACTUALS), defects),
    )  # fmt: skip


def _told(row: ReplayRow) -> str:
    first = row.first_divergence
    if first is None:
        return "its replay gave the same"
    return f"its replay gives something else, first in {first.cell_id} ({first.nature})"


def _children(folder: RunFolder, defects: list[Defect]) -> dict[str, tuple[Episode, ...]]:
    found: dict[str, tuple[Episode, ...]] = {}
    for row in sound_rows(folder, defects):
        try:
            episode = folder.episode(row.episode_id)
        except StoreError as error:
            defects.append(Defect("unreadable transcript", str(error.where), error.what))
            continue
        if episode.parent is not None:
            found[episode.parent] = (*found.get(episode.parent, ()), episode)
    return found
