"""Probes of single values: number, integer, text, boolean, date, duration; see also `clocks`."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from benchside.graders.date import DateGrader
from benchside.graders.duration import SECONDS, DurationGrader
from benchside.graders.number import IntegerGrader, NumberGrader
from benchside.graders.probes.case import Case, Cases, equivalents, is_right_constant, mistakes
from benchside.graders.text import BooleanGrader, TextGrader, read_text
from benchside_kernels.submission import Value

INSIDE = "lies within the tolerance"
# units that mistakes are made of; the first that is not the task's own
OTHER_UNITS = ("g/L", "mg/dL")


def _dumps(value: object) -> Cases:
    """The right value among others."""
    return [
        Case("text that contains the answer", f"The answer is {value}"),
        Case("the answer in a list", [value]),
        Case("the answer among others", [value, 12345, "other"]),
        Case("the answer as a dict", {"answer": value}),
    ]


def _with_units(text: str, unit: str | None) -> Cases:
    other = next(u for u in OTHER_UNITS if unit is None or u.casefold() != unit.casefold())
    cases = [Case("wrong unit", f"{text} {other}"), Case("a second number", f"{text} 12")]
    return cases if unit == "%" else [*cases, Case("percent", f"{text}%")]


@equivalents.register
def _(grader: NumberGrader, gold: Value) -> Cases:
    number = grader.read(gold)
    cases = [
        Case("float", number),
        Case("numpy scalar", np.float64(number)),
        Case("numpy array of no dimension", np.array(number)),
        Case("text", repr(number)),
        Case("text with exponent", f"{number:.17e}"),
        Case("text with thousands separators", f"{number:,}"),
        Case("text with unicode minus", repr(number).replace("-", "−")),
    ]
    if number.is_integer():
        cases.append(Case("integer", int(number)))
    if grader.unit:
        cases.append(Case("text with unit", f"{number!r} {grader.unit}"))
        if grader.unit[0] not in "0123456789.,+-":  # "1/min" would run into the number
            cases.append(Case("text with unit and no space", f"{number!r}{grader.unit}"))
    return cases


@mistakes.register
def _(grader: NumberGrader, gold: Value) -> Cases:
    number = grader.read(gold)
    lower, upper = grader.limits(number)
    step = max(upper - number, number - lower, 1e-9 * abs(number), 1e-9)
    near = [
        ("sign flip", -number),
        ("above by twice the tolerance", number + 2 * step),
        ("below by twice the tolerance", number - 2 * step),
        ("ten times", 10 * number),
        ("a tenth", number / 10),
    ]
    cases = [Case(name, value, INSIDE if lower <= value <= upper else "") for name, value in near]
    return cases + _with_units(repr(number), grader.unit) + _dumps(number)


@is_right_constant.register
def _(grader: NumberGrader, gold: Value, constant: object) -> bool:
    lower, upper = grader.limits(grader.read(gold))
    if isinstance(constant, bool) or constant not in (1, 0, "1"):
        return False
    return lower <= int(constant) <= upper


@equivalents.register
def _(grader: IntegerGrader, gold: Value) -> Cases:
    number = grader.read(gold)
    cases = [Case("integer", number), Case("text", str(number)), Case("commas", f"{number:,}")]
    if abs(number) < 2**53:
        cases += [Case("float", float(number)), Case("numpy scalar", np.int64(number))]
    if grader.unit:
        cases.append(Case("text with unit", f"{number} {grader.unit}"))
    return cases


@mistakes.register
def _(grader: IntegerGrader, gold: Value) -> Cases:
    number = grader.read(gold)
    cases = [
        Case("sign flip", -number, "" if number else "the gold is 0"),
        Case("one more", number + 1),
        Case("one less", number - 1),
        Case("a half more", number + 0.5, "" if abs(number) < 2**50 else "floats cannot say so"),
        Case("a zero more", number * 10, "" if number else "the gold is 0"),
    ]
    return cases + _with_units(str(number), grader.unit) + _dumps(number)


@is_right_constant.register
def _(grader: IntegerGrader, gold: Value, constant: object) -> bool:
    return constant is not True and constant in (grader.read(gold), str(grader.read(gold)))


@equivalents.register
def _(grader: TextGrader, gold: Value) -> Cases:
    text = str(gold)
    forms = [
        Case("text", text),
        Case("numpy text", np.str_(text)),
        Case("lower case", text.lower()),
        Case("spaces around", f"  {text}\n"),
        Case("wide spaces", text.replace(" ", "   ")),
    ]
    return forms + [Case(f"accepted form {i}", form) for i, form in enumerate(grader.accept, 1)]


@mistakes.register
def _(grader: TextGrader, gold: Value) -> Cases:
    text = read_text(gold)
    right = {text, *grader.accept}
    near = [
        ("a part of the text", text[:-1]),
        ("the text twice", f"{text} {text}"),
        ("the text and more", f"{text} or something else"),
        ("not", f"not {text}"),
    ]
    cases = [
        Case(name, value, "an accepted form" if value in right else "") for name, value in near
    ]
    return cases + _dumps(text)


@is_right_constant.register
def _(grader: TextGrader, gold: Value, constant: object) -> bool:
    return constant in (read_text(gold), *grader.accept)


@equivalents.register
def _(grader: BooleanGrader, gold: Value) -> Cases:
    truth = grader.read(gold)
    word = "yes" if truth else "no"
    cases = [
        Case("bool", truth),
        Case("numpy bool", np.bool_(truth)),
        Case("word", word),
        Case("capital word", word.upper()),
        Case("bool as text", str(truth)),
    ]
    if grader.numeric:
        cases += [Case("number", int(truth)), Case("number as text", str(int(truth)))]
    return cases


@mistakes.register
def _(grader: BooleanGrader, gold: Value) -> Cases:
    truth = grader.read(gold)
    return [
        *_dumps(truth),
        Case("the opposite", not truth),
        Case("the opposite as a word", "no" if truth else "yes"),
        Case("both", "yes and no"),
        Case("both in a list", [True, False]),
        Case("another number", 2 if truth else -1),
    ]


@is_right_constant.register
def _(grader: BooleanGrader, gold: Value, constant: object) -> bool:
    truth = grader.read(gold)
    right: list[object] = [truth, "yes" if truth else "no"]
    numbers: list[object] = [int(truth), str(int(truth))]
    same = right + numbers if grader.numeric else right
    return any(constant == one and type(constant) is type(one) for one in same)


@equivalents.register
def _(grader: DateGrader, gold: Value) -> Cases:
    day = grader.read(gold)
    midnight = dt.datetime.combine(day, dt.time())
    cases = [
        Case("date", day),
        Case("datetime at midnight", midnight),
        Case("datetime with time zone", midnight.replace(tzinfo=dt.UTC)),
        Case("ISO text", day.isoformat()),
        Case("ISO text with time", midnight.isoformat(sep=" ")),
        Case("numpy datetime", np.datetime64(day)),
    ]
    if pd.Timestamp.min.date() < day < pd.Timestamp.max.date():
        cases.append(Case("pandas timestamp", pd.Timestamp(day)))
    return cases + [Case(f"text as {form}", day.strftime(form)) for form in grader.formats]


@mistakes.register
def _(grader: DateGrader, gold: Value) -> Cases:
    day = grader.read(gold)
    forward = day < dt.date.max
    cases = [
        Case("the next day", day + dt.timedelta(days=1 if forward else -1)),
        Case("noon", dt.datetime.combine(day, dt.time(12))),
        Case("day of the year", day.timetuple().tm_yday),
    ]
    if day.day <= 12:
        same = "" if day.day != day.month else "day and month are the same"
        cases.append(Case("day and month swapped", day.replace(month=day.day, day=day.month), same))
    return cases + _dumps(day.isoformat()) + [Case("two days", [day, day])]


@equivalents.register
def _(grader: DurationGrader, gold: Value) -> Cases:
    seconds = grader.read(gold)
    length = dt.timedelta(seconds=seconds)
    cases = [
        Case("timedelta", length),
        Case("numpy timedelta", np.timedelta64(length)),
        Case("text in seconds", f"{seconds:.6f} seconds"),
    ]
    if seconds >= 0 and seconds % 86_400 == 0:
        weeks, days = divmod(length.days, 7)
        cases.append(Case("text in weeks and days", f"{weeks} weeks {days} days"))
        cases.append(Case("text in days", f"{length.days} days"))
    if grader.units and seconds >= 0:
        cases.append(Case("list in units", in_units(grader, seconds)))
    return cases


def in_units(grader: DurationGrader, seconds: float) -> list[float]:
    """Return a length as numbers of the grader's units, largest unit first taken whole."""
    rest, numbers = seconds, dict.fromkeys(grader.units, 0.0)
    for unit in sorted(grader.units, key=lambda name: -SECONDS[name]):
        numbers[unit], rest = divmod(rest, SECONDS[unit])
    smallest = min(grader.units, key=lambda name: SECONDS[name])
    numbers[smallest] += rest / SECONDS[smallest]
    return [numbers[unit] for unit in grader.units]


@mistakes.register
def _(grader: DurationGrader, gold: Value) -> Cases:
    seconds = grader.read(gold)
    step = max(2 * grader.abs_tol_s, 1.0)
    inside = abs(2 * seconds) <= grader.abs_tol_s
    cases = [
        Case("longer by twice the tolerance", dt.timedelta(seconds=seconds + step)),
        Case("shorter by twice the tolerance", dt.timedelta(seconds=seconds - step)),
        Case("sign flip", dt.timedelta(seconds=-seconds), INSIDE if inside else ""),
        Case("months", f"{round(seconds / 86_400)} months"),
        Case("number without unit as text", str(seconds)),
    ]
    if len(grader.units) > 1 and seconds >= 0:
        numbers = in_units(grader, seconds)
        values = zip(reversed(numbers), grader.units, strict=True)
        swapped = sum(number * SECONDS[unit] for number, unit in values)
        same = INSIDE if abs(swapped - seconds) <= grader.abs_tol_s else ""
        cases.append(Case("units swapped", numbers[::-1], same))
    return [*cases, Case("text that contains it", f"about {seconds} seconds")]


@is_right_constant.register
def _(grader: DurationGrader, gold: Value, constant: object) -> bool:
    if len(grader.units) != 1 or isinstance(constant, bool) or not isinstance(constant, int):
        return False
    return abs(constant * SECONDS[grader.units[0]] - grader.read(gold)) <= grader.abs_tol_s
