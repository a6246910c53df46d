"""Kaplan-Meier: survival probabilities, quantiles, restricted means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from lifelines import KaplanMeierFitter
from lifelines.utils import qth_survival_time, restricted_mean_survival_time

from benchside.suites.cohorts.cohort import Cohort, Contrast, Level
from benchside.suites.cohorts.estimators import SurvivalCurve, kaplan_meier
from benchside.suites.cohorts.question import Question, number, record

FOLLOWED = (
    "lung", "gbsg2", "lymph_node", "kidney_transplant", "larynx", "leukemia", "actg175", "lupus",
    "lymphoma", "heart_transplant",
)  # fmt: skip


def questions(cohorts: Mapping[str, Cohort]) -> Iterator[Question]:
    """All questions of this topic."""
    for position, cohort in enumerate(cohorts[name] for name in FOLLOWED):
        horizons = cohort.timed.horizons
        yield probability(cohort, horizons[position % 3 + 1], None, None)
        if position % 2:
            yield limits(cohort, horizons[(position + 1) % 3 + 1])
        else:
            yield restricted(cohort, horizons[3 + position % 2])
        for contrast in cohort.contrasts[:1]:
            level = (contrast.first, contrast.second)[position % 2]
            yield probability(cohort, horizons[2], contrast, level)
            yield from (median(cohort, contrast, lvl) for lvl in (contrast.first, contrast.second))
            yield restricted_difference(cohort, contrast, horizons[3])
    for time in (1.0, 2.0, 3.0):
        yield late_entry(cohorts["aids_entry"], time)


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
        check=float(qth_survival_time(share, fitter(cohort, contrast, level).survival_function_)),
        slips={
            "of all times": raw if raw != estimate.quantile(share) else raw + 1,
            "of event times": float(np.quantile(times[events == 1], 1 - share)),
        },
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
