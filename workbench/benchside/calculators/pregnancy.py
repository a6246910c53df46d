"""Dates of a pregnancy.

Formulas stand alone with those that they call: reference solutions carry their source.
"""

from __future__ import annotations

import datetime as dt

from . import units
from .calculator import Calculator, Output, Source
from .inputs import Day, Measured


def due_date(last_period: str, cycle_days: float) -> dt.date:
    """Return 280 days after a last menstrual period (ISO date), plus the cycle's excess over 28.

    Source: Naegele's rule, ACOG Committee Opinion 700.
    """
    return dt.date.fromisoformat(last_period) + dt.timedelta(days=280 + cycle_days - 28)


def conception_date(last_period: str) -> dt.date:
    """Return 14 days after a last menstrual period (ISO date)."""
    return dt.date.fromisoformat(last_period) + dt.timedelta(days=14)


def gestational_age(last_period: str, today: str) -> dt.timedelta:
    """Return the time from the last menstrual period to today (ISO dates)."""
    return dt.date.fromisoformat(today) - dt.date.fromisoformat(last_period)


_LAST_PERIOD = Day("last_period")
_CYCLE = Measured("cycle", "cycle_days", units.DAYS, 15, 60)
_DATING = Source(
    "American College of Obstetricians and Gynecologists", "Obstet Gynecol", 2017, "129:e150-e154"
)

CALCULATORS = (
    Calculator(
        "due-date",
        13,
        "Estimated due date",
        due_date,
        (_LAST_PERIOD, _CYCLE),
        Output("date"),
        _DATING,
    ),
    Calculator(
        "conception-date",
        68,
        "Estimated date of conception",
        conception_date,
        (_LAST_PERIOD,),
        Output("date"),
        _DATING,
    ),
    Calculator(
        "gestational-age",
        69,
        "Estimated gestational age",
        gestational_age,
        (_LAST_PERIOD, Day("today")),
        Output("duration"),
        _DATING,
    ),
)
