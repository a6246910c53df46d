"""Probes of times of day, and of days with their times."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from benchside.graders.clock import DatetimeGrader, Resolution, TimeGrader
from benchside.graders.probes.case import Case, Cases, equivalents, mistakes
from benchside_kernels.submission import Value

_STEP: dict[Resolution, dt.timedelta] = {
    "minute": dt.timedelta(minutes=1),
    "second": dt.timedelta(seconds=1),
}


@equivalents.register
def _(grader: TimeGrader, gold: Value) -> Cases:
    time = grader.read(gold)
    half = time.strftime("%p")
    cases = [
        Case("time", time),
        Case("time with time zone", time.replace(tzinfo=dt.UTC)),
        Case("ISO text", time.isoformat()),
        Case("12-hour clock", f"{time.hour % 12 or 12}:{time:%M:%S} {half}"),
        Case("spaces around", f" {time.isoformat()}\n"),
    ]
    if grader.resolution == "minute":
        cases.append(Case("text without seconds", f"{time:%H:%M}"))
        cases.append(Case("the minute's last second", time.replace(second=59, microsecond=999_999)))
    return cases


@mistakes.register
def _(grader: TimeGrader, gold: Value) -> Cases:
    time = grader.read(gold)
    day = dt.datetime.combine(dt.date(2024, 2, 29), time)
    other = time.replace(hour=(time.hour + 12) % 24)
    return [
        Case("later by one", (day + _STEP[grader.resolution]).time()),
        Case("earlier by one", (day - _STEP[grader.resolution]).time()),
        Case("the other half of the day", other),
        Case("the hour alone", time.hour),
        Case("a day with the time", day),
        Case("seconds since midnight", time.hour * 3600 + time.minute * 60 + time.second),
        Case("timedelta since midnight", day - dt.datetime.combine(day.date(), dt.time())),
        Case("text that contains the answer", f"at {time.isoformat()}"),
        Case("two times", [time, time]),
        Case("both halves", f"{time.isoformat()} or {other.isoformat()}"),
    ]


@equivalents.register
def _(grader: DatetimeGrader, gold: Value) -> Cases:
    moment = grader.read(gold)
    cases = [
        Case("datetime", moment),
        Case("datetime with time zone", moment.replace(tzinfo=dt.UTC)),
        Case("ISO text", moment.isoformat()),
        Case("ISO text with a blank", moment.isoformat(sep=" ")),
        Case("numpy datetime", np.datetime64(moment)),
    ]
    if pd.Timestamp.min < moment < pd.Timestamp.max:
        cases.append(Case("pandas timestamp", pd.Timestamp(moment)))
    if grader.resolution == "minute":
        cases.append(Case("text without seconds", moment.isoformat(sep=" ", timespec="minutes")))
        cases.append(Case("the minute's last second", moment.replace(second=59)))
    return cases


@mistakes.register
def _(grader: DatetimeGrader, gold: Value) -> Cases:
    moment = grader.read(gold)
    early = moment.year < 5000  # days near the ends of the calendar have no neighbour
    step, day = _STEP[grader.resolution], dt.timedelta(days=1)
    return [
        Case("off by one", moment + step if early else moment - step),
        Case("off by a day", moment + day if early else moment - day),
        Case("the other half of the day", moment.replace(hour=(moment.hour + 12) % 24)),
        Case("the day alone", moment.date()),
        Case("the day alone as text", moment.date().isoformat()),
        Case("the time alone", moment.time()),
        Case("text that contains the answer", f"on {moment.isoformat()}"),
        Case("two of them", [moment, moment]),
    ]
