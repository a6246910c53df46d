"""`NanoConfig`: what the nano pipeline is told."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, field_validator

from benchside.task import Frozen
from benchside_training.nano.fresh import Shape

SIZES = {"registry": 57_000, "units": 100_000, "wards": 100_000}


class NanoConfig(Frozen):
    """Options of `main`.

    Args:
        parallel: jobs at a time, each on one thread.
        sizes: how large each suite would be if it were prepared whole, from which follows how many
            tasks a family has; such as give about as much to teach.
        families: that are learned of each.
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
    sizes: dict[str, int] = Field(SIZES, validate_default=True)
    families: int = Field(12, ge=1)
    taught: int = Field(18_000, ge=1)
    shape: Shape = Shape()
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

    @field_validator("sizes")
    @classmethod
    def _of_all_suites(cls, sizes: dict[str, int]) -> dict[str, int]:
        if sizes.keys() != SIZES.keys() or min(sizes.values()) < 1:
            raise ValueError(f"give each of {', '.join(SIZES)} a size of at least 1")
        return sizes
