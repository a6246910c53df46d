"""Scaffolds over a real server and in real kernels: what they ask, show, record and submit."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from benchside.batch import assign, run_on
from benchside.engines.local import LocalEngine
from benchside.episode import Episode
from benchside.errors import InfrastructureError, InputError
from benchside.evaluation import Budget
from benchside.library import Suite
from benchside.policies import SCAFFOLD_FORMS, PolicyOptions, make_policy
from benchside.policy import Conversation
from benchside.protocol import opening_messages
from benchside.provenance import provenance
from benchside.rollout import run_episode
from benchside.store import RunConfig, RunFolder
from benchside.task import Limits
from benchside.transcript import from_notebook, to_notebook
from benchside_kernels.backend import KernelMaker
from benchside_kernels.makers import open_kernels
from tests.workbench.chat_server import ChatServer, Step, call, say, status
from tests.workbench.protocols.test_forms import TASK

pytestmark = pytest.mark.asyncio(loop_scope="module")
START = Conversation(TASK, opening_messages(TASK, "df: a table"), ())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def maker() -> AsyncIterator[KernelMaker]:
    async with open_kernels() as opened:
        yield opened


@contextlib.asynccontextmanager
async def policy_for(url: str, spec: str, **options: Any) -> AsyncIterator[Any]:
    prices = {"usd_per_million_input_tokens": 1e6, "usd_per_million_output_tokens": 0}
    settings = {"base_url": url, "max_retries": 0, **prices, **options}
    policy = make_policy(spec, PolicyOptions(**settings))
    async with contextlib.aclosing(policy):
        yield policy


async def played(
    suite: Suite, maker: KernelMaker, spec: str, *script: Step, turns: int = 15, **options: Any
) -> tuple[Episode, ChatServer]:
    task = suite.tasks[0].model_copy(update={"limits": Limits(max_turns=turns)})
    with ChatServer(*script) as server:
        async with policy_for(server.url, spec, **options) as policy:
            [assignment] = assign([(suite, [task])], [policy], 1, 0)
            episode = await run_episode(assignment, provenance(7, maker.isolation), maker=maker)
    assert episode.failure is None, episode.failure
    assert from_notebook(to_notebook(episode)) == episode
    spent = [turn.action.usage.requests or 0 for turn in episode.turns]
    assert sum(spent) == episode.usage.requests == len(server.requests)
    assert episode.usage.cost_usd == pytest.approx(11 * len(server.requests)), "11 tokens each"
    return episode, server


@pytest.mark.parametrize(
    ("fault", "outcome"), [(400, "policy_error"), (500, "infrastructure_error")]
)
async def test_calls_before_an_action_that_fails_are_paid_for(
    suite: Suite, maker: KernelMaker, tmp_path: Path, fault: int, outcome: str
) -> None:
    folder = RunFolder(tmp_path / "run")
    config = RunConfig(suites=(), policies={}, samples=1, seed=0, provenance={})
    folder.start(config, resume=False)
    engine = LocalEngine(maker, provenance(7, maker.isolation), (), folder.put)
    with ChatServer(say("1. Add."), status(fault), say("1. Add."), status(fault)) as server:
        async with policy_for(server.url, "plan(openai:m)") as policy:
            assigned = assign([(suite, suite.tasks[:9])], [policy], 1, 0)
            attempts = 1 if fault == 400 else 2  # of one episode
            spent = await run_on(
                engine, assigned, folder, parallel=1, budget=Budget(tokens=18 * attempts)
            )
    assert spent is not None and "tokens" in spent, "failed calls count towards the budget"
    (row,) = folder.all_rows()
    assert (row.outcome, row.turns) == (outcome, 0)
    assert (row.requests, row.input_tokens, row.output_tokens, row.cost_usd) == (2, 11, 7, 11)
    assert len(server.requests) == 2 * attempts


def steps(episode: Episode) -> list[list[str]]:
    return [[call.step for call in turn.action.calls] for turn in episode.turns]


def asked(server: ChatServer, place: int) -> str:
    return "\n".join(str(one["content"]) for one in server.bodies[place]["messages"])


RUN, SUBMIT = call(("run_cell", {"code": "x = 40 + 2\nx"})), call(("submit", {"value": 42}))


async def test_a_plan_is_made_once_and_stands_below_the_question(
    suite: Suite, maker: KernelMaker
) -> None:
    episode, server = await played(suite, maker, "plan(openai:m)", say("1. Add."), RUN, SUBMIT)
    assert episode.policy == "plan(openai:m)"
    assert steps(episode) == [["plan"], []]
    assert "tools" not in server.bodies[0] and "tools" in server.bodies[1]
    assert "devise a plan" in asked(server, 0) and suite.tasks[0].prompt in asked(server, 0)
    for place in (1, 2):
        roles = [one["role"] for one in server.bodies[place]["messages"]]
        assert roles[:2] == ["system", "user"] and roles.count("user") == 1
        assert "Plan:\n1. Add." in asked(server, place)
    [plan] = episode.turns[0].action.calls
    assert (plan.reply, plan.usage.input_tokens) == ("1. Add.", 11)
    assert episode.turns[0].action.usage.input_tokens == 22


async def test_a_debugger_explains_each_cell_that_failed(suite: Suite, maker: KernelMaker) -> None:
    wrong = call(("run_cell", {"code": "1 / 0"}))
    script = [wrong, say("You divide by zero."), RUN, SUBMIT]
    episode, server = await played(suite, maker, "debug(openai:m, openai:second)", *script)
    assert steps(episode) == [[], ["debug"], []]
    assert [body["model"] for body in server.bodies] == ["m", "second", "m", "m"]
    assert "1 / 0" in asked(server, 1) and "ZeroDivisionError" in asked(server, 1)
    for place in (2, 3):
        tool = server.bodies[place]["messages"][3]
        assert tool["role"] == "tool"
        assert tool["content"].endswith("[A debugger says: You divide by zero.]")
    assert "debugger" not in str(episode.turns[0].observations), "the kernel did not say it"


async def test_passages_are_read_before_the_task(suite: Suite, maker: KernelMaker) -> None:
    script = [say("Power is …"), say("Alpha is …"), say("Effect is …"), SUBMIT]
    episode, server = await played(
        suite, maker, "read(openai:m, openai:writer, passages=3)", *script, seed=5
    )
    assert steps(episode) == [["passage"] * 3]
    passages = {call.reply for call in episode.turns[0].action.calls}
    assert passages == {"Power is …", "Alpha is …", "Effect is …"}
    assert sorted(body["seed"] for body in server.bodies[:3]) == [5, 6, 7], "each is drawn anew"
    assert "Passage 3: " in asked(server, 3) and "it may be wrong" in asked(server, 3)


async def test_a_panel_revises_its_report_until_all_agree(suite: Suite, maker: KernelMaker) -> None:
    script = [
        say("1. Biostatistics\n2. Cardiology\n3. Law"), say("I analyse."), say("I analyse."),
        say("First report."), say("NO"), say("No."), say("Mind the tails."), say("Mind the tails."),
        say("Second report."), say("YES"), say("YES"), SUBMIT,
    ]  # fmt: skip
    episode, server = await played(suite, maker, "panel(openai:m, experts=2, rounds=3)", *script)
    assert steps(episode) == [
        ["gather", "analyse", "analyse", "report", "vote", "vote", "advise", "advise", "revise",
         "vote", "vote"]
    ]  # fmt: skip
    assert "expert in Biostatistics" in asked(server, 1) + asked(server, 2)
    assert "Mind the tails." in asked(server, 8) and "First report." in asked(server, 8)
    assert "2 of 2 agree with it:\nSecond report." in asked(server, 11)
    stubborn = [say("Law"), say("I analyse."), say("Report."), say("NO"), SUBMIT]
    episode, server = await played(suite, maker, "panel(openai:m, experts=1, rounds=1)", *stubborn)
    assert "0 of 1 agree with it:\nReport." in asked(server, 4)


async def test_a_submission_without_evidence_is_held_back_once(
    suite: Suite, maker: KernelMaker
) -> None:
    script = [
        say("1. QUANTITATIVE: the mean."), SUBMIT, say("MISSING: 1. Compute the mean."),
        RUN, SUBMIT,
    ]  # fmt: skip
    episode, server = await played(suite, maker, "criteria(openai:m)", *script)
    assert steps(episode) == [["criteria", "evidence"], [], []]
    assert [turn.result is None for turn in episode.turns] == [True, False, False]
    assert "Compute the mean." in str(episode.turns[0].observations[0].content)
    assert episode.end_reason == "submitted" and episode.usage.malformed == 0
    assert episode.tools == ("request_info", "debug")
    assert "submit(42)" in asked(server, 2) and "QUANTITATIVE" in asked(server, 1)
    good = [say("1."), RUN, SUBMIT, say("COMPLETE")]
    episode, server = await played(suite, maker, "criteria(openai:m)", *good)
    assert steps(episode) == [["criteria"], ["evidence"]]
    assert "x = 40 + 2" in asked(server, 3), "the record of what was done"
    late, _ = await played(suite, maker, "criteria(openai:m)", say("1."), SUBMIT, turns=1)
    assert late.end_reason == "submitted", "there is no turn left to mend anything"


async def test_the_majority_of_independent_attempts_is_submitted(
    suite: Suite, maker: KernelMaker
) -> None:
    look = call(("run_cell", {"code": "'x' in globals()"}))
    date = call(("run_cell", {"code": "import datetime as dt\nsubmit(dt.date(2024, 2, 29))"}))
    script = [
        RUN, date,  # the first attempt
        call(("submit", {"value": 7})),
        look, look,  # has no turn left
        say("Done."), say("Done."),
        look, date,
    ]  # fmt: skip
    episode, server = await played(
        suite, maker, "consistency(openai:m, k=5)", *script, turns=2, seed=1
    )
    assert episode.task.limits.max_turns == 15
    assert episode.submission is not None
    assert episode.submission.value == {"$date": "2024-02-29"}
    assert "2 of 5 attempts" in episode.turns[-1].action.thought
    assert [body["seed"] for body in server.bodies] == [
        1, 2, 10_001, 20_001, 20_002, 30_001, 30_002, 40_001, 40_002,
    ], "each turn of each attempt is drawn anew"  # fmt: skip
    assert [len(body["messages"]) for body in server.bodies] == [2, 4, 2, 2, 4, 2, 4, 2, 4]
    assert "Limits: 2 turns" in asked(server, 0), "of each attempt"
    drafts = [turn.action.draft for turn in episode.turns]
    assert drafts[:3] == [True] * 3 and not drafts[-1]
    own = [turn.action.scaffolded for turn in episode.turns]
    assert own == [turn.action.asks is not None for turn in episode.turns[:-1]] + [True]
    asks = [turn.action.asks is not None for turn in episode.turns]
    assert asks == [False] * 5 + [True] + [False] * 2 + [True] + [False] * 3
    third = episode.turns[3].result
    assert third is not None and third.outputs[0]["data"]["text/plain"] == "False", "a fresh kernel"


async def test_a_verifier_chooses_the_best_of_several_attempts(
    suite: Suite, maker: KernelMaker
) -> None:
    script = [
        call(("submit", {"value": 1})), call(("submit", {"value": 2})),
        say("Fine. PROBABILITY: 85"), say("I cannot tell."),
    ]  # fmt: skip
    episode, server = await played(suite, maker, "best(openai:m, openai:judge, k=2)", *script)
    final = episode.turns[-1].action
    assert episode.submission is not None and episode.submission.value in (1, 2)
    assert [call.step for call in final.calls] == ["verify"] * 2
    assert "0.85" in final.thought and "0" in final.thought
    sure = next(one for one in final.calls if "85" in one.reply)
    assert f"submit({episode.submission.value})" in str(sure.prompt[0].content)
    assert [body["model"] for body in server.bodies] == ["m", "m", "judge", "judge"]
    nothing, _ = await played(suite, maker, "best(openai:m, k=2)", say("No."), turns=1)
    assert (nothing.end_reason, nothing.submission) == ("max_turns", None)


async def test_scaffolds_nest_and_plain_text_protocols_work_in_them(
    suite: Suite, maker: KernelMaker
) -> None:
    script = [
        say("1. Divide."), say("```python\n1 / 0\n```"), say("Do not."), say("```submit\n3\n```"),
    ]  # fmt: skip
    spec = "plan(debug(openai:m), openai:planner)"
    episode, server = await played(suite, maker, spec, *script, protocol="fenced")
    assert episode.policy == "plan(debug(openai:m[fenced]), openai:planner[fenced])"
    assert episode.protocol == "fenced"
    assert steps(episode) == [["plan"], ["debug"]]
    assert not any("tools" in body for body in server.bodies)
    assert episode.submission is not None and episode.submission.value == 3


async def test_a_failing_server_is_no_fault_of_the_policy() -> None:
    for spec in ("plan(openai:m)", "read(openai:m, passages=2)", "panel(openai:m)"):
        with ChatServer(status(500)) as server:
            async with policy_for(server.url, spec) as policy:
                with pytest.raises(InfrastructureError):
                    await policy.act(START)


async def test_strings_say_what_is_wrong_with_them() -> None:
    options = PolicyOptions(base_url="http://localhost:1/v1")
    for spec, words in [
        ("plann(openai:m)", r"did you mean plan\(POLICY"),
        ("plan()", "takes one or two policies"),
        ("consistency(openai:m, openai:n)", "takes one policy"),
        ("plan(openai:m, k=3)", "has no option k"),
        ("best(openai:m, k=1)", "k must be a whole number from 2 to 100"),
        ("best(openai:m, verifier=lost:x)", "no such verifier"),
        ("best(constant:1)", "best needs a model that judges"),
        ("plan(constant:1)", "asks a model for texts"),
        ("consistency(consistency(openai:m))", "attempts a task once"),
        ("plan(nobody:m)", "there is no such policy"),
    ]:
        with pytest.raises(InputError, match=words):
            make_policy(spec, options)
    parity = PolicyOptions(base_url=options.base_url, protocol="medagentgym", feedback="oracle")
    with pytest.raises(InputError, match="without an oracle"):
        make_policy("best(openai:m)", parity)
    for name, form in SCAFFOLD_FORMS.items():
        made = make_policy(f"{name}(openai:m)", options)
        assert made.name.startswith(f"{name}(openai:m") and form.startswith(f"{name}(POLICY")
        assert made.config["policy"] == name
        assert made.config["inner"]["model"] == "m"
        await made.aclose()
