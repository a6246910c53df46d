"""The engine against transformers' `generate`, on real models; what its memory and thread do."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GptOssConfig,
    LogitsProcessorList,
    MistralConfig,
    PreTrainedModel,
    Qwen3Config,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from benchside.errors import InfrastructureError, InputError, PolicyError
from benchside_training.local.engine import PARKED, Engine
from benchside_training.local.paged_cache import BLOCK
from benchside_training.local.sampling import Sampling, draw
from benchside_training.local.sequence import Sampled
from tests.training.local.small import llama

GREEDY = Sampling(max_tokens=12, stop_ids=frozenset(), temperature=0)
MIB = 1


@contextlib.asynccontextmanager
async def running(model: PreTrainedModel, **options: Any) -> AsyncIterator[Engine]:
    engine = Engine(model, **{"kv_memory_mib": 8 * MIB, **options})
    try:
        yield engine
    finally:
        await engine.aclose()


def prompt(length: int, seed: int = 1) -> list[int]:
    return torch.randint(0, 250, (length,), generator=torch.manual_seed(seed)).tolist()


def generated(model: PreTrainedModel, ids: Sequence[int], sampling: Sampling) -> list[int]:
    """What transformers' own generate gives, alone in its batch."""
    if sampling.seed is not None:
        torch.manual_seed(sampling.seed)
    asked: dict[str, Any] = {"do_sample": False, "top_k": None, "top_p": None, "temperature": None}
    if sampling.temperature > 0:
        asked = {
            "do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p,
            "top_k": sampling.top_k,
        }  # fmt: skip
    found = model.generate(
        torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), pad_token_id=0, **asked,
        max_new_tokens=sampling.max_tokens, eos_token_id=sorted(sampling.stop_ids) or None,
    )  # fmt: skip
    return found[0, len(ids) :].tolist()


def small(config: type, **changes: Any) -> PreTrainedModel:
    torch.manual_seed(0)
    made = config(
        vocab_size=283, hidden_size=32, intermediate_size=64, num_hidden_layers=2, head_dim=8,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512,
        bos_token_id=None, eos_token_id=None, pad_token_id=None, initializer_range=0.3, **changes,
    )  # fmt: skip
    return AutoModelForCausalLM.from_config(made).eval()


@pytest.mark.parametrize(
    "make",
    [
        llama,
        lambda: llama(attn_implementation="eager"),
        lambda: small(MistralConfig, sliding_window=10),
        lambda: small(
            Qwen3Config, use_sliding_window=True, sliding_window=10,
            layer_types=["full_attention", "sliding_attention"],
        ),
        lambda: small(
            GptOssConfig, sliding_window=10, num_local_experts=2, num_experts_per_tok=1,
            attn_implementation="eager",
        ),
    ],
    ids=["llama", "eager", "mistral, sliding", "qwen3, mixed", "gpt-oss"],
)  # fmt: skip
async def test_ragged_batches_give_what_generate_gives_alone(make: Any) -> None:
    model = make()
    prompts = [prompt(length, length) for length in (1, 5, BLOCK, 70)]
    async with running(model) as engine:
        found = await asyncio.gather(*[engine.sample(one, GREEDY) for one in prompts])
    for ids, sampled in zip(prompts, found, strict=True):
        assert sampled.ids == generated(model, ids, GREEDY)
        assert sampled.cut_off and sampled.logprobs == [0.0] * GREEDY.max_tokens


async def test_a_seeded_request_draws_the_same_in_any_company() -> None:
    model = llama()
    seeded = Sampling(20, frozenset({3}), temperature=0.8, top_p=0.9, top_k=40, seed=7)
    ids = prompt(40)
    others = [Sampling(25, frozenset(), temperature=1.3, seed=seed) for seed in range(5)]
    async with running(model) as engine:
        alone = await engine.sample(ids, seeded)
        found = await asyncio.gather(
            *[engine.sample(prompt(9 * n, n), one) for n, one in enumerate(others, start=1)],
            engine.sample(ids, seeded), engine.sample(ids, GREEDY),
        )  # fmt: skip
        unseeded = [await engine.sample(ids, Sampling(12, frozenset())) for _ in range(2)]
    assert found[-2].ids == alone.ids == generated(model, ids, seeded)
    assert unseeded[0].ids != unseeded[1].ids
    assert alone.logprobs == pytest.approx(expected_logprobs(model, ids, alone, seeded), abs=1e-4)


def test_every_row_draws_what_multinomial_draws() -> None:
    logits = torch.randn(16, 5000, generator=torch.Generator().manual_seed(0))
    sampling = Sampling(1, frozenset())
    generators, theirs = (
        [torch.Generator().manual_seed(seed) for seed in range(len(logits))] for _ in range(2)
    )
    for _ in range(20):
        found = draw(logits, [sampling] * len(logits), generators)
        wanted = [
            int(torch.multinomial(row.softmax(-1), 1, generator=generator))
            for row, generator in zip(logits, theirs, strict=True)
        ]
        assert found.ids == wanted


def expected_logprobs(
    model: PreTrainedModel, ids: list[int], sampled: Sampled, sampling: Sampling
) -> list[float]:
    """From one pass over everything, by transformers' own processors."""
    warp = LogitsProcessorList(
        [
            TemperatureLogitsWarper(sampling.temperature),
            *([TopKLogitsWarper(sampling.top_k)] if sampling.top_k else []),
            *([TopPLogitsWarper(sampling.top_p)] if sampling.top_p < 1 else []),
        ]
    )
    with torch.no_grad():
        logits = model(torch.tensor([[*ids, *sampled.ids]])).logits[0, len(ids) - 1 : -1]
    scores = warp(torch.zeros(len(logits), 1), logits).log_softmax(-1)
    return scores[torch.arange(len(sampled.ids)), sampled.ids].tolist()


async def test_a_turn_encodes_only_what_is_new() -> None:
    model = llama()
    plain = Sampling(10, frozenset(), seed=1)
    async with running(model) as engine:
        ids, given = [], 0
        for turn in range(4):
            known = len(ids)
            ids = ids + prompt(45, seed=turn)
            sampled = await engine.sample(ids, plain, known=known)
            assert sampled.logprobs == pytest.approx(
                expected_logprobs(model, ids, sampled, plain), abs=1e-4
            )
            ids += sampled.ids
            given += 45 + (
                turn > 0
            )  # the last sampled token of the turn before is new to the model
        assert (engine.counters.prefilled, engine.counters.sampled) == (given, 40)
        assert (engine.counters.reencoded, engine.counters.dropped) == (0, 0)
        # two branches from there: one takes the cache over, the other shares it
        before = engine.counters.prefilled
        branches = [[*ids, 1, 2], [*ids, 3]]
        found = await asyncio.gather(
            *[engine.sample(one, GREEDY, known=len(ids)) for one in branches]
        )
        assert engine.counters.prefilled - before == 3 + 2
        assert engine.counters.reencoded == 0
    for one, sampled in zip(branches, found, strict=True):
        assert sampled.ids == generated(model, one, GREEDY)


async def test_a_group_shares_its_prompt() -> None:
    model, ids = llama(), prompt(100)
    group = [Sampling(8, frozenset(), seed=seed) for seed in range(6)]
    async with running(model) as engine:
        found = await asyncio.gather(*[engine.sample(ids, one) for one in group])
        assert engine.counters.prefilled == 100 + 5
        assert engine.counters.shared == 5 * 99
    for one, sampled in zip(group, found, strict=True):
        assert sampled.ids == generated(model, ids, one)


async def test_a_thousand_conversations_leave_no_growth() -> None:
    model, opening = llama(), prompt(2 * BLOCK)
    two = Sampling(2, frozenset(), temperature=0)

    async def converse(engine: Engine, number: int) -> None:
        ids, known = [*opening, *prompt(3, number)], 0
        for _ in range(2):
            ids += (await engine.sample(ids, two, known=known)).ids
            known = len(ids)
            ids.append(number % 200)

    async with running(model, max_batch=16) as engine:
        held, beginnings = [], []
        for first in range(0, 1000, 20):
            await asyncio.gather(*[converse(engine, first + one) for one in range(20)])
            held.append(engine.held_tokens)
            beginnings.append(len(engine._index))
        # what is kept of 20 at a time: of each a block, beside the two that all share
        assert max(held) <= (PARKED * 20 + 2) * BLOCK
        assert max(beginnings) <= PARKED * 20 + 2
        assert engine.counters.dropped >= 1000 - PARKED * 20
        assert engine.counters.reencoded == 0
        # the shared opening was encoded once: 3 tokens of each conversation's, then 2 of its turn's
        assert engine.counters.prefilled <= len(opening) + 1000 * (3 + 2)


async def test_bounded_memory_drops_puts_back_and_changes_nothing() -> None:
    model = llama(num_hidden_layers=1, head_dim=128)
    sampling = Sampling(40, frozenset(), temperature=0)
    async with running(model, kv_memory_mib=1) as engine:  # 512 tokens
        await asyncio.gather(*[engine.sample(prompt(100, seed), GREEDY) for seed in range(9)])
        assert engine.counters.dropped > 0
        with pytest.raises(PolicyError, match=r"600 tokens, the memory .* holds 512"):
            await engine.sample(prompt(600), GREEDY)
        prompts = [prompt(length, length) for length in (20, 30, 150, 151, 152, 153)]
        found = await asyncio.gather(*[engine.sample(one, sampling) for one in prompts])
        assert engine.counters.put_back > 0 and engine.counters.reencoded > 0
    for ids, sampled in zip(prompts, found, strict=True):
        assert sampled.ids == generated(model, ids, sampling)


async def test_a_cancelled_request_leaves_the_batch() -> None:
    model = llama(max_position_embeddings=10**6)
    async with running(model, max_batch=1) as engine:
        endless = asyncio.create_task(engine.sample(prompt(5), Sampling(10**6, frozenset())))
        while not engine.counters.sampled:
            await asyncio.sleep(0.01)
        waiting = asyncio.create_task(engine.sample(prompt(7), GREEDY))
        endless.cancel()
        with pytest.raises(asyncio.CancelledError):
            await endless
        assert (await waiting).ids == generated(model, prompt(7), GREEDY)


async def test_weights_are_replaced_between_tokens() -> None:
    old, new = llama(seed=0), llama(seed=1)
    ids = prompt(30)
    async with running(llama(seed=0, max_position_embeddings=10**6)) as engine:
        endless = asyncio.create_task(engine.sample(prompt(5), Sampling(150, frozenset())))
        first = await engine.sample(ids, GREEDY)
        await engine.update(new.state_dict(), version=3)
        second = await engine.sample([*ids, *first.ids], GREEDY, known=42)
        assert first.ids == generated(old, ids, GREEDY) and set(first.versions) == {0}
        assert second.ids == generated(new, [*ids, *first.ids], GREEDY)
        assert set(second.versions) == {3}
        assert engine.counters.reencoded >= 41  # with the new weights
        versions = (await endless).versions
        assert versions == sorted(versions) and set(versions) <= {0, 3}
        with pytest.raises(RuntimeError, match=r"size mismatch|Missing key"):
            await engine.update({"lm_head.weight": torch.zeros(1, 1)}, version=4)
        assert engine.version == 3


async def test_a_failing_model_fails_its_requests_by_name_and_the_engine_goes_on() -> None:
    model = llama()
    good = {name: part.clone() for name, part in model.state_dict().items()}
    async with running(model) as engine:
        spoilt = {**good, "lm_head.weight": torch.full_like(good["lm_head.weight"], float("nan"))}
        await engine.update(spoilt, 1)
        with pytest.raises(InfrastructureError, match="logits are not finite"):
            await engine.sample(prompt(5), GREEDY)
        await engine.update(good, 2)
        assert (await engine.sample(prompt(5), GREEDY)).ids == generated(model, prompt(5), GREEDY)
        with pytest.raises(PolicyError, match="8,192 tokens, the model takes 8,192"):
            await engine.sample(prompt(8192), GREEDY)
    with pytest.raises(InfrastructureError, match="closed"):
        await engine.sample(prompt(5), GREEDY)


async def test_memory_that_cannot_be_had_is_named() -> None:
    async with running(llama(), kv_memory_mib=2**40) as engine:
        with pytest.raises(InfrastructureError, match="out of memory"):
            await engine.sample(prompt(5), GREEDY)
    with pytest.raises(InputError, match="a block of 32 tokens takes"):
        Engine(llama(num_key_value_heads=4, head_dim=1024), kv_memory_mib=1)
