"""Advantages by hand, what is left out, and a bandit that every method learns."""

import math
import statistics
from collections.abc import Callable

import pytest
import torch

from benchside.errors import IntegrityError
from benchside_training.advantages import (
    Scored,
    gae,
    group_advantages,
    trajectory_gae,
    whitened,
)
from benchside_training.losses import kl_k3, policy_loss, value_loss
from benchside_training.ratios import check_same, compare, fresh
from benchside_training.trajectory import trajectories
from tests.training.tiny import episode_of, sampled


def test_group_advantages_by_hand() -> None:
    episodes = [
        Scored("a", 1.0), Scored("b", 0.0), Scored("a", 0.0), Scored("a", None), Scored("a", 0.5),
        Scored("b", 0.0), Scored("c", 1.0), Scored("c", None), Scored("d", None),
    ]  # fmt: skip
    found = group_advantages(episodes)
    std = statistics.stdev([1.0, 0.0, 0.5])
    expected = [0.5 / (std + 1e-4), None, -0.5 / (std + 1e-4), None, 0.0, None, None, None, None]
    assert found.values == pytest.approx(tuple(expected))
    # b is all wrong, c has one score left and d none: nothing to compare
    assert (found.groups, found.without_signal, found.unscored) == (4, 3, 3)
    plain = group_advantages(episodes, divide_by_std=False).values
    assert plain[0] == 0.5 and plain[2] == -0.5


def test_gae_by_hand() -> None:
    values, rewards = torch.tensor([0.5, 0.2, 0.6]), torch.tensor([0.0, 0.0, 1.0])
    found = gae(rewards, values, discount=0.9, decay=0.8)
    third = 1 - 0.6
    second = 0.9 * 0.6 - 0.2 + 0.72 * third
    first = 0.9 * 0.2 - 0.5 + 0.72 * second
    assert found.advantages.tolist() == pytest.approx([first, second, third])
    assert found.returns.tolist() == pytest.approx([first + 0.5, second + 0.2, 1.0])
    plain = gae(rewards, values, discount=1.0, decay=1.0)
    assert plain.returns.tolist() == pytest.approx([1.0, 1.0, 1.0])  # Monte Carlo


def test_gae_steps_over_observations_and_by_turn_over_tokens() -> None:
    episode = episode_of([sampled([5, 6], [7, 2]), sampled([9, 9], [4, 4, 2])], reward=1.0)
    (trajectory,) = trajectories(episode)
    values = torch.tensor([9, 9, 0.5, 0.1, 9, 9, 0.8, 0.7, 0.9])  # 9: never to be looked at
    by_token = trajectory_gae(trajectory, values, 1.0, 0.5)
    held = torch.tensor([0.5, 0.1, 0.8, 0.7, 0.9])
    expected = gae(torch.tensor([0.0, 0, 0, 0, 1]), held, 1.0, 0.5)
    mask = trajectory.loss_mask
    assert by_token.advantages[mask].tolist() == pytest.approx(expected.advantages.tolist())
    assert by_token.advantages[~mask].tolist() == [0] * 4
    by_turn = trajectory_gae(trajectory, values, 1.0, 0.5, by_turn=True)
    first, second = 0.8 - 0.5 + 0.5 * 0.2, 1 - 0.8
    assert by_turn.advantages[mask].tolist() == pytest.approx([first] * 2 + [second] * 3)
    assert by_turn.returns[mask].tolist() == pytest.approx([first + 0.5] * 2 + [1.0] * 3)
    (unscored,) = trajectories(episode_of([sampled([5], [2])], reward=None))
    with pytest.raises(ValueError, match="no reward"):
        trajectory_gae(unscored, torch.zeros(2), 1.0, 1.0)


def test_whitened_has_mean_0_and_deviation_1_where_it_counts() -> None:
    mask = torch.tensor([[True, True, False], [True, False, False]])
    found = whitened(torch.tensor([[1.0, 2, 100], [6, 100, 100]]), mask)
    assert found[~mask].tolist() == [0, 0, 0]
    assert found[mask].mean().item() == pytest.approx(0, abs=1e-6)
    assert found[mask].std(correction=0).item() == pytest.approx(1, abs=1e-6)


def test_ratios_by_hand_and_what_is_not_the_same() -> None:
    generator = torch.log(torch.tensor([[0.5, 0.25, 0.1]]))
    trainer = torch.log(torch.tensor([[0.25, 0.5, 0.9]]))
    mask = torch.tensor([[True, True, False]])
    found = compare(trainer, generator, mask)
    assert (found.mean, found.tokens) == (pytest.approx(1.25), 2)  # ratios 0.5 and 2
    assert found.largest_log == pytest.approx(math.log(2))
    assert found.kl == pytest.approx((0.5 - 1 + math.log(2) + 2 - 1 - math.log(2)) / 2)
    assert found.effective_share == pytest.approx(2.5**2 / (2 * 4.25))
    check_same(compare(generator + 1e-6, generator, mask), most_kl=1e-6)
    for wrong in (trainer, torch.full((1, 3), float("nan"))):
        with pytest.raises(IntegrityError, match="other probabilities"):
            check_same(compare(wrong, generator, mask), most_kl=1e-3)


def test_what_is_too_old_is_left_out_and_counted() -> None:
    found = [
        trajectories(episode_of([sampled([5], [2], version=4), sampled([6], [2], version=late)]))[0]
        for late in (4, 5, 2)
    ]
    kept, old = fresh(found, version=5, max_staleness=1)
    assert (kept, old) == (found[:2], 1)


ARMS = torch.tensor([0.1, 0.2, 0.9, 0.3])  # probability of a reward
Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def _grouped(*, divide_by_std: bool) -> Loss:
    """GRPO: 8 groups of 16 draws."""

    def loss(
        new: torch.Tensor, old: torch.Tensor, rewards: torch.Tensor, _: torch.Tensor
    ) -> torch.Tensor:
        scored = [Scored(str(n // 16), reward) for n, reward in enumerate(rewards.tolist())]
        found = group_advantages(scored, divide_by_std=divide_by_std).values
        kept = torch.tensor([value is not None for value in found])
        advantages = torch.tensor([value or 0.0 for value in found])
        return (
            policy_loss(new, old, advantages, 0.2, 0.28)[kept].mean()
            + 1e-3 * kl_k3(new, old).mean()
        )

    return loss


def _valued(
    new: torch.Tensor, old: torch.Tensor, rewards: torch.Tensor, value: torch.Tensor
) -> torch.Tensor:
    """PPO: one step per episode, its value learned beside it."""
    steps = [gae(reward[None], value.detach()[None], 1.0, 0.95) for reward in rewards]
    advantages = torch.cat([step.advantages for step in steps])
    returns = torch.cat([step.returns for step in steps])
    guesses = value.expand(len(returns))
    learned = value_loss(guesses, guesses.detach(), returns, clip=0.5).mean()
    normal = whitened(advantages, torch.ones_like(advantages, dtype=torch.bool))
    return policy_loss(new, old, normal, 0.2, 0.2).mean() + learned


def _likelihood(
    new: torch.Tensor, old: torch.Tensor, rewards: torch.Tensor, _: torch.Tensor
) -> torch.Tensor:
    """Expert iteration: the likelihood of what succeeded."""
    return -(new * rewards).sum() / rewards.sum().clamp(min=1)


@pytest.mark.parametrize(
    "loss", [_grouped(divide_by_std=True), _grouped(divide_by_std=False), _valued, _likelihood]
)
def test_each_method_learns_the_best_arm_of_a_bandit(loss: Loss) -> None:
    draw = torch.Generator().manual_seed(0)
    logits = torch.zeros(4, requires_grad=True)
    value = torch.zeros((), requires_grad=True)
    optimiser = torch.optim.Adam([logits, value], lr=0.1)
    for _ in range(80):
        probabilities = logits.softmax(0).detach()
        arms = torch.multinomial(probabilities, 128, replacement=True, generator=draw)
        rewards = (torch.rand(128, generator=draw) < ARMS[arms]).float()
        old = probabilities.log()[arms]
        new = logits.log_softmax(0)[arms]
        optimiser.zero_grad()
        loss(new, old, rewards, value).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    learned = logits.softmax(0)
    assert learned.argmax() == 2
    assert learned[2] > 0.9
    if loss is _valued:
        assert value.item() == pytest.approx(0.9, abs=0.1)
