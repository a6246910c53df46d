"""What is asked (`TaskSpec`), how it is to be answered, and the answer (`AnswerKey`).

The two never travel together: a task spec goes to policies and kernels, an answer key is loaded by
graders only (and by the `reference` policy, which exists to check the tasks).
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from benchside_kernels.hosts import Host
from benchside_kernels.sandbox import Level

AnswerKind = Literal[
    "number",
    "integer",
    "text",
    "boolean",
    "date",
    "time",
    "datetime",
    "duration",
    "set",
    "list",
    "table",
    "record",
    "code",
]
Split = Literal["train", "valid", "test"]
Sensitivity = Literal["open", "credentialed"]


class Frozen(BaseModel):
    """Immutable, strict about unknown fields; the base of all that is read from disk."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def content_hash(value: JsonValue) -> str:
    """Return the sha256 (64 hex digits) of a JSON value in canonical form."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


class AnswerSchema(Frozen):
    """The type of what is to be submitted, as far as a policy may know it.

    Args:
        kind: the type; `duration` is a timedelta or a string such as "3 weeks 2 days", `record`
            a dict of named parts, `code` the source text of a Python program.
        description: one sentence for the prompt, such as "hazard ratio, rounded to 3 decimals".
        unit: unit of a number, such as "mg/dL"; a submission with another unit fails.
        choices: the allowed values of a closed answer.
        columns: the columns of a table, where the task names them.
        entry: the name of the function that a program defines.
        may_abstain: True where `submit(None)` can be the right answer (unanswerable questions).
    """

    kind: AnswerKind
    description: str = ""
    unit: str | None = None
    choices: tuple[str | int, ...] | None = None
    columns: tuple[str, ...] | None = None
    entry: str | None = None
    may_abstain: bool = False


class GraderRef(Frozen):
    """A grader by name, with its public parameters (tolerances, not gold)."""

    name: str
    params: dict[str, JsonValue] = Field(default_factory=dict)


class Limits(Frozen):
    """Budgets of one episode; each ends it as `truncated`, except the cell's own timeout.

    Tokens (input and output together) and dollars end it after the action that used them up.
    """

    max_turns: int = Field(15, ge=1)
    episode_timeout_s: float = Field(600.0, gt=0)
    cell_timeout_s: float = Field(60.0, gt=0)
    max_output_chars: int = Field(20_000, ge=200)
    memory_mib: int = Field(4096, ge=256)
    max_kernel_restarts: int = Field(2, ge=0)
    max_tokens: int | None = Field(None, ge=1)
    max_cost_usd: float | None = Field(None, gt=0)


class ServiceRef(Frozen):
    """A server that runs beside an episode; see `benchside.services`.

    Args:
        name: of the service, such as "fhir".
        host: "host:port" by which the kernel reaches it; one of the task's hosts.
        image: name of the image whose files it serves; the kernel does not get to see it.
        params: of the service, such as the time that it takes for now.
    """

    name: str
    host: str
    image: str
    params: dict[str, JsonValue] = Field(default_factory=dict)


class TaskSpec(Frozen):
    """One task: what is asked, over which data, and how the answer is graded. Gold is not in it.

    Args:
        task_id: unique within the suite and stable over versions.
        category: the kind of question, such as "survival/cox".
        group: patient, template or data set; splits and clustered statistics go by it.
        prompt: the question as the policy sees it.
        image: name of the kernel image that holds the data, such as "cohorts.lung"; the suite
            knows its content-hashed reference, and each episode records it.
        files: names of image files that are copied into the work folder.
        hosts: "host:port" of all that the kernel may reach; without any it has no network.
        isolation: the least level that the kernel must have; see `needed_isolation`.
        services: servers of the episode's own, each at one of `hosts`.
    """

    task_id: str
    suite: str
    version: str
    category: str
    split: Split
    group: str
    prompt: str
    image: str
    answer: AnswerSchema
    grader: GraderRef
    files: tuple[str, ...] = ()
    limits: Limits = Limits()
    licence: str = ""
    sensitivity: Sensitivity = "open"
    hosts: tuple[str, ...] = ()
    isolation: Level | None = None
    services: tuple[ServiceRef, ...] = ()

    @field_validator("hosts")
    @classmethod
    def _check_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for name in hosts:
            Host(name)
        return hosts

    @model_validator(mode="after")
    def _check_services(self) -> Self:
        for ref in self.services:
            if ref.host not in self.hosts:
                raise ValueError(f"service {ref.name} is at {ref.host}, which is none of the hosts")
        return self

    @property
    def needed_isolation(self) -> Level:
        """The least level to run at: credentialed data and listed hosts need a sandbox."""
        if self.sensitivity == "credentialed" or self.hosts:
            return "sandbox"
        return self.isolation or "process"

    @cached_property
    def hash(self) -> str:
        """The sha256 of the spec; runs resume by it. A new field with a default leaves it as is."""
        return content_hash(self.model_dump(mode="json", exclude_defaults=True))


class AnswerKey(Frozen):
    """The gold of one task. Only graders load it; it lies where no kernel can read it.

    Args:
        value: the gold as a submission's JSON (see `benchside_kernels.submission`); `None` means
            that abstaining is right.
        params: secret grader parameters, such as `lower` and `upper` limits around the gold.
        solution: cells that solve the task and end in `submit(...)`.
        vacuous: True where the solution only states the gold, so that solving it proves nothing.
        flags: known doubts about this gold; flagged tasks stay in, reports may leave them out.
        ways: in how many independent ways the gold was found, all with the same result.
    """

    task_id: str
    value: JsonValue
    params: dict[str, JsonValue] = Field(default_factory=dict)
    solution: tuple[str, ...] = ()
    vacuous: bool = False
    flags: tuple[str, ...] = ()
    ways: int = Field(1, ge=1)
