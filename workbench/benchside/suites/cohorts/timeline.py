"""Calendar dates and durations: diagnosis, recurrence, death, transplant."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from pydantic import JsonValue

from benchside.suites.cohorts.cohort import Cohort
from benchside.suites.cohorts.question import Question, cells, number, slug
from benchside.task import AnswerSchema, GraderRef


def questions(cohorts: Mapping[str, Cohort]) -> Iterator[Question]:
    """All questions of this topic."""
    women = cohorts["lymph_node"]
    for grade in (1, 2, 3):
        yield from (last_recurrence(women, grade), longest_gap(women, grade))
    for rank in (50, 200, 343):
        yield nth_diagnosis(women, rank)
    for year in (1985, 1986, 1987):
        yield from (deaths_of_year(women, year), months_to_recurrence(women, year))
    for year in (1949, 1951, 1952, 1953):
        yield mean_months(cohorts["lupus"], year)
    for rank in (12, 30, 41):
        yield nth_month(cohorts["lupus"], rank)
    for age in (30, 40, 50):
        yield last_acceptance(cohorts["waiting_list"], age)
    for share in (0.25, 0.5, 0.75, 0.9):
        yield waiting(cohorts["waiting_list"], share)
    for age in (40, 45, 50):
        yield longest_wait(cohorts["waiting_list"], age)


def temporal(
    cohort: Cohort,
    name: str,
    ask: str,
    gold: dt.date | dt.timedelta,
    solution: str,
    check: dt.date | dt.timedelta,
    slips: Mapping[str, dt.date | dt.timedelta],
) -> Question:
    """A question for a date or a duration."""
    kind = "date" if isinstance(gold, dt.date) else "duration"
    return Question(
        cohort=cohort.name,
        category="timeline/dates" if kind == "date" else "timeline/durations",
        name=slug(name),
        prompt=f"{cohort.intro} {ask}",
        answer=AnswerSchema(
            kind="date" if kind == "date" else "duration",
            description="a date" if kind == "date" else "a timedelta, or text such as '23 days'",
        ),
        grader=GraderRef(name=kind),
        gold=tagged(gold),
        check=tagged(check),
        slips={key: tagged(value) for key, value in slips.items()},
        solution=cells(solution),
    )


def tagged(value: dt.date | dt.timedelta) -> JsonValue:
    """The JSON form of a date or a duration."""
    if isinstance(value, dt.timedelta):
        return {"$duration_s": value.total_seconds()}
    return {"$date": value.isoformat()}


def dates(cohort: Cohort, column: str) -> list[dt.date]:
    """A datetime column as plain dates."""
    return [stamp.date() for stamp in pd.DatetimeIndex(cohort.frame[column]).to_pydatetime()]


def last_recurrence(cohort: Cohort, grade: int) -> Question:
    """The date of the last recurrence in a tumour grade."""
    frame = cohort.frame
    rows = zip(
        dates(cohort, "recurrence_date"), frame["censrec"], frame["grade"], frame["hormone"],
        strict=True,
    )  # fmt: skip
    chosen = sorted(date for date, event, of, hormone in rows if event and of == grade
                    and hormone == 1)  # fmt: skip
    mask = (frame["censrec"] == 1) & (frame["grade"] == grade) & (frame["hormone"] == 1)
    contacts = frame.loc[(frame["grade"] == grade), "recurrence_date"]
    return temporal(
        cohort,
        f"last-recurrence-grade-{grade}",
        "On which date was the latest recurrence (`censrec` = 1, `recurrence_date`) among women "
        f"without hormonal therapy (`hormone` = 1) whose tumour was of grade {grade}?",
        chosen[-1],
        f"""
        recurred = lymph_node[lymph_node["censrec"] == 1]
        chosen = recurred[(recurred["grade"] == {grade}) & (recurred["hormone"] == 1)]
        chosen["recurrence_date"].describe()
        # %%
        submit(chosen["recurrence_date"].max())
        """,
        frame.loc[mask, "recurrence_date"].max().date(),
        {"censored too": contacts.max().date(), "first": chosen[0]},
    )


def nth_diagnosis(cohort: Cohort, rank: int) -> Question:
    """The date by which so many women had been diagnosed."""
    ordered = sorted(dates(cohort, "diagnosis_date"))
    stamps = np.sort(cohort.frame["diagnosis_date"].to_numpy())
    return temporal(
        cohort,
        f"diagnosis-{rank}",
        f"Recruitment went by date of diagnosis (`diagnosis_date`). On which date was the {rank}th "
        "woman diagnosed, counting from the earliest?",
        ordered[rank - 1],
        f"""
        ordered = lymph_node["diagnosis_date"].sort_values().reset_index(drop=True)
        ordered.head()
        # %%
        submit(ordered.iloc[{rank} - 1])
        """,
        pd.Timestamp(stamps[rank - 1]).date(),
        {
            "in table order": dates(cohort, "diagnosis_date")[rank - 1],
            "from the latest": ordered[-rank],
        },
    )


def longest_gap(cohort: Cohort, grade: int) -> Question:
    """The longest time from recurrence to death."""
    frame = cohort.frame
    columns = (frame["grade"], frame["censrec"], frame["censdead"])
    gaps = [
        end - start
        for start, end, of, recurred, died in zip(
            dates(cohort, "recurrence_date"), dates(cohort, "last_date"), *columns, strict=True
        )
        if of == grade and recurred and died
    ]
    days = (frame["survtime"] - frame["rectime"])[
        (frame["grade"] == grade) & (frame["censrec"] == 1)
    ]
    died = days[frame["censdead"] == 1]
    return temporal(
        cohort,
        f"recurrence-to-death-grade-{grade}",
        f"Among women with a tumour of grade {grade} who had a recurrence (`censrec` = 1) and died "
        "(`censdead` = 1), what was the longest time from `recurrence_date` to death "
        "(`last_date`)?",
        max(gaps),
        f"""
        both = lymph_node[(lymph_node["censrec"] == 1) & (lymph_node["censdead"] == 1)]
        chosen = both[both["grade"] == {grade}]
        # %%
        after_recurrence = chosen["last_date"] - chosen["recurrence_date"]
        after_recurrence.describe()
        # %%
        submit(after_recurrence.max())
        """,
        dt.timedelta(days=int(died.max())),
        {
            "survivors too": dt.timedelta(days=int(days.max()) + int(days.max() == died.max())),
            "median": dt.timedelta(days=float(died.median())),
        },
    )


def deaths_of_year(cohort: Cohort, year: int) -> Question:
    """The first death among the women diagnosed in a year."""
    frame = cohort.frame
    rows = zip(
        dates(cohort, "diagnosis_date"), dates(cohort, "last_date"), frame["censdead"], strict=True
    )
    deaths = sorted(last for first, last, died in rows if first.year == year and died)
    in_year = frame["diagnosis_date"].dt.year == year
    died = frame["censdead"] == 1
    return temporal(
        cohort,
        f"third-death-{year}",
        f"Among the women diagnosed in {year} (`diagnosis_date`), on which date did the third "
        "death occur (`censdead` = 1, `last_date`)?",
        deaths[2],
        f"""
        diagnosed = lymph_node[lymph_node["diagnosis_date"].dt.year == {year}]
        deaths = diagnosed.loc[diagnosed["censdead"] == 1, "last_date"].sort_values()
        deaths.head()
        # %%
        submit(deaths.iloc[2])
        """,
        frame.loc[in_year & died, "last_date"].nsmallest(3).iloc[-1].date(),
        {
            "first": deaths[0],
            "last": deaths[-1],
            "contacts too": frame.loc[in_year, "last_date"].nsmallest(3).iloc[-1].date(),
        },
    )


def months_to_recurrence(cohort: Cohort, year: int) -> Question:
    """The median time to recurrence among those who recurred, of one year of diagnosis."""
    frame = cohort.frame
    diagnosed = dates(cohort, "diagnosis_date")
    rows = zip(diagnosed, dates(cohort, "recurrence_date"), frame["censrec"], strict=True)
    gaps = sorted((end - start).days for start, end, event in rows if event and start.year == year)
    middle = (gaps[(len(gaps) - 1) // 2] + gaps[len(gaps) // 2]) / 2
    of_year = frame[frame["diagnosis_date"].dt.year == year]
    recurred = of_year.loc[of_year["censrec"] == 1, "rectime"]
    return temporal(
        cohort,
        f"median-recurrence-{year}",
        f"Among women diagnosed in {year} who had a recurrence (`censrec` = 1), what is the median "
        "time from `diagnosis_date` to `recurrence_date` (the mean of the middle two if even)?",
        dt.timedelta(days=middle),
        f"""
        recurred = lymph_node[lymph_node["censrec"] == 1]
        recurred = recurred[recurred["diagnosis_date"].dt.year == {year}]
        waits = recurred["recurrence_date"] - recurred["diagnosis_date"]
        waits.describe()
        # %%
        submit(waits.median())
        """,
        dt.timedelta(days=float(recurred.median())),
        {
            "all women": dt.timedelta(days=float(of_year["rectime"].median())),
            "mean": dt.timedelta(days=float(recurred.mean())),
        },
    )


def mean_months(cohort: Cohort, year: int) -> Question:
    """Mean number of calendar months under observation of one year of diagnosis."""
    frame = cohort.frame
    spans = [
        12 * (int(last[:4]) - int(first[:4])) + int(last[5:]) - int(first[5:])
        for first, last in zip(frame["diagnosis_month"], frame["last_month"], strict=True)
        if first.startswith(str(year))
    ]
    of_year = frame[frame["diagnosis_month"].str[:4] == str(year)]
    periods = [pd.PeriodIndex(of_year[c], freq="M") for c in ("last_month", "diagnosis_month")]
    months = np.array([end.ordinal - start.ordinal for end, start in zip(*periods, strict=True)])
    return number(
        cohort,
        "timeline/durations",
        f"mean-months-{year}",
        f"For the patients diagnosed in {year}, what is the mean number of calendar months from "
        "`diagnosis_month` to `last_month` (both YYYY-MM; the same month counts 0)?",
        sum(spans) / len(spans),
        f"""
        start = pd.to_datetime(lupus["diagnosis_month"], format="%Y-%m")
        end = pd.to_datetime(lupus["last_month"], format="%Y-%m")
        months = 12 * (end.dt.year - start.dt.year) + end.dt.month - start.dt.month
        months.describe()
        # %%
        submit(months[start.dt.year == {year}].mean())
        """,
        check=float(months.mean()),
        slips={"inclusive": sum(spans) / len(spans) + 1, "median": float(np.median(months))},
        unit="months",
    )


def nth_month(cohort: Cohort, rank: int) -> Question:
    """The month of the n-th last observation of a survivor."""
    rows = zip(cohort.frame["last_month"], cohort.frame["dead"], strict=True)
    months = sorted(month for month, dead in rows if not dead)
    everyone = sorted(cohort.frame["last_month"])
    alive = pd.PeriodIndex(cohort.frame.loc[cohort.frame["dead"] == 0, "last_month"], freq="M")
    return temporal(
        cohort,
        f"last-seen-{rank}",
        f"Order the patients who were alive when last seen (`dead` = 0) by `last_month` (YYYY-MM). "
        f"In which month was number {rank} last seen, counting from the earliest? "
        "Submit the first day of that month.",
        dt.date.fromisoformat(months[rank - 1] + "-01"),
        f"""
        alive = lupus[lupus["dead"] == 0]
        months = pd.to_datetime(alive["last_month"], format="%Y-%m").sort_values()
        months.describe()
        # %%
        submit(months.iloc[{rank} - 1])
        """,
        alive.sort_values()[rank - 1].to_timestamp().date(),
        {"all patients": dt.date.fromisoformat(everyone[rank - 1] + "-01")},
    )


def last_acceptance(cohort: Cohort, age: int) -> Question:
    """The calendar day of the last acceptance below an age."""
    frame, origin = cohort.frame, dt.date(1967, 11, 1)
    latest = float(frame.loc[frame["age"] < age, "year"].max())
    query = frame.query(f"age < {age}").nlargest(1, "year")["year"].iloc[0]
    first = float(frame.loc[frame["age"] < age, "year"].min())
    return temporal(
        cohort,
        f"last-acceptance-{age}",
        f"`year` is the time of acceptance in years since 1 November 1967; the date is that day "
        "plus 365.25 times `year` days, rounded to whole days. On which date was the last "
        f"candidate younger than {age} accepted (`age` < {age})?",
        origin + dt.timedelta(days=round(365.25 * latest)),
        f"""
        candidates = waiting_list.drop_duplicates("id")
        younger = candidates[candidates["age"] < {age}]
        younger["year"].describe()
        # %%
        days = round(younger["year"].max() * 365.25)
        submit(pd.Timestamp("1967-11-01") + pd.Timedelta(days=days))
        """,
        (pd.Timestamp(origin) + pd.Timedelta(days=int(np.rint(365.25 * float(query))))).date(),
        {
            "365 days": origin + dt.timedelta(days=round(365 * latest)),
            "first": origin + dt.timedelta(days=round(365.25 * first)),
        },
    )


def waits(cohort: Cohort, youngest: int = 0) -> list[float]:
    """Days on the waiting list of the transplanted candidates of at least an age."""
    frame = cohort.frame
    chosen = frame[(frame["transplant"] == 1) & (frame["age"] >= youngest)]
    return sorted(float(day) for day in chosen["start"])


def waiting(cohort: Cohort, share: float) -> Question:
    """A percentile of the wait for a transplant."""
    ordered = waits(cohort)
    position = (len(ordered) - 1) * share
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    gold = ordered[below] + (position - below) * (ordered[above] - ordered[below])
    return number(
        cohort,
        "timeline/durations",
        f"wait-{share:g}",
        "A candidate who received a heart has an interval with `transplant` = 1 whose `start` is "
        f"the day of the transplant. What is the {100 * share:g}th percentile (linear "
        "interpolation) of the days from acceptance to transplant among these candidates, divided "
        "by 30.4375 to give months?",
        gold / 30.4375,
        f"""
        transplanted = waiting_list[waiting_list["transplant"] == 1]
        print(transplanted["id"].nunique(), transplanted["start"].describe())
        # %%
        submit(transplanted["start"].quantile({share:g}) / 30.4375)
        """,
        check=float(np.quantile(ordered, share)) / 30.4375,
        slips={
            "30-day months": gold / 30,
            "days": gold,
        },
        unit="months",
    )


def longest_wait(cohort: Cohort, age: int) -> Question:
    """The longest wait that ended in a transplant, from an age on."""
    frame = cohort.frame
    waiting_rows = frame[(frame["transplant"] == 0) & (frame["age"] >= age)]
    others = waiting_rows[~waiting_rows["id"].isin(frame.loc[frame["transplant"] == 1, "id"])]
    query = frame.query(f"transplant == 1 and age >= {age}")["start"]
    second = sorted(query)[-2]
    return temporal(
        cohort,
        f"mean-wait-{age}",
        "A candidate who received a heart has an interval with `transplant` = 1 whose `start` is "
        f"the day of the transplant. Among those accepted at age {age} or older, how long did the "
        "candidate wait who waited longest for a transplant? `start` is in days.",
        dt.timedelta(days=waits(cohort, age)[-1]),
        f"""
        transplanted = waiting_list[waiting_list["transplant"] == 1]
        transplanted = transplanted[transplanted["age"] >= {age}]
        transplanted["start"].describe()
        # %%
        submit(pd.Timedelta(days=transplanted["start"].max()))
        """,
        dt.timedelta(days=float(query.max())),
        {
            "never transplanted": dt.timedelta(days=float(others["stop"].max())),
            "second": dt.timedelta(days=float(second)),
        },
    )
