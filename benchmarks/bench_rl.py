"""A step of reinforcement learning beside its parts, and how busy kernels are while they live.

    python benchmarks/bench_rl.py

A llama of 1 M parameters learns within seconds to run one cell and to submit from a second one,
about 100 tokens in all. Then `rl.main` takes steps of 64 episodes on `registry`, all at a time.
After each step its parts are timed alone: as many tokens are sampled on the same contexts by an
engine that nobody else disturbs, and the same trajectories are trained on. The reward is drawn, so
that all groups train.

Kernels are idle while their episode asks, waits and writes: with a stub policy, which takes no
time, that is all that the runner adds. What share of their lives it is depends on how long cells
take: next to nothing, or a tenth of a second.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from benchside.batch import assign, run_batch, select
from benchside.curves import MetricsRow
from benchside.episode import Episode
from benchside.evaluation import LimitChoice
from benchside.library import Suite, open_suite
from benchside.policies.scripted import ScriptedPolicy
from benchside.policy import Action, Message, Tokens
from benchside.protocol import opening_messages, run_cell_action
from benchside.provenance import provenance
from benchside.store import RunConfig, RunFolder
from benchside.task import TaskSpec
from benchside.task_kernel import WARM_MODULES
from benchside_kernels.makers import open_kernels
from benchside_kernels.startup import home_folder
from benchside_training.chat_template import ChatTemplate
from benchside_training.local.engine import Engine
from benchside_training.local.sampling import Sampling
from benchside_training.policy_update import UpdateConfig, update
from benchside_training.rl import RlConfig
from benchside_training.rl import main as train
from benchside_training.trajectory import trajectories

MOST_RATIO = 1.3
MOST_IDLE = 0.2
EPISODES = 64
CELLS_S = (0.0, 0.1)
SUITE = "registry"
VOCABULARY = 2000
TEMPLATE = """{%- for message in messages -%}
{%- if message.role == 'user' -%}
{%- if 'Question: ' in message.content -%}
<|user|>{{ message.content.split('Question: ')[1][:24] }}<|end|>
{%- else -%}<|user|>{{ message.content }}<|end|>{%- endif -%}
{%- elif message.role == 'assistant' -%}<|assistant|>{{ message.content }}<|end|>{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"""
CELLS = (
    "```python\nn = DEMOGRAPHIC.groupby('GENDER').AGE.mean().max()\n```",
    "```python\nsubmit(round(float(n)))\n```",
)
OBSERVED = Message(role="user", content="```tool_output\n(no output)\n```")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=4)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    suite = open_suite(SUITE, home_folder())
    with tempfile.TemporaryDirectory() as scratch:
        steps = timed_steps(suite, Path(scratch), asked.steps)
        idle = {
            cell_s: asyncio.run(idle_shares(suite, Path(scratch), cell_s)) for cell_s in CELLS_S
        }
    for name in ("step", "generation", "update"):
        print(f"{name:<12} {spread([one[name] for one in steps], ' s')}")
    ratios = [one["step"] / (one["generation"] + one["update"]) for one in steps]
    print(f"step / (generation + update): {spread(ratios)}; at most {MOST_RATIO} wanted")
    for cell_s, shares in idle.items():
        told = f"{EPISODES} episodes at a time, cells of {cell_s} s"
        print(f"kernels idle, {told}: {spread(shares)}; at most {MOST_IDLE} wanted of the longer")
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory without kernels {peak_gib:.1f} GiB; load {os.getloadavg()[0]:.1f}")
    share = statistics.median(idle[max(CELLS_S)])
    missed = statistics.median(ratios) > MOST_RATIO or share >= MOST_IDLE
    return 1 if missed else 0


def spread(values: list[float], unit: str = "") -> str:
    middle = statistics.median(values)
    return f"n={len(values)} p50 {middle:.2f}{unit} ({min(values):.2f} to {max(values):.2f})"


def timed_steps(suite: Suite, folder: Path, steps: int) -> list[dict[str, float]]:
    """Take one step that does not count, then `steps` that do; return their seconds."""
    model = folder / "model"
    write_model(suite, model)
    config = RlConfig(
        model=str(model), out=folder / "rl", suites=(SUITE,), steps=steps + 1, tasks=8, samples=8,
        learning_rate=1e-6, max_tokens=96, limits=LimitChoice(max_turns=4), parallel=EPISODES,
        save_every=steps + 1, update=UpdateConfig(max_tokens=512), device="cpu",
    )  # fmt: skip
    found: list[dict[str, float]] = []

    def on_step(row: MetricsRow) -> None:
        run = RunFolder(folder / "rl" / "rollouts" / f"step-{row.step:05d}")
        episodes = [run.episode(one) for one in run.rows()]
        alone = generation_alone(model, episodes)
        trained = update_alone(model, episodes, config.update)
        if row.step == 0:
            tokens = sum(len(one.sampled_ids) for all_ in episodes for one in tokens_of(all_))
            turns = sum(len(one.turns) for one in episodes)
            done = sum(one.end_reason == "submitted" for one in episodes)
            n = len(episodes)
            print(f"{n} episodes a step, {turns / n:.1f} turns and {tokens / n:.0f} sampled "
                  f"tokens each, {done} submitted")  # fmt: skip
            return
        found.append({"step": row.seconds or 0.0, "generation": alone, "update": trained})
        print(f"step {row.step}: {found[-1]['step']:.1f} s; alone {alone:.1f} + {trained:.1f} s")

    train(config, on_step, reward=lambda episode: float(episode.sample % 2))
    return found


def tokens_of(episode: Episode) -> Iterator[Tokens]:
    return (turn.action.tokens for turn in episode.turns if turn.action.tokens is not None)


def generation_alone(model: Path, episodes: list[Episode]) -> float:
    """Seconds for as many tokens on the same contexts, without tokenizers, kernels or files."""
    loaded = LlamaForCausalLM.from_pretrained(model)

    async def play(engine: Engine, episode: Episode) -> None:
        ids: list[int] = []
        for number, tokens in enumerate(tokens_of(episode)):
            known = len(ids)
            ids += tokens.context_ids
            sampling = Sampling(len(tokens.sampled_ids), frozenset(), seed=number)
            ids += (await engine.sample(ids, sampling, known=known)).ids

    async def all_of_them() -> float:
        engine = Engine(loaded, max_batch=EPISODES)
        try:
            started = time.perf_counter()
            await asyncio.gather(*[play(engine, one) for one in episodes])
            return time.perf_counter() - started
        finally:
            await engine.aclose()

    with ThreadPoolExecutor(1) as thread:  # an event loop is running in this one
        return thread.submit(asyncio.run, all_of_them()).result()


def update_alone(model: Path, episodes: list[Episode], config: UpdateConfig) -> float:
    """Seconds for an update on the same trajectories."""
    loaded = LlamaForCausalLM.from_pretrained(model)
    optimiser = torch.optim.AdamW(loaded.parameters(), lr=1e-6)
    learned = [
        replace(one, reward=float(episode.sample % 2))
        for episode in episodes
        for one in trajectories(episode)
    ]
    started = time.perf_counter()
    update(loaded, optimiser, learned, config, version=-1)  # other weights: nothing is compared
    return time.perf_counter() - started


def write_model(suite: Suite, folder: Path) -> None:
    """Train a model to say two cells, whatever it is asked, and write it."""
    torch.manual_seed(0)
    special = ["<pad>", "<|end|>", "<|user|>", "<|assistant|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*special, *alphabet])}
    bare = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    bare.add_special_tokens(special)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bare, pad_token="<pad>", eos_token="<|end|>", chat_template=TEMPLATE
    )
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=128, intermediate_size=344, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=2048,
        tie_word_embeddings=True, bos_token_id=None, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    template = ChatTemplate(tokenizer, [1])
    rows = [row(template, suite, number) for number in range(32)]
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    started = time.perf_counter()
    for step in range(200):
        chosen = [rows[(4 * step + number) % len(rows)] for number in range(4)]
        width = max(len(ids) for ids, _ in chosen)
        ids = torch.tensor([ids + [0] * (width - len(ids)) for ids, _ in chosen])
        labels = torch.tensor([own + [-100] * (width - len(own)) for _, own in chosen])
        loss = model(input_ids=ids, labels=labels).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if loss.item() < 4e-3:
            break
    millions = sum(one.numel() for one in model.parameters()) / 1e6
    print(f"{millions:.2f} M parameters, learned two cells in {step + 1} steps and "
          f"{time.perf_counter() - started:.0f} s")  # fmt: skip
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def row(template: ChatTemplate, suite: Suite, number: int) -> tuple[list[int], list[int]]:
    """Ids of an episode, and labels: -100 on what is not said."""
    task = suite.tasks[number]
    messages = list(opening_messages(task, suite.image(task).description))
    ids: list[int] = []
    labels: list[int] = []
    for cell in CELLS:
        context = template.whole(messages, ())[len(ids) :]
        messages.append(Message(role="assistant", content=cell))
        said = template.said(messages, ())
        messages.append(OBSERVED)
        ids += context + said
        labels += [-100] * len(context) + said
    return ids, labels


async def idle_shares(suite: Suite, folder: Path, cell_s: float) -> list[float]:
    """Shares of their lives in which kernels run no cell, in three runs after one that warms up."""
    tasks = select(suite, "train", EPISODES)
    cells = [f"import time; time.sleep({cell_s})"] * 3 + ["submit(1)"]

    def script(_: TaskSpec, turn: int) -> Action | None:
        return run_cell_action(cells[turn]) if turn < len(cells) else None

    policy = ScriptedPolicy("stub", script, {})
    shares = []
    async with open_kernels(None, WARM_MODULES) as maker:
        origin = provenance(0, maker.isolation)
        for number in range(4):
            run = RunFolder(folder / f"idle-{cell_s}-{number}")
            made = RunConfig(
                suites=(), policies={policy.name: {}}, samples=1, seed=number, provenance={}
            )
            with run.lock():
                run.start(made, resume=False)
                asked = assign([(suite, tasks)], [policy], 1, number)
                await run_batch(asked, run, origin, maker=maker, parallel=EPISODES)
            rows = run.rows().values()
            lived = sum(one.duration_s for one in rows)
            shares.append(1 - sum(one.kernel_s for one in rows) / lived)
    return shares[1:]


if __name__ == "__main__":
    sys.exit(main())
