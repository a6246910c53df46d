"""`Window`: the stretch of time, or the visit, that a question is about.

Each window has two meanings that share no code: a condition in SQLite's date functions, and a mask
over numpy times. The present is `record.NOW`, on a day that every month has, so that "two months
ago" is the same moment for both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from benchside.hospital.record import NOW

if TYPE_CHECKING:
    from benchside.hospital.questions.view import Span, View

Kind = Literal[
    "ever", "year", "since year", "until year", "month", "years ago", "since ago", "until ago",
    "this month", "last month", "day", "visit", "icu",
]  # fmt: skip
Which = Literal["first", "last", "current"]
NOW_TEXT = str(NOW).replace("T", " ")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Window:
    """A window.

    Args:
        kind: what the other fields mean.
        value: a year, "YYYY-MM", "YYYY-MM-DD", or a number of units ago.
        unit: of "since ago" and "until ago".
        which: of "visit" and "icu".
    """

    kind: Kind = "ever"
    value: int | str = 0
    unit: Literal["years", "months", "days"] = "months"
    which: Which = "last"

    def sql(self, span: Span, patient: str, view: View) -> str:
        """The condition on an event, "1" where there is none; `patient` is an SQL literal."""
        time = span.time
        match self.kind:
            case "ever":
                return "1"
            case "year":
                return f"strftime('%Y', {time}) = '{self.value}'"
            case "since year":
                return f"strftime('%Y', {time}) >= '{self.value}'"
            case "until year":
                return f"strftime('%Y', {time}) <= '{self.value}'"
            case "month":
                return f"strftime('%Y-%m', {time}) = '{self.value}'"
            case "day":
                return f"date({time}) = '{self.value}'"
            case "years ago":
                return (
                    f"datetime({time}, 'start of year') = "
                    f"datetime('{NOW_TEXT}', 'start of year', '-{self.value} year')"
                )
            case "this month" | "last month":
                back = 0 if self.kind == "this month" else 1
                return (
                    f"datetime({time}, 'start of month') = "
                    f"datetime('{NOW_TEXT}', 'start of month', '-{back} month')"
                )
            case "since ago":
                return f"{time} >= datetime('{NOW_TEXT}', '-{self.value} {self.unit}')"
            case "until ago":
                return f"{time} <= datetime('{NOW_TEXT}', '-{self.value} {self.unit}')"
            case "visit":
                return f"{span.visit} = ({view.visits.pick(patient, self.which)})"
            case "icu":
                return f"{span.icu} = ({view.units.pick(patient, self.which)})"

    def mask(
        self,
        time: NDArray[np.datetime64],
        visit: NDArray[Any],
        icu: NDArray[Any],
        patient: object,
        view: View,
    ) -> NDArray[np.bool_]:
        """(events,) bool, True inside the window; an absent visit has no events."""
        match self.kind:
            case "ever":
                return np.ones(len(time), dtype=bool)
            case "year":
                found = time.astype("datetime64[Y]") == np.datetime64(str(self.value), "Y")
            case "since year":
                found = time >= np.datetime64(f"{self.value}-01-01T00:00:00")
            case "until year":
                found = time < np.datetime64(f"{int(self.value) + 1}-01-01T00:00:00")
            case "month":
                found = time.astype("datetime64[M]") == np.datetime64(str(self.value), "M")
            case "day":
                found = time.astype("datetime64[D]") == np.datetime64(str(self.value), "D")
            case "years ago":
                found = time.astype("datetime64[Y]") == NOW.astype("datetime64[Y]") - self.value
            case "this month" | "last month":
                back = 0 if self.kind == "this month" else 1
                found = time.astype("datetime64[M]") == NOW.astype("datetime64[M]") - back
            case "since ago":
                found = time >= ago(int(self.value), self.unit)
            case "until ago":
                found = time <= ago(int(self.value), self.unit)
            case "visit":
                found = visit == view.spells.pick(patient, self.which)
            case "icu":
                found = icu == view.icu_spells.pick(patient, self.which)
        mask: NDArray[np.bool_] = np.asarray(found, dtype=bool)
        return mask

    def words(self, style: int) -> str:
        """How the question says it; `style` chooses among equal phrases."""
        year = NOW.astype("datetime64[Y]").astype(int) + 1970
        match self.kind:
            case "ever":
                return ""
            case "year":
                return (f"in {self.value}", f"during {self.value}")[style % 2]
            case "since year":
                return (f"since {self.value}", f"from {self.value} on")[style % 2]
            case "until year":
                return (f"until {self.value}", f"up to the end of {self.value}")[style % 2]
            case "month":
                number, name = str(self.value).split("-"), MONTHS[int(str(self.value)[5:]) - 1]
                if int(number[0]) == year - 1 and style % 3 == 0:
                    return f"in {name} of last year"
                if int(number[0]) == year and style % 3 == 0:
                    return f"in {name} of this year"
                return (f"in {number[1]}/{number[0]}", f"in {name} {number[0]}")[style % 2]
            case "day":
                return f"on {self.value}"
            case "years ago":
                return "this year" if self.value == 0 else "last year"
            case "this month" | "last month":
                return self.kind
            case "since ago":
                unit = self.unit if self.value != 1 else self.unit[:-1]
                return f"since {self.value} {unit} ago"
            case "until ago":
                unit = self.unit if self.value != 1 else self.unit[:-1]
                return f"until {self.value} {unit} ago"
            case "visit":
                words = ("hospital visit", "hospital stay", "hospital encounter")[style % 3]
                return f"during the {self.which} {words}"
            case "icu":
                words = ("ICU visit", "ICU stay", "intensive care unit visit")[style % 3]
                return f"during the {self.which} {words}"


EVER = Window()


def ago(count: int, unit: str) -> np.datetime64:
    """The present minus some years, months or days."""
    if unit == "days":
        return NOW - np.timedelta64(count, "D")
    months = count * (12 if unit == "years" else 1)
    start = NOW.astype("datetime64[M]")
    rest = NOW - start.astype("datetime64[s]")
    moment: np.datetime64 = (start - months).astype("datetime64[s]") + rest
    return moment


def around(rng: Generator, moment: np.datetime64, *, fine: bool = True) -> Window:
    """A window of calendar time that holds a moment.

    Args:
        fine: also single months, not only years and open stretches.
    """
    year = int(moment.astype("datetime64[Y]").astype(int)) + 1970
    now = int(NOW.astype("datetime64[Y]").astype(int)) + 1970
    options: list[Window] = [Window(), Window("year", year)]
    options += [Window("since year", int(rng.integers(2100, year + 1)))]
    options += [Window("until year", int(rng.integers(year, now + 1)))]
    months = int((NOW - moment) / np.timedelta64(30, "D"))
    if months < 66:
        length = int(months + 2 + rng.integers(0, 10))
        options.append(_relative("since ago", length))
    if months > 3:
        options.append(_relative("until ago", int(rng.integers(1, months - 1))))
    if fine:
        options.append(Window("month", str(moment.astype("datetime64[M]"))))
    if year >= now - 1:
        options += [Window("years ago", now - year)] * 2
    month = moment.astype("datetime64[M]")
    if month == NOW.astype("datetime64[M]"):
        options += [Window("this month")] * 3
    if month == NOW.astype("datetime64[M]") - 1:
        options += [Window("last month")] * 3
    return options[rng.integers(len(options))]


def _relative(kind: Literal["since ago", "until ago"], months: int) -> Window:
    if months >= 12 and months % 3 == 0:
        return Window(kind, max(1, months // 12), "years")
    if months <= 2:
        return Window(kind, months * 30, "days")
    return Window(kind, months, "months")
