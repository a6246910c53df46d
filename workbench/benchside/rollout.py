"""Rollout: one episode from start to grade. The one place that decides how an episode ended.

The kernel is closed before the grader looks at the submission, and the answer key is loaded only
then. What goes wrong is recorded on the episode; nothing but cancellation leaves `run_episode`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchside.asker import Asker, Clock, asking
from benchside.episode import (
    EndReason,
    Episode,
    EpisodeUsage,
    Failure,
    Fork,
    Outcome,
    Provenance,
    Submitted,
    episode_id,
)
from benchside.errors import (
    DataMissingError,
    GraderError,
    InfrastructureError,
    IntegrityError,
    PolicyError,
)
from benchside.execution import observe
from benchside.fork_point import ForkPoint
from benchside.grade import Grade
from benchside.graders import OBSERVED, ObservedGrader, grade_missing
from benchside.graders.grading import build_task_grader
from benchside.graders.workers import grade_apart, warm_up
from benchside.isolation import check_isolation
from benchside.library import Suite
from benchside.lookup.answer import answer
from benchside.lookup.index import open_index
from benchside.manner import Manner, manner_of
from benchside.policy import (
    Action,
    Conversation,
    FreshKernel,
    HostRequest,
    Message,
    Policy,
    Remark,
    ToolName,
    Turn,
    Usage,
)
from benchside.protocol import observation_messages, observation_text, opening_messages
from benchside.protocols import action_form
from benchside.services import Services, open_services
from benchside.state import ServiceState
from benchside.task import TaskSpec
from benchside.task_kernel import task_session
from benchside_kernels.backend import KernelMaker
from benchside_kernels.cell import CellResult
from benchside_kernels.errors import KernelStartError
from benchside_kernels.session import KernelSession, KernelUsage
from benchside_kernels.submission import Json

MAX_IDLE_TURNS = 3
GRADING_TIMEOUT_S = 60.0
RESTARTED = "[A fresh kernel with the task's data is running now.]"


@dataclass(frozen=True, slots=True)
class Assignment:
    """One episode to be run: `sample` numbers the attempts of a policy at a task.

    Args:
        tools: offered beside `run_cell` and `submit`.
        fork: where it parts from others; None: it is played alone.
    """

    suite: Suite
    task: TaskSpec
    policy: Policy
    sample: int
    seed: int
    tools: tuple[ToolName, ...] = ()
    fork: ForkPoint | None = None

    @property
    def stem_of(self) -> ForkPoint | None:
        """Where others wait for a copy of its kernel; None where nobody does."""
        own = self.fork is not None and self.fork.stem == self.episode_id
        return self.fork if own else None

    @property
    def manner(self) -> Manner:
        """How the policy wants the episode."""
        return manner_of(self.policy)

    @property
    def episode_id(self) -> str:
        """The id that the episode will have."""
        return episode_id(self.task, self.policy.name, self.sample)


@dataclass(frozen=True, slots=True)
class Keep:
    """That kernels outlive their episodes by `keep_s`, and the run that their names begin with."""

    run: Path
    keep_s: float

    def name(self, episode: str) -> str:
        """The name under which an episode's kernel is kept."""
        return f"{self.run.resolve()}/{episode}"


@dataclass(slots=True)
class _Progress:
    """What is known of an episode while it runs."""

    opening: tuple[Message, ...] = ()
    image: str = ""
    turns: list[Turn] = field(default_factory=list)
    reason: EndReason = "failed"
    setup_source: str = ""
    started: float = field(default_factory=time.monotonic)
    start_s: float | None = None
    policy_s: float = 0.0
    kernel_s: float = 0.0
    lost: Usage = field(default_factory=Usage)  # on the way to an action that failed
    restarts: int = 0
    kernel: KernelUsage | None = None
    states: tuple[ServiceState, ...] = ()
    submitted: Submitted | None = None
    fork: Fork | None = None
    failure: Failure | None = None
    blame: Outcome = "infrastructure_error"


async def run_episode(
    assignment: Assignment,
    provenance: Provenance,
    *,
    maker: KernelMaker,
    hidden: tuple[Path, ...] = (),
    on_turn: Callable[[Turn], None] = lambda _: None,
    keep: Keep | None = None,
) -> Episode:
    """Run one episode and grade it.

    Args:
        provenance: as of the run; image and seed are filled in here.
        maker: starts the kernel.
        hidden: paths that the kernel must not read.
        on_turn: called with each turn as soon as it is complete.
        keep: leave the kernel alive, frozen, for `benchside attach`; None: it ends.
    """
    suite, task = assignment.suite, assignment.task
    progress = _Progress()
    warm_up()
    try:
        await _run_in_kernel(assignment, progress, maker, hidden, on_turn, keep)
    except Exception as error:  # one capture point: a bug of ours ends this episode, not the batch
        _record(progress, error, "infrastructure_error")
    finally:
        if assignment.stem_of is not None:
            assignment.stem_of.passed()
    duration_s = time.monotonic() - progress.started
    submitted, verdict = await _grade(suite, task, progress, maker, hidden)
    ended = progress.reason
    return Episode(
        episode_id=assignment.episode_id,
        task=task,
        policy=assignment.policy.name,
        sample=assignment.sample,
        opening=progress.opening,
        setup_source=progress.setup_source,
        turns=tuple(progress.turns),
        outcome=_outcome(progress, verdict),
        terminated=ended == "submitted",
        truncated=ended not in ("submitted", "failed"),
        end_reason=ended,
        submission=submitted,
        grade=verdict,
        failure=progress.failure,
        usage=_usage(progress, duration_s),
        provenance=provenance.model_copy(
            update={"image": progress.image, "seed": assignment.seed, "hosts": task.hosts}
        ),
        states=progress.states,
        tools=assignment.tools,
        feedback=assignment.manner.feedback,
        protocol=assignment.manner.protocol,
        fork=progress.fork,
    )


async def _run_in_kernel(
    assignment: Assignment,
    progress: _Progress,
    maker: KernelMaker,
    hidden: tuple[Path, ...],
    on_turn: Callable[[Turn], None],
    keep: Keep | None,
) -> None:
    """Open the task's services, run the kernel, and read what the services have recorded."""
    task = assignment.task
    check_isolation([task], maker.isolation)
    image = assignment.suite.image(task)
    manner = assignment.manner
    form = action_form(manner.protocol, manner.feedback)
    progress.image = image.ref
    progress.opening = opening_messages(
        task, image.description, assignment.tools, form.system_prompt(task, assignment.tools)
    )
    async with open_services(assignment.suite, task) as services:
        try:
            await _run_session(assignment, progress, maker, hidden, on_turn, keep, services)
        finally:
            progress.states = services.states()  # no kernel is left that could write


async def _run_session(
    assignment: Assignment,
    progress: _Progress,
    maker: KernelMaker,
    hidden: tuple[Path, ...],
    on_turn: Callable[[Turn], None],
    keep: Keep | None,
    services: Services,
) -> None:
    """Start the kernel, take the turns, close the kernel or leave it frozen."""
    task = assignment.task
    session = await _copied(assignment, progress)
    if session is None:
        session = task_session(
            assignment.suite, task, services, maker, hidden=hidden, seed=assignment.seed
        )
    progress.setup_source = session.setup_source
    try:
        async with session:
            now = time.monotonic()
            progress.start_s, progress.started = now - progress.started, now
            await _take_turns(assignment, session, progress, on_turn, maker, hidden)
            if keep is not None and session.alive:
                await session.keep(keep.name(assignment.episode_id), keep.keep_s)
    finally:
        progress.kernel = session.usage


async def _copied(assignment: Assignment, progress: _Progress) -> KernelSession | None:
    """A copy of the stem's kernel, with its turns; None where the episode starts by itself."""
    point = assignment.fork
    if point is None or assignment.stem_of is not None or (copy := await point.copy()) is None:
        return None
    progress.turns = list(copy.turns)
    progress.fork = Fork(stem=point.stem, turn=point.turn)
    progress.started = time.monotonic()
    return copy.session


async def _take_turns(
    assignment: Assignment,
    session: KernelSession,
    progress: _Progress,
    on_turn: Callable[[Turn], None],
    maker: KernelMaker,
    hidden: tuple[Path, ...],
) -> None:
    """Alternate policy and kernel until a submission or a limit; sets `progress.reason`."""
    limits, point = assignment.task.limits, assignment.stem_of
    clock = Clock(progress.started + limits.episode_timeout_s)
    idle = 0
    while True:
        if len(progress.turns) >= limits.max_turns:
            progress.reason = "max_turns"
            return
        here = point is not None and len(progress.turns) == point.turn
        if point is not None and here and await point.reached(session, tuple(progress.turns)):
            progress.fork = Fork(stem=point.stem, turn=point.turn)
        action = await _act(assignment, progress, clock)
        if action is None:
            return
        result, told = None, action.problem
        if action.asks is not None:
            told = await _told(assignment, action.asks, tuple(progress.turns), session)
        if action.code is not None:
            left_s = max(clock.left_s, 0.1)
            result = await session.run(action.code, min(limits.cell_timeout_s, left_s))
            progress.kernel_s += result.duration_s
            if session.lost and result.submission is None:
                # not the cell's doing: no restart, no score
                raise KernelStartError("the kernel was lost with the process that owned it")
            if result.submission is not None and action.draft:
                action = await _judged_draft(assignment, action, result, maker, hidden)
        turn = await _observe(action, result, told, session, progress, limits.max_kernel_restarts)
        progress.turns.append(turn)
        on_turn(turn)
        idle = idle + 1 if result is None and action.asks is None else 0
        if result is not None and result.submission is not None and not action.draft:
            progress.reason = "submitted"
            progress.submitted = Submitted(value=result.submission.value)
        elif (spent := _spent(assignment.task, progress)) is not None:
            progress.reason = spent
        elif clock.left_s <= 0:
            progress.reason = "episode_timeout"
        elif not session.alive:
            progress.reason = "kernel_restarts"
        elif idle >= MAX_IDLE_TURNS:
            progress.reason = "no_action"
        else:
            continue
        return


async def _act(assignment: Assignment, progress: _Progress, clock: Clock) -> Action | None:
    """Ask the policy; None where the episode ends instead, by its time or by the policy's error."""
    conversation = Conversation(
        assignment.task, progress.opening, tuple(progress.turns), assignment.tools
    )
    asked = time.monotonic()
    who = Asker(assignment.sample, clock)
    try:
        async with asyncio.timeout(clock.left_s) as limit:
            with clock.limiting(limit), asking(who):
                action = await assignment.policy.act(conversation)
        if not isinstance(action, Action):
            raise PolicyError(f"act() returned a {type(action).__name__}, not an Action")
        who.spent.clear()  # the action's own usage says it
        return action
    except (InfrastructureError, DataMissingError, IntegrityError):
        raise  # a server or our own data: not the policy's fault
    except Exception as error:  # one capture point for whatever a policy may do
        if isinstance(error, TimeoutError) and limit.expired():
            progress.reason = "episode_timeout"
        else:
            _record(progress, error, "policy_error")
        return None
    finally:
        progress.policy_s += time.monotonic() - asked
        progress.lost = sum(who.spent, Usage())


def _spent(task: TaskSpec, progress: _Progress) -> EndReason | None:
    """The budget of the episode that is used up; what was not measured uses up none."""
    limits, usage = task.limits, _policy_usage(progress)
    tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0)
    if limits.max_tokens is not None and tokens >= limits.max_tokens:
        return "max_tokens"
    if limits.max_cost_usd is not None and (usage.cost_usd or 0.0) >= limits.max_cost_usd:
        return "max_cost"
    return None


async def _judged_draft(
    assignment: Assignment,
    action: Action,
    result: CellResult,
    maker: KernelMaker,
    hidden: tuple[Path, ...],
) -> Action:
    """With an oracle, a draft that is right is the answer: graded here as any submission is."""
    if assignment.manner.feedback != "oracle" or result.submission is None:
        return action
    submitted = Submitted(value=result.submission.value)
    verdict = await grade_submission(assignment.suite, assignment.task, submitted, maker, hidden)
    return action.model_copy(update={"draft": not verdict.passed})


async def _told(
    assignment: Assignment, asks: HostRequest, turns: Sequence[Turn], session: KernelSession
) -> str:
    """The host's answer to a tool that runs no cell, from the image's open data and the turns."""
    if isinstance(asks, FreshKernel):
        await session.renew()
        return RESTARTED
    if isinstance(asks, Remark):
        return asks.text
    if asks.tool not in assignment.tools:
        return f"Nothing was done. There is no tool named {asks.tool!r}."
    suite, task = assignment.suite, assignment.task
    image = suite.image(task)

    def work() -> str:
        return answer(open_index(image, suite.home), asks, turns, task.limits.max_output_chars)

    return await asyncio.to_thread(work)


async def _observe(
    action: Action,
    result: CellResult | None,
    told: str | None,
    session: KernelSession,
    progress: _Progress,
    max_restarts: int,
) -> Turn:
    """Make the turn; a kernel that is gone is replaced first, as long as restarts are left.

    Args:
        told: what the host has to say where no cell was run.
    """
    if result is None:
        text = told or "Nothing was run."
    else:
        text = observation_text(result, session.max_output_chars)
        if result.submission is not None and action.draft:
            await session.renew()
            text = f"{text}\n{RESTARTED}"
        elif not session.alive and result.submission is None and progress.restarts < max_restarts:
            progress.restarts += 1
            # a kernel that does not come up again in the folder that its cells have left is theirs
            with contextlib.suppress(KernelStartError):
                await session.restart()
                text = f"{text}\n{RESTARTED}"
    return Turn(action, result, observation_messages(action, text))


async def _grade(
    suite: Suite,
    task: TaskSpec,
    progress: _Progress,
    maker: KernelMaker,
    hidden: tuple[Path, ...],
) -> tuple[Submitted | None, Grade | None]:
    """Grade what was submitted; no grade where infrastructure or the grader itself failed."""
    submitted = progress.submitted
    if progress.failure is not None and progress.blame == "infrastructure_error":
        return None, None
    if submitted is None:
        return None, grade_missing(task)
    try:
        return submitted, await grade_submission(
            suite, task, submitted, maker, hidden, states=progress.states
        )
    except Exception as error:  # a grader's crash must not become a reward, nor end the batch
        _record(progress, error, "grader_error")
        return submitted, None


async def grade_submission(
    suite: Suite,
    task: TaskSpec,
    submitted: Submitted,
    maker: KernelMaker | None = None,
    hidden: tuple[Path, ...] = (),
    *,
    states: tuple[ServiceState, ...] = (),
) -> Grade:
    """Load the answer key and grade, in another process; a program runs in a kernel of its own.

    Args:
        maker: starts that kernel; None where no programs are to be run.
        hidden: paths that the program must not read.
        states: what the episode's services recorded.

    Raises:
        GraderError: it took too long or crashed.
    """
    value = submitted.value
    if task.grader.name in OBSERVED:
        try:
            async with asyncio.timeout(GRADING_TIMEOUT_S):
                value = await _observed(suite, task, value, maker, hidden)
        except TimeoutError:
            raise GraderError(
                f"the submission ran longer than {GRADING_TIMEOUT_S:.0f} s", where=task.task_id,
                value=task.grader.name,
            ) from None  # fmt: skip
    key = await asyncio.to_thread(suite.answer_key, task.task_id)
    return await grade_apart(task, key, value, states, limit_s=GRADING_TIMEOUT_S)


async def _observed(
    suite: Suite, task: TaskSpec, value: Json, maker: KernelMaker | None, hidden: tuple[Path, ...]
) -> Json:
    """Run a submitted program, or assertions over it, in a kernel of the task's image."""
    if maker is None:
        raise GraderError(
            f"a submission to grader {task.grader.name} cannot be graded without kernels",
            where=task.task_id,
        )
    key = await asyncio.to_thread(suite.answer_key, task.task_id)
    grader = build_task_grader(task, key)
    assert isinstance(grader, ObservedGrader)  # by its name
    return await observe(
        grader, value, image=suite.image(task), maker=maker, hidden=hidden, files=task.files
    )


def _record(progress: _Progress, error: Exception, blame: Outcome) -> None:
    progress.blame = blame
    progress.failure = Failure(
        kind=type(error).__name__,
        message=str(error),
        traceback="".join(traceback.format_exception(error)),
    )


def _outcome(progress: _Progress, verdict: Grade | None) -> Outcome:
    if progress.failure is not None:
        return progress.blame
    if progress.reason != "submitted":
        return "truncated"
    return "solved" if verdict is not None and verdict.passed else "wrong"


def _usage(progress: _Progress, duration_s: float) -> EpisodeUsage:
    spent, kernel = _policy_usage(progress), progress.kernel
    return EpisodeUsage(
        duration_s=duration_s,
        start_s=progress.start_s,
        policy_s=progress.policy_s,
        kernel_s=progress.kernel_s,
        cpu_s=None if kernel is None else kernel.cpu_s,
        peak_mib=None if kernel is None else kernel.peak_mib,
        output_chars=None if kernel is None else kernel.output_chars,
        kernel_restarts=progress.restarts,
        input_tokens=spent.input_tokens,
        output_tokens=spent.output_tokens,
        requests=spent.requests,
        cost_usd=spent.cost_usd,
        cached_tokens=spent.cached_tokens,
        cache_hits=spent.cache_hits,
        malformed=sum(turn.action.problem is not None for turn in progress.turns),
    )


def _policy_usage(progress: _Progress) -> Usage:
    return sum((turn.action.usage for turn in progress.turns), progress.lost)
