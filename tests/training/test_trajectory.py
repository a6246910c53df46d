"""Trajectories are the recorded tokens, and batches of them change nothing that a model sees."""

import pytest
import torch
from transformers import LlamaForCausalLM

from benchside.errors import InputError
from benchside_training.token_batch import TokenBatch, packed, padded
from benchside_training.token_scores import token_scores
from benchside_training.trajectory import trajectories
from tests.training.tiny import episode_of, sampled, tiny_llama


def test_a_trajectory_is_the_recorded_tokens_one_after_another() -> None:
    episode = episode_of([sampled([5, 6, 7], [8, 2], version=3), sampled([9], [4, 2], version=4)])
    (found,) = trajectories(episode)
    assert found.input_ids.tolist() == [5, 6, 7, 8, 2, 9, 4, 2]
    assert found.loss_mask.tolist() == [False] * 3 + [True] * 2 + [False] + [True] * 2
    assert found.logprobs.tolist() == [0, 0, 0, -0.5, -0.5, 0, -0.5, -0.5]
    assert found.versions.tolist() == [-1, -1, -1, 3, 3, -1, 4, 4]
    assert found.turns.tolist() == [-1, -1, -1, 0, 0, -1, 1, 1]
    assert (found.reward, found.group, found.oldest_version) == (1.0, episode.task.hash, 3)
    assert found.input_ids.dtype == found.versions.dtype == torch.int64
    assert (found.loss_mask.dtype, found.logprobs.dtype) == (torch.bool, torch.float32)


def test_a_rewritten_history_begins_another_trajectory() -> None:
    turns = [sampled([5], [2]), sampled([5, 6], [7, 2], restarted=True), sampled([8], [2])]
    first, second = trajectories(episode_of(turns, reward=0.0))
    assert first.input_ids.tolist() == [5, 2]
    assert second.input_ids.tolist() == [5, 6, 7, 2, 8, 2]
    assert second.turns.tolist() == [-1, -1, 1, 1, -1, 2]
    assert first.reward == second.reward == 0.0
    nothing_sampled = [sampled([5], []), sampled([5, 6], [7], restarted=True)]
    assert len(trajectories(episode_of(nothing_sampled))) == 1


def test_failures_of_infrastructure_and_graders_have_no_reward() -> None:
    (found,) = trajectories(episode_of([sampled([5], [2])], reward=None))
    assert found.reward is None


def test_actions_without_tokens_are_refused_by_number() -> None:
    with pytest.raises(InputError, match=r"no tokens[\s\S]*turn 2[\s\S]*hf:tiny"):
        trajectories(episode_of([sampled([5], [2]), None]))


LENGTHS = (7, 3, 5, 2, 6)


def _sequences() -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    draw = torch.Generator().manual_seed(0)
    ids = [torch.randint(3, 50, (length,), generator=draw) for length in LENGTHS]
    masks = [torch.rand(length, generator=draw) < 0.6 for length in LENGTHS]
    return ids, masks


def test_packed_rows_are_full_and_hold_each_sequence_once() -> None:
    ids, masks = _sequences()
    batch = packed(ids, masks, max_tokens=10)
    assert batch.input_ids.shape == (3, 10)  # 7 + 3, 6 + 2, 5
    for number, own in enumerate(ids):
        where = batch.sequences == number
        assert batch.input_ids[where].tolist() == own.tolist()
        assert batch.positions[where].tolist() == list(range(len(own)))
        assert batch.loss_mask[where].tolist() == [False, *masks[number][1:].tolist()]
    assert batch.loss_mask[batch.sequences == -1].sum() == 0
    with pytest.raises(InputError, match=r"7 tokens[\s\S]*max_tokens"):
        packed(ids, masks, max_tokens=6)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_token_scores_alike_alone_padded_and_packed(attention: str) -> None:
    """Of packed rows, sequences must not see each other: a changed neighbour changes nothing."""
    model = tiny_llama(attention=attention)
    ids, masks = _sequences()
    alone = [
        _scores(model, padded([own], [mask]), 1)[0] for own, mask in zip(ids, masks, strict=True)
    ]
    assert not torch.allclose(alone[0], torch.zeros_like(alone[0]))
    changed = [own if number == 0 else (own + 7) % 50 for number, own in enumerate(ids)]
    for batch in (padded(ids, masks), packed(ids, masks, 10), packed(ids, masks, 100)):
        for found, expected in zip(_scores(model, batch, len(ids)), alone, strict=True):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    (first, *_) = _scores(model, packed(changed, masks, 100), len(ids))
    torch.testing.assert_close(first, alone[0], atol=1e-5, rtol=1e-5)


def _scores(model: LlamaForCausalLM, batch: TokenBatch, count: int) -> list[torch.Tensor]:
    with torch.no_grad():
        logprobs = token_scores(model, batch, temperature=0.7).logprobs
    return [logprobs[batch.sequences == number] for number in range(count)]


def test_scores_are_the_tempered_log_softmax_of_the_whole_forward_pass() -> None:
    llama = tiny_llama()
    ids = torch.tensor([[4, 9, 11, 2, 30]])
    mask = torch.tensor([True, False, True, True, False])
    batch = padded([ids[0]], [mask])
    found = token_scores(llama, batch, temperature=0.5, hidden=True)
    logs = torch.log_softmax(llama(input_ids=ids).logits[0] / 0.5, dim=-1)
    expected = [0, 0, logs[1, 11].item(), logs[2, 2].item(), 0]  # nothing predicts the first
    assert found.logprobs[0].tolist() == pytest.approx(expected, abs=1e-5)
    entropy = -(logs[1].exp() * logs[1]).sum().item()
    assert found.entropy[0, 2].item() == pytest.approx(entropy, abs=1e-5)
    assert found.hidden is not None
    torch.testing.assert_close(llama.lm_head(found.hidden[0, 2]), llama(input_ids=ids).logits[0, 1])


def test_values_are_laid_out_where_their_tokens_are() -> None:
    ids, masks = _sequences()
    for batch in (padded(ids, masks), packed(ids, masks, 10)):
        laid = batch.laid_out([own.float() for own in ids], fill=-1.0)
        inside = batch.sequences >= 0
        assert torch.equal(laid[inside], batch.input_ids[inside].float())
        assert (laid[~inside] == -1).all()
