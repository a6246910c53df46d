"""`RunningRows`: keys and values of the sequences that are being sampled, side by side.

To gather a batch out of its blocks for each token costs more than a small model does: memory is
copied, and attention over what was gathered reads it with strides. Here each sequence has a row for
as long as it is sampled; a token adds to it, and only who joins is copied. That is for CPUs: a GPU
gathers fast, and has no memory to keep everything twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from benchside_training.local.sequence import TokenSequence

STEP = 256  # tokens by which rows grow, at least


def lazy_zeros(shape: Sequence[int], like: torch.Tensor) -> torch.Tensor:
    """Return zeros of the dtype and device of `like`; of a CPU's memory, pages that are used."""
    if like.device.type != "cpu":
        return like.new_zeros(shape)
    # torch writes its zeros, and so takes all memory at once
    taken = np.zeros(int(np.prod(shape)) * like.dtype.itemsize, np.uint8)
    return torch.from_numpy(taken).view(like.dtype).view(*shape)


class RunningRows:
    """The rows, layer by layer: (rows, H, capacity, D), of which the first are in use.

    Args:
        most_tokens: room in all rows together, beyond which a batch is not taken.

    Attributes:
        width: keys of each row, those of the token that comes next included.
    """

    def __init__(self, most_tokens: int):
        self._most_tokens = most_tokens
        self._owners: list[TokenSequence] = []
        self._lengths: list[int] = []
        self._layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self.width = 0
        self._places = torch.empty(0)

    def arranged(
        self,
        batch: Sequence[TokenSequence],
        pools: Mapping[int, tuple[torch.Tensor, torch.Tensor]],
    ) -> list[TokenSequence] | None:
        """Give each sequence a row, and return them in the order of their rows.

        Args:
            batch: each of which gets one more token next.
            pools: by layer, (blocks, BLOCK, H, D), with all that is encoded.

        Returns:
            None where there is no room: they are to be gathered.
        """
        width = max(one.cached for one in batch) + 1
        if not self._hold(len(batch), width, pools):
            self._owners, self._lengths = [], []
            return None
        wanted = set(batch)
        kept = {
            one: row
            for row, (one, length) in enumerate(zip(self._owners, self._lengths, strict=True))
            if one in wanted and length == one.cached
        }
        rows: list[TokenSequence | None] = [None] * len(batch)
        for one, row in kept.items():
            if row < len(rows):
                rows[row] = one
        joining = iter([one for one in batch if kept.get(one, len(rows)) >= len(rows)])
        for row, held in enumerate(rows):
            if held is None:
                one = next(joining)
                rows[row] = one
                self._load(one, row, kept.get(one), pools)
        self._owners = [one for one in rows if one is not None]
        self._lengths = [one.cached + 1 for one in self._owners]
        self.width = width
        self._places = torch.tensor([one.cached for one in self._owners])
        return self._owners

    def add(
        self, layer: int, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add a token's states (B, H, 1, D) to each row; return all of them, (B, H, T, D)."""
        held = self._layers[layer]
        count = len(keys)
        rows = torch.arange(count)
        for part, states in zip(held, (keys, values), strict=True):
            part[rows, :, self._places] = states[:, :, 0]
        return held[0][:count, :, : self.width], held[1][:count, :, : self.width]

    def clear(self) -> None:
        """Give all memory back."""
        self._owners, self._lengths, self._layers = [], [], {}

    def _hold(
        self, rows: int, width: int, pools: Mapping[int, tuple[torch.Tensor, torch.Tensor]]
    ) -> bool:
        """Have room for so many rows; False where there would be too much of it."""
        held = next(iter(self._layers.values()), (None,))[0]
        had_rows, had_width = (0, 0) if held is None else (held.shape[0], held.shape[2])
        if rows <= had_rows and width <= had_width:
            return True
        if width > had_width:
            had_width = -(-max(width, 3 * had_width // 2) // STEP) * STEP
        if rows > had_rows:
            had_rows = max(rows, 3 * had_rows // 2)
        if had_rows * had_width > self._most_tokens:
            had_rows, had_width = rows, -(-width // STEP) * STEP
            if had_rows * had_width > self._most_tokens:
                return False
        self.clear()  # what was in it is copied out of the blocks anew
        for layer, pool in pools.items():  # autocast gives keys and values other dtypes
            keys, values = (
                lazy_zeros((had_rows, part.shape[2], had_width, part.shape[3]), part)
                for part in pool
            )
            self._layers[layer] = (keys, values)
        return True

    def _load(
        self,
        one: TokenSequence,
        row: int,
        old: int | None,
        pools: Mapping[int, tuple[torch.Tensor, torch.Tensor]],
    ) -> None:
        """Copy a sequence into a row: from its old one, or from its blocks."""
        length = one.cached
        blocks = torch.tensor(one.blocks)
        for layer, held in self._layers.items():
            for part, pool in zip(held, pools[layer], strict=True):
                if old is None:
                    found = pool.index_select(0, blocks).flatten(0, 1)[:length].transpose(0, 1)
                else:
                    found = part[old, :, :length]
                part[row, :, :length] = found
