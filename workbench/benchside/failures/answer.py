"""Rules on a wrong answer, against gold and the reference's own analysis: what was done otherwise.

They say how the analysis differs from the reference's, in the order of what explains most: a unit
explains the number by itself; another table explains all that follows. A right analysis in other
words differs, too, which is why only wrong answers are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from math import isclose

from benchside.failures.case import Case
from benchside.failures.facts import FLIPPED, Condition, Facts
from benchside.failures.finding import Finding, Kind

UNIT_TOL = 2e-4
FACTORS = {
    7: "days per week", 12: "months per year", 24: "hours per day", 30.4375: "days per month",
    60: "minutes per hour", 100: "percent", 365.25: "days per year", 365: "days per year",
    1000: "a prefix (milli, kilo)", 1e6: "a prefix (micro, mega)", 1440: "minutes per day",
    3600: "seconds per hour", 86_400: "seconds per day", 2.20462: "pounds per kilogram",
    2.54: "centimetres per inch", 18.0182: "mg/dL per mmol/L of glucose",
    88.42: "µmol/L per mg/dL of creatinine", 38.67: "mg/dL per mmol/L of cholesterol",
    17.1: "µmol/L per mg/dL of bilirubin", 7.50062: "mmHg per kPa",
}  # fmt: skip
_TIME = re.compile(
    r"time|date|year|month|week|day|hour|minute|\bage\b|stay|charttime|offset|\[\d*:|strftime|julian",
    re.IGNORECASE,
)
_INTEGER = re.compile(r"-?\d+(?!\.\d)\b(?!\.\d)")
_STRICT = {("<", "<="), ("<=", "<"), (">", ">="), (">=", ">")}
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def answer(case: Case) -> Iterator[Finding]:
    """Yield what a wrong answer's analysis does otherwise than the reference's."""
    gold, cell = case.gold_facts, case.submitting
    if not case.wrong or case.key is None or cell is None:
        return
    unit = _unit(case, gold)
    if unit is not None:
        yield Finding(kind="wrong unit", cell_id=cell.cell_id, evidence=unit)
        return
    if gold is None or not case.slice:
        return
    for kind, evidence in _differences(case.facts, gold):
        yield Finding(kind=kind, cell_id=_where(case, evidence), evidence=evidence)


def _where(case: Case, evidence: str) -> str | None:
    """The cell of the slice that holds most of the evidence's words; else the submitting one."""
    words = set(re.findall(r"\w+", evidence.lower()))
    sources = {cell.cell_id: set(re.findall(r"\w+", cell.source.lower())) for cell in case.cells}
    taken = [step.cell_id for step in case.slice]
    return max(taken, key=lambda name: len(words & sources[name]), default=None)


def _unit(case: Case, gold: Facts | None) -> str | None:
    """Whether submitted and right number differ by a known factor, or by °C and °F."""
    assert case.key is not None
    for name, ours, theirs in _pairs(case.submitted, case.key.value):
        if theirs == 0 or ours == 0 or isclose(ours, theirs, rel_tol=UNIT_TOL):
            continue
        if isclose(ours, 1.8 * theirs + 32, rel_tol=UNIT_TOL) or isclose(
            theirs, 1.8 * ours + 32, rel_tol=UNIT_TOL
        ):
            return f"{name}{ours:g} and {theirs:g} are °C and °F of one temperature"
        for factor, meaning in FACTORS.items():
            for ratio in (ours / theirs, theirs / ours):
                if isclose(ratio, factor, rel_tol=UNIT_TOL) and (
                    not (ours.is_integer() and theirs.is_integer())
                    or _used(case.facts, factor) != (gold is not None and _used(gold, factor))
                ):
                    way = "times" if abs(ours) > abs(theirs) else "divided by"
                    return f"{name}{ours:g} is {theirs:g} {way} {factor:g} ({meaning})"
    return None


def _used(facts: Facts, factor: float) -> bool:
    return any(isclose(one, factor, rel_tol=1e-3) for one in facts.numbers)


def _pairs(ours: object, theirs: object) -> Iterator[tuple[str, float, float]]:
    """The numbers of two answers that stand for each other."""
    if isinstance(ours, bool) or isinstance(theirs, bool):
        return
    if isinstance(ours, (int, float)) and isinstance(theirs, (int, float)):
        yield "", float(ours), float(theirs)
    elif isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for key in ours.keys() & theirs.keys():
            for _, one, other in _pairs(ours[key], theirs[key]):
                yield f"{key}: ", one, other


def _differences(ours: Facts, gold: Facts) -> Iterator[tuple[Kind, str]]:
    extra, missing = ours.tables - gold.tables, gold.tables - ours.tables
    if gold.tables and not ours.tables:
        return  # no analysis to compare: whatever was submitted comes from elsewhere
    if gold.tables and (extra or missing):
        yield "wrong table", _told("tables", extra, missing)
        return
    added, lacking = set(ours.conditions - gold.conditions), set(gold.conditions - ours.conditions)
    found = False
    for kind, pair in _paired(added, lacking):
        found = True
        yield kind, f"it has {pair[0]}, the reference {pair[1]}"
    if added or lacking:
        found = True
        yield "wrong filter", _told("conditions", set(map(str, added)), set(map(str, lacking)))
    if ours.limits != gold.limits and not found:
        evidence = _told("limits", ours.limits - gold.limits, gold.limits - ours.limits)
        if _near(ours.limits - gold.limits, gold.limits - ours.limits):
            found = True
            yield "off-by-one window", evidence
    columns = _columns(ours, gold), _columns(gold, ours)
    if any(columns) and ours.columns:
        found = True
        yield "wrong column", _told("columns", *columns)
    if not found and ours.calculation != gold.calculation:
        yield (
            "wrong calculation",
            _told(
                "steps", ours.calculation - gold.calculation, gold.calculation - ours.calculation
            ),
        )


def _columns(ours: Facts, other: Facts) -> set[str]:
    """The columns that one has more often, in queries; in code, those that it alone has."""
    if ours.queries and other.queries:
        return set(ours.columns - other.columns)
    return ours.columns.keys() - other.columns.keys()


def _paired(
    added: set[Condition], lacking: set[Condition]
) -> Iterator[tuple[Kind, tuple[Condition, Condition]]]:
    """Conditions that stand for each other, taken out of both sets, with what differs in them."""
    for ours in sorted(added):
        for theirs in sorted(lacking):
            kind = _kind(ours, theirs)
            if kind is not None:
                added.discard(ours)
                lacking.discard(theirs)
                yield kind, (ours, theirs)
                break


def _kind(ours: Condition, theirs: Condition) -> Kind | None:
    left, right = ours.left == theirs.left, ours.right == theirs.right
    if left and right and (ours.operator, theirs.operator) in _STRICT:
        return "off-by-one window"
    if left and ours.operator == theirs.operator and _TIME.search(f"{ours.left} {theirs.right}"):
        return "off-by-one window" if _one_apart(ours.right, theirs.right) else "wrong filter"
    if left and ours.operator == theirs.operator:
        return "wrong filter"
    if left and right and FLIPPED.get(ours.operator) == theirs.operator:
        return "wrong filter"
    if right and ours.operator == theirs.operator:
        return "wrong column"
    return None


def _near(ours: set[str], theirs: set[str]) -> bool:
    return len(ours) == len(theirs) == 1 and _one_apart(min(ours), min(theirs))


def _one_apart(ours: str, theirs: str) -> bool:
    """Whether two texts differ in one whole number by one, or in one date by a day."""
    dates = _DATE.findall(ours), _DATE.findall(theirs)
    if len(dates[0]) == len(dates[1]) and dates[0] != dates[1]:
        if _DATE.sub("", ours) != _DATE.sub("", theirs):
            return False
        days = [
            abs((datetime.fromisoformat(a) - datetime.fromisoformat(b)).days)
            for a, b in zip(*dates, strict=True)
        ]
        return sum(days) == 1
    numbers = [int(n) for n in _INTEGER.findall(ours)], [int(n) for n in _INTEGER.findall(theirs)]
    if len(numbers[0]) != len(numbers[1]) or _INTEGER.sub("", ours) != _INTEGER.sub("", theirs):
        return False
    return sum(abs(a - b) for a, b in zip(*numbers, strict=True)) == 1


def _told(what: str, extra: set[str], missing: set[str]) -> str:
    sides = [
        f"{name} {', '.join(sorted(items)[:6])}"
        for name, items in (("it has", extra), ("the reference has", missing)) if items
    ]  # fmt: skip
    return f"{what}: {'; '.join(sides)}"
