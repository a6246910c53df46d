"""How much memory keys and values take, and how many blocks of them fit."""

from __future__ import annotations

import os

import torch
from transformers import PreTrainedModel

from benchside.errors import InputError
from benchside_training.local.paged_cache import BLOCK

GPU_SHARE = 2  # of the free memory, one part in so many
CPU_SHARE = 8  # of all memory; it is taken page by page, as it is used


def token_bytes(model: PreTrainedModel) -> int:
    """Return the bytes that the keys and values of one token take in all layers."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * width * model.dtype.itemsize)


def block_count(model: PreTrainedModel, memory_mib: int | None) -> int:
    """Return how many blocks fit into `memory_mib`; None for a share of the device's.

    Raises:
        InputError: not even one does.
    """
    if memory_mib is not None:
        available = memory_mib * 2**20
    elif model.device.type == "cuda":
        available = torch.cuda.mem_get_info(model.device)[0] // GPU_SHARE
    else:
        available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // CPU_SHARE
    blocks = available // (token_bytes(model) * BLOCK)
    if blocks < 1:
        raise InputError(
            f"a block of {BLOCK} tokens takes {token_bytes(model) * BLOCK / 2**20:.1f} MiB",
            where="kv_memory_mib", value=memory_mib, fix="raise it",
        )  # fmt: skip
    return int(blocks)
