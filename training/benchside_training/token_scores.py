"""What a causal language model gives for the tokens of a batch: log-probability and entropy.

Logits are asked for only in columns that hold a trained token: with long observations between short
actions, those of all tokens would be most of the memory. They come from the model's own forward
pass, never from its head alone, since some models scale or cap them after the head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchside_training.token_batch import TokenBatch


@dataclass(frozen=True, slots=True)
class TokenScores:
    """Per token; 0 where the loss mask is False.

    Args:
        logprobs: (R, T) float32, of each token given all before it in its sequence.
        entropy: (R, T) float32, in nats, of the distribution that the token was drawn from; it
            carries no gradient.
        hidden: (R, T, D), last hidden state *before* each token, which is what predicts it; None
            where it was not asked for.
    """

    logprobs: Tensor
    entropy: Tensor
    hidden: Tensor | None


def token_scores(
    model: torch.nn.Module, batch: TokenBatch, temperature: float = 1.0, *, hidden: bool = False
) -> TokenScores:
    """Score a batch.

    Args:
        model: a transformers model with a language head, in an adapter or not.
        temperature: that the tokens were sampled at; the distribution is the tempered one.
        hidden: keep the hidden states, for a value head.
    """
    mask = batch.loss_mask
    columns = mask.any(dim=0).nonzero()[:, 0] - 1  # the logits at t - 1 are about token t
    outputs: Any = model(
        **batch.model_inputs,
        logits_to_keep=columns,
        use_cache=False,
        output_hidden_states=hidden,
    )
    own = mask[:, columns + 1]
    logits = outputs.logits[own].float() / temperature  # (trained tokens, vocabulary)
    logs = torch.log_softmax(logits, dim=-1)
    drawn = logs.gather(-1, batch.input_ids[mask][:, None])[:, 0]
    with torch.no_grad():
        spread = -(logs.exp() * logs).sum(-1)
    nothing = torch.zeros(mask.shape, dtype=torch.float32, device=logits.device)
    states = None
    if hidden:
        last = outputs.hidden_states[-1]
        states = torch.cat([torch.zeros_like(last[:, :1]), last[:, :-1]], dim=1)
    return TokenScores(
        logprobs=nothing.masked_scatter(mask, drawn),
        entropy=nothing.masked_scatter(mask, spread),
        hidden=states,
    )
