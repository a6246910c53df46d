"""`grade`: from a submission's JSON to a `Grade`; and the checks of a task before it is used.

A submission, however malformed, gives a grade. A task or answer key that cannot be graded raises
`GraderError`, which is never turned into a reward.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from benchside.errors import GraderError
from benchside.grade import Grade
from benchside.graders.grader import Grader, Verdict, build_grader, compare, task_grader
from benchside.graders.text import read_text
from benchside.state import ServiceState
from benchside.task import AnswerKey, TaskSpec
from benchside_kernels.submission import Json, Value, decode

MAX_EVIDENCE_CHARS = 2000


def grade(
    task: TaskSpec, key: AnswerKey, submission: Json, states: Sequence[ServiceState] = ()
) -> Grade:
    """Return the grade of a submission.

    Args:
        submission: as `benchside_kernels.submission.encode` made it in the kernel.
        states: what the episode's services recorded.

    Raises:
        GraderError: the task's grader or its answer key is malformed.
    """
    grader = build_task_grader(task, key).with_states(states)
    gold = decode_gold(grader, key)
    try:
        submitted = decode(submission)
    except ValueError as problem:
        return _grade(grader, Verdict(False, str(problem)))
    return _grade(grader, compare(grader, submitted, gold))


def grade_missing(task: TaskSpec) -> Grade:
    """Return the grade of an episode that ended without a submission."""
    try:
        label = build_grader(task.grader.name, task.grader.params).label
    except ValueError as problem:
        raise _params_error(task, problem) from problem
    return Grade(reward=0.0, passed=False, grader=label, evidence="nothing was submitted")


def validate_task(task: TaskSpec, key: AnswerKey) -> None:
    """Check that a task can be graded: grader, parameters, gold, and nothing secret in the task.

    Raises:
        GraderError: naming task, grader, parameter, the value and the fix.
    """
    grader = build_task_grader(task, key)
    exposed = build_grader(task.grader.name, task.grader.params).exposed()
    if exposed:
        raise GraderError(
            f"the task spec of {task.task_id} gives its answer away",
            where=f"task {task.task_id}, grader {grader.label}, parameter {', '.join(exposed)}",
            fix="move these parameters to the answer key's params",
        )
    gold = decode_gold(grader, key)
    if key.value is None and not task.answer.may_abstain:
        raise GraderError(
            f"the answer key of {task.task_id} is None, but the task does not allow abstaining",
            where=f"task {task.task_id}, answer.may_abstain",
            value=task.answer.may_abstain,
            fix="set answer.may_abstain, or give the gold",
        )
    _check_choices(task, gold)


def build_task_grader(task: TaskSpec, key: AnswerKey) -> Grader:
    """Return the grader of a task with all parameters, public and secret.

    Raises:
        GraderError: unknown grader, malformed parameters, or a key of another task.
    """
    if key.task_id != task.task_id:
        raise GraderError(
            f"the answer key of {key.task_id} was given for {task.task_id}",
            where=f"task {task.task_id}",
            value=key.task_id,
            fix="prepare the suite again",
        )
    try:
        return task_grader(task.grader, key.params, task.answer.unit)
    except ValueError as problem:
        raise _params_error(task, problem) from problem


def decode_gold(grader: Grader, key: AnswerKey) -> Value:
    """Return the decoded gold after checking that it fits the grader.

    Raises:
        GraderError: malformed JSON, or of another type than the grader compares.
    """
    try:
        gold = decode(key.value)
        if gold is not None:
            grader.check_gold(gold)
    except ValueError as problem:
        raise GraderError(
            f"the gold of {key.task_id} does not fit grader {grader.label}: {problem}",
            where=f"answer key of {key.task_id}, value",
            value=key.value,
            fix="correct the gold, or name another grader",
        ) from problem
    return gold


def _check_choices(task: TaskSpec, gold: Value) -> None:
    """A closed question's gold is one of its choices."""
    choices = task.answer.choices
    if choices is None or not isinstance(gold, str):
        return
    if read_text(gold) not in {read_text(choice) for choice in choices}:
        raise GraderError(
            f"the gold of {task.task_id} is none of the task's choices",
            where=f"task {task.task_id}, answer.choices {list(choices)}",
            value=gold,
            fix="correct the gold or the choices",
        )


def _grade(grader: Grader, verdict: Verdict) -> Grade:
    # a lone surrogate in submitted text would be refused by pydantic and by UTF-8 files
    evidence = verdict.evidence.encode("utf-8", "backslashreplace").decode()
    if len(evidence) > MAX_EVIDENCE_CHARS:
        evidence = evidence[:MAX_EVIDENCE_CHARS] + "…"
    return Grade(
        reward=float(verdict.passed),
        passed=verdict.passed,
        grader=grader.label,
        evidence=evidence,
        parts=verdict.parts,
    )


def _params_error(task: TaskSpec, problem: ValueError) -> GraderError:
    where = f"task {task.task_id}, grader {task.grader.name}"
    if not isinstance(problem, ValidationError):
        return GraderError(
            str(problem), where=where, value=task.grader.name, fix="name a known one"
        )
    first = problem.errors()[0]
    parameter = ".".join(str(part) for part in first["loc"])
    return GraderError(
        f"a parameter of {task.task_id}'s grader is wrong: {first['msg']}",
        where=f"{where}, parameter {parameter}" if parameter else where,
        value=first["input"],
        fix="correct the task's grader.params or the answer key's params",
    )
