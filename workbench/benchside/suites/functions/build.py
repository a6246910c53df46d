"""Builder: goes through exercises and variants, runs the reference on hidden cases, checks it.

A variant becomes a task where the second implementation agrees (if there is one), the outcomes
tell constant and identity functions and the neighbouring variants apart, and none of it is an
accident of the cases, which are drawn anew a few times before a variant is dropped and counted.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchside.errors import InputError
from benchside.graders.program import ProgramCase, ProgramGrader
from benchside.graders.program_cell import run_cases
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites.functions.catalogue import EXERCISES
from benchside.suites.functions.draw import Draw
from benchside.suites.functions.exercise import Exercise, Variant
from benchside.task import AnswerKey, AnswerSchema, GraderRef, Split, TaskSpec
from benchside_kernels.image import ImageSource
from benchside_kernels.submission import Json, decode, encode

IMAGE = "functions.bare"
CASES = 14
ATTEMPTS = 4
TESTED, VALIDATED = 20, 10  # % of the functions


@dataclass(frozen=True, slots=True)
class Posed:
    """A variant, its hidden cases and their outcomes; `confirmed` by a second implementation."""

    exercise: Exercise
    variant: Variant
    cases: tuple[ProgramCase, ...]
    outcomes: list[Json]
    confirmed: bool


class UnfitError(Exception):
    """These cases make no task; the message says why."""


def build(options: BuildOptions) -> SuiteBuild:
    """Generate up to `options.size` tasks; the seed sets cases and which variants are taken."""
    size = options.size or 0
    if size < 1:
        raise InputError("the suite needs at least one task", where="size", value=size)
    tasks: list[TaskSpec] = []
    keys: list[AnswerKey] = []
    dropped: Counter[str] = Counter()
    confirmed = 0
    for exercise, variant in _order(options.seed):
        if len(tasks) == size:
            break
        try:
            posed = pose(exercise, variant, options.seed)
        except UnfitError as reason:
            dropped[str(reason)] += 1
            continue
        confirmed += posed.confirmed
        task, key = _task(options.manifest, posed, options.seed)
        tasks.append(task)
        keys.append(key)
    counts = {
        "tasks": len(tasks),
        "functions": len({task.group for task in tasks}),
        "confirmed by a second implementation": confirmed,
        **{f"dropped: {reason}": n for reason, n in sorted(dropped.items())},
    }
    return SuiteBuild(tasks, keys, [ImageSource(IMAGE)], counts)


def _order(seed: int) -> Iterator[tuple[Exercise, Variant]]:
    """Variants in turns, one of each function, in an order that the seed sets."""
    shuffled = []
    for exercise in EXERCISES:
        variants = list(exercise.variants())
        random.Random(f"{seed} {exercise.name}").shuffle(variants)
        shuffled.append([(exercise, variant) for variant in variants])
    for turn in itertools.zip_longest(*shuffled):
        yield from (one for one in turn if one is not None)


def pose(exercise: Exercise, variant: Variant, seed: int) -> Posed:
    """Draw cases until they make a task.

    A neighbouring variant that no draw tells apart is taken for the same function, since some
    parameters matter only together with others; only the first of such variants becomes a task.

    Raises:
        UnfitError: they never do.
    """
    reason = UnfitError("no cases")
    alike: list[set[Variant]] = []
    posed: list[Posed] = []
    for attempt in range(ATTEMPTS):
        draw = Draw(f"{seed} {exercise.name} {variant.slug} {attempt}")
        drawn = [*exercise.edges, *(exercise.draw(draw) for _ in range(CASES))]
        arguments = {repr(one): list(one) for one in drawn}
        cases = tuple(ProgramCase(arguments=tuple(one)) for one in arguments.values())
        try:
            made = _checked(exercise, variant, cases)
        except UnfitError as found:
            reason = found
            continue
        same = _alike(made)
        if not same:
            return made
        alike.append(same)
        posed.append(made)
    if not posed:
        raise reason
    always = set.intersection(*alike)
    order = list(exercise.variants())
    if any(order.index(other) < order.index(variant) for other in always):
        raise UnfitError("another variant is the same function")
    for made, same in zip(posed, alike, strict=True):
        if same == always:
            return made
    raise UnfitError("no draw tells all other variants apart")


def _alike(made: Posed) -> set[Variant]:
    """The neighbouring variants that would pass."""
    grader = ProgramGrader(entry=made.exercise.name, cases=made.cases)
    gold = decode(made.outcomes)
    return {
        other
        for other in _neighbours(made.exercise, made.variant)
        if grader.judge(
            {"outcomes": decode(outcomes_of(made.exercise, other, made.cases))}, gold
        ).passed
    }


def _checked(exercise: Exercise, variant: Variant, cases: tuple[ProgramCase, ...]) -> Posed:
    outcomes = outcomes_of(exercise, variant, cases)
    for outcome in outcomes:
        assert isinstance(outcome, dict)
        raised = outcome.get("raised")
        if isinstance(raised, list) and str(raised[0]) not in exercise.statement(variant):
            raise UnfitError(f"the reference raises {raised[0]}, which its statement does not say")
    gold = [_returned(one) for one in outcomes]
    if max(Counter(map(repr, gold)).values()) > 0.9 * len(cases):
        raise UnfitError("a constant is right nearly everywhere")
    if all(one == case.arguments[0] for one, case in zip(gold, cases, strict=True)):
        raise UnfitError("the identity is right")
    return Posed(exercise, variant, cases, outcomes, _confirmed(exercise, variant, cases, outcomes))


def _confirmed(
    exercise: Exercise, variant: Variant, cases: tuple[ProgramCase, ...], outcomes: list[Json]
) -> bool:
    """Compare with the second implementation; False where there is none for this variant."""
    if exercise.second is None:
        return False
    grader = ProgramGrader(entry=exercise.name, cases=cases)
    compared = 0
    for case, outcome in zip(cases, outcomes, strict=True):
        found = exercise.second(*case.arguments, **dict(variant.parameters))
        if found is None:
            continue
        if not grader.same(decode(encode(found)), decode(_returned(outcome))):
            raise UnfitError("the second implementation disagrees")
        compared += 1
    return compared > 0


def outcomes_of(exercise: Exercise, variant: Variant, cases: tuple[ProgramCase, ...]) -> list[Json]:
    """Run the reference, as the program that the reference policy submits."""
    given = [case.model_dump(mode="json") for case in cases]
    return run_cases(exercise.program(variant), exercise.name, given)


def _neighbours(exercise: Exercise, variant: Variant) -> Iterator[Variant]:
    """Variants that differ in one parameter."""
    for name, values in exercise.choices.items():
        for value in values:
            changed = Variant(
                tuple((key, value if key == name else old) for key, old in variant.parameters)
            )
            if changed != variant:
                yield changed


def _returned(outcome: Json) -> Any:
    assert isinstance(outcome, dict)
    return outcome.get("returned", outcome.get("raised"))


def split_of(name: str) -> Split:
    """The split of a function and all its variants."""
    place = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 100
    return "test" if place < TESTED else "valid" if place < TESTED + VALIDATED else "train"


def _task(manifest: SuiteManifest, posed: Posed, seed: int) -> tuple[TaskSpec, AnswerKey]:
    exercise, variant = posed.exercise, posed.variant
    digest = hashlib.sha256(variant.slug.encode()).hexdigest()[:8]
    task_id = f"{exercise.name}.{seed}-{digest}"
    prompt = (
        f"Write a Python function:\n\n    {exercise.signature()}\n\n"
        f"{exercise.statement(variant)}\n\n"
        "It must not change its arguments and may use the standard library, numpy, scipy and "
        "pandas. Submit the source text of a module that defines it; it is called on hidden "
        "inputs, and what it returns, raises or writes is compared with a reference."
    )
    program = exercise.program(variant)
    task = TaskSpec(
        task_id=task_id,
        suite=manifest.name,
        version=manifest.version,
        category=exercise.category,
        split=split_of(exercise.name),
        group=exercise.name,
        prompt=prompt,
        image=IMAGE,
        answer=AnswerSchema(kind="code", entry=exercise.name),
        grader=GraderRef(name="program", params={"entry": exercise.name}),
        licence=manifest.licence,
        sensitivity=manifest.sensitivity,
    )
    key = AnswerKey(
        task_id=task_id,
        value=posed.outcomes,
        params={"cases": [case.model_dump(mode="json") for case in posed.cases]},
        solution=(f"program = {program!r}\nsubmit(program)",),
        ways=2 if posed.confirmed else 1,
    )
    return task, key
