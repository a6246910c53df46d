"""`RecipeConfig`: what all recipes that run on transformers' trainer are told alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import Field, field_validator
from transformers import TrainingArguments

from benchside.task import Frozen
from benchside_training.base_model import Lora, Precision
from benchside_training.training_folder import TrainingFolder

Datum = TypeVar("Datum")
Arguments = TypeVar("Arguments", bound=TrainingArguments)
BETAS = (0.9, 0.95)


def unnumbered(device: str | None) -> str | None:
    """Return a device that transformers' trainer can be told of: it takes the first of its kind.

    Raises:
        ValueError: it is told by its number.
    """
    if device is not None and ":" in device:
        raise ValueError(f"write cuda, and choose the GPU by CUDA_VISIBLE_DEVICES: {device}")
    return device


class RecipeConfig(Frozen):
    """Options of a training.

    Args:
        model: folder or name of the model to start from.
        out: folder of the training.
        resume: go on from the last checkpoint in `out`.
        lora: adapters instead of all weights; None trains all.
        epochs: passes over the data; `max_steps` ends earlier, where given.
        learning_rate: at its highest, after `warmup_steps`; it falls as a cosine from there on.
        batch: rows per step, device and part; `accumulate` parts make a step.
        max_tokens: longer rows are left out, never cut.
        gradient_checkpointing: less memory, about a third more time.
        save_every: steps between checkpoints; the last two are kept.
        device: "cpu", "cuda", or None for an accelerator where there is one.
        train_fraction: share of the data that is used, from its beginning, for learning curves.
    """

    model: str
    out: Path
    resume: bool = False
    seed: int = 0
    lora: Lora | None = None
    epochs: float = Field(1.0, gt=0)
    max_steps: int | None = Field(None, ge=1)
    learning_rate: float = Field(1e-5, gt=0)
    warmup_steps: int = Field(0, ge=0)
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    batch: int = Field(8, ge=1)
    accumulate: int = Field(1, ge=1)
    max_tokens: int = Field(8192, ge=2)
    precision: Precision = "mixed"
    gradient_checkpointing: bool = False
    save_every: int = Field(100, ge=1)
    device: str | None = None
    train_fraction: float = Field(1.0, gt=0, le=1)

    @field_validator("device")
    @classmethod
    def _is_no_number(cls, device: str | None) -> str | None:
        return unnumbered(device)

    def used(self, data: list[Datum]) -> list[Datum]:
        """Return the share of the data that is asked for, at least one."""
        return data[: max(round(len(data) * self.train_fraction), 1)]

    def trainer_arguments(
        self, kind: type[Arguments], folder: TrainingFolder, **own: Any
    ) -> Arguments:
        """Return what transformers' trainer is told: one process trains on one device.

        Left alone, it would split batches over all GPUs of a machine by `nn.DataParallel`, which
        can neither count tokens nor make logits of some of them; `accelerate launch` uses them all.

        Args:
            kind: of the arguments.
            own: of the recipe.
        """
        on_cpu = self.device == "cpu" or not torch.accelerator.is_available()
        told = {
            "output_dir": str(folder.checkpoints), "seed": self.seed, "data_seed": self.seed,
            "num_train_epochs": self.epochs, "max_steps": self.max_steps or -1,
            "learning_rate": self.learning_rate, "lr_scheduler_type": "cosine",
            "warmup_steps": self.warmup_steps, "weight_decay": self.weight_decay,
            "adam_beta1": BETAS[0], "adam_beta2": BETAS[1], "max_grad_norm": self.max_grad_norm,
            "per_device_train_batch_size": self.batch,
            "gradient_accumulation_steps": self.accumulate,
            "activation_checkpointing": self.gradient_checkpointing,
            "bf16": self.precision == "mixed", "use_cpu": on_cpu,
            "logging_steps": 1, "logging_nan_inf_filter": False, "report_to": "none",
            "save_strategy": "steps", "save_steps": self.save_every, "save_total_limit": 2,
        }  # fmt: skip
        arguments: Arguments = kind(**told, **own)
        arguments._n_gpu = min(arguments.n_gpu, 1)
        return arguments
