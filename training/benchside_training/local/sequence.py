"""`TokenSequence`: one conversation's tokens in the engine, being sampled or between turns."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from benchside_training.local.sampling import Sampling


class Sampled(NamedTuple):
    """What one request gave.

    Args:
        ids: (S) the stop id included.
        logprobs: (S) of each under the distribution that it was drawn from.
        versions: (S) of the weights that drew each.
        cut_off: it ended at a limit, not with a stop id.
    """

    ids: list[int]
    logprobs: list[float]
    versions: list[int]
    cut_off: bool


@dataclass(slots=True, eq=False)
class TokenSequence:
    """One sequence; only the engine's thread touches it.

    Args:
        ids: all its tokens, sampled ones at the end.
        known: its first tokens were in a cache before: to encode them again is to be counted.
        cached: its first tokens whose keys and values lie in `blocks`.
        prefix: (T) int32, `ids` when it was last asked or finished: where others may agree with it.
        marks: by which `PrefixIndex` knows it.
    """

    ids: list[int]
    sampling: Sampling
    generator: torch.Generator
    future: Future[Sampled]
    known: int
    cached: int = 0
    blocks: list[int] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    prefix: np.ndarray = field(init=False)
    logprobs: list[float] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.note_prefix()

    def note_prefix(self) -> None:
        """Take the tokens so far as those that others are compared with."""
        self.prefix = np.array(self.ids, dtype=np.int32)

    @property
    def pending(self) -> int:
        """Tokens that the model has yet to be given; at least 1."""
        return len(self.ids) - self.cached

    @property
    def key(self) -> bytes:
        """The tokens whose keys and values it holds."""
        return self.prefix[: self.cached].tobytes()

    def agrees(self, other: TokenSequence) -> int:
        """Return how many first tokens are the same and in the other's cache."""
        length = min(len(self.prefix), len(other.prefix), other.cached)
        differ = np.flatnonzero(self.prefix[:length] != other.prefix[:length])
        return int(differ[0]) if len(differ) else length

    def sampled(self) -> Sampled:
        """Return what was sampled so far."""
        count = len(self.logprobs)
        ids = self.ids[len(self.ids) - count :]
        cut_off = not ids or ids[-1] not in self.sampling.stop_ids
        return Sampled(ids, self.logprobs, self.versions, cut_off)
