"""Policies that ship with Benchside, made from strings such as `constant:0.5` or `openai:MODEL`."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue

from benchside.errors import InputError
from benchside.policies.options import PolicyOptions
from benchside.policies.provider import Providers
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

__all__ = [
    "POLICY_FORMS", "PolicyOptions", "Providers", "ShippedPolicy", "Solutions", "make_policy",
]  # fmt: skip

POLICY_FORMS = {
    "reference": "reference",
    "scripted": "scripted:FILE",
    "do-nothing": "do-nothing",
    "constant": "constant[:JSON]",
    "dump": "dump",
    "cheat": "cheat",
    "openai": "openai:MODEL",
    "blind": "blind:MODEL",
}
"""The known policies by name, each with the form of its string."""


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
    providers: Providers | None = None,
) -> ShippedPolicy:
    """Return the policy that a string names.

    Args:
        spec: name and argument, such as "scripted:cells.py"; see `POLICY_FORMS`.
        options: of policies that ask a model server.
        solutions: gives the solution cells of a task; only `reference` needs it.
        providers: of the run: policies that ask the same server share its limits.

    Raises:
        InputError: the name is unknown, or its argument is missing, superfluous or wrong.
    """
    name, _, argument = spec.partition(":")
    if name not in POLICY_FORMS:
        near = difflib.get_close_matches(name, POLICY_FORMS, n=1)
        hint = f"did you mean {POLICY_FORMS[near[0]]}? " if near else ""
        known = ", ".join(POLICY_FORMS.values())
        raise InputError("there is no such policy", value=spec, fix=f"{hint}known: {known}")
    if argument and ":" not in POLICY_FORMS[name]:
        raise InputError(f"policy {name} takes no argument", value=spec, fix=f"write {name}")
    if not argument and POLICY_FORMS[name].startswith(f"{name}:"):
        raise InputError(
            f"policy {name} needs an argument", value=spec, fix=f"write {POLICY_FORMS[name]}"
        )
    return _make(name, argument, options or PolicyOptions(), solutions, providers)


def _make(
    name: str,
    argument: str,
    options: PolicyOptions,
    solutions: Solutions | None,
    providers: Providers | None,
) -> ShippedPolicy:
    makers: dict[str, Callable[[], ShippedPolicy]] = {
        "reference": lambda: _reference(solutions),
        "scripted": lambda: cells_policy(Path(argument)),
        "do-nothing": do_nothing_policy,
        "constant": lambda: _constant(argument),
        "dump": dump_policy,
        "cheat": cheat_policy,
        "openai": lambda: _openai(argument, options, providers, blind=False),
        "blind": lambda: _openai(argument, options, providers, blind=True),
    }
    return makers[name]()


def _reference(solutions: Solutions | None) -> ShippedPolicy:
    if solutions is None:
        raise InputError(
            "the reference policy needs answer keys, and none are loaded",
            fix="run it on a prepared suite",
        )
    return reference_policy(solutions)


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


def _openai(
    model: str, options: PolicyOptions, providers: Providers | None, *, blind: bool
) -> ShippedPolicy:
    # imported here: the client takes about a second to load, and only this policy needs it
    from benchside.policies.openai_chat import OpenAIPolicy  # noqa: PLC0415

    return OpenAIPolicy(model, options, blind=blind, providers=providers)
