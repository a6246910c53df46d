"""`TrainedVerifier`: a model with a scalar head that says how probably an attempt is right.

It is shown the conversation up to the policy's last message and then what was submitted, by its own
chat template: no tools are told of, so that it reads attempts in all protocols alike; no output
after the submission, no grade, and not who made the attempt. Of an attempt that is too long for it,
the middle is left out: the question stands at the beginning, what the answer rests on at the end.

In a scaffold: `best(POLICY, verifier=trained:FOLDER)`.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import AutoPeftModelForSequenceClassification
from pydantic import JsonValue, ValidationError
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from benchside.errors import InputError
from benchside.policy import Conversation, Message
from benchside.protocol import cut_middle
from benchside.scaffolds.verifier import Scored
from benchside.task import Frozen
from benchside_training.calibration import Calibration
from benchside_training.chat_template import ChatTemplate
from benchside_training.local.loading import device_of, dtype_of, end_ids, first_line, weights_of
from benchside_training.token_batch import padded
from benchside_training.tool_calls import fenced

FILE = "verifier.json"
ANSWER_CHARS = 2_000
HEAD = 4  # of a transcript that is too long, one part in so many is kept from the beginning


class VerifierRecord(Frozen):
    """`verifier.json` beside the weights.

    Args:
        max_tokens: of what it is shown.
        temperature: that its logits are divided by.
        trained_on: task hashes, and suite/task_id, of the tasks that it was trained on.
        calibration: on held-out tasks.
    """

    max_tokens: int
    temperature: float
    trained_on: frozenset[str]
    calibration: Calibration


class Shown:
    """What a verifier is shown of attempts, as ids of its tokenizer.

    Raises:
        InputError: the tokenizer has no chat template.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, stop_ids: Sequence[int], max_tokens: int
    ):
        self._template = ChatTemplate(tokenizer, stop_ids)
        self._max_tokens = max_tokens

    def ids(self, messages: Sequence[Message], submitted: JsonValue) -> list[int]:
        """Return at most `max_tokens` ids.

        Args:
            messages: of the attempt; what follows the assistant's last one is not shown.

        Raises:
            PolicyError: the chat template refuses the conversation.
        """
        said = list(messages)
        while said and said[-1].role != "assistant":
            said.pop()
        if not self._template.takes_tools:
            said = list(map(fenced, said))
        said += _closing(said[-1] if said else None, submitted)
        ids = self._template.whole(said, ())
        if len(ids) <= self._max_tokens:
            return ids
        head = self._max_tokens // HEAD
        return ids[:head] + ids[head - self._max_tokens :]


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
        stops = end_ids(None, model.config, tokenizer)
        self._shown = Shown(tokenizer, stops, record.max_tokens)
        self._pad_id = int(tokenizer.pad_token_id)
        self._running = threading.Lock()  # tokenizers are not to be used by two threads

    def probabilities(self, attempts: Sequence[tuple[Sequence[Message], JsonValue]]) -> list[float]:
        """Return the score of each attempt, given by messages and what was submitted."""
        with self._running:
            rows = [self._shown.ids(messages, value) for messages, value in attempts]
            logits = logits_of(self._model, rows, self._pad_id)
        return torch.sigmoid(logits / self.record.temperature).tolist()

    async def score(self, conversation: Conversation) -> Scored:
        """Return the score of an attempt; 0 where its last turn submits nothing."""
        result = conversation.turns[-1].result if conversation.turns else None
        if result is None or result.submission is None:
            return Scored(0.0)
        attempt = (conversation.messages, result.submission.value)
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
        kind: Any = (
            AutoPeftModelForSequenceClassification
            if adapted
            else AutoModelForSequenceClassification
        )
        model = kind.from_pretrained(folder, num_labels=1, dtype=dtype_of(None, place))
    except (OSError, ValueError, KeyError, RuntimeError, ValidationError) as error:
        raise InputError(
            f"the verifier cannot be loaded: {first_line(error)}", where="verifier",
            value=str(folder),
            fix="give the folder model/ that benchside_training.verifier has written",
        ) from None  # fmt: skip
    if adapted:
        model = model.merge_and_unload()
    model.config.pad_token_id = tokenizer.pad_token_id
    weights = weights_of(str(folder), None, None)
    return TrainedVerifier(f"trained:{folder}", model.to(place), tokenizer, record, weights)


def make(argument: str) -> TrainedVerifier:
    """Return the verifier of `verifier=trained:FOLDER`; the entry point of the workbench."""
    if not argument:
        raise InputError(
            "verifier trained needs a folder", value="trained:", fix="write verifier=trained:FOLDER"
        )
    return load_verifier(Path(argument))


def logits_of(model: PreTrainedModel, rows: Sequence[Sequence[int]], pad_id: int) -> torch.Tensor:
    """Return the logits (R) float32 of rows of ids, on the CPU."""
    batch = padded(
        [torch.tensor(row) for row in rows],
        [torch.ones(len(row), dtype=torch.bool) for row in rows],
        pad_id,
    )
    inputs = {name: value.to(model.device) for name, value in batch.model_inputs.items()}
    with torch.no_grad():
        logits: torch.Tensor = model(**inputs, use_cache=False).logits
    return logits[:, 0].float().cpu()


def _closing(last: Message | None, submitted: JsonValue) -> list[Message]:
    """What was submitted, where the last message's results would stand."""
    text = f"Submitted: {cut_middle(json.dumps(submitted, ensure_ascii=False), ANSWER_CHARS)}"
    if last is None or not last.tool_calls:
        return [Message(role="user", content=text)]
    return [Message(role="tool", content=text, tool_call_id=call.id) for call in last.tool_calls]
