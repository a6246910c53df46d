"""`Record`: everything that happened in the hospital, schema-neutral, and how it is generated.

One severity per stay and one propensity per patient and organ system drive diagnoses, laboratory
values, treatments, length of stay and death together, so that the tables tell one story. All draws
come from one seeded generator, and all loops run over catalogues, never over patients.

Times are numpy datetime64[s]; volumes are in ml; other units stand in the catalogues.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from benchside.hospital.conditions import COLUMN, CONDITIONS, SYSTEMS
from benchside.hospital.events import (
    allergies,
    cultures,
    fluids,
    labs,
    prescriptions,
    procedures,
    vitals,
)
from benchside.hospital.people import distinct_ids, draw, people

START = np.datetime64("2100-01-01T00:00:00")
NOW = np.datetime64("2105-10-15T09:00:00")  # day below 29: no month lacks it
DAY_S = 86_400
PRESENT = 0.12  # share of patients moved to the present; about two thirds of them stay in
UNITS = {"micu": 0.45, "sicu": 0.18, "ccu": 0.17, "csru": 0.1, "tsicu": 0.1}
UNIT_WARDS = {"micu": (23, 50, 52), "sicu": (33, 57), "ccu": (7,), "csru": (14,), "tsicu": (12, 15)}
WARDS = (2, 3, 18, 27, 28, 29, 30, 36, 44, 45, 54, 55)


@dataclass(frozen=True, slots=True)
class Record:
    """The hospital's frames; rows of events refer to stays and ICU stays by row number.

    Args:
        patients: one row each, with dob and dod (NaT while alive).
        stays: hospital stays; disch is NaT for those still in the hospital.
        icu: stays in intensive care; outtime is NaT for those still there.
        moves: transfers between wards.
        has: (stays, conditions) bool, True where the stay has the condition.
        diagnoses, procedures, labs, vitals, intakes, outputs, prescriptions, cultures: events.
        allergies: per patient.
    """

    patients: pd.DataFrame
    stays: pd.DataFrame
    icu: pd.DataFrame
    moves: pd.DataFrame
    has: NDArray[np.bool_]
    diagnoses: pd.DataFrame
    procedures: pd.DataFrame
    labs: pd.DataFrame
    vitals: pd.DataFrame
    intakes: pd.DataFrame
    outputs: pd.DataFrame
    prescriptions: pd.DataFrame
    cultures: pd.DataFrame
    allergies: pd.DataFrame


def generate(patients: int, seed: int) -> Record:
    """Generate the record of that many patients; the same arguments give the same record."""
    rng = np.random.default_rng([seed, patients, 2105])
    who = people(rng, patients)
    stays, has = _stays(rng, who)
    # the few whose only stays were impossible are no patients of this hospital
    present = np.unique(stays["owner"])
    who = who.iloc[present].reset_index(drop=True)
    stays["owner"] = np.searchsorted(present, stays["owner"])
    icu = _icu(rng, stays)
    moves = _moves(rng, stays, icu)
    _deaths(rng, who, stays)
    held = np.where(has)
    diagnoses = _timed(rng, stays, held[0], 0.0, 0.6).assign(condition=held[1])
    chemistry = labs(rng, stays, icu, has)
    bedside = vitals(rng, stays, icu, has)
    return Record(
        patients=who,
        stays=stays,
        icu=icu,
        moves=moves,
        has=has,
        diagnoses=diagnoses.sort_values(["time", "stay", "condition"], ignore_index=True),
        procedures=procedures(rng, stays, icu, has),
        labs=chemistry,
        vitals=bedside,
        intakes=fluids(rng, icu, "in"),
        outputs=fluids(rng, icu, "out"),
        prescriptions=prescriptions(rng, stays, has),
        cultures=cultures(rng, stays, has),
        allergies=allergies(rng, who),
    )


def _stays(rng: Generator, who: pd.DataFrame) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """Hospital stays with severity, conditions, length and death; sorted by time of admission."""
    count = len(who)
    visits = np.minimum(rng.geometric(0.58, count), 7)
    owner = np.repeat(np.arange(count), visits)
    size = len(owner)
    order = np.arange(size) - np.repeat(np.cumsum(visits) - visits, visits)
    severity = 0.5 * who["frailty"].to_numpy()[owner] + 0.87 * rng.normal(0, 1, size)
    # readmissions cluster: the gap to the next stay is 30 to 700 days
    gap = rng.gamma(1.3, 130, size) + 4
    first = rng.random(count) * 1750
    offset = np.where(order == 0, first[owner], gap)
    start = pd.Series(offset).groupby(owner).cumsum().to_numpy()
    hour = np.where(rng.random(size) < 0.75, rng.normal(15, 5, size) % 24, 7.25)
    admit = START + (start.astype(np.int64) * DAY_S).astype("timedelta64[s]")
    admit = admit + (hour * 60).astype(np.int64) * np.timedelta64(60, "s")
    ages = who["age"].to_numpy()[owner] + (start - first[owner]) / 365.25
    has = _conditions(rng, owner, ages, severity)
    died, length_days = _course(rng, ages, severity, has)
    admit = admit + _present(rng, owner, admit, length_days)[owner]
    disch = admit + (length_days * 1440).astype(np.int64) * np.timedelta64(60, "s")
    stays = pd.DataFrame(
        {"owner": owner, "admit": admit, "disch": disch, "severity": severity, "died": died}
    )
    stays["order"] = order
    kept = _possible(stays)
    stays, has = stays[kept].reset_index(drop=True), has[kept]
    by_time = np.argsort(stays["admit"].to_numpy(), kind="stable")
    stays, has = stays.iloc[by_time].reset_index(drop=True), has[by_time]
    return _admission_details(rng, who, stays), has


def _present(
    rng: Generator,
    owner: NDArray[np.int64],
    admit: NDArray[np.datetime64],
    days: NDArray[np.float64],
) -> NDArray[np.timedelta64]:
    """A shift for each patient that puts some of them into the hospital now, in their last stay."""
    last = np.flatnonzero(np.append(owner[1:] != owner[:-1], True))
    passed_s = days[last] * rng.uniform(0.15, 0.9, len(last)) * DAY_S
    shift = NOW - (passed_s / 60).astype(np.int64) * np.timedelta64(60, "s") - admit[last]
    here = rng.random(len(last)) < PRESENT
    none = np.timedelta64(0, "s")
    shifts: NDArray[np.timedelta64] = np.where(here, shift, none)
    return shifts


def _possible(stays: pd.DataFrame) -> NDArray[np.bool_]:
    """Leave out stays after a death, before the last one has ended, and in the future."""
    grouped = stays.groupby("owner")
    ended = grouped["disch"].cummax().groupby(stays["owner"]).shift()
    deaths = stays["died"].astype(np.int64).groupby(stays["owner"]).cumsum() - stays["died"]
    overlap = stays["admit"] <= ended + np.timedelta64(1, "D")
    fine: NDArray[np.bool_] = (
        (deaths == 0)
        & ~overlap
        & (stays["admit"] >= START)
        & (stays["admit"] < NOW - np.timedelta64(6, "h"))
    ).to_numpy()
    return fine


def _conditions(
    rng: Generator,
    owner: NDArray[np.int64],
    ages: NDArray[np.float64],
    severity: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """(stays, conditions) bool: chronic ones drawn once a patient, acute ones each stay."""
    system = np.array([SYSTEMS.index(item.system) for item in CONDITIONS])
    chronic = np.array([item.chronic for item in CONDITIONS])
    base = np.array([item.prevalence for item in CONDITIONS])
    logit = np.log(base / (1 - base))[None, :]
    logit = logit + np.outer((ages - 65) / 10, [item.per_decade for item in CONDITIONS])
    logit = logit + np.outer(severity, [item.per_severity for item in CONDITIONS])
    lasting = rng.normal(0, 0.8, (owner.max() + 1, len(SYSTEMS)))[owner]
    passing = rng.normal(0, 0.9, (len(owner), len(SYSTEMS)))
    logit = logit + lasting[:, system] + np.where(chronic, 0, passing[:, system])
    luck = rng.random((len(owner), len(CONDITIONS)))
    fixed = rng.random((owner.max() + 1, len(CONDITIONS)))[owner]
    has: NDArray[np.bool_] = np.where(chronic, fixed, luck) < 1 / (1 + np.exp(-logit))
    # a chronic condition is coded in nine of ten stays
    has &= ~chronic | (rng.random(has.shape) < 0.9)
    shock = has[:, COLUMN["sepshock"]]
    has[:, COLUMN["sevsepsis"]] |= shock
    has[:, COLUMN["septicemia"]] |= has[:, COLUMN["sevsepsis"]]
    has[:, COLUMN["atn"]] &= has[:, COLUMN["aki"]]
    bare = ~has.any(axis=1)
    has[bare, COLUMN["htn"]] = True
    return has


def _course(
    rng: Generator,
    ages: NDArray[np.float64],
    severity: NDArray[np.float64],
    has: NDArray[np.bool_],
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Who dies in hospital, and length of stay in days."""
    risk = {
        "sepshock": 1.3, "cardshock": 1.5, "arrest": 1.8, "respfail": 0.6, "hepfail": 1.1,
        "ich": 1.0, "livermets": 0.6, "lungmets": 0.5, "aki": 0.3, "enceph": 0.4,
    }  # fmt: skip
    burden = sum(weight * has[:, COLUMN[key]] for key, weight in risk.items())
    logit = -3.75 + 0.3 * (ages - 65) / 10 + 0.45 * severity + burden
    died = rng.random(len(ages)) < 1 / (1 + np.exp(-logit))
    longer = {"respfail": 0.2, "sepshock": 0.2, "cdiff": 0.35, "vap": 0.6, "stroke": 0.1}
    stretch = sum(weight * has[:, COLUMN[key]] for key, weight in longer.items())
    days = np.exp(1.6 + 0.2 * severity + stretch + rng.normal(0, 0.68, len(ages)))
    days = np.where(died, days * rng.uniform(0.25, 1.1, len(ages)), days)
    return died, np.clip(days, 0.6, 70)


def _admission_details(rng: Generator, who: pd.DataFrame, stays: pd.DataFrame) -> pd.DataFrame:
    """Ids, routes, insurance and status; and what is not known yet of current stays."""
    size = len(stays)
    owner = stays["owner"].to_numpy()
    stays["stay"] = distinct_ids(rng, size, 100_000, 199_999)
    stays["patient"] = who["patient"].to_numpy()[owner]
    current = stays["disch"].to_numpy() > NOW
    stays["died"] = stays["died"].to_numpy() & ~current
    kind = draw(rng, {"emergency": 0.78, "elective": 0.17, "urgent": 0.05}, size)
    stays["kind"] = kind
    source = draw(
        rng,
        {"emergency room admit": 0.6, "transfer from hosp/extram": 0.22,
         "clinic referral/premature": 0.16, "transfer from skilled nur": 0.02},
        size,
    )  # fmt: skip
    stays["source"] = np.where(kind == "elective", "phys referral/normal deli", source)
    homes = draw(
        rng,
        {"home": 0.32, "home health care": 0.25, "snf": 0.18, "rehab/distinct part hosp": 0.12,
         "long term care hospital": 0.05, "hospice-home": 0.02, "icf": 0.01,
         "disch-tran to psych hosp": 0.02, "left against medical advi": 0.02},
        size,
    )  # fmt: skip
    stays["destination"] = np.where(stays["died"], "dead/expired", homes)
    stays.loc[current, "destination"] = None
    # born so that the age at the first stay is the patient's: dates of birth are whole days
    first = stays.groupby("owner")["admit"].transform("min")
    born_days = (who["age"].to_numpy()[owner] * 365.25).astype(np.int64)
    dob = first.to_numpy().astype("datetime64[D]") - born_days.astype("timedelta64[D]")
    stays["dob"] = dob.astype("datetime64[s]")
    stays["age"] = _full_years(dob, stays["admit"].to_numpy().astype("datetime64[D]"))
    old = stays["age"].to_numpy() >= 65
    payer = draw(rng, {"private": 0.58, "medicaid": 0.2, "medicare": 0.12, "government": 0.06,
                       "self pay": 0.04}, size)  # fmt: skip
    stays["insurance"] = np.where(old & (rng.random(size) < 0.9), "medicare", payer)
    marital = draw(rng, {"married": 0.48, "single": 0.25, "widowed": 0.12, "divorced": 0.08,
                         "separated": 0.02, "": 0.1}, len(who))  # fmt: skip
    stays["marital"] = np.where(~old & (marital[owner] == "widowed"), "married", marital[owner])
    stays["language"] = who["language"].to_numpy()[owner]
    stays["ethnicity"] = who["ethnicity"].to_numpy()[owner]
    stays["religion"] = who["religion"].to_numpy()[owner]
    stays["last_seen"] = np.minimum(stays["disch"].to_numpy(), NOW)
    stays.loc[current, "disch"] = pd.NaT
    return stays


def _full_years(born: NDArray[np.datetime64], day: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """Completed years between two dates."""
    months = day.astype("datetime64[M]").astype(np.int64) - born.astype("datetime64[M]").astype(
        np.int64
    )
    in_month = (day - day.astype("datetime64[M]")) < (born - born.astype("datetime64[M]"))
    years: NDArray[np.int64] = (months - in_month) // 12
    return years


def _icu(rng: Generator, stays: pd.DataFrame) -> pd.DataFrame:
    """None, one or two ICU stays per hospital stay."""
    severity = stays["severity"].to_numpy()
    chance = 1 / (1 + np.exp(-(2.1 + 0.8 * severity)))
    ever = rng.random(len(stays)) < chance
    again = ever & (rng.random(len(stays)) < 0.09)
    stay = np.concatenate([np.flatnonzero(ever), np.flatnonzero(again)])
    second = np.concatenate([np.zeros(ever.sum(), bool), np.ones(again.sum(), bool)])
    admit = stays["admit"].to_numpy()[stay]
    end = stays["last_seen"].to_numpy()[stay]
    length_s = (end - admit).astype(np.int64)
    doubled = again[stay]
    begin = np.where(second, rng.uniform(0.6, 0.75, len(stay)), rng.beta(0.6, 5, len(stay)) * 0.4)
    begin = np.where(rng.random(len(stay)) < 0.45, np.where(second, begin, 0.001), begin)
    share = np.where(
        stays["died"].to_numpy()[stay] & (second | ~doubled), 1 - begin, rng.beta(2, 2.2, len(stay))
    )
    share = np.minimum(share, np.where(doubled & ~second, 0.55 - begin, 0.995 - begin))
    share = np.where(stays["died"].to_numpy()[stay] & (second | ~doubled), 1 - begin, share)
    intime = admit + (length_s * begin).astype("timedelta64[s]")
    outtime = intime + np.maximum(length_s * share, 3600 * 6).astype("timedelta64[s]")
    outtime = np.minimum(outtime, end)
    unit = draw(rng, UNITS, len(stay))
    frame = pd.DataFrame({"stay": stay, "intime": intime, "outtime": outtime, "unit": unit})
    # one in five current patients with the latest ICU stay is still there
    current = stays["disch"].isna().to_numpy()[stay]
    frame["here"] = current & (second | ~doubled) & (rng.random(len(stay)) < 0.6)
    frame.loc[frame["here"], "outtime"] = NOW
    frame = frame[frame["intime"] < frame["outtime"]]
    frame = frame.sort_values(["intime", "stay"], ignore_index=True)
    frame["icu"] = distinct_ids(rng, len(frame), 200_000, 299_999)
    choice = rng.integers(0, 6, (2, len(frame)))
    wards = [UNIT_WARDS[name] for name in frame["unit"]]
    frame["ward"] = [ward[pick % len(ward)] for ward, pick in zip(wards, choice[0], strict=True)]
    return frame


def _moves(rng: Generator, stays: pd.DataFrame, icu: pd.DataFrame) -> pd.DataFrame:
    """Transfers: an admission, ICU stays with wards between them, and a discharge row."""
    count = len(stays)
    ward = np.array(WARDS)
    edges = [
        pd.DataFrame({"stay": np.arange(count), "intime": stays["admit"].to_numpy(), "ward": 0}),
        pd.DataFrame({"stay": icu["stay"], "intime": icu["intime"], "ward": icu["ward"],
                      "unit": icu["unit"], "icu": np.arange(len(icu), dtype=float)}),
        pd.DataFrame({"stay": icu["stay"], "intime": icu["outtime"], "ward": 0}),
    ]  # fmt: skip
    moves = pd.concat(edges, ignore_index=True)
    plain = moves["ward"] == 0
    moves.loc[plain, "ward"] = ward[rng.integers(0, len(ward), plain.sum())]
    end = stays["last_seen"].to_numpy()[moves["stay"]]
    moves = moves[(moves["intime"].to_numpy() < end)]
    moves = moves.sort_values(["stay", "intime", "icu"], ignore_index=True)
    # a ward left at once is no stay: admissions straight to intensive care
    following = moves.groupby("stay")["intime"].shift(-1)
    direct = (following - moves["intime"]) < pd.Timedelta(minutes=30)
    begins = moves.groupby("stay")["intime"].transform("min")
    moves = moves[~direct].copy()
    first = ~moves["stay"].duplicated()
    moves.loc[first, "intime"] = begins[moves.index][first]
    moves["outtime"] = moves.groupby("stay")["intime"].shift(-1)
    ends = stays["disch"].to_numpy()[moves["stay"]]
    moves["outtime"] = moves["outtime"].where(moves["outtime"].notna(), ends)
    moves["event"] = np.where(first, "admit", "transfer")
    left = stays[stays["disch"].notna()]
    exits = pd.DataFrame({"stay": left.index, "intime": left["disch"], "event": "discharge"})
    moves = pd.concat([moves, exits], ignore_index=True)
    return moves.sort_values(["stay", "intime", "event"], ignore_index=True)


def _deaths(rng: Generator, who: pd.DataFrame, stays: pd.DataFrame) -> None:
    """Set dob and dod: deaths in hospital, and later ones at a hazard that grows with severity."""
    last = stays.drop_duplicates("owner", keep="last").set_index("owner")
    born = stays.drop_duplicates("owner").set_index("owner")["dob"]
    who["dob"] = born.reindex(who.index)
    who["dod"] = pd.Series(pd.NaT, index=who.index, dtype="datetime64[s]")
    decades = (last["age"].to_numpy(dtype=np.float64) - 65) / 10
    hazard = 0.14 * np.exp(0.5 * last["severity"].to_numpy() + 0.35 * decades)  # a year
    days = rng.exponential(1 / hazard) * 365.25 + 2
    later = last["last_seen"].to_numpy().astype("datetime64[D]") + days.astype("timedelta64[D]")
    late = (later < NOW.astype("datetime64[D]")) & last["disch"].notna().to_numpy()
    dead = last["died"].to_numpy()
    day = np.where(dead, last["last_seen"].to_numpy().astype("datetime64[D]"), later)
    known = dead | late
    who.loc[last.index[known], "dod"] = day[known].astype("datetime64[s]")


def _timed(
    rng: Generator, stays: pd.DataFrame, stay: NDArray[np.int64], start: float, end: float
) -> pd.DataFrame:
    """Events at random minutes of a stay, between two shares of its length."""
    admit = stays["admit"].to_numpy()[stay]
    length_s = (stays["last_seen"].to_numpy()[stay] - admit).astype(np.int64)
    minutes = (length_s * rng.uniform(start, end, len(stay)) / 60).astype(np.int64)
    return pd.DataFrame({"stay": stay, "time": admit + minutes * np.timedelta64(60, "s")})
