"""Advantages: how much better an episode, a turn or a token did than was to be expected.

Rewards that are None (infrastructure or a grader failed) are in no mean and get no advantage. A
group whose rewards are all equal says nothing about what to do better: it carries no signal, and is
counted and left out rather than trained on with zeros.

Sources: as in `losses`; J. Schulman et al., High-Dimensional Continuous Control Using Generalized
Advantage Estimation (2015).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchside_training.trajectory import Trajectory

EPSILON = 1e-4
"""Added to a standard deviation before it divides, as TRL does."""


@dataclass(frozen=True, slots=True)
class Scored:
    """An episode's reward in its group; None where it is not to be learned from."""

    group: str
    reward: float | None


@dataclass(frozen=True, slots=True)
class GroupAdvantages:
    """Advantages by episode, in the order of the episodes, and what was left out.

    Args:
        values: None for an episode that is left out.
        groups, without_signal: groups in all, and those whose rewards are all equal.
        unscored: episodes without a reward.
    """

    values: tuple[float | None, ...]
    groups: int
    without_signal: int
    unscored: int


def group_advantages(episodes: Sequence[Scored], *, divide_by_std: bool = True) -> GroupAdvantages:
    """Return the advantage of each episode over the mean of its group (GRPO).

    Args:
        divide_by_std: by the group's sample standard deviation; False as in Dr. GRPO.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for number, episode in enumerate(episodes):
        members[episode.group].append(number)
    values: list[float | None] = [None] * len(episodes)
    silent = 0
    for numbers in members.values():
        known = [(n, reward) for n in numbers if (reward := episodes[n].reward) is not None]
        if len({reward for _, reward in known}) < 2:  # also where fewer than two are left
            silent += 1
            continue
        rewards = torch.tensor([reward for _, reward in known], dtype=torch.float64)
        centred = rewards - rewards.mean()
        if divide_by_std:
            centred = centred / (rewards.std() + EPSILON)
        for (number, _), value in zip(known, centred.tolist(), strict=True):
            values[number] = value
    unscored = sum(episode.reward is None for episode in episodes)
    return GroupAdvantages(tuple(values), len(members), silent, unscored)


@dataclass(frozen=True, slots=True)
class Estimates:
    """Advantages and returns, of the shape of the values they were made of, float32."""

    advantages: Tensor
    returns: Tensor


def gae(rewards: Tensor, values: Tensor, discount: float, decay: float) -> Estimates:
    """Return generalised advantage estimates over the steps of one finished episode.

    Args:
        rewards: (N) received after each step.
        values: (N) expected before each step; after the last one nothing is expected.
        discount: gamma; decay: lambda.
    """
    advantages = torch.zeros_like(values)
    following, later = 0.0, 0.0
    for step in range(len(values) - 1, -1, -1):
        error = float(rewards[step]) + discount * following - float(values[step])
        later = error + discount * decay * later
        advantages[step] = later
        following = float(values[step])
    return Estimates(advantages, advantages + values)


def trajectory_gae(
    trajectory: Trajectory, values: Tensor, discount: float, decay: float, *, by_turn: bool = False
) -> Estimates:
    """Return the estimates of a trajectory's tokens, 0 where nothing was sampled.

    The reward comes with the last sampled token. Observations are no steps: the step after an
    action's last token is the next action's first.

    Args:
        values: (T) expected before each token; only those at sampled tokens count.
        by_turn: an action is one step, valued before its first token; its tokens share what it
            gets.

    Raises:
        ValueError: the trajectory has no reward.
    """
    if trajectory.reward is None:
        raise ValueError(f"episode {trajectory.episode} has no reward")
    sampled = trajectory.loss_mask
    numbers = trajectory.turns[sampled]
    held = values[sampled].float()
    steps = torch.arange(len(numbers))  # the step that each sampled token belongs to
    if by_turn:
        first = torch.cat([torch.ones(1, dtype=torch.bool), numbers[1:] != numbers[:-1]])
        steps = first.cumsum(0) - 1
        held = held[first]
    rewards = torch.zeros_like(held)
    rewards[-1] = trajectory.reward
    found = gae(rewards, held, discount, decay)
    advantages, returns = torch.zeros(len(trajectory)), torch.zeros(len(trajectory))
    advantages[sampled] = found.advantages[steps]
    returns[sampled] = found.returns[steps]
    return Estimates(advantages, returns)


def whitened(values: Tensor, mask: Tensor) -> Tensor:
    """Return values with mean 0 and standard deviation 1 over a mask, 0 elsewhere."""
    own = values[mask]
    scaled = (own - own.mean()) / (own.std(correction=0) + 1e-8)
    return torch.zeros_like(values).masked_scatter(mask, scaled)
