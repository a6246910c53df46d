"""`MemoryPlan`: what a training takes of each GPU's memory, told before hours are spent on it.

    parameters    held in the precision's dtype; a reference policy holds them once more
    casts         bfloat16 copies that mixed precision makes of them; of one layer where sharded
    gradients     of what is trained
    optimiser     AdamW's two moments, in the dtype of the weights
    activations   of a pass over a batch's tokens: all layers', or with checkpointing each layer's
                  input and one layer's inside
    logits        in float32, with their log-softmax and its gradient, on trained tokens
    kv            keys and values of the tokens that a generator holds

Attention is taken to need no memory that grows with the square of the length (sdpa or flash).
Fragments, kernels' workspaces and CUDA itself come on top: leave a tenth free.

Sources: S. Rajbhandari et al., ZeRO (2020); V. Korthikanti et al., Reducing Activation
Recomputation in Large Transformer Models (2022), counted again for gated layers and shared keys.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from transformers import AutoModelForCausalLM, PreTrainedConfig

from benchside_training.base_model import Precision

GIB = 2**30
LOGIT_BYTES = 12  # logits, log-softmax, gradient


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Bytes of each GPU."""

    parameters: int
    casts: int
    gradients: int
    optimiser: int
    activations: int
    logits: int
    kv: int

    @property
    def total(self) -> int:
        """All of them, at the same time."""
        return sum(getattr(self, field.name) for field in fields(self))

    def lines(self) -> list[str]:
        """Return the plan for people, in GiB."""
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        rows = {**parts, "total": self.total}
        return [f"{name:<12} {size / GIB:8.2f} GiB" for name, size in rows.items()]


def memory_plan(
    config: PreTrainedConfig,
    *,
    precision: Precision,
    tokens: int,
    trained_tokens: int,
    kv_tokens: int = 0,
    lora_rank: int | None = None,
    reference: bool = False,
    checkpointing: bool = False,
    shards: int = 1,
) -> MemoryPlan:
    """Return what a training of a llama-like model takes of each GPU.

    Args:
        tokens: of one pass on one GPU, padding included.
        trained_tokens: of those, the ones whose logits are needed.
        kv_tokens: that a generator on the same GPU holds at most.
        lora_rank: of adapters on all linear layers; None: all weights are trained.
        reference: a second copy of the weights is held; adapters need none.
        shards: GPUs that share parameters, gradients and optimiser (FSDP, ZeRO-3).
    """
    text = config.get_text_config()
    size = 4 if precision != "bfloat16" else 2
    held = parameter_count(config)
    trained = held if lora_rank is None else adapter_count(config, lora_rank)
    layer = _layer_count(config)
    weights = (held + (trained if lora_rank is not None else 0)) * size
    if reference and lora_rank is None:
        weights += held * size
    casts = 0
    if precision == "mixed":
        casts = 2 * (layer if shards > 1 else trained if lora_rank is None else layer)
    passing = 4 if precision == "float32" else 2
    inside = 6 * text.hidden_size + 2 * _kv_width(text) + 4 * text.intermediate_size
    kept = text.num_hidden_layers * (text.hidden_size if checkpointing else inside)
    return MemoryPlan(
        parameters=math.ceil(weights / shards),
        casts=casts,
        gradients=math.ceil(trained * size / shards),
        optimiser=math.ceil(2 * trained * size / shards),
        activations=tokens * passing * (kept + (inside if checkpointing else 0)),
        logits=trained_tokens * text.vocab_size * LOGIT_BYTES,
        kv=kv_tokens * 2 * text.num_hidden_layers * _kv_width(text) * passing,
    )


def parameter_count(config: PreTrainedConfig) -> int:
    """Return a model's parameters, without making any."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return sum(one.numel() for one in model.parameters())


def adapter_count(config: PreTrainedConfig, rank: int) -> int:
    """Return the parameters of adapters on all linear layers but the head."""
    return sum(rank * (ins + outs) for ins, outs in _linear(config)) * _layers(config)


def _linear(config: PreTrainedConfig) -> list[tuple[int, int]]:
    """Widths of one layer's linear maps: query, key, value, output, gate, up, down."""
    text = config.get_text_config()
    wide, inner, kv = text.hidden_size, text.intermediate_size, _kv_width(text)
    heads = _head_width(text) * text.num_attention_heads
    return [
        (wide, heads), (wide, kv), (wide, kv), (heads, wide), (wide, inner), (wide, inner),
        (inner, wide),
    ]  # fmt: skip


def _layer_count(config: PreTrainedConfig) -> int:
    """Parameters of one layer's linear maps."""
    return sum(ins * outs for ins, outs in _linear(config))


def _layers(config: PreTrainedConfig) -> int:
    return int(config.get_text_config().num_hidden_layers)


def _head_width(text: PreTrainedConfig) -> int:
    return int(getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads)


def _kv_width(text: PreTrainedConfig) -> int:
    return int(text.num_key_value_heads * _head_width(text))
