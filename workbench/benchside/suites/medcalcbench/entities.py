"""From a row's extracted entities to the arguments of a formula, in the formula's units.

An entity is a number with its unit (`[1.4, "mg/dL"]`), a bare number, a text, a date or a flag, as
the benchmark's annotators wrote it. A missing flag means absent; anything else that is missing, or
has a unit that is not listed here, makes the row one that cannot be recomputed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

Argument: TypeAlias = str | float | bool | dict[str, list[float]]
DATE_FORMAT = "%m/%d/%Y"

# Factor from each published unit to the quantity's own. Molar factors: molar mass / 10.
UNITS: dict[str, dict[str, float]] = {
    "age_y": {"years": 1, "months": 1 / 12, "weeks": 1 / 52.1775, "days": 1 / 365.2425},
    "weight_kg": {"kg": 1, "g": 0.001, "lbs": 0.45359237},
    "height_cm": {"cm": 1, "m": 100, "in": 2.54},
    "creatinine_mg_dl": {"mg/dL": 1, "µmol/L": 0.01131},
    "bilirubin_mg_dl": {"mg/dL": 1, "µmol/L": 0.05847},
    "glucose_mg_dl": {"mg/dL": 1, "mmol/L": 18.016},
    "bun_mg_dl": {"mg/dL": 1, "mmol/L": 2.801},
    "calcium_mg_dl": {"mg/dL": 1, "mmol/L": 4.008},
    "cholesterol_mg_dl": {"mg/dL": 1, "mmol/L": 38.67},
    "triglycerides_mg_dl": {"mg/dL": 1, "mmol/L": 88.57},
    "albumin_g_dl": {"g/dL": 1, "g/L": 0.1, "mg/dL": 0.001},
    "hemoglobin_g_dl": {"g/dL": 1, "g/L": 0.1},
    "ion_meq_l": {"mEq/L": 1, "mmol/L": 1},
    "enzyme_u_l": {"U/L": 1},
    "insulin_uiu_ml": {"µIU/mL": 1},
    "cells_per_ul": {"µL": 1, "L": 1e-6},
    "pressure_mm_hg": {"mm hg": 1, "mm Hg": 1, "mmhg": 1},
    "rate_per_min": {"beats per minute": 1, "bpm": 1, "breaths per minute": 1},
    "percent": {"%": 1},
    "bmi": {"kg/m^2": 1},
    "qt_ms": {"msec": 1},
}
CELSIUS = ("degrees celsius", "degrees celsisus")  # the second is the benchmark's spelling
FAHRENHEIT = ("degrees fahrenheit", "degrees fahreinheit")


class NotMappedError(Exception):
    """An entity is missing, or is not of the expected form; the message says which."""


@dataclass(frozen=True, slots=True)
class Entity:
    """Where an argument comes from.

    Args:
        name: the entity's name in the benchmark.
        form: a quantity of `UNITS`, or `number`, `text`, `flag`, `date`, `temperature_c`,
            `steroid`, `dose_mg`, `opioids`.
        required: False where the formula has a default for it.
    """

    name: str
    form: str
    required: bool = True


def read_argument(entities: Mapping[str, object], entity: Entity) -> Argument | None:
    """Return one argument, or None where it is left to the formula's default.

    Raises:
        NotMappedError: the entity is missing or not of the expected form.
    """
    if entity.form == "opioids":
        return _opioids(entities)
    if entity.name not in entities:
        if entity.required and entity.form != "flag":
            raise NotMappedError(f"no entity {entity.name!r}")
        return None
    value = entities[entity.name]
    match entity.form, value:
        case "flag", bool():
            return value
        case "number", int() | float():
            return float(value)
        case "text", str():
            return value
        case "date", str():
            return _iso_date(value)
        case "steroid", [str() as name, _, "mg"]:
            return name
        case "dose_mg", [str(), int() | float() as dose, "mg"]:
            return float(dose)
        case "temperature_c", [int() | float() as degrees, str() as unit]:
            return _celsius(degrees, unit)
        case form, [int() | float() as amount, str() as unit] if unit in UNITS.get(form, {}):
            return float(amount) * UNITS[form][unit]
    raise NotMappedError(f"entity {entity.name!r} is {value!r}, no {entity.form}")


def _iso_date(text: str) -> str:
    try:
        return dt.datetime.strptime(text, DATE_FORMAT).date().isoformat()
    except ValueError:
        raise NotMappedError(f"{text!r} is no date like 08/31/2023") from None


def _celsius(degrees: float, unit: str) -> float:
    if unit in CELSIUS:
        return float(degrees)
    if unit in FAHRENHEIT:
        return (degrees - 32) * 5 / 9
    raise NotMappedError(f"unit {unit!r} is no temperature")


def _opioids(entities: Mapping[str, object]) -> dict[str, list[float]]:
    """Return {opioid: [amount, doses a day]} of entities such as "Codeine Dose Per Day"."""
    doses = {}
    for name, value in entities.items():
        if name.endswith(" Dose"):
            match value, entities.get(f"{name} Per Day"):
                case [int() | float() as amount, str()], [int() | float() as per_day, "per day"]:
                    doses[name.removesuffix(" Dose")] = [float(amount), float(per_day)]
                case _:
                    raise NotMappedError(f"entity {name!r} is {value!r}, no daily dose")
    if not doses:
        raise NotMappedError("no doses")
    return doses
