"""`PagedCache`: keys and values of many sequences in one pool of blocks.

A sequence holds a list of blocks, and several sequences may hold the same block: a prompt that they
share is kept once. Each forward pass writes the new tokens into their blocks and gathers those of
its rows; rows of any length make one batch, and none is moved when another joins or leaves.
On a CPU, sequences that are being sampled have a second copy of theirs, in rows (`RunningRows`).
Layers with a sliding window keep all their tokens, too: the mask leaves out what they must not see.

Source of the idea: Kwon et al., Efficient memory management for LLM serving with PagedAttention,
SOSP 2023 (arXiv 2309.06180).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer

from benchside_training.local.running_rows import RunningRows, lazy_zeros
from benchside_training.local.sequence import TokenSequence

BLOCK = 32
"""Tokens in a block."""
ROWS_SHARE = 2  # rows take at most one part in so many of the pool's memory, beside it


class PagedCache(Cache):  # type: ignore[misc]  # mypy skips transformers
    """The pool, as the layers of a transformers model see it.

    Args:
        blocks: of the pool; memory is taken at the first forward pass, layer by layer; of a CPU's,
            only what is used.
    """

    def __init__(self, blocks: int):
        super().__init__(layer_class_to_replicate=DynamicLayer)
        self.total = blocks
        self._begun = 0  # blocks from here on have never been used
        self._freed: list[int] = []
        self._holders: Counter[int] = Counter()
        self._pools: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._table = torch.empty(0)
        self._slots = torch.empty(0)
        self._valid: torch.Tensor | None = None
        self._rows = RunningRows(blocks * BLOCK // ROWS_SHARE)
        self._in_rows = False

    def take(self, count: int) -> list[int]:
        """Take blocks from the pool; there must be as many (`free`)."""
        again = [self._freed.pop() for _ in range(min(count, len(self._freed)))]
        end = self._begun + count - len(again)
        taken = [*again, *range(self._begun, end)]
        self._begun = end
        self.share(taken)
        return taken

    @property
    def free(self) -> int:
        """Blocks that nobody holds."""
        return self.total - self._begun + len(self._freed)

    def share(self, blocks: Iterable[int]) -> None:
        """Let one more sequence hold blocks."""
        self._holders.update(blocks)

    def release(self, blocks: Iterable[int]) -> None:
        """Give up one hold of each; a block that nobody holds is free."""
        for block in blocks:
            self._holders[block] -= 1
            if self._holders[block] == 0:
                self._freed.append(block)

    def copy(self, source: int, target: int) -> None:
        """Copy a block."""
        for keys, values in self._pools.values():
            keys[target] = keys[source]
            values[target] = values[source]

    def clear(self) -> None:
        """Zero all blocks: NaN would otherwise outlive the sequence it came from."""
        for pool in self._pools.values():
            for part in pool:
                part[: self._begun].zero_()
        self._rows.clear()

    def arranged(self, batch: Sequence[TokenSequence], width: int) -> list[TokenSequence]:
        """Return the rows of the next forward pass in the order in which it is to bring them.

        Args:
            width: most new tokens of a row.
        """
        self._in_rows = False
        pool = next(iter(self._pools.values()), None)
        if width > 1 or pool is None or pool[0].device.type != "cpu":
            return list(batch)
        found = self._rows.arranged(batch, self._pools)
        self._in_rows = found is not None
        return list(batch) if found is None else found

    @property
    def length(self) -> int:
        """Keys of each row in the forward pass that has begun."""
        return self._rows.width if self._in_rows else self._table.shape[1] * BLOCK

    def begin(self, table: torch.Tensor, slots: torch.Tensor, valid: torch.Tensor | None) -> None:
        """Say whose tokens the next forward pass brings, once they are `arranged`.

        Args:
            table: (B, blocks) int64, the blocks of each row in order; filled up with any.
            slots: (N) int64, where the new tokens go: block × BLOCK + place in it.
            valid: (B, Q) bool, True on the N new tokens; None where all are.
        """
        self._table, self._slots, self._valid = table, slots, valid

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        layer_idx: int,
        *args: Any,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Called by each layer: keep its new states (B, H, Q, D), return all (B, H, T, D)."""
        if layer_idx not in self._pools:
            # zeros, since masked positions are multiplied by 0, and 0 × NaN is NaN
            self._pools[layer_idx] = (
                self._new_pool(key_states),
                self._new_pool(value_states),
            )
        pools = self._pools[layer_idx]
        for pool, states in zip(pools, (key_states, value_states), strict=True):
            self._keep(pool, states)
        if self._in_rows:
            return self._rows.add(layer_idx, key_states, value_states)
        return self._held(pools[0]), self._held(pools[1])

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Not used: positions and masks are given with each forward pass."""
        return 0

    def _new_pool(self, states: torch.Tensor) -> torch.Tensor:
        _, heads, _, width = states.shape
        return lazy_zeros((self.total, BLOCK, heads, width), states)

    def _keep(self, pool: torch.Tensor, states: torch.Tensor) -> None:
        new = states.transpose(1, 2)  # (B, Q, H, D)
        new = new.flatten(0, 1) if self._valid is None else new[self._valid]  # (N, H, D)
        pool.flatten(0, 1).index_copy_(0, self._slots, new)

    def _held(self, pool: torch.Tensor) -> torch.Tensor:
        rows, count = self._table.shape
        held = pool.index_select(0, self._table.flatten())  # (B × blocks, BLOCK, H, D)
        return held.view(rows, count * BLOCK, *held.shape[2:]).transpose(1, 2)
