"""`RlConfig`: what reinforcement learning is told."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, PositiveFloat, model_validator

from benchside.evaluation import LimitChoice
from benchside.task import Frozen, Split
from benchside_training.base_model import Lora, Precision
from benchside_training.policy_update import UpdateConfig
from benchside_training.reward import RewardWeights


class HeldOut(Frozen):
    """Tasks that the policy is measured on while it learns.

    Args:
        every: steps between two measurements.
        suites: those that are trained on by default.
        split: of the tasks.
        tasks: of each suite, asked once each, at the temperature of training.
    """

    every: int = Field(10, ge=1)
    suites: tuple[str, ...] = ()
    split: Split = "valid"
    tasks: int = Field(100, ge=1)


class Branch(Frozen):
    """Several continuations from one cell, beside the attempts from the start.

    Args:
        at: turns after which the kernel of an attempt is copied.
        continuations: of it, its own included; `samples` is a multiple of them.
    """

    at: int = Field(1, ge=1)
    continuations: int = Field(4, ge=2)


class RlConfig(Frozen):
    """Options of `rl.main`.

    Args:
        suites: whose `train` tasks are asked.
        lora: adapters instead of all weights; checkpoints and result are adapters then.
        precision: as in the other recipes; trainer and generator have the same.
        gradient_checkpointing: less memory, about a third more time.
        tasks, samples: questions per step, and attempts at each: a group.
        branch: attempts part at a cell, and are compared from there on, see `branches`; None: they
            do not.
        method: PPO has a value head beside the model, which is not part of the result.
        learning_rate: after `warmup_steps`, in which it rises; constant from there on.
        rates: of parameters by name that have one of their own. The last norm's weight is what
            makes a policy surer of itself: large beside other weights, it hardly moves at theirs.
        max_tokens: of one turn.
        limits: instead of those of the tasks.
        reward: weights of its parts, see `reward`.
        mask_truncated: an episode that ran out of turns, time or tokens counts in its group, but is
            not trained on (DAPO's overlong filtering); PPO has no groups, and leaves it out.
        held_out: what the policy is measured on while it learns; None: nothing.
        max_staleness: how many updates old a token may be when it is trained on. 0: playing and
            training take turns. Otherwise playing goes on while the model is trained, with a copy
            of its weights, and what has become too old is dropped and counted.
        parallel: most episodes at a time.
        kv_memory_mib: for their keys and values; None: half of what is free on a GPU beside the
            model, an eighth of a CPU's memory.
        save_every: steps between checkpoints.
    """

    model: str
    out: Path
    suites: tuple[str, ...] = Field(min_length=1)
    stage: str = "grpo"
    method: str = Field("grpo", pattern="^(grpo|ppo)$")
    resume: bool = False
    seed: int = 0
    lora: Lora | None = None
    precision: Precision = "float32"
    gradient_checkpointing: bool = False
    steps: int = Field(100, ge=1)
    tasks: int = Field(16, ge=1)
    samples: int = Field(8, ge=1)
    learning_rate: float = Field(1e-6, gt=0)
    rates: dict[str, PositiveFloat] = Field(default_factory=dict)
    warmup_steps: int = Field(0, ge=0)
    max_tokens: int = Field(1024, ge=1)
    limits: LimitChoice = LimitChoice()
    reward: RewardWeights = RewardWeights()
    mask_truncated: bool = False
    update: UpdateConfig = UpdateConfig()
    branch: Branch | None = None
    held_out: HeldOut | None = None
    max_staleness: int = Field(0, ge=0)
    parallel: int = Field(16, ge=1)
    kv_memory_mib: int | None = Field(None, ge=1)
    save_every: int = Field(10, ge=1)
    device: str | None = None

    @model_validator(mode="after")
    def _branches_fit(self) -> Self:
        if self.branch is None:
            return self
        if self.samples % self.branch.continuations:
            raise ValueError(
                f"samples ({self.samples}) must be a multiple of branch.continuations "
                f"({self.branch.continuations})"
            )
        if self.method != "grpo":
            raise ValueError("branch needs method grpo: a value head compares no siblings")
        return self

    @property
    def updating(self) -> UpdateConfig:
        """Options of the update; branches that are played are compared with each other."""
        if self.branch is None:
            return self.update
        return self.update.model_copy(update={"branches": True})
