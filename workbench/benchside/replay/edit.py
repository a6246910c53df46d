"""Counterfactuals: an episode up to a cell, that cell with other code, and then a policy goes on.

The cells before are run again in a fresh kernel, by the rollout and under the task's limits, so
that the new episode is graded like any other. It names its parent and the edited cell, and lies in
a run folder of its own, `counterfactuals/` in the parent's, so that it counts in nobody's score.
"""

from __future__ import annotations

import hashlib
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchside.commands import say_isolation
from benchside.episode import Episode
from benchside.errors import InputError
from benchside.isolation import check_isolation, hidden_paths
from benchside.library import load_suite
from benchside.policies import PolicyOptions, make_policy
from benchside.policy import Action, Conversation, Policy, Usage
from benchside.protocol import run_cell_action
from benchside.provenance import provenance
from benchside.replay.command import ReplayRequest, find_target, level_of
from benchside.replay.play import check_same
from benchside.rollout import Assignment, run_episode
from benchside.store import COUNTERFACTUALS, RunFolder
from benchside.task_kernel import WARM_MODULES
from benchside.transcript import read_transcript
from benchside_kernels.makers import open_kernels

AFTER = " after "


@dataclass(frozen=True, slots=True)
class Edit:
    """What is to be different: the code of one cell, and, if named, who goes on after it."""

    cell_id: str
    code: str
    policy: str | None = None


@dataclass(slots=True)
class Continued:
    """Plays the actions of an episode up to a turn, then changed code, then another policy."""

    name: str
    before: tuple[Action, ...]
    code: str
    then: Policy

    async def act(self, conversation: Conversation) -> Action:
        """Return the next action; what is only repeated costs nothing."""
        turn = len(conversation.turns)
        if turn < len(self.before):
            return self.before[turn].model_copy(update={"usage": Usage()})
        if turn == len(self.before):
            return run_cell_action(self.code, turn=turn)
        return await self.then.act(conversation)


def continued(episode: Episode, edit: Edit, then: Policy) -> Continued:
    """Return the policy of a counterfactual.

    Raises:
        InputError: the episode has no such cell; the message lists those that it has.
    """
    ids = [None if turn.result is None else turn.result.cell_id for turn in episode.turns]
    if edit.cell_id not in ids:
        raise InputError(
            "the episode has no such cell", where="--edit", value=edit.cell_id,
            fix=f"its cells are {', '.join(filter(None, ids)) or 'none'}",
        )  # fmt: skip
    before = tuple(turn.action for turn in episode.turns[: ids.index(edit.cell_id)])
    told = f"{episode.episode_id}\n{edit.cell_id}\n{edit.code}"
    digest = hashlib.sha256(told.encode()).hexdigest()[:8]
    return Continued(f"{then.name}{AFTER}{edit.cell_id}@{digest}", before, edit.code, then)


async def edit_episode(
    request: ReplayRequest, edit: Edit, home: Path, console: Console
) -> tuple[RunFolder, Episode]:
    """Run a counterfactual of one episode and store it.

    Raises:
        InputError: no such cell, a whole run, or a policy that cannot be made again.
        StoreError: the transcript cannot be read, or nothing can be written.
    """
    target = find_target(request.target)
    if not target.single:
        raise InputError(
            "an edit concerns one episode", where="--edit", value=request.target,
            fix="give RUN/EPISODE-ID or a transcript",
        )  # fmt: skip
    (transcript,) = target.transcripts
    parent = read_transcript(transcript)
    suite = load_suite(parent.task.suite, home, build=parent.provenance.suite_build)
    check_same(parent, suite)
    config = target.folder.config()
    before = parent.policy.partition(AFTER)[0]  # of a counterfactual: who went on in it
    made = config.policies.get(before, {})
    known = {name: made[name] for name in PolicyOptions.model_fields if name in made}
    options = PolicyOptions.model_validate(known)
    folder = RunFolder(target.folder.path / COUNTERFACTUALS)
    async with AsyncExitStack() as stack:
        then = await stack.enter_async_context(
            aclosing(
                make_policy(
                    edit.policy or _spec(before, made), options,
                    lambda task: suite.answer_key(task.task_id).solution,
                )
            )
        )  # fmt: skip
        policy = continued(parent, edit, then)
        await then.check()
        level = request.isolation or level_of([transcript])
        maker = await stack.enter_async_context(open_kernels(level, WARM_MODULES))
        say_isolation(maker.isolation, console)
        check_isolation([parent.task], maker.isolation)
        seed = parent.provenance.seed
        origin = provenance(seed, maker.isolation)
        stack.enter_context(folder.lock())
        folder.start(config, resume=True)
        episode = await run_episode(
            Assignment(suite, parent.task, policy, parent.sample, seed),
            origin.model_copy(update={"suite_build": suite.record.build}),
            maker=maker,
            hidden=(*hidden_paths(suite.home), target.folder.path.resolve()),
        )
        linked = episode.model_copy(
            update={"parent": parent.episode_id, "edited_cell": edit.cell_id}
        )
        folder.finish(linked)
    return folder, linked


def _spec(name: str, made: dict[str, object]) -> str:
    """The string that a stored episode's policy was made from."""
    return f"scripted:{made['cells']}" if made.get("policy") == "scripted" else name
