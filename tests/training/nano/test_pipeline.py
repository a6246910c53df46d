"""The whole pipeline in small: interrupted, resumed, to its closing table and what ships.

Its models are all but untrained and solve nothing. Where learning needs successes, the imperfect
teacher plays in a model's name, in the same real kernels.
"""

import asyncio
import io
import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from benchside.curves import load_curves
from benchside.errors import InputError
from benchside.policies.options import PolicyOptions
from benchside.rollout import Assignment
from benchside.runs import load_run
from benchside.store import RunFolder
from benchside.task_list import read_task_list
from benchside_training.base_model import Precision
from benchside_training.nano import attempts, episodes, pipeline
from benchside_training.nano import ship as shipping
from benchside_training.nano.config import SIZES, NanoConfig
from benchside_training.nano.fresh import Shape
from benchside_training.nano.jobs import side_by_side
from benchside_training.nano.pipeline import Nano
from benchside_training.nano.results import write_results
from benchside_training.nano.shipped import HELD_OUT, make
from benchside_training.nano.teacher import teacher
from benchside_training.rollouts import limited


def play_as_the_teacher(
    model: Path, seed: int, how: episodes.Playing, *runs: episodes.Run
) -> list[pd.DataFrame]:
    asked = {}
    for folder, tasks, samples, _ in runs:
        suites = {suite.name: suite for suite, _ in tasks}
        asked[folder] = [
            Assignment(suite, limited(task, how.limits), policy, sample, sample)
            for sample in range(samples)
            for policy in [teacher(suites, sample, seed)]
            for suite, task in tasks
        ]
        for one in asked[folder]:
            one.policy.name = f"hf:{model.parent.name}"
    return asyncio.run(episodes.play(asked, seed, how.limits, parallel=4))


class Interruption(Exception):
    """Stands for Ctrl-C, at a place that is known."""


@pytest.mark.slow
@pytest.mark.timeout(900)  # of waiting: it takes about a minute of computing
@pytest.mark.filterwarnings("ignore:.*(gradient|activation)_checkpointing.*:FutureWarning")
@pytest.mark.parametrize(
    ("device", "precision"),
    [("cpu", "float32"), pytest.param("cuda", "mixed", marks=pytest.mark.gpu)],
)
def test_a_tiny_pipeline_goes_on_where_it_was_interrupted_and_ships(
    device: str, precision: Precision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = NanoConfig(
        out=Path("nano"), seeds=(0,), sizes=dict.fromkeys(SIZES, 300), device=device,
        precision=precision, max_tokens=8,
        shape=Shape(vocabulary=400, width=32, layers=1, heads=2), base_epochs=1, sft_epochs=1,
        pair_tasks=30, pair_samples=4, rl_steps=2, rl_tasks=2, rl_samples=2, held_out=3, greedy=3,
        unseen=3, parts=(0.5,), attempted=6, attempts=4, verifier_epochs=1,
    )  # fmt: skip
    monkeypatch.setattr(shipping, "MAX_TOKENS", config.max_tokens)
    monkeypatch.setattr(shipping, "MOST_LISTED", 9)
    model_plays = episodes.play_model
    monkeypatch.setattr(attempts, "play_model", play_as_the_teacher)

    def play(
        model: Path, seed: int, how: episodes.Playing, *runs: episodes.Run
    ) -> list[pd.DataFrame]:
        learned_from = runs[0].folder.name.endswith("to-learn")
        return (play_as_the_teacher if learned_from else model_plays)(model, seed, how, *runs)

    monkeypatch.setattr(pipeline, "play_model", play)

    def interrupted(*_: object, **__: object) -> Path:
        raise Interruption

    with monkeypatch.context() as patched:
        patched.setattr(pipeline.rl, "main", interrupted)
        with pytest.raises(Interruption):
            Nano(config, Console(file=io.StringIO())).run()
    made = {path: path.stat().st_mtime_ns for path in config.out.rglob("model.safetensors")}
    assert {"fresh", "base", "sft", "dpo"} <= {part for path in made for part in path.parts}
    told = len(RunFolder(config.out / "teacher").rows())

    said = io.StringIO()
    console = Console(file=said, width=250)
    with pytest.raises(InputError, match="other options"):
        Nano(config.model_copy(update={"rl_steps": 3}), console).run()
    begun = config.out / "pipeline.json"  # by a version that had no limits
    known = json.loads(begun.read_text())
    begun.write_text(json.dumps({name: known[name] for name in known if name != "limits"}))
    write_results(Nano(config, console).run(), config.out, console)
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert len(RunFolder(config.out / "teacher").rows()) == told
    found = json.loads((config.out / "results.json").read_text())
    assert found["grpo"]["held-out"]["n"] == 3
    assert found["verifier"]["pass_k"]["n"] >= 3
    side_by_side(config, console)  # finds all done, in processes of their own
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert {log.stem for log in (config.out / "logs").iterdir()} == set(Nano(config).jobs())
    assert "grpo 0%" in said.getvalue()
    rows = load_curves(config.out).evaluations
    assert {"base", "sft", "dpo", "ppo", "grpo"} == set(rows["stage"])
    assert set(rows["train_fraction"]) == {0.5, 1.0}
    assert {("pass@k", 4), ("best@k", 4)} <= set(zip(rows["measure"], rows["k"], strict=True))
    assert "best@4: the attempt that the verifier scores highest" in said.getvalue()

    weights = tmp_path / "weights"
    best = shipping.ship(config, weights, console)
    card = (weights / "README.md").read_text()
    for phrase in (
        "make train-demo",
        f"{best.method}, seed 0",
        '"rl_steps": 2',
        "best@4",
        "sha256",
    ):
        assert phrase in card
    assert str(tmp_path) not in card
    assert set(read_task_list(weights / HELD_OUT, SIZES)) == set(SIZES)
    policy = make("", PolicyOptions(device="cpu"), weights)
    assert str(policy.config["weights"]).startswith("sha256:")
    asyncio.run(policy.aclose())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_suites_that_are_only_made_whole_are_learned_from_their_prompts(tmp_path: Path) -> None:
    config = NanoConfig(
        out=tmp_path / "nano", seeds=(0,), sizes={"power": None}, reads="prompt", taught=40,
        shape=Shape(vocabulary=600, width=32, layers=1, heads=2, context=4096), base_epochs=1,
        sft_epochs=1, max_tokens=8, held_out=3, greedy=3, unseen=3, batch=8,
    )  # fmt: skip
    console = Console(file=io.StringIO())

    def enough() -> None:
        raise Interruption

    with pytest.raises(Interruption):
        Nano(config, console).run(enough)
    played = Nano(config, console).jobs()["sft-0"].do()
    assert Counter(played["measured"]) == {
        "held-out": 3, "held-out-greedy": 3, "unseen-templates": 3, "unseen-suite": 3,
    }  # fmt: skip
    taught = load_run(config.out / "teacher").episodes
    assert len(taught) == 40 and set(taught["suite"]) == {"power"}
    assert set(taught["outcome"]) <= {"solved", "wrong"}, "a slip is an answer, too"
    held_out = load_run(config.out / "played" / "sft-0-held-out").episodes
    assert not set(held_out["task_hash"]) & set(taught["task_hash"])
    with pytest.raises(InputError, match="not finished"):
        shipping.ship(config, tmp_path / "weights", console)
    (config.out / "results.json").write_text("{}")
    with pytest.raises(InputError, match="power; prompt"):
        shipping.ship(config, tmp_path / "weights", console)
