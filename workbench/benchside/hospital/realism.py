# ruff: noqa: E501 — queries stay whole
"""How close the synthetic hospital comes to open demonstration data, in numbers and plots.

    python -m benchside.hospital.realism --data FOLDER --out FOLDER

The folder holds the databases that EHRSQL's preprocessing makes of the open demos, as SQLite files,
plain or packed with xz: `mimic_iii_demo/ehrsql_mimic_iii_demo.sqlite`, `eicu_demo/ehrsql_eicu_demo.sqlite`
and `mimic_iv_demo/ehrsql2024_mimic_iv_rebuilt.sqlite`. Written are `realism.json`, and one plot a demo.
Patients of the MIMIC-III demo were chosen for having died, so that its mortality and severity are no
target. The MIMIC-IV demo is compared with the MIMIC-III view, by items that mean the same in both.
"""

from __future__ import annotations

import argparse
import json
import lzma
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchside.errors import DataMissingError
from benchside.hospital import eicu, mimic
from benchside.hospital.database import write_database
from benchside.hospital.record import generate

PATIENTS = 600
SCHEMAS = {
    "mimic_iii": "mimic_iii_demo/ehrsql_mimic_iii_demo.sqlite",
    "eicu": "eicu_demo/ehrsql_eicu_demo.sqlite",
    "mimic_iv": "mimic_iv_demo/ehrsql2024_mimic_iv_rebuilt.sqlite",
}
# vital signs of MIMIC-IV → those of MIMIC-III that mean the same
RENAMED = {
    "o2 saturation pulseoxymetry": "sao2",
    "arterial blood pressure systolic": "arterial bp [systolic]",
    "arterial blood pressure diastolic": "arterial bp [diastolic]",
    "arterial blood pressure mean": "arterial bp mean",
    "temperature celsius": "temperature c (calc)",
}
# One query a distribution: `value` is what is compared, `name` the item it belongs to.
QUERIES: dict[str, dict[str, str]] = {
    "mimic_iii": {
        "lab": "SELECT d.label AS name, l.valuenum AS value FROM labevents l JOIN d_labitems d "
        "ON d.itemid = l.itemid WHERE l.valuenum IS NOT NULL",
        "vital": "SELECT d.label AS name, l.valuenum AS value FROM chartevents l JOIN d_items d "
        "ON d.itemid = l.itemid WHERE l.valuenum > 0",
        "stay": "SELECT 'hospital days' AS name, julianday(dischtime) - julianday(admittime) AS value "
        "FROM admissions WHERE dischtime IS NOT NULL UNION ALL SELECT 'ICU days', "
        "julianday(outtime) - julianday(intime) FROM icustays WHERE outtime IS NOT NULL "
        "UNION ALL SELECT 'age', age FROM admissions",
        "rate": "SELECT 'labs a stay' AS name, (SELECT COUNT(*) FROM labevents) * 1.0 / COUNT(*) AS "
        "value FROM admissions UNION ALL SELECT 'diagnoses a stay', (SELECT COUNT(*) FROM "
        "diagnoses_icd) * 1.0 / COUNT(*) FROM admissions UNION ALL SELECT 'procedures a stay', "
        "(SELECT COUNT(*) FROM procedures_icd) * 1.0 / COUNT(*) FROM admissions UNION ALL SELECT "
        "'prescriptions a stay', (SELECT COUNT(*) FROM prescriptions) * 1.0 / COUNT(*) FROM "
        "admissions UNION ALL SELECT 'cultures a stay', (SELECT COUNT(*) FROM microbiologyevents) "
        "* 1.0 / COUNT(*) FROM admissions UNION ALL SELECT 'hospital mortality', "
        "AVG(discharge_location = 'dead/expired') FROM admissions UNION ALL SELECT "
        "'stays a patient', COUNT(*) * 1.0 / COUNT(DISTINCT subject_id) FROM admissions UNION ALL "
        "SELECT 'no growth in cultures', AVG(org_name IS NULL) FROM microbiologyevents UNION ALL "
        "SELECT 'marital status missing', AVG(marital_status IS NULL) FROM admissions",
    },
    "eicu": {
        "lab": "SELECT labname AS name, labresult AS value FROM lab",
        "vital": " UNION ALL ".join(
            f"SELECT '{sign}' AS name, {sign} AS value FROM vitalperiodic WHERE {sign} IS NOT NULL"
            for sign in (
                "temperature", "sao2", "heartrate", "respiration", "systemicsystolic",
                "systemicdiastolic", "systemicmean",
            )
        ),
        "stay": "SELECT 'hospital days' AS name, julianday(hospitaldischargetime) - "
        "julianday(hospitaladmittime) AS value FROM patient WHERE hospitaldischargetime IS NOT NULL "
        "UNION ALL SELECT 'ICU days', julianday(unitdischargetime) - julianday(unitadmittime) FROM "
        "patient WHERE unitdischargetime IS NOT NULL UNION ALL SELECT 'age', CAST(age AS INTEGER) "
        "FROM patient UNION ALL SELECT 'weight', admissionweight FROM patient WHERE admissionweight "
        "IS NOT NULL UNION ALL SELECT 'height', admissionheight FROM patient WHERE admissionheight "
        "IS NOT NULL",
        "rate": "SELECT 'labs a unit stay' AS name, (SELECT COUNT(*) FROM lab) * 1.0 / COUNT(*) AS "
        "value FROM patient UNION ALL SELECT 'diagnoses a unit stay', (SELECT COUNT(*) FROM "
        "diagnosis) * 1.0 / COUNT(*) FROM patient UNION ALL SELECT 'treatments a unit stay', "
        "(SELECT COUNT(*) FROM treatment) * 1.0 / COUNT(*) FROM patient UNION ALL SELECT "
        "'medications a unit stay', (SELECT COUNT(*) FROM medication) * 1.0 / COUNT(*) FROM patient "
        "UNION ALL SELECT 'hospital mortality', AVG(hospitaldischargestatus = 'expired') FROM "
        "patient UNION ALL SELECT 'allergies a unit stay', (SELECT COUNT(*) FROM allergy) * 1.0 / "
        "COUNT(*) FROM patient UNION ALL SELECT 'temperature missing', AVG(temperature IS NULL) "
        "FROM vitalperiodic",
    },
}  # fmt: skip
# the same tables with other words
QUERIES["mimic_iv"] = {
    **QUERIES["mimic_iii"],
    "vital": "SELECT CASE d.label "
    + " ".join(f"WHEN '{theirs}' THEN '{ours}'" for theirs, ours in RENAMED.items())
    + " ELSE d.label END AS name, l.valuenum AS value FROM chartevents l JOIN d_items d "
    "ON d.itemid = l.itemid WHERE l.valuenum > 0",
    "rate": QUERIES["mimic_iii"]["rate"].replace("'dead/expired'", "'died'"),
}


@dataclass(frozen=True, slots=True)
class Compared:
    """One item in both hospitals: median and quartiles, and the distance of the distributions.

    Args:
        distance: Kolmogorov-Smirnov, 0 where the distributions are equal, 1 where they are apart;
            None of single numbers.
    """

    schema: str
    kind: str
    name: str
    real_n: int
    made_n: int
    real: tuple[float, float, float]
    made: tuple[float, float, float]
    distance: float | None


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare, write, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--patients", type=int, default=PATIENTS)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    record = generate(given.patients, given.seed)
    found: list[Compared] = []
    with tempfile.TemporaryDirectory() as scratch:
        ours = {"mimic_iii": mimic, "eicu": eicu}
        for name, view in ours.items():
            write_database(Path(scratch) / f"{name}.sqlite", view.TABLES, view.frames(record))
        for schema, place in SCHEMAS.items():
            view_name = schema if schema in ours else "mimic_iii"
            sides = {
                "real": (find_demo(given.data, place, Path(scratch)), schema),
                "made": (Path(scratch) / f"{view_name}.sqlite", view_name),
            }
            values = {
                side: {kind: read(path, query) for kind, query in QUERIES[asked].items()}
                for side, (path, asked) in sides.items()
            }
            found += compare(schema, values["real"], values["made"])
            plot(schema, values["real"], values["made"], given.out / f"realism_{schema}.png")
    rows = [asdict(item) for item in found]
    (given.out / "realism.json").write_text(json.dumps(rows, indent=1))
    for item in found:
        real_text = " / ".join(f"{value:.4g}" for value in item.real)
        made_text = " / ".join(f"{value:.4g}" for value in item.made)
        apart = "" if item.distance is None else f"{item.distance:.2f}"
        print(
            f"{item.schema:10} {item.kind:6} {item.name:32} {real_text:>26} {made_text:>26} {apart}"
        )


def find_demo(data: Path, place: str, scratch: Path) -> Path:
    """The demo database, unpacked where it is packed.

    Raises:
        DataMissingError: it is not there.
    """
    plain, packed = data / place, data / f"{place}.xz"
    if plain.is_file():
        return plain
    if not packed.is_file():
        raise DataMissingError(
            "a demo database to compare with is missing",
            where=plain,
            fix="make it with EHRSQL's preprocessing from the open demo, and put it there",
        )
    target = scratch / f"real_{packed.stem}"
    with lzma.open(packed) as source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink)
    return target


def read(path: Path, query: str) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Name → values of one query."""
    con = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        frame = pd.read_sql_query(query, con)
    finally:
        con.close()
    frame["value"] = pd.to_numeric(frame["value"], errors="coerce")
    groups = frame.dropna(subset="value").groupby("name")["value"]
    return {str(name): values.to_numpy(dtype=np.float64) for name, values in groups}


Values = Mapping[str, Mapping[str, np.ndarray[tuple[int], np.dtype[np.float64]]]]


def compare(schema: str, real: Values, made: Values) -> list[Compared]:
    """All items that both have; of laboratory tests those measured at least 30 times."""
    found = []
    for kind in real:
        for name in sorted(set(real[kind]) & set(made[kind])):
            one, two = real[kind][name], made[kind][name]
            if kind == "lab" and min(len(one), len(two)) < 30:
                continue
            single = kind == "rate"
            quartiles = [
                tuple(
                    float(q) for q in np.quantile(values, (0.5,) if single else (0.25, 0.5, 0.75))
                )
                for values in (one, two)
            ]
            found.append(
                Compared(
                    schema, kind, name, len(one), len(two), quartiles[0], quartiles[1],  # type: ignore[arg-type]
                    None if single else distance(one, two),
                )
            )  # fmt: skip
    return found


def distance(
    one: np.ndarray[tuple[int], np.dtype[np.float64]],
    two: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> float:
    """Kolmogorov-Smirnov distance: the largest gap of the two cumulative distributions."""
    at = np.concatenate([one, two])
    first = np.searchsorted(np.sort(one), at, "right") / len(one)
    second = np.searchsorted(np.sort(two), at, "right") / len(two)
    return float(np.abs(first - second).max())


def plot(schema: str, real: Values, made: Values, path: Path) -> None:
    """Histograms of all stays and vital signs, and of the most frequent laboratory tests."""
    import matplotlib  # noqa: PLC0415 — optional and slow to load

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    chosen: list[tuple[str, str]] = []
    for kind in ("stay", "vital", "lab"):
        shared = set(real[kind]) & set(made[kind])
        by_count = sorted(shared, key=lambda name, kind=kind: -len(real[kind][name]))  # type: ignore[misc]
        chosen += [(kind, name) for name in by_count[: 18 if kind == "lab" else 7]]
    columns = 5
    lines = -(-len(chosen) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(3.4 * columns, 2.4 * lines))
    for axis in axes.flat[len(chosen) :]:
        axis.axis("off")
    for axis, (kind, name) in zip(axes.flat, chosen, strict=False):
        one, two = real[kind][name], made[kind][name]
        low, high = np.quantile(one, 0.005), np.quantile(one, 0.995)
        bins = np.linspace(low, high if high > low else low + 1, 31)
        axis.hist(one, bins, density=True, alpha=0.5, label="demo")
        axis.hist(two, bins, density=True, alpha=0.5, label="generated")
        axis.set_title(f"{name} (distance {distance(one, two):.2f})", fontsize=8)
        axis.set_yticks([])
        axis.tick_params(labelsize=7)
    axes.flat[0].legend(fontsize=7)
    figure.suptitle(f"Generated hospital beside the open demo: {schema}")
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)


if __name__ == "__main__":
    main()
