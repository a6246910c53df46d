"""Time to event without covariates: Kaplan-Meier, restricted means, risk sets, rates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from lifelines import KaplanMeierFitter, NelsonAalenFitter
from lifelines.utils import qth_survival_time, restricted_mean_survival_time
from scipy import stats

from benchside.suites.cohorts.cohort import Cohort, Contrast, Level
from benchside.suites.cohorts.estimators import SurvivalCurve, kaplan_meier
from benchside.suites.cohorts.question import Question, integer, number, record

FOLLOWED = (
    "lung", "gbsg2", "lymph_node", "kidney_transplant", "larynx", "leukemia", "actg175", "lupus",
    "lymphoma", "heart_transplant",
)  # fmt: skip


def questions(cohorts: Mapping[str, Cohort], seed: int) -> Iterator[Question]:
    """All questions of this topic; `seed` is not used."""
    del seed
    for position, cohort in enumerate(cohorts[name] for name in FOLLOWED):
        horizons = cohort.timed.horizons
        yield probability(cohort, horizons[position % 3 + 1], None, None)
        yield incidence(cohort)
        if position % 2:
            yield limits(cohort, horizons[(position + 1) % 3 + 1])
            yield at_risk(cohort, horizons[position % 4 + 1])
        else:
            yield hazard(cohort, horizons[(position + 2) % 3 + 1])
            yield restricted(cohort, horizons[3 + position % 2])
        for contrast in cohort.contrasts[:1]:
            level = (contrast.first, contrast.second)[position % 2]
            yield probability(cohort, horizons[2], contrast, level)
            yield from (median(cohort, contrast, lvl) for lvl in (contrast.first, contrast.second))
            yield restricted_difference(cohort, contrast, horizons[3])
            yield rate_ratio(cohort, contrast)
    for time in (1.0, 2.0, 3.0):
        yield late_entry(cohorts["aids_entry"], time)
        yield late_risk_set(cohorts["aids_entry"], time + 0.5)


def curve(cohort: Cohort, contrast: Contrast | None, level: Level | None) -> SurvivalCurve:
    """The Kaplan-Meier curve of all rows or of one level."""
    follow = cohort.timed
    kept = np.ones(len(cohort.frame), dtype=np.bool_)
    if contrast is not None and level is not None:
        kept = cohort.where(contrast.column, level)
    return kaplan_meier(cohort.values(follow.time)[kept], cohort.values(follow.event)[kept])


def fitter(cohort: Cohort, contrast: Contrast | None, level: Level | None) -> KaplanMeierFitter:
    """The same by lifelines."""
    frame = cohort.frame
    if contrast is not None and level is not None:
        frame = frame[cohort.where(contrast.column, level)]
    follow = cohort.timed
    return KaplanMeierFitter().fit(frame[follow.time], frame[follow.event])


def fit_cell(cohort: Cohort, contrast: Contrast | None, level: Level | None) -> str:
    """Source lines that fit `km` to `group`."""
    follow = cohort.timed
    chosen = cohort.name
    if contrast is not None and level is not None:
        chosen += f'[{cohort.name}["{contrast.column}"] == {level.value!r}]'
    return f"""from lifelines import KaplanMeierFitter
        group = {chosen}
        print(len(group), "rows,", group["{follow.event}"].sum(), "events")
        # %%
        km = KaplanMeierFitter().fit(group["{follow.time}"], group["{follow.event}"])
        km.event_table.head()"""


def among(contrast: Contrast | None, level: Level | None) -> str:
    """The group of a sentence."""
    if contrast is None or level is None:
        return "in the whole table"
    return f"among {contrast.label(level)}"


def probability(
    cohort: Cohort, time: float, contrast: Contrast | None, level: Level | None
) -> Question:
    """A Kaplan-Meier survival probability."""
    follow, estimate = cohort.timed, curve(cohort, contrast, level)
    crude = float(np.mean(cohort.values(follow.time) > time))
    everyone = curve(cohort, None, None).at(time)
    gold = estimate.at(time)
    return number(
        cohort,
        "survival/kaplan-meier",
        f"probability-{time:g}" + (f"-{contrast.column}" if contrast else ""),
        f"What is the Kaplan-Meier estimate of the probability of remaining free of {follow.words} "
        f"at {time:g} {follow.unit} {among(contrast, level)} ({follow.phrase})?",
        gold,
        f"""
        {fit_cell(cohort, contrast, level)}
        # %%
        submit(km.predict({time:g}))
        """,
        check=float(fitter(cohort, contrast, level).predict(time)),
        slips={
            "event probability": 1 - gold,
            "censored as survivors": 1 - naive_risk(cohort, time, contrast, level),
            **({"crude": crude} if contrast is None else {"all": everyone}),
        },
    )


def naive_risk(
    cohort: Cohort, time: float, contrast: Contrast | None, level: Level | None
) -> float:
    """Events up to a time over everybody, which ignores censoring."""
    follow = cohort.timed
    kept = np.ones(len(cohort.frame), dtype=np.bool_)
    if contrast is not None and level is not None:
        kept = cohort.where(contrast.column, level)
    early = (cohort.values(follow.time) <= time) & (cohort.values(follow.event) == 1)
    return float(early[kept].mean())


def limits(cohort: Cohort, time: float) -> Question:
    """Greenwood's error and the log(-log) interval."""
    follow, estimate = cohort.timed, curve(cohort, None, None)
    lower, upper = estimate.log_log_interval(time)
    table = fitter(cohort, None, None).confidence_interval_survival_function_
    low, high = table.loc[: time + 1e-9].iloc[-1]
    survival, error = estimate.at(time), estimate.error_at(time)
    linear = {"lower": survival - 1.959964 * error, "upper": survival + 1.959964 * error}
    return record(
        cohort,
        "survival/kaplan-meier",
        f"interval-{time:g}",
        f"For the Kaplan-Meier probability of remaining free of {follow.words} at {time:g} "
        f"{follow.unit} ({follow.phrase}), give the 95% confidence limits from Greenwood's "
        "variance on the log(-log) scale.",
        {"lower": lower, "upper": upper},
        f"""
        {fit_cell(cohort, None, None)}
        # %%
        limits = km.confidence_interval_survival_function_.loc[:{time:g}].iloc[-1]
        limits
        # %%
        submit({{"lower": limits.iloc[0], "upper": limits.iloc[1]}})
        """,
        check={"lower": float(low), "upper": float(high)},
        slips={
            "linear scale": linear,
            "swapped": {"lower": upper, "upper": lower},
        },
    )


def median(cohort: Cohort, contrast: Contrast, level: Level) -> Question:
    """The Kaplan-Meier median of a group, or its lower quartile where the median is not reached."""
    follow, estimate = cohort.timed, curve(cohort, contrast, level)
    share = next(q for q in (0.5, 0.75, 0.85) if np.isfinite(estimate.quantile(q)))
    what = "median" if share == 0.5 else f"{100 * (1 - share):g}th percentile"
    kept = cohort.where(contrast.column, level)
    times, events = cohort.values(follow.time)[kept], cohort.values(follow.event)[kept]
    raw = float(np.quantile(times, 1 - share))
    return number(
        cohort,
        "survival/quantile",
        f"quantile-{1 - share:g}-{contrast.column}-{level.value}",
        f"By Kaplan-Meier, what is the {what} of the time to {follow.words} among "
        f"{contrast.label(level)}, in {follow.unit} ({follow.phrase})? Take the first time at "
        f"which the estimated survival is {share:g} or less.",
        estimate.quantile(share),
        f"""
        {fit_cell(cohort, contrast, level)}
        # %%
        from lifelines.utils import qth_survival_time
        submit(qth_survival_time({share:g}, km.survival_function_))
        """,
        check=float(
            qth_survival_time(share, fitter(cohort, contrast, level).survival_function_)
        ),
        slips={
            "of all times": raw if raw != estimate.quantile(share) else raw + 1,
            "of event times": float(np.quantile(times[events == 1], 1 - share)),
        },
    )


def hazard(cohort: Cohort, time: float) -> Question:
    """The Nelson-Aalen cumulative hazard."""
    follow, estimate = cohort.timed, curve(cohort, None, None)
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


def restricted(cohort: Cohort, tau: float) -> Question:
    """The restricted mean survival time."""
    follow, estimate = cohort.timed, curve(cohort, None, None)
    mean = float(np.minimum(cohort.values(follow.time), tau).mean())
    gold = estimate.restricted_mean(tau)
    return number(
        cohort,
        "survival/restricted-mean",
        f"rmst-{tau:g}",
        f"What is the restricted mean time free of {follow.words} up to {tau:g} {follow.unit} (the "
        f"area under the Kaplan-Meier curve from 0 to {tau:g}), in {follow.unit} "
        f"({follow.phrase})?",
        gold,
        f"""
        {fit_cell(cohort, None, None)}
        # %%
        from lifelines.utils import restricted_mean_survival_time
        submit(restricted_mean_survival_time(km, t={tau:g}))
        """,
        check=float(restricted_mean_survival_time(fitter(cohort, None, None), t=tau)),
        slips={"mean of the cut times": mean, "time lost": tau - gold},
        unit=follow.unit,
    )


def restricted_difference(cohort: Cohort, contrast: Contrast, tau: float) -> Question:
    """The difference of two restricted means."""
    follow = cohort.timed
    means = [
        curve(cohort, contrast, level).restricted_mean(tau)
        for level in (contrast.first, contrast.second)
    ]
    library = [
        restricted_mean_survival_time(fitter(cohort, contrast, level), t=tau)
        for level in (contrast.first, contrast.second)
    ]
    gold = means[0] - means[1]
    times = np.minimum(cohort.values(follow.time), tau)
    crude = [
        float(times[cohort.where(contrast.column, level)].mean())
        for level in (contrast.first, contrast.second)
    ]
    return number(
        cohort,
        "survival/restricted-mean",
        f"rmst-difference-{tau:g}-{contrast.column}",
        f"By how many {follow.unit} does the restricted mean time free of {follow.words} up to "
        f"{tau:g} {follow.unit} differ between {contrast.label(contrast.first)} and "
        f"{contrast.label(contrast.second)} (first minus second; areas under the Kaplan-Meier "
        f"curves; {follow.phrase})?",
        gold,
        f"""
        from lifelines import KaplanMeierFitter
        from lifelines.utils import restricted_mean_survival_time
        means = {{}}
        for value, group in {cohort.name}.groupby("{contrast.column}"):
            km = KaplanMeierFitter().fit(group["{follow.time}"], group["{follow.event}"])
            means[value] = restricted_mean_survival_time(km, t={tau:g})
        means
        # %%
        submit(means[{contrast.first.value!r}] - means[{contrast.second.value!r}])
        """,
        check=float(library[0] - library[1]),
        slips={"reversed": -gold, "ignoring censoring": crude[0] - crude[1]},
        unit=follow.unit,
    )


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
            "per person": dict(
                zip(keys, (raw, *(float(e) / spent for e in exact)), strict=True)
            ),
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


def late_entry(cohort: Cohort, time: float) -> Question:
    """Kaplan-Meier with delayed entry."""
    entry, leave, death = (cohort.values(column) for column in ("entry", "exit", "death"))
    gold = kaplan_meier(leave, death, entry).at(time)
    library = KaplanMeierFitter().fit(leave, death, entry=entry)
    return number(
        cohort,
        "survival/kaplan-meier",
        f"late-entry-{time:g}",
        f"Men come under observation at `entry` and leave at `exit` (years since AIDS diagnosis; "
        "`death` = 1 for death). What is the Kaplan-Meier survival probability at "
        f"{time:g} years since diagnosis when a man counts as at risk only after his `entry`?",
        gold,
        f"""
        (aids_entry["entry"] > 0).value_counts()
        # %%
        from lifelines import KaplanMeierFitter
        km = KaplanMeierFitter().fit(
            aids_entry["exit"], aids_entry["death"], entry=aids_entry["entry"]
        )
        # %%
        submit(km.predict({time:g}))
        """,
        check=float(library.predict(time)),
        slips={"entry ignored": kaplan_meier(leave, death).at(time), "deaths": 1 - gold},
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
