"""`Job`: what every node of a run is told; `Order`: one episode for one of them. Both pickle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import benchside
from benchside.build_record import BuildRecord
from benchside.engines.handover import ObjectStore, SharedFolder
from benchside.evaluation import Evaluation, PolicyChoice
from benchside.library import Suite
from benchside.policies import ShippedPolicy
from benchside.policy import ToolName
from benchside.task import TaskSpec
from benchside_kernels.sandbox import Level


@dataclass(frozen=True, slots=True)
class Job:
    """What every node of a run is told.

    Args:
        home: the driver's home folder; a node that has the suites' builds in its own takes that.
        builds: of the suites, by name.
        tasks: one for each kernel image and set of services, to see whether they can be had here.
        configs: of the policies as the driver made them, by name; a node's have to be equal.
        hidden: paths that kernels must not read, beside answer keys and Benchside's own code.
        mark: left by the driver at the handover.
        limits: handle of the run's `Limits`; None where no policy asks a server.
    """

    version: str
    home: Path
    builds: Mapping[str, BuildRecord]
    tasks: tuple[TaskSpec, ...]
    policies: tuple[PolicyChoice, ...]
    configs: Mapping[str, Mapping[str, object]]
    isolation: Level | None
    seed: int
    tools: tuple[ToolName, ...]
    hidden: tuple[Path, ...]
    handover: SharedFolder | ObjectStore
    mark: str
    limits: Any = None

    @classmethod
    def of(
        cls,
        asked: Evaluation,
        chosen: Sequence[tuple[Suite, Sequence[TaskSpec]]],
        policies: Sequence[ShippedPolicy],
        handover: SharedFolder | ObjectStore,
        hidden: tuple[Path, ...],
    ) -> Job:
        """Return the job of an evaluation; leaves the driver's mark at the handover."""
        kinds = {
            (suite.name, task.image, *(one.model_dump_json() for one in task.services)): task
            for suite, tasks in chosen
            for task in tasks
        }
        return cls(
            version=benchside.__version__,
            home=chosen[0][0].home,
            builds={suite.name: suite.record for suite, _ in chosen},
            tasks=tuple(kinds.values()),
            policies=asked.policies,
            configs={policy.name: policy.config for policy in policies},
            isolation=asked.isolation,
            seed=asked.seed,
            tools=asked.tools,
            hidden=hidden,
            handover=handover,
            mark=handover.mark(),
        )


@dataclass(frozen=True, slots=True)
class Order:
    """One episode, handed to one node under a lease of this name."""

    lease: str
    task: TaskSpec
    policy: str
    sample: int
    seed: int
