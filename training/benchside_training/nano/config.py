"""`NanoConfig`: what the nano pipeline is told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from benchside.evaluation import LimitChoice
from benchside.task import Frozen
from benchside_training.base_model import Precision
from benchside_training.nano.curriculum import UNSEEN_SUITE
from benchside_training.nano.episodes import Playing
from benchside_training.nano.fresh import Reads, Shape
from benchside_training.recipe_config import unnumbered

SIZES: dict[str, int | None] = {"registry": 57_000, "units": 100_000, "wards": 100_000}
MAX_TOKENS = 200


class NanoConfig(Frozen):
    """Options of `main`.

    Args:
        parallel: jobs at a time, each on one thread.
        device, precision: of all trainings; models are played on the same device, in float32.
        sizes: suites, and how large each would be if it were prepared whole, from which follows how
            many tasks a family has; such as give about as much to teach. None: as the suite says.
        families: that are learned of each suite that can be prepared by family; of others all.
        reads: what of a task the model is shown: its question alone will do for hospitals.
        limits, max_tokens: of an episode, and of what the model says in one turn.
        taught: tasks at most that the teacher plays, each once.
        seeds: of SFT and all that follows; teacher, fresh model and base are shared.
        base_epochs, sft_epochs: passes over the examples.
        pair_tasks, pair_samples: episodes of the SFT model that preference pairs are made from.
        rl_steps, rl_tasks, rl_samples: of PPO and GRPO; rl_positive: weight of what they solved;
            sharpening: learning rate of the last norm's weight, by which all logits grow.
        held_out, greedy, unseen: number of tasks that models are measured on, each once for each
            seed.
        parts: shares of the examples that SFT is measured after, beside all of them.
        attempted, attempts: held-out tasks, and how often the SFT model tries each of them, for a
            verifier to choose; verifier_epochs, verifier_rate: of its training.
    """

    out: Path
    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1)
    parallel: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    device: str | None = "cpu"
    precision: Precision = "float32"
    sizes: dict[str, int | None] = Field(SIZES, min_length=1)
    families: int = Field(12, ge=1)
    taught: int = Field(18_000, ge=1)
    shape: Shape = Shape()
    reads: Reads = "question"
    limits: LimitChoice = LimitChoice(max_turns=4, cell_timeout_s=30.0)
    max_tokens: int = Field(MAX_TOKENS, ge=1)
    base_epochs: float = Field(3.0, gt=0)
    base_rate: float = Field(3e-3, gt=0)
    sft_epochs: float = Field(0.5, gt=0)
    sft_rate: float = Field(5e-4, gt=0)
    pair_tasks: int = Field(160, ge=1)
    pair_samples: int = Field(4, ge=2)
    dpo_rate: float = Field(1e-4, gt=0)
    rl_steps: int = Field(10, ge=1)
    rl_tasks: int = Field(16, ge=1)
    rl_samples: int = Field(8, ge=2)
    rl_positive: float = Field(1.0, ge=0)
    rl_rate: float = Field(1e-4, gt=0)
    sharpening: float = Field(0.3, gt=0)
    batch: int = Field(32, ge=1)
    held_out: int = Field(402, ge=1)
    greedy: int = Field(134, ge=1)
    parts: tuple[float, ...] = (0.25, 0.5, 0.75)
    attempted: int = Field(102, ge=1)
    attempts: int = Field(16, ge=2)
    verifier_epochs: float = Field(2.0, gt=0)
    verifier_rate: float = Field(1e-4, gt=0)
    unseen: int = Field(12, ge=1)

    @property
    def playing(self) -> Playing:
        """How episodes of its models are played."""
        return Playing(self.device, self.limits, self.max_tokens)

    @field_validator("device")
    @classmethod
    def _is_no_number(cls, device: str | None) -> str | None:
        return unnumbered(device)

    @model_validator(mode="after")
    def _suites_fit(self) -> Self:
        small = [name for name, size in self.sizes.items() if size is not None and size < 1]
        if small:
            raise ValueError(f"sizes: {small[0]} needs a size of at least 1, or null")
        if UNSEEN_SUITE in self.sizes:
            raise ValueError(f"sizes: {UNSEEN_SUITE} is there to be never learned: leave it out")
        others = sorted(self.sizes.keys() - SIZES.keys())
        if others and self.reads == "question":
            raise ValueError(
                f"{', '.join(others)}: a question alone does not tell these tasks: reads: prompt"
            )
        return self
