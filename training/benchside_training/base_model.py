"""`BaseModel`: the model that a training starts from, checked before hours are spent on it."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from peft import LoraConfig
from pydantic import Field
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from benchside.errors import InputError
from benchside.task import Frozen
from benchside_training.local.loading import end_ids, first_line

Precision = Literal["float32", "mixed", "bfloat16"]
"""Weights in float32; weights in float32 and passes in bfloat16; all in bfloat16."""


class Lora(Frozen):
    """Low-rank adapters on all linear layers instead of the weights themselves.

    Source: E. Hu et al., LoRA (2021).
    """

    rank: int = Field(16, ge=1)
    alpha: int = Field(32, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)

    @property
    def config(self) -> LoraConfig:
        """As peft wants it."""
        return LoraConfig(
            r=self.rank, lora_alpha=self.alpha, lora_dropout=self.dropout,
            target_modules="all-linear", task_type="CAUSAL_LM",
        )  # fmt: skip


class BaseModel(NamedTuple):
    """A model on the CPU, its tokenizer, and the ids that end its turns."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    stop_ids: tuple[int, ...]


def load_base(name: str, precision: Precision) -> BaseModel:
    """Load a model with its tokenizer, from a folder or by its name at the hub.

    Raises:
        InputError: it cannot be loaded, or the tokenizer is not the model's.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
        model = AutoModelForCausalLM.from_pretrained(
            name, dtype=torch.bfloat16 if precision == "bfloat16" else torch.float32
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(
            f"the model cannot be loaded: {first_line(error)}", where="model", value=name,
            fix="give a folder with config.json, tokenizer and weights, or a name at the hub",
        ) from None  # fmt: skip
    known = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > known:
        raise InputError(
            f"the tokenizer has {len(tokenizer)} tokens, the model {known}", where="model",
            value=name, fix="give the tokenizer that the model was trained with",
        )  # fmt: skip
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token  # padding is masked: any token will do
    found = end_ids(getattr(model, "generation_config", None), model.config, tokenizer)
    if not found or max(found) >= known:
        raise InputError(
            f"the ids that end a turn are none of the model's {known}", where="model: eos_token_id",
            value=found, fix="set eos_token_id in generation_config.json",
        )  # fmt: skip
    return BaseModel(model, tokenizer, found)
