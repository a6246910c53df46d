"""`TokenEngine`: what a `LocalPolicy` needs of an engine; `Engine` and `VllmEngine` are two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from pydantic import JsonValue

from benchside.errors import PolicyError
from benchside_training.local.sampling import Sampling
from benchside_training.local.sequence import Sampled


class TokenEngine(Protocol):
    """Samples tokens from one model, for many episodes at once."""

    @property
    def config(self) -> dict[str, JsonValue]:
        """What the run record keeps of it: `dtype`, `device`, `attention`."""
        ...

    async def sample(self, ids: Sequence[int], sampling: Sampling, *, known: int = 0) -> Sampled:
        """Sample what follows on `ids`; a cancelled call is sampled no further.

        Args:
            ids: (T) the whole context.
            known: of its first tokens, how many earlier turns of the same conversation had.

        Raises:
            PolicyError: the context is longer than the model or the memory for it allows.
            InfrastructureError: the model failed, or has run out of memory.
        """
        ...

    async def update(self, state_dict: Mapping[str, torch.Tensor] | None, version: int) -> None:
        """Take new weights; nothing that was encoded with the old ones is used again.

        Args:
            state_dict: of the model; None where its weights were changed in place.
            version: recorded with each token that is sampled from now on.
        """
        ...

    async def aclose(self) -> None:
        """End it; what is being sampled fails."""
        ...


def refuse_too_long(length: int, limit: int) -> None:
    """Refuse a context that leaves no room for a token.

    Raises:
        PolicyError: it has as many tokens as the model takes, or more.
    """
    if length >= limit:
        raise PolicyError(
            f"the conversation has {length:,} tokens, the model takes {limit:,}",
            fix="lower max_turns or max_output_chars, or take a model with a longer context",
        )
