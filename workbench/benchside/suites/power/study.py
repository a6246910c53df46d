"""What a design draws: one planned study, with its power by two routes and its text.

A `Study` holds everything that the questions (sample size, power, minimal detectable effect) share;
`questions` turns it into prompts, answers and solution cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

import numpy as np
import pandas as pd

Question = Literal["sample-size", "power", "detectable-effect"]
PowerFunction = Callable[[float, float], float]
"""(sample size, effect) → power in [0, 1]."""
CodeValue = float | str | tuple[float, ...]
T = TypeVar("T")
NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five"}


class RejectedError(Exception):
    """A draw that makes no good task; the message is a short reason, counted by the builder."""


@dataclass(frozen=True, slots=True)
class Draw:
    """Random choices of one task."""

    rng: np.random.Generator

    def between(self, low: float, high: float, decimals: int) -> float:
        """Return a uniform number, rounded."""
        return round(float(self.rng.uniform(low, high)), decimals)

    def one_of(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[int(self.rng.integers(len(options)))]


@dataclass(frozen=True, slots=True)
class Test:
    """Significance level and number of sides of the planned test.

    Args:
        named: False where prompts name no side, as for F tests and pairs of one-sided tests.
    """

    __test__ = False  # not a pytest class

    alpha: float
    sides: int
    named: bool = True

    @property
    def tail(self) -> float:
        """The probability of one rejection region."""
        return self.alpha / self.sides


def draw_test(draw: Draw, one_sided: bool = False) -> Test:
    """Draw level and sides; `one_sided` for non-inferiority and equivalence."""
    if one_sided:
        return Test(draw.one_of((0.025, 0.05)), 1)
    if draw.rng.random() < 0.3:
        return Test(draw.one_of((0.01, 0.025, 0.05)), 1)
    return Test(draw.one_of((0.01, 0.02, 0.05, 0.05, 0.10)), 2)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How n, which the power depends on, becomes the number that is asked for.

    Args:
        given: says n in a power question, with `{n}`, `{m}` (= last share × n) and `{total}`.
        asked: what a sample size question asks for, such as "patients in total (both arms)".
        shares: sizes of the groups as multiples of n.
        counted: shares of those groups that are asked for.
        rounding: how to round.
        dropout: True where the number can be inflated for dropout.
    """

    given: str
    asked: str
    shares: tuple[int, ...]
    counted: tuple[int, ...]
    rounding: str
    dropout: bool = True

    def describe(self, n: int) -> str:
        """Return the words for a study of size n."""
        return self.given.format(n=n, m=self.shares[-1] * n, total=sum(self.shares) * n)


def one_group(unit: str, dropout: bool = True) -> Sizes:
    """A single group, or a total that is not split."""
    rounding = f"Round up to a whole number of {unit}."
    return Sizes(f"{{n}} {unit}", unit, (1,), (1,), rounding, dropout)


def equal_groups(draw: Draw, unit: str, groups: int = 2, dropout: bool = True) -> Sizes:
    """Equal groups; either one group's size or the total is asked for."""
    number = NUMBERS[groups]
    every = "both groups" if groups == 2 else f"all {number} groups"
    in_total = draw.rng.random() < 0.5
    asked = f"{unit} in total ({every} together)" if in_total else f"{unit} per group"
    given = draw.one_of((f"{{n}} {unit} per group", f"{{total}} {unit} in {number} equal groups"))
    shares = (1,) * groups
    rounding = "The groups are equally large; round the size of one group up to a whole number."
    return Sizes(given, asked, shares, shares if in_total else (1,), rounding, dropout)


def two_groups(draw: Draw, unit: str, first: str, second: str, ratio: int) -> Sizes:
    """A first group of n and a second one of ratio × n."""
    if ratio == 1:
        return equal_groups(draw, unit)
    shares = (1, ratio)
    counted, asked = draw.one_of(
        (
            ((1,), f"{unit} in the {first} group"),
            ((ratio,), f"{unit} in the {second} group"),
            (shares, f"{unit} in total (both groups together)"),
        )
    )
    rounding = (
        f"Take the smallest whole number for the {first} group and exactly {ratio} times that "
        f"number for the {second} group."
    )
    given = f"{{n}} {unit} in the {first} group and {{m}} in the {second} group"
    return Sizes(given, asked, shares, counted, rounding)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Code of the solution by the second route, over the names in `Study.values`.

    Each part leaves its result in a variable: `size` in `n` (a whole number), `power` in
    `achieved`, `effect` in `smallest`. `prepare` comes before each of them.
    """

    size: str
    power: str
    effect: str = ""
    prepare: str = ""


@dataclass(frozen=True, slots=True)
class Study:
    """One planned study.

    Args:
        assumptions: all that is assumed besides the effect, n, power and test.
        effect: the true effect, in the units of `power`.
        effect_text: the assumed truth, after "to detect ...".
        effect_asked: what the minimal detectable effect is called, with its unit.
        limits: where the detectable effect is searched.
        power: the published formula.
        check: power by another route.
        method: formula and conventions, so that the answer is unique.
        values: variables of the solution that every question gives (not those from pilot data).
        effect_values: variables of the solution that hold the effect.
        estimate: code of the solution that estimates the other variables from `pilot`.
        start: smallest n for which the power is defined.
    """

    assumptions: str
    effect: float
    effect_text: str
    effect_asked: str
    limits: tuple[float, float]
    power: PowerFunction
    check: PowerFunction
    test: Test
    sizes: Sizes
    method: str
    values: dict[str, CodeValue]
    effect_values: dict[str, CodeValue]
    recipe: Recipe
    estimate: str = ""
    start: int = 2


@dataclass(frozen=True, slots=True)
class Sample:
    """The rows of a pilot study that a task uses.

    Args:
        frame: the rows, without those that have a missing value.
        text: where the rows are, for the prompt.
        code: cell that loads them as `pilot`.
    """

    frame: pd.DataFrame
    text: str
    code: str


@dataclass(frozen=True, slots=True)
class Wording:
    """One scenario of a design: a template, and with the design a group of tasks.

    Args:
        key: name of the scenario, also of its pilot study.
        story: who is studied, what is compared, by which test.
        people: what the sample size counts.
    """

    key: str
    story: str
    people: str


W = TypeVar("W", bound=Wording)


@dataclass(frozen=True, slots=True)
class Design(Generic[W]):
    """A kind of study with its wordings.

    Args:
        plan: draws a study; gets the pilot sample where one is to be used.
        pilot: makes the pilot data of a wording; None where the design needs none.
    """

    name: str
    wordings: tuple[W, ...]
    plan: Callable[[Draw, W, Sample | None], Study]
    pilot: Callable[[np.random.Generator, W], pd.DataFrame] | None = None
    questions: tuple[Question, ...] = field(default=("sample-size", "power", "detectable-effect"))
