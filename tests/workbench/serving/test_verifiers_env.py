"""The environment by verifiers' own client, against a real server of chat completions."""

import json
import math
from pathlib import Path

import pytest

from benchside.library import Suite
from benchside.policy import Action
from benchside.serving.driven import DrivenEpisode, Step
from benchside.store import RunFolder
from tests.workbench.chat_server import ChatServer, call, say, status

vf = pytest.importorskip("verifiers", reason="verifiers is not installed")
pytestmark = pytest.mark.filterwarnings("default")  # what verifiers warns of is its own matter


@pytest.fixture(autouse=True)
def _own_home(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCHSIDE_HOME", str(suite.home))
    monkeypatch.setenv("NO_KEY", "none")


async def test_rollouts_are_graded_episodes(suite: Suite, tmp_path: Path) -> None:
    env = vf.load_environment("benchside", suite="power", limit=1, out=str(tmp_path / "run"))
    (row,) = env.get_eval_dataset()
    assert not row["answer"]
    task_id = row["info"]["task_id"]
    cells = suite.answer_key(task_id).solution
    script = [call(("run_cell", {"code": cell})) for cell in cells]

    async def rewards(*steps, retries: int = 0) -> list[float]:
        with ChatServer(*steps) as server:
            config = vf.ClientConfig(api_base_url=server.url, api_key_var="NO_KEY", max_retries=0)
            done = await env.evaluate(config, "m", num_examples=1, max_retries=retries)
            assert all(
                {tool["function"]["name"] for tool in request.body["tools"]}
                == {"run_cell", "submit"}
                for request in server.requests
            )
        return [output["reward"] for output in done["outputs"]]

    assert await rewards(say("Let me think."), call(("run_cell", "broken")), *script) == [1.0]
    assert await rewards(call(("submit", {"value": -3}))) == [0.0]
    (lost,) = await rewards(status(500))
    assert math.isnan(lost)  # the server's fault is no score
    await env._teardown()
    rows = list(RunFolder(tmp_path / "run").all_rows())
    assert [(row.outcome, row.sample) for row in rows] == [
        ("solved", 0), ("wrong", 1), ("infrastructure_error", 2),
    ]  # fmt: skip
    assert rows[0].turns == 2 + len(cells)
    gold = json.dumps(suite.answer_key(task_id).value)
    assert gold not in json.dumps(row["info"])


async def test_what_fails_is_run_again_or_no_number_and_what_verifiers_stops_is_scored(
    suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = vf.load_environment("benchside", suite="power", limit=1, out=str(tmp_path / "run"))
    take = DrivenEpisode.step
    losing = [True]

    async def lost_once(self: DrivenEpisode, action: Action) -> Step:
        if losing.pop():
            await self.leave()
        losing.append(False)
        return await take(self, action)

    monkeypatch.setattr(DrivenEpisode, "step", lost_once)

    async def outputs(*steps, retries: int = 0):
        with ChatServer(*steps) as server:
            config = vf.ClientConfig(api_base_url=server.url, api_key_var="NO_KEY", max_retries=0)
            done = await env.evaluate(config, "m", num_examples=1, max_retries=retries)
        (output,) = done["outputs"]
        return output

    submission = call(("submit", {"value": -3}))
    lost = await outputs(submission)
    assert math.isnan(lost["reward"]) and "SandboxError" in json.dumps(lost["error"])
    losing[:] = [True]
    again = await outputs(submission, retries=1)
    assert (again["reward"], again["error"]) == (0.0, None)
    too_long = await outputs(status(400, "This model's maximum context length is 9 tokens."))
    assert (too_long["reward"], too_long["stop_condition"]) == (0.0, "prompt_too_long")
    await env._teardown()
    folder = RunFolder(tmp_path / "run")
    with folder.lock():  # no desk is open
        outcomes = [row.outcome for row in folder.all_rows()]
    assert outcomes == [
        "infrastructure_error", "infrastructure_error", "wrong", "policy_error",
    ]  # fmt: skip
