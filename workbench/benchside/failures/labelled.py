"""Plays planted faults on real kernels: labelled episodes, to measure the rules on."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path

from benchside.episode import UNSCORED, Episode
from benchside.failures.case import Case
from benchside.failures.faults import Fault, clinic_tables, faults, practice
from benchside.failures.find import find
from benchside.failures.finding import PRACTICE_KINDS, Finding, Kind
from benchside.isolation import hidden_paths
from benchside.library import Suite
from benchside.parallel import side_by_side
from benchside.policies.scripted import ScriptedPolicy
from benchside.protocol import run_cell_action
from benchside.provenance import provenance
from benchside.rollout import Assignment, run_episode
from benchside.task import TaskSpec
from benchside_kernels.backend import KernelMaker
from benchside_kernels.image import ImageSource, build_image, images_folder

_ON_ANSWERS: AbstractSet[Kind] = frozenset(
    {
        "wrong table", "wrong column", "wrong filter", "wrong calculation", "wrong unit",
        "off-by-one window", "empty result accepted", "type or format", "premature submission",
        "hard-coded answer",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Labelled:
    """A played fault and what was found in it."""

    fault: Fault
    episode: Episode
    findings: tuple[Finding, ...]

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds that were found."""
        return frozenset(finding.kind for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Planted:
    """A fault in a task."""

    suite: Suite
    task: TaskSpec
    fault: Fault


def plant(suite: Suite, tasks: Sequence[TaskSpec], seed: int) -> list[Planted]:
    """Return all faults that fit a suite's tasks."""
    found = []
    for task in tasks:
        key = suite.answer_key(task.task_id)
        database = suite.image(task).folder / "database.sqlite"
        if key.solution and not key.vacuous:
            found += [
                Planted(suite, task, one)
                for one in faults(task, key, database if database.exists() else None, seed)
            ]
    return found


def plant_practice(suite: Suite, task: TaskSpec) -> list[Planted]:
    """Return the mistakes of practice, over tables of their own in place of a task's data."""
    source = ImageSource("clinic", variables=clinic_tables())
    ref = build_image(source, images_folder(suite.home)).ref
    record = suite.record.model_copy(update={"images": {**suite.record.images, "clinic": ref}})
    moved = task.model_copy(update={"image": "clinic", "files": ()})
    right = suite.answer_key(task.task_id).value
    return [Planted(replace(suite, record=record), moved, one) for one in practice(right)]


async def play_planted(
    planted: Sequence[Planted], maker: KernelMaker, parallel: int
) -> list[Labelled]:
    """Play faults; those of the answer that left it right, or gave none, are left out."""
    done: list[Labelled] = []

    async def work(one: Planted) -> None:
        episode = await _play(one, maker)
        harmless = episode.outcome != "wrong" and one.fault.kinds & _ON_ANSWERS
        if episode.outcome not in UNSCORED and not harmless:
            done.append(Labelled(one.fault, episode, find(case_of(episode, one.suite))))

    await side_by_side(planted, work, parallel)
    return done


def case_of(episode: Episode, suite: Suite) -> Case:
    """Return the case of an episode with gold and tables."""
    task = episode.task
    image = suite.image(task)
    key = suite.answer_key(task.task_id)
    return Case(episode, key, image.load_variables)


async def _play(one: Planted, maker: KernelMaker) -> Episode:
    task, cells = one.task, one.fault.cells
    if one.fault.cell_timeout_s is not None:
        limits = task.limits.model_copy(update={"cell_timeout_s": one.fault.cell_timeout_s})
        task = task.model_copy(update={"limits": limits})
    policy = ScriptedPolicy(
        f"fault: {one.fault.name}",
        lambda _, turn: run_cell_action(cells[turn], turn=turn) if turn < len(cells) else None,
    )
    assignment = Assignment(one.suite, task, policy, 0, 7)
    return await run_episode(
        assignment, provenance(7, maker.isolation), maker=maker,
        hidden=hidden_paths(Path(one.suite.home)),
    )  # fmt: skip


def pairs(done: Sequence[Labelled]) -> list[tuple[frozenset[Kind], frozenset[Kind]]]:
    """Return true and found kinds of each episode; those of practice count in its scripts only.

    Solutions of the suites show small groups and the like without a label that says so.
    """
    return [
        (one.fault.kinds, one.kinds if one.fault.practice else one.kinds - PRACTICE_KINDS)
        for one in done
    ]
