"""Power of the log-rank test and of Cox regression, which depend on the number of events."""

from __future__ import annotations

import math
from collections.abc import Callable

from benchside.suites.power.formulas.normal import normal_power

EventsFunction = Callable[[float, float], float]
"""(size of the trial, hazard ratio) → expected number of events."""


def schoenfeld(
    events: float, *, share: float, hazard_ratio: float, alpha: float, sides: int
) -> float:
    """Power of the log-rank test after Schoenfeld.

        events = (z[1-alpha/sides] + z[power])² / (π (1 - π) log(HR)²)

    Args:
        share: π, the fraction of patients in one of the two arms.

    Source: Schoenfeld DA. Sample-size formula for the proportional-hazards regression model.
        Biometrics 1983;39:499-503.
    """
    effect = abs(math.log(hazard_ratio)) * math.sqrt(share * (1 - share))
    return normal_power(effect, events, alpha, sides, sd_null=1, sd_true=1)


def freedman(events: float, *, hazard_ratio: float, alpha: float, sides: int) -> float:
    """Power of the log-rank test with equal arms after Freedman.

        events = (z[1-alpha/sides] + z[power])² (1 + HR)² / (1 - HR)²

    Source: Freedman LS. Tables of the number of patients required in clinical trials using the
        logrank test. Stat Med 1982;1:121-9.
    """
    effect = abs(1 - hazard_ratio) / (1 + hazard_ratio)
    return normal_power(effect, events, alpha, sides, sd_null=1, sd_true=1)


def event_probability(rate: float, accrual: float, follow_up: float) -> float:
    """Probability that a patient has the event before the end of the study.

        1 - (exp(-λ f) - exp(-λ (a + f))) / (λ a)

    for exponential times with rate λ, uniform entry over a, and a further follow-up of f.

    Source: Collett D. Modelling Survival Data in Medical Research, 3rd ed. 2015, chapter 15.
    """
    late = math.exp(-rate * follow_up) - math.exp(-rate * (accrual + follow_up))
    return 1 - late / (rate * accrual)


def trial_event_probability(
    rate: float, hazard_ratio: float, accrual: float, follow_up: float
) -> float:
    """Mean event probability of two equal arms, with rates λ (control) and HR × λ."""
    control = event_probability(rate, accrual, follow_up)
    return (control + event_probability(rate * hazard_ratio, accrual, follow_up)) / 2


def cox(
    n: float,
    *,
    hazard_ratio: float,
    sd: float,
    r_squared: float,
    event_share: float,
    alpha: float,
    sides: int,
) -> float:
    """Power of the Wald test of one covariate in a Cox regression with n patients.

        n = (z[1-alpha/sides] + z[power])² / (event_share sd² (1 - R²) log(HR)²)

    Args:
        hazard_ratio: per unit of the covariate.
        sd: standard deviation of the covariate.
        r_squared: R² of the covariate regressed on the other covariates.
        event_share: fraction of patients with an observed event.

    Source: Hsieh FY, Lavori PW. Sample-size calculations for the Cox proportional hazards
        regression model with nonbinary covariates. Control Clin Trials 2000;21:552-60.
    """
    effect = abs(math.log(hazard_ratio)) * sd * math.sqrt(1 - r_squared)
    return normal_power(effect, n * event_share, alpha, sides, sd_null=1, sd_true=1)
