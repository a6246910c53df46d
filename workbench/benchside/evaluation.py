"""`Evaluation`: what one YAML file asks for: suites, policies, samples, limits, seed, budget.

`benchside run` makes one from its options, `benchside evaluate` reads one; both then do the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from benchside.errors import InputError
from benchside.manifests import read_yaml
from benchside.policies import PolicyOptions
from benchside.policies.prices import PriceList, read_prices
from benchside.policy import ToolName
from benchside.scaffolds import models_of
from benchside.task import Frozen, Split, TaskSpec
from benchside.tools import checked_tools
from benchside_kernels.sandbox import Level

_PRICED = ("openai:", "anthropic:", "gemini:", "blind:")


class SuiteChoice(Frozen):
    """Tasks of one suite: all of a split, or `limit` of them, spread over its categories.

    Args:
        tasks: only these, as `TASK_ID` or `TASK_ID@HASH`; see `benchside.task_list`.
    """

    name: str
    split: Split | None = None
    tasks: tuple[str, ...] = ()
    limit: int | None = Field(None, ge=1)


class PolicyChoice(PolicyOptions):
    """A policy by its string, such as "openai:MODEL", with its options beside it.

    Args:
        price_list: of the evaluation, for what has no prices of its own; each policy's record says
            which it has found.
    """

    policy: str
    price_list: PriceList = Field(PriceList({}), exclude=True)

    @property
    def options(self) -> PolicyOptions:
        """The options alone."""
        return PolicyOptions.model_validate(self.model_dump(exclude={"policy"}))

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The models behind servers whose prices are not known."""
        return tuple(
            model for model in models_of(self.policy)
            if model.startswith(_PRICED)
            and None in self.price_list.priced(model, self.options).prices
        )  # fmt: skip


class LimitChoice(Frozen):
    """Limits instead of those of the tasks; None leaves a task's own."""

    max_turns: int | None = Field(None, ge=1)
    episode_timeout_s: float | None = Field(None, gt=0)
    cell_timeout_s: float | None = Field(None, gt=0)
    max_output_chars: int | None = Field(None, ge=200)
    memory_mib: int | None = Field(None, ge=256)
    max_kernel_restarts: int | None = Field(None, ge=0)
    max_tokens: int | None = Field(None, ge=1)
    max_cost_usd: float | None = Field(None, gt=0)


class Budget(Frozen):
    """What a run may cost in all, resumptions and failed attempts included; None for no limit.

    Once it is spent, no episode is started, and those that are running end after their turn: they
    have no outcome, and are run again when the run goes on with more.

    Args:
        tokens: input and output together.
        usd: by the prices of the policies' options.
    """

    tokens: int | None = Field(None, ge=1)
    usd: float | None = Field(None, gt=0)


class Evaluation(Frozen):
    """All policies on all suites.

    Args:
        samples: attempts per task and policy.
        limits: instead of those of the tasks; a task with other limits is another task, with
            another hash.
        parallel: most episodes at a time; None for the machine's cores.
        isolation: level of the kernels; None for the strongest that this machine gives.
        with_quarantined: run the tasks, too, that the gate holds back.
        tools: offered beside `run_cell` and `submit`.
        prices: file of prices for policies that have none of their own, relative to this one.
    """

    suites: tuple[SuiteChoice, ...] = Field(min_length=1)
    policies: tuple[PolicyChoice, ...] = Field(min_length=1)
    samples: int = Field(1, ge=1)
    seed: int = 0
    limits: LimitChoice = LimitChoice()
    budget: Budget = Budget()
    parallel: int | None = Field(None, ge=1)
    isolation: Level | None = None
    with_quarantined: bool = False
    tools: tuple[ToolName, ...] = ()
    prices: Path | None = None

    @field_validator("suites", mode="before")
    @classmethod
    def _suites_by_name(cls, listed: Any) -> Any:
        return _named(listed, "name")

    @field_validator("policies", mode="before")
    @classmethod
    def _policies_by_name(cls, listed: Any) -> Any:
        return _named(listed, "policy")

    @field_validator("tools")
    @classmethod
    def _tools_in_order(cls, named: tuple[ToolName, ...]) -> tuple[ToolName, ...]:
        return checked_tools(named)

    @field_validator("suites", "policies")
    @classmethod
    def _each_once(cls, listed: tuple[Any, ...]) -> tuple[Any, ...]:
        names = [getattr(one, "name", None) or f"{one.policy}{one.mark}" for one in listed]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name} is listed twice")
        return listed

    def limited(self, task: TaskSpec) -> TaskSpec:
        """Return a task with this evaluation's limits."""
        chosen = self.limits.model_dump(exclude_none=True)
        if not chosen:
            return task
        limits = {**task.limits.model_dump(), **chosen}
        # validated anew: a copy would keep the hash that it was asked for before
        return TaskSpec.model_validate({**task.model_dump(), "limits": limits})

    def priced(self, beside: Path) -> Evaluation:
        """Return this evaluation with the prices of its file.

        Args:
            beside: the folder that `prices` is relative to.

        Raises:
            InputError: the file cannot be read, or is no list of prices.
        """
        if self.prices is None:
            return self
        listed = read_prices(beside / self.prices)
        policies = tuple(
            choice.model_copy(update={"price_list": listed}) for choice in self.policies
        )
        return self.model_copy(update={"policies": policies})


def read_evaluation(path: Path) -> Evaluation:
    """Read a YAML file; `InputError` names file, field, value and fix."""
    found = read_yaml(path, Evaluation).priced(path.parent)
    if found.budget.usd is not None or found.limits.max_cost_usd is not None:
        for choice in found.policies:
            if choice.unpriced:
                raise InputError(
                    "a budget in dollars needs the policy's prices", where=f"{path}: policies",
                    value=", ".join(choice.unpriced),
                    fix="give usd_per_million_input_tokens and usd_per_million_output_tokens, or a "
                    "file of prices",
                )  # fmt: skip
    return found


def _named(listed: Any, field: str) -> Any:
    """Entries that are a mere name, as mappings."""
    if not isinstance(listed, (list, tuple)):
        return listed
    return [{field: entry} if isinstance(entry, str) else entry for entry in listed]
