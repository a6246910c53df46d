"""Grades stored episodes again, from their transcripts; only submitted programs are run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from benchside.episode import UNSCORED, Episode
from benchside.errors import InputError
from benchside.isolation import hidden_paths
from benchside.library import Suite, load_suite
from benchside.rollout import grade_submission
from benchside.store import RunFolder
from benchside.task import TaskSpec
from benchside_kernels.backend import KernelMaker


@dataclass(frozen=True, slots=True)
class Regraded:
    """An episode before and after; they are equal where nothing changed."""

    before: Episode
    after: Episode

    @property
    def changed(self) -> bool:
        """True where the verdict differs."""
        return self.before.outcome != self.after.outcome


async def regrade(folder: RunFolder, home: Path, maker: KernelMaker) -> AsyncIterator[Regraded]:
    """Grade each submitted episode of a run with today's graders and store what changed.

    Args:
        maker: starts the kernels of submitted programs.

    Raises:
        DataMissingError: the suite's build that the run used is not prepared any more.
        InputError: a transcript's task is not the one of that build.
    """
    suites = {
        use.name: load_suite(use.name, home, build=use.build) for use in folder.config().suites
    }
    for episode_id in folder.rows():
        before = folder.episode(episode_id)
        after = await _again(before, suites[before.task.suite], maker)
        if after != before:
            folder.finish(after)
        yield Regraded(before, after)


async def _again(episode: Episode, suite: Suite, maker: KernelMaker) -> Episode:
    known = suite.task(episode.task.task_id)
    # a run may have set limits of its own, which grading does not depend on
    stored = TaskSpec.model_validate({**episode.task.model_dump(), "limits": known.limits})
    if known.hash != stored.hash:
        raise InputError(
            "the transcript's task differs from the suite's", where=episode.episode_id,
            value=episode.task.hash[:12], fix=f"prepare the build {suite.record.build} again",
        )  # fmt: skip
    if episode.submission is None:
        return episode
    verdict = await grade_submission(
        suite, known, episode.submission, maker, hidden_paths(suite.home), states=episode.states
    )
    outcome = "solved" if verdict.passed else "wrong"
    recovered = {"failure": None} if episode.outcome in UNSCORED else {}
    return episode.model_copy(update={"grade": verdict, "outcome": outcome, **recovered})
