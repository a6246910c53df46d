"""One update: its gradient, what is left out, what stops it, and that it learns."""

from dataclasses import replace

import pytest
import torch
from transformers import LlamaForCausalLM

from benchside.errors import IntegrityError
from benchside.policy import Tokens
from benchside_training.policy_update import UpdateConfig, update
from benchside_training.trajectory import Trajectory, trajectories
from tests.training.tiny import episode_of, tiny_llama

TEMPERATURE = 0.8


def logs_of(model: LlamaForCausalLM, ids: list[int]) -> torch.Tensor:
    """(T - 1, V), all log-probabilities by a plain forward pass."""
    logits = model(input_ids=torch.tensor([ids])).logits[0, :-1]
    return torch.log_softmax(logits / TEMPERATURE, -1)


def generated(
    model: LlamaForCausalLM, actions: list[tuple[list[int], list[int]]], version: int = 0
) -> list[Tokens]:
    """Actions as an engine records them: with the probabilities that the model gives them."""
    turns, ids = [], []
    for context, drawn in actions:
        ids += [*context, *drawn]
        with torch.no_grad():
            logs = logs_of(model, ids)
        places = range(len(ids) - len(drawn), len(ids))
        turns.append(
            Tokens(
                context_ids=tuple(context), sampled_ids=tuple(drawn),
                logprobs=tuple(float(logs[at - 1, ids[at]]) for at in places),
                versions=(version,) * len(drawn),
            )
        )  # fmt: skip
    return turns


def episodes(model: LlamaForCausalLM) -> list[Trajectory]:
    """Task a: a success in two turns, a failure and an unscored one; task b: two failures."""
    said = [
        ("a", 1.0, [([3, 4, 5], [6, 7, 2]), ([8, 9], [10, 2])]), ("a", 0.0, [([3, 4, 5], [11, 2])]),
        ("a", None, [([3, 4, 5], [12, 2])]), ("b", 0.0, [([4, 4], [6, 2])]),
        ("b", 0.0, [([4, 4], [7, 2])]),
    ]  # fmt: skip
    found = []
    for number, (task, reward, actions) in enumerate(said):
        turns = generated(model, actions)
        found += trajectories(episode_of(turns, reward, task_id=task, sample=number))
    return found


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("positive_weight", [0.0, 0.25])
@pytest.mark.parametrize("max_tokens", [10, 100])
def test_an_update_steps_along_a_plain_implementations_gradient(
    max_tokens: int, positive_weight: float, masked: bool
) -> None:
    """With one trajectory a row, or all in one, the step is the same.

    A masked failure still counts in its group, but its own tokens do not train.
    """
    ours, plain = tiny_llama(), tiny_llama()
    config = UpdateConfig(
        temperature=TEMPERATURE, divide_by_std=False, max_tokens=max_tokens, max_grad_norm=1e9,
        positive_weight=positive_weight,
    )  # fmt: skip
    optimiser = torch.optim.SGD(ours.parameters(), lr=1.0)
    solved = trajectories(episode_of(generated(ours, [([5, 5], [9, 2])]), 1.0, task_id="c"))
    given = [*episodes(ours), *solved]
    given[1] = replace(given[1], masked=masked)
    report = update(ours, optimiser, given, config, version=0)
    assert (report.groups, report.without_signal, report.unscored) == (3, 2, 1)
    trained = 5 if masked else 7
    liked = 7 if positive_weight else 0  # the two successes, once more
    assert report.tokens == trained + liked
    assert report.ratios is not None
    assert report.ratios.largest_log < 1e-5
    assert report.clipped == 0

    # at a ratio of 1, the gradient is that of the log-probabilities weighted by the advantages
    first, second = [3, 4, 5, 6, 7, 2, 8, 9, 10, 2], [3, 4, 5, 11, 2]
    one, other = logs_of(plain, first), logs_of(plain, second)
    gain = 0.5 * sum(one[at - 1, first[at]] for at in (3, 4, 5, 8, 9))
    if not masked:
        gain = gain - 0.5 * sum(other[at - 1, second[at]] for at in (3, 4))
    # what got the whole reward: five tokens of the first one, two of a group without signal
    third = logs_of(plain, [5, 5, 9, 2])
    likely = sum(one[at - 1, first[at]] for at in (3, 4, 5, 8, 9)) + third[1, 9] + third[2, 2]
    (-gain / trained - positive_weight * likely / 7).backward()
    for mine, theirs in zip(ours.parameters(), plain.parameters(), strict=True):
        assert theirs.grad is not None
        torch.testing.assert_close(mine, theirs - theirs.grad, atol=1e-6, rtol=1e-5)


def test_a_masked_episode_teaches_a_value_head_nothing() -> None:
    model = tiny_llama()
    given = episodes(model)
    given[1] = replace(given[1], masked=True)
    head = torch.nn.Linear(model.config.hidden_size, 1)
    optimiser = torch.optim.SGD([*model.parameters(), *head.parameters()], lr=1e-3)
    config = UpdateConfig(temperature=TEMPERATURE)
    assert update(model, optimiser, given, config, version=0, value_head=head).tokens == 9


def test_tokens_that_the_trainer_sees_otherwise_stop_the_update() -> None:
    model = tiny_llama()
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    before = {name: one.clone() for name, one in model.state_dict().items()}
    given = episodes(tiny_llama(seed=1))
    config = UpdateConfig(temperature=TEMPERATURE, most_kl=1e-6)
    with pytest.raises(IntegrityError, match="other probabilities"):
        update(model, optimiser, given, config, version=0)
    assert all(torch.equal(before[name], one) for name, one in model.state_dict().items())
    # of an older version they may differ
    report = update(model, optimiser, given, config, version=1)
    assert report.ratios is None
    assert report.loss is not None


def test_without_any_signal_nothing_is_stepped() -> None:
    model = tiny_llama()
    before = {name: one.clone() for name, one in model.state_dict().items()}
    optimiser = torch.optim.AdamW(model.parameters(), lr=1.0)
    silent = episodes(model)[3:]
    report = update(model, optimiser, silent, UpdateConfig(temperature=TEMPERATURE), version=0)
    assert (report.loss, report.tokens, report.without_signal) == (None, 0, 1)
    assert all(torch.equal(before[name], one) for name, one in model.state_dict().items())


@pytest.mark.parametrize("method", ["grpo", "grpo with kl, two passes", "ppo", "ppo by turn"])
def test_each_method_learns_a_task_of_two_turns(method: str) -> None:
    """Half the reward is for saying 7 in the first turn, half for 8 in the second, of 16 tokens."""
    model, reference = tiny_llama(vocabulary=16), tiny_llama(vocabulary=16)
    value_head = torch.nn.Linear(16, 1) if method.startswith("ppo") else None
    if value_head is not None:
        torch.nn.init.zeros_(value_head.weight)
    config = UpdateConfig(
        by_turn=method == "ppo by turn", decay=0.95, kl_weight=1e-3,
        passes=2 if "two passes" in method else 1,
    )  # fmt: skip
    learned = [*model.parameters(), *(value_head.parameters() if value_head else ())]
    optimiser = torch.optim.AdamW(learned, lr=2e-2, weight_decay=0.0)
    draw = torch.Generator().manual_seed(0)
    rates = []
    for version in range(30):
        batch = played(model, 32, draw, version)
        rates.append(sum(one.reward or 0.0 for one in batch) / len(batch))
        update(
            model, optimiser, batch, config, version=version, value_head=value_head,
            reference=reference if "kl" in method else None,
        )  # fmt: skip
    assert rates[0] < 0.3
    assert sum(rates[-3:]) / 3 > 0.9


def played(
    model: LlamaForCausalLM, count: int, draw: torch.Generator, version: int
) -> list[Trajectory]:
    """Episodes of two turns, each one token; half the reward for each right one."""
    ids = torch.full((count, 1), 3)
    tokens = []
    for _ in range(2):
        with torch.no_grad():
            logits = model(input_ids=ids).logits[:, -1]
            every = torch.log_softmax(logits, -1)
        drawn = torch.multinomial(every.exp(), 1, generator=draw)
        tokens.append((drawn[:, 0].tolist(), every.gather(1, drawn)[:, 0].tolist()))
        ids = torch.cat([ids, drawn, torch.full((count, 1), 12)], 1)
    found = []
    for number in range(count):
        said = [tokens[turn][0][number] for turn in range(2)]
        reward = 0.5 * (said[0] == 7) + 0.5 * (said[1] == 8)
        turns = [
            Tokens(
                context_ids=(3,) if turn == 0 else (12,), sampled_ids=(said[turn],),
                logprobs=(tokens[turn][1][number],), versions=(version,),
            )
            for turn in range(2)
        ]  # fmt: skip
        found += trajectories(episode_of(turns, reward, sample=number))
    return found
