"""Supervised fine-tuning: raise the likelihood of what the policy said in chosen episodes.

    python -m benchside_training.sft sft.yaml

TRL's `SFTTrainer` on rows that `render` has made, so that our masks are used as they are.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Self

from datasets import Dataset
from pydantic import JsonValue, model_validator
from torch import nn
from transformers import Trainer
from trl import SFTConfig as TrlConfig
from trl import SFTTrainer

from benchside.curves import MetricsRow
from benchside.errors import InputError
from benchside_training.base_model import load_base
from benchside_training.examples import read_examples
from benchside_training.model_card import write_model_card
from benchside_training.muon import MuonAdamW
from benchside_training.recipe import run_recipe
from benchside_training.recipe_config import RecipeConfig
from benchside_training.render import IGNORED, Renderer, Row, draw_lengths, fitting
from benchside_training.trainer_log import TrainerLog, memory_named
from benchside_training.training_folder import TrainingFolder


class SftConfig(RecipeConfig):
    """Options of `main`.

    Args:
        data: `examples.jsonl`.
        packing: fill rows of `max_tokens` with several examples that do not see each other.
        optimiser: Muon needs fewer steps from scratch; all weights, one process, see `muon`.
    """

    data: Path
    stage: str = "sft"
    packing: bool = False
    optimiser: Literal["adamw", "muon"] = "adamw"

    @model_validator(mode="after")
    def _muon_fits(self) -> Self:
        if self.optimiser == "muon" and self.lora is not None:
            raise ValueError("optimiser muon trains all weights: leave lora out, or take adamw")
        if self.optimiser == "muon" and int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise ValueError("optimiser muon works in one process: take adamw, or launch one")
        return self

    @property
    def optimising(self) -> tuple[Any, dict[str, Any]] | None:
        """What transformers' trainer makes an optimiser with; None: what its arguments say."""
        if self.optimiser == "adamw":
            return None
        return lambda: MuonAdamW, {"lr": self.learning_rate, "weight_decay": self.weight_decay}


class CountingSftTrainer(SFTTrainer):  # type: ignore[misc]  # TRL has no types
    """Counts the tokens that it trains on, makes logits of these alone, and measures nothing else.

    TRL's own loss also takes the entropy of every token, padding included.
    """

    trained_tokens = input_tokens = 0

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """As transformers' trainer has it.

        Raises:
            InputError: sequences are split over devices.
        """
        if "shift_labels" in inputs:
            raise InputError(
                "SFT cannot train on sequences that are split over devices",
                where="accelerate's configuration", fix="leave context parallelism out",
            )  # fmt: skip
        following = inputs["labels"][:, 1:]
        trained = following != IGNORED
        self.trained_tokens += int(trained.sum())
        given = inputs.get("attention_mask")
        self.input_tokens += inputs["input_ids"].numel() if given is None else int(given.sum())
        labels = following[trained][None]
        told = {**inputs, "labels": labels, "shift_labels": labels}

        def choose(_: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
            return given[0][:, :-1][trained][None], *given[1:]

        head = self.accelerator.unwrap_model(model).get_output_embeddings()
        with head.register_forward_pre_hook(choose):
            return Trainer.compute_loss(self, model, told, *args, **kwargs)


def main(config: SftConfig, on_step: Callable[[MetricsRow], None] = lambda _: None) -> Path:
    """Fine-tune a model on examples; return the folder of the result.

    Args:
        on_step: called with the metrics of each step.

    Raises:
        InputError: model, template, data or folder cannot be used; nothing was overwritten.
        TrainingError: the loss is no number any more, or memory has run out.
    """
    base = load_base(config.model, config.precision)
    examples = config.used(read_examples(config.data))
    renderer = Renderer(base.tokenizer, base.stop_ids)
    rows, lengths = fitting(
        [row for example in examples for row in renderer.rows(example)], config.max_tokens
    )
    folder = TrainingFolder(config.out)
    asked: dict[str, JsonValue] = {
        "config": config.model_dump(mode="json", exclude={"out", "resume"}),
        "data": hashlib.sha256(config.data.read_bytes()).hexdigest(),
    }
    with (
        folder.started(asked, resume=config.resume, device=config.device) as checkpoint,
        memory_named(config.stage),
    ):
        if folder.leads:
            draw_lengths(rows, config.max_tokens, folder.path / "lengths.png")
        trainer = CountingSftTrainer(
            model=base.model,
            args=config.trainer_arguments(
                TrlConfig,
                folder,
                max_length=config.max_tokens,
                packing=config.packing,
                train_sampling_strategy="group_by_length",
            ),
            train_dataset=_dataset(rows),
            processing_class=base.tokenizer,
            peft_config=None if config.lora is None else config.lora.config,
            optimizer_cls_and_kwargs=config.optimising,
        )
        log = TrainerLog(folder, config.stage, config.seed, trainer, on_step)
        trainer.add_callback(log)
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        with folder.result() as result:
            trainer.save_model(str(result))
            if folder.leads:
                base.tokenizer.save_pretrained(result)
                write_model_card(result, folder, {"Data": str(lengths)})
    return folder.model


def _dataset(rows: list[Row]) -> Dataset:
    return Dataset.from_dict(
        {
            "input_ids": [row.input_ids.tolist() for row in rows],
            "labels": [row.labels for row in rows],
        }
    )


if __name__ == "__main__":
    run_recipe(SftConfig, main)
