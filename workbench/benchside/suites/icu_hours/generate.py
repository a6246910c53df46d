"""Generated stays in intensive care: hourly values with gaps, interventions, outcomes, true risks.

Each stay has an illness, a trend over its first day, and two slow processes, shock and failing
lungs, that wander around it. Values follow these, each about a level of the patient's own, so that
no single one tells much; vasopressors and ventilation begin when a process passes a threshold and
end when it has fallen well below. Length of stay and death are drawn from risks that illness, trend
and age set. Sicker patients are measured a little more often. Matrices are (stays, hours).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import expit, ndtr, ndtri

from benchside.suites.mimic_extract.extract import DAY_H, GAP_H, LONGEST_H, Extract

Floats = NDArray[np.float64]
SHORTEST_H = 12
LOG_H, LOG_SD = 4.15, 0.5  # of the logarithm of hours
SHOCK, LUNGS = 0.55, 0.5  # of these processes by one unit of illness
SLOW, QUICK = 0.97, 0.6  # correlation from hour to hour of processes and of values' noise
BEGIN, END = 1.0, 0.4  # thresholds of the processes
OWN_SD = 2.0  # of patients' own levels, in shifts by one unit of illness
CARE_SD, SICKER = 0.3, 0.1  # of the log odds of a measurement: between patients, by illness
START = np.datetime64("2140-01-01T00:00:00", "ns")


@dataclass(frozen=True, slots=True)
class Value:
    """A measurement, named as in MIMIC-Extract.

    Args:
        ill, shock, lungs: shift per unit of these.
        often: chance of a value in an hour, at illness zero.
    """

    name: str
    mean: float
    ill: float
    shock: float
    lungs: float
    noise: float
    often: float
    digits: int = 1

    @property
    def shift(self) -> float:
        """By one unit of illness, with what it does to shock and lungs."""
        return abs(self.ill + SHOCK * self.shock + LUNGS * self.lungs)


VALUES = (
    Value("heart rate", 86, 5, 6, 2, 7, 0.9, 0),
    Value("mean blood pressure", 80, -1.5, -7, 0, 6, 0.88, 0),
    Value("systolic blood pressure", 122, -2, -9, 0, 10, 0.88, 0),
    Value("diastolic blood pressure", 62, -1, -5, 0, 6, 0.88, 0),
    Value("respiratory rate", 19, 1, 0.5, 2.6, 2.5, 0.88, 0),
    Value("oxygen saturation", 96.5, -0.3, 0, -1.4, 1.2, 0.88, 0),
    Value("temperature", 37.0, 0.2, 0.15, 0.1, 0.4, 0.3),
    Value("glascow coma scale total", 13, -1.4, 0, -0.5, 1.2, 0.25, 0),
    Value("fraction inspired oxygen", 0.4, 0.02, 0, 0.08, 0.04, 0.2, 2),
    Value("glucose", 140, 9, 5, 0, 28, 0.22, 0),
    Value("lactate", 1.9, 0.55, 0.5, 0.1, 0.5, 0.06),
    Value("creatinine", 1.3, 0.35, 0.1, 0, 0.35, 0.07, 2),
    Value("blood urea nitrogen", 25, 7, 1, 0, 7, 0.07, 0),
    Value("white blood cell count", 11.5, 2, 0.8, 0.3, 2.6, 0.06),
    Value("hemoglobin", 10.6, -0.5, -0.2, 0, 0.9, 0.07),
    Value("platelets", 205, -26, -6, 0, 45, 0.06, 0),
    Value("sodium", 138.5, 0.5, 0, 0, 3.3, 0.08, 0),
    Value("potassium", 4.15, 0.1, 0.05, 0, 0.4, 0.09),
    Value("bicarbonate", 24, -1.3, -0.9, 0.3, 2.2, 0.07, 0),
    Value("ph", 7.38, -0.02, -0.015, -0.015, 0.035, 0.08, 2),
    Value("bilirubin", 1.2, 0.5, 0.1, 0, 0.6, 0.03),
    Value("partial pressure of oxygen", 120, -3, 0, -16, 25, 0.08, 0),
)


def generate(stays: int, seed: tuple[int, ...]) -> Extract:
    """Generate a unit of that many stays, one a patient; the same arguments give the same unit."""
    rng = np.random.default_rng([*seed, stays, 24])
    ill, trend = rng.normal(0, 1, stays), rng.normal(0, 0.7, stays)
    age = np.clip(64 + 15 * rng.normal(0, 1, stays), 18, 90)
    course = np.minimum(np.arange(LONGEST_H) / DAY_H, 1.5)
    level = ill[:, None] + trend[:, None] * course
    shock = SHOCK * level + _wander(rng, stays, SLOW)
    lungs = LUNGS * level + _wander(rng, stays, SLOW)
    known = ill + trend
    hours, risks = _lengths(rng, known)
    deaths = _deaths(rng, known, age, risks)
    ids = 200_000 + rng.permutation(stays * 3)[:stays]
    patients = _patients(rng, ids, age, hours, deaths)
    lasts = np.arange(LONGEST_H) < patients["max_hours"].to_numpy()[:, None] + 1
    row, hour = np.nonzero(lasts)
    index = {"icustay_id": ids[row], "hour": hour}
    on = {"vaso": _given(shock)[lasts], "vent": _given(lungs)[lasts]}
    care = SICKER * level + rng.normal(0, CARE_SD, (stays, 1))
    values = {
        value.name: _measure(rng, value, level, shock, lungs, care)[lasts].astype("float32")
        for value in VALUES
    }
    order = ["icustay_id", "hour"]
    return Extract(
        pd.DataFrame({**index, **values}).sort_values(order, ignore_index=True),
        pd.DataFrame({**index, **on}).sort_values(order, ignore_index=True),
        patients.sort_index(),
        pd.DataFrame(risks, pd.Index(ids, name="icustay_id")).sort_index(),
    )


def _wander(rng: Generator, stays: int, correlation: float) -> Floats:
    """(stays, hours) autoregressive noise of variance one."""
    fresh = rng.normal(0, np.sqrt(1 - correlation**2), (stays, LONGEST_H))
    fresh[:, 0] = rng.normal(0, 1, stays)
    return np.asarray(lfilter([1], [1, -correlation], fresh, axis=1), np.float64)


def _lengths(rng: Generator, known: Floats) -> tuple[Floats, dict[str, Floats]]:
    """Hours of the stays, and the risks of long ones given more than 30 hours."""
    centre = LOG_H + 0.5 * known

    def below(hours: float) -> Floats:
        return np.asarray(ndtr((np.log(hours) - centre) / LOG_SD), np.float64)

    least, most = below(SHORTEST_H), below(LONGEST_H)
    hours = np.exp(centre + LOG_SD * ndtri(rng.uniform(least, most)))
    left = most - below(DAY_H + GAP_H + 1)
    risks = {f"los_{days}": (most - below(24 * days)) / left for days in (3, 7)}
    return hours, risks


def _deaths(
    rng: Generator, known: Floats, age: Floats, risks: dict[str, Floats]
) -> NDArray[np.int64]:
    """0 for those who live, 1 for deaths in the unit, 2 for later ones in hospital."""
    decades = (age - 64) / 10
    unit = expit(-2.4 + 1.15 * known + 0.35 * decades)
    later = expit(-2.9 + 0.7 * known + 0.5 * decades)
    risks |= {"mort_icu": unit, "mort_hosp": 1 - (1 - unit) * (1 - later)}
    first, second = rng.random((2, len(known)))
    return np.where(first < unit, 1, np.where(second < later, 2, 0)).astype(np.int64)


def _given(process: Floats) -> NDArray[np.int64]:
    """(stays, hours) 0 or 1: from above `BEGIN` until below `END`."""
    on = np.zeros(process.shape, dtype=np.int64)
    on[:, 0] = process[:, 0] > BEGIN
    for hour in range(1, process.shape[1]):
        now = process[:, hour]
        on[:, hour] = (now > BEGIN) | ((on[:, hour - 1] == 1) & (now > END))
    return on


def _measure(
    rng: Generator, value: Value, level: Floats, shock: Floats, lungs: Floats, care: Floats
) -> Floats:
    """(stays, hours) values, NaN where none was taken."""
    noise = _wander(rng, len(level), QUICK)
    own = OWN_SD * value.shift * rng.normal(0, 1, (len(level), 1))
    drawn = value.mean + value.ill * level + value.shock * shock + value.lungs * lungs
    drawn = np.maximum(drawn + own + value.noise * noise, 0.1)
    odds = value.often / (1 - value.often) * np.exp(care)
    taken = rng.random(level.shape) < odds / (1 + odds)
    return np.where(taken, np.round(drawn, value.digits), np.nan)


def _patients(
    rng: Generator, ids: NDArray[np.int64], age: Floats, hours: Floats, deaths: NDArray[np.int64]
) -> pd.DataFrame:
    """Statics and outcomes; whole minutes of times."""
    size = len(ids)

    def some(*choices: str) -> NDArray[np.str_]:
        return rng.choice(np.array(choices), size)

    minute = np.timedelta64(60, "s")
    intime = START + rng.integers(0, 5_000_000, size) * minute
    outtime = intime + (hours * 60).astype(np.int64) * minute
    dischtime = outtime + rng.integers(600, 14_000, size) * minute
    never = np.datetime64("NaT", "ns")
    deathtime = np.where(deaths == 1, outtime, np.where(deaths == 2, dischtime, never))
    stayed = (outtime - intime) / np.timedelta64(86_400, "s")
    return pd.DataFrame(
        {
            "subject_id": 10_000 + rng.permutation(size * 4)[:size],
            "hadm_id": 100_000 + rng.permutation(size * 4)[:size],
            "gender": some("F", "M"),
            "ethnicity": some("WHITE", "WHITE", "BLACK", "HISPANIC OR LATINO", "ASIAN", "OTHER"),
            "age": np.round(age, 1),
            "insurance": some("Medicare", "Medicare", "Private", "Medicaid"),
            "admission_type": some("EMERGENCY", "EMERGENCY", "URGENT", "ELECTIVE"),
            "first_careunit": some("MICU", "SICU", "CCU", "CSRU", "TSICU"),
            "admittime": intime - rng.integers(0, 3000, size) * minute,
            "dischtime": dischtime,
            "deathtime": deathtime,
            "intime": intime,
            "outtime": outtime,
            "los_icu": stayed,
            "mort_icu": (deaths == 1).astype(int),
            "mort_hosp": (deaths > 0).astype(int),
            "max_hours": np.floor(stayed * 24).astype(np.int64),
        },
        pd.Index(ids, name="icustay_id"),
    )
