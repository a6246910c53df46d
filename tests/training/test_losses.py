"""Losses against hand-computed numbers, and their gradient against a plain reference."""

import math

import pytest
import torch

from benchside_training.losses import (
    Aggregation,
    aggregate,
    kl_k3,
    policy_loss,
    total,
    value_loss,
)
from benchside_training.token_batch import TokenBatch, packed, padded
from benchside_training.token_scores import token_scores
from tests.training.tiny import tiny_llama


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values)


def test_the_clipped_loss_by_hand() -> None:
    old = tensor(-1, -1, -1, -1, -1)
    ratios = tensor(1.0, 1.5, 0.5, 1.5, 0.5)
    advantages = tensor(2, 2, 2, -2, -2)
    found = policy_loss(old + ratios.log(), old, advantages, clip_low=0.2, clip_high=0.28)
    # a gain is cut at 1.28, a loss at 0.8; what makes it worse counts in full
    assert found.tolist() == pytest.approx([-2.0, -2.56, -1.0, 3.0, 1.6])


def test_kl_and_value_loss_by_hand() -> None:
    found = kl_k3(tensor(-1, -1), tensor(-1, -2))
    assert found.tolist() == pytest.approx([0.0, math.exp(-1) - (-1) - 1])
    losses = value_loss(tensor(1.0, 0.0), tensor(0.5, 0.0), tensor(1.0, 0.4), clip=0.2)
    # the first has come nearer, but from further away than the clip allows: 0.7 counts
    assert losses.tolist() == pytest.approx([0.5 * 0.09, 0.5 * 0.16])


def test_k3_is_unbiased() -> None:
    """Exactly, as an expectation over all outcomes instead of samples."""
    new = torch.log_softmax(tensor(0.3, -1.0, 2.0), 0)
    reference = torch.log_softmax(tensor(-0.5, 0.5, 1.0), 0)
    exact = (new.exp() * (new - reference)).sum()
    assert (new.exp() * kl_k3(new, reference)).sum().item() == pytest.approx(exact.item(), rel=1e-5)


def _batch(lay: str) -> TokenBatch:
    ids = [torch.tensor([3, 4, 5, 6]), torch.tensor([7, 8, 9])]
    masks = [torch.tensor([False, True, True, True]), torch.tensor([False, False, True])]
    return padded(ids, masks) if lay == "padded" else packed(ids, masks, 10)


@pytest.mark.parametrize("lay", ["padded", "packed"])
@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("token", (1 + 2 + 3 + 10) / 4),
        ("sequence", ((1 + 2 + 3) / 3 + 10) / 2),
        ("constant", (1 + 2 + 3 + 10) / (2 * 100)),
    ],
)
def test_aggregation_by_hand(how: Aggregation, expected: float, lay: str) -> None:
    batch = _batch(lay)
    values = batch.laid_out([tensor(50, 1, 2, 3), tensor(50, 50, 10)], fill=50)
    found = aggregate(values, batch, how, total([batch], how, constant_length=100))
    assert found.item() == pytest.approx(expected)


@pytest.mark.parametrize("how", ["token", "sequence", "constant"])
def test_the_parts_of_a_step_add_up_to_the_whole(how: Aggregation) -> None:
    draw = torch.Generator().manual_seed(1)
    ids = [torch.randint(3, 50, (length,), generator=draw) for length in (4, 9, 6)]
    masks = [torch.rand(len(own), generator=draw) < 0.7 for own in ids]
    values = [torch.rand(len(own), generator=draw) for own in ids]

    def loss(numbers: list[int], of: float | None = None) -> tuple[float, TokenBatch]:
        batch = padded([ids[n] for n in numbers], [masks[n] for n in numbers])
        own = batch.laid_out([values[n] for n in numbers])
        return aggregate(own, batch, how, of or total([batch], how, 64)).item(), batch

    whole, _ = loss([0, 1, 2])
    of = total([loss([0])[1], loss([1, 2])[1]], how, 64)
    assert loss([0], of)[0] + loss([1, 2], of)[0] == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize("how", ["token", "sequence", "constant"])
def test_the_gradient_is_that_of_a_plain_implementation(how: Aggregation) -> None:
    """One sequence after another, whole logits, loops over tokens: nothing shared with ours."""
    ids = [torch.tensor([3, 4, 5, 6, 2]), torch.tensor([7, 8, 2])]
    masks = [torch.tensor([False, True, True, False, True]), torch.tensor([False, True, True])]
    olds = [torch.full((5,), -3.8), torch.full((3,), -4.1)]
    advantages, weight = [1.5, -0.5], 0.1

    ours, reference = tiny_llama(), tiny_llama(seed=1)
    batch = packed(ids, masks, 16)
    new = token_scores(ours, batch, 0.8).logprobs
    with torch.no_grad():
        fixed = token_scores(reference, batch, 0.8).logprobs
    old = batch.laid_out(olds)
    gain = batch.laid_out(
        [torch.full((len(own),), a) for own, a in zip(ids, advantages, strict=True)]
    )
    values = policy_loss(new, old, gain, 0.2, 0.28) + weight * kl_k3(new, fixed)
    loss = aggregate(values, batch, how, total([batch], how, 100))
    loss.backward()  # type: ignore[no-untyped-call]

    plain = tiny_llama()
    sums = []
    for own, mask, before, advantage in zip(ids, masks, olds, advantages, strict=True):
        logs = torch.log_softmax(plain(input_ids=own[None]).logits[0] / 0.8, -1)
        with torch.no_grad():
            others = torch.log_softmax(reference(input_ids=own[None]).logits[0] / 0.8, -1)
        parts = []
        for at in range(1, len(own)):
            if not mask[at]:
                continue
            log, other = logs[at - 1, own[at]], others[at - 1, own[at]]
            ratio = torch.exp(log - before[at])
            limited = max(min(ratio.item(), 1.28), 0.8)
            gained = (
                ratio * advantage
                if ratio * advantage <= limited * advantage
                else (torch.tensor(limited * advantage))
            )
            parts.append(-gained + weight * (torch.exp(other - log) - (other - log) - 1))
        sums.append(parts)
    count = sum(map(len, sums))
    expected = {
        "token": lambda: sum(map(sum, sums)) / count,
        "sequence": lambda: sum(sum(parts) / len(parts) for parts in sums) / 2,
        "constant": lambda: sum(map(sum, sums)) / 200,
    }[how]()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for (name, mine), theirs in zip(ours.named_parameters(), plain.parameters(), strict=True):
        assert mine.grad is not None
        assert mine.grad.abs().max() > 0, name
        torch.testing.assert_close(mine.grad, theirs.grad, atol=1e-6, rtol=1e-4)
