"""Our supervised fine-tuning beside TRL's `SFTTrainer`, in tokens a second.

    python benchmarks/bench_sft.py

Both train the same random llama on the same rows, in the same order, without padding (rows of one
length), in float32 on one thread, turn about. Our recipe *is* TRL's trainer, given rows that were
rendered by us and a log: it can only be as fast, so what is tested is that it costs nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    TrainerCallback,
)
from trl import SFTConfig, SFTTrainer

from benchside_training.sft import CountingSftTrainer
from benchside_training.trainer_log import TrainerLog
from benchside_training.training_folder import TrainingFolder

LEAST = 0.95
ROWS, LENGTH, BATCH, STEPS = 64, 256, 8, 6
VOCABULARY = 2000


class Steps(TrainerCallback):
    """Seconds of each step."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._begun = 0.0

    def on_step_begin(self, *_: object, **__: object) -> None:
        self._begun = time.perf_counter()

    def on_step_end(self, *_: object, **__: object) -> None:
        self.seconds.append(time.perf_counter() - self._begun)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    ours: list[float] = []
    theirs: list[float] = []
    for round_ in range(asked.rounds + 1):
        for found, kind in ((ours, CountingSftTrainer), (theirs, SFTTrainer)):
            rate = tokens_per_second(kind)
            if round_:  # the first warms up
                found.append(rate)
                print(f"round {round_}, {kind.__name__}: {rate:,.0f} tokens/s", flush=True)
    for name, rates in (("benchside_training.sft", ours), ("TRL SFTTrainer", theirs)):
        middle = statistics.median(rates)
        print(f"{name:<24} n={len(rates)} p50 {middle:,.0f} tokens/s "
              f"({min(rates):,.0f} to {max(rates):,.0f})")  # fmt: skip
    share = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    print(f"ours / TRL: {share:.2f} (at least {LEAST} wanted); load {os.getloadavg()[0]:.1f}")
    return 0 if share >= LEAST else 1


def tokens_per_second(kind: type[SFTTrainer]) -> float:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=128, intermediate_size=344, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=4, tie_word_embeddings=True, bos_token_id=None,
        eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    ids = torch.randint(1, VOCABULARY, (ROWS, LENGTH)).tolist()
    steps = Steps()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        trainer = kind(
            model=LlamaForCausalLM(config),
            args=SFTConfig(
                output_dir=folder, per_device_train_batch_size=BATCH, max_steps=STEPS,
                max_length=LENGTH, bf16=False, use_cpu=True, gradient_checkpointing=False,
                report_to="none", save_strategy="no", logging_steps=1, disable_tqdm=True,
            ),
            train_dataset=Dataset.from_dict({"input_ids": ids, "labels": ids}),
            processing_class=tokenizer(),
        )  # fmt: skip
        if isinstance(trainer, CountingSftTrainer):
            training = TrainingFolder(Path(folder))
            trainer.add_callback(
                TrainerLog(training, "sft", 0, lambda: trainer.trained_tokens, lambda _: None)
            )
        trainer.add_callback(steps)
        trainer.train()
    return BATCH * LENGTH * (STEPS - 1) / sum(steps.seconds[1:])


def tokenizer() -> PreTrainedTokenizerFast:
    bare = Tokenizer(models.WordLevel({f"t{number}": number for number in range(VOCABULARY)}))
    return PreTrainedTokenizerFast(tokenizer_object=bare, pad_token="t0", eos_token="t1")


if __name__ == "__main__":
    sys.exit(main())
