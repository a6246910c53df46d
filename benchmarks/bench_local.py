"""The local engine beside plain batched `generate`, and what its turns encode.

Both sample the same number of tokens for the same 16 prompts of equal length, with a random llama
of 0.9 M parameters on one thread, turn about. Then 16 episodes of several turns run at once.
"""

from __future__ import annotations

import asyncio
import sys
import time

import torch
from measure import Timing
from transformers import LlamaConfig, LlamaForCausalLM

from benchside_training.local.engine import Engine
from benchside_training.local.sampling import Sampling

EPISODES = 16
PROMPT, TOKENS = 128, 64
TURNS, OBSERVATION = 5, 40
ROUNDS = 7
LEAST = 0.8
VOCABULARY = 2000


def random_model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=128, intermediate_size=344, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=4096,
        tie_word_embeddings=True, bos_token_id=None, eos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def drawn_ids(length: int, seed: int) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    ids: list[int] = torch.randint(0, VOCABULARY, (length,), generator=generator).tolist()
    return ids


async def in_engine(engine: Engine, round_: int) -> None:
    sampling = Sampling(TOKENS, frozenset(), seed=round_)
    prompts = [drawn_ids(PROMPT, round_ * EPISODES + one) for one in range(EPISODES)]
    await asyncio.gather(*[engine.sample(ids, sampling) for ids in prompts])


def in_generate(model: LlamaForCausalLM, round_: int) -> None:
    prompts = [drawn_ids(PROMPT, round_ * EPISODES + one) for one in range(EPISODES)]
    model.generate(
        torch.tensor(prompts), attention_mask=torch.ones(EPISODES, PROMPT), do_sample=True,
        top_k=0, max_new_tokens=TOKENS, min_new_tokens=TOKENS, pad_token_id=0,
    )  # fmt: skip


async def episode(engine: Engine, number: int) -> None:
    """Turns of different lengths, with a pause between them as cells make."""
    ids: list[int] = []
    for turn in range(TURNS):
        known = len(ids)
        ids += drawn_ids(
            PROMPT if turn == 0 else OBSERVATION + number, 10**6 + 1000 * number + turn
        )
        sampling = Sampling(TOKENS // 2 + number, frozenset(), seed=turn)
        ids += (await engine.sample(ids, sampling, known=known)).ids
        await asyncio.sleep(0.005 * (number % 4))


async def main() -> int:
    torch.set_num_threads(1)
    model = random_model()
    engine = Engine(model, kv_memory_mib=512)
    ours, theirs = [], []
    for round_ in range(ROUNDS + 1):
        started = time.perf_counter()
        await in_engine(engine, round_)
        between = time.perf_counter()
        in_generate(model, round_)
        if round_:  # the first warms up
            ours.append((between - started) * 1e3)
            theirs.append((time.perf_counter() - between) * 1e3)
    generate = Timing("generate: 16 prompts × 64 tokens, one batch", tuple(theirs))
    engine_time = Timing("engine: the same prompts, as 16 requests", tuple(ours))
    share = generate.p50 / engine_time.p50
    print(generate.line())
    print(engine_time.line(generate))
    for name, timing in (("generate", generate), ("engine", engine_time)):
        rates = sorted(EPISODES * TOKENS / one * 1e3 for one in timing.times_ms)
        print(f"{name:<9} tokens/s: p50 {EPISODES * TOKENS / timing.p50 * 1e3:,.0f}, "
              f"{rates[0]:,.0f} to {rates[-1]:,.0f}")  # fmt: skip
    before = engine.counters.sampled, engine.counters.prefilled
    started = time.perf_counter()
    await asyncio.gather(*[episode(engine, number) for number in range(EPISODES)])
    seconds = time.perf_counter() - started
    counters = engine.counters
    sampled, prefilled = counters.sampled - before[0], counters.prefilled - before[1]
    print(
        f"{EPISODES} episodes of {TURNS} turns: {sampled / seconds:,.0f} tokens/s sampled, "
        f"{prefilled:,} encoded, {counters.reencoded} encoded again"
    )
    await engine.aclose()
    print(f"share of generate: {share:.0%} (at least {LEAST:.0%} wanted)")
    return 0 if share >= LEAST and counters.reencoded == 0 else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
