"""Writes the pages of many episodes, on all cores; little is imported here, for each is a start."""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from benchside.errors import StoreError
from benchside.policy import Turn
from benchside.report.page import episode_page
from benchside.report.related import Related
from benchside.store import EpisodeRow
from benchside.transcript import read_transcript

PAGES_PER_JOB = 50
EPISODES = "episodes"


@dataclass(frozen=True, slots=True)
class Page:
    """What became of one episode's page: the task's prompt, or why there is no page.

    Args:
        actions: how its turns ended, counted.
    """

    row: EpisodeRow
    prompt: str
    problem: str | None
    actions: Counter[str] = field(default_factory=Counter)


def write_pages(run: Path, to: Path, rows: Sequence[EpisodeRow], known: Related) -> Iterator[Page]:
    """Write the pages of episodes, on all cores where there are many."""
    jobs = [rows[start : start + PAGES_PER_JOB] for start in range(0, len(rows), PAGES_PER_JOB)]
    workers = min(os.cpu_count() or 1, len(jobs))
    if workers == 1:
        yield from _write_in_turn(run, to, rows, known)
        return
    context = multiprocessing.get_context("spawn")  # the caller may have threads
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        for done in pool.map(_write_job, [(run, to, job, _of(known, job)) for job in jobs]):
            yield from done


def _of(known: Related, rows: Sequence[EpisodeRow]) -> Related:
    """The part that concerns some episodes, so that not all of it goes to each process."""
    ids = {row.episode_id for row in rows}
    return Related(
        {name: value for name, value in known.findings.items() if name in ids},
        {name: value for name, value in known.replays.items() if name in ids},
        {name: value for name, value in known.children.items() if name in ids},
    )


def _write_job(job: tuple[Path, Path, Sequence[EpisodeRow], Related]) -> list[Page]:
    return list(_write_in_turn(*job))


def _write_in_turn(
    run: Path, to: Path, rows: Sequence[EpisodeRow], known: Related
) -> Iterator[Page]:
    for row in rows:
        target = to / EPISODES / f"{row.episode_id}.html"
        try:
            episode = read_transcript(run / row.transcript)
        except StoreError as error:
            target.unlink(missing_ok=True)  # of an earlier report
            yield Page(row, "", error.what)
            continue
        target.write_text(episode_page(episode, known), encoding="utf-8")
        yield Page(row, episode.task.prompt, None, Counter(map(_action, episode.turns)))


def _action(turn: Turn) -> str:
    """How a turn ended; the names are those of `figures.ACTION_COLOURS`."""
    if turn.result is None:
        return "no action" if turn.action.asks is None else "question to the host"
    if turn.result.submission is not None:
        return "submission"
    endings = {"ok": "cell", "error": "cell with an error"}
    return endings.get(turn.result.status, "cell stopped or dead")
