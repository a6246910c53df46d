"""A verifier: a model that learns from successes and failures how probably an attempt is right.

    python -m benchside_training.verifier verifier.yaml

The logit of an attempt is the mean log-probability that the model gives to what the policy said in
it, scaled so that before the training logits spread by 1 around that of the share that is solved;
the model is trained by the likelihood of each attempt's outcome (an outcome reward model). Examples
are parted by the groups of their tasks: some are trained on, the others give the temperature and
say how good the scores are. What it must not be asked about later, it refuses: its record names the
tasks that it was trained on.

Sources: K. Cobbe et al., Training Verifiers to Solve Math Word Problems (2021); J. Pan et al.,
SWE-Gym (2024), for verifiers of agents' transcripts; L. Yuan et al., Free Process Rewards without
Process Labels (2024), for the likelihood as reward.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field, JsonValue
from rich.progress import track
from scipy.special import logit
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import Trainer, TrainingArguments

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
from benchside_training.render import Row
from benchside_training.trained_verifier import (
    FILE,
    AttemptsBatch,
    Scale,
    Shown,
    VerifierRecord,
    attempt_of,
    attempts_batch,
    mean_logprobs,
)
from benchside_training.trainer_log import TrainerLog, memory_named
from benchside_training.training_folder import TrainingFolder

MIN_SPREAD = 1e-3  # nats: of attempts that are all alike


class VerifierConfig(RecipeConfig):
    """Options of `main`.

    Args:
        data: `examples.jsonl` of successes and failures: made with `outcomes: [solved, wrong]`.
        batch: attempts per step and device.
        max_tokens: of longer rows, the middle is left out.
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
    """Trains the logits of attempts, and counts tokens."""

    trained_tokens = input_tokens = 0
    scale: Scale

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Tensor:
        """Return the mean negative log-likelihood of the outcomes; inputs of `AttemptCollator`."""
        batch: AttemptsBatch = inputs["attempts"]
        self.trained_tokens += int(batch.tokens.loss_mask.sum())
        self.input_tokens += batch.tokens.tokens
        logits = self.scale.logits(mean_logprobs(model, batch))
        return binary_cross_entropy_with_logits(logits, inputs["solved"])


@dataclass(frozen=True, slots=True)
class AttemptCollator:
    """Makes a batch of attempts, each its rows, with their outcomes."""

    pad_id: int

    def __call__(self, attempts: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return `attempts`, and `solved` (N) float32: 1 or 0.

        Not as `labels`, of which the trainer takes a causal model's to be shifted tokens.
        """
        return {
            "attempts": attempts_batch([one["rows"] for one in attempts], self.pad_id),
            "solved": torch.tensor([one["solved"] for one in attempts]),
        }


def main(config: VerifierConfig, on_step: Callable[[MetricsRow], None] = lambda _: None) -> Path:
    """Train a verifier; return the folder of the result.

    Args:
        on_step: called with the metrics of each step.

    Raises:
        InputError: model, template, data or folder cannot be used; nothing was overwritten.
        TrainingError: the loss is no number any more, or memory has run out.
    """
    torch.manual_seed(config.seed)  # of adapters
    base = load_base(config.model, config.precision)
    pad_id = int(base.tokenizer.pad_token_id)
    parts = parted(config.used(read_examples(config.data)), config)
    shown = Shown(base.tokenizer, base.stop_ids, config.max_tokens)
    attempts = [shown.rows(attempt_of(one)) for one in parts.trained]
    folder = TrainingFolder(config.out)
    asked: dict[str, JsonValue] = {
        "config": config.model_dump(mode="json", exclude={"out", "resume"}),
        "data": hashlib.sha256(config.data.read_bytes()).hexdigest(),
        "logit": "mean log-probability",  # of before, checkpoints have a scalar head
    }
    with (
        folder.started(asked, resume=config.resume, device=config.device) as checkpoint,
        memory_named(config.stage),
    ):
        model: Any = base.model
        if config.lora is not None:
            # imported here: only adapters need it
            from peft import get_peft_model  # noqa: PLC0415

            model = get_peft_model(model, config.lora.config)
        solved = [float(one.outcome == "solved") for one in parts.trained]
        trainer = VerifierTrainer(
            model=model,
            args=config.trainer_arguments(TrainingArguments, folder, remove_unused_columns=False),
            train_dataset=[
                {"rows": rows, "solved": outcome}
                for rows, outcome in zip(attempts, solved, strict=True)
            ],
            data_collator=AttemptCollator(pad_id),
            processing_class=base.tokenizer,
        )
        trainer.scale = _scale(_means(trainer.model, attempts, pad_id, config.batch), solved)
        log = TrainerLog(folder, config.stage, config.seed, trainer, on_step)
        trainer.add_callback(log)
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        held_out = [shown.rows(attempt_of(one)) for one in parts.held_out]
        means = _means(trainer.model, held_out, pad_id, config.batch)
        temperature, found = _measured(trainer.scale.logits(means), parts.held_out)
        names = {name for one in parts.trained for name in (one.task_hash, _task_name(one))}
        record = VerifierRecord(
            max_tokens=config.max_tokens, scale=trainer.scale, temperature=temperature,
            trained_on=frozenset(names), calibration=found,
        )  # fmt: skip
        with folder.result() as result:
            trainer.save_model(str(result))
            if folder.leads:
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


def _means(model: Any, attempts: Sequence[Sequence[Row]], pad_id: int, batch: int) -> Tensor:
    """Mean log-probabilities (N) of what was said in attempts, on the CPU."""
    model.eval()
    starts = range(0, len(attempts), batch)
    with torch.no_grad():
        found = [
            mean_logprobs(model, attempts_batch(attempts[start : start + batch], pad_id)).cpu()
            for start in track(starts, "reading attempts", transient=True)
        ]
    return torch.cat(found)


def _scale(means: Tensor, solved: Sequence[float]) -> Scale:
    """Logits that spread by 1 before the training, around that of the share that is solved."""
    spread = max(float(means.std()), MIN_SPREAD)
    share = sum(solved) / len(solved)
    return Scale(center=float(means.mean()) - spread * float(logit(share)), spread=spread)


def _measured(logits: Tensor, held_out: Sequence[Example]) -> tuple[float, Calibration]:
    """The temperature, and how good the scores of held-out attempts are with it."""
    solved = np.array([one.outcome == "solved" for one in held_out])
    clusters = [group_of(one) for one in held_out]
    probabilities, temperature = crossfitted(logits.double().numpy(), solved, clusters)
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
