"""`TrainedVerifier`: a model that says how probably an attempt is right.

It is shown the conversation up to the policy's last message, by its own chat template: no tools are
told of, so that it reads attempts in all protocols alike; no output after the submission, no grade,
and not who made the attempt. Its logit is the mean log-probability that it gives to what the policy
said, so that each slip in an attempt counts, also before it has learned. Of a row that is too long
for it, the middle is left out: the question stands at the beginning, what the answer rests on at
the end.

In a scaffold: `best(POLICY, verifier=trained:FOLDER)`.

Source: L. Yuan et al., Free Process Rewards without Process Labels (2024), for outcome reward
models that are likelihoods of a language model; here without a reference model.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import AutoPeftModelForCausalLM
from pydantic import ValidationError
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from benchside.errors import InputError
from benchside.policy import Conversation, Message
from benchside.scaffolds.verifier import Scored
from benchside.task import Frozen
from benchside_training.calibration import Calibration
from benchside_training.example import Example, scaffolded_places
from benchside_training.local.loading import device_of, dtype_of, end_ids, first_line, weights_of
from benchside_training.render import Renderer, Row
from benchside_training.token_batch import TokenBatch, padded
from benchside_training.token_scores import token_scores

FILE = "verifier.json"
HEAD = 4  # of a row that is too long, one part in so many is kept from the beginning


class Scale(Frozen):
    """Mean log-probabilities as logits: 0 at `center`, 1 more for each `spread`."""

    center: float
    spread: float

    def logits(self, means: Tensor) -> Tensor:
        """Return the logits of mean log-probabilities, both (N)."""
        return (means - self.center) / self.spread


class VerifierRecord(Frozen):
    """`verifier.json` beside the weights.

    Args:
        max_tokens: of what it is shown.
        scale: from mean log-probabilities to logits.
        temperature: that the logits are divided by.
        trained_on: task hashes, and suite/task_id, of the tasks that it was trained on.
        calibration: on held-out tasks.
    """

    max_tokens: int
    scale: Scale
    temperature: float
    trained_on: frozenset[str]
    calibration: Calibration


class Attempt(NamedTuple):
    """The conversation of an attempt.

    Args:
        scaffolded: places among the messages of those that a scaffold wrote itself.
    """

    messages: Sequence[Message]
    scaffolded: Sequence[int] = ()


def attempt_of(example: Example) -> Attempt:
    """Return the attempt of which an example tells."""
    return Attempt(example.messages, example.scaffolded)


class Shown:
    """What a verifier is shown of attempts, for its tokenizer.

    Raises:
        InputError: the tokenizer has no chat template.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, stop_ids: Sequence[int], max_tokens: int
    ):
        self._renderer = Renderer(tokenizer, stop_ids)
        self._max_tokens = max_tokens

    def rows(self, attempt: Attempt) -> list[Row]:
        """Return rows of at most `max_tokens`, in which all that the policy itself said counts.

        Args:
            attempt: what follows the assistant's last message is not shown.

        Raises:
            InputError: nothing was said.
            InputError, PolicyError: the chat template refuses the conversation.
        """
        messages, scaffolded = attempt
        rows = self._renderer.conversation_rows(messages, frozenset(scaffolded), ())
        if not rows:
            raise InputError("the policy said nothing in this attempt", value=len(messages))
        return [self._cut(row) for row in rows]

    def _cut(self, row: Row) -> Row:
        end = int(row.loss_mask.nonzero().max()) + 1  # what follows changes no probability
        row = Row(row.input_ids[:end], row.loss_mask[:end])
        if len(row) <= self._max_tokens:
            return row
        head = self._max_tokens // HEAD
        kept = [*range(head), *range(len(row) + head - self._max_tokens, len(row))]
        mask = row.loss_mask[kept]
        mask[head] = False  # what stood before it is left out
        return Row(row.input_ids[kept], mask)


class TrainedVerifier:
    """Scores attempts; from `load_verifier`."""

    def __init__(
        self,
        name: str,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        record: VerifierRecord,
        weights: str,
    ):
        self.name, self.record, self.weights = name, record, weights
        self._model = model.eval()
        stops = end_ids(model.generation_config, model.config, tokenizer)
        self._shown = Shown(tokenizer, stops, record.max_tokens)
        self._pad_id = int(tokenizer.pad_token_id)
        self._running = threading.Lock()  # tokenizers are not to be used by two threads

    def probabilities(self, attempts: Sequence[Attempt]) -> list[float]:
        """Return the score of each attempt."""
        with self._running, torch.no_grad():
            batch = attempts_batch(list(map(self._shown.rows, attempts)), self._pad_id)
            logits = self.record.scale.logits(mean_logprobs(self._model, batch))
        return torch.sigmoid(logits.double() / self.record.temperature).tolist()

    async def score(self, conversation: Conversation) -> Scored:
        """Return the score of an attempt; 0 where its last turn submits nothing."""
        result = conversation.turns[-1].result if conversation.turns else None
        if result is None or result.submission is None:
            return Scored(0.0)
        scaffolded = scaffolded_places(conversation.opening, conversation.turns)
        attempt = Attempt(conversation.messages, scaffolded)
        (found,) = await asyncio.to_thread(self.probabilities, [attempt])
        return Scored(found)

    def refuse_trained_on(self, tasks: Sequence[tuple[str, str]], where: object) -> None:
        """Refuse tasks that it was trained on.

        Args:
            tasks: hash and suite/task_id of each.

        Raises:
            InputError: there is one.
        """
        seen = sorted({name for hash_, name in tasks if {hash_, name} & self.record.trained_on})
        if seen:
            raise InputError(
                f"the verifier was trained on {len(seen)} of these tasks: its scores of them would "
                "say nothing", where=where, value=seen[0],
                fix="score runs of other tasks, or train a verifier on others",
            )  # fmt: skip


def load_verifier(folder: Path, device: str | None = None) -> TrainedVerifier:
    """Load what `benchside_training.verifier` has trained.

    Raises:
        InputError: the folder holds no verifier.
    """
    try:
        record = VerifierRecord.model_validate_json((folder / FILE).read_bytes())
        tokenizer = AutoTokenizer.from_pretrained(folder)
        place = device_of(device)
        adapted = (folder / "adapter_config.json").is_file()
        kind: Any = AutoPeftModelForCausalLM if adapted else AutoModelForCausalLM
        model = kind.from_pretrained(folder, dtype=dtype_of(None, place))
    except ValidationError as error:
        raise InputError(
            f"{FILE} is not of this version: {first_line(error)}", where="verifier",
            value=str(folder), fix="train the verifier again",
        ) from None  # fmt: skip
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(
            f"the verifier cannot be loaded: {first_line(error)}", where="verifier",
            value=str(folder),
            fix="give the folder model/ that benchside_training.verifier has written",
        ) from None  # fmt: skip
    if adapted:
        model = model.merge_and_unload()
    weights = weights_of(str(folder), None, None)
    return TrainedVerifier(f"trained:{folder}", model.to(place), tokenizer, record, weights)


def make(argument: str) -> TrainedVerifier:
    """Return the verifier of `verifier=trained:FOLDER`; the entry point of the workbench."""
    if not argument:
        raise InputError(
            "verifier trained needs a folder", value="trained:", fix="write verifier=trained:FOLDER"
        )
    return load_verifier(Path(argument))


@dataclass(frozen=True, slots=True)
class AttemptsBatch:
    """Attempts as a model reads them.

    Args:
        tokens: all their rows (R, T).
        owners: (R) int64, the attempt that a row is of: 0, 1, …
    """

    tokens: TokenBatch
    owners: Tensor


def attempts_batch(attempts: Sequence[Sequence[Row]], pad_id: int) -> AttemptsBatch:
    """Return the rows of attempts side by side."""
    rows = [row for own in attempts for row in own]
    tokens = padded([row.input_ids for row in rows], [row.loss_mask for row in rows], pad_id)
    owners = [number for number, own in enumerate(attempts) for _ in own]
    return AttemptsBatch(tokens, torch.tensor(owners))


def mean_logprobs(model: torch.nn.Module, batch: AttemptsBatch) -> Tensor:
    """Return the mean log-probability (N), float32, of what the policy said in each attempt."""
    device = next(model.parameters()).device
    tokens, owners = batch.tokens.to(device), batch.owners.to(device)
    logprobs = token_scores(model, tokens).logprobs.sum(dim=1)
    sums = torch.zeros(int(owners.max()) + 1, 2, device=device)
    found = torch.stack([logprobs, tokens.loss_mask.sum(dim=1).float()], dim=1)
    total, number = sums.index_add(0, owners, found).unbind(dim=1)
    return total / number
