"""From questions to a suite: cross-check, drop what proves nothing, split by group, add images."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from pydantic import JsonValue

from benchside.suite import BuildOptions, SuiteBuild
from benchside.suites.cohorts import (
    comparison,
    contingency,
    correlation,
    decision,
    description,
    diagnostic,
    hazards,
    person_time,
    places,
    prediction,
    ranking,
    regression,
    resampling,
    selection,
    strata,
    survival,
    tables,
    timeline,
    workflow,
)
from benchside.suites.cohorts.catalogue import catalogue
from benchside.suites.cohorts.cohort import Cohort
from benchside.suites.cohorts.images import images
from benchside.suites.cohorts.question import Question
from benchside.suites.cohorts.tolerance import agree, finite
from benchside.task import AnswerKey, Split, TaskSpec

TOPICS = (
    description, comparison, contingency, strata, correlation, diagnostic, regression, survival,
    person_time, hazards, selection, timeline, ranking, places, decision, tables, workflow,
)  # fmt: skip
SEEDED_TOPICS = (resampling, prediction)  # the seed numbers their generators
# The groups of a category take these in turn, so that three groups already reach every split.
SPLITS: tuple[Split, ...] = (
    "test", "train", "valid", "train", "train", "test", "train", "train", "train", "valid",
)  # fmt: skip
OBVIOUS = (-1, 0, 1, 100)  # what a policy that looks at no data would try


def build(options: BuildOptions) -> SuiteBuild:
    """Build the suite; `size`, where given, keeps that many tasks spread over all categories."""
    cohorts = catalogue()
    asked = list(all_questions(cohorts, options.seed))
    dropped: Counter[str] = Counter()
    kept = list(sound(asked, dropped))
    splits = split_groups(kept, options.seed)
    if options.size is not None:
        kept = spread(kept, options.size)
    name, version = options.manifest.name, options.manifest.version
    return SuiteBuild(
        tasks=[task(question, name, version, splits[question.group]) for question in kept],
        keys=[key(question) for question in kept],
        images=images(name, cohorts, options.seed),
        counts={
            "asked": len(asked),
            "kept": len(kept),
            **{f"dropped: {reason}": count for reason, count in sorted(dropped.items())},
        },
    )


def all_questions(cohorts: Mapping[str, Cohort], seed: int) -> Iterator[Question]:
    """Every question of every topic, unchecked."""
    for topic in TOPICS:
        yield from topic.questions(cohorts)
    for seeded in SEEDED_TOPICS:
        yield from seeded.questions(cohorts, seed)


def sound(questions: Iterable[Question], dropped: Counter[str]) -> Iterator[Question]:
    """The questions without a fault; `dropped` counts the others by reason."""
    prompts: set[str] = set()
    for question in questions:
        reason = "same prompt" if question.prompt in prompts else fault(question)
        if reason:
            dropped[reason] += 1
            continue
        prompts.add(question.prompt)
        yield question


def fault(question: Question) -> str:
    """Why a question cannot be used, or nothing.

    The second method must agree ten times more closely than the grader asks for.
    """
    if not finite(question.gold):
        return "gold is not finite"
    if question.check is not None and not agree(
        question.gold, question.check, question.rel_tol / 10
    ):
        return "second method disagrees"
    if obvious(question.gold, question.rel_tol):
        return "gold is an obvious constant"
    if any(agree(question.gold, slip, 2 * question.rel_tol) for slip in question.slips.values()):
        return "a plausible slip gives the same answer"
    return ""


def obvious(gold: JsonValue, rel_tol: float) -> bool:
    """True for a single number that needs no data."""
    if isinstance(gold, bool) or not isinstance(gold, (int, float)):
        return False
    return any(math.isclose(gold, guess, rel_tol=rel_tol, abs_tol=rel_tol) for guess in OBVIOUS)


def split_groups(questions: Sequence[Question], seed: int) -> dict[str, Split]:
    """Group → split; each category deals its shuffled groups out in turn."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for question in questions:
        if question.group not in groups[question.category]:
            groups[question.category].append(question.group)
    splits: dict[str, Split] = {}
    for category, members in sorted(groups.items()):
        digest = hashlib.sha256(category.encode()).digest()
        order = np.random.default_rng([seed, *digest[:8]]).permutation(len(members))
        for turn, position in enumerate(order):
            splits[sorted(members)[position]] = SPLITS[turn % len(SPLITS)]
    return splits


def spread(questions: Sequence[Question], size: int) -> list[Question]:
    """At most `size` questions, taken from all categories in turn."""
    by_category: defaultdict[str, list[Question]] = defaultdict(list)
    for question in questions:
        by_category[question.category].append(question)
    turns = itertools.zip_longest(*by_category.values())
    chosen = [question for turn in turns for question in turn if question is not None][:size]
    ids = {task_id(question) for question in chosen}
    return [question for question in questions if task_id(question) in ids]


def task_id(question: Question) -> str:
    """Readable and stable: cohort, kind, name."""
    kind = question.category.replace("/", ".")
    return f"{question.cohort}.{kind}.{question.name}"


def task(question: Question, suite: str, version: str, split: Split) -> TaskSpec:
    """What policies see."""
    return TaskSpec(
        task_id=task_id(question),
        suite=suite,
        version=version,
        category=question.category,
        split=split,
        group=question.group,
        prompt=question.prompt,
        image=f"{suite}.{question.image or question.cohort}",
        answer=question.answer,
        grader=question.grader,
        licence="Apache-2.0; data as described in the image",
    )


def key(question: Question) -> AnswerKey:
    """What graders see."""
    return AnswerKey(
        task_id=task_id(question),
        value=question.gold,
        params=dict(question.secret),
        solution=question.solution,
        ways=1 if question.check is None else 2,
    )
