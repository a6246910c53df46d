"""Probes of one task: does its grader pass what is right and fail what is not?

`benchside gate` runs them before a suite is used. They catch what broke graders elsewhere: BixBench
strips "." and "-", so that 1.5 = 15 and -2 = 2, and accepts the empty answer; crow's tolerance
`1e-4 * answer` fails each negative gold.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchside.graders.composite import AnyOfGrader
from benchside.graders.grader import Grader
from benchside.graders.grading import build_task_grader, decode_gold, grade
from benchside.graders.observed import ObservedGrader
from benchside.graders.prediction import PredictionGrader
from benchside.graders.probes import (
    assertions,
    clocks,
    collections,
    composites,
    predictions,
    programs,
    scalars,
    tables,
)
from benchside.graders.probes.case import (
    CONSTANTS,
    Case,
    equivalents,
    is_right_constant,
    mistakes,
)
from benchside.task import AnswerKey, TaskSpec
from benchside_kernels.submission import Json, encode

# importing these modules is what registers each grader's cases
CASE_MODULES = (assertions, clocks, collections, composites, predictions, programs, scalars, tables)


@dataclass(frozen=True, slots=True)
class Probe:
    """One submission and what the grader must say of it.

    Args:
        submission: as `encode` makes it of real Python, numpy and pandas objects.
        skipped: why this probe is not run, such as that a wrong constant happens to be the gold.
    """

    name: str
    submission: Json
    should_pass: bool
    skipped: str = ""


def probes(task: TaskSpec, key: AnswerKey) -> list[Probe]:
    """Return all probes of a task, those that are skipped included.

    Raises:
        GraderError: the grader or its gold is malformed.
    """
    grader = build_task_grader(task, key)
    gold = decode_gold(grader, key)
    if gold is None:
        wrong = [*CONSTANTS, Case("None as text", "None")]
        return [Probe("None", None, should_pass=True), *_failing(wrong)]
    right = "happens to be the right answer"
    constants = [
        Case(c.name, c.value, right if is_right_constant(grader, gold, c.value) else "")
        for c in CONSTANTS
    ]
    return [
        Probe("the gold as stored", key.value, True, _no_submission(grader)),
        *(Probe(case.name, encode(case.value), True) for case in equivalents(grader, gold)),
        *_failing([*constants, Case("None", None), *mistakes(grader, gold)]),
    ]


def check_probes(task: TaskSpec, key: AnswerKey) -> list[str]:
    """Return what is wrong with a task's grader, one line per probe; empty where all is well."""
    found = []
    for probe in probes(task, key):
        if probe.skipped:
            continue
        given = grade(task, key, probe.submission)
        if given.passed != probe.should_pass:
            wanted = "must pass" if probe.should_pass else "must fail"
            found.append(f"{task.task_id}: probe {probe.name!r} {wanted}, but: {given.evidence}")
    return found


def _failing(cases: Iterable[Case]) -> list[Probe]:
    return [Probe(case.name, encode(case.value), False, case.skipped) for case in cases]


def _no_submission(grader: Grader) -> str:
    """Say why the gold itself is no answer, or nothing."""
    if isinstance(grader, AnyOfGrader):
        return "the gold is a list of alternatives"
    if isinstance(grader, PredictionGrader) and grader.metric == "c_index":
        return "the gold holds [time, event] pairs, not scores"
    if isinstance(grader, ObservedGrader):
        return "the gold is what comes of a submission, not one"
    return ""
