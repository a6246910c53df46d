"""The report of a run: a folder of pages that opens from disk, without a server or a network.

index.html            results, figures, list of episodes
episodes.js           that list, as data
episodes/ID.html      one page per episode
replays/ID.html       the same episode as its replay went, where it differs
counterfactuals/ID.html   what was made of an episode with other code in a cell
compare.html          two episodes side by side
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

from benchside.defect import Defect
from benchside.errors import StoreError
from benchside.report.beside import read_related
from benchside.report.page import episode_page
from benchside.report.pages import EPISODES, Page, write_pages
from benchside.report.related import Related
from benchside.report.summary import ASSETS, Analysis, asset, episode_list, index_page
from benchside.runs import load_run, sound_rows
from benchside.statistics.scores import scores
from benchside.store import COUNTERFACTUALS, REPLAYS, RunFolder
from benchside.transcript import read_transcript


@dataclass(frozen=True, slots=True)
class Report:
    """A site that was written, and what of the run could not be read."""

    index: Path
    episodes: int
    defects: tuple[Defect, ...]


def write_report(run: RunFolder, to: Path, console: Console, beside: str | None = None) -> Report:
    """Write the site of a run; one that is there is written over.

    Args:
        beside: runs to take floor and contamination from where this one has none.

    Raises:
        StoreError: not a run folder, no finished episode, or `to` cannot be written.
        StoreError: `beside` names no run.
    """
    config = run.config()
    defects: list[Defect] = []
    rows = sound_rows(run, defects)
    if not rows:
        raise StoreError(
            "the run has no finished episode", where=run.path,
            fix="go on with `benchside run --resume`, then report again",
        )  # fmt: skip
    scored = scores(load_run(run.path), beside=None if beside is None else load_run(beside))
    known = read_related(run, defects)
    try:
        for name in (EPISODES, REPLAYS, COUNTERFACTUALS):
            (to / name).mkdir(parents=True, exist_ok=True)
        pages = list(
            track(
                write_pages(run.path, to, rows, known),
                "pages",
                total=len(rows),
                console=console,
                transient=True,
            )
        )
        prompts = {page.row.task_hash: page.prompt for page in pages if page.problem is None}
        listed = [page.row for page in pages]
        _write_others(run, to, known, defects)
        for name in ASSETS:
            (to / name).write_text(asset(name), encoding="utf-8")
        script = f"const EPISODES = {episode_list(listed, prompts, known)};\n"
        (to / "episodes.js").write_text(script, encoding="utf-8")
        index = to / "index.html"
        index.write_text(
            index_page(run.path.name, config, listed, known, Analysis(scored, _actions(pages))),
            encoding="utf-8",
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


def _actions(pages: Sequence[Page]) -> dict[str, Counter[str]]:
    """How turns ended, by policy."""
    found: dict[str, Counter[str]] = {}
    for page in pages:
        found.setdefault(page.row.policy, Counter()).update(page.actions)
    return found


def _write_others(run: RunFolder, to: Path, known: Related, defects: list[Defect]) -> None:
    """Write the pages of replays and counterfactuals."""
    for name in known.replays:
        try:
            replayed = read_transcript(run.path / REPLAYS / f"{name}.ipynb")
        except StoreError as error:
            defects.append(Defect("unreadable transcript", str(error.where), error.what))
            continue
        (to / REPLAYS / f"{name}.html").write_text(episode_page(replayed), encoding="utf-8")
    for episode in (one for several in known.children.values() for one in several):
        page = episode_page(episode)
        (to / COUNTERFACTUALS / f"{episode.episode_id}.html").write_text(page, encoding="utf-8")
