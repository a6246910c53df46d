"""Risk sets and person-time: numbers at risk, cumulative hazard, incidence rates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from lifelines import NelsonAalenFitter
from scipy import stats

from benchside.suites.cohorts.cohort import Cohort, Contrast
from benchside.suites.cohorts.estimators import kaplan_meier
from benchside.suites.cohorts.question import Question, integer, number, record
from benchside.suites.cohorts.survival import FOLLOWED


def questions(cohorts: Mapping[str, Cohort]) -> Iterator[Question]:
    """All questions of this topic."""
    for position, cohort in enumerate(cohorts[name] for name in FOLLOWED):
        horizons = cohort.timed.horizons
        yield incidence(cohort)
        yield from (rate_ratio(cohort, contrast) for contrast in cohort.contrasts[:1])
        if position % 2:
            yield at_risk(cohort, horizons[position % 4 + 1])
        else:
            yield hazard(cohort, horizons[(position + 2) % 3 + 1])
    for time in (1.5, 2.5, 3.5):
        yield late_risk_set(cohorts["aids_entry"], time)


def at_risk(cohort: Cohort, time: float) -> Question:
    """The number at risk at a time, with the events so far."""
    follow = cohort.timed
    times, events = cohort.values(follow.time), cohort.values(follow.event)
    early = times < time
    gold = {"at_risk": int((~early).sum()), "events_before": int((early & (events == 1)).sum())}
    return record(
        cohort,
        "survival/risk-set",
        f"at-risk-{time:g}",
        f"How many are still at risk just before {time:g} {follow.unit} (follow-up time of at "
        f"least {time:g}), and how many had {follow.words} strictly before ({follow.phrase})?",
        gold,
        f"""
        follow_up, event = {cohort.name}["{follow.time}"], {cohort.name}["{follow.event}"]
        before = follow_up < {time:g}
        print(before.sum(), event[before].sum())
        # %%
        submit({{"at_risk": int((~before).sum()), "events_before": int(event[before].sum())}})
        """,
        check={
            "at_risk": len(cohort.frame.query(f"`{follow.time}` >= {time}")),
            "events_before": len(
                cohort.frame.query(f"`{follow.time}` < {time} and `{follow.event}` == 1")
            ),
        },
        slips={
            "left before": {"at_risk": int(early.sum()), "events_before": gold["events_before"]},
            "event-free": {
                "at_risk": len(times) - gold["events_before"],
                "events_before": gold["events_before"],
            },
        },
    )


def incidence(cohort: Cohort) -> Question:
    """The rate per 100 person-years with Garwood's exact limits."""
    follow = cohort.timed
    events = int(cohort.values(follow.event).sum())
    spent = float(cohort.values(follow.time).sum()) / follow.per_year / 100
    exact = [stats.chi2.ppf(0.025, 2 * events) / 2, stats.chi2.ppf(0.975, 2 * events + 2) / 2]
    gamma = [stats.gamma.ppf(0.025, events), stats.gamma.ppf(0.975, events + 1)]
    year = "" if follow.per_year == 1 else f" One year has {follow.per_year:g} {follow.unit}."
    keys = ("rate", "lower", "upper")
    raw = 100 * events / len(cohort.frame)
    return record(
        cohort,
        "survival/person-time",
        "incidence",
        f"What is the rate of {follow.words} per 100 person-years, with its exact (Garwood) 95% "
        f"Poisson confidence interval ({follow.phrase})?{year}",
        dict(zip(keys, (events / spent, *(float(e) / spent for e in exact)), strict=True)),
        f"""
        events = {cohort.name}["{follow.event}"].sum()
        person_years = {cohort.name}["{follow.time}"].sum() / {follow.per_year!r}
        print(events, person_years)
        # %%
        from scipy import stats
        lower = stats.chi2.ppf(0.025, 2 * events) / 2
        upper = stats.chi2.ppf(0.975, 2 * (events + 1)) / 2
        # %%
        per_100 = 100 / person_years
        submit({{"rate": events * per_100, "lower": lower * per_100, "upper": upper * per_100}})
        """,
        check=dict(zip(keys, (events / spent, *(float(g) / spent for g in gamma)), strict=True)),
        slips={
            "per person": dict(zip(keys, (raw, *(float(e) / spent for e in exact)), strict=True)),
            "Wald": {
                "rate": events / spent,
                "lower": (events - 1.959964 * events**0.5) / spent,
                "upper": (events + 1.959964 * events**0.5) / spent,
            },
        },
    )


def rate_ratio(cohort: Cohort, contrast: Contrast) -> Question:
    """The incidence rate ratio with its log interval."""
    follow = cohort.timed
    groups = [cohort.where(contrast.column, lvl) for lvl in (contrast.first, contrast.second)]
    events = [float(cohort.values(follow.event)[group].sum()) for group in groups]
    spent = [float(cohort.values(follow.time)[group].sum()) for group in groups]
    ratio = events[0] / spent[0] / (events[1] / spent[1])
    lower = ratio * float(np.exp(-1.959963984540054 * np.sqrt(1 / events[0] + 1 / events[1])))
    rates = cohort.frame.groupby(contrast.column)[[follow.event, follow.time]].sum()
    per_time = rates[follow.event] / rates[follow.time]
    risks = events[0] / groups[0].sum() / (events[1] / groups[1].sum())
    return record(
        cohort,
        "survival/person-time",
        f"rate-ratio-{contrast.column}",
        f"What is the ratio of the rates of {follow.words} per person-time, "
        f"{contrast.label(contrast.first)} over {contrast.label(contrast.second)} "
        f"({follow.phrase}), and the lower limit of its 95% interval, exp(log ratio - 1.959964 "
        "sqrt(1/d1 + 1/d2)) with d the numbers of events?",
        {"rate_ratio": ratio, "lower": lower},
        f"""
        sums = {cohort.name}.groupby("{contrast.column}")[["{follow.event}", "{follow.time}"]].sum()
        sums
        # %%
        d1, t1 = sums.loc[{contrast.first.value!r}]
        d2, t2 = sums.loc[{contrast.second.value!r}]
        ratio = (d1 / t1) / (d2 / t2)
        lower = np.exp(np.log(ratio) - 1.959964 * np.sqrt(1 / d1 + 1 / d2))
        # %%
        submit({{"rate_ratio": ratio, "lower": lower}})
        """,
        check={
            "rate_ratio": float(per_time[contrast.first.value] / per_time[contrast.second.value]),
            "lower": lower,
        },
        slips={
            "reciprocal": {"rate_ratio": 1 / ratio, "lower": lower},
            "risk ratio": {"rate_ratio": float(risks), "lower": lower},
        },
    )


def hazard(cohort: Cohort, time: float) -> Question:
    """The Nelson-Aalen cumulative hazard."""
    follow = cohort.timed
    estimate = kaplan_meier(cohort.values(follow.time), cohort.values(follow.event))
    fitted = NelsonAalenFitter(nelson_aalen_smoothing=False).fit(
        cohort.frame[follow.time], cohort.frame[follow.event]
    )
    gold = estimate.cumulative_hazard(time)
    return number(
        cohort,
        "survival/risk-set",
        f"nelson-aalen-{time:g}",
        f"What is the Nelson-Aalen estimate (sum of d/n over the distinct event times) of the "
        f"cumulative hazard of {follow.words} at {time:g} {follow.unit} ({follow.phrase})?",
        gold,
        f"""
        rows = {cohort.name}[["{follow.time}", "{follow.event}"]]
        events = rows[rows["{follow.event}"] == 1].groupby("{follow.time}").size()
        events.head()
        # %%
        at_risk = pd.Series({{t: (rows["{follow.time}"] >= t).sum() for t in events.index}})
        cumulative_hazard = (events / at_risk).cumsum()
        cumulative_hazard.loc[:{time:g}].tail()
        # %%
        submit(cumulative_hazard.loc[:{time:g}].iloc[-1])
        """,
        check=float(fitted.predict(time)),
        slips={"-log of Kaplan-Meier": -float(np.log(estimate.at(time))), "S": estimate.at(time)},
    )


def late_risk_set(cohort: Cohort, time: float) -> Question:
    """The risk set with delayed entry."""
    entry, leave = cohort.values("entry"), cohort.values("exit")
    return integer(
        cohort,
        "survival/risk-set",
        f"late-entry-{time:g}",
        f"How many men are under observation at {time:g} years since AIDS diagnosis, that is with "
        f"`entry` < {time:g} and `exit` >= {time:g}?",
        int(((entry < time) & (leave >= time)).sum()),
        f"""
        observed = aids_entry[(aids_entry["entry"] < {time:g}) & (aids_entry["exit"] >= {time:g})]
        observed.describe()
        # %%
        submit(len(observed))
        """,
        check=len(cohort.frame.query(f"entry < {time} and exit >= {time}")),
        slips={"entry ignored": int((leave >= time).sum()), "all": len(leave)},
    )
