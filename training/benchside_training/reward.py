"""Rewards as named parts, so that each can be weighted, and is logged, on its own.

    correct   1 where the grader passed the answer
    partial   the grader's own reward: partial credit where the task has it
    typed     1 where something was submitted that is of the type the task asks for
    clean     share of the cells that ended without an error; 0 where none was run

The last two can be had without solving anything: give them little weight, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pydantic import Field, JsonValue, model_validator

from benchside.episode import UNSCORED, Episode
from benchside.task import AnswerSchema, Frozen

Reward = Callable[[Episode], float | None]
"""What is learned from an episode; None where it is left out."""


class Parts(NamedTuple):
    """Parts of one episode's reward, each in [0, 1]."""

    correct: float
    partial: float
    typed: float
    clean: float


class RewardWeights(Frozen):
    """What each part counts; the reward is their weighted mean, in [0, 1]."""

    correct: float = Field(0.0, ge=0)
    partial: float = Field(1.0, ge=0)
    typed: float = Field(0.0, ge=0)
    clean: float = Field(0.0, ge=0)

    @model_validator(mode="after")
    def _some(self) -> RewardWeights:
        if not any(self._all):
            raise ValueError("give at least one part of the reward a weight")
        return self

    @property
    def _all(self) -> tuple[float, ...]:
        return self.correct, self.partial, self.typed, self.clean

    def reward(self, episode: Episode) -> float | None:
        """Return an episode's reward; None where infrastructure or the grader failed."""
        parts = reward_parts(episode)
        if parts is None:
            return None
        weighted = (weight * part for weight, part in zip(self._all, parts, strict=True))
        return sum(weighted) / sum(self._all)


def reward_parts(episode: Episode) -> Parts | None:
    """Return the parts of an episode's reward; None where infrastructure or the grader failed."""
    grade = episode.grade
    if episode.outcome in UNSCORED or grade is None:
        return None
    cells = [turn.result.status == "ok" for turn in episode.turns if turn.result is not None]
    submitted = episode.submission
    return Parts(
        correct=float(grade.passed),
        partial=grade.reward,
        typed=float(submitted is not None and _is_of(submitted.value, episode.task.answer)),
        clean=sum(cells) / len(cells) if cells else 0.0,
    )


def mean_parts(episodes: Sequence[Episode]) -> Parts | None:
    """Return the mean of each part over the scored episodes; None where there are none."""
    found = [parts for one in episodes if (parts := reward_parts(one)) is not None]
    if not found:
        return None
    return Parts(*(sum(part) / len(found) for part in zip(*found, strict=True)))


def _is_of(value: JsonValue, answer: AnswerSchema) -> bool:
    """Whether a value is of the kind that is asked for; what it says does not matter."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match answer.kind:
        case "number":
            return number
        case "integer":
            return number and value == int(value)  # type: ignore[arg-type]  # it is a number
        case "boolean":
            return isinstance(value, bool)
        case "set" | "list" | "table":
            return isinstance(value, list)
        case "record":
            return isinstance(value, dict)
        case _:  # text, code, and times as text
            return isinstance(value, str)
