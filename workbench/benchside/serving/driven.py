"""An episode that is driven from outside: start, one action at a time, end with a grade.

The rollout asks its policy for actions. Here the policy is somebody else, who comes with an action
when he likes: the rollout's question is an event, his answer is put on a queue. So the rules of an
episode stand in `rollout.py` alone, and its transcript is as any other's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from benchside.episode import UNSCORED, Episode
from benchside.errors import InfrastructureError
from benchside.policy import Action, Conversation, Message, Policy, Turn

LEFT = "the client left before the episode was over"


@dataclass(frozen=True, slots=True)
class Step:
    """What came of an action.

    Args:
        turn: None where the episode had ended before the action came, by its time.
        ended: the graded and stored episode; None while it goes on.
    """

    turn: Turn | None
    ended: Episode | None

    @property
    def text(self) -> str:
        """What the actor is to read."""
        shown = [message.content or "" for message in self.turn.observations] if self.turn else []
        if self.ended is not None:
            shown.append(f"[The episode is over: {self.ended.end_reason}.]")
        return "\n".join(shown)


class _Handed:
    """The policy of an episode whose actions come from outside.

    Args:
        asked: the rollout waits for an action.
        amid: the kernel starts, or a cell runs: nothing is there yet that could be scored.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked = asyncio.Event()
        self.amid = True
        self.opening: tuple[Message, ...] = ()
        self._actions: asyncio.Queue[Action | Exception] = asyncio.Queue()

    async def act(self, conversation: Conversation) -> Action:
        """Wait for an action, for as long as the rollout lets a policy think."""
        self.opening, self.amid = conversation.opening, False
        self.asked.set()
        try:
            action = await self._actions.get()
        except asyncio.CancelledError:
            self.amid = False  # its time is up
            raise
        finally:
            self.asked.clear()
        if isinstance(action, Exception):
            raise action
        return action

    def hand(self, action: Action | Exception) -> None:
        """Answer the rollout, now or when it asks."""
        self.asked.clear()
        self.amid = isinstance(action, Action)
        self._actions.put_nowait(action)


class DrivenEpisode:
    """One episode; as a context it starts the kernel, and leaves the episode at its end.

    Args:
        name: of the policy, under which the episode is recorded.
        play: runs, grades and stores the episode with a policy and a callback for each turn.
    """

    def __init__(
        self,
        name: str,
        play: Callable[[Policy, Callable[[Turn], None]], Coroutine[Any, Any, Episode]],
    ) -> None:
        self._handed = _Handed(name)
        self._play = play
        self._turns: list[Turn] = []
        self._task: asyncio.Task[Episode] | None = None
        self._busy = asyncio.Lock()

    @property
    def over(self) -> bool:
        """Nothing more comes of the episode: it ended, was left amid a cell, or failed."""
        return self._task is not None and self._task.done()

    @property
    def opening(self) -> tuple[Message, ...]:
        """The messages that open the episode, once its kernel is there."""
        return self._handed.opening

    @property
    def ended(self) -> Episode | None:
        """The episode, once it is over; None before, and where it was left amid a cell.

        Raises:
            BenchsideError: it could not be stored.
        """
        done = self._task is not None and self._task.done() and not self._task.cancelled()
        return self._task.result() if self._task is not None and done else None

    @property
    def opening_text(self) -> str:
        """The messages that open the episode, as one text."""
        return "\n\n".join(message.content or "" for message in self.opening)

    async def __aenter__(self) -> Self:
        """Start the kernel.

        Raises:
            InfrastructureError: it did not come up, or the episode was left meanwhile.
        """
        self._task = asyncio.create_task(self._play(self._handed, self._keep))
        try:
            await self._until_asked()
        except BaseException:
            await self.leave()
            raise
        if self.ended is not None:
            scored(self.ended)
        if not self._handed.asked.is_set():
            raise InfrastructureError(LEFT)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.leave()

    async def step(self, action: Action) -> Step:
        """Take one action; of several callers at once, one after the other.

        Raises:
            InfrastructureError: the episode was left, or it failed for no fault of the actor.
        """
        async with self._busy:
            await self._until_asked()  # for who has given up the call before, while its cell ran
            before = len(self._turns)
            if self._handed.asked.is_set():
                self._handed.hand(action)
                await self._until_asked()
            if self.ended is not None:
                scored(self.ended)
            elif not self._handed.asked.is_set():
                raise InfrastructureError(LEFT)
            turn = self._turns[-1] if len(self._turns) > before else None
            return Step(turn, self.ended)

    async def leave(self, why: Exception | None = None) -> None:
        """End the episode if it is not over: unscored, and without a transcript amid a cell.

        One whose last turn was taken, such as a submission, is graded and stored first.

        Args:
            why: a `PolicyError` where the actor is to blame, such as for a full context: a score.
        """
        task = self._task
        if task is None:
            return
        amid = self._handed.amid
        self._handed.hand(why or InfrastructureError(LEFT))
        if amid:
            task.cancel()
        await asyncio.wait([task])

    def _keep(self, turn: Turn) -> None:
        """Note a turn; the rollout then asks for the next action, or ends, without a pause."""
        self._turns.append(turn)
        self._handed.amid = False

    async def _until_asked(self) -> None:
        """Wait until the rollout wants the next action, or until the episode is over."""
        assert self._task is not None
        while not (self.over or self._handed.asked.is_set()):
            asked = asyncio.ensure_future(self._handed.asked.wait())
            try:
                await asyncio.wait([self._task, asked], return_when=asyncio.FIRST_COMPLETED)
            finally:
                asked.cancel()


def scored(episode: Episode) -> Episode:
    """Return an episode that has a reward.

    Raises:
        InfrastructureError: it has none, for no fault of the actor's.
    """
    if episode.outcome in UNSCORED:
        said = "no reason was recorded" if episode.failure is None else episode.failure.message
        if episode.outcome == "grader_error":
            said = "the transcript says why"  # a grader's message may hold gold
        raise InfrastructureError(
            f"the episode is unscored ({episode.outcome}): {said}", where=episode.task.task_id,
            value=episode.episode_id, fix="take another task, or this one again",
        )  # fmt: skip
    return episode


def reward_of(episode: Episode) -> float:
    """Return the reward in [0, 1]; `InfrastructureError` where the episode has none."""
    grade = scored(episode).grade
    return 0.0 if grade is None else grade.reward
