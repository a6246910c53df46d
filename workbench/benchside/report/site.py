"""The report of a run: a folder of pages that opens from disk, without a server or a network.

index.html            results, figures, list of episodes
episodes.js           that list, as data
episodes/ID.html      one page per episode
compare.html          two episodes side by side
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

from benchside.defect import Defect
from benchside.errors import StoreError
from benchside.report.page import episode_page
from benchside.report.summary import ASSETS, asset, episode_list, index_page
from benchside.runs import load_run, sound_rows
from benchside.statistics.scores import scores
from benchside.store import EpisodeRow, RunFolder
from benchside.transcript import read_transcript

PAGES_PER_JOB = 50


@dataclass(frozen=True, slots=True)
class Report:
    """A site that was written, and what of the run could not be read."""

    index: Path
    episodes: int
    defects: tuple[Defect, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """What became of one episode's page: the task's prompt, or why there is no page."""

    row: EpisodeRow
    prompt: str
    problem: str | None


def write_report(run: RunFolder, to: Path, console: Console) -> Report:
    """Write the site of a run; one that is there is written over.

    Raises:
        StoreError: not a run folder, no finished episode, or `to` cannot be written.
    """
    config = run.config()
    defects: list[Defect] = []
    rows = sound_rows(run, defects)
    if not rows:
        raise StoreError(
            "the run has no finished episode", where=run.path,
            fix="go on with `benchside run --resume`, then report again",
        )  # fmt: skip
    try:
        (to / "episodes").mkdir(parents=True, exist_ok=True)
        pages = list(
            track(
                _pages(run.path, to, rows),
                "pages",
                total=len(rows),
                console=console,
                transient=True,
            )
        )
        prompts = {page.row.task_hash: page.prompt for page in pages if page.problem is None}
        listed = [page.row for page in pages]
        for name in ASSETS:
            (to / name).write_text(asset(name), encoding="utf-8")
        script = f"const EPISODES = {episode_list(listed, prompts)};\n"
        (to / "episodes.js").write_text(script, encoding="utf-8")
        index = to / "index.html"
        index.write_text(
            index_page(run.path.name, config, listed, scores(load_run(run.path))), encoding="utf-8"
        )
    except OSError as error:
        raise StoreError(
            f"cannot write: {error.strerror}", where=error.filename or to,
            fix="free some space or check the folder's rights, or choose another --to",
        ) from None  # fmt: skip
    defects += [
        Defect("unreadable transcript", page.row.transcript, f"{page.problem}; it has no page")
        for page in pages
        if page.problem is not None
    ]
    return Report(
        index, len(pages) - sum(page.problem is not None for page in pages), tuple(defects)
    )


def _pages(run: Path, to: Path, rows: Sequence[EpisodeRow]) -> Iterator[Page]:
    """Write the pages of episodes, on all cores where there are many."""
    jobs = [rows[start : start + PAGES_PER_JOB] for start in range(0, len(rows), PAGES_PER_JOB)]
    workers = min(os.cpu_count() or 1, len(jobs))
    if workers == 1:
        yield from _write_pages(run, to, rows)
        return
    context = multiprocessing.get_context("spawn")  # the caller may have threads
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        for done in pool.map(_write_job, [(run, to, job) for job in jobs]):
            yield from done


def _write_job(job: tuple[Path, Path, Sequence[EpisodeRow]]) -> list[Page]:
    return list(_write_pages(*job))


def _write_pages(run: Path, to: Path, rows: Sequence[EpisodeRow]) -> Iterator[Page]:
    for row in rows:
        target = to / "episodes" / f"{row.episode_id}.html"
        try:
            episode = read_transcript(run / row.transcript)
        except StoreError as error:
            target.unlink(missing_ok=True)  # of an earlier report
            yield Page(row, "", error.what)
            continue
        target.write_text(episode_page(episode), encoding="utf-8")
        yield Page(row, episode.task.prompt, None)
