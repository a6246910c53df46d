"""A verifier: a model that learns from successes and failures how probably an attempt is right.

    python -m benchside_training.verifier verifier.yaml

The base model gets a scalar head and is trained by the likelihood of each attempt's outcome (an
outcome reward model). Examples are parted by the groups of their tasks: some are trained on, the
others give the temperature and say how good the scores are. What it must not be asked about later,
it refuses: its record names the tasks that it was trained on.

Sources: K. Cobbe et al., Training Verifiers to Solve Math Word Problems (2021); J. Pan et al.,
SWE-Gym (2024), for verifiers of agents' transcripts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from pydantic import Field, JsonValue
from rich.progress import track
from torch import Tensor
from transformers import AutoModelForSequenceClassification, Trainer, TrainingArguments

from benchside.curves import MetricsRow
from benchside.errors import InputError
from benchside.task import content_hash
from benchside_training.base_model import load_base
from benchside_training.calibration import (
    Calibration,
    calibration,
    crossfitted,
    draw_reliability,
)
from benchside_training.example import Example
from benchside_training.examples import read_examples
from benchside_training.model_card import write_model_card
from benchside_training.recipe import run_recipe
from benchside_training.recipe_config import RecipeConfig
from benchside_training.token_batch import padded
from benchside_training.trained_verifier import FILE, Shown, VerifierRecord, logits_of
from benchside_training.trainer_log import TrainerLog, memory_named
from benchside_training.training_folder import TrainingFolder


class VerifierConfig(RecipeConfig):
    """Options of `main`.

    Args:
        data: `examples.jsonl` of successes and failures: made with `outcomes: [solved, wrong]`.
        max_tokens: of longer attempts, the middle is left out.
        held_out: share of the groups of tasks that is not trained on.
    """

    data: Path
    stage: str = "verifier"
    held_out: float = Field(0.2, gt=0, lt=1)


@dataclass(frozen=True, slots=True)
class Parts:
    """Examples to train on, and those of other groups of tasks."""

    trained: list[Example]
    held_out: list[Example]


class VerifierTrainer(Trainer):  # type: ignore[misc]  # transformers is skipped by mypy
    """Counts the tokens that it reads."""

    read_tokens = 0

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """As the stock trainer's."""
        self.read_tokens += int(inputs["attention_mask"].sum())
        return super().compute_loss(model, inputs, *args, **kwargs)


@dataclass(frozen=True, slots=True)
class AttemptCollator:
    """Makes a batch of rows of ids with their outcomes."""

    pad_id: int

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """Return `input_ids` and `attention_mask` (R, T), `labels` (R) float32: 1 where solved."""
        batch = padded(
            [torch.tensor(row["input_ids"]) for row in rows],
            [torch.ones(len(row["input_ids"]), dtype=torch.bool) for row in rows],
            self.pad_id,
        )
        return {**batch.model_inputs, "labels": torch.tensor([row["labels"] for row in rows])}


def outcome_loss(
    outputs: Any, labels: Tensor, num_items_in_batch: Tensor | int | None = None
) -> Tensor:
    """Return the mean negative log-likelihood of the outcomes of a step.

    Args:
        labels: (R) float32.
        num_items_in_batch: attempts of all parts of the step; None where it has one part.
    """
    logits = outputs.logits[:, 0].float()
    total = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum")
    return total / (len(labels) if num_items_in_batch is None else num_items_in_batch)


def main(config: VerifierConfig, on_step: Callable[[MetricsRow], None] = lambda _: None) -> Path:
    """Train a verifier; return the folder of the result.

    Args:
        on_step: called with the metrics of each step.

    Raises:
        InputError: model, template, data or folder cannot be used; nothing was overwritten.
        TrainingError: the loss is no number any more, or memory has run out.
    """
    torch.manual_seed(config.seed)  # of the head
    base = load_base(
        config.model, config.precision, AutoModelForSequenceClassification, num_labels=1
    )
    pad_id = int(base.tokenizer.pad_token_id)
    base.model.config.pad_token_id = pad_id
    parts = parted(config.used(read_examples(config.data)), config)
    shown = Shown(base.tokenizer, base.stop_ids, config.max_tokens)
    rows = [_ids(shown, one) for one in parts.trained]
    folder = TrainingFolder(config.out)
    asked: dict[str, JsonValue] = {
        "config": config.model_dump(mode="json", exclude={"out", "resume"}),
        "data": hashlib.sha256(config.data.read_bytes()).hexdigest(),
    }
    with folder.started(asked, resume=config.resume) as checkpoint, memory_named(config.stage):
        model = base.model
        if config.lora is not None:
            # imported here: only adapters need it
            from peft import get_peft_model  # noqa: PLC0415

            model = get_peft_model(model, config.lora.config_for("SEQ_CLS"))
        labels = [float(one.outcome == "solved") for one in parts.trained]
        trainer = VerifierTrainer(
            model=model,
            args=TrainingArguments(**config.trainer_arguments(folder)),
            train_dataset=Dataset.from_dict({"input_ids": rows, "labels": labels}),
            data_collator=AttemptCollator(pad_id),
            processing_class=base.tokenizer,
            compute_loss_func=outcome_loss,
        )
        log = TrainerLog(folder, config.stage, config.seed, lambda: trainer.read_tokens, on_step)
        trainer.add_callback(log)
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        temperature, found = _measured(trainer.model, shown, parts.held_out, pad_id, config.batch)
        names = {name for one in parts.trained for name in (one.task_hash, _task_name(one))}
        record = VerifierRecord(
            max_tokens=config.max_tokens, temperature=temperature, trained_on=frozenset(names),
            calibration=found,
        )  # fmt: skip
        with folder.result() as result:
            trainer.save_model(str(result))
            base.tokenizer.save_pretrained(result)
            (result / FILE).write_text(record.model_dump_json(indent=1), encoding="utf-8")
            draw_reliability(found, result / "reliability.png")
            write_model_card(result, folder, _summary(parts, record))
    return folder.model


def parted(examples: Sequence[Example], config: VerifierConfig) -> Parts:
    """Part examples by the groups of their tasks; those that submitted nothing are left out.

    Raises:
        InputError: one of the parts would hold successes only, or failures only.
    """
    answered = [one for one in examples if one.submission is not None]
    # by hash: the parts do not depend on the order of the examples
    groups = sorted(
        {group_of(one) for one in answered}, key=lambda one: content_hash([config.seed, one])
    )
    held = set(groups[: max(round(config.held_out * len(groups)), 1)])
    parts = Parts(
        [one for one in answered if group_of(one) not in held],
        [one for one in answered if group_of(one) in held],
    )
    for name, own in (("trained on", parts.trained), ("held out", parts.held_out)):
        outcomes = {one.outcome == "solved" for one in own}
        if len(outcomes) < 2:
            raise InputError(
                f"of the attempts that are {name}, none or all have solved their task",
                where=config.data,
                value=f"{len(own)} with an answer, of {len(examples)}; {len(groups)} groups",
                fix="make the examples with outcomes: [solved, wrong], of more tasks, or change "
                "held_out or seed",
            )  # fmt: skip
    return parts


def group_of(example: Example) -> str:
    """Return the group of an example's task: what is alike lies on one side."""
    return f"{example.suite}/{example.group or example.task_id}"


def _task_name(example: Example) -> str:
    return f"{example.suite}/{example.task_id}"


def _ids(shown: Shown, example: Example) -> list[int]:
    assert example.submission is not None
    return shown.ids(example.messages, example.submission.value)


def _measured(
    model: Any, shown: Shown, held_out: Sequence[Example], pad_id: int, batch: int
) -> tuple[float, Calibration]:
    """The temperature, and how good the scores of held-out attempts are with it."""
    model.eval()
    logits: list[float] = []
    for start in track(range(0, len(held_out), batch), "scoring held-out attempts", transient=True):
        rows = [_ids(shown, one) for one in held_out[start : start + batch]]
        logits += logits_of(model, rows, pad_id).tolist()
    solved = np.array([one.outcome == "solved" for one in held_out])
    clusters = [group_of(one) for one in held_out]
    probabilities, temperature = crossfitted(np.array(logits), solved, clusters)
    return temperature, calibration(probabilities, solved, clusters)


def _summary(parts: Parts, record: VerifierRecord) -> dict[str, JsonValue]:
    found = record.calibration

    def told(name: str) -> str:
        one = getattr(found, name)
        return f"{one.value:.3f} (95% {one.low:.3f} to {one.high:.3f})"

    return {
        "Data": {
            "attempts trained on": len(parts.trained),
            "of tasks": len({one.task_hash for one in parts.trained}),
            "attempts held out": f"{found.n}, of {found.clusters} groups of tasks, "
            f"{found.solved:.1%} solved",
        },
        "Held-out attempts": {
            "AUROC": told("auroc"), "Brier": told("brier"), "ECE": told("ece"),
            "temperature": round(record.temperature, 4),
            "reliability": "![reliability](reliability.png)",
        },
    }  # fmt: skip


if __name__ == "__main__":
    run_recipe(VerifierConfig, main)
