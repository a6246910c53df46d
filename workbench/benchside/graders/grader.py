"""`Grader`: what all graders share; `Verdict`: what one says; and the register of graders by name.

A grader is a frozen pydantic model whose fields are its parameters, so that a task spec's
`grader.params` (and an answer key's secret ones) are validated by building it. A grader compares
decoded values (`benchside_kernels.submission.Value`) and does nothing else: abstention, malformed
JSON and rewards are the matter of `grading`.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import BeforeValidator, Field, JsonValue

from benchside.graders.show import show
from benchside.state import ServiceState
from benchside.task import Frozen, GraderRef
from benchside_kernels.submission import Value


class UnreadableError(ValueError):
    """A value is not of the type that a grader compares; the message says why."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a submission passes, and why in words; `parts` as in `Grade`."""

    passed: bool
    evidence: str
    parts: dict[str, float] = field(default_factory=dict)


class Grader(Frozen, ABC):
    """Base of all graders; a subclass sets `name` and `version` and is marked `@register`.

    The version changes whenever some submission would be judged differently. `secret` names the
    parameters that would give the gold away and may therefore stand in answer keys only.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    secret: ClassVar[frozenset[str]] = frozenset()

    @property
    def label(self) -> str:
        """Name and version, such as "number/1"."""
        return f"{self.name}/{self.version}"

    @abstractmethod
    def check_gold(self, gold: Value) -> None:
        """Called once before a task's gold is compared or used, never with None.

        Raises:
            UnreadableError: the gold does not fit this grader.
        """

    @abstractmethod
    def judge(self, submitted: Value, gold: Value) -> Verdict:
        """Called by `compare` with a gold that `check_gold` let pass; neither value is None."""

    def with_unit(self, unit: str) -> Self:
        """Return this grader for numbers in `unit`; graders without numbers return themselves."""
        return self

    def with_states(self, states: Sequence[ServiceState]) -> Self:
        """Return this grader for what an episode's services recorded; most do not look at it."""
        return self

    def exposed(self) -> list[str]:
        """Names of the secret parameters that are set, with their place in nested graders."""
        return sorted(self.secret & self.model_fields_set)


def compare(grader: Grader, submitted: Value, gold: Value) -> Verdict:
    """Judge a submission or a part of one; the only place that knows about abstention (None).

    Args:
        gold: None, or a value that the grader's `check_gold` has let pass.
    """
    if gold is None:
        if submitted is None:
            return Verdict(True, "abstained, which is right: there is no answer")
        return Verdict(False, f"submitted {show(submitted)}, but the right answer is to abstain")
    if submitted is None:
        return Verdict(False, f"submitted None, but there is an answer: {show(gold)}")
    return grader.judge(submitted, gold)


_register: dict[str, type[Grader]] = {}
G = TypeVar("G", bound=Grader)


def register(grader: type[G]) -> type[G]:
    """Make a grader known under its name (class decorator)."""
    if grader.name in _register:
        raise ValueError(f"there is already a grader named {grader.name!r}")
    _register[grader.name] = grader
    return grader


def known_graders() -> tuple[str, ...]:
    """The names of all graders, sorted."""
    return tuple(sorted(_register))


def grader_modules() -> list[str]:
    """The modules of graders that are not Benchside's own, for another process to import."""
    modules = {grader.__module__ for grader in _register.values()}
    return sorted(name for name in modules if not name.startswith("benchside."))


def build_grader(name: str, params: Mapping[str, JsonValue]) -> Grader:
    """Return the grader of that name with these parameters.

    Raises:
        ValueError: unknown name (the message suggests the nearest), or unknown or malformed
            parameters (pydantic's `ValidationError`).
    """
    if name not in _register:
        near = difflib.get_close_matches(name, _register, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"no grader is named {name!r}{hint} Known: {', '.join(known_graders())}")
    return _register[name].model_validate(dict(params))


class NestedRef(Frozen):
    """A grader within another grader's parameters: {"grader": name, "params": {...}}."""

    grader: str
    params: dict[str, JsonValue] = Field(default_factory=dict)


def _build_nested(value: Any) -> Any:
    if isinstance(value, Grader):
        return value
    ref = NestedRef.model_validate(value)
    return build_grader(ref.grader, ref.params)


NestedGrader = Annotated[Grader, BeforeValidator(_build_nested)]


def task_grader(ref: GraderRef, secret: Mapping[str, JsonValue], unit: str | None) -> Grader:
    """Return a task's grader: public parameters overlaid with secret ones, in the task's unit.

    Raises:
        ValueError: as `build_grader`.
    """
    grader = build_grader(ref.name, _overlaid(ref.params, secret))
    return grader if unit is None else grader.with_unit(unit)


def _overlaid(
    public: Mapping[str, JsonValue], secret: Mapping[str, JsonValue]
) -> dict[str, JsonValue]:
    """Secret parameters win; objects are overlaid key by key, as the parts of a record are."""
    result = dict(public)
    for key, value in secret.items():
        below = result.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        result[key] = _overlaid(below, value) if both else value  # type: ignore[arg-type]
    return result
