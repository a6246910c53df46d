"""Suites by Gymnasium's own client code: make, its checker, vector environments."""

from pathlib import Path

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env

from benchside import load_run
from benchside.errors import InputError
from benchside.library import Suite
from benchside.serving import gym_env


@pytest.fixture(autouse=True)
def _own_home(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCHSIDE_HOME", str(suite.home))


def test_an_episode_through_gymnasium_and_its_checker(suite: Suite, tmp_path: Path) -> None:
    env = gymnasium.make("benchside/power-v0", out=tmp_path, limit=3, policy="mine")
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step("1")
    shown, info = env.reset(seed=5)
    assert shown in env.observation_space
    task = suite.task(info["task_id"])
    assert " ".join(task.prompt.split()[:5]) in " ".join(shown.split())
    assert env.reset(seed=5) == (shown, info)
    assert env.step("x = 20; print('\N{GRINNING FACE}', x + 3)") == (
        "\N{REPLACEMENT CHARACTER} 23", 0.0, False, False, {"status": "ok"},
    )  # fmt: skip

    _, info = env.reset(options={"task_id": task.task_id})
    *_, last = [env.step(cell) for cell in suite.answer_key(task.task_id).solution]
    assert last[1:4] == (1.0, True, False)
    assert last[4]["outcome"] == "solved"
    assert Path(last[4]["transcript"]).is_file()
    with pytest.raises(InputError, match="no episode is running"):
        env.step("1")

    env.reset(options={"task_id": task.task_id})
    steps = [env.step("1") for _ in range(task.limits.max_turns)]
    assert [step[2:4] for step in steps[-2:]] == [(False, False), (False, True)]

    check_env(env.unwrapped, skip_close_check=True)
    env.close()
    env.close()
    run = load_run(str(tmp_path / "*"))
    assert set(run.episodes.policy) == {"mine"}
    assert {"solved", "truncated", "infrastructure_error"} <= set(run.episodes.outcome)
    assert not run.defects
    assert not gym_env._OPEN


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_vector_environments(suite: Suite, tmp_path: Path, mode: str) -> None:
    envs = gymnasium.make_vec(
        "benchside/power-v0", num_envs=2, vectorization_mode=mode, out=tmp_path, limit=2,
        vector_kwargs={"shared_memory": False} if mode == "async" else None,
    )  # fmt: skip
    shown, _ = envs.reset(seed=3)
    assert ["Call run_cell to run code" in text for text in shown] == [True, True]
    shown, rewards, ended, cut, _ = envs.step(("x = 1", "submit(-7)"))
    assert (list(rewards), list(ended), list(cut)) == ([0.0, 0.0], [False, True], [False, False])
    assert shown[1].startswith("Submitted: -7")
    shown, *_ = envs.step(("print(x)", "reset by this step"))
    assert shown[0] == "1"  # each has a kernel of its own
    assert "Call run_cell to run code" in shown[1]  # the next episode's opening
    envs.close()
    assert len(load_run(str(tmp_path / "*")).episodes) >= 3
