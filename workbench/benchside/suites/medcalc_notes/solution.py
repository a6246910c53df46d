"""Reference solutions: a cell that reads notes and computes one calculator, and one that submits.

The first cell defines `answer(note, latest)`. The builder runs it too: it is the second path, which
shares neither the structured patient nor the library's formulas with the gold.
"""

from __future__ import annotations

import functools
import pprint
from collections.abc import Callable, Mapping
from typing import Any

from benchside.calculators import Answer, Calculator, Choice, Day, Doses, Flag, Measured
from benchside.cell_source import cell_source
from benchside.suites.medcalc_notes import longhand, reading
from benchside.suites.medcalc_notes.findings import GRADED, INVERTED, PHRASES
from benchside.suites.medcalc_notes.measurements import DISTRACTORS, MEASUREMENTS
from benchside.suites.medcalc_notes.patients import OPIOIDS, STEROIDS

# (measurement, unit) → scale and shift to the unit that `longhand` takes; 1 and 0 where left out
CONVERSIONS: Mapping[tuple[str, str], tuple[float, float]] = {
    ("weight", "lbs"): (0.45359237, 0),
    ("height", "m"): (100, 0),
    ("height", "in"): (2.54, 0),
    ("creatinine", "µmol/L"): (113.1 / 10_000, 0),
    ("bilirubin", "µmol/L"): (584.7 / 10_000, 0),
    ("albumin", "g/L"): (1 / 10, 0),
    ("calcium", "mmol/L"): (40.08 / 10, 0),
    ("glucose", "mmol/L"): (180.16 / 10, 0),
    ("urea_nitrogen", "mmol/L"): (28.01 / 10, 0),
    ("hemoglobin", "g/L"): (1 / 10, 0),
    ("leukocytes", "×10⁹/L"): (1000, 0),
    ("platelets", "×10⁹/L"): (1000, 0),
    ("total_cholesterol", "mmol/L"): (386.7 / 10, 0),
    ("hdl_cholesterol", "mmol/L"): (386.7 / 10, 0),
    ("triglycerides", "mmol/L"): (885.7 / 10, 0),
    ("oxygen", "kPa"): (7.500617, 0),
    ("carbon_dioxide", "kPa"): (7.500617, 0),
    ("temperature", "°F"): (5 / 9, -160 / 9),
    ("qt", "s"): (1000, 0),
    ("urine", "L/day"): (1000, 0),
}

AGE = '    v["age"] = int(re.search(r"(\\d+)-year-old", note)[1])'
SEX = (
    '    women = r"-year-old (?:\\w+ )?(?:woman|lady|girl)"\n'
    '    v["sex"] = "Female" if re.search(women, note) else "Male"'
)
RACE = '    v["race"] = re.search(r"-year-old (\\w+)", note)[1]'
MEASURED = """    found = read_values(note, LABELS, UNITS, latest)
    for name, (number, unit) in found.items():
        scale, shift = UNITS[name][unit]
        v[name] = round(number * scale + shift, 9)"""
MEASURED_FOR_LIBRARY = """    found = read_values(note, LABELS, UNITS, latest)
    for name, (number, unit) in found.items():
        v[name] = (number, UNITS[name][unit])"""
CONDITIONS = "    v |= read_conditions(note, PHRASES)"
CHOSEN = """    for phrase, (name, value) in CHOICES.items():
        if phrase in note:
            v[name] = value"""
PERIOD = """    dated = with_iso_dates(note)
    found = re.search(r"last menstrual period began on @(.+?)@", dated)
    found = found or re.search(r"@([^@]+)@ as the first day of her last", dated)
    v["last_period"] = found[1]"""
TODAY = '    v["today"] = re.search(r"today, @(.+?)@", dated)[1]'
STEROID_DOSE = (
    '    now = r"(?:currently takes|Current medication:|present prescription is)"\n'
    '    found = re.search(now + r" (\\w+) (\\d+) mg", note)\n'
    '    v["steroid"], v["dose"] = {drug}, int(found[2])'
)
OPIOID_DOSES = """    v["doses"] = {{}}
    now = r"(?:currently takes|Current medication:|present prescription is)"
    for drug, mg, times in re.findall(now + r" (\\w+) (\\d+) mg (\\w+)", note):
        times = {{"once": 1, "twice": 2}}.get(times) or int(times)
        v["doses"][{drug}] = (int(mg), times)"""


@functools.cache
def reader_cell(calculator: Calculator, *, with_library: bool = False) -> str:
    """Return the cell that defines `answer(note, latest, **asked)` for one calculator.

    Args:
        with_library: compute by the module `calculators` of the work folder instead of longhand.
    """
    formula = getattr(longhand, calculator.key.replace("-", "_"))
    lines, tables = _lines(calculator, with_library)
    functions = [
        function
        for function in (reading.with_iso_dates, reading.read_values, reading.read_conditions)
        if any(function.__name__ in line for line in lines)
    ]
    if reading.read_values in functions and reading.with_iso_dates not in functions:
        functions.insert(0, reading.with_iso_dates)
    sources = [_source(function) for function in functions]
    if with_library:
        head, last = (
            "import re\n\nimport calculators",
            f"calculators.compute({calculator.key!r}, **v)",
        )
    else:
        head, last = "import re", f"{formula.__name__}(v)"
        sources.append(cell_source(formula))
    data = "\n".join(
        f"{name} = {pprint.pformat(table, width=96, compact=True, sort_dicts=False)}"
        for name, table in tables.items()
    )
    body = "\n".join(("def answer(note, latest, **v):", *lines, f"    return {last}"))
    return "\n\n\n".join(part for part in (head, *sources, data, body) if part)


def submit_cell(task_id: str, *, latest: bool, asked: Mapping[str, object]) -> str:
    """Return the cell that submits the answer of one task."""
    more = "".join(f", {name}={value!r}" for name, value in asked.items())
    return f"submit(answer(notes[{task_id!r}], latest={latest}{more}))"


@functools.cache
def second_path(calculator: Calculator) -> Callable[..., Answer]:
    """Return the function `answer` of the reader's cell, as a kernel would define it."""
    names: dict[str, Any] = {}
    exec(reader_cell(calculator), names)
    answer: Callable[..., Answer] = names["answer"]
    return answer


def _source(function: Callable[..., Any]) -> str:
    source = cell_source(function)
    return source.removeprefix("import re").strip()


def _lines(calculator: Calculator, with_library: bool) -> tuple[list[str], dict[str, object]]:
    """The lines of `answer` and the tables they need."""
    lines: list[str] = []
    tables: dict[str, object] = {}
    units: dict[str, dict[str, object]] = {}
    names = {item.name for item in calculator.inputs}
    measured = [
        item.name for item in calculator.inputs
        if isinstance(item, Measured) and item.name in MEASUREMENTS
    ]  # fmt: skip
    flags = [item for item in calculator.inputs if isinstance(item, Flag)]
    choices = [
        item for item in calculator.inputs
        if isinstance(item, Choice) and (calculator.key, item.name) in GRADED
    ]  # fmt: skip
    lines += [AGE] * ("age" in names) + [SEX] * ("sex" in names) + [RACE] * ("race" in names)
    if measured:
        units = _units(measured, with_library)
        tables |= {"LABELS": _labels(measured), "UNITS": units}
        lines.append(MEASURED_FOR_LIBRARY if with_library else MEASURED)
    if with_library and "race" in names:
        lines.append(
            '    v["race"] = v["race"] if v["race"] in ("Black", "White", "Asian") else None'
        )
    if with_library and "diastolic" in units and "diastolic" not in names:
        lines.append('    v.pop("diastolic", None)')
    if flags:
        phrases = {
            phrase: item.name
            for item in flags
            for phrase in (item.meaning, *PHRASES[item.meaning])
            if not (item.meaning in INVERTED and phrase == item.meaning)
        }
        tables["PHRASES"] = phrases
        lines.append(CONDITIONS)
        lines += [
            f'    v["{item.name}"] = not v["{item.name}"]'
            for item in flags if item.meaning in INVERTED
        ]  # fmt: skip
    if choices:
        tables["CHOICES"] = {
            phrase: (item.name, value)
            for item in choices
            for value, phrases in GRADED[calculator.key, item.name].items()
            for phrase in phrases
        }
        lines.append(CHOSEN)
    days = [item.name for item in calculator.inputs if isinstance(item, Day)]
    lines += [PERIOD] * ("last_period" in days) + [TODAY] * ("today" in days)
    return _drug_lines(calculator, with_library, lines, tables)


def _drug_lines(
    calculator: Calculator, with_library: bool, lines: list[str], tables: dict[str, object]
) -> tuple[list[str], dict[str, object]]:
    """Add what reads drugs; the library has its own names for them, with the route."""
    if any(isinstance(item, Doses) for item in calculator.inputs):
        names = {name: drug for drug, (name, _) in OPIOIDS.items()}
        lines.append(OPIOID_DOSES.format(drug="DRUGS[drug]" if with_library else "drug"))
    elif calculator.key == "steroid-equivalent":
        names = {name: drug for drug, name in STEROIDS.items()}
        lines.append(STEROID_DOSE.format(drug="DRUGS[found[1]]" if with_library else "found[1]"))
    else:
        return lines, tables
    return lines, {**tables, "DRUGS": names} if with_library else tables


def _labels(measured: list[str]) -> dict[str, str | None]:
    """Label → measurement; tests of no interest are there too: their numbers are skipped."""
    labels: dict[str, str | None] = {label.lower(): None for label, *_ in DISTRACTORS}
    for name in measured:
        labels |= {label.lower(): name for label in MEASUREMENTS[name].labels}
    return labels


def _units(measured: list[str], with_library: bool) -> dict[str, dict[str, object]]:
    """Measurement → spelling of a unit → scale and shift, or the library's name of the unit."""
    pressures = {"systolic", "diastolic"} & set(measured)
    names = (
        [*measured, *sorted({"systolic", "diastolic"} - set(measured))] if pressures else measured
    )
    return {
        name: {
            text: way.unit if with_library else CONVERSIONS.get((name, way.unit), (1, 0))
            for way in MEASUREMENTS[name].ways
            for text in way.texts
        }
        for name in names
    }
