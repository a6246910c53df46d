"""The authors' layout, `EHRSHOT_ASSETS`: whole records as one table, from which features are made.

Features are those of EHRSHOT's counting baseline in small: how often each of the commonest codes
was noted before the prediction time, latest and mean value of the commonest measurements, and age.
DuckDB reads the table (41 million rows in the release) from disk, once.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import duckdb
import pandas as pd

from benchside.errors import InputError
from benchside.suites.ehrshot.labels import FIX, last_rows, read_csv, read_labels, refuse
from benchside.suites.ehrshot.source import Examples, disjoint

MOST_CODES, MOST_MEASURED = 300, 60
LARGEST = 1e30  # value, as features are float32; inf and nan are no values either
FIELDS = ("patient_id", "start", "code", "value")


class Assets:
    """A copy in the authors' layout."""

    def __init__(self, events: Path, splits: Path, labels: dict[str, Path], scratch: Path):
        """Read splits and events.

        Args:
            labels: file by kind.
            scratch: folder for the database of events.

        Raises:
            InputError: a file is damaged; it names row and field.
        """
        self.kinds = tuple(labels)
        self._labels = labels
        self._splits = _splits(splits)
        self._splits_path = splits
        self._con = duckdb.connect(str(scratch / "events.duckdb"))
        _load(self._con, events)

    def read(self, kind: str, counts: Counter[str]) -> Examples:
        """Rows and features of one kind."""
        path = self._labels[kind]
        labels = read_labels(path, kind)
        known = labels["patient_id"].isin(self._splits["patient_id"])
        refuse(
            ~known, labels.astype(str), f"the patient is not in {self._splits_path.name}", path,
            "patient_id",
        )  # fmt: skip
        rows = last_rows(labels, counts).reset_index()
        rows = disjoint(rows.merge(self._splits, on="patient_id"), counts).set_index("patient_id")
        self._con.register("asked", rows[["prediction_time"]].reset_index())
        trained = rows.index[rows["split"] != "test"]
        late = self._count(
            "SELECT count(*) FROM events JOIN asked USING (patient_id) "
            "WHERE start >= prediction_time"
        )
        counts["events left out: at or after the prediction time"] += late
        self._con.sql(
            "CREATE OR REPLACE TEMP TABLE seen AS SELECT patient_id, code, count(*) AS times, "
            "count(value) AS measured, avg(value) AS mean, arg_max(value, start) "
            "FILTER (value IS NOT NULL) AS latest, min(start) AS first, max(start) AS last "
            "FROM events JOIN asked USING (patient_id) WHERE start < prediction_time GROUP BY ALL"
        )
        features = self._features(pd.Index(trained))
        spans = self._con.sql(
            "SELECT patient_id, min(first) AS first, max(last) AS last FROM seen GROUP BY ALL"
        ).df()
        spans = spans.set_index("patient_id").reindex(rows.index)
        age = (rows["prediction_time"] - spans["first"]).dt.days / 365.25
        features = features.reindex(rows.index).assign(age=age)
        times = [name for name in map(str, features) if name.endswith(" times")]
        features = features.fillna(dict.fromkeys(times, 0.0)).astype("float32")
        return Examples(rows.sort_index(), features.sort_index(), spans["last"])

    def _features(self, trained: pd.Index) -> pd.DataFrame:
        """Counts and values of the codes that most training patients have."""
        self._con.register("trained", pd.DataFrame({"patient_id": trained}))
        common = (
            "SELECT code FROM seen JOIN trained USING (patient_id) WHERE {} > 0 GROUP BY code "
            "ORDER BY count(*) DESC, code LIMIT {}"
        )
        parts = []
        for column, names, most in (
            ("times", ["times"], MOST_CODES),
            ("measured", ["latest", "mean"], MOST_MEASURED),
        ):
            chosen = common.format(column, most)
            long = self._con.sql(
                f"SELECT patient_id, code, {', '.join(names)} FROM seen "
                f"WHERE {column} > 0 AND code IN ({chosen})"
            ).df()
            wide = long.pivot(index="patient_id", columns="code", values=names)
            wide.columns = wide.columns.map(lambda pair: f"{pair[1]} {pair[0]}")
            parts.append(wide)
        table: pd.DataFrame = pd.concat(parts, axis=1)
        return table

    def _count(self, sql: str) -> int:
        return int(self._con.execute(sql).fetchall()[0][0])


def _splits(path: Path) -> pd.DataFrame:
    """patient_id and split; a patient in several splits has a row for each."""
    frame = read_csv(path, ("split", "omop_person_id"))
    ids = frame["omop_person_id"]
    refuse(~ids.str.fullmatch(r"\d{1,18}"), frame, "not a patient's number", path, "omop_person_id")
    wrong = ~frame["split"].isin(["train", "val", "test"])
    refuse(wrong, frame, "not train, val or test", path, "split")
    found = pd.DataFrame({"patient_id": ids.astype("int64"), "split": frame["split"]})
    return found.drop_duplicates()


def _load(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Read the events that a feature can be made of."""
    kinds = {"patient_id": "BIGINT", "start": "TIMESTAMP", "code": "VARCHAR", "value": "VARCHAR"}
    try:
        names = con.read_csv(str(path), header=True, all_varchar=True, delimiter=",").columns
        missing = [field for field in FIELDS if field not in names]
        if missing:
            raise InputError(
                "a field is missing", where=f"{path}, field {missing[0]!r}", value=names[:10],
                fix=FIX,
            )  # fmt: skip
        con.read_csv(str(path), header=True, dtype=kinds, delimiter=",").create_view("raw")
        con.sql(
            "CREATE TABLE events AS SELECT patient_id, start, code, CASE WHEN "
            f"abs(try_cast(value AS DOUBLE)) < {LARGEST} THEN try_cast(value AS DOUBLE) END "
            "AS value FROM raw WHERE code IS NOT NULL AND start IS NOT NULL"
        )
        size = con.execute("SELECT count(*) FROM events").fetchall()[0][0]
    except duckdb.Error as error:
        raise InputError(
            "the file is damaged, cut off or not CSV", where=path,
            value=str(error).strip()[:400], fix=FIX,
        ) from None  # fmt: skip
    if not size:
        raise InputError("the file has no rows", where=path, fix=FIX)
