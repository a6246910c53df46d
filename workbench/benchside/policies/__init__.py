"""Policies that ship with Benchside, made from strings such as `constant:0.5` or `openai:MODEL`."""

from __future__ import annotations

import difflib
import importlib
import json
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue

from benchside.errors import InputError
from benchside.policies.memoriser import MemoriserPolicy, Memory
from benchside.policies.options import PolicyOptions
from benchside.policies.prices import PriceList
from benchside.policies.provider import ModelServers, Providers
from benchside.policies.scripted import (
    Solutions,
    cells_policy,
    cheat_policy,
    constant_policy,
    do_nothing_policy,
    dump_policy,
    reference_policy,
)
from benchside.policy import Policy
from benchside.protocol import parse_json
from benchside.scaffolds import SCAFFOLD_FORMS, make_scaffold, scaffold_call

__all__ = [
    "POLICY_FORMS", "SCAFFOLD_FORMS", "Memory", "PolicyOptions", "Providers", "ShippedPolicy",
    "Solutions", "make_policy",
]  # fmt: skip

POLICY_FORMS = {
    "reference": "reference",
    "scripted": "scripted:FILE",
    "do-nothing": "do-nothing",
    "constant": "constant[:JSON]",
    "dump": "dump",
    "cheat": "cheat",
    "memoriser": "memoriser",
    "openai": "openai:MODEL",
    "anthropic": "anthropic:MODEL",
    "gemini": "gemini:MODEL",
    "blind": "blind:MODEL",
    "human": "human[:lab]",
}
"""The known policies by name, each with the form of its string."""

MODEL_FORMS = {
    "openai": ("benchside.policies.openai_chat", "OpenAIPolicy"),
    "anthropic": ("benchside.policies.anthropic_chat", "AnthropicPolicy"),
    "gemini": ("benchside.policies.gemini_chat", "GeminiPolicy"),
}
"""Backends behind servers by the name of their wire format: module and class."""

PLUGGED = "benchside.policies"
"""Entry points of packages that bring policies of their own: each names a function
`(argument: str, options: PolicyOptions) -> ShippedPolicy`, called for the strings "NAME:ARGUMENT".
"""

PLUGGED_EXTRAS = {"hf": "train", "nano": "train", "vllm": "vllm"}
"""What Benchside's own entry points need, by name."""


class ShippedPolicy(Policy, Protocol):
    """A policy that can be recorded, checked before a run, and closed after it."""

    @property
    def config(self) -> dict[str, JsonValue]:
        """What the run record keeps: name and options, never a key."""
        ...

    async def check(self) -> None:
        """Called once before a run.

        Raises:
            InputError: the policy cannot work as it is set up.
            InfrastructureError: its server works but is overloaded or failing.
        """
        ...

    async def aclose(self) -> None:
        """Called once after a run; `contextlib.aclosing(policy)` does it."""
        ...


def make_policy(
    spec: str,
    options: PolicyOptions | None = None,
    solutions: Solutions | None = None,
    providers: ModelServers | None = None,
    memory: Memory | None = None,
    prices: PriceList | None = None,
) -> ShippedPolicy:
    """Return the policy that a string names.

    Args:
        spec: name and argument, such as "scripted:cells.py", or a scaffold over such, such as
            "plan(openai:MODEL)"; see `POLICY_FORMS` and `SCAFFOLD_FORMS`.
        options: of policies that ask a model server.
        solutions: gives the solution cells of a task; only `reference` needs it.
        providers: of the run: policies that ask the same server share its limits.
        memory: of the run's training tasks; only `memoriser` needs it.
        prices: for models whose options have none.

    Raises:
        InputError: the name is unknown, or its argument is missing, superfluous or wrong.
    """
    call = scaffold_call(spec)
    if call is not None:
        providers = providers or Providers()
        inner = (
            make_policy(one, options, solutions, providers, memory, prices) for one in call.policies
        )
        return make_scaffold(call, tuple(inner))
    options = options or PolicyOptions()
    if prices is not None:
        options = prices.priced(spec, options)
    name, _, argument = spec.partition(":")
    if name not in POLICY_FORMS:
        plugged = entry_points(group=PLUGGED)
        if name in plugged.names:
            return _plugged(plugged[name], argument, options)
        near = difflib.get_close_matches(name, POLICY_FORMS, n=1)
        hint = f"did you mean {POLICY_FORMS[near[0]]}? " if near else ""
        known = ", ".join([*POLICY_FORMS.values(), *sorted(plugged.names)])
        raise InputError("there is no such policy", value=spec, fix=f"{hint}known: {known}")
    if argument and ":" not in POLICY_FORMS[name]:
        raise InputError(f"policy {name} takes no argument", value=spec, fix=f"write {name}")
    if not argument and POLICY_FORMS[name].startswith(f"{name}:"):
        raise InputError(
            f"policy {name} needs an argument", value=spec, fix=f"write {POLICY_FORMS[name]}"
        )
    return _make(name, argument, options, solutions, providers, memory)


def _make(
    name: str,
    argument: str,
    options: PolicyOptions,
    solutions: Solutions | None,
    providers: ModelServers | None,
    memory: Memory | None,
) -> ShippedPolicy:
    makers: dict[str, Callable[[], ShippedPolicy]] = {
        "reference": lambda: _reference(solutions),
        "scripted": lambda: cells_policy(Path(argument)),
        "do-nothing": do_nothing_policy,
        "constant": lambda: _constant(argument),
        "dump": dump_policy,
        "cheat": cheat_policy,
        "memoriser": lambda: _memoriser(memory),
        "human": lambda: _human(argument),
        "blind": lambda: _blind(argument, options, providers),
    }
    if name in MODEL_FORMS:
        return _model(name, argument, options, providers, blind=False)
    return makers[name]()


def _plugged(point: EntryPoint, argument: str, options: PolicyOptions) -> ShippedPolicy:
    """The policy of an entry point; what it needs may not be installed."""
    try:
        make: Callable[[str, PolicyOptions], ShippedPolicy] = point.load()
    except ImportError as error:
        extra = PLUGGED_EXTRAS.get(point.name)
        command = f": pip install 'benchside[{extra}]'" if extra else ""
        raise InputError(
            f"policy {point.name} cannot be loaded: {error}", where=f"entry point {point.value}",
            fix=f"install what it needs{command}",
        ) from None  # fmt: skip
    return make(argument, options)


def _reference(solutions: Solutions | None) -> ShippedPolicy:
    if solutions is None:
        raise InputError(
            "the reference policy needs answer keys, and none are loaded",
            fix="run it on a prepared suite",
        )
    return reference_policy(solutions)


def _memoriser(memory: Memory | None) -> ShippedPolicy:
    if memory is None:
        raise InputError(
            "the memoriser needs training tasks with answer keys, and none are loaded",
            fix="run it on a prepared suite",
        )
    return MemoriserPolicy(memory)


def _constant(argument: str) -> ShippedPolicy:
    if not argument:
        return constant_policy(by_kind=True)
    try:
        value = parse_json(argument)
    except ValueError as error:
        raise InputError(
            f"the constant is no JSON value: {error}",
            value=argument,
            fix=f"for a text write constant:{json.dumps(argument)}",
        ) from None
    return constant_policy(value)


def _human(argument: str) -> ShippedPolicy:
    # imported here: only people need them
    if not argument:
        from benchside.policies.human import HumanPolicy  # noqa: PLC0415

        return HumanPolicy()
    if argument != "lab":
        raise InputError(
            "a person works in the terminal or in JupyterLab", value=f"human:{argument}",
            fix="write human or human:lab",
        )  # fmt: skip
    from benchside.policies.human_lab import LabPolicy  # noqa: PLC0415

    return LabPolicy()


def _blind(argument: str, options: PolicyOptions, providers: ModelServers | None) -> ShippedPolicy:
    """The blind policy of a model; "blind:MODEL" is short for "blind:openai:MODEL"."""
    form, _, model = argument.partition(":")
    if form in MODEL_FORMS and model:
        return _model(form, model, options, providers, blind=True)
    return _model("openai", argument, options, providers, blind=True)


def _model(
    form: str, model: str, options: PolicyOptions, providers: ModelServers | None, *, blind: bool
) -> ShippedPolicy:
    module, name = MODEL_FORMS[form]
    try:  # imported here: a client takes about a second to load, and some are optional extras
        policy: Callable[..., ShippedPolicy] = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise InputError(
            f"policy {form} needs a package that is not installed: {error.name}",
            value=f"{form}:{model}", fix=f"pip install 'benchside[{form}]'",
        ) from None  # fmt: skip
    return policy(model, options, blind=blind, providers=providers)
