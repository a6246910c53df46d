"""The memoriser answers from training tasks alone, and its score stands beside others."""

from __future__ import annotations

import asyncio
import dataclasses
import io
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

import benchside
from benchside.commands import RunRequest, run_suites
from benchside.errors import InputError
from benchside.evaluation import Evaluation
from benchside.library import Suite
from benchside.policies import Memory, make_policy
from benchside.policy import Conversation
from benchside.statistics import scores
from benchside.statistics.step_costs import step_costs
from tests.workbench.chat_server import ChatServer, call, say


def test_the_nearest_training_task_is_never_the_task_itself_nor_of_its_group(suite: Suite) -> None:
    memory = Memory({suite.name: suite})
    for task in list(suite.tasks)[:12]:
        found = memory.nearest(task)
        assert found is not None
        near = suite.task(found[0])
        assert near.split == "train"
        assert task.split != "train" or near.group != task.group
        assert found[1] == suite.answer_key(near.task_id).value
    train = next(task for task in suite.tasks if task.split == "train")
    asked = train.model_copy(update={"split": "test", "task_id": "new"})
    assert memory.nearest(asked) == (train.task_id, suite.answer_key(train.task_id).value)


async def test_it_submits_what_it_remembers_and_names_the_task(suite: Suite) -> None:
    policy = make_policy("memoriser", memory=Memory({suite.name: suite}))
    action = await policy.act(Conversation(suite.tasks[0], (), ()))
    assert action.code is not None and action.code.startswith("submit(")
    assert suite.task(action.thought.removeprefix("As in ").removesuffix("."))
    with pytest.raises(InputError, match="needs training tasks"):
        make_policy("memoriser")


@pytest.mark.slow
def test_its_score_and_the_cost_of_each_step_stand_in_a_run(
    home: Path, suite: Suite, tmp_path: Path
) -> None:
    script = [say("ok"), say("1. Guess."), call(("submit", {"value": -1}))]
    with ChatServer(*script) as server:
        asked = Evaluation.model_validate(
            {
                "suites": [{"name": "power", "limit": 1}],
                "policies": [
                    "memoriser",
                    {
                        "policy": "plan(openai:m)", "base_url": server.url,
                        "usd_per_million_input_tokens": 1e6, "usd_per_million_output_tokens": 0,
                    },
                ],
                "parallel": 1,
            }
        )  # fmt: skip
        request = RunRequest(asked, tmp_path / "run")
        asyncio.run(run_suites(request, home, Console(file=io.StringIO())))
    run = benchside.load_run(tmp_path / "run")
    assert run.calls[["step", "reply", "input_tokens"]].values.tolist() == [
        ["plan", "1. Guess.", 11]
    ]
    costs = step_costs(run).set_index(["policy", "step"])
    assert costs.loc[("plan(openai:m)", "plan"), "cost_usd"] == pytest.approx(11)
    assert costs.loc[("plan(openai:m)", "act"), "cost_usd"] == pytest.approx(11)
    assert pd.isna(costs.loc[("memoriser", "act"), "cost_usd"]), "not measured is not 0"
    assert run.sql("select count(*) as n from calls")["n"].tolist() == [1]
    other = run.episodes.assign(
        policy=run.episodes.policy.replace({"memoriser": "blind:m"}), outcome="solved"
    )
    both = pd.concat([run.episodes, other[other.policy == "blind:m"]], ignore_index=True)
    found = scores(dataclasses.replace(run, episodes=both))
    beside = found[found.policy == "plan(openai:m)"].set_index("measure")
    assert beside.loc["memorised", "n"] == 1
    assert beside.loc["contamination", "value"] == 1.0, "of the model within the scaffold"
    assert "floor" not in beside.index
