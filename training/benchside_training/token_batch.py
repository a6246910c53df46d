"""`TokenBatch`: token sequences side by side as tensors, padded or packed.

Packed rows hold several sequences; none of them sees another: positions start anew, and attention
is block-diagonal. transformers makes that mask of the positions where no attention mask is given
(flash attention then runs its variable-length kernel), so a packed batch is given to a model by
`model_inputs` like a padded one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchside.errors import InputError

NO_SEQUENCE = -1


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """R rows of T tokens.

    Args:
        input_ids: (R, T) int64.
        loss_mask: (R, T) bool, True on tokens that train; never on the first of a sequence, which
            nothing predicts.
        sequences: (R, T) int64, number of the sequence that a token is of; -1 on padding.
        positions: (R, T) int64, from 0 in each sequence.
        packed: rows hold several sequences.
    """

    input_ids: Tensor
    loss_mask: Tensor
    sequences: Tensor
    positions: Tensor
    packed: bool

    @property
    def tokens(self) -> int:
        """How many there are, padding aside."""
        return int((self.sequences != NO_SEQUENCE).sum())

    @property
    def model_inputs(self) -> dict[str, Tensor]:
        """The arguments of a transformers model."""
        inputs = {"input_ids": self.input_ids, "position_ids": self.positions}
        if not self.packed:
            inputs["attention_mask"] = (self.sequences != NO_SEQUENCE).long()
        return inputs

    def to(self, device: torch.device | str) -> TokenBatch:
        """Return the batch on a device."""
        return TokenBatch(
            self.input_ids.to(device), self.loss_mask.to(device), self.sequences.to(device),
            self.positions.to(device), self.packed,
        )  # fmt: skip

    def laid_out(self, values: Sequence[Tensor], fill: float = 0.0) -> Tensor:
        """Return values per token, one tensor (T) for each sequence, where the tokens are: (R, T).

        Args:
            fill: on padding.
        """
        laid = torch.full(
            self.input_ids.shape, fill, dtype=values[0].dtype, device=self.input_ids.device
        )
        for number, own in enumerate(values):
            laid[self.sequences == number] = own.to(laid.device)
        return laid


def padded(
    input_ids: Sequence[Tensor], loss_masks: Sequence[Tensor], pad_id: int = 0
) -> TokenBatch:
    """Return one sequence per row, padded on the right."""
    return _filled([[number] for number in range(len(input_ids))], input_ids, loss_masks, pad_id)


def packed(
    input_ids: Sequence[Tensor], loss_masks: Sequence[Tensor], max_tokens: int, pad_id: int = 0
) -> TokenBatch:
    """Return rows of at most `max_tokens`, each with as many sequences as fit.

    The longest sequence goes first, each into the fullest row that has room (best fit decreasing).

    Raises:
        InputError: a sequence is longer than a row.
    """
    rows: list[list[int]] = []
    room: list[int] = []
    for number in sorted(range(len(input_ids)), key=lambda one: -len(input_ids[one])):
        length = len(input_ids[number])
        if length > max_tokens:
            raise InputError(
                f"a sequence of {length} tokens does not fit into a row", where="max_tokens",
                value=max_tokens, fix="leave long sequences out, or allow longer rows",
            )  # fmt: skip
        fitting = [row for row, left in enumerate(room) if left >= length]
        if not fitting:
            rows.append([])
            room.append(max_tokens)
        row = min(fitting, key=room.__getitem__) if fitting else len(rows) - 1
        rows[row].append(number)
        room[row] -= length
    return _filled(rows, input_ids, loss_masks, pad_id, packed=True)


def _filled(
    rows: Sequence[Sequence[int]],
    input_ids: Sequence[Tensor],
    loss_masks: Sequence[Tensor],
    pad_id: int,
    *,
    packed: bool = False,
) -> TokenBatch:
    width = max(sum(len(input_ids[number]) for number in row) for row in rows)
    shape = (len(rows), width)
    ids = torch.full(shape, pad_id, dtype=torch.int64)
    mask = torch.zeros(shape, dtype=torch.bool)
    sequences = torch.full(shape, NO_SEQUENCE, dtype=torch.int64)
    # padding counts on from 0, so that it is one more sequence of its own to a packed row
    positions = torch.zeros(shape, dtype=torch.int64)
    for row, numbers in enumerate(rows):
        start = 0
        for number in numbers:
            end = start + len(input_ids[number])
            ids[row, start:end] = input_ids[number]
            mask[row, start + 1 : end] = loss_masks[number][1:]
            sequences[row, start:end] = number
            positions[row, start:end] = torch.arange(end - start)
            start = end
        positions[row, start:] = torch.arange(width - start)
    return TokenBatch(ids, mask, sequences, positions, packed)
