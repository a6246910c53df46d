"""Which episodes of which runs become examples, and why the others do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path

from pydantic import Field
from rich.progress import track

from benchside.episode import Episode, Outcome
from benchside.errors import InputError
from benchside.library import open_suite
from benchside.runs import load_run
from benchside.store import COUNTERFACTUALS
from benchside.task import Frozen, Split, TaskSpec
from benchside.transcript import read_transcript
from benchside_training.contamination import HeldOut
from benchside_training.example import Example, example_of


class EpisodeChoice(Frozen):
    """Which episodes are taken.

    Args:
        runs: run folders, or patterns such as "runs/*".
        suites, policies: by name; None for all.
        splits: of the tasks.
        held_out_suites: suites whose `held_out_splits` must not be among the examples, not even
            nearly; None for those that occur in the runs.
        min_score: of a verifier that has scored the runs, for rejection sampling; None: any.
        max_turns, max_chars: longer episodes are left out; None for no limit.
        credentialed: take episodes on credentialed data too. What is trained on them may give
            them away, and so stays where they may be.
    """

    runs: tuple[str, ...] = Field(min_length=1)
    suites: tuple[str, ...] | None = None
    splits: tuple[Split, ...] = ("train",)
    policies: tuple[str, ...] | None = None
    held_out_suites: tuple[str, ...] | None = None
    held_out_splits: tuple[Split, ...] = ("valid", "test")
    min_score: float | None = Field(None, ge=0, le=1)
    max_turns: int | None = Field(None, ge=1)
    max_chars: int | None = Field(None, ge=1)
    credentialed: bool = False


@dataclass(slots=True)
class ExampleSet:
    """What was found in the runs.

    Args:
        held_out: how many tasks each example was compared with.
        examples: each sequence of actions on a task once.
        by_episode: example by run folder and episode id; of equal ones, the first.
        read: number of episodes by run folder.
        left_out: number of episodes by reason.
    """

    held_out: int
    examples: list[Example] = field(default_factory=list)
    by_episode: dict[tuple[Path, str], Example] = field(default_factory=dict)
    read: Counter[Path] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)


def find_examples(
    choice: EpisodeChoice, outcomes: Sequence[Outcome], home: Path, *, edited: bool = False
) -> ExampleSet:
    """Read the runs and return the examples of all episodes that fit.

    Args:
        home: where suites are prepared.
        edited: take edited continuations (`counterfactuals/` of a run) too.

    Raises:
        InputError: an episode on credentialed data, and `credentialed` is not set.
        DataMissingError: a held-out suite is not prepared.
    """
    listed = _listed(choice.runs, edited=edited)
    suites = choice.held_out_suites
    if suites is None:
        suites = tuple(sorted({one.suite for one in listed}))
    tasks = (
        task
        for name in suites
        for task in open_suite(name, home).tasks
        if task.split in choice.held_out_splits
    )
    held_out = HeldOut(tasks)
    found = ExampleSet(len(held_out))
    seen: dict[str, Example] = {}
    for one in track(listed, "reading episodes", transient=True):
        found.read[one.run] += 1
        episode = read_transcript(one.transcript)
        reason = _unfit(episode, choice, outcomes) or held_out.reason(episode.task)
        if reason is not None:
            found.left_out[reason] += 1
            continue
        _check_allowed(episode.task, choice, one.transcript)
        if choice.min_score is not None and (one.score is None or one.score < choice.min_score):
            found.left_out["scored below min_score" if one.score is not None else "no score"] += 1
            continue
        example = example_of(episode, one.run.name, one.score)
        if choice.max_chars is not None and example.chars > choice.max_chars:
            found.left_out["more characters than max_chars"] += 1
            continue
        first = seen.setdefault(example.actions_hash, example)
        found.by_episode[one.run, episode.episode_id] = first
        if first is example:
            found.examples.append(example)
        else:
            found.left_out["the same actions on the same task"] += 1
    return found


@dataclass(frozen=True, slots=True)
class _Listed:
    """An episode as its run lists it; an edited continuation belongs to its parent's run."""

    run: Path
    suite: str
    transcript: Path
    score: float | None


def _listed(runs: Sequence[str], *, edited: bool) -> list[_Listed]:
    paths = dict.fromkeys(path for pattern in runs for path in load_run(pattern).paths)
    listed = []
    for path in paths:
        folders = [path]
        if edited and (path / COUNTERFACTUALS / "episodes.jsonl").is_file():
            folders.append(path / COUNTERFACTUALS)
        for folder in folders:
            rows = load_run(folder).episodes
            listed += [
                _Listed(path, suite, Path(transcript), None if isnan(score) else score)
                for suite, transcript, score in zip(
                    *(rows[name].tolist() for name in ("suite", "transcript", "verifier_score")),
                    strict=True,
                )
            ]
    return listed


def _unfit(episode: Episode, choice: EpisodeChoice, outcomes: Sequence[Outcome]) -> str | None:
    """The first thing about an episode that was not asked for."""
    task = episode.task
    if choice.suites is not None and task.suite not in choice.suites:
        return "another suite"
    if task.split not in choice.splits:
        return "another split"
    if episode.feedback == "oracle":
        return "told at each answer whether it is right"
    if any(turn.action.draft or turn.action.scaffolded for turn in episode.turns):
        return "several attempts in one episode"
    # a continuation's policy is named after its parent's, which may go on
    names = choice.policies
    if names is not None and episode.policy.partition(" after ")[0] not in names:
        return "another policy"
    if episode.outcome not in outcomes:
        return f"outcome {episode.outcome}"
    if not episode.turns:
        return "no turn"
    if choice.max_turns is not None and len(episode.turns) > choice.max_turns:
        return "more turns than max_turns"
    return None


def _check_allowed(task: TaskSpec, choice: EpisodeChoice, transcript: Path) -> None:
    if task.sensitivity == "credentialed" and not choice.credentialed:
        raise InputError(
            f"this episode is on credentialed data (suite {task.suite})", where=transcript,
            fix="leave the suite out by `suites`, or set `credentialed: true` and keep the set, "
            "and what is trained on it, where these data may be",
        )  # fmt: skip
