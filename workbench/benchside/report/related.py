"""What a run folder holds beside its episodes: findings, replays that differ, counterfactuals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchside.defect import Defect
from benchside.episode import Episode
from benchside.errors import StoreError
from benchside.failures.command import FILE as FAILURES
from benchside.failures.finding import FailureRow, Finding
from benchside.replay.command import FOLDER as REPLAYS
from benchside.replay.edit import FOLDER as COUNTERFACTUALS
from benchside.replay.row import FILE as REPLAY_ROWS
from benchside.replay.row import ReplayRow
from benchside.row_file import readable_rows
from benchside.runs import sound_rows
from benchside.store import RunFolder


@dataclass(frozen=True, slots=True)
class Related:
    """All by episode id.

    Args:
        findings: of failure analysis; empty where it has found nothing, missing where it was not
            asked.
        replays: the first divergence in words, of episodes with a notebook of their replay.
        children: counterfactuals, each with what it is.
    """

    findings: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)
    replays: Mapping[str, str] = field(default_factory=dict)
    children: Mapping[str, tuple[Episode, ...]] = field(default_factory=dict)


def related(run: RunFolder, defects: list[Defect]) -> Related:
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
