"""`MuonAdamW`: Muon for the weights of the layers, AdamW for all else, as one optimiser.

Source: K. Jordan et al., "Muon: an optimizer for hidden layers" (2024); rates as AdamW's after
J. Liu et al., "Muon is scalable for LLM training" (2025), section 2.2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

BETAS = (0.9, 0.999)
"""Of AdamW. The second moment has to outlast the time between two sights of a rare token: between
them, softmax gives its embedding tiny gradients, which a short memory would make full steps of."""


class MuonAdamW(torch.optim.Optimizer):
    """Orthogonal steps for the matrices of linear layers, output layer left out; one process.

    Args:
        model: all of its weights learn, no adapters.
        lr: of both; Muon changes a weight by about 0.2 × `lr`, as AdamW usually does.
        weight_decay: of all weights, norms among them, which transformers' AdamW leaves out.
    """

    def __init__(self, model: PreTrainedModel, lr: float, weight_decay: float):
        output = model.get_output_embeddings()
        inner = [
            module.weight
            for module in model.modules()
            if isinstance(module, nn.Linear) and module is not output
            if module.weight.requires_grad
        ]
        known = {id(one) for one in inner}
        others = [one for one in model.parameters() if one.requires_grad and id(one) not in known]
        muon = torch.optim.Muon(
            inner, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
        )
        adamw = torch.optim.AdamW(others, lr=lr, weight_decay=weight_decay, betas=BETAS)
        self._parts = (muon, adamw)
        super().__init__([*muon.param_groups, *adamw.param_groups], {})
        self._share()

    def _share(self) -> None:
        """Let both parts work on the groups and the state that are this optimiser's."""
        for part, group in zip(self._parts, self.param_groups, strict=True):
            part.param_groups, part.state = [group], self.state

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Do one step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self._parts:
            part.step()  # type: ignore[no-untyped-call]
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state that was saved."""
        super().load_state_dict(state_dict)
        self._share()
