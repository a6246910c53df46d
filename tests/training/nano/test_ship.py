"""What ships: the model that practised best, tasks that it was not asked, and a clear refusal."""

import hashlib
import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest

from benchside.curves import METRICS, MetricsRow
from benchside.errors import InputError
from benchside.policies import PLUGGED_EXTRAS
from benchside.policies.options import PolicyOptions
from benchside.store import append_line
from benchside_training.nano.config import MAX_TOKENS, NanoConfig
from benchside_training.nano.curriculum import Curriculum
from benchside_training.nano.fresh import Shape, write_fresh
from benchside_training.nano.ship import MOST_BYTES, practised, ship, unasked
from benchside_training.nano.shipped import WEIGHTS, make
from tests.training.nano.asked import suite, task

ROOT = Path(__file__).parents[3]


def test_the_best_is_the_one_that_practised_best_at_the_end(tmp_path: Path) -> None:
    rates = {"ppo": [0.9] * 5 + [0.5] * 5, "grpo": [0.1] * 5 + [0.6] * 5}
    for method, solved in rates.items():
        folder = tmp_path / "seed-1" / method
        folder.mkdir(parents=True)
        for step, rate in enumerate(solved):
            row = MetricsRow(step=step, stage=method, seed=1, reward_correct=rate)
            append_line(folder / METRICS, row.model_dump_json())
    ranked = practised(NanoConfig(out=tmp_path, seeds=(1,)))
    assert [(one.method, one.seed) for one in ranked] == [("grpo", 1), ("ppo", 1)]
    assert ranked[0].solved == pytest.approx(0.6)


def test_what_was_asked_before_is_not_listed() -> None:
    taught, drilled, new, reworded = task(1), task(2), task(3), task(5)
    other = task(4, group="never/learned")
    same = {reworded.task_id: taught.task_id}  # its solution
    learned = Curriculum(
        {"wards": ("count/drugs",)},
        {
            "taught": [(suite("wards"), taught)], "practised": [(suite("wards"), drilled)],
            "held-out": [(suite("wards"), new)],
        },
    )  # fmt: skip
    wards = suite("wards", [taught, drilled, new, other, reworded], same)
    assert unasked(wards, learned) == [new.task_id]


def test_an_unfinished_pipeline_ships_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="make train-demo"):
        ship(NanoConfig(out=tmp_path), tmp_path / "weights")
    assert not (tmp_path / "weights").exists()


async def test_the_policy_is_greedy_unless_told_otherwise(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="make train-demo"):
        make("", PolicyOptions(), tmp_path)
    with pytest.raises(InputError, match="takes no argument"):
        make("x", PolicyOptions(), tmp_path)
    write_fresh(tmp_path, ["SELECT 1"] * 3, Shape(vocabulary=280, width=32), seed=0)
    for asked, temperature in (({}, 0.0), ({"temperature": 0.7}, 0.7)):
        policy = make("", PolicyOptions(device="cpu", **asked), tmp_path)
        assert (policy.name, policy.config["policy"]) == ("nano", "nano")
        assert policy.options.temperature == temperature
        assert policy.options.max_tokens == MAX_TOKENS
        await policy.aclose()


def test_it_is_an_entry_point_of_the_workbench() -> None:
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    value = points["benchside.policies"]["nano"]
    assert importlib.metadata.EntryPoint("nano", value, "benchside.policies").load() is make
    assert PLUGGED_EXTRAS["nano"] == "train"


def test_the_weights_are_those_of_their_card() -> None:
    if not (WEIGHTS / "model.safetensors").exists():
        pytest.skip("no weights of nano are in this checkout (make train-demo)")
    card = (WEIGHTS / "README.md").read_text()
    listed = re.findall(r"^- model\.safetensors: (\w{64})$", card, re.MULTILINE)
    digest = hashlib.sha256((WEIGHTS / "model.safetensors").read_bytes()).hexdigest()
    assert listed == [digest]
    assert sum(file.stat().st_size for file in WEIGHTS.iterdir()) <= MOST_BYTES
