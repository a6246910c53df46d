"""Direct preference optimisation: prefer the better of two episodes on one task.

    python -m benchside_training.dpo dpo.yaml

TRL's `DPOTrainer`, but only what the policy sampled enters the log-ratios: the stock trainer counts
everything after the prompt, the output of tools included. What both episodes begin with alike is no
preference either, and is left out too.

Source: R. Rafailov et al., Direct Preference Optimization (2023); variants as TRL documents them.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from datasets import Dataset
from pydantic import Field, JsonValue
from torch import Tensor
from trl import DPOConfig as TrlConfig
from trl import DPOTrainer

from benchside.curves import MetricsRow
from benchside.errors import InputError
from benchside_training.base_model import load_base
from benchside_training.model_card import write_model_card
from benchside_training.pairs import Pair, read_pairs
from benchside_training.recipe import run_recipe
from benchside_training.recipe_config import RecipeConfig
from benchside_training.render import Renderer, Row
from benchside_training.token_batch import padded
from benchside_training.trainer_log import TrainerLog, memory_named
from benchside_training.training_folder import TrainingFolder


class DpoConfig(RecipeConfig):
    """Options of `main`.

    Args:
        data: `pairs.jsonl`.
        beta: how dear it is to leave the first policy.
        loss: variant, by TRL's name.
    """

    data: Path
    stage: str = "dpo"
    beta: float = Field(0.1, gt=0)
    loss: Literal["sigmoid", "hinge", "ipo", "robust", "nca_pair", "apo_zero"] = "sigmoid"


class SampledTokensDpoTrainer(DPOTrainer):  # type: ignore[misc]  # TRL has no types
    """Takes rows of ids with masks as they are, and counts the tokens that it trains on."""

    trained_tokens = input_tokens = 0

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def _set_signature_columns_if_needed(self) -> None:
        self._signature_columns: list[str] | None = list(_COLUMNS)

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """As TRL's."""
        self.trained_tokens += int(inputs["completion_mask"].sum())
        self.input_tokens += int(inputs["attention_mask"].sum())
        return super().compute_loss(model, inputs, *args, **kwargs)


_COLUMNS = ("chosen_ids", "chosen_mask", "rejected_ids", "rejected_mask")


@dataclass(frozen=True, slots=True)
class PairCollator:
    """Makes a batch as `DPOTrainer` wants it: first all chosen rows, then all rejected ones."""

    pad_id: int

    def __call__(self, pairs: Sequence[dict[str, list[int]]]) -> dict[str, Tensor]:
        """Return `input_ids`, `attention_mask` and `completion_mask`, each (2 × pairs, T)."""
        sides = [(pair, side) for side in ("chosen", "rejected") for pair in pairs]
        batch = padded(
            [torch.tensor(pair[f"{side}_ids"]) for pair, side in sides],
            [torch.tensor(pair[f"{side}_mask"], dtype=torch.bool) for pair, side in sides],
            self.pad_id,
        )
        return {
            "input_ids": batch.input_ids,
            "attention_mask": batch.model_inputs["attention_mask"],
            "completion_mask": batch.loss_mask.long(),
        }


def main(config: DpoConfig, on_step: Callable[[MetricsRow], None] = lambda _: None) -> Path:
    """Train a model on pairs; return the folder of the result.

    Args:
        on_step: called with the metrics of each step.

    Raises:
        InputError: model, template, data or folder cannot be used; nothing was overwritten.
        TrainingError: the loss is no number any more, or memory has run out.
    """
    base = load_base(config.model, config.precision)
    pairs = config.used(read_pairs(config.data))
    rows, left_out = pair_rows(
        pairs, Renderer(base.tokenizer, base.stop_ids), config.max_tokens, config.data
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
        trainer = SampledTokensDpoTrainer(
            model=base.model,
            ref_model=copy.deepcopy(base.model) if config.lora is None else None,
            args=config.trainer_arguments(
                TrlConfig, folder, beta=config.beta, loss_type=[config.loss]
            ),
            train_dataset=Dataset.from_list(rows),
            data_collator=PairCollator(int(base.tokenizer.pad_token_id)),
            processing_class=base.tokenizer,
            peft_config=None if config.lora is None else config.lora.config,
        )
        log = TrainerLog(folder, config.stage, config.seed, trainer, on_step)
        trainer.add_callback(log)
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        with folder.result() as result:
            trainer.save_model(str(result))
            told: dict[str, JsonValue] = {
                "pairs": len(rows),
                "left out as too long or rewritten": left_out,
            }
            if folder.leads:
                base.tokenizer.save_pretrained(result)
                write_model_card(result, folder, {"Data": told})
    return folder.model


def pair_rows(
    pairs: Sequence[Pair], renderer: Renderer, max_tokens: int, where: Path
) -> tuple[list[dict[str, list[int]]], int]:
    """Return the pairs as columns of ids and masks, and how many were left out.

    A side that is too long, or whose history the template rewrites, cannot be one sequence.

    Raises:
        InputError: none is left.
    """
    rows = []
    for pair in pairs:
        chosen, rejected = renderer.rows(pair.chosen), renderer.rows(pair.rejected)
        if len(chosen) != 1 or len(rejected) != 1:
            continue
        if max(len(chosen[0]), len(rejected[0])) <= max_tokens:
            rows.append(_parted(chosen[0], rejected[0]))
    if not rows:
        raise InputError(
            "no pair can be trained on", where=where, value=f"{len(pairs)} pairs, all left out",
            fix="raise max_tokens, or take a chat template that does not rewrite history",
        )  # fmt: skip
    return rows, len(pairs) - len(rows)


def _parted(chosen: Row, rejected: Row) -> dict[str, list[int]]:
    """The columns of a pair; what both begin with alike does not train."""
    shortest = min(len(chosen), len(rejected))
    same = chosen.input_ids[:shortest] == rejected.input_ids[:shortest]
    shared = int(same.int().cumprod(0).sum())
    columns = {}
    for side, row in (("chosen", chosen), ("rejected", rejected)):
        own = row.loss_mask & (torch.arange(len(row)) >= shared)
        columns[f"{side}_ids"] = row.input_ids.tolist()
        columns[f"{side}_mask"] = own.int().tolist()
    return columns


if __name__ == "__main__":
    run_recipe(DpoConfig, main)
