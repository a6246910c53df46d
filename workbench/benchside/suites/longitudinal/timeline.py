"""`Cohort`: generated patients' timelines in the form of EHRSHOT's table, with their true risks.

Each patient has 900 days of past visits, some of them admissions, then one *index* admission, and a
year or more after it. Traits, drawn once a patient, raise the chance of codes, shift the values of
tests, and set the risks of what happens at or after the index admission; `severity` is drawn for
that admission and shows in the tests of its first day. Outcomes are drawn from the risks, so that
the risks are the best that can be predicted. Times are numpy datetime64[s]; all loops run over
catalogues.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import expit, ndtr

from benchside.suites.longitudinal.catalogue import (
    BIRTH,
    DISEASES,
    FINDING,
    FINDINGS,
    ICU,
    INPATIENT,
    LEVELS,
    SEVERITY_TESTS,
    SEXES,
    SIGNS,
    TESTS,
    TRAITS,
    VISIT,
    Test,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Times = NDArray[np.datetime64]
DAY_S = 86_400
FIRST = np.datetime64("2019-01-01T00:00:00")
LOS_DAYS, LOS_SD = 1.45, 0.62  # of the logarithm of days
PERSISTENCE = 0.6  # correlation of successive values within a stay
SLOTS, SLOT_DAYS = 8, 100  # past admissions begin in slots of their own
CONDITIONS = "condition_occurrence"


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What is asked of one kind, for the patients of whom it can be asked.

    Args:
        patient: (n,) row numbers of patients.
        time: (n,) prediction times.
        value: (n,) 0 or 1; of laboratory kinds 0 to 3; of `chexpert` (n, findings).
        risk: (n,) true chance of a value of 1 or more; of `chexpert` (n, findings).
    """

    patient: Ints
    time: Times
    value: NDArray[np.int64]
    risk: Floats


@dataclass(frozen=True, slots=True)
class Cohort:
    """Generated patients.

    Args:
        events: the columns of EHRSHOT's `ehrshot.csv`, by patient and time.
        ids: (patients,) patient_id by row number.
        outcomes: by kind.
    """

    events: pd.DataFrame
    ids: Ints
    outcomes: dict[str, Outcomes]


@dataclass(slots=True)
class _Log:
    """Collects events as columns; a visit is 0 where there is none."""

    parts: list[dict[str, NDArray[Any]]] = field(default_factory=list)

    def add(
        self, patient: Ints, start: Times, code: str, table: str, *,
        value: Floats | None = None, unit: str = "", end: Times | None = None,
        visit: Ints | None = None,
    ) -> None:  # fmt: skip
        size = len(patient)
        self.parts.append(
            {
                "patient": patient,
                "start": start,
                "end": np.full(size, np.datetime64("NaT", "s")) if end is None else end,
                "code": np.full(size, code, dtype=object),
                "value": np.full(size, np.nan) if value is None else value,
                "unit": np.full(size, unit, dtype=object),
                "visit": np.zeros(size, dtype=np.int64) if visit is None else visit,
                "omop_table": np.full(size, table, dtype=object),
            }
        )


@dataclass(frozen=True, slots=True)
class _People:
    """The patients and their index admission, (patients,) each."""

    traits: dict[str, Floats]
    age: Floats
    severity: Floats
    admit: Times
    disch: Times
    midnight: Times  # 23:59 of the day of admission
    leaving: Times  # 23:59 of the day of discharge
    effect: float  # strength of all effects in this hospital


def generate(patients: int, seed: tuple[int, ...]) -> Cohort:
    """Generate a hospital of that many patients; the same arguments give the same cohort."""
    rng = np.random.default_rng([*seed, patients, 15])
    who, los_risk, stayed = _people(rng, patients)
    log = _Log()
    _births(rng, log, who)
    visits = _visits(rng, log, who)
    admissions = _past_admissions(rng, log, who)
    _signs(rng, log, who, visits)
    _tests(rng, log, who, visits)
    _first_day(rng, log, who)
    everyone = np.arange(patients)
    _stay(log, everyone, who.admit, who.disch, everyone + 1)
    outcomes = {
        "guo_los": _outcomes(stayed, who.midnight, _long(who), los_risk),
        "guo_icu": _icu(rng, log, who, stayed),
        "guo_readmission": _readmission(rng, log, who, admissions),
        **_levels(rng, log, who),
        **_diseases(rng, log, who),
        "chexpert": _findings(rng, log, who),
    }
    ids = rng.permutation(patients * 9)[:patients] + 100_000_001
    return Cohort(_table(log, ids, rng), ids, outcomes)


def _people(rng: Generator, count: int) -> tuple[_People, Floats, NDArray[np.bool_]]:
    """The patients, their risk of a long stay, and who stayed beyond the day of admission."""
    traits = {name: rng.normal(0, 1, count) for name in TRAITS}
    age = np.clip(62 + 13 * rng.normal(0, 1, count) + 3 * traits["frail"], 19, 95)
    severity = rng.normal(0, 1, count)
    effect = rng.uniform(0.9, 1.15)
    day = FIRST + (rng.integers(1000, 2400, count) * DAY_S).astype("timedelta64[s]")
    admit = day + (rng.integers(4 * 60, 21 * 60, count) * 60).astype("timedelta64[s]")
    midnight = day + np.timedelta64(DAY_S - 60, "s")
    centre = LOS_DAYS + effect * (0.42 * severity + 0.3 * traits["frail"])
    days = np.exp(centre + LOS_SD * rng.normal(0, 1, count))
    disch = admit + (days * DAY_S / 60).astype(np.int64) * np.timedelta64(60, "s")
    leaving = disch.astype("datetime64[D]").astype("datetime64[s]") + np.timedelta64(
        DAY_S - 60, "s"
    )
    until = (midnight - admit).astype(np.int64) / DAY_S
    # given that the patient is still there at 23:59
    risk = ndtr((centre - np.log(7)) / LOS_SD) / ndtr((centre - np.log(until)) / LOS_SD)
    who = _People(traits, age, severity, admit, disch, midnight, leaving, effect)
    return who, np.minimum(risk, 1.0), disch > midnight


def _outcomes(
    can: NDArray[np.bool_], time: Times, value: NDArray[np.bool_] | Ints, risk: Floats
) -> Outcomes:
    """Those of whom it can be asked."""
    return Outcomes(np.flatnonzero(can), time[can], value[can].astype(np.int64), risk[can])


def _long(who: _People) -> NDArray[np.bool_]:
    long: NDArray[np.bool_] = who.disch - who.admit >= np.timedelta64(7 * DAY_S, "s")
    return long


def _births(rng: Generator, log: _Log, who: _People) -> None:
    everyone = np.arange(len(who.age))
    born = who.admit.astype("datetime64[D]") - (who.age * 365.25).astype("timedelta64[D]")
    log.add(everyone, born.astype("datetime64[s]"), BIRTH, "person")
    sex = rng.integers(0, 2, len(everyone))
    for index, code in enumerate(SEXES):
        log.add(everyone[sex == index], born[sex == index].astype("datetime64[s]"), code, "person")


def _before(who: _People, patient: Ints, days: Floats) -> Times:
    """Minutes that many days before the index admission."""
    minutes = (days * 1440).astype(np.int64)
    times: Times = who.admit[patient] - minutes * np.timedelta64(60, "s")
    return times


def _visits(rng: Generator, log: _Log, who: _People) -> tuple[Ints, Times]:
    """Past visits to the clinic."""
    count = 3 + rng.poisson(np.exp(0.9 + 0.25 * who.traits["frail"]))
    patient = np.repeat(np.arange(len(count)), np.minimum(count, 10))
    start = _before(who, patient, rng.uniform(5, 900, len(patient)))
    visit = 10_000_000 + np.arange(len(patient))
    hour = np.timedelta64(3600, "s")
    log.add(patient, start, VISIT, "visit_occurrence", end=start + hour, visit=visit)
    return patient, start


def _past_admissions(rng: Generator, log: _Log, who: _People) -> Ints:
    """Past admissions, at most one a slot; returns how many each patient had."""
    chance = np.minimum(0.13 * np.exp(0.75 * who.traits["frail"]), 0.7)
    had = rng.random((len(chance), SLOTS)) < chance[:, None]
    patient, slot = np.nonzero(had)
    start = _before(who, patient, 60 + slot * SLOT_DAYS + rng.uniform(0, 60, len(slot)))
    days = np.clip(np.exp(rng.normal(1.2, 0.6, len(slot))), 0.5, 20)
    end = start + (days * 1440).astype(np.int64) * np.timedelta64(60, "s")
    _stay(log, patient, start, end, 20_000_000 + np.arange(len(slot)))
    past: Ints = had.sum(axis=1)
    return past


def _stay(log: _Log, patient: Ints, start: Times, end: Times, visit: Ints) -> None:
    log.add(patient, start, INPATIENT, "visit_occurrence", end=end, visit=visit)


def _signs(rng: Generator, log: _Log, who: _People, visits: tuple[Ints, Times]) -> None:
    """Codes of past visits: who has a sign carries it at some of them."""
    patient, start = visits
    for sign in SIGNS:
        logit = sign.base + sum(w * who.traits[name] for name, w in sign.weights.items())
        has = rng.random(len(who.age)) < expit(logit)
        noted = has[patient] & (rng.random(len(patient)) < 0.4)
        log.add(patient[noted], start[noted], sign.code, sign.table)


def _value(rng: Generator, test: Test, trait: Floats, noise: Floats | None = None) -> Floats:
    """Rounded values around what the trait makes of the mean."""
    shift = rng.normal(0, 1, len(trait)) if noise is None else noise
    value = test.mean + test.per_trait * trait + test.noise * shift
    return np.asarray(np.round(np.maximum(value, test.mean * 0.05), test.digits), np.float64)


def _tests(rng: Generator, log: _Log, who: _People, visits: tuple[Ints, Times]) -> None:
    """Measurements at past visits; which ones are taken is a matter of chance."""
    patient, start = visits
    for test in TESTS:
        taken = rng.random(len(patient)) < 0.45
        whose, when = patient[taken], start[taken] + np.timedelta64(1200, "s")
        value = _value(rng, test, who.traits[test.trait][whose])
        log.add(whose, when, test.code, "measurement", value=value, unit=test.unit)


def _first_day(rng: Generator, log: _Log, who: _People) -> None:
    """What the emergency department measures: it shows the severity."""
    everyone = np.arange(len(who.age))
    when = who.admit + np.timedelta64(1800, "s")
    for test in SEVERITY_TESTS:
        value = _value(rng, test, who.severity)
        log.add(
            everyone, when, test.code, "measurement", value=value, unit=test.unit,
            visit=everyone + 1,
        )  # fmt: skip


def _icu(rng: Generator, log: _Log, who: _People, stayed: NDArray[np.bool_]) -> Outcomes:
    """Transfers on the day of admission are left out, as in EHRSHOT."""
    at_once = rng.random(len(who.age)) < 0.05
    logit = -1.7 + who.effect * (1.35 * who.severity + 0.5 * who.traits["frail"])
    risk = expit(logit)
    later = stayed & ~at_once & (rng.random(len(risk)) < risk)
    left_s = (who.disch - who.midnight).astype(np.int64)
    passed = (left_s * rng.uniform(0.05, 0.6, len(risk)) / 60).astype(np.int64) + 1
    when = np.where(at_once, who.admit + np.timedelta64(600, "s"),
                    who.midnight + passed * np.timedelta64(60, "s"))  # fmt: skip
    moved = np.flatnonzero(at_once | later)
    log.add(moved, when[moved], ICU, "visit_detail", visit=moved + 1)
    return _outcomes(stayed & ~at_once, who.midnight, later, risk)


def _readmission(rng: Generator, log: _Log, who: _People, past: Ints) -> Outcomes:
    """Back in hospital within 30 days; who comes back on the same day is left out."""
    logit = -1.75 + who.effect * (
        0.75 * who.traits["frail"] + 0.5 * np.minimum(past, 4) + 0.55 * who.traits["heart"]
    )
    risk = expit(logit)
    count = len(risk)
    back = rng.random(count) < risk
    at_once = rng.random(count) < 0.02
    again = rng.random(count) < 0.3
    days = np.where(back, rng.uniform(1, 29.9, count), rng.uniform(31, 300, count))
    start = who.disch + (days * 1440).astype(np.int64) * np.timedelta64(60, "s")
    same_day = who.leaving - np.timedelta64(60, "s")
    start = np.where(at_once, np.maximum(same_day, who.disch), start)
    chosen = np.flatnonzero(back | at_once | again)
    end = start + np.timedelta64(3 * DAY_S, "s")
    _stay(log, chosen, start[chosen], end[chosen], 30_000_000 + chosen)
    return _outcomes(~at_once, who.leaving, back, risk)


def _levels(rng: Generator, log: _Log, who: _People) -> dict[str, Outcomes]:
    """Daily results of the index stay; the last of the first four is the one to foresee."""
    count = len(who.age)
    days = np.clip((who.disch - who.admit).astype(np.int64) // DAY_S, 0, 3)
    found: dict[str, Outcomes] = {}
    by_test = {level.test: (kind, level) for kind, level in LEVELS.items()}
    for index, test in enumerate(TESTS):
        if index not in by_test:
            continue
        noise = rng.normal(0, 1, count)
        trait = who.traits[test.trait]
        fresh = np.sqrt(1 - PERSISTENCE**2)
        last = np.full(count, np.nan)
        centre = np.zeros(count)  # expected noise of the last result, given the one before
        for day in range(4):
            here = np.flatnonzero(days >= day)
            when = who.admit + np.timedelta64(day * DAY_S + 2400, "s")
            if day:
                centre[here] = PERSISTENCE * noise[here]
                noise[here] = centre[here] + fresh * rng.normal(0, 1, len(here))
            value = _value(rng, test, trait[here], noise[here])
            last[here] = value
            log.add(
                here, when[here], test.code, "measurement", value=value, unit=test.unit,
                visit=here + 1,
            )  # fmt: skip
        kind, level = by_test[index]
        edge = 0.5 * 10.0**-test.digits * (1 if level.low else -1)  # values are rounded
        z = (level.limits[0] - edge - test.mean - test.per_trait * trait) / test.noise
        below = ndtr((z - centre) / fresh)
        sign = -1 if level.low else 1
        grade = np.sum([sign * last > sign * limit for limit in level.limits], axis=0)
        time = who.admit + days * np.timedelta64(DAY_S, "s") + np.timedelta64(2340, "s")
        risk = below if level.low else 1 - below
        found[kind] = _outcomes(days > 0, time, grade, risk)
    return found


def _diseases(rng: Generator, log: _Log, who: _People) -> dict[str, Outcomes]:
    """First diagnoses in the year after discharge; who was diagnosed before is left out."""
    found = {}
    count = len(who.age)
    for kind, disease in DISEASES.items():
        trait = who.traits[disease.trait]
        known = rng.random(count) < expit(-2.6 + 0.8 * trait)
        earlier = np.flatnonzero(known)
        log.add(
            earlier, _before(who, earlier, rng.uniform(20, 880, len(earlier))),
            disease.code, CONDITIONS,
        )  # fmt: skip
        decades = (who.age - 62) / 10
        risk = expit(-1.75 + who.effect * disease.per_trait * trait + disease.per_decade * decades)
        soon = rng.random(count) < risk
        late = rng.random(count) < 0.15
        days = np.where(soon, rng.uniform(2, 364, count), rng.uniform(367, 700, count))
        when = who.leaving + (days * 1440).astype(np.int64) * np.timedelta64(60, "s")
        told = np.flatnonzero(soon | late)
        log.add(told, when[told], disease.code, CONDITIONS)
        found[kind] = _outcomes(~known, who.leaving, soon, risk)
    return found


def _findings(rng: Generator, log: _Log, who: _People) -> Outcomes:
    """One report a patient, 26 to 40 hours after admission; `No Finding` is last."""
    count = len(who.age)
    minutes = rng.integers(26 * 60, 40 * 60, count)
    when = who.admit + minutes * np.timedelta64(60, "s")
    taken = who.disch > when
    known = {**who.traits, "severity": who.severity}
    values, risks = [], []
    for base, weights in FINDINGS.values():
        logit = base + who.effect * sum(w * known[name] for name, w in weights.items())
        risks.append(expit(logit))
        values.append(rng.random(count) < risks[-1])
    values.append(~np.any(values, axis=0))
    risks.append(np.prod([1 - risk for risk in risks], axis=0))
    shown = np.flatnonzero(taken)
    for name, value in zip([*FINDINGS, "No Finding"], values, strict=True):
        log.add(
            shown, when[shown], FINDING + name, "note_nlp", value=value[shown].astype(np.float64),
            visit=shown + 1,
        )  # fmt: skip
    table, chances = np.stack(values, axis=1), np.stack(risks, axis=1)
    return _outcomes(taken, when - np.timedelta64(DAY_S, "s"), table, chances)


def _table(log: _Log, ids: Ints, rng: Generator) -> pd.DataFrame:
    """All events in the columns and spelling of EHRSHOT's table."""
    names = list(log.parts[0])
    events = pd.DataFrame({name: np.concatenate([p[name] for p in log.parts]) for name in names})
    events["patient_id"] = ids[events.pop("patient").to_numpy()]
    numbers = np.sort(events["visit"].unique())
    numbers = numbers[numbers > 0]
    shuffled = pd.Series(rng.permutation(len(numbers)) + 5_000_001, index=numbers)
    events["visit_id"] = events.pop("visit").map(shuffled).astype("Int64")
    for column in ("code", "unit", "omop_table"):
        events[column] = events[column].astype("category")
    order = ["patient_id", "start", "end", "code", "value", "unit", "visit_id", "omop_table"]
    return events[order].sort_values(["patient_id", "start", "code"], ignore_index=True)
