"""The comparison with demonstration data: distances by hand, files, and the promise it holds."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from benchside.errors import DataMissingError
from benchside.hospital.realism import RENAMED, SCHEMAS, compare, distance, find_demo, main

REPOSITORY = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("BENCHSIDE_DATA", REPOSITORY.parent / "shared" / "data"))


def test_distance_is_that_of_kolmogorov_and_smirnov() -> None:
    assert distance(np.array([1.0, 2.0]), np.array([3.0, 4.0])) == 1.0
    assert distance(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == 0.0
    assert distance(np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.5, 9.0])) == 0.5


def test_items_of_both_are_compared_and_rare_ones_left_out() -> None:
    real = {"lab": {"sodium": np.arange(40.0), "rare": np.arange(3.0)}, "rate": {"x": np.ones(1)}}
    made = {"lab": {"sodium": np.arange(50.0), "rare": np.arange(90.0)}, "rate": {"x": np.zeros(1)}}
    found = {item.name: item for item in compare("s", real, made)}
    assert set(found) == {"sodium", "x"}
    assert found["sodium"].real == (9.75, 19.5, 29.25)
    assert found["x"].distance is None


def test_a_missing_demo_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match="demo database"):
        find_demo(tmp_path, "mimic_iii_demo/none.sqlite", tmp_path)


@pytest.mark.slow
def test_generated_values_are_close_to_the_demos(tmp_path: Path) -> None:
    data = SHARED
    for place in SCHEMAS.values():
        if not (data / f"{place}.xz").is_file():
            pytest.skip(f"BENCHSIDE_DATA has no {place}.xz")
    main(["--data", str(data), "--out", str(tmp_path), "--patients", "300"])
    rows = json.loads((tmp_path / "realism.json").read_text())
    labs = [row["distance"] for row in rows if row["kind"] == "lab"]
    vitals = [row["distance"] for row in rows if row["kind"] == "vital"]
    assert len(labs) > 60 and np.median(labs) < 0.16
    assert np.median(vitals) < 0.15
    assert {path.name for path in tmp_path.glob("*.png")} == {
        "realism_mimic_iii.png",
        "realism_eicu.png",
        "realism_mimic_iv.png",
    }
    names = {row["name"] for row in rows if row["schema"] == "mimic_iv" and row["kind"] == "vital"}
    assert {*RENAMED.values(), "heart rate", "daily weight"} <= names
