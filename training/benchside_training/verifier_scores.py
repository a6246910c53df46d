"""Scores of a verifier beside runs: best@k, reranking and rejection sampling read them.

    python -m benchside_training.verifier_scores scores.yaml

writes `verifier_scores.jsonl` into each run folder (see `benchside.verifier_score`), a line as soon
as it is known; the same command goes on with what is missing. Scores of another verifier make room.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field
from rich.progress import track

from benchside.episode import UNSCORED
from benchside.errors import InputError
from benchside.row_file import readable_rows
from benchside.runs import load_run
from benchside.store import EpisodeRow, RunFolder, append_line, cut_torn_line
from benchside.task import Frozen
from benchside.transcript import read_transcript
from benchside.verifier_score import FILE, VerifierScore
from benchside_training.example import example_of
from benchside_training.recipe import run_recipe
from benchside_training.trained_verifier import TrainedVerifier, attempt_of, load_verifier


class VerifierScoresConfig(Frozen):
    """Options of `main`.

    Args:
        verifier: folder `model/` that `benchside_training.verifier` has written.
        runs: run folders, or patterns such as "runs/*".
        batch: episodes that are scored together: logits of all that was said in them have to fit.
        device: "cpu", or None for an accelerator where there is one.
    """

    verifier: Path
    runs: tuple[str, ...] = Field(min_length=1)
    batch: int = Field(1, ge=1)
    device: str | None = None


def main(config: VerifierScoresConfig) -> int:
    """Score all episodes of the runs; return how many were scored now.

    Raises:
        InputError: no verifier, or it was trained on one of the runs' tasks; nothing was written.
    """
    verifier = load_verifier(config.verifier, config.device)
    paths = dict.fromkeys(path for pattern in config.runs for path in load_run(pattern).paths)
    folders = [RunFolder(path) for path in paths]
    listed = {folder: list(folder.rows().values()) for folder in folders}
    for folder, rows in listed.items():
        verifier.refuse_trained_on(
            [(row.task_hash, f"{row.suite}/{row.task_id}") for row in rows], folder.path
        )
        guessed = next((row for row in rows if row.feedback == "oracle"), None)
        if guessed is not None:
            raise InputError(
                "the transcripts of this run tell whether answers were right", where=folder.path,
                value=guessed.policy, fix="score runs with feedback: execution",
            )  # fmt: skip
    return sum(score_run(folder, rows, verifier, config.batch) for folder, rows in listed.items())


def score_run(
    folder: RunFolder, rows: Sequence[EpisodeRow], verifier: TrainedVerifier, batch: int
) -> int:
    """Score the episodes of one run that this verifier has not scored; return their number."""
    path = folder.path / FILE
    with folder.lock():
        cut_torn_line(path)
        known = list(readable_rows(path, VerifierScore, []))
        if any(row.verifier != verifier.weights for row in known):
            path.unlink()
            known = []
        done = {row.episode_id for row in known}
        failed = {row.episode_id for row in rows if row.outcome in UNSCORED}  # are to be run again
        left = [row for row in rows if row.episode_id not in done | failed]
        starts = range(0, len(left), batch)
        for start in track(starts, f"scoring {folder.path.name}", transient=True):
            for found in _scored(folder, left[start : start + batch], verifier):
                append_line(path, found.model_dump_json())
    return len(left)


def _scored(
    folder: RunFolder, rows: Sequence[EpisodeRow], verifier: TrainedVerifier
) -> list[VerifierScore]:
    """The scores of some episodes; what submitted nothing gets 0 without being read."""
    episodes = [read_transcript(folder.path / row.transcript) for row in rows]
    answered = {
        one.episode_id: attempt_of(example_of(one, folder.path.name))
        for one in episodes
        if one.submission is not None
    }
    found = verifier.probabilities(list(answered.values())) if answered else []
    score_of = dict(zip(answered, found, strict=True))
    return [
        VerifierScore(
            episode_id=row.episode_id, score=score_of.get(row.episode_id, 0.0),
            verifier=verifier.weights,
        )
        for row in rows
    ]  # fmt: skip


if __name__ == "__main__":
    run_recipe(VerifierScoresConfig, main)
