"""Muon for the weights of the layers, AdamW for the rest: which is which, how far a step goes."""

import copy

import pytest
import torch

from benchside_training.muon import MuonAdamW
from tests.training.tiny import tiny_llama


def stepped() -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Weights of a tiny llama before and after one step down a random gradient."""
    model = tiny_llama()
    before = copy.deepcopy(dict(model.named_parameters()))
    optimiser = MuonAdamW(model, lr=1e-2, weight_decay=0.0)
    torch.manual_seed(1)
    for one in model.parameters():
        one.grad = torch.randn_like(one)
    optimiser.step()
    return before, dict(model.named_parameters())


def test_matrices_of_layers_take_orthogonal_steps_and_all_else_those_of_adamw() -> None:
    before, after = stepped()
    inner = {name for name in before if "proj" in name}
    assert len(inner) == 2 * 7
    for name, old in before.items():
        change = (old - after[name]).detach()
        if name in inner:  # Newton-Schulz takes singular values that are not tiny to 0.7 to 1.2
            scale = 1e-2 * 0.2 * max(change.shape) ** 0.5
            spread = torch.linalg.svdvals(change) / scale
            assert spread.max() < 1.4 and spread.median() > 0.7, name
        else:
            assert change.abs().mean() == pytest.approx(1e-2, rel=1e-3), name
    assert "model.embed_tokens.weight" not in inner and len(before) == len(inner) + 6


def test_weights_that_are_fixed_stay_out() -> None:
    model = tiny_llama()
    fixed = model.model.layers[0].mlp.up_proj.weight
    fixed.requires_grad_(False)
    optimiser = MuonAdamW(model, lr=1e-2, weight_decay=0.0)
    learned = [one for group in optimiser.param_groups for one in group["params"]]
    assert len(learned) == len(list(model.parameters())) - 1
    assert all(one is not fixed for one in learned)


def test_rates_that_are_set_after_a_state_was_read_reach_all_weights() -> None:
    model = tiny_llama()
    optimiser = MuonAdamW(model, lr=1e-2, weight_decay=0.0)
    optimiser.load_state_dict(optimiser.state_dict())
    for group in optimiser.param_groups:
        group["lr"] = 0.0
    before = copy.deepcopy(dict(model.named_parameters()))
    for one in model.parameters():
        one.grad = torch.ones_like(one)
    optimiser.step()
    for name, one in model.named_parameters():
        assert torch.equal(one, before[name]), name


def test_all_weights_decay() -> None:
    model = tiny_llama()
    optimiser = MuonAdamW(model, lr=1e-2, weight_decay=0.5)
    before = copy.deepcopy(dict(model.named_parameters()))
    for one in model.parameters():
        one.grad = torch.zeros_like(one)
    optimiser.step()
    for name, one in model.named_parameters():
        torch.testing.assert_close(one, before[name] * (1 - 1e-2 * 0.5))


def test_a_rare_tokens_embedding_stays_where_it_was_seen_last() -> None:
    """Between two sights it has tiny gradients only; they must not become full steps."""
    model = tiny_llama()
    optimiser = MuonAdamW(model, lr=1e-2, weight_decay=0.0)
    embeddings = model.get_input_embeddings().weight
    for step in range(400):
        if step == 300:
            after_a_while = embeddings.detach().clone()
        embeddings.grad = torch.full_like(embeddings, 1.0 if step == 0 else 1e-4)
        optimiser.step()
    full = 100 * 1e-2
    assert (embeddings.detach() - after_a_while).abs().max() < 0.05 * full
