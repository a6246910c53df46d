"""From a row's extracted entities to the inputs of a calculator.

An entity is a number with its unit (`[1.4, "mg/dL"]`), a bare number, a text, a date or a flag, as
the benchmark's annotators wrote it. A missing flag means absent; anything else that is missing or
of another form makes the row one that cannot be recomputed. Units are converted by the library.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

DATE_FORMAT = "%m/%d/%Y"

# The benchmark's spellings of units that the calculators know by another name.
UNITS = {
    "mm hg": "mm Hg", "mmhg": "mm Hg", "beats per minute": "/min", "bpm": "/min",
    "breaths per minute": "/min", "kg/m^2": "kg/m²", "msec": "ms", "µL": "/µL", "mm^3": "/µL",
    "L": "/L", "degrees celsius": "°C", "degrees celsisus": "°C", "degrees fahrenheit": "°F",
    "degrees fahreinheit": "°F", "mcg/kg/min": "µg/kg/min", "mc/kg/min": "µg/kg/min",
}  # fmt: skip

# Names of MedCalc-Bench-Verified, folded, for entities that the first version calls otherwise.
ALIASES = {
    "bedridden recently >3 days": "bedridden recently >3 days or major surgery within 12 weeks",
    "chronic pulmonary disease": "chronic obstructive pulmonary disease",
    "congestive heart failure": "congestive heart faliure",
    "continuous positive airway pressure": "continous positive airway pressure",
    "diabetes mellitus": "diabetes mellitus criteria for cci rule",
    "hypertension": "hypertension history",
    "liver disease history": "liver disease severity",
    "pao2": "partial pressure of oxygen (pao2) for apache ii",
    "partial pressure of oxygen": "partial pressure of oxygen (pao2) for apache ii",
    "renal disease history": "renal disease",
}
_PLAIN = str.maketrans({"₂": "2", "≤": "<=", "≥": ">="})


class NotMappedError(Exception):
    """An entity is missing, or is not of the expected form; the message says which."""


@dataclass(frozen=True, slots=True)
class Entity:
    """Where a calculator's input comes from.

    Args:
        name: the entity's name in the benchmark.
        form: `quantity`, `number`, `text`, `flag`, `date`, `steroid`, `dose` or `opioids`.
        required: False where the formula has a default for it.
        words: the input for each value that annotators wrote, where the two differ.
    """

    name: str
    form: str = "quantity"
    required: bool = True
    words: Mapping[object, object] | None = None


def read_values(entities: Mapping[str, object], wanted: Mapping[str, Entity]) -> dict[str, object]:
    """Return a calculator's inputs by name; those left to the formula's default are left out.

    Raises:
        NotMappedError: an entity is missing or not of the expected form.
    """
    folded = {_fold(name): value for name, value in entities.items()}
    found = {
        name: _opioids(entities) if entity.form == "opioids" else _read(folded, entity)
        for name, entity in wanted.items()
    }
    return {name: value for name, value in found.items() if value is not None}


def _fold(name: str) -> str:
    """One form of an entity's name in all versions of the benchmark."""
    folded = name.translate(_PLAIN).casefold()
    return ALIASES.get(folded, folded)


def _read(entities: Mapping[str, object], entity: Entity) -> object:
    if _fold(entity.name) not in entities:
        if entity.required and entity.form != "flag":
            raise NotMappedError(f"no entity {entity.name!r}")
        return None
    value = entities[_fold(entity.name)]
    if entity.words is not None and isinstance(value, (str, bool)) and value in entity.words:
        return entity.words[value]
    match entity.form, value:
        case "flag", bool():
            return value
        case "number", int() | float():
            return float(value)
        case "text", str():
            return value.strip()
        case "date", str():
            return _iso_date(value)
        case "steroid", [str() as name, _, "mg"]:
            return name
        case "dose", [str(), int() | float() as dose, "mg"]:
            return float(dose)
        case "quantity", [int() | float() as amount, str() as unit]:
            return (float(amount), UNITS.get(unit, unit))
    raise NotMappedError(f"entity {entity.name!r} is {value!r}, no {entity.form}")


def _iso_date(text: str) -> str:
    try:
        return dt.datetime.strptime(text, DATE_FORMAT).date().isoformat()
    except ValueError:
        raise NotMappedError(f"{text!r} is no date like 08/31/2023") from None


def _opioids(entities: Mapping[str, object]) -> dict[str, tuple[float, float]]:
    """Return {opioid: (amount, doses a day)} of entities such as "Codeine Dose Per Day"."""
    doses = {}
    for name, value in entities.items():
        if name.endswith(" Dose"):
            match value, entities.get(f"{name} Per Day"):
                case [int() | float() as amount, str()], [int() | float() as per_day, "per day"]:
                    doses[name.removesuffix(" Dose")] = (float(amount), float(per_day))
                case _:
                    raise NotMappedError(f"entity {name!r} is {value!r}, no daily dose")
    if not doses:
        raise NotMappedError("no doses")
    return doses
