"""Rounds in real kernels: a model that is right half of the time learns from where it was."""

import hashlib
import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from benchside.curves import MetricsRow, load_curves
from benchside.errors import InputError
from benchside.library import Suite, prepare
from benchside.runs import load_run
from benchside_training.examples import read_examples
from benchside_training.rounds import RoundsConfig, main
from tests.training.local.small import save_acting

# between TRL 1.16 and transformers 5.23; nothing that we call
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*(gradient|activation)_checkpointing.*:FutureWarning"
)


def prepared(home: Path, value: int) -> Suite:
    """A suite whose answers all are one number."""
    suite = prepare("power", home, size=120)
    path = home / "answers" / "power" / f"{suite.record.build}.jsonl"
    keys = [json.loads(line) for line in path.read_text().splitlines()]
    text = "".join(json.dumps({**key, "value": value}) + "\n" for key in keys)
    path.chmod(0o600)
    path.write_text(text)
    record = home / "suites" / "power" / suite.record.build / "build.json"
    build = json.loads(record.read_text())
    build["hashes"]["answers"] = hashlib.sha256(text.encode()).hexdigest()
    record.write_text(json.dumps(build))
    return suite


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_success_rises_and_interrupted_rounds_go_on(tmp_path: Path) -> None:
    home, out = tmp_path / "home", tmp_path / "rounds"
    prepared(home, 42)
    base = save_acting(tmp_path / "base", values=(42, 17))
    config = RoundsConfig.model_validate(
        {
            "model": str(base), "out": out, "rounds": 1, "samples": 8, "parallel": 2,
            "suites": [{"name": "power", "limit": 1}], "limits": {"max_turns": 1},
            "held_out": [{"name": "power", "split": "test", "limit": 1}],
            "policy": {"seed": 0, "max_tokens": 100, "kv_memory_mib": 64, "device": "cpu"},
            "sft": {"max_steps": 8, "batch": 1, "learning_rate": 2e-3, "precision": "float32",
                    "max_tokens": 16384, "save_every": 2, "device": "cpu"},
        }
    )  # fmt: skip

    def stop(row: MetricsRow) -> None:
        if row.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        main(config, stop, home)
    sampled = (out / "round-0" / "run" / "episodes.jsonl").read_bytes()
    with pytest.raises(InputError, match="resume: true"):
        main(config, home=home)
    steps: list[int] = []
    model = main(
        config.model_copy(update={"resume": True}), lambda row: steps.append(row.step), home
    )
    assert steps == [2, 3, 4, 5, 6, 7], "the training went on from its checkpoint"
    assert (out / "round-0" / "run" / "episodes.jsonl").read_bytes() == sampled
    assert model == out / "round-0" / "training" / "model" and (model / "README.md").is_file()
    learned = read_examples(out / "round-0" / "set" / "examples.jsonl")
    assert learned and all(one.outcome == "solved" and one.split == "train" for one in learned)
    assert (out / "round-0" / "set" / "data_card.md").is_file()
    rows = load_curves(out).evaluations
    once = rows[rows["k"] == 1].set_index(["stage", "split"])["success"]
    # samples of a seeded policy differ; those of one number draw alike in both rounds
    assert 0 < once["round 0", "train"] < 1
    assert once["round 1", "train"] > once["round 0", "train"]
    assert ("round 1", "test") in once.index
    assert len(load_run(out / "round-1" / "run").episodes) == 8
    assert main(config.model_copy(update={"resume": True}), home=home) == model


def test_what_rounds_cannot_do_is_named_at_once(tmp_path: Path) -> None:
    def refused(message: str, **asked: object) -> None:
        told = {"model": "m", "out": tmp_path / "out", "suites": [{"name": "power"}], **asked}
        with pytest.raises(ValidationError, match=message):
            RoundsConfig.model_validate(told)

    refused("rounds learn from the split train, not test", suites=[{"name": "a", "split": "test"}])
    refused("name the split, valid or test", held_out=[{"name": "a"}])
    refused("data: set by the rounds themselves", sft={"data": "x"})
    refused("learning_rat", sft={"learning_rat": 1})
    assert not (tmp_path / "out").exists()
