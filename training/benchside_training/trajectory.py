"""`Trajectory`: the tokens of an episode as they were given and sampled, and its reward.

Nothing is tokenised here: ids, log-probabilities and versions are those that the episode's actions
recorded, one after another. Where a history was rewritten between two actions (`Tokens.restarted`),
what was sampled later was sampled after another text, so an episode has several trajectories then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from benchside.episode import UNSCORED, Episode
from benchside.errors import InputError
from benchside.policy import Tokens

NO_TURN = -1
NO_VERSION = -1


class Fork(NamedTuple):
    """Where an episode parted from its siblings: they share a name, and all turns before `turn`."""

    name: str
    turn: int


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One unbroken run of tokens, T of them; all tensors are on the CPU.

    Args:
        input_ids: (T) int64.
        loss_mask: (T) bool, True on sampled tokens, the ends of the model's turns included.
        logprobs: (T) float32, of the sampled tokens when they were sampled; 0 elsewhere.
        versions: (T) int64, of the policy that sampled each token; -1 elsewhere.
        turns: (T) int64, the turn in which each token was sampled, from 0; -1 elsewhere.
        reward: in [0, 1]; None where infrastructure or a grader failed: not to be learned from.
        group: task hash: rewards of one group are compared with each other.
        episode: its id; several trajectories may be of one episode.
        fork: None where the episode is no continuation of a copied kernel.
        masked: its reward counts among those of its group, but none of its tokens are trained on.
    """

    input_ids: Tensor
    loss_mask: Tensor
    logprobs: Tensor
    versions: Tensor
    turns: Tensor
    reward: float | None
    group: str
    episode: str
    fork: Fork | None = None
    masked: bool = False

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def oldest_version(self) -> int:
        """The oldest version that sampled any of its tokens."""
        return int(self.versions[self.loss_mask].min())


def trajectories(episode: Episode) -> tuple[Trajectory, ...]:
    """Return an episode's trajectories: one, or one more for each restart.

    Raises:
        InputError: an action has no tokens; training on what was sampled is impossible then.
    """
    segments: list[list[tuple[int, Tokens]]] = []
    for number, turn in enumerate(episode.turns):
        tokens = turn.action.tokens
        if tokens is None:
            raise InputError(
                "this action has no tokens, so what was sampled is not known",
                where=f"episode {episode.episode_id}, turn {number + 1}", value=episode.policy,
                fix="train on episodes of a policy that records tokens, such as hf:PATH, or make "
                "examples of the messages",
            )  # fmt: skip
        if tokens.restarted or not segments:
            segments.append([])
        segments[-1].append((number, tokens))
    reward = None
    if episode.outcome not in UNSCORED and episode.grade is not None:
        reward = episode.grade.reward
    return tuple(
        _joined(segment, reward, episode)
        for segment in segments
        if any(tokens.sampled_ids for _, tokens in segment)
    )


def only_trajectory(episode: Episode) -> Trajectory:
    """Return the trajectory of an episode, for a trainer that has no place for a second one.

    Raises:
        InputError: there are several, or none.
    """
    found = trajectories(episode) if episode.turns else ()
    if len(found) != 1:
        raise InputError(
            f"the episode is {len(found)} sequences of tokens, the trainer takes one",
            where=f"episode {episode.episode_id}", value=episode.outcome,
            fix="take a chat template that does not rewrite history, or benchside_training.rl",
        )  # fmt: skip
    return found[0]


def _joined(
    segment: Sequence[tuple[int, Tokens]], reward: float | None, episode: Episode
) -> Trajectory:
    ids: list[int] = []
    mask: list[bool] = []
    logprobs: list[float] = []
    versions: list[int] = []
    turns: list[int] = []
    for number, tokens in segment:
        given, sampled = len(tokens.context_ids), len(tokens.sampled_ids)
        ids += [*tokens.context_ids, *tokens.sampled_ids]
        mask += [False] * given + [True] * sampled
        logprobs += [0.0] * given + list(tokens.logprobs)
        versions += [NO_VERSION] * given + list(tokens.versions)
        turns += [NO_TURN] * given + [number] * sampled
    return Trajectory(
        input_ids=torch.tensor(ids, dtype=torch.int64),
        loss_mask=torch.tensor(mask, dtype=torch.bool),
        logprobs=torch.tensor(logprobs, dtype=torch.float32),
        versions=torch.tensor(versions, dtype=torch.int64),
        turns=torch.tensor(turns, dtype=torch.int64),
        reward=reward,
        group=episode.task.hash,
        episode=episode.episode_id,
        fork=None if episode.fork is None else Fork(episode.fork.stem, episode.fork.turn),
    )
