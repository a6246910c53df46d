"""Who the patients are: demographics with the marginals of a large American hospital."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

# Shares are rounded from published descriptions of MIMIC-III (Johnson et al. 2016).
ETHNICITIES = {
    "white": 0.68, "black/african american": 0.1, "hispanic or latino": 0.05, "asian": 0.04,
    "other": 0.04, "unknown/not specified": 0.07, "hispanic/latino - puerto rican": 0.02,
}  # fmt: skip
LANGUAGES = {
    "engl": 0.72, "span": 0.06, "russ": 0.03, "port": 0.03, "cant": 0.02, "mand": 0.01,
    "ptun": 0.02, "hait": 0.01, "": 0.1,
}  # fmt: skip
RELIGIONS = {
    "catholic": 0.35, "protestant quaker": 0.13, "jewish": 0.1, "not specified": 0.18,
    "unobtainable": 0.1, "other": 0.06, "christian scientist": 0.02, "buddhist": 0.02,
    "muslim": 0.02, "greek orthodox": 0.02,
}  # fmt: skip
_WOMEN = """
Ada Agnes Alma Beatrice Bertha Carmen Celia Clara Cora Dora Edith Elena Ella Emma Esther Eva
Flora Grace Hanna Helen Ida Irene Iris Jane Judith Laura Lena Lily Lucia Mabel Maria Martha Mary
Nadia Nora Olga Paula Rita Rosa Ruth Sara Selma Stella Susan Teresa Vera
"""
_MEN = """
Aaron Abel Adam Albert Alvin Anton Arthur Basil Ben Carl Cecil Cyrus Daniel David Edgar Edwin
Elias Emil Ernest Felix Frank George Gilbert Harold Henry Hugo Ivan Jacob James John Joseph Karl
Leo Louis Luis Marcus Martin Max Nathan Oscar Paul Peter Ralph Samuel Simon Theo Victor Walter
"""
_FAMILIES = """
Abbott Adler Albright Alvarez Archer Ashby Baker Barlow Becker Bishop Blake Bowen Bradley Brandt
Brooks Burke Callahan Carver Castillo Chandler Chen Clayton Cole Conway Cooper Cruz Dalton
Dawson Delgado Dixon Doyle Drake Duncan Eaton Ellis Emerson Farmer Fields Fischer Fleming Forbes
Foster Franklin Garner Gibson Graham Grant Griffin Hale Hammond Harper Hayes Holland Hubbard
Ingram Jensen Keller Kim Knox Lambert Larson Lawson Lopez Lowe Marsh Mendez Meyer Mills Moreno
Morton Nash Nguyen Nolan Novak Ortega Osborne Page Parsons Perkins Pierce Porter Quinn Ramsey
Reyes Rhodes Rojas Rowe Sanders Santos Schmidt Shaw Silva Snyder Sparks Stark Stone Sutton Tate
Thornton Tucker Underwood Vargas Vaughn Wagner Walsh Warner Weber Webster West Wheeler Wilkins
Winters Wolf Yates York Zimmerman
"""
FIRST_NAMES = {"f": tuple(_WOMEN.split()), "m": tuple(_MEN.split())}
LAST_NAMES = tuple(_FAMILIES.split())


def draw(rng: Generator, shares: dict[str, float], size: int) -> NDArray[np.object_]:
    """Values by their shares, which are scaled to sum to one."""
    weights = np.array(list(shares.values()))
    values = np.array(list(shares), dtype=object)
    return values[rng.choice(len(values), size=size, p=weights / weights.sum())]


def distinct_ids(rng: Generator, size: int, start: int, end: int) -> NDArray[np.int64]:
    """Random ids without repetition and without order, from `start` to `end`."""
    return start + rng.choice(end - start, size=size, replace=False).astype(np.int64)


def people(rng: Generator, size: int) -> pd.DataFrame:
    """Patients: id, gender, age at the first stay (years), demographics, a name, frailty (z)."""
    gender = np.where(rng.random(size) < 0.56, "m", "f").astype(object)
    young = rng.random(size) < 0.22
    age = np.where(young, rng.normal(42, 12, size), rng.normal(70, 11.5, size))
    names = _names(rng, gender)
    return pd.DataFrame(
        {
            "patient": distinct_ids(rng, size, 10_000, 99_999),
            "gender": gender,
            "age": np.clip(age, 18, 89),
            "ethnicity": draw(rng, ETHNICITIES, size),
            "language": draw(rng, LANGUAGES, size),
            "religion": draw(rng, RELIGIONS, size),
            "name": names,
            "frailty": rng.normal(0, 1, size),
        }
    )


def _names(rng: Generator, gender: NDArray[np.object_]) -> list[str]:
    """A name for each patient; no two are the same."""
    names: list[str] = []
    taken: set[str] = set()
    for sex in gender:
        first = FIRST_NAMES[sex]
        name = f"{first[rng.integers(len(first))]} {LAST_NAMES[rng.integers(len(LAST_NAMES))]}"
        while name in taken:
            name = (
                f"{first[rng.integers(len(first))]} "
                f"{LAST_NAMES[rng.integers(len(LAST_NAMES))]}-"
                f"{LAST_NAMES[rng.integers(len(LAST_NAMES))]}"
            )
        taken.add(name)
        names.append(name)
    return names
