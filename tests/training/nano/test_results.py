"""The closing table: what each method gained on the one before it, task by task."""

import io
import json
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from benchside_training.nano.episodes import success
from benchside_training.nano.pipeline import Measured
from benchside_training.nano.recovery import recovery
from benchside_training.nano.results import gain, percent, write_results
from tests.training.nano.asked import episodes

BEFORE = [True, False, False, False, True, False, False, False]
AFTER = [True, True, True, True, True, True, False, False]


def test_a_gain_is_of_the_same_tasks_over_all_seeds() -> None:
    played = pd.concat(
        [
            episodes("base", BEFORE), episodes("base", [True] * 8, "unseen-suite"),
            episodes("sft", AFTER), episodes("sft", BEFORE, seed=1),
        ]
    )  # fmt: skip
    found = gain(played, "sft", "held-out")
    assert found.value == pytest.approx(0.25)  # half of four more of eight
    assert (found.n, found.clusters) == (8, 4)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.25 < found.high


def test_what_infrastructure_has_spoiled_is_no_failure_and_suites_share_no_tasks() -> None:
    after = episodes("sft", AFTER)
    after.loc[7, "outcome"] = "infrastructure_error"
    other = [episodes(method, [False] * 8, suite="units") for method in ("base", "sft")]
    played = pd.concat([episodes("base", BEFORE), after, *other])
    found = gain(played, "sft", "held-out")
    assert (found.n, found.clusters) == (15, 8)
    assert found.value == pytest.approx(4 / 15)
    assert success(after).value == pytest.approx(6 / 7)


def test_the_table_is_printed_and_written(tmp_path: Path) -> None:
    frames = [
        episodes(method, AFTER if method in ("ppo", "grpo") else BEFORE, measured)
        for method in ("base", "sft", "dpo", "ppo", "grpo")
        for measured in ("held-out", "held-out-greedy", "unseen-templates", "unseen-suite")
    ]
    said = io.StringIO()
    sampled = pd.DataFrame(
        {
            "suite": "wards", "group": ["a", "a", "b", "b"], "task_hash": ["1", "1", "2", "2"],
            "outcome": ["solved", "wrong"] * 2, "verifier_score": [0.9, 0.1, 0.1, 0.9],
            "vote": ["1", "2", "1", "2"],
        }
    )  # fmt: skip
    by_data = episodes("sft", BEFORE).assign(fraction=0.25)
    measured = Measured(pd.concat(frames), by_data, recovery(sampled, 2))
    write_results(measured, tmp_path, Console(file=said, width=300))
    kept = json.loads((tmp_path / "results.json").read_text())
    assert "gain" not in kept["base"]
    assert kept["grpo"]["gain"]["held-out"]["value"] == pytest.approx(0.5)
    assert kept["grpo"]["gain"]["held-out-greedy"]["value"] == pytest.approx(0.5)
    assert kept["grpo"]["held-out"]["n"] == 8
    assert kept["sft on parts of its examples"]["0.25"]["value"] == pytest.approx(0.25)
    assert kept["verifier"]["pass_k"]["value"] == 1.0
    assert kept["verifier"]["choices"]["best"]["recovered"]["value"] == pytest.approx(0.0)
    text = (tmp_path / "results.md").read_text()
    assert "| recovered of pass@2 - pass@1 by best@2 | 0.0% (-100.0% to 100.0%) n=2 |" in text
    lines = text.splitlines()
    assert {line.count("|") for line in lines} == {6, 4, 0, 3}
    assert "75.0%" in next(line for line in lines if line.startswith("| grpo"))
    assert "| grpo on sft | +50.0% (" in text
    assert "on sft" in said.getvalue()
    assert percent(gain(pd.concat(frames), "dpo", "held-out")).startswith("0.0%")
