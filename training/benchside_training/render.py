"""Rendering: conversations → token ids and loss mask, as the model would have sampled them.

What trains is what the model itself would sample: its turns, each with the stop that ends it.
Openings, observations and what the template writes around turns are context. Contexts and turns are
encoded apart, as they are when an episode runs, by the same `ChatTemplate`; so a policy that is
trained on the rows sees the same ids again when it acts. No generation marks are needed in the
template. Where it rewrites history, the rest of the conversation becomes a row of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from benchside.errors import InputError, PolicyError
from benchside.policy import Message
from benchside.protocols import action_form
from benchside_training.chat_template import ChatTemplate, Tool
from benchside_training.example import Example
from benchside_training.tool_calls import fenced

IGNORED = -100  # as transformers wants labels that do not train


@dataclass(frozen=True, slots=True)
class Row:
    """One sequence of T tokens to learn from.

    Args:
        input_ids: (T) int64.
        loss_mask: (T) bool, True on what the model would sample.
    """

    input_ids: Tensor
    loss_mask: Tensor

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def labels(self) -> list[int]:
        """Ids where they train, `IGNORED` elsewhere."""
        return torch.where(self.loss_mask, self.input_ids, IGNORED).tolist()


class Renderer:
    """Renders examples for one tokenizer.

    Args:
        tokenizer: with a chat template.
        stop_ids: what ends a turn; all that the model's generation stops at.

    Raises:
        InputError: the tokenizer has no chat template.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop_ids: Iterable[int]):
        self._template = ChatTemplate(tokenizer, stop_ids)

    def rows(self, example: Example) -> list[Row]:
        """Return an example's rows: one, or one more for each rewriting of the history.

        Raises:
            InputError: the template cannot render it; names the episode.
        """
        tools = action_form(example.protocol).tools(example.tools)
        try:
            return self.conversation_rows(example.messages, frozenset(example.unlearned), tools)
        except (InputError, PolicyError) as error:
            where = f"episode {example.episode_id}, {error.where}"
            raise InputError(error.what, where=where, value=error.value, fix=error.fix) from None

    def conversation_rows(
        self, messages: Sequence[Message], unlearned: frozenset[int], tools: Sequence[Tool]
    ) -> list[Row]:
        """Return the rows of a conversation in which anything of what the model said trains.

        Args:
            unlearned: places of messages that do not train.
            tools: that the model is told of.

        Raises:
            InputError, PolicyError: the template cannot render it.
        """
        if not self._template.takes_tools:
            messages = tuple(map(fenced, messages))
        rows = self._rows(messages, unlearned, tools)
        return [row for row in rows if row.loss_mask.any()]

    def _rows(
        self, messages: Sequence[Message], unlearned: frozenset[int], tools: Sequence[Tool]
    ) -> Iterable[Row]:
        ids: list[int] = []
        mask: list[bool] = []
        before: int | None = None
        for place, message in enumerate(messages):
            if message.role != "assistant":
                continue
            between = None
            if before is not None:
                between = self._template.delta(
                    messages[before], messages[before + 1 : place], tools, ended=True
                )
            if between is None:
                if ids:
                    yield _row(ids, mask)
                ids, mask = self._template.whole(messages[:place], tools), []
                mask = [False] * len(ids)
            else:
                ids, mask = ids + between, mask + [False] * len(between)
            said = self._template.said(messages[: place + 1], tools)
            ids, mask = ids + said, mask + [place not in unlearned] * len(said)
            before = place
        if ids:
            yield _row(ids, mask)


def _row(ids: list[int], mask: list[bool]) -> Row:
    return Row(torch.tensor(ids, dtype=torch.int64), torch.tensor(mask, dtype=torch.bool))


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long rows are, in tokens.

    Args:
        rows, tokens, trained: numbers of rows, of all tokens, and of those that train.
        median, p95, longest: of a row.
        too_long: rows beyond the limit, which are left out.
    """

    rows: int
    tokens: int
    trained: int
    median: int
    p95: int
    longest: int
    too_long: int


def fitting(rows: Sequence[Row], max_tokens: int) -> tuple[list[Row], Lengths]:
    """Return the rows of at most `max_tokens` and how long all are.

    A row is never cut: without its end, it would teach not to end.

    Raises:
        InputError: none fits.
    """
    lengths = np.array([len(row) for row in rows])
    kept = [row for row in rows if len(row) <= max_tokens]
    if not kept:
        shortest = f"the shortest of {len(rows)} has {lengths.min()} tokens" if rows else "none"
        raise InputError(
            "no row is short enough to be trained on", where="max_tokens",
            value=f"{max_tokens} ({shortest})", fix="allow longer rows, or choose other examples",
        )  # fmt: skip
    return kept, Lengths(
        rows=len(rows),
        tokens=int(lengths.sum()),
        trained=sum(int(row.loss_mask.sum()) for row in rows),
        median=int(np.median(lengths)),
        p95=int(np.percentile(lengths, 95)),
        longest=int(lengths.max()),
        too_long=len(rows) - len(kept),
    )


def draw_lengths(rows: Sequence[Row], max_tokens: int, path: Path) -> None:
    """Draw a histogram of the rows' lengths, with the limit, to a picture."""
    # imported here: slow, and only drawn where a set is rendered
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    axes.hist([len(row) for row in rows], bins=40, color="0.6", label="all tokens")
    axes.hist([int(row.loss_mask.sum()) for row in rows], bins=40, alpha=0.7, label="trained")
    axes.axvline(max_tokens, color="black", linewidth=1, label="limit")
    axes.set(xlabel="tokens per row", ylabel="rows")
    axes.legend(frameon=False)
    figure.savefig(path)
