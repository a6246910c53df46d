"""Log-rank test (events, or patients through accrual) and Cox regression."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchside.suites.power import checks
from benchside.suites.power.formulas import survival
from benchside.suites.power.study import (
    CodeValue,
    Design,
    Draw,
    Recipe,
    Sample,
    Study,
    Test,
    Wording,
    draw_test,
    one_group,
)

WRONG_WAY = "Ignore the chance of a significant result in the wrong direction."


@dataclass(frozen=True, slots=True)
class Timed(Wording):
    """A scenario with a time to an event; `median` is its range in the control arm, in months."""

    event: str
    arms: tuple[str, str]
    median: tuple[float, float]


TRIALS = (
    Timed(
        "pancreatic-chemotherapy", "A trial in pancreatic cancer compares overall survival between "
        "combination chemotherapy and gemcitabine alone by the log-rank test.",
        "patients", "death", ("combination", "gemcitabine"), (6, 11),
    ),
    Timed(
        "myeloma-maintenance", "Maintenance treatment of myeloma is compared with observation in "
        "progression-free survival by the log-rank test.",
        "patients", "progression or death", ("maintenance", "observation"), (18, 32),
    ),
    Timed(
        "heart-failure-admission", "A nurse-led follow-up after heart failure is compared with "
        "usual care in the time to readmission by the log-rank test.",
        "patients", "readmission", ("follow-up", "usual-care"), (9, 20),
    ),
    Timed(
        "dialysis-catheter", "Two locking solutions for dialysis catheters are compared in the "
        "time to infection by the log-rank test.",
        "catheters", "infection", ("taurolidine", "heparin"), (10, 24),
    ),
    Timed(
        "glioma-vaccine", "A vaccine added to radiotherapy is compared with radiotherapy alone in "
        "the survival of patients with glioma by the log-rank test.",
        "patients", "death", ("vaccine", "radiotherapy"), (12, 20),
    ),
)  # fmt: skip


def _timed_pilot(rng: np.random.Generator, wording: Timed) -> pd.DataFrame:
    """Exponential control-arm times in months, censored uniformly between 6 and 40."""
    n, rate = int(rng.integers(90, 150)), math.log(2) / rng.uniform(*wording.median)
    time, censored = rng.exponential(1 / rate, n), rng.uniform(6, 40, n)
    months = np.minimum(time, censored).round(1).clip(0.1)
    return pd.DataFrame({"event": (time <= censored).astype(int), "months": months})


SOURCES = {
    "Schoenfeld": "Use Schoenfeld's formula for the number of events.",
    "Freedman": "Use Freedman's formula for the number of events, events = (z + z')² (1 + HR)² / "
    "(1 - HR)².",
}
SQUARED = {
    "Schoenfeld": "1 / (share * (1 - share) * math.log(ratio) ** 2)",
    "Freedman": "((1 + ratio) / (1 - ratio)) ** 2",
}
PROBABILITY = """
def event_probability(ratio):
    times = accrual + follow_up - (np.polynomial.legendre.leggauss(40)[0] + 1) / 2 * accrual
    weights = np.polynomial.legendre.leggauss(40)[1] / 2
    control, treated = (1 - weights @ np.exp(-r * times) for r in (rate, rate * ratio))
    return (control + treated) / 2
"""

EVENTS_ONLY = "\ndef event_probability(ratio):\n    return 1.0\n"


def _log_rank_recipe(source: str, by_patients: bool) -> Recipe:
    """Events needed per squared z; patients by integrating survival over the time of entry."""
    probability = (
        PROBABILITY if by_patients else "\ndef event_probability(ratio):\n    return 1.0\n"
    )
    return Recipe(
        prepare=f"from scipy.optimize import brentq\n{probability}\n"
        f"def patients_per_z(ratio):\n    return {SQUARED[source]} / event_probability(ratio)\n",
        size="z = stats.norm.ppf(1 - alpha / sides) + stats.norm.ppf(target)\n"
        "n = math.ceil(z ** 2 * patients_per_z(hr))",
        power="z_b = math.sqrt(n / patients_per_z(hr)) - stats.norm.ppf(1 - alpha / sides)\n"
        "achieved = stats.norm.cdf(z_b)",
        effect="z = stats.norm.ppf(1 - alpha / sides) + stats.norm.ppf(target)\n"
        "smallest = brentq(lambda hr: z ** 2 * patients_per_z(hr) - n, 0.01, 1 - 1e-6)",
    )


def _log_rank(draw: Draw, wording: Timed, sample: Sample | None) -> Study:
    test, source = draw_test(draw), draw.one_of(("Schoenfeld", "Schoenfeld", "Freedman"))
    hr = draw.between(0.45, 0.85, 3)
    by_patients = sample is not None or draw.rng.random() < 0.5
    if by_patients:
        return _by_patients(draw, wording, sample, test=test, source=source, hr=hr)
    return _by_events(draw, wording, test, source, hr)


def _by_events(draw: Draw, wording: Timed, test: Test, source: str, hr: float) -> Study:
    ratio = draw.one_of((1, 2, 3)) if source == "Schoenfeld" else 1
    share = 1 / (1 + ratio)
    first, second = wording.arms
    many = "the same number of" if ratio == 1 else f"{ratio} times as many"
    return _trial(
        wording,
        test,
        source,
        hr,
        assumptions=f"The {first} arm has {many} {wording.people} as the {second} arm. The size of "
        f"the trial is the total number of events ({wording.event}).",
        unit="events",
        events=lambda n, _: n,
        check_events=lambda n, _: n,
        share=share,
        values={"share": share},
        estimate="",
    )


def _by_patients(
    draw: Draw, wording: Timed, sample: Sample | None, *, test: Test, source: str, hr: float
) -> Study:
    accrual, follow_up = draw.between(6, 36, 0), draw.between(6, 30, 0)
    text, rate, code = _control_rate(draw, wording, sample)

    def events(n: float, ratio: float) -> float:
        return n * survival.trial_event_probability(rate, ratio, accrual, follow_up)

    def check_events(n: float, ratio: float) -> float:
        rates = (rate, rate * ratio)
        return n * sum(checks.event_probability(r, accrual, follow_up) for r in rates) / 2

    return _trial(
        wording,
        test,
        source,
        hr,
        assumptions=f"The arms ({wording.arms[0]} and {wording.arms[1]}) are equally large, times "
        f"to {wording.event} are exponential, and {text} {wording.people.capitalize()} enter "
        f"uniformly over {accrual:g} months and are then followed for a further {follow_up:g} "
        "months; nobody is lost. The expected number of events is the total number of "
        f"{wording.people} times the mean event probability of the two arms, and is not rounded.",
        unit=f"{wording.people} in total (both arms together)",
        events=events,
        check_events=check_events,
        share=0.5,
        values={"share": 0.5, "accrual": accrual, "follow_up": follow_up},
        estimate=code,
    )


def _control_rate(draw: Draw, wording: Timed, sample: Sample | None) -> tuple[str, float, str]:
    """The hazard per month in the control arm: from a median, or events per time in the pilot."""
    control = wording.arms[1]
    if sample is None:
        median = draw.between(*wording.median, 1)
        text = f"the median in the {control} arm is {median:g} months."
        return text, math.log(2) / median, f"rate = math.log(2) / {median!r}"
    events, months = (sample.frame[column].to_numpy(float) for column in ("event", "months"))
    text = (
        f"the hazard in the {control} arm is the number of events divided by the total follow-up "
        f"time, not rounded, in the columns `event` (1 = yes) and `months` of {sample.text}."
    )
    code = 'rate = pilot["event"].sum() / pilot["months"].sum()'
    return text, float(events.sum() / months.sum()), code


def _trial(
    wording: Timed,
    test: Test,
    source: str,
    hr: float,
    *,
    assumptions: str,
    unit: str,
    events: survival.EventsFunction,
    check_events: survival.EventsFunction,
    share: float,
    values: dict[str, CodeValue],
    estimate: str,
) -> Study:
    def power(n: float, ratio: float) -> float:
        if source == "Freedman":
            return survival.freedman(
                events(n, ratio), hazard_ratio=ratio, alpha=test.alpha, sides=test.sides
            )
        return survival.schoenfeld(
            events(n, ratio), share=share, hazard_ratio=ratio, alpha=test.alpha, sides=test.sides
        )

    def check(n: float, ratio: float) -> float:
        effect = -math.log(ratio) * math.sqrt(share * (1 - share))
        if source == "Freedman":
            effect = (1 - ratio) / (1 + ratio)
        return checks.normal(effect, check_events(n, ratio), test, 1, 1)

    return Study(
        assumptions=assumptions,
        effect=hr,
        effect_text=f"a true hazard ratio of {hr:g} ({wording.arms[0]} to {wording.arms[1]})",
        effect_asked="largest hazard ratio below 1",
        limits=(0.01, 1 - 1e-6),
        power=power,
        check=check,
        test=test,
        sizes=one_group(unit, dropout=False),
        method=f"{SOURCES[source]} {WRONG_WAY}",
        values=values,
        effect_values={"hr": hr},
        recipe=_log_rank_recipe(source, by_patients=unit != "events"),
        estimate=estimate,
    )


@dataclass(frozen=True, slots=True)
class Prognostic(Wording):
    """A scenario with a continuous covariate.

    Args:
        marker, unit: the covariate.
        column: its column in the pilot data, followed by those of two other covariates.
        sd: range of its standard deviation.
        event: what is waited for.
    """

    marker: str
    unit: str
    columns: tuple[str, str, str]
    sd: tuple[float, float]
    event: str


COHORTS = (
    Prognostic(
        "psa-prostate", "A cohort of men with prostate cancer is analysed by Cox regression of the "
        "time to metastasis on log PSA, adjusted for age and stage score.",
        "men", "log PSA", "log unit", ("log_psa", "age", "stage_score"), (0.7, 1.3), "metastasis",
    ),
    Prognostic(
        "il6-sepsis", "A biomarker study of sepsis relates log interleukin-6 to the time to death "
        "by Cox regression, adjusted for age and SOFA score.",
        "patients", "log interleukin-6", "log unit", ("log_il6", "age", "sofa"), (0.8, 1.5),
        "death",
    ),
    Prognostic(
        "fev1-copd", "In people with COPD, the deficit in FEV1 is related to the time to the first "
        "severe exacerbation by Cox regression, adjusted for age and smoking.",
        "people", "the FEV1 deficit", "litre", ("fev1_deficit", "age", "pack_years"), (0.4, 0.8),
        "an exacerbation",
    ),
    Prognostic(
        "frailty-admission", "A study of older adults relates a frailty index to the time to "
        "nursing-home admission by Cox regression, adjusted for age and cognition.",
        "adults", "the frailty index", "point", ("frailty", "age", "cognition"), (1.2, 2.2),
        "admission",
    ),
    Prognostic(
        "mirna-breast", "A microRNA score is related to the relapse of breast cancer by Cox "
        "regression, adjusted for age and tumour size.",
        "women", "the microRNA score", "point", ("mirna", "age", "tumour_size"), (0.6, 1.2),
        "relapse",
    ),
)  # fmt: skip

COX_RECIPE = Recipe(
    prepare="per_patient = event_share * sd ** 2 * (1 - r_squared)",
    size="z = stats.norm.ppf(1 - alpha / sides) + stats.norm.ppf(target)\n"
    "n = math.ceil(z ** 2 / (per_patient * math.log(hr) ** 2))",
    power="expected_z = math.log(hr) * math.sqrt(n * per_patient)\n"
    "achieved = stats.norm.sf(stats.norm.isf(alpha / sides), loc=expected_z)",
    effect="z = stats.norm.ppf(1 - alpha / sides) + stats.norm.ppf(target)\n"
    "smallest = math.exp(z / math.sqrt(n * per_patient))",
)


def _cohort_pilot(rng: np.random.Generator, wording: Prognostic) -> pd.DataFrame:
    """The event, two covariates, and the marker, which depends on them."""
    n, weight, sd = int(rng.integers(90, 150)), rng.uniform(0.25, 0.6), rng.uniform(*wording.sd)
    first, second, noise = rng.standard_normal((3, n))
    score = weight * (first + 0.6 * second) + math.sqrt(1 - weight**2) * noise
    marker, one, other = wording.columns
    event = (rng.random(n) < rng.uniform(0.25, 0.6)).astype(int)
    columns = {"event": event, one: 62 + 9 * first, other: 12 + 4 * second, marker: 5 + sd * score}
    return pd.DataFrame(columns).round(2)


def _cox(draw: Draw, wording: Prognostic, sample: Sample | None) -> Study:
    test, hr = draw_test(draw), draw.between(1.12, 1.9, 3)
    text, sd, r_squared, share, code = _cohort(draw, wording, sample)
    return Study(
        assumptions=text,
        effect=hr,
        effect_text=f"a true hazard ratio of {hr:g} per {wording.unit} of {wording.marker}",
        effect_asked=f"smallest hazard ratio above 1 per {wording.unit} of {wording.marker}",
        limits=(1 + 1e-6, 200.0),
        power=lambda n, ratio: survival.cox(
            n,
            hazard_ratio=ratio,
            sd=sd,
            r_squared=r_squared,
            event_share=share,
            alpha=test.alpha,
            sides=test.sides,
        ),
        check=lambda n, ratio: checks.normal(
            math.log(ratio),
            n,
            test,
            1 / math.sqrt(share * sd**2 * (1 - r_squared)),
            1 / math.sqrt(share * sd**2 * (1 - r_squared)),
        ),
        test=test,
        sizes=one_group(wording.people),
        method="Use the formula of Hsieh and Lavori for a continuous covariate; divide the "
        f"unrounded number of events by the fraction of {wording.people} with an event. "
        f"{WRONG_WAY}",
        values={},
        effect_values={"hr": hr},
        recipe=COX_RECIPE,
        estimate=code,
    )


def _cohort(
    draw: Draw, wording: Prognostic, sample: Sample | None
) -> tuple[str, float, float, float, str]:
    """Text, standard deviation and R² of the marker, fraction with an event, and code."""
    if sample is None:
        sd, r2 = draw.between(*wording.sd, 2), draw.between(0.03, 0.45, 2)
        share = draw.between(0.2, 0.75, 2)
        text = (
            f"The standard deviation of {wording.marker} is {sd:g}, its regression on the other "
            f"covariates has an R² of {r2:g}, and {100 * share:g}% of the {wording.people} are "
            f"expected to have {wording.event} observed."
        )
        return text, sd, r2, share, f"sd, r_squared, event_share = {sd!r}, {r2!r}, {share!r}"
    marker, one, other = wording.columns
    values = sample.frame[marker].to_numpy(float)
    design = np.column_stack([np.ones(len(values)), sample.frame[[one, other]].to_numpy(float)])
    residual = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    r2 = 1 - float(residual @ residual) / float(((values - values.mean()) ** 2).sum())
    text = (
        f"Estimate from {sample.text}, without rounding: the standard deviation of "
        f"{wording.marker} (column `{marker}`, divisor n - 1), the R² of its linear "
        f"regression on the columns `{one}` and `{other}` (with intercept), and the fraction of "
        f"rows with `event` equal to 1, which stands for the expected fraction of {wording.people} "
        "with an observed event."
    )
    code = (
        f'sd, event_share = pilot["{marker}"].std(), pilot["event"].mean()\n'
        f'r = pilot[["{marker}", "{one}", "{other}"]].corr().to_numpy()\n'
        "r_squared = r[0, 1:] @ np.linalg.solve(r[1:, 1:], r[0, 1:])"
    )
    share = float(sample.frame["event"].mean())
    return text, float(np.std(values, ddof=1)), r2, share, code


LOG_RANK = Design("log-rank", TRIALS, _log_rank, _timed_pilot)
COX = Design("cox-covariate", COHORTS, _cox, _cohort_pilot)
