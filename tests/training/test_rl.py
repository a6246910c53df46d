"""The loop of reinforcement learning over real kernels, with a tiny random model."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from transformers import AutoModelForCausalLM

from benchside.curves import MetricsRow, load_curves
from benchside.episode import Episode, Fork
from benchside.library import prepare
from benchside.runs import load_run
from benchside.transcript import read_transcript
from benchside_kernels.sandbox import sandbox_problem
from benchside_training.rl import RlConfig, main
from tests.training.families import tokenizer_of
from tests.training.tiny import tiny_llama


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    prepare("power", folder, size=8)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    tokenizer = tokenizer_of("qwen")
    model = tiny_llama(vocabulary=len(tokenizer), context=16384)
    model.config.eos_token_id = model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def low_ids(episode: Episode) -> float | None:
    """The share of sampled ids below 130: what a random model can learn without solving a task."""
    ids = [
        id_
        for turn in episode.turns
        if turn.action.tokens
        for id_ in turn.action.tokens.sampled_ids
    ]
    return sum(id_ < 130 for id_ in ids) / len(ids)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(AutoModelForCausalLM.from_pretrained(folder).state_dict())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_rl_learns_from_recorded_tokens_and_goes_on_exactly(
    base: Path, home: Path, tmp_path: Path
) -> None:
    def config(name: str, **changes: object) -> RlConfig:
        return RlConfig.model_validate(
            {
                "model": str(base), "out": tmp_path / name, "suites": ["power"], "steps": 2,
                "tasks": 2, "samples": 2, "learning_rate": 1e-3, "max_tokens": 8, "parallel": 1,
                "limits": {"max_turns": 2}, "save_every": 1, "update": {"max_tokens": 2},
                "device": "cpu", **changes,
            }
        )  # fmt: skip

    def stop(row: MetricsRow) -> None:
        if row.step == 0:  # its checkpoint has been written
            raise KeyboardInterrupt

    whole = main(config("whole"), reward=low_ids, home=home)
    with pytest.raises(KeyboardInterrupt):
        main(config("parted"), stop, reward=low_ids, home=home)
    assert not (tmp_path / "parted" / "model").exists()
    resumed = main(config("parted", resume=True), reward=low_ids, home=home)
    first, second, before = weights(whole), weights(resumed), weights(base)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], before[name]) for name in first)
    rows = load_curves(tmp_path / "parted").metrics
    assert rows["step"].tolist() == [0, 1]
    assert (rows["tokens"] > 0).all() and (rows["input_tokens"] > rows["tokens"]).all()
    assert (rows["episodes"] == 4).all() and (rows["training_seconds"] < rows["seconds"]).all()
    rollouts = load_run(tmp_path / "whole" / "rollouts" / "step-00001").episodes
    assert len(rollouts) == 4
    # all of them run out of turns: masked, they train nothing
    masked = main(config("masked", mask_truncated=True), reward=low_ids, home=home)
    assert all(torch.equal(one, before[name]) for name, one in weights(masked).items())
    rows = load_curves(tmp_path / "masked").metrics
    assert (rows["tokens"] == 0).all() and (rows["groups"] > rows["without_signal"]).any()
    # graded, none of these episodes has solved anything: no signal, and nothing is learned
    held_out = {"every": 2, "split": "train", "tasks": 2}
    ahead = config("ahead", max_staleness=1, held_out=held_out)
    silent = main(ahead, home=home)
    assert all(torch.equal(one, before[name]) for name, one in weights(silent).items())
    curves = load_curves(tmp_path / "ahead")
    for row in curves.metrics.itertuples():
        assert (row.tokens, row.reward_mean, row.reward_correct) == (0, 0, 0)
        assert (row.groups, row.without_signal, row.unscored, row.stale) == (2, 2, 0, 0)
    (measured,) = curves.evaluations.itertuples()
    assert (measured.suite, measured.n, measured.success, measured.step) == ("power", 2, 0, 2)
    assert 0 < measured.high < 1
    assert list((tmp_path / "ahead" / "tensorboard").glob("events*"))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_branches_are_played_from_copies_and_learned_from(
    base: Path, home: Path, tmp_path: Path
) -> None:
    if problem := sandbox_problem():
        pytest.skip(problem)
    asked = {
        "model": str(base), "out": tmp_path / "out", "suites": ["power"], "steps": 1, "tasks": 1,
        "samples": 4, "branch": {"at": 1, "continuations": 2}, "learning_rate": 1e-3,
        "max_tokens": 8, "parallel": 2, "limits": {"max_turns": 2}, "device": "cpu",
    }  # fmt: skip
    rows: list[MetricsRow] = []
    main(RlConfig.model_validate(asked), rows.append, reward=low_ids, home=home)
    folder = tmp_path / "out" / "rollouts" / "step-00000" / "episodes"
    episodes = sorted(map(read_transcript, folder.glob("*.ipynb")), key=lambda one: one.sample)
    forks = [one.fork for one in episodes]
    assert forks[0] == forks[1] == Fork(stem=episodes[0].episode_id, turn=1)
    assert forks[2] == forks[3] == Fork(stem=episodes[2].episode_id, turn=1)
    for stem, other in (episodes[:2], episodes[2:]):
        assert stem.turns[0].action.tokens == other.turns[0].action.tokens
        assert stem.turns[1].action.tokens != other.turns[1].action.tokens
    assert rows[0].groups == 3  # two of siblings, one of stems
    with pytest.raises(ValidationError, match=r"samples \(3\) must be a multiple of .* \(2\)"):
        RlConfig.model_validate({**asked, "samples": 3})
