"""Branch-level advantages: several continuations from one cell are compared with each other.

A kernel that is copied by `session.fork()` at a cell is gone on with several times. What a branch
did after the fork is better or worse than what its siblings did, and nothing else: all before it
was the same. What they share, the stem, is worth the mean of what came of it; it is compared with
the other episodes of its task, and trains once, in the first of its branches.

Source: the advantages over siblings of tree-shaped rollouts, as in A. Kazemnejad et al., VinePPO
(2024), with the group's mean instead of rollouts for each step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchside_training.advantages import GroupAdvantages, Scored, group_advantages
from benchside_training.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class BranchAdvantages:
    """What trains, and how.

    Args:
        trajectories: with the loss mask False on tokens that have no advantage.
        gains: (T) float32 for each, the advantage of each token.
        groups, without_signal: of stems and of branches together.
        unscored: episodes without a reward.
    """

    trajectories: tuple[Trajectory, ...]
    gains: tuple[Tensor, ...]
    groups: int
    without_signal: int
    unscored: int


def branch_advantages(
    trajectories: Sequence[Trajectory], *, divide_by_std: bool = True
) -> BranchAdvantages:
    """Return advantages of stems within their task, and of branches among their siblings.

    Args:
        trajectories: of whole groups; those without a fork are stems of their own.
        divide_by_std: by the group's sample standard deviation.
    """
    scored = [one for one in trajectories if one.reward is not None]
    branched = {one.episode: one for one in scored if one.fork is not None}
    siblings = _valued(
        list(branched), [_fork(one) for one in branched.values()],
        [one.reward or 0.0 for one in branched.values()], divide_by_std,
    )  # fmt: skip
    stems: dict[str, list[Trajectory]] = {}
    for one in {one.episode: one for one in scored}.values():
        stems.setdefault(_stem(one), []).append(one)
    worth = [sum(one.reward or 0.0 for one in of) / len(of) for of in stems.values()]
    tasks = _valued(list(stems), [of[0].group for of in stems.values()], worth, divide_by_std)
    first = {min(of, key=lambda one: one.masked).episode for of in stems.values()}
    kept: list[Trajectory] = []
    gains: list[Tensor] = []
    for one in scored:
        own = one.turns >= (0 if one.fork is None else one.fork.turn)  # (T) bool, after the fork
        later = siblings.value(one.episode) if one.fork is not None else tasks.value(_stem(one))
        before = tasks.value(_stem(one)) if one.episode in first else None
        gain = torch.where(own, later or 0.0, before or 0.0)
        trains = torch.where(own, torch.tensor(later is not None), torch.tensor(before is not None))
        mask = one.loss_mask & trains
        if mask.any():
            kept.append(replace(one, loss_mask=mask))
            gains.append(gain.float())
    unscored = len({one.episode for one in trajectories if one.reward is None})
    return BranchAdvantages(
        tuple(kept), tuple(gains), siblings.found.groups + tasks.found.groups,
        siblings.found.without_signal + tasks.found.without_signal, unscored,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Valued:
    names: list[str]
    found: GroupAdvantages

    def value(self, name: str) -> float | None:
        return self.found.values[self.names.index(name)]


def _valued(
    names: list[str], groups: list[str], rewards: list[float], divide_by_std: bool
) -> _Valued:
    members = [Scored(group, reward) for group, reward in zip(groups, rewards, strict=True)]
    return _Valued(names, group_advantages(members, divide_by_std=divide_by_std))


def _stem(one: Trajectory) -> str:
    return one.episode if one.fork is None else one.fork.name


def _fork(one: Trajectory) -> str:
    assert one.fork is not None
    return one.fork.name
