"""Evaluations from a file: what is asked, limits, budgets, servers that are busy."""

import asyncio
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import benchside
from benchside.budget import Ledger
from benchside.commands import RunRequest, run_suites
from benchside.episode import UNSCORED
from benchside.errors import InputError, ServerDownError
from benchside.evaluation import Budget, Evaluation, read_evaluation
from benchside.library import Suite
from benchside.policies.fault import status_fault
from benchside.policies.options import PolicyOptions
from benchside.policies.provider import Provider, Providers
from benchside.regrade import regrade
from benchside.store import RunFolder
from benchside_kernels.makers import open_kernels
from tests.workbench.chat_server import ChatServer, call, status

SUBMIT = call(("submit", {"value": 1}))  # 11 tokens in, 7 out


async def evaluate(home: Path, out: Path, *, resume: bool = False, **asked: object) -> str:
    """Run an evaluation; what it said."""
    said = io.StringIO()
    evaluation = Evaluation.model_validate(asked)
    await run_suites(RunRequest(evaluation, out, resume), home, Console(file=said, width=200))
    return said.getvalue()


def test_a_file_says_it_all(tmp_path: Path) -> None:
    path = tmp_path / "first.yaml"
    path.write_text(
        "suites: [cohorts, {name: power, split: test, limit: 50}]\n"
        "policies: [reference, {policy: 'openai:m', base_url: 'http://h/v1', temperature: 0.5}]\n"
        "samples: 4\nlimits: {max_turns: 3}\nbudget: {tokens: 1000}\n"
    )
    found = read_evaluation(path)
    assert [(one.name, one.limit) for one in found.suites] == [("cohorts", None), ("power", 50)]
    assert found.policies[1].options == PolicyOptions(base_url="http://h/v1", temperature=0.5)
    assert (found.samples, found.limits.max_turns, found.budget.tokens) == (4, 3, 1000)


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("suites: [power]\n", ["policies", "Field required"]),
        ("suites: []\npolicies: [reference]\n", ["suites"]),
        ("suites: [power]\npolicies: [reference]\nsample: 3\n", ["sample", "3"]),
        ("suites: [power, power]\npolicies: [reference]\n", ["power is listed twice"]),
        ("suites: [power]\npolicies: [reference]\nlimits: {max_turns: 0}\n", ["limits.max_turns"]),
        ("suites: [power]\npolicies: [reference]\nlimits: {turns: 9}\n", ["limits.turns"]),
        ("suites: [power]\npolicies: ['openai:m']\nbudget: {usd: 1}\n", ["openai:m", "prices"]),
        ("suites: [power\n", ["line 2"]),
    ],
)
def test_a_mistake_names_file_and_field(tmp_path: Path, text: str, phrases: list[str]) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_evaluation(path)
    for phrase in ["wrong.yaml", *phrases]:
        assert phrase in str(caught.value)


def test_limits_make_another_task(suite: Suite) -> None:
    task = suite.tasks[0]
    before = task.hash
    asked = {"suites": ["power"], "policies": ["reference"]}
    limited = Evaluation.model_validate({**asked, "limits": {"max_turns": 2}}).limited(task)
    assert limited.limits.max_turns == 2
    assert limited.limits.cell_timeout_s == task.limits.cell_timeout_s
    assert limited.hash != before
    assert Evaluation.model_validate(asked).limited(task).hash == before


async def test_limits_and_budget_in_a_run(home: Path, suite: Suite, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with ChatServer(SUBMIT) as server:
        policy = {
            "policy": "openai:m", "base_url": server.url, "usd_per_million_input_tokens": 1_000,
            "usd_per_million_output_tokens": 2_000,
        }  # fmt: skip
        asked = {
            "suites": [{"name": "power", "limit": 4}], "policies": [policy], "parallel": 1,
            "limits": {"max_turns": 1},
        }  # fmt: skip
        said = await evaluate(home, out, **asked, budget={"tokens": 19})
        assert "the budget is spent (36 of 19 tokens): 2 episodes were not finished" in said
        said = await evaluate(home, out, resume=True, **asked, budget={"tokens": 36})
        assert "36 of 36 tokens): 2 episodes" in said
        assert len(benchside.load_run(out).episodes) == 2
        said = await evaluate(home, out, resume=True, **asked, budget={"usd": 1})
        assert "the budget is spent" not in said
        with pytest.raises(InputError, match="other limits"):
            await evaluate(home, out, resume=True, **asked | {"limits": {}})
    episodes = benchside.load_run(out).episodes
    assert len(episodes) == 4
    assert episodes.cost_usd.tolist() == pytest.approx([0.025] * 4)
    async with open_kernels() as maker:
        graded = [one async for one in regrade(RunFolder(out), home, maker)]
    assert not any(one.changed for one in graded), "limits of the run do not hinder grading"


@pytest.mark.parametrize(
    ("options", "phrase"),
    [({"store": "memory://x"}, "give --engine ray"), ({"engine": "ray", "keep_s": 60.0}, "--keep")],
)
async def test_options_of_the_other_engine_are_refused(
    home: Path, suite: Suite, tmp_path: Path, options: dict[str, Any], phrase: str
) -> None:
    asked = Evaluation.model_validate({"suites": [suite.name], "policies": ["do-nothing"]})
    request = RunRequest(asked, tmp_path / "run", **options)
    with pytest.raises(InputError, match=phrase):
        await run_suites(request, home, Console(file=io.StringIO()))
    assert not (tmp_path / "run" / "run.json").exists()


async def test_a_run_stops_at_its_budget_to_within_one_call_of_each_worker(
    home: Path, suite: Suite, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    cell = call(("run_cell", {"code": "1"}))  # 18 tokens
    asked = {"suites": [{"name": "power", "limit": 4}], "limits": {"max_turns": 5}, "parallel": 2}
    with ChatServer(cell) as server:
        asked["policies"] = [{"policy": "openai:m", "base_url": server.url}]
        said = await evaluate(home, out, **asked, budget={"tokens": 60})
        asked_first = len(server.requests) - 1  # without the check
        assert "4 episodes were not finished" in said
        assert asked_first in (4, 5), "60 tokens are 3.3 calls, and one more of the other worker"
        assert not RunFolder(out).rows(), "what the budget cut short is neither wrong nor truncated"
        said = await evaluate(home, out, resume=True, **asked, budget={"tokens": 10_000})
        assert "the budget is spent" not in said
    rows = RunFolder(out).rows().values()
    assert [(row.end_reason, row.turns) for row in rows] == [("max_turns", 5)] * 4
    spent = Ledger(Budget(tokens=10_000), RunFolder(out)).tokens
    assert spent == 18 * (asked_first + 4 * 5), "what was cut short has been spent, too"


async def test_a_server_that_stays_down_ends_the_run_and_costs_no_episode(
    home: Path, suite: Suite, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    asked: dict[str, object] = {"suites": [{"name": "power", "limit": 3}], "parallel": 2}
    with ChatServer(SUBMIT, SUBMIT, status(500)) as server:
        policy = {
            "policy": "openai:m", "base_url": server.url, "backoff_s": 0.001,
            "max_retries": 50, "max_downtime_s": 0.01,
        }  # fmt: skip
        asked["policies"] = [policy]
        with pytest.raises(ServerDownError, match="given up after"):
            await evaluate(home, out, **asked)
        assert len(RunFolder(out).rows()) <= 1
        server.script = [SUBMIT]
        await evaluate(home, out, resume=True, **asked)
    rows = RunFolder(out).rows().values()
    assert len(rows) == 3 and not any(row.outcome in UNSCORED for row in rows)


def test_what_was_interrupted_has_been_spent_too(finished_run: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    (tmp_path / "interrupted").mkdir()
    row = json.loads((finished_run / "episodes.jsonl").read_text().splitlines()[0])
    row |= {"input_tokens": 100, "output_tokens": 20, "cost_usd": 0.5}
    again = row | {"duration_s": row["duration_s"] + 1}  # both have cost
    regraded = again | {"outcome": "wrong"}  # has not
    folder.rows_path.write_text("".join(f"{json.dumps(one)}\n" for one in (row, again, regraded)))
    usage = {"input_tokens": 5, "output_tokens": 1, "cost_usd": 0.25}
    turn = {"turn": {"action": {"usage": usage}}}
    log = tmp_path / "interrupted" / "id.0.jsonl"
    log.write_text(f"{json.dumps(turn)}\n{json.dumps(turn)[:30]}")
    ledger = Ledger(Budget(tokens=246, usd=2), folder)
    assert (ledger.tokens, ledger.usd) == (246, 1.25)
    assert ledger.spent == "246 of 246 tokens"
    assert Ledger(Budget(tokens=247, usd=1.25), folder).spent == "1.25 of 1.25 US dollars"
    assert Ledger(Budget(tokens=247, usd=2), folder).spent is None


def test_an_episode_is_counted_once_when_a_crash_came_right_after_its_row(
    finished_run: Path, tmp_path: Path
) -> None:
    folder = RunFolder(shutil.copytree(finished_run, tmp_path / "run"))
    first, second, third = list(folder.rows())[:3]
    for episode_id in (first, second, third):
        for turn in folder.episode(episode_id).turns:
            folder.append_turn(episode_id, turn)
    with (folder.path / "turns" / f"{second}.jsonl").open("a") as log:
        log.write("{}\n")  # of another attempt: it has one turn more
    changed = folder.transcript_path(third)
    changed.write_bytes(changed.read_bytes() + b"\n")  # the row of this transcript is not written
    folder.start(folder.config(), resume=True)
    kept = {path.name.partition(".")[0] for path in (folder.path / "interrupted").iterdir()}
    assert kept == {second, third}
    assert not list((folder.path / "turns").iterdir())


async def test_a_busy_server_is_asked_less_and_then_more_again() -> None:
    provider = Provider()
    provider.tighten(PolicyOptions(max_concurrent_requests=8))
    most = 0

    async def ask() -> None:
        nonlocal most
        async with provider.slot():
            most = max(most, provider.open)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for _ in range(30):
            group.create_task(ask())
    assert most == 8
    async with provider.slot(), provider.slot(), provider.slot(), provider.slot():
        provider.answered(status_fault(429, {}, ""))
        provider.answered(status_fault(429, {}, ""))  # of the same moment: the same refusal
    assert provider.allowed == 2
    most = 0
    async with asyncio.TaskGroup() as group:
        for _ in range(30):
            group.create_task(ask())
    assert most == 2
    for _ in range(100):
        provider.answered(None)
    assert provider.allowed == 8
    provider.answered(status_fault(400, {}, ""))
    assert provider.allowed == 8


async def test_a_waiting_request_that_is_cancelled_takes_no_slot() -> None:
    provider = Provider()
    provider.tighten(PolicyOptions(max_concurrent_requests=1))
    async with provider.slot():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), provider.slot():
                pass
    assert provider.open == 0
    async with asyncio.timeout(10), provider.slot():
        assert provider.open == 1


def test_policies_at_one_server_share_the_tightest_limits() -> None:
    providers = Providers()
    shared = providers.at("http://h/v1")
    assert providers.at("http://h/v1/") is shared
    assert providers.at("http://other/v1") is not shared
    shared.tighten(PolicyOptions(max_concurrent_requests=5))
    shared.tighten(PolicyOptions(max_concurrent_requests=9))
    assert shared.allowed == 5
