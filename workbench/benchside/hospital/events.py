"""What happens during a stay: procedures, laboratory values, vital signs, fluids, drugs, cultures.

Each function draws one table for all stays at once. Serial values follow a first-order
autoregression around a course: the effect of an illness wanes in those who recover and grows in
those who die. (The noise of one stay runs over into the next at its correlation, which is below the
spread between patients and saves a loop.)
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import lfilter

from benchside.hospital.bedside import HEIGHT, INTAKES, OUTPUTS, VITALS, WEIGHT
from benchside.hospital.conditions import COLUMN
from benchside.hospital.laboratory import LABS, PANEL_REASONS, PANELS
from benchside.hospital.treatments import ALLERGIES, CULTURES, DRUGS, PROCEDURES

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MINUTE = np.timedelta64(60, "s")
PERSISTENCE = 0.7  # correlation of successive values' noise


def _chance(base: float, boost: float, reasons: tuple[str, ...], has: NDArray[np.bool_]) -> Floats:
    """Chance per stay: `base`, its odds times `boost` where any of the reasons is there."""
    indicated = any_of(has, reasons)
    odds = base / (1 - base) * np.where(indicated, boost, 1.0)
    chance: Floats = odds / (1 + odds)
    return chance


def any_of(has: NDArray[np.bool_], keys: tuple[str, ...]) -> NDArray[np.bool_]:
    """(stays,) bool, True where a stay has any of these conditions."""
    found: NDArray[np.bool_] = np.any(has[:, [COLUMN[key] for key in keys]], axis=1)
    return found


def _within(rng: Generator, stays: pd.DataFrame, stay: Ints, latest: float = 0.97) -> Ints:
    """Random minutes of each stay, as datetime64[s]."""
    admit = stays["admit"].to_numpy()[stay]
    length_s = (stays["last_seen"].to_numpy()[stay] - admit).astype(np.int64)
    minutes = (length_s * rng.uniform(0.01, latest, len(stay)) / 60).astype(np.int64)
    times: Ints = admit + minutes * MINUTE
    return times


def _noise(rng: Generator, size: int) -> Floats:
    """Autoregressive noise of variance one."""
    fresh = np.sqrt(1 - PERSISTENCE**2)
    noise: Floats = lfilter([fresh], [1, -PERSISTENCE], rng.normal(0, 1, size))
    return noise


def procedures(
    rng: Generator, stays: pd.DataFrame, icu: pd.DataFrame, has: NDArray[np.bool_]
) -> pd.DataFrame:
    """Procedures; those that need intensive care only in stays that have it."""
    cared = np.zeros(len(stays), dtype=bool)
    cared[icu["stay"].to_numpy()] = True
    parts = []
    for index, item in enumerate(PROCEDURES):
        chance = _chance(item.base, item.boost, item.reasons, has)
        chance = np.where(cared, chance, 0 if item.icu else chance * 0.7)
        again = rng.random((2, len(stays)))
        stay = np.concatenate(
            [np.flatnonzero(again[0] < chance), np.flatnonzero(again[1] < chance * 0.15)]
        )
        parts.append(pd.DataFrame({"stay": stay, "procedure": index}))
    frame = pd.concat(parts, ignore_index=True)
    frame["time"] = _within(rng, stays, frame["stay"].to_numpy())
    return frame.sort_values(["time", "stay", "procedure"], ignore_index=True)


def _draws(rng: Generator, stays: pd.DataFrame, icu: pd.DataFrame) -> pd.DataFrame:
    """Blood draws: one each morning, a second one on most days in intensive care."""
    admit = stays["admit"].to_numpy()
    end = stays["last_seen"].to_numpy()
    days: Ints = (end - admit).astype("timedelta64[D]").astype(np.int64) + 1
    stay = np.repeat(np.arange(len(stays)), days)
    day = np.arange(len(stay)) - np.repeat(np.cumsum(days) - days, days)
    morning = admit[stay].astype("datetime64[D]") + day.astype("timedelta64[D]")
    minutes = (rng.normal(5.5, 1.2, len(stay)) * 60).astype(np.int64)
    regular = morning.astype("datetime64[s]") + minutes * MINUTE
    regular = np.where(day == 0, admit[stay] + rng.integers(20, 150, len(stay)) * MINUTE, regular)
    held = ((icu["outtime"] - icu["intime"]).dt.total_seconds() / 86_400 * 1.6).to_numpy()
    more = rng.poisson(held)
    row = np.repeat(np.arange(len(icu)), more)
    begins, ends = icu["intime"].to_numpy()[row], icu["outtime"].to_numpy()[row]
    length_s = (ends - begins).astype(np.int64)
    extra = begins + (length_s * rng.random(len(row)) / 60).astype(np.int64) * MINUTE
    frame = pd.DataFrame(
        {
            "stay": np.concatenate([stay, icu["stay"].to_numpy()[row]]),
            "time": np.concatenate([regular, extra]),
            "icu": np.concatenate([np.zeros(len(stay), bool), np.ones(len(row), bool)]),
        }
    )
    seen = frame["stay"].to_numpy()
    frame = frame[(frame["time"].to_numpy() > admit[seen]) & (frame["time"].to_numpy() < end[seen])]
    drawn: pd.DataFrame = frame.drop_duplicates(["stay", "time"])
    return drawn.sort_values(["stay", "time"], ignore_index=True)


def labs(
    rng: Generator, stays: pd.DataFrame, icu: pd.DataFrame, has: NDArray[np.bool_]
) -> pd.DataFrame:
    """Laboratory values: stay, item, time, value (rounded as reported)."""
    drawn = _draws(rng, stays, icu)
    stay = drawn["stay"].to_numpy()
    course = _course(stays, stay, drawn["time"].to_numpy())
    values = {item.key: np.full(len(drawn), np.nan) for item in LABS}
    baseline = rng.normal(0, 1, (len(stays), len(LABS)))
    for panel, (ward, intensive) in PANELS.items():
        chance = np.where(drawn["icu"], intensive, ward)
        reasons = PANEL_REASONS.get(panel, ())
        if reasons:
            wanted = any_of(has, reasons)
            chance = np.minimum(chance * np.where(wanted[stay], 3.0, 1.0), 0.95)
        rows = np.flatnonzero(rng.random(len(drawn)) < chance)
        for index, item in enumerate(LABS):
            if item.panel != panel or item.spread == 0:
                continue
            level = item.spread * (0.7 * baseline[stay[rows], index] + 0.7 * _noise(rng, len(rows)))
            shift = np.zeros(len(rows))
            for key, size in item.effects.items():
                active = has[stay[rows], COLUMN[key]] * course[rows]
                shift += active * (np.log(size) if item.log else size)
            center = np.log(item.centre) if item.log else item.centre
            raw = center + level + shift
            values[item.key][rows] = np.exp(raw) if item.log else raw
    _derive(rng, values)
    parts = []
    for index, item in enumerate(LABS):
        known = np.flatnonzero(~np.isnan(values[item.key]))
        value = np.round(np.clip(values[item.key][known], item.least, item.most), item.decimals)
        frame = drawn.iloc[known][["stay", "time"]].assign(item=index, value=value)
        parts.append(frame)
    result = pd.concat(parts, ignore_index=True)
    # single results get lost: a sample clots, a reading is not released
    result = result[rng.random(len(result)) > 0.03]
    return result.sort_values(["stay", "time", "item"], ignore_index=True)


def _course(stays: pd.DataFrame, stay: Ints, times: Ints) -> Floats:
    """How strong the illness is, 1 at admission: towards 0.45 in survivors, 1.3 at death."""
    admit = stays["admit"].to_numpy()[stay]
    length = (stays["last_seen"].to_numpy()[stay] - admit).astype(float)
    passed = (times - admit).astype(float) / length
    died = stays["died"].to_numpy()[stay]
    course: Floats = np.where(died, 1 + 0.3 * passed, 0.45 + 0.55 * np.exp(-2.2 * passed))
    return course


def _derive(rng: Generator, values: dict[str, Floats]) -> None:
    """Fill in the items that follow from others; a little measurement error keeps them lifelike."""
    size = len(values["hgb"])
    values["hct"] = 2.99 * values["hgb"] * rng.normal(1, 0.035, size)
    values["rbc"] = 10 * values["hct"] / values["mcv"]
    values["mch"] = 10 * values["hgb"] / values["rbc"]
    values["mchc"] = 100 * values["hgb"] / values["hct"]
    # chloride goes with sodium and stands in for lost bicarbonate
    shift = 0.6 * (values["na"] - 138.8) - 0.4 * (values["hco3"] - 25.4)
    values["cl"] = np.round(values["cl"] + shift)
    values["ag"] = values["na"] + values["k"] - values["cl"] - values["hco3"]
    values["inr"] = (values["pt"] / 12.9) ** 1.1
    # Henderson-Hasselbalch: pH = 6.1 + log10(HCO3 / (0.03 pCO2))
    arterial = values["hco3"] - 0.2 + rng.normal(0, 0.8, size)
    arterial = np.where(np.isnan(arterial), np.nan, np.clip(arterial, 4, 50))
    values["ph"] = 6.1 + np.log10(arterial / (0.0307 * values["pco2"]))
    values["tco2"] = arterial + 0.0307 * values["pco2"] + 0 * values["ph"]
    values["be"] = 0.93 * (arterial - 24.4 + 14.8 * (values["ph"] - 7.4))
    # the differential adds up to 100, with at least some lymphocytes in it
    others = values["mono"] + values["eos"] + values["baso"]
    values["neut"] = np.minimum(values["neut"], 98 - others - rng.gamma(2, 2, size))
    rest = 100 - values["neut"] - values["mono"] - values["eos"] - values["baso"]
    values["lymph"] = np.where(np.isnan(rest), np.nan, np.maximum(rest, 0.5))


def vitals(
    rng: Generator, stays: pd.DataFrame, icu: pd.DataFrame, has: NDArray[np.bool_]
) -> pd.DataFrame:
    """Vital signs in intensive care: icu, vital, time, value; weight daily, height once.

    `vital` numbers VITALS, then WEIGHT and HEIGHT.
    """
    hours = ((icu["outtime"] - icu["intime"]).dt.total_seconds() / 3600).to_numpy()
    count = np.clip(hours / 2.0, 1, 120).astype(np.int64)
    row = np.repeat(np.arange(len(icu)), count)
    turn = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    step_s = (hours * 3600 / count)[row]
    offset = (step_s * (turn + rng.uniform(0.1, 0.9, len(row))) / 60).astype(np.int64)
    times = icu["intime"].to_numpy()[row] + offset * MINUTE
    stay = icu["stay"].to_numpy()[row]
    course = _course(stays, stay, times)
    base = rng.normal(0, 1, (len(stays), len(VITALS)))
    values: dict[str, Floats] = {}
    parts = []
    for index, item in enumerate(VITALS):
        level = item.spread * (0.75 * base[stay, index] + 0.66 * _noise(rng, len(row)))
        for key, size in item.effects.items():
            level = level + size * has[stay, COLUMN[key]] * course
        values[item.key] = item.centre + level
        if item.key == "dbp":  # the two pressures move together
            values["dbp"] = values["dbp"] + 0.3 * (values["sbp"] - 122)
            values["dbp"] = np.minimum(values["dbp"], values["sbp"] - 12)
        if item.key == "map":
            values["map"] = (values["sbp"] + 2 * values["dbp"]) / 3
        value = np.round(np.clip(values[item.key], item.least, item.most), item.decimals)
        share = 0.35 if item.key == "temp" else 0.92
        kept = rng.random(len(row)) < share
        parts.append(
            pd.DataFrame(
                {"icu": row[kept], "vital": index, "time": times[kept], "value": value[kept]}
            )
        )
    parts += _body(rng, stays, icu)
    frame = pd.concat(parts, ignore_index=True)
    return frame.sort_values(["icu", "time", "vital"], ignore_index=True)


def _body(rng: Generator, stays: pd.DataFrame, icu: pd.DataFrame) -> list[pd.DataFrame]:
    """Weight each day (kg) and height at admission (cm), which belong to the patient."""
    owner = stays["owner"].to_numpy()[icu["stay"].to_numpy()]
    size = int(stays["owner"].max()) + 1
    height = rng.normal(HEIGHT.centre, HEIGHT.spread, size)
    bmi = np.exp(rng.normal(np.log(27.5), 0.2, size))
    days = ((icu["outtime"] - icu["intime"]).dt.total_seconds() / 86_400).to_numpy()
    count = np.ceil(days).astype(np.int64)
    row = np.repeat(np.arange(len(icu)), count)
    turn = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    minutes = rng.integers(10, 50, len(row)) + turn * 1440
    times = icu["intime"].to_numpy()[row] + minutes * MINUTE
    gain = rng.normal(0.25, 0.5, len(icu))[row] * turn + rng.normal(0, 0.3, len(row))
    weight = (bmi * (height / 100) ** 2)[owner[row]] + gain
    kept = (times < icu["outtime"].to_numpy()[row]) & (rng.random(len(row)) < 0.8)
    once = np.flatnonzero(rng.random(len(icu)) < 0.7)
    heights = np.round(np.clip(height[owner[once]], HEIGHT.least, HEIGHT.most))
    weights = np.round(np.clip(weight, WEIGHT.least, WEIGHT.most), 1)
    begin = icu["intime"].to_numpy()[once] + 5 * MINUTE
    return [
        pd.DataFrame(
            {"icu": row[kept], "vital": len(VITALS), "time": times[kept], "value": weights[kept]}
        ),
        pd.DataFrame({"icu": once, "vital": len(VITALS) + 1, "time": begin, "value": heights}),
    ]


def fluids(rng: Generator, icu: pd.DataFrame, direction: Literal["in", "out"]) -> pd.DataFrame:
    """Intakes or outputs in intensive care: icu, fluid, time (whole hours and quarters), ml."""
    days = ((icu["outtime"] - icu["intime"]).dt.total_seconds() / 86_400).to_numpy()
    parts = []
    for index, item in enumerate(INTAKES if direction == "in" else OUTPUTS):
        users = rng.random(len(icu)) < item.share
        count = np.minimum(rng.poisson(item.per_day * days * users), 60)
        row = np.repeat(np.arange(len(icu)), count)
        size_s = (days * 86_400)[row]
        offset = (size_s * rng.random(len(row)) / 900).astype(np.int64) * 15
        habit = np.exp(rng.normal(0, 0.35, len(icu)))[row]
        volume = item.volume * habit * np.exp(rng.normal(0, 0.45, len(row)))
        step = 5 if item.volume >= 50 else 1
        parts.append(
            pd.DataFrame(
                {
                    "icu": row,
                    "fluid": index,
                    "time": icu["intime"].to_numpy()[row].astype("datetime64[h]") + offset * MINUTE,
                    "volume": np.maximum(np.round(volume / step), 1) * step,
                }
            )
        )
    frame = pd.concat(parts, ignore_index=True)
    row = frame["icu"].to_numpy()
    inside = (frame["time"].to_numpy() > icu["intime"].to_numpy()[row]) & (
        frame["time"].to_numpy() < icu["outtime"].to_numpy()[row]
    )
    frame = frame[inside].drop_duplicates(["icu", "fluid", "time"])
    return frame.sort_values(["icu", "time", "fluid"], ignore_index=True)


def prescriptions(rng: Generator, stays: pd.DataFrame, has: NDArray[np.bool_]) -> pd.DataFrame:
    """Orders: stay, drug, dose, start and end (whole days; end is NaT beyond the present)."""
    length = (stays["last_seen"] - stays["admit"]).dt.total_seconds().to_numpy() / 86_400
    parts = []
    for index, item in enumerate(DRUGS):
        chance = _chance(item.base, item.boost, item.reasons, has)
        orders = (rng.random(len(stays)) < chance) * (1 + rng.poisson(0.3 * np.sqrt(length)))
        stay = np.repeat(np.arange(len(stays)), orders)
        dose = rng.integers(0, len(item.doses), len(stay))
        parts.append(pd.DataFrame({"stay": stay, "drug": index, "dose": dose}))
    frame = pd.concat(parts, ignore_index=True)
    stay = frame["stay"].to_numpy()
    frame["moment"] = _within(rng, stays, stay, 0.9)
    frame["start"] = frame["moment"].to_numpy().astype("datetime64[D]").astype("datetime64[s]")
    days = np.minimum(rng.geometric(0.4, len(frame)) - 1, 14).astype("timedelta64[D]")
    end = frame["start"].to_numpy() + days.astype("timedelta64[s]")
    seen = stays["last_seen"].to_numpy()[stay].astype("datetime64[D]").astype("datetime64[s]")
    current: NDArray[np.bool_] = stays["disch"].isna().to_numpy()[stay]
    open_ended = current & (end >= seen)
    frame["end"] = np.where(open_ended, np.datetime64("NaT"), np.minimum(end, seen))
    frame = frame.drop_duplicates(["stay", "drug", "start"])
    return frame.sort_values(["stay", "moment", "drug"], ignore_index=True)


def cultures(rng: Generator, stays: pd.DataFrame, has: NDArray[np.bool_]) -> pd.DataFrame:
    """Cultures: stay, culture, time, organism (None where nothing grew)."""
    parts = []
    for index, item in enumerate(CULTURES):
        chance = _chance(item.base, 4.0, item.reasons, has)
        taken = (rng.random(len(stays)) < chance) * (1 + rng.poisson(0.8, len(stays)))
        stay = np.repeat(np.arange(len(stays)), taken)
        sick = any_of(has, item.reasons)[stay]
        grown = rng.random(len(stay)) < item.positive * np.where(sick, 1.3, 0.6)
        # one patient's specimens of a stay grow the same organism more often than not
        usual = rng.integers(0, len(item.organisms), len(stays))[stay]
        other = rng.integers(0, len(item.organisms), len(stay))
        which = np.where(rng.random(len(stay)) < 0.7, usual, other)
        names = np.array(item.organisms, dtype=object)[which]
        names[~grown] = None
        parts.append(pd.DataFrame({"stay": stay, "culture": index, "organism": names}))
    frame = pd.concat(parts, ignore_index=True)
    frame["time"] = _within(rng, stays, frame["stay"].to_numpy())
    frame = frame.drop_duplicates(["stay", "culture", "time"])
    return frame.sort_values(["time", "stay", "culture"], ignore_index=True)


def allergies(rng: Generator, who: pd.DataFrame) -> pd.DataFrame:
    """Known allergies: owner (row of the patient), allergy (row of ALLERGIES)."""
    known = rng.random((len(who), len(ALLERGIES))) < np.array([share for _, share in ALLERGIES])
    owner, allergy = np.where(known)
    return pd.DataFrame({"owner": owner, "allergy": allergy})
