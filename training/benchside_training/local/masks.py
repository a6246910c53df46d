"""Which keys each query of a batch sees."""

from __future__ import annotations

import torch
from transformers import PreTrainedModel


def attention_masks(
    model: PreTrainedModel, positions: torch.Tensor, length: int
) -> torch.Tensor | dict[str, torch.Tensor]:
    """Return (B, 1, Q, T) for attention "sdpa" or "eager"; by kind of layer where they differ.

    Args:
        positions: (B, Q) int64, of the queries.
        length: T, keys of each row.
    """
    config = model.config.get_text_config()
    queries = positions[:, None, :, None]
    keys = torch.arange(length, device=positions.device)
    sees = keys <= queries  # bool, True where a key is seen
    window = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or [])
    near = sees & (keys > queries - window) if window else sees
    masks = {"full_attention": sees, "sliding_attention": near}
    if config._attn_implementation == "eager":  # it adds its mask to the scores
        lowest = torch.finfo(model.dtype).min
        masks = {
            kind: torch.zeros_like(mask, dtype=model.dtype).masked_fill(~mask, lowest)
            for kind, mask in masks.items()
        }
    if len(kinds) > 1:
        return masks
    sliding = kinds == {"sliding_attention"} or (not kinds and window)
    return masks["sliding_attention" if sliding else "full_attention"]
