"""`Learner`: the model that reinforcement learning changes, and what belongs to it.

Adapters share the weights below them with the reference policy, which is the model without them;
with all weights trained, the reference is a copy. Trainer and generator run in the same precision,
so that both give a token the same probability.
"""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from torch import nn
from transformers import PreTrainedModel

from benchside.errors import InputError
from benchside.policies.options import PolicyOptions
from benchside_training.local.loading import LocalModel, load
from benchside_training.recipe_config import BETAS
from benchside_training.rl_config import RlConfig
from benchside_training.training_folder import steps_of


class Learner:
    """Owns model, value head, reference and optimiser.

    Args:
        config: which model, and how it is trained.

    Raises:
        InputError: the model cannot be loaded, or has no parameter that `rates` names.
    """

    def __init__(self, config: RlConfig):
        torch.manual_seed(config.seed)
        self._config = config
        dtype = "bfloat16" if config.precision == "bfloat16" else "float32"
        options = PolicyOptions(device=config.device, dtype=dtype)
        self.loaded: LocalModel = load(config.model, options)
        bare = self.loaded.model
        self.model: nn.Module = bare
        self.reference: nn.Module | None = None
        if config.update.kl_weight and config.lora is None:
            self.reference = self._in_precision(copy.deepcopy(bare))
        if config.lora is not None:
            self.model = get_peft_model(bare, config.lora.config)
            self.reference = _Unadapted(self.model) if config.update.kl_weight else None
        if config.gradient_checkpointing:
            bare.activation_checkpointing_enable({"use_reentrant": False})
        self._generator = self._in_precision(copy.deepcopy(bare)) if config.max_staleness else bare
        self._in_precision(bare)
        self.value_head: nn.Module | None = None
        if config.method == "ppo":
            width = bare.config.get_text_config().hidden_size
            self.value_head = nn.Linear(width, 1).to(bare.device)
            nn.init.zeros_(self.value_head.weight)
            nn.init.zeros_(self.value_head.bias)
        self.optimiser = torch.optim.AdamW(
            self._parameter_groups(), lr=config.learning_rate, betas=BETAS, weight_decay=0.0
        )

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """What is learned: at the learning rate, and by name at the rates of `_rates`."""
        learned = {name: one for name, one in self.model.named_parameters() if one.requires_grad}
        named = sorted(self._config.rates)
        for name in named:
            if name not in learned:
                raise InputError(
                    "no parameter that is trained has this name", where="rates", value=name,
                    fix=f"name others, such as {', '.join(list(learned)[-3:])}",
                )  # fmt: skip
        others = [one for name, one in learned.items() if name not in self._config.rates]
        others += self.value_head.parameters() if self.value_head else ()
        return [{"params": others}, *({"params": [learned[name]]} for name in named)]

    @property
    def _rates(self) -> list[float]:
        """The learning rate of each group of parameters."""
        own = self._config.rates
        return [self._config.learning_rate, *(own[name] for name in sorted(own))]

    @property
    def generator(self) -> PreTrainedModel:
        """What an engine samples from: the model itself, or a copy that is played ahead with."""
        return self._generator

    @property
    def new_weights(self) -> dict[str, torch.Tensor] | None:
        """What the generator has to take over; None where it has the weights already."""
        bare = self.loaded.model
        return None if self._generator is bare else bare.state_dict()

    def set_rate(self, step: int) -> None:
        """Set the learning rates of a step, which follow from its number alone."""
        share = min((step + 1) / (self._config.warmup_steps + 1), 1.0)
        for group, rate in zip(self.optimiser.param_groups, self._rates, strict=True):
            group["lr"] = share * rate

    def save(self, checkpoint: Path) -> None:
        """Write a checkpoint; it counts once its last file is there."""
        shutil.rmtree(checkpoint, ignore_errors=True)
        checkpoint.mkdir(parents=True)
        adapters = self._config.lora is not None
        state = {
            "model": get_peft_model_state_dict(self.model) if adapters else self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "value_head": None if self.value_head is None else self.value_head.state_dict(),
        }
        torch.save(state, checkpoint / "state.pt")
        step = steps_of(checkpoint)
        (checkpoint / "trainer_state.json").write_text(json.dumps({"global_step": step}))

    def restore(self, checkpoint: Path) -> int:
        """Take up a checkpoint; return the step to go on with."""
        state = torch.load(checkpoint / "state.pt", map_location="cpu", weights_only=True)
        if self._config.lora is not None:
            set_peft_model_state_dict(self.model, state["model"])
        else:
            self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.value_head is not None:
            self.value_head.load_state_dict(state["value_head"])
        return steps_of(checkpoint)

    def write(self, folder: Path) -> None:
        """Write the result: the weights, or the adapters, and the tokenizer."""
        saved: Any = self.model  # a transformers model, or peft's
        saved.save_pretrained(folder)
        self.loaded.tokenizer.save_pretrained(folder)

    def _in_precision(self, model: PreTrainedModel) -> PreTrainedModel:
        """The model; its passes are in bfloat16 where the precision is mixed."""
        if self._config.precision == "mixed":
            model.forward = torch.autocast(model.device.type, torch.bfloat16)(model.forward)
        return model


class _Unadapted(nn.Module):
    """A model without its adapters, which shares its weights."""

    def __init__(self, adapted: nn.Module):
        super().__init__()
        self._adapted = [adapted]  # in a list: no part of this module

    def forward(self, **inputs: Any) -> Any:
        """As of a transformers model."""
        adapted: Any = self._adapted[0]
        with adapted.disable_adapter():
            return adapted(**inputs)
