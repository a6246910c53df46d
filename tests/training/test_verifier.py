"""A verifier from data to scores: what it is shown, what it learns, what it refuses."""

import json
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit

from benchside.curves import MetricsRow, load_curves
from benchside.episode import Episode, Submitted
from benchside.errors import InputError
from benchside.policy import Action, Conversation, Message, ToolCall, Turn
from benchside.runs import load_run
from benchside.statistics import scores
from benchside.store import RunFolder
from benchside.verifier_score import FILE as SCORES
from benchside.verifier_score import VerifierScore
from benchside_kernels.cell import CellResult, Submission
from benchside_training.base_model import Lora, load_base
from benchside_training.calibration import calibration, crossfitted, fit_temperature
from benchside_training.evaluation_rows import evaluation_rows
from benchside_training.example import example_of, scaffolded_places
from benchside_training.examples import ExamplesConfig, read_examples
from benchside_training.examples import main as make_examples
from benchside_training.trained_verifier import (
    Attempt,
    Scale,
    Shown,
    VerifierRecord,
    attempt_of,
    attempts_batch,
    load_verifier,
    mean_logprobs,
)
from benchside_training.verifier import VerifierConfig, parted
from benchside_training.verifier import main as train
from benchside_training.verifier_scores import VerifierScoresConfig
from benchside_training.verifier_scores import main as score
from tests.training.families import stop_ids_of, tokenizer_of
from tests.training.tiny import episode_of, tiny_llama

# between peft 0.21 or TRL 1.16 and transformers 5.23; nothing that we call
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*(gradient|activation)_checkpointing.*:FutureWarning"
)
VALUES = (8, 9999999)  # right and wrong
OPENING = (Message(role="user", content="How many?"),)


def attempt(number: int, sample: int, value: int | None, *, failed: bool = False) -> Episode:
    """An attempt at task t/NUMBER, which 8 solves; without a value, it has submitted nothing."""
    code = f"n + {number}" if value is None else f"submit({value})"
    arguments = json.dumps({"code": code})
    call = ToolCall(id="000000000", name="run_cell", arguments=arguments)
    submission = None if value is None else Submission(value)
    result = CellResult(
        cell_id="c1", source=code, status="ok", outputs=(), duration_s=0.1, cpu_s=None,
        peak_mib=None, dropped_chars=0, state_survived=True, submission=submission,
    )  # fmt: skip
    turn = Turn(
        Action(message=Message(role="assistant", tool_calls=(call,)), code=code), result,
        (Message(role="tool", content="GRADE: right", tool_call_id=call.id),),
    )  # fmt: skip
    reward = None if failed else float(value == 8)
    made = episode_of([], reward, task_id=f"t/{number}", sample=sample)
    task = made.task.model_copy(update={"group": f"g{number}"})
    task = type(task).model_validate(task.model_dump())
    return made.model_copy(
        update={
            "episode_id": f"e{number}x{sample}", "task": task, "opening": OPENING,
            "turns": (turn,), "submission": None if value is None else Submitted(value=value),
        }
    )  # fmt: skip


def run_of(path: Path, episodes: Sequence[Episode]) -> Path:
    folder = RunFolder(path)
    for name in ("episodes", "turns"):
        (path / name).mkdir(parents=True)
    for episode in episodes:
        folder.finish(episode)
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    tokenizer = tokenizer_of("qwen")
    model = tiny_llama(vocabulary=len(tokenizer), context=1024)
    model.config.eos_token_id = None  # some models say in one place only what ends a turn
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    tokenizer.eos_token = tokenizer.pad_token
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of each of 20 tasks, a right attempt and a wrong one."""
    out = tmp_path_factory.mktemp("data")
    found = [attempt(number, k, VALUES[k]) for number in range(20) for k in (0, 1)]
    config = ExamplesConfig(
        runs=(str(run_of(out / "run", found)),), out=out / "set", held_out_suites=(),
        outcomes=("solved", "wrong"),
    )  # fmt: skip
    assert make_examples(config, out).rows == 40
    return out / "set" / "examples.jsonl"


def config_of(base: Path, examples: Path, out: Path, **asked: object) -> VerifierConfig:
    told = {
        "model": str(base), "data": examples, "out": out, "batch": 8, "precision": "float32",
        "learning_rate": 2e-2, "max_steps": 45, "held_out": 0.4, "max_tokens": 512,
    }  # fmt: skip
    return VerifierConfig.model_validate({**told, **asked})


@pytest.fixture(scope="module")
def verifier(base: Path, examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(config_of(base, examples, tmp_path_factory.mktemp("trained") / "v"))


def test_it_learns_to_tell_right_from_wrong_on_tasks_that_it_has_not_seen(
    verifier: Path, base: Path, examples: Path
) -> None:
    record = VerifierRecord.model_validate_json((verifier / "verifier.json").read_bytes())
    found = record.calibration
    assert (found.n, found.clusters, found.solved) == (16, 8, 0.5)
    assert found.auroc.value == 1.0
    assert found.brier.value is not None and found.brier.value < 0.05
    assert sum(one.n for one in found.bins) == 16
    config = config_of(base, examples, verifier.parent)
    parts = parted(read_examples(examples), config)
    assert {one.task_id for one in parts.held_out}.isdisjoint(one.task_id for one in parts.trained)
    assert {one.task_hash for one in parts.trained} <= record.trained_on
    assert record.trained_on.isdisjoint(one.task_hash for one in parts.held_out)
    assert (verifier / "reliability.png").read_bytes()[1:4] == b"PNG"
    card = (verifier / "README.md").read_text()
    assert "16, of 8 groups of tasks, 50.0% solved" in card and "AUROC: 1.000" in card
    metrics = load_curves(verifier.parent).metrics
    assert metrics["loss"].iloc[-1] < metrics["loss"].iloc[0] / 4


def test_an_attempt_is_shown_up_to_its_submission_and_no_further() -> None:
    episode = attempt(3, 0, 8)
    for family in ("qwen", "gemma", "mistral"):
        tokenizer, stops = tokenizer_of(family), stop_ids_of(family)
        (row,) = Shown(tokenizer, stops, 4096).rows(attempt_of(example_of(episode, "r")))
        text = str(tokenizer.decode(row.input_ids))
        assert text.count("How many?") == 1
        assert "submit(8)" in str(tokenizer.decode(row.input_ids[row.loss_mask]))
        assert "How many?" not in str(tokenizer.decode(row.input_ids[row.loss_mask]))
        assert "GRADE" not in text and "solved" not in text and "hf:tiny" not in text
        assert "The Python code." not in text, "no tools are told of"
        # with what follows the last message, it is the same
        whole = [*OPENING, episode.turns[0].action.message, *episode.turns[0].observations]
        (again,) = Shown(tokenizer, stops, 4096).rows(Attempt(whole))
        assert again.input_ids.tolist() == row.input_ids.tolist()
        (cut,) = Shown(tokenizer, stops, 40).rows(Attempt(whole))
        assert cut.input_ids.tolist() == [
            *row.input_ids[:10].tolist(),
            *row.input_ids[-30:].tolist(),
        ]
        seam = [*row.loss_mask[:10].tolist(), False, *row.loss_mask[-29:].tolist()]
        assert cut.loss_mask.tolist() == seam
    with pytest.raises(InputError, match="said nothing"):
        Shown(tokenizer, stops, 4096).rows(Attempt(OPENING))


def test_what_a_scaffold_wrote_itself_is_context_and_no_more() -> None:
    """In a transcript, and while an episode runs, the same."""
    said, other = attempt(3, 0, 8).turns[0], attempt(4, 0, 9).turns[0]
    wrote = replace(other, action=other.action.model_copy(update={"scaffolded": True}))
    episode = attempt(3, 0, 8).model_copy(update={"turns": (wrote, said)})
    tokenizer, stops = tokenizer_of("qwen"), stop_ids_of("qwen")
    shown = Shown(tokenizer, stops, 4096)
    (row,) = shown.rows(attempt_of(example_of(episode, "r")))
    assert "submit(9)" in str(tokenizer.decode(row.input_ids))
    counted = str(tokenizer.decode(row.input_ids[row.loss_mask]))
    assert "submit(8)" in counted and "submit(9)" not in counted
    conversation = Conversation(episode.task, tuple(OPENING), episode.turns)
    places = scaffolded_places(conversation.opening, conversation.turns)
    assert places == example_of(episode, "r").scaffolded == (len(OPENING),)
    with pytest.raises(InputError, match="said nothing"):
        shown.rows(Attempt(conversation.messages[:2], places))
    # what it wrote last takes no room from what the policy said
    ended = episode.model_copy(update={"turns": (said, wrote)})
    (alone,) = Shown(tokenizer, stops, 60).rows(attempt_of(example_of(attempt(3, 0, 8), "r")))
    (cut,) = Shown(tokenizer, stops, 60).rows(attempt_of(example_of(ended, "r")))
    assert cut.input_ids.tolist() == alone.input_ids.tolist() and cut.loss_mask.any()


def test_a_step_of_several_parts_has_the_loss_of_the_whole(
    base: Path, examples: Path, tmp_path: Path
) -> None:
    """Also of parts with one attempt; before the first step, logits spread by 1 around 0."""
    losses = []
    for name, asked in (("whole", {"batch": 4}), ("parts", {"batch": 1, "accumulate": 4})):
        train(config_of(base, examples, tmp_path / name, max_steps=2, **asked))
        losses.append(load_curves(tmp_path / name).metrics["loss"].tolist())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    loaded = load_base(str(base), "float32")
    config = config_of(base, examples, tmp_path / "whole")
    parts = parted(read_examples(examples), config)
    shown = Shown(loaded.tokenizer, loaded.stop_ids, config.max_tokens)
    attempts = [shown.rows(attempt_of(one)) for one in parts.trained]
    with torch.no_grad():
        means = mean_logprobs(loaded.model.eval(), attempts_batch(attempts, 0))
    told = json.loads((tmp_path / "whole" / "model" / "verifier.json").read_text())["scale"]
    assert told["spread"] == pytest.approx(float(means.std()), rel=1e-3)
    assert told["center"] == pytest.approx(float(means.mean()), rel=1e-3), "half are solved"


def test_the_logit_of_an_attempt_is_the_mean_log_probability_of_what_was_said(base: Path) -> None:
    loaded = load_base(str(base), "float32")
    model = loaded.model.eval()
    shown = Shown(loaded.tokenizer, loaded.stop_ids, 4096)
    episodes = [attempt(3, 0, 8), attempt(4, 0, 9999999)]
    attempts = [shown.rows(attempt_of(example_of(one, "r"))) for one in episodes]
    by_hand = []
    for (row,) in attempts:
        with torch.no_grad():
            logs = torch.log_softmax(model(row.input_ids[None]).logits[0], dim=-1)
        places = row.loss_mask.nonzero()[:, 0].tolist()
        by_hand.append(np.mean([float(logs[at - 1, row.input_ids[at]]) for at in places]))
    with torch.no_grad():
        means = mean_logprobs(model, attempts_batch(attempts, 0))
        # an attempt in two rows is one attempt
        split = attempts_batch([[*attempts[0], *attempts[1]], attempts[1]], 0)
        joint = mean_logprobs(model, split)
    assert means.tolist() == pytest.approx(by_hand, rel=1e-4)
    said = [int(row.loss_mask.sum()) for (row,) in attempts]
    assert joint.tolist() == pytest.approx(
        [np.average(by_hand, weights=said), by_hand[1]], rel=1e-4
    )
    assert Scale(center=-2.0, spread=0.5).logits(torch.tensor([-2.0, -1.0])).tolist() == [0.0, 2.0]


def test_measures_of_calibration_are_those_by_hand() -> None:
    probabilities = np.array([0.1, 0.2, 0.8, 0.9])
    solved = np.array([False, True, False, True])
    found = calibration(probabilities, solved, ["a", "a", "b", "b"])
    assert found.brier.value == pytest.approx((0.01 + 0.64 + 0.64 + 0.01) / 4)
    assert found.ece.value == pytest.approx((0.1 + 0.8 + 0.8 + 0.1) / 4)
    assert found.auroc.value == pytest.approx(3 / 4)
    assert found.brier.low is not None and found.brier.low <= 0.326
    alike = calibration(np.array([0.4, 0.6]), np.array([True, True]), ["a", "b"])
    assert alike.auroc.value is None
    # logits that are three times too sure
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, 4_000)
    drawn = generator.random(4_000) < expit(logits)
    assert fit_temperature(3 * logits, drawn) == pytest.approx(3, rel=0.1)
    clusters = [f"g{number % 100}" for number in range(4_000)]
    fitted, whole = crossfitted(3 * logits, drawn, clusters)
    assert whole == pytest.approx(3, rel=0.1)
    measured = calibration(fitted, drawn, clusters)
    assert measured.ece.value is not None and measured.ece.value < 0.04
    assert measured.ece.value <= (calibration(expit(3 * logits), drawn, clusters).ece.value or 0)


def test_a_run_is_scored_once_and_its_scores_choose(
    verifier: Path, examples: Path, tmp_path: Path
) -> None:
    """On tasks of other groups: best@k, rejection sampling, and a live score that is the same."""
    episodes = [attempt(100 + number, k, VALUES[k]) for number in range(2) for k in (0, 1)]
    silent = attempt(102, 0, None).model_copy(update={"outcome": "truncated"})
    broken = attempt(103, 0, 8, failed=True)
    path = run_of(tmp_path / "run", [*episodes, silent, broken])
    config = VerifierScoresConfig(verifier=verifier, runs=(str(path),), batch=4, device="cpu")
    assert score(config) == 5
    rows = load_run(path).episodes.set_index("episode_id")["verifier_score"]
    assert rows["e102x0"] == 0.0 and np.isnan(rows["e103x0"])
    assert rows["e100x0"] > 0.5 > rows["e100x1"] > 0
    (path / SCORES).write_bytes((path / SCORES).read_bytes()[:-20])  # a crash
    assert score(config) == 1 and score(config) == 0
    scored = scores(load_run(path)).set_index(["measure", "k"])["value"]
    assert scored["best@k", 2] == 1.0 and scored["pass@k", 1] == pytest.approx(1 / 3)
    curve = {(row.measure, row.k): row for row in evaluation_rows(path, "sft", 3)}
    best, single = curve["best@k", 2], curve["pass@k", 1]
    assert (best.success, best.n, best.split, best.seed, best.stage) == (1, 2, "train", 3, "sft")
    assert single.success == pytest.approx(1 / 3) and single.n == 3
    taken = ExamplesConfig(
        runs=(str(path),), out=tmp_path / "set", held_out_suites=(), min_score=0.5,
        outcomes=("solved", "wrong", "truncated"),
    )  # fmt: skip
    card = make_examples(taken, tmp_path)
    assert card.rows == 2 and card.left_out["scored below min_score"] == 3
    kept = read_examples(tmp_path / "set" / "examples.jsonl")
    assert all(one.outcome == "solved" and (one.score or 0) > 0.5 for one in kept)
    row = VerifierScore(episode_id="e100x0", score=0.1, verifier="another")
    (path / SCORES).write_text(f"{row.model_dump_json()}\n")
    assert score(config) == 5, "scores of another verifier make room"
    with pytest.raises(InputError, match="the verifier cannot be loaded"):
        load_verifier(path)


async def test_a_live_attempt_gets_the_score_of_its_transcript(
    verifier: Path, tmp_path: Path
) -> None:
    loaded = load_verifier(verifier, "cpu")
    episode = attempt(100, 0, 8)
    path = run_of(tmp_path / "run", [episode])
    score(VerifierScoresConfig(verifier=verifier, runs=(str(path),), device="cpu"))
    live = await loaded.score(Conversation(episode.task, OPENING, episode.turns))
    assert live.score == pytest.approx(load_run(path).episodes["verifier_score"][0], abs=1e-6)
    silent = attempt(100, 0, None)
    nothing = await loaded.score(Conversation(episode.task, OPENING, silent.turns))
    assert nothing.score == 0.0
    named = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text())
    place = named["project"]["entry-points"]["benchside.verifiers"]["trained"]
    module, _, function = place.partition(":")
    assert getattr(import_module(module), function)(str(verifier)).name == f"trained:{verifier}"


def test_a_verifier_of_an_earlier_version_is_refused(verifier: Path, tmp_path: Path) -> None:
    told = json.loads((verifier / "verifier.json").read_text())
    del told["scale"]
    (tmp_path / "verifier.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match=r"not of this version[\s\S]*train the verifier again"):
        load_verifier(tmp_path)


def test_what_it_must_not_score_is_refused(verifier: Path, tmp_path: Path) -> None:
    def refused(message: str, *episodes: Episode) -> None:
        path = run_of(tmp_path / str(len(list(tmp_path.iterdir()))), episodes)
        with pytest.raises(InputError, match=message):
            score(VerifierScoresConfig(verifier=verifier, runs=(str(path),), device="cpu"))
        assert not (path / SCORES).exists()

    trained = next(
        number for number in range(20)
        if f"wards/t/{number}" in load_verifier(verifier, "cpu").record.trained_on
    )  # fmt: skip
    refused("trained on 1 of these tasks", attempt(100, 0, 8), attempt(trained, 0, 8))
    other_limits = attempt(trained, 0, 8)  # another hash, the same task
    task = other_limits.task.model_copy(update={"version": "2"})
    task = type(task).model_validate(task.model_dump())
    refused("trained on 1", other_limits.model_copy(update={"task": task}))
    oracle = attempt(100, 0, 8).model_copy(update={"feedback": "oracle"})
    refused("tell whether answers were right", oracle)


def test_data_of_one_outcome_are_refused_before_anything_is_written(
    base: Path, examples: Path, tmp_path: Path
) -> None:
    solved = [one for one in read_examples(examples) if one.outcome == "solved"]
    path = tmp_path / "solved.jsonl"
    path.write_text("".join(f"{one.model_dump_json()}\n" for one in solved))
    config = config_of(base, path, tmp_path / "out")
    with pytest.raises(InputError, match=r"none or all have solved[\s\S]*20 groups"):
        train(config)
    assert not (tmp_path / "out").exists()


def stop_after(step: int) -> Callable[[MetricsRow], None]:
    def stop(row: MetricsRow) -> None:
        if row.step == step:
            raise KeyboardInterrupt

    return stop


@pytest.mark.slow
def test_a_training_goes_on_exactly_and_adapters_are_loaded(
    base: Path, examples: Path, tmp_path: Path
) -> None:
    asked = {"max_steps": 3, "save_every": 1, "lora": Lora(rank=2)}
    whole = train(config_of(base, examples, tmp_path / "whole", **asked))
    parts = config_of(base, examples, tmp_path / "parts", **asked)
    with pytest.raises(KeyboardInterrupt):
        train(parts, stop_after(1))
    resumed = train(parts.model_copy(update={"resume": True}))
    attempts = [attempt_of(example_of(attempt(100, 0, 8), "r"))]
    assert (whole / "adapter_config.json").is_file()
    first, second = (load_verifier(one, "cpu").probabilities(attempts) for one in (whole, resumed))
    assert first == second
    record = load_verifier(whole, "cpu").record
    loaded = load_base(str(base), "float32")
    rows = Shown(loaded.tokenizer, loaded.stop_ids, 4096).rows(attempts[0])
    with torch.no_grad():
        before = record.scale.logits(mean_logprobs(loaded.model, attempts_batch([rows], 0)))
    assert first != pytest.approx(torch.sigmoid(before / record.temperature).tolist(), rel=1e-3)
    assert load_curves(whole.parent).metrics["step"].tolist() == [0, 1, 2]
