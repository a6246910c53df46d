"""Losses over the tokens of a batch, as plain functions of tensors.

All tensors are (R, T) as in `TokenBatch`; `mask` is True on the tokens that train. A step that is
computed in parts (gradient accumulation) passes the `total` of the whole step to each part, so that
the parts add up to exactly the loss of the whole.

Sources: J. Schulman et al., Proximal Policy Optimization Algorithms (2017); Z. Shao et al.,
DeepSeekMath (2024), GRPO; Q. Yu et al., DAPO (2025), a higher upper clip and token-level means;
Z. Liu et al., Understanding R1-Zero-Like Training (2025), Dr. GRPO's constant length;
J. Schulman, Approximating KL Divergence (2020), the estimator k3.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from benchside_training.token_batch import TokenBatch

Aggregation = Literal["token", "sequence", "constant"]
"""How losses of tokens become one: the mean over all tokens; the mean over sequences of their
tokens' mean; the sum over tokens divided by the number of sequences times a constant length."""


def total(batches: list[TokenBatch], how: Aggregation, constant_length: int = 1) -> float:
    """Return what the losses of a step's tokens are divided by."""
    if how == "token":
        return float(sum(map(int, (batch.loss_mask.sum() for batch in batches))))
    count = sum(int((_lengths(batch) > 0).sum()) for batch in batches)
    return float(count * constant_length) if how == "constant" else float(count)


def aggregate(values: Tensor, batch: TokenBatch, how: Aggregation, total: float) -> Tensor:
    """Return the loss of a batch from those of its tokens.

    Args:
        values: (R, T) loss of each token.
        total: of the whole step, from `total`.
    """
    mask = batch.loss_mask
    if how != "sequence":
        return values[mask].sum() / total
    return (values[mask] / _lengths(batch)[batch.sequences[mask]]).sum() / total


def _lengths(batch: TokenBatch) -> Tensor:
    """(sequences) int64, the number of trained tokens of each sequence."""
    return torch.bincount(batch.sequences[batch.loss_mask])


def policy_loss(
    new: Tensor, old: Tensor, advantages: Tensor, clip_low: float, clip_high: float
) -> Tensor:
    """Return PPO's clipped loss of each token; its gradient raises what has an advantage.

    Args:
        new, old: log-probabilities now and when sampled; `old` carries no gradient.
        advantages: of each token.
        clip_low, clip_high: the ratio counts only between 1 - clip_low and 1 + clip_high.
    """
    ratio = torch.exp(new - old)
    clipped = ratio.clamp(1 - clip_low, 1 + clip_high)
    return -torch.minimum(ratio * advantages, clipped * advantages)


def kl_k3(new: Tensor, reference: Tensor) -> Tensor:
    """Return an unbiased, never negative estimate of KL(new ‖ reference) at each token."""
    difference = reference - new
    return torch.exp(difference) - difference - 1


def value_loss(values: Tensor, before: Tensor, returns: Tensor, clip: float) -> Tensor:
    """Return PPO's clipped squared error of each value, half of it.

    Args:
        values, before: the value now and when the rollout was scored.
        clip: the value counts only within this distance of `before`.
    """
    near = before + (values - before).clamp(-clip, clip)
    return 0.5 * torch.maximum((values - returns) ** 2, (near - returns) ** 2)
