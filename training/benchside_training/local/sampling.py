"""`Sampling`: how tokens are drawn; `draw` draws one for each sequence of a batch.

Each request has a random generator of its own, so that what it draws does not depend on which other
requests share its batch. Temperature, top-k and top-p are those of transformers, in its order, and
noise is used as `torch.multinomial` uses it: a seeded request draws what `generate` draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper


@dataclass(frozen=True, slots=True)
class Sampling:
    """How one request is sampled.

    Args:
        max_tokens: most tokens to sample.
        stop_ids: the first of these that is sampled is the last token.
        temperature: 0 takes the most probable token.
        top_p: the most probable tokens that together have this probability; 1 for all.
        top_k: this many of the most probable tokens; 0 for all.
        seed: None draws one.
    """

    max_tokens: int
    stop_ids: frozenset[int]
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None

    def generator(self, device: torch.device) -> torch.Generator:
        """Return the generator of one request."""
        generator = torch.Generator(device)
        if self.seed is None:
            generator.seed()
        else:
            generator.manual_seed(self.seed % 2**63)
        return generator

    def narrowed(self, logits: torch.Tensor) -> torch.Tensor:
        """Return logits (B, V) after temperature and truncation; -inf on what is left out."""
        if self.temperature != 1.0 and self.temperature > 0:
            logits = TemperatureLogitsWarper(self.temperature)(None, logits)
        if self.top_k > 0:
            logits = TopKLogitsWarper(self.top_k)(None, logits)
        if self.top_p < 1.0:
            logits = TopPLogitsWarper(self.top_p)(None, logits)
        return logits

    @property
    def shape(self) -> tuple[float, float, int]:
        """What rows must share to be narrowed together."""
        return self.temperature, self.top_p, self.top_k


class Draw(NamedTuple):
    """One token for each sequence, with the logarithm of the probability it was drawn with."""

    ids: list[int]
    logprobs: list[float]


def draw(
    logits: torch.Tensor, samplings: Sequence[Sampling], generators: Sequence[torch.Generator]
) -> Draw:
    """Draw the next tokens.

    Args:
        logits: (B, V) float32.
        samplings: (B).
        generators: (B), each advanced by V numbers; untouched at temperature 0.

    Returns:
        ids, and log-probabilities after temperature and truncation: 0 at temperature 0, NaN where
        the logits give no probabilities.
    """
    if len({sampling.shape for sampling in samplings}) == 1:
        narrowed = samplings[0].narrowed(logits)
    else:
        rows = [one.narrowed(logits[row : row + 1]) for row, one in enumerate(samplings)]
        narrowed = torch.cat(rows)
    probabilities = narrowed.softmax(-1)  # (B, V)
    noise = torch.ones_like(probabilities)  # (B, V)
    for row, (sampling, generator) in enumerate(zip(samplings, generators, strict=True)):
        if sampling.temperature > 0:
            noise[row] = _exponential(noise[row], generator)
    chosen = (probabilities / noise).argmax(-1, keepdim=True)  # (B, 1)
    logprobs = narrowed.log_softmax(-1).gather(-1, chosen)[:, 0]
    greedy = torch.tensor([one.temperature == 0 for one in samplings], device=logits.device)
    logprobs = torch.where(greedy & ~logprobs.isnan(), 0.0, logprobs)
    return Draw(chosen[:, 0].tolist(), logprobs.tolist())


def _exponential(like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return what `exponential_` draws; on a CPU by the same formula, a third of the time.

    There it takes the logarithm of one number after another, in double precision.
    """
    if like.device.type != "cpu":
        return torch.empty_like(like).exponential_(generator=generator)
    uniform = torch.empty(like.shape, dtype=torch.float64).uniform_(generator=generator)
    return uniform.neg_().log1p_().neg_()
