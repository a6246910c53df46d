"""The strings that name scaffolds: `NAME(POLICY)`, `NAME(POLICY, SECOND, number=5)`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Final

from benchside.completer import Completer
from benchside.errors import InputError
from benchside.scaffolds.attempts import Best, Consistency
from benchside.scaffolds.briefing import Plan, Read
from benchside.scaffolds.criteria import Criteria
from benchside.scaffolds.debug import Debug
from benchside.scaffolds.panel import Panel
from benchside.scaffolds.scaffold import Backend, Scaffold
from benchside.scaffolds.verifier import ModelVerifier, Verifier

PLUGGED: Final = "benchside.verifiers"
"""Entry points of packages that bring verifiers: each names a function
`(argument: str) -> Verifier`, called for `verifier=NAME:ARGUMENT`."""

SCAFFOLD_FORMS: Final = {
    "plan": "plan(POLICY[, SECOND])",
    "debug": "debug(POLICY[, SECOND])",
    "consistency": "consistency(POLICY, k=5)",
    "best": "best(POLICY[, SECOND], k=4[, verifier=NAME:ARGUMENT])",
    "panel": "panel(POLICY[, SECOND], experts=5, rounds=3)",
    "read": "read(POLICY[, SECOND], passages=5)",
    "criteria": "criteria(POLICY[, SECOND])",
}
"""The known scaffolds by name, each with the form of its string."""

_NUMBERS: Final[dict[str, dict[str, int]]] = {
    "consistency": {"k": 5},
    "best": {"k": 4},
    "panel": {"experts": 5, "rounds": 3},
    "read": {"passages": 5},
}
MOST: Final = 100


@dataclass(frozen=True, slots=True)
class ScaffoldCall:
    """A scaffold's string, taken apart.

    Args:
        policies: strings of the policy that acts, and of the second where one is named.
    """

    name: str
    policies: tuple[str, ...]
    numbers: dict[str, int] = field(default_factory=dict)
    verifier: str | None = None


def scaffold_call(spec: str) -> ScaffoldCall | None:
    """Take a string apart; None where it names no scaffold.

    Raises:
        InputError: the scaffold is unknown, or its arguments are wrong.
    """
    found = re.fullmatch(r"([\w-]+)\((.*)\)", spec.strip(), flags=re.DOTALL)
    if found is None:
        return None
    name = found[1]
    if name not in SCAFFOLD_FORMS:
        near = difflib.get_close_matches(name, SCAFFOLD_FORMS, n=1)
        hint = f"did you mean {SCAFFOLD_FORMS[near[0]]}? " if near else ""
        known = ", ".join(SCAFFOLD_FORMS.values())
        raise InputError("there is no such scaffold", value=spec, fix=f"{hint}known: {known}")
    policies, named = [], {}
    for part in _parts(found[2]):
        option = re.fullmatch(r"(\w+)\s*=\s*(.*)", part, flags=re.DOTALL)
        if option is None:
            policies.append(part)
        else:
            named[option[1]] = option[2]
    verifier = named.pop("verifier", None) if name == "best" else None
    most = 1 if name == "consistency" or verifier is not None else 2
    if not 1 <= len(policies) <= most or not all(policies):
        what = "one policy" if most == 1 else "one or two policies"
        raise InputError(
            f"scaffold {name} takes {what}", value=spec, fix=f"write {SCAFFOLD_FORMS[name]}"
        )
    return ScaffoldCall(name, tuple(policies), _numbers(name, named, spec), verifier)


def models_of(spec: str) -> tuple[str, ...]:
    """Return the strings of the policies that a scaffold works through; of others, itself."""
    call = scaffold_call(spec)
    if call is None:
        return (spec,)
    return tuple(model for one in call.policies for model in models_of(one))


def make_scaffold(call: ScaffoldCall, policies: tuple[Backend, ...]) -> Scaffold:
    """Return a scaffold over policies that were made from its call's strings.

    Raises:
        InputError: one of them cannot do what the scaffold needs.
    """
    inner, second = policies[0], policies[1] if len(policies) > 1 else None
    numbers = call.numbers
    makers: dict[str, Callable[[], Scaffold]] = {
        "plan": lambda: Plan(inner, second),
        "debug": lambda: Debug(inner, second),
        "consistency": lambda: Consistency(inner, numbers["k"]),
        "best": lambda: Best(inner, second, numbers["k"], _verifier(call, second or inner)),
        "panel": lambda: Panel(inner, second, numbers["experts"], numbers["rounds"]),
        "read": lambda: Read(inner, second, numbers["passages"]),
        "criteria": lambda: Criteria(inner, second),
    }
    made = makers[call.name]()
    if call.name not in ("consistency", "best"):
        _ = made.completer  # says now, and not in the first episode, that there is none
    return made


def _parts(text: str) -> list[str]:
    """Arguments between commas, but not those within brackets."""
    parts, depth = [""], 0
    for sign in text:
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    return [part.strip() for part in parts]


def _numbers(name: str, named: dict[str, str], spec: str) -> dict[str, int]:
    numbers = dict(_NUMBERS.get(name, {}))
    for option, value in named.items():
        if option not in numbers:
            raise InputError(
                f"scaffold {name} has no option {option}", value=spec,
                fix=f"write {SCAFFOLD_FORMS[name]}",
            )  # fmt: skip
        least = 2 if option == "k" else 1
        if not re.fullmatch(r"\d{1,3}", value) or not least <= int(value) <= MOST:
            raise InputError(
                f"{option} must be a whole number from {least} to {MOST}", where=spec, value=value,
                fix=f"such as {option}={numbers[option]}",
            )  # fmt: skip
        numbers[option] = int(value)
    return numbers


def _verifier(call: ScaffoldCall, judge: Backend) -> Verifier:
    if call.verifier is None:
        if isinstance(judge, Completer):
            return ModelVerifier(judge)
        raise InputError(
            "best needs a model that judges, or a verifier", value=judge.name,
            fix=f"write {SCAFFOLD_FORMS['best']}",
        )  # fmt: skip
    name, _, argument = call.verifier.partition(":")
    plugged = entry_points(group=PLUGGED)
    if name not in plugged.names:
        known = ", ".join(sorted(plugged.names)) or "none is installed"
        raise InputError("there is no such verifier", value=call.verifier, fix=f"known: {known}")
    try:
        make: Callable[[str], Verifier] = plugged[name].load()
    except ImportError as error:
        raise InputError(
            f"verifier {name} cannot be loaded: {error}", value=call.verifier,
            fix="install what it needs: pip install 'benchside[train]'",
        ) from None  # fmt: skip
    return make(argument)
