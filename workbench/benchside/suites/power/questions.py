"""From a study to a task: prompt, answer and solution cells of each question."""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchside.suites.power.solve import detectable_effect, smallest_n
from benchside.suites.power.study import (
    CodeValue,
    Draw,
    Question,
    RejectedError,
    Sample,
    Study,
    Test,
)
from benchside.task import AnswerSchema, GraderRef

TARGETS = (0.75, 0.8, 0.82, 0.85, 0.87, 0.9, 0.92, 0.95)
MIN_N, MAX_TOTAL = 8, 4000
POWER_RANGE = (0.2, 0.99)
TIE = 1e-5  # powers closer to the target than this would make n a matter of rounding error
AGREEMENT = 1e-7
DISAGREES = "second route disagrees"

TESTS = (
    "The test is {sides} at a significance level of {alpha}.",
    "A {sides} test at alpha = {alpha} is planned.",
    "Use a {sides} significance level of {alpha}.",
    "The {sides} type I error rate is {alpha}.",
    "The null hypothesis is tested {sides} at the {alpha} level.",
)
LEVELS = (
    "The significance level is {alpha}.",
    "A significance level of alpha = {alpha} is planned.",
    "Use a significance level of {alpha}.",
    "The type I error rate is {alpha}.",
    "The null hypothesis is tested at the {alpha} level.",
)
SIZE = (
    "How many {asked} are needed to detect {effect} with a power of at least {power}?",
    "Find the smallest number of {asked} that gives at least {percent}% power to detect {effect}.",
    "The investigators want a power of at least {power} to detect {effect}. What is the required "
    "number of {asked}?",
    "The protocol demands at least {percent}% power to detect {effect}. State the minimum number "
    "of {asked}.",
    "With a type II error of at most {beta}, how many {asked} does it take to detect {effect}?",
)
POWER = (
    "With {n}, what is the power to detect {effect}?",
    "The budget allows {n}. Compute the power to detect {effect}.",
    "Suppose {n} contribute data. What is the probability that the test detects {effect}?",
    "Only {n} are available. What power does the study have to detect {effect}?",
    "Calculate the power to detect {effect} with {n}.",
)
EFFECT = (
    "With {n}, what is the {asked} at which the power is {power}?",
    "The budget allows {n}. Find the {asked} at which the power is exactly {power}.",
    "Suppose {n} contribute data. Compute the {asked} that gives a power of {percent}%.",
    "Only {n} are available. What {asked} can be assumed if the power is to be {percent}%?",
    "Calculate the {asked} for a type II error of {beta} with {n}.",
)


@dataclass(frozen=True, slots=True)
class Problem:
    """A finished question. `gold` is an integer for sample sizes."""

    prompt: str
    answer: AnswerSchema
    grader: GraderRef
    gold: int | float
    solution: tuple[str, ...]


def pose(
    draw: Draw,
    study: Study,
    question: Question,
    *,
    story: str,
    style: int,
    sample: Sample | None,
) -> Problem:
    """Make the question about a study.

    Args:
        style: which phrasing of the sentences to use.

    Raises:
        RejectedError: answer out of range, too close to a rounding step, or not confirmed.
    """
    match question:
        case "sample-size":
            part = _size(draw, study, style)
        case "power":
            part = _power(draw, study, style)
        case "detectable-effect":
            part = _effect(draw, study, style)
    sides = {1: "one-sided", 2: "two-sided"}[study.test.sides]
    sentences = TESTS if study.test.named else LEVELS
    test = sentences[style % len(sentences)].format(sides=sides, alpha=study.test.alpha)
    prompt = " ".join((story, study.assumptions, test, part.text, study.method, part.submit))
    estimation = study.estimate
    if sample is not None:  # a question about the effect may not need the estimated one
        estimation = f"{sample.code}\n{estimation}" if sample.text in prompt else ""
    cells = _cells(study, part, estimation)
    return Problem(prompt, part.answer, part.grader, part.gold, cells)


@dataclass(frozen=True, slots=True)
class _Part:
    """What one kind of question adds to a study."""

    text: str
    submit: str
    answer: AnswerSchema
    grader: GraderRef
    gold: int | float
    values: dict[str, CodeValue]
    code: str
    ending: str


def _size(draw: Draw, study: Study, style: int) -> _Part:
    target, sizes = draw.one_of(TARGETS), study.sizes
    n = _smallest(study, target)
    _confirm_size(study, n, target)
    dropout = draw.one_of((0, 0, 5, 8, 10, 12, 15, 20, 25)) if sizes.dropout else 0
    text = SIZE[style % len(SIZE)].format(
        asked=sizes.asked, effect=study.effect_text, **_targets(target)
    )
    submit = f"{sizes.rounding} {_dropout_text(dropout, len(sizes.shares))}"
    submit += f"Submit the number of {sizes.asked} as an integer."
    answer = AnswerSchema(kind="integer", description=f"number of {sizes.asked}")
    values: dict[str, CodeValue] = {**study.effect_values, "target": target}
    if dropout:
        values["dropout"] = dropout / 100
    gold = sum(inflate(share * n, dropout) for share in sizes.counted)
    ending = _size_ending(sizes.counted, dropout > 0)
    return _Part(
        text, submit, answer, GraderRef(name="integer"), gold, values, study.recipe.size, ending
    )


def inflate(n: int, dropout: int) -> int:
    """Return n / (1 - dropout/100), rounded up.

    Raises:
        RejectedError: the quotient is a whole number, where floating point may round it up.
    """
    if dropout and 100 * n % (100 - dropout) == 0:
        raise RejectedError("dropout tie")
    return -(-100 * n // (100 - dropout))


def _confirm_size(study: Study, n: int, target: float) -> None:
    below, above = study.power(n - 1, study.effect), study.power(n, study.effect)
    if min(target - below, above - target) < TIE:
        raise RejectedError("sample size tie")
    check_below, check_above = study.check(n - 1, study.effect), study.check(n, study.effect)
    _agree(below, check_below)
    _agree(above, check_above)
    if not check_below < target <= check_above:
        raise RejectedError(DISAGREES)


def _dropout_text(dropout: int, groups: int) -> str:
    if not dropout:
        return ""
    which = "this number" if groups == 1 else "the size of each group"
    return (
        f"Then allow for {dropout}% dropout: divide {which} by {1 - dropout / 100:g} and round up "
        "again. "
    )


def _size_ending(counted: tuple[int, ...], dropout: bool) -> str:
    one = "math.ceil({} / (1 - dropout))" if dropout else "{}"
    if len(set(counted)) == 1:
        size = one.format("n" if counted[0] == 1 else f"{counted[0]} * n")
        return f"submit({size})" if len(counted) == 1 else f"submit({len(counted)} * {size})"
    return f"submit(sum({one.format('share * n')} for share in {counted!r}))"


def _power(draw: Draw, study: Study, style: int) -> _Part:
    n = _affordable(draw, study, 0.2, 0.985)
    gold = study.power(n, study.effect)
    if not POWER_RANGE[0] <= gold <= POWER_RANGE[1]:
        raise RejectedError("power out of range")
    _agree(gold, study.check(n, study.effect))
    text = POWER[style % len(POWER)].format(n=study.sizes.describe(n), effect=study.effect_text)
    submit = "Submit the power as a fraction between 0 and 1, rounded to 4 decimals."
    answer = AnswerSchema(kind="number", description="power between 0 and 1, to 4 decimals")
    grader = GraderRef(name="number", params={"abs_tol": 5e-4, "rel_tol": 0.0})
    values: dict[str, CodeValue] = {**study.effect_values, "n": n}
    ending = "submit(round(float(achieved), 4))"
    return _Part(text, submit, answer, grader, round(gold, 6), values, study.recipe.power, ending)


def _effect(draw: Draw, study: Study, style: int) -> _Part:
    n, target = _affordable(draw, study, 0.4, 0.97), draw.one_of(TARGETS)
    try:
        gold = detectable_effect(lambda effect: study.power(n, effect), target, study.limits)
    except ValueError:
        raise RejectedError("no detectable effect within limits") from None
    _agree(target, study.check(n, gold))
    text = EFFECT[style % len(EFFECT)].format(
        n=study.sizes.describe(n), asked=study.effect_asked, **_targets(target)
    )
    submit = f"Submit the {study.effect_asked}, with at least 4 significant digits."
    answer = AnswerSchema(kind="number", description=f"{study.effect_asked}, 4 significant digits")
    grader = GraderRef(name="number", params={"abs_tol": 0.0, "rel_tol": 1e-3})
    values: dict[str, CodeValue] = {"n": n, "target": target}
    ending = "submit(float(smallest))"
    gold = float(f"{gold:.8g}")
    return _Part(text, submit, answer, grader, gold, values, study.recipe.effect, ending)


def _affordable(draw: Draw, study: Study, low: float, high: float) -> int:
    """Return a sample size at which the drawn effect has a power between low and high."""
    return _smallest(study, draw.between(low, high, 4))


def _smallest(study: Study, target: float) -> int:
    """Return the smallest n for the drawn effect, if it makes a realistic study."""
    try:
        n = smallest_n(lambda n: study.power(n, study.effect), target, study.start)
    except ValueError:
        raise RejectedError("sample size out of range") from None
    if n < MIN_N or n * sum(study.sizes.shares) > MAX_TOTAL:
        raise RejectedError("sample size out of range")
    return n


def _targets(target: float) -> dict[str, str]:
    """The ways in which a target power can be said."""
    return {
        "power": f"{target:g}",
        "percent": f"{100 * target:g}",
        "beta": f"{1 - target:.4g}",
    }


def _agree(first: float, second: float) -> None:
    if not math.isclose(first, second, rel_tol=0, abs_tol=AGREEMENT):
        raise RejectedError(DISAGREES)


def _cells(study: Study, part: _Part, estimation: str) -> tuple[str, ...]:
    values = {**_test_values(study.test), **study.values, **part.values}
    assigned = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    first = f"import math\n\n{assigned}"
    if estimation:
        first += f"\n\n{estimation}"
    second = "\n".join(code for code in (study.recipe.prepare, part.code) if code)
    return first, second, part.ending


def _test_values(test: Test) -> dict[str, CodeValue]:
    return {"alpha": test.alpha, "sides": test.sides}
