"""`benchside prefer`: an episode and a corrected one become a preference pair of their run.

The corrected one is a copy of the transcript in which somebody has changed a cell: it is run as a
counterfactual, in a fresh kernel, and the policy goes on. Or it is a stored episode of the same
task, in the run or among its counterfactuals.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat.notebooknode import NotebookNode
from rich.console import Console

from benchside.commands import find_transcript
from benchside.episode import UNSCORED, Episode
from benchside.errors import InputError, StoreError
from benchside.policy import Turn
from benchside.preference import FILE, Preference
from benchside.replay.command import ReplayRequest, find_target
from benchside.replay.edit import Edit, edit_episode
from benchside.replay.row import digest
from benchside.store import COUNTERFACTUALS, EpisodeRow, RunFolder, append_line, cut_torn_line
from benchside.transcript import read_transcript


@dataclass(frozen=True, slots=True)
class PreferRequest:
    """A pair as the user asked for it.

    Args:
        episode: the transcript, or RUN/EPISODE-ID, of the one that is to be rejected.
        corrected: an edited copy of its notebook, or the transcript or RUN/EPISODE-ID of another
            episode of its task.
        policy: goes on after the edited cell; None for the episode's own.
    """

    episode: str
    corrected: str
    who: str
    why: str
    policy: str | None = None


async def prefer(request: PreferRequest, home: Path, console: Console) -> Preference:
    """Make the pair and append it to the run's `preferences.jsonl`.

    Raises:
        InputError: the two are not a pair: other tasks, equal cells, an ungraded episode, one that
            was edited after it, or the chosen one has not solved the task.
        StoreError: no such episode, or the folder cannot be written.
    """
    target = find_target(request.episode)
    if not target.single:
        raise InputError(
            "a pair needs one episode", where="EPISODE", value=request.episode,
            fix="give RUN/EPISODE-ID or a transcript",
        )  # fmt: skip
    folder, (path,) = target.folder, target.transcripts
    rejected = _stored(folder, path)
    other = find_transcript(request.corrected)
    owner = _owner(folder, other)
    if owner is None:
        change = correction(rejected, other, request.policy)
        console.print(f"running {change.cell_id} as corrected, and what follows")
        owner, chosen = await edit_episode(ReplayRequest(request.episode, 1), change, home, console)
    else:
        chosen = _stored(owner, other)
    made = _pair(folder, rejected, owner, chosen, request)
    with folder.lock():
        cut_torn_line(folder.path / FILE)
        append_line(folder.path / FILE, made.model_dump_json(), sync=True)
    return made


def correction(episode: Episode, notebook: Path, policy: str | None = None) -> Edit:
    """Return the change that a person has made to a copy of an episode's notebook.

    Args:
        policy: goes on after it; a `scripted:` one may play further changed cells.

    Raises:
        InputError: no cell was changed, or several were and would be lost.
        StoreError: the notebook cannot be read.
    """
    before = [(turn.result.cell_id, turn.result.source) for turn in episode.turns if turn.result]
    after = [
        (str(cell.get("id", "")), str(cell["source"])) for cell in _read(notebook)["cells"]
        if cell["cell_type"] == "code" and not _is_setup(cell) and cell["source"].strip()
    ]  # fmt: skip
    places = zip(before, after, strict=False)
    place = next((i for i, (one, other) in enumerate(places) if one[1] != other[1]), None)
    if place is None:
        raise InputError(
            "no cell of the episode was changed", where=notebook,
            fix="change the code of one cell and save; cells after the last one are not run",
        )  # fmt: skip
    known = dict(before)
    changed = [name for name, source in after if known.get(name) != source]
    if len(changed) > 1 and not (policy or "").startswith("scripted:"):
        raise InputError(
            "several cells were changed or added, and only the first would be run",
            where=notebook, value=", ".join(changed),
            fix="change one cell and let the policy go on, or play all of yours: "
            f"--policy scripted:{notebook}",
        )  # fmt: skip
    return Edit(before[place][0], after[place][1], policy)


def _read(notebook: Path) -> NotebookNode:
    try:
        found: NotebookNode = nbformat.reads(notebook.read_text(encoding="utf-8"), as_version=4)
    except (OSError, ValueError, AttributeError, nbformat.ValidationError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise StoreError(
            f"not a readable notebook: {first}", where=notebook, fix="save it again in JupyterLab"
        ) from None
    return found


def _is_setup(cell: NotebookNode) -> bool:
    return bool(cell["metadata"].get("benchside", {}).get("kind") == "setup")


def _owner(folder: RunFolder, transcript: Path) -> RunFolder | None:
    """The run that a notebook is a stored episode of; None for a copy of somebody's own."""
    for run in (folder, RunFolder(folder.path / COUNTERFACTUALS)):
        if transcript.resolve().parent == (run.path / "episodes").resolve() and (
            transcript.stem in run.rows()
        ):
            return run
    return None


def _stored(folder: RunFolder, transcript: Path) -> Episode:
    """Read an episode as it was graded."""
    row: EpisodeRow | None = folder.rows().get(transcript.stem)
    if row is None:
        raise InputError(
            "the notebook is no episode of its run", where=transcript,
            fix="give RUN/EPISODE-ID first, and the notebook that was corrected second",
        )  # fmt: skip
    if row.transcript_sha256 not in (None, digest(transcript)):
        raise InputError(
            "the transcript was edited after it was graded", where=transcript,
            fix="restore it, and save the corrected notebook under another name",
        )  # fmt: skip
    episode = read_transcript(transcript)
    if episode.grade is None or episode.outcome in UNSCORED:
        raise InputError(
            "the episode has no grade", where=transcript, value=episode.outcome,
            fix="choose another episode, or run it again with --resume",
        )  # fmt: skip
    return episode


def _pair(
    folder: RunFolder, rejected: Episode, owner: RunFolder, chosen: Episode, request: PreferRequest
) -> Preference:
    path = owner.transcript_path(chosen.episode_id)
    if chosen.task.hash != rejected.task.hash:
        raise InputError(
            "the two episodes are of other tasks", where=path, value=chosen.task.task_id,
            fix=f"choose an episode of {rejected.task.task_id}",
        )  # fmt: skip
    if chosen.outcome != "solved":
        raise InputError(
            "the corrected episode has not solved the task, and is no example to follow",
            where=path, value=f"{chosen.outcome}, ended by {chosen.end_reason}",
            fix="look at its notebook and correct further, or let another --policy go on",
        )  # fmt: skip
    return Preference(
        suite=rejected.task.suite, task_id=rejected.task.task_id, task_hash=rejected.task.hash,
        chosen=chosen.episode_id, chosen_transcript=_relative(folder, path),
        rejected=rejected.episode_id, rejected_outcome=rejected.outcome,
        rejected_transcript=_relative(folder, folder.transcript_path(rejected.episode_id)),
        cell_id=_parting(rejected, chosen), who=request.who, why=request.why,
        made_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    )  # fmt: skip


def _relative(folder: RunFolder, path: Path) -> str:
    return path.relative_to(folder.path).as_posix()


def _parting(rejected: Episode, chosen: Episode) -> str:
    """The first cell of the rejected episode that the chosen one has not run."""

    def told(turn: Turn) -> tuple[str | None, str | None]:
        return turn.action.code, turn.action.problem

    pairs = zip(rejected.turns, chosen.turns, strict=False)
    same = next((i for i, (one, other) in enumerate(pairs) if told(one) != told(other)), None)
    if same is None:  # the one is the beginning of the other, or the same
        same = min(len(rejected.turns), len(chosen.turns))
    left = [turn.result.cell_id for turn in rejected.turns[same:] if turn.result is not None]
    if not left:
        raise InputError(
            "the chosen episode runs all cells of the rejected one, so that none can be blamed",
            where=chosen.episode_id, fix="choose one that differs in a cell",
        )  # fmt: skip
    return left[0]
