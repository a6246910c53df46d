# ruff: noqa: E501 — what prompts say stays whole
"""Survival: Kaplan-Meier, log-rank, Cox. Gold from the formulas, solutions by lifelines."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator

from benchside.suites.cohorts.estimators import cox, kaplan_meier, log_rank
from benchside.suites.oncology.cohort import OUTCOMES, draw_cohort, follow_up, followed
from benchside.suites.oncology.mutated import RULE, draw_gene, has, mark
from benchside.suites.oncology.question import FIT, Answer, Maker, Question, number, script, table
from benchside.suites.oncology.study import Array, Study

FEWEST_EVENTS = 8
CENSORED = "Times are in months; a status that starts with 1 is an event; leave out unknown times."


def _outcome(rng: Generator) -> str:
    return "OS" if rng.random() < 0.5 else "PFS"


def median(rng: Generator, study: Study) -> Question | None:
    """The Kaplan-Meier median."""
    cohort, outcome = draw_cohort(rng, study), _outcome(rng)
    _, months, events = followed(cohort, outcome)
    gold = _median(months, events)
    if math.isinf(gold) or events.sum() < FEWEST_EVENTS:
        return None
    return Question(
        f"What is the median {OUTCOMES[outcome]} (Kaplan-Meier) of {cohort.words}? {CENSORED}",
        number(), gold,
        script(
            cohort.source, follow_up(outcome),
            f"""
            from lifelines import KaplanMeierFitter
            curve = KaplanMeierFitter().fit(known["{outcome}_MONTHS"], known["event"])
            submit(curve.median_survival_time_)
            """,
        ),
    )  # fmt: skip


def rate(rng: Generator, study: Study) -> Question | None:
    """Survival at a time."""
    cohort, outcome = draw_cohort(rng, study), _outcome(rng)
    _, months, events = followed(cohort, outcome)
    at = int(rng.choice([6, 12, 18, 24, 36, 48, 60]))
    gold = kaplan_meier(months, events).at(at)
    if not 0.02 < gold < 0.98 or months.max() < at:
        return None
    return Question(
        f"Estimate by Kaplan-Meier the {OUTCOMES[outcome]} at {at} months, as a fraction, of "
        f"{cohort.words}. {CENSORED}",
        number(), gold,
        script(
            cohort.source, follow_up(outcome),
            f"""
            from lifelines import KaplanMeierFitter
            curve = KaplanMeierFitter().fit(known["{outcome}_MONTHS"], known["event"])
            submit(curve.predict({at}))
            """,
        ),
    )  # fmt: skip


def restricted(rng: Generator, study: Study) -> Question | None:
    """The restricted mean up to a time."""
    cohort, outcome = draw_cohort(rng, study), _outcome(rng)
    _, months, events = followed(cohort, outcome)
    at = int(rng.choice([12, 24, 36, 48, 60]))
    if months.max() < at or events.sum() < FEWEST_EVENTS:
        return None
    return Question(
        f"What is the restricted mean {OUTCOMES[outcome]} time up to {at} months (area under the "
        f"Kaplan-Meier curve) of {cohort.words}? {CENSORED}",
        number(), kaplan_meier(months, events).restricted_mean(at),
        script(
            cohort.source, follow_up(outcome),
            f"""
            from lifelines import KaplanMeierFitter
            from lifelines.utils import restricted_mean_survival_time
            curve = KaplanMeierFitter().fit(known["{outcome}_MONTHS"], known["event"])
            submit(restricted_mean_survival_time(curve, t={at}))
            """,
        ),
    )  # fmt: skip


def compared(rng: Generator, study: Study) -> Question | None:
    """The log-rank test of mutated against wild type."""
    cohort, outcome = draw_cohort(rng, study, 1), _outcome(rng)
    gene = draw_gene(rng, study.tumour)
    known, months, events = followed(cohort, outcome)
    mutated = has(cohort, gene)[known].astype(float)
    if not _both(mutated, events):
        return None
    chi2 = log_rank(months, events, mutated)
    return Question(
        f"Compare the {OUTCOMES[outcome]} of {cohort.words} with and without a mutation of {gene} "
        f"by the log-rank test: chi-square and p-value. {RULE} {CENSORED}",
        Answer({"chi2": "number", "p": "number"}, rel_tol=FIT),
        {"chi2": chi2, "p": math.erfc(math.sqrt(chi2 / 2))},
        script(
            cohort.source, mark(gene), follow_up(outcome),
            f"""
            from lifelines.statistics import logrank_test
            with_it, without = known[known["mutated"]], known[~known["mutated"]]
            test = logrank_test(
                with_it["{outcome}_MONTHS"], without["{outcome}_MONTHS"],
                with_it["event"], without["event"],
            )
            submit({{"chi2": test.test_statistic, "p": test.p_value}})
            """,
        ),
    )  # fmt: skip


def hazard(rng: Generator, study: Study) -> Question | None:
    """A Cox hazard ratio of a mutation, alone or adjusted for age."""
    cohort, outcome = draw_cohort(rng, study, 1), _outcome(rng)
    gene = draw_gene(rng, study.tumour, often=0.9)
    known, months, events = followed(cohort, outcome)
    mutated = has(cohort, gene)[known].astype(float)
    if not _both(mutated, events):
        return None
    adjusted = rng.random() < 0.6
    columns = [mutated, cohort.of("AGE")[known].astype(float)] if adjusted else [mutated]
    fit = cox(np.column_stack(columns), months, events)
    names = ["mutated", "AGE"] if adjusted else ["mutated"]
    listed = ", ".join(f'"{name}"' for name in (f"{outcome}_MONTHS", "event", *names))
    return Question(
        f"Fit a Cox model (Efron's ties) of {OUTCOMES[outcome]} to {cohort.words}, with the "
        f"mutation of {gene} (1 or 0) {'and age in years ' if adjusted else ''}as covariate"
        f"{'s' if adjusted else ''}. Give the mutation's hazard ratio and the bounds of its 95% "
        f"Wald interval. {RULE} {CENSORED}",
        Answer({"hr": "number", "lower": "number", "upper": "number"}, rel_tol=FIT),
        {
            "hr": float(np.exp(fit.beta[0])),
            "lower": float(np.exp(fit.beta[0] - 1.959963984540054 * fit.errors[0])),
            "upper": float(np.exp(fit.beta[0] + 1.959963984540054 * fit.errors[0])),
        },
        script(
            cohort.source, mark(gene), follow_up(outcome),
            f"""
            from lifelines import CoxPHFitter
            data = known[[{listed}]].astype(float)
            fine = {{"precision": 1e-12, "r_precision": 1e-14}}
            model = CoxPHFitter().fit(data, "{outcome}_MONTHS", "event", fit_options=fine)
            row = model.summary.loc["mutated"]
            submit({{
                "hr": row["exp(coef)"], "lower": row["exp(coef) lower 95%"],
                "upper": row["exp(coef) upper 95%"],
            }})
            """,
        ),
    )  # fmt: skip


def by_subtype(rng: Generator, study: Study) -> Question | None:
    """Medians of all subtypes, as a table."""
    cohort, outcome = draw_cohort(rng, study, 1, without="SUBTYPE"), _outcome(rng)
    known, months, events = followed(cohort, outcome)
    subtype = cohort.of("SUBTYPE")[known]
    rows = []
    for name in sorted(set(subtype.tolist())):
        chosen = subtype == name
        rows.append((name, _median(months[chosen], events[chosen]), int(events[chosen].sum())))
    if any(math.isinf(one) or count < 4 for _, one, count in rows):
        return None
    return Question(
        f"For each SUBTYPE of {cohort.words}, what is the Kaplan-Meier median {OUTCOMES[outcome]} "
        f"and the number of events? {CENSORED}",
        Answer(columns=("SUBTYPE", "median", "events")), table(("SUBTYPE", "median", "events"), rows),
        script(
            cohort.source, follow_up(outcome),
            f"""
            from lifelines import KaplanMeierFitter
            rows = []
            for name, group in known.groupby("SUBTYPE"):
                curve = KaplanMeierFitter().fit(group["{outcome}_MONTHS"], group["event"])
                rows.append((name, curve.median_survival_time_, group["event"].sum()))
            submit(pd.DataFrame(rows, columns=["SUBTYPE", "median", "events"]))
            """,
        ),
    )  # fmt: skip


def _median(months: Array, events: Array) -> float:
    """The median; inf also where a curve meets 0.5, as rounding would then decide."""
    curve = kaplan_meier(months, events)
    meets = bool((np.abs(curve.survival - 0.5) < 1e-9).any())
    return math.inf if meets else curve.quantile(0.5)


def _both(mutated: Array, events: Array) -> bool:
    """Enough patients and events on both sides."""
    sides = [events[mutated == side] for side in (0, 1)]
    return all(len(side) >= 8 and side.sum() >= 4 for side in sides)


MAKERS: dict[str, Maker] = {
    "survival/median": median,
    "survival/rate": rate,
    "survival/restricted mean": restricted,
    "survival/log-rank": compared,
    "survival/hazard ratio": hazard,
    "survival/by subtype": by_subtype,
}
