"""Advantages of branches against numbers worked out by hand, and what an update makes of them."""

from dataclasses import replace

import torch

from benchside_training.branches import branch_advantages
from benchside_training.policy_update import UpdateConfig, update
from benchside_training.trajectory import Fork, Trajectory, trajectories
from tests.training.tiny import episode_of, sampled, tiny_llama


def branch(number: int, reward: float | None, fork: str | None, last: int) -> Trajectory:
    """Two turns: 5 is said first; then, after the fork, something else."""
    turns = [sampled([3], [5]), sampled([4], [last])]
    (found,) = trajectories(episode_of(turns, reward, sample=number))
    return replace(found, fork=None if fork is None else Fork(fork, 1))


def tree() -> list[Trajectory]:
    """One task: stem a parts into 1, 0 and an unscored one; stem b into 0 and 0; c goes alone."""
    return [
        branch(0, 1.0, "a", 6), branch(1, 0.0, "a", 7), branch(2, None, "a", 8),
        branch(3, 0.0, "b", 9), branch(4, 0.0, "b", 10), branch(5, 1.0, None, 11),
    ]  # fmt: skip


def test_branches_are_compared_with_siblings_and_stems_within_their_task() -> None:
    found = branch_advantages(tree(), divide_by_std=False)
    # stems are worth 1/2, 0 and 1, their mean is 1/2; siblings of a have the mean 1/2, those of b 0
    gains = {
        one.episode: [gain[one.loss_mask].tolist(), one.input_ids[one.loss_mask].tolist()]
        for one, gain in zip(found.trajectories, found.gains, strict=True)
    }
    assert gains == {
        "t/1-0": [[0.0, 0.5], [5, 6]],  # a's stem trains here, and only here
        "t/1-1": [[-0.5], [7]],
        "t/1-3": [[-0.5], [5]],  # b's stem; its branches are equal and say nothing
        "t/1-5": [[0.5, 0.5], [5, 11]],
    }
    assert (found.groups, found.without_signal, found.unscored) == (3, 1, 1)
    # where the first branch is masked, the stem trains in another
    first, *others = tree()
    masked = branch_advantages([replace(first, masked=True), *others], divide_by_std=False)
    by_name = {one.episode: one.input_ids[one.loss_mask].tolist() for one in masked.trajectories}
    assert by_name["t/1-1"] == [5, 7]
    # sample standard deviations: siblings of a √½, stems ½
    scaled = branch_advantages(tree())
    first = scaled.gains[0][scaled.trajectories[0].loss_mask]
    torch.testing.assert_close(first, torch.tensor([0.0, 0.5 / (0.5**0.5 + 1e-4)]))
    torch.testing.assert_close(scaled.gains[2].min(), torch.tensor(-0.5 / (0.5 + 1e-4)))


def test_an_update_raises_the_better_branch() -> None:
    model = tiny_llama(vocabulary=16)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.5)
    ids = torch.tensor([[3, 5, 4]])
    before = torch.log_softmax(model(ids).logits[0, -1], -1)
    pair = [branch(0, 1.0, "a", 6), branch(1, 0.0, "a", 7)]
    config = UpdateConfig(branches=True, clip_low=10, clip_high=10)
    report = update(model, optimiser, pair, config, version=1)
    after = torch.log_softmax(model(ids).logits[0, -1], -1)
    assert report.tokens == 2  # the stem says nothing: there is no other in its task
    assert after[6] > before[6]
    assert after[7] < before[7]
