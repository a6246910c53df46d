"""Suites as Gymnasium environments, registered as `benchside/SUITE-v0` when this is imported.

    import benchside.serving.gym_env
    env = gymnasium.make("benchside/power-v0")

An observation is the text that a policy would be shown, an action is the source of a cell; a cell
that calls `submit(value)` terminates the episode, a limit of the task truncates it. The reward is
the grade, given at the end. An episode without one, for no fault of the actor's, raises.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import gymnasium
from gymnasium.spaces import Text

from benchside.errors import InputError
from benchside.manifests import suite_names
from benchside.policy import Turn
from benchside.protocol import cut_middle, run_cell_action
from benchside.serving.desk import Desk, DeskOnDemand, Offer
from benchside.serving.driven import DrivenEpisode, reward_of
from benchside.task import Split
from benchside_kernels.sandbox import Level

Result = TypeVar("Result")

MAX_OBSERVATION_CHARS = 100_000
MAX_CODE_CHARS = 20_000


class UnicodeText(Text):
    """All texts of the basic multilingual plane, up to a length."""

    CHARACTERS = frozenset(map(chr, (*range(0xD800), *range(0xE000, 0x10000))))

    def __init__(self, max_length: int, min_length: int = 0) -> None:
        super().__init__(max_length, min_length=min_length, charset=self.CHARACTERS)

    def __repr__(self) -> str:
        """Without the 63,488 characters."""
        return f"UnicodeText({self.max_length}, min_length={self.min_length})"

    def fitted(self, text: str) -> str:
        """Return a text in this space: cut in the middle, rare characters replaced."""
        known = "".join(char if char in self.character_set else "\N{REPLACEMENT CHARACTER}"
                        for char in text)  # fmt: skip
        return cut_middle(known, self.max_length)


class SuiteEnv(gymnasium.Env[str, str]):
    """Tasks of a suite, one after the other, each in a fresh kernel.

    Args:
        target: a suite, or one task of it as SUITE/TASK-ID.
        split, limit: as of `benchside run`; a task is drawn for each episode.
        policy: name under which the episodes are recorded.
        out: folder for run folders, one for each process; None for `runs/`.
        isolation: None for the strongest that the machine gives.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 (as the base class declares it)

    def __init__(
        self,
        target: str,
        *,
        split: Split | None = None,
        limit: int | None = None,
        policy: str = "gym",
        out: str | Path | None = None,
        isolation: Level | None = None,
    ) -> None:
        self._texts = UnicodeText(MAX_OBSERVATION_CHARS)
        self.observation_space = self._texts
        self.action_space = UnicodeText(MAX_CODE_CHARS, min_length=1)
        self._offer = Offer(
            target=target, policy=policy, split=split, limit=limit, isolation=isolation,
            out=None if out is None else Path(out),
        )  # fmt: skip
        self._shared: _SharedDesk | None = None
        self._episode: DrivenEpisode | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Start an episode; one that was not over is left unscored.

        Args:
            seed: of the choice of tasks and of the kernels.
            options: `{"task_id": ...}` chooses the task.

        Raises:
            BenchsideError: the suite or the task cannot be had, or no kernel came up.
        """
        super().reset(seed=seed)
        self._leave()
        if self._shared is None:
            self._shared = _shared_desk(self._offer)
        desk = self._shared.desk
        drawn, kernel_seed = self.np_random.integers([len(desk.tasks), 2**31])
        chosen = (options or {}).get("task_id")
        task = desk.tasks[drawn] if chosen is None else desk.task(chosen)
        self._episode = desk.episode(task, int(kernel_seed))
        self._shared.do(self._episode.__aenter__())
        return self._shown(self._episode.opening_text), {"task_id": task.task_id}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Run a cell.

        Raises:
            InputError: no episode is running; reset first.
            InfrastructureError: the episode has no reward, for no fault of the actor's.
        """
        if self._episode is None or self._shared is None:
            raise InputError("no episode is running", where="step", fix="call reset() first")
        step = self._shared.do(self._episode.step(run_cell_action(action)))
        info: dict[str, Any] = {"status": _status(step.turn)}
        ended = step.ended
        if ended is None:
            return self._shown(step.text), 0.0, False, False, info
        self._episode = None
        info |= {
            "outcome": ended.outcome, "end_reason": ended.end_reason,
            "transcript": str(self._shared.desk.folder.transcript_path(ended.episode_id)),
        }  # fmt: skip
        return (
            self._shown(step.text), reward_of(ended), ended.terminated, ended.truncated, info,
        )  # fmt: skip

    def close(self) -> None:
        """Leave the episode; the kernels' owner ends with the last environment of the process."""
        self._leave()
        shared, self._shared = self._shared, None
        if shared is not None:
            shared.release()

    def _leave(self) -> None:
        episode, self._episode = self._episode, None
        if episode is not None and self._shared is not None:
            self._shared.do(episode.leave())

    def _shown(self, text: str) -> str:
        return self._texts.fitted(text)


def _status(turn: Turn | None) -> str:
    return "none" if turn is None or turn.result is None else turn.result.status


class _SharedDesk:
    """A desk in a thread of its own, for the environments of this process with one offer.

    The thread is a daemon: a program that forgets to close its environments ends all the same, and
    its kernels with it.
    """

    def __init__(self, offer: Offer) -> None:
        self.users = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._on_demand = DeskOnDemand(offer)
        try:
            self.desk: Desk = self.do(self._on_demand.get())
        except BaseException:
            self._end()
            raise

    def do(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine there and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def release(self) -> None:
        """One environment less; the last one closes the desk."""
        self.users -= 1
        if self.users == 0:
            for key in [key for key, shared in _OPEN.items() if shared is self]:
                del _OPEN[key]
            self._end()

    def _end(self) -> None:
        self.do(self._on_demand.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


_OPEN: dict[tuple[int, Offer], _SharedDesk] = {}
"""By process, since a vector environment forks its workers, and by offer."""


def _shared_desk(offer: Offer) -> _SharedDesk:
    key = (os.getpid(), offer)
    if key not in _OPEN:
        place = None if offer.out is None else offer.out / f"{offer.suite}-{os.getpid()}"
        _OPEN[key] = _SharedDesk(offer.model_copy(update={"out": place}))
    _OPEN[key].users += 1
    return _OPEN[key]


for _name in suite_names():
    gymnasium.register(
        f"benchside/{_name}-v0",
        entry_point=f"{__name__}:SuiteEnv",
        kwargs={"target": _name},
    )
