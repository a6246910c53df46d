"""Planting: a fact altered so that it contradicts the tables of its stay in exactly one way.

`faults` says what is wrong with a statement; a planted fact is kept only where that is the one
thing that was planted. Units that would be the same amount (meq/l and mmol/l) are never exchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

from numpy.random import Generator

from benchside.hospital.laboratory import LABS
from benchside.hospital.notes.stay import Fact, Source, Stay, Stays
from benchside.hospital.treatments import DRUGS

Fault = Literal["value", "unit", "route", "time", "absent"]
OTHER_UNITS: Mapping[str, tuple[str, ...]] = {
    "mg/dl": ("mmol/l", "g/dl"), "meq/l": ("mg/dl",), "g/dl": ("mg/dl", "g/l"), "k/ul": ("m/ul",),
    "m/ul": ("k/ul",), "sec": ("min",), "iu/l": ("mg/dl",), "mmol/l": ("mg/dl",),
    "mm hg": ("kpa",), "ng/ml": ("pg/ml",), "pg/ml": ("ng/ml",), "ug/ml": ("mg/ml",),
    "ug/dl": ("mg/dl",), "mmhg": ("kpa",), "deg. c": ("deg. f",), "kg": ("lb",),
    "inches": ("cm",), "mg": ("mcg", "g"), "mcg": ("mg",), "g": ("mg",), "gm": ("mg",),
    "unit": ("mg",), "meq": ("mg",), "mmol": ("mg",), "ml": ("l",),
}  # fmt: skip
ROUTES = ("po", "iv", "sc", "pr", "ih")
DECIMALS = {item.label: item.decimals for item in LABS}
DOSES = {drug.name: drug.doses for drug in DRUGS}
POSSIBLE: Mapping[Source, tuple[Fault, ...]] = {
    "labevents": ("value", "unit", "time", "absent"),
    "chartevents": ("value", "unit", "time"),
    "inputevents_cv": ("value", "time", "absent"),
    "outputevents": ("value", "time", "absent"),
    "prescriptions": ("value", "unit", "route", "time", "absent"),
    "procedures_icd": ("time", "absent"),
    "diagnoses_icd": ("absent",),
    "microbiologyevents": ("value", "time", "absent"),
}
TRIES = 6


def faults(said: Fact, stay: Stay) -> frozenset[str]:
    """What is wrong with a statement: "absent", or each one thing whose change would mend it.

    Empty where some row agrees with all that is said; "several" where no single change would do.
    """
    rows = stay.of(said.source, said.name)
    if not rows:
        return frozenset({"absent"})
    wrong = [_differences(said, row) for row in rows]
    if any(not found for found in wrong):
        return frozenset()
    single = frozenset(found[0] for found in wrong if len(found) == 1)
    return single or frozenset({"several"})


def _differences(said: Fact, row: Fact) -> list[str]:
    found = []
    if said.value and said.value != row.value:
        found.append("value")
    if said.unit and said.unit != row.unit:
        found.append("unit")
    if said.route and said.route != row.route:
        found.append("route")
    if said.time is not None and row.time is not None:
        kind = "m" if said.precise else "D"
        if said.time.astype(f"datetime64[{kind}]") != row.time.astype(f"datetime64[{kind}]"):
            found.append("time")
    return found


def mending_rows(said: Fact, stay: Stay, fault: str) -> list[Fact]:
    """The rows that agree with a statement in everything but this."""
    return [row for row in stay.of(said.source, said.name) if _differences(said, row) == [fault]]


def plant(rng: Generator, fact: Fact, stay: Stay, stays: Stays, fault: Fault) -> Fact | None:
    """Return the fact with one fault; None where none could be planted that is certain."""
    makers: dict[Fault, Callable[[], Fact | None]] = {
        "value": lambda: _other_value(rng, fact, stays),
        "unit": lambda: _other_unit(rng, fact),
        "route": lambda: _other_route(rng, fact),
        "time": lambda: _other_time(rng, fact, stay),
        "absent": lambda: _other_name(rng, fact, stay, stays),
    }
    for _ in range(TRIES):
        altered = makers[fault]()
        if altered is not None and faults(altered, stay) == {fault}:
            return altered
    return None


def _other_value(rng: Generator, fact: Fact, stays: Stays) -> Fact | None:
    if fact.source == "microbiologyevents":
        grown = stays.organisms
        return replace(fact, value=grown[rng.integers(len(grown))])
    try:
        number = float(fact.value)
    except ValueError:
        return None
    if fact.source == "prescriptions":
        doses = [*DOSES[fact.name], f"{number * 2:g}", f"{number / 2:g}", f"{number * 10:g}"]
        return replace(fact, value=doses[rng.integers(len(doses))])
    decimals = DECIMALS.get(fact.name, 1 if "." in fact.value else 0)
    factor = 1 + rng.uniform(0.12, 0.6) * (1, -1)[rng.integers(2)]
    if fact.name == "ph":  # a tenth is much
        factor = 1 + rng.uniform(0.01, 0.03) * (1, -1)[rng.integers(2)]
    return replace(fact, value=f"{round(number * factor, decimals):g}")


def _other_unit(rng: Generator, fact: Fact) -> Fact | None:
    others = OTHER_UNITS.get(fact.unit, ())
    return replace(fact, unit=others[rng.integers(len(others))]) if others else None


def _other_route(rng: Generator, fact: Fact) -> Fact | None:
    return replace(fact, route=ROUTES[rng.integers(len(ROUTES))]) if fact.route else None


def _other_time(rng: Generator, fact: Fact, stay: Stay) -> Fact | None:
    """Another minute of the same day, or another day of the stay."""
    if fact.time is None:
        return None
    first, last = stay.admit.astype("datetime64[m]"), stay.end.astype("datetime64[m]")
    day = fact.time.astype("datetime64[D]")
    if fact.precise and rng.random() < 0.6:
        time = day.astype("datetime64[m]") + int(rng.integers(0, 1440))
    else:
        days = int((last.astype("datetime64[D]") - first.astype("datetime64[D]")).astype(int))
        if days == 0:
            return None
        shift = first.astype("datetime64[D]") + int(rng.integers(0, days + 1)) - day
        time = fact.time + shift
    inside = first <= time <= last if fact.precise else first.astype("datetime64[D]") <= time
    return replace(fact, time=time) if inside else None


def _other_name(rng: Generator, fact: Fact, stay: Stay, stays: Stays) -> Fact | None:
    """The same about an item that the stay does not have."""
    had = {row.name for row in stay.facts[fact.source]}
    names = [name for name in stays.names[fact.source] if name not in had]
    if fact.source == "labevents":  # of the same unit, so that the value is not absurd by its unit
        units = {item.label: item.unit.strip() for item in LABS}
        names = [name for name in names if units.get(name) == fact.unit] if fact.unit else names
    return replace(fact, name=names[rng.integers(len(names))]) if names else None
