"""All backends behind servers: each with its real client, on a real socket, in the same faults."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import traceback
from collections.abc import AsyncIterator
from typing import Any

import pytest

from benchside.errors import BenchsideError, InfrastructureError, InputError, PolicyError
from benchside.policies import PolicyOptions, ShippedPolicy, make_policy
from benchside.policies.openai_chat import OpenAIPolicy
from benchside.policy import Action, Conversation, Turn
from benchside.protocol import observation_messages, opening_messages
from benchside.task import AnswerSchema, GraderRef, TaskSpec
from tests.workbench.chat_server import BROKEN_JSON, DROP, HTML, SILENT, ChatServer, Step, status
from tests.workbench.policies.dialects import (
    ANTHROPIC,
    DIALECTS,
    GEMINI,
    Dialect,
    anthropic_message,
    gemini_content,
)

KEY = "sk-test-a1b2c3d4e5f6"
TASK = TaskSpec(
    task_id="t1", suite="s", version="1", category="c", split="test", group="g",
    prompt="How many rows has df?", image="i", answer=AnswerSchema(kind="integer"),
    grader=GraderRef(name="integer"),
)  # fmt: skip
START = Conversation(TASK, opening_messages(TASK, "df: a table"), ())

each_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda one: one.form)


@contextlib.asynccontextmanager
async def policy_of(
    dialect: Dialect, server: ChatServer, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> AsyncIterator[ShippedPolicy]:
    monkeypatch.setenv(dialect.variable, f"{KEY}\n")
    settings = {"backoff_s": 0.001, "max_retries": 2, "timeout_s": 30, **options}
    chosen = PolicyOptions(base_url=dialect.url(server), **settings)
    async with contextlib.aclosing(make_policy(f"{dialect.form}:m", chosen)) as policy:
        yield policy


async def converse(policy: ShippedPolicy, observed: list[str]) -> list[Action]:
    """Let a policy act, observe, and act again, for one observation more than there are."""
    turns: list[Turn] = []
    for text in [*observed, ""]:
        action = await policy.act(Conversation(TASK, START.opening, tuple(turns)))
        turns.append(Turn(action, None, observation_messages(action, action.problem or text)))
    return [turn.action for turn in turns]


@each_dialect
async def test_a_call_becomes_an_action_with_usage(
    dialect: Dialect, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = dialect.call(("run_cell", {"code": "len(df)"}), content="Count.")
    prices = {
        "usd_per_million_input_tokens": 1e6, "usd_per_million_output_tokens": 2e6,
        "usd_per_million_cached_tokens": 5e5,
    }  # fmt: skip
    with ChatServer(step) as server:
        async with policy_of(
            dialect, server, monkeypatch, temperature=0.5, max_tokens=99, **prices
        ) as policy:
            action = await policy.act(START)
        assert policy.config["base_url"] == dialect.url(server)
    assert (policy.name, policy.config["model"]) == (f"{dialect.form}:m", "m")
    assert (action.code, action.thought) == ("len(df)", "Count.")
    usage = action.usage
    assert (usage.input_tokens, usage.cached_tokens, usage.output_tokens) == (11, 4, 7)
    assert usage.cost_usd == pytest.approx(7 * 1 + 4 * 0.5 + 7 * 2)
    assert (usage.requests, usage.cache_hits) == (1, None)
    [request] = server.requests
    assert request.path.endswith(dialect.path)
    assert dialect.key(request) == KEY
    sent = json.dumps(request.body)
    for said in (TASK.prompt, "run_cell", "submit", "0.5", "99", "one tool call per turn"):
        assert said in sent


@each_dialect
async def test_turns_come_back_with_all_calls_answered(
    dialect: Dialect, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = [
        dialect.call(("run_cell", {"code": "a"}), ("run_cell", {"code": "b"}), content="Both."),
        dialect.say("I think it is 3."),
        dialect.call(("submit", {"value": [3, "é"]})),
    ]
    with ChatServer(*script) as server:
        async with policy_of(dialect, server, monkeypatch) as policy:
            actions = await converse(policy, ["observed 3", ""])
    assert actions[-1].code == "submit([3, 'é'])"
    assert actions[1].problem is not None and "no tool call" in actions[1].problem
    body = server.bodies[-1]
    roles = dialect.history(body)
    assert roles[-1] == "user" and {"assistant", "model"} & set(roles)
    sent = json.dumps(body)
    for said in ("observed 3", "Not executed", "I think it is 3.", "no tool call", "Both."):
        assert said in sent
    if dialect is ANTHROPIC:
        assert roles == ["user", "assistant", "user", "assistant", "user"]
        asked, answered = body["messages"][1]["content"], body["messages"][2]["content"]
        assert [b["id"] for b in asked[1:]] == [b["tool_use_id"] for b in answered]
        assert asked[1]["input"] == {"code": "a"}
        assert body["messages"][-1]["content"][-1]["cache_control"] == {"type": "ephemeral"}
    if dialect is GEMINI:
        assert roles == ["user", "model", "user", "model", "user"]
        answered = body["contents"][2]["parts"]
        assert [part["functionResponse"]["name"] for part in answered] == ["run_cell"] * 2


async def test_signed_thinking_comes_back_to_anthropic_unchanged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blocks = (
        {"type": "thinking", "thinking": "hm", "signature": "c2ln+/=="},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "text", "text": "Count."},
        {"type": "tool_use", "id": "toolu_9", "name": "run_cell", "input": {"code": "1"}},
    )
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    with ChatServer(anthropic_message(*blocks), ANTHROPIC.call(("submit", {"value": 1}))) as server:
        async with policy_of(ANTHROPIC, server, monkeypatch, extra=thinking) as policy:
            actions = await converse(policy, ["1"])
    assert (actions[0].reasoning, actions[0].code) == ("hm", "1")
    assert server.bodies[0]["thinking"] == thinking["thinking"]
    assert server.bodies[1]["messages"][1]["content"] == list(blocks)
    # another backend gets the message without what only Anthropic can read
    again = Action.model_validate_json(actions[0].model_dump_json())
    turn = Turn(again, None, observation_messages(again, "1"))
    with ChatServer(GEMINI.say("ok")) as server:
        async with policy_of(GEMINI, server, monkeypatch) as policy:
            await policy.act(Conversation(TASK, START.opening, (turn,)))
    assert "c2ln" not in json.dumps(server.bodies) and "Count." in json.dumps(server.bodies)


async def test_signatures_of_thoughts_come_back_to_gemini_unchanged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = (
        {"text": "hm", "thought": True},
        {
            "functionCall": {"id": "fc-1", "name": "run_cell", "args": {"code": "1"}},
            "thoughtSignature": "c2ln+/==", "ofAnotherVersion": {"a": 1},
        },
        {"functionCall": {"id": "fc-2", "name": "run_cell", "args": {"code": "2"}}},
    )  # fmt: skip
    thinking = {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}}
    with ChatServer(gemini_content(*parts), GEMINI.call(("submit", {"value": 1}))) as server:
        async with policy_of(
            GEMINI, server, monkeypatch, extra=thinking, seed=3, max_tokens=9
        ) as policy:
            actions = await converse(policy, ["1"])
    assert (actions[0].reasoning, actions[0].code) == ("hm", "1")
    assert server.bodies[0]["generationConfig"] == {
        "seed": 3, "maxOutputTokens": 9, "thinkingConfig": {"includeThoughts": True},
    }  # fmt: skip
    contents = server.bodies[1]["contents"]
    assert contents[1]["parts"] == list(parts)
    assert [part["functionResponse"]["id"] for part in contents[2]["parts"]] == ["fc-1", "fc-2"]


async def test_what_gemini_withholds_becomes_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = Step(json.dumps({"promptFeedback": {"blockReason": "SAFETY"}}).encode())
    malformed = gemini_content(finishReason="MALFORMED_FUNCTION_CALL")
    cut = gemini_content({"text": "and"}, finishReason="MAX_TOKENS")
    with ChatServer(blocked, malformed, cut) as server:
        async with policy_of(GEMINI, server, monkeypatch) as policy:
            actions = await converse(policy, ["", ""])
    assert all(action.problem for action in actions)
    assert "MALFORMED_FUNCTION_CALL" in actions[1].thought
    assert "cut off" in str(actions[2].problem)


@each_dialect
@pytest.mark.parametrize(
    "fault",
    [status(500), status(429, retry_after="0"), DROP, BROKEN_JSON, HTML, Step(b"[" * 99_999)],
)
async def test_passing_faults_are_retried_and_counted(
    dialect: Dialect, fault: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ChatServer(fault, dialect.say("hi")) as server:
        async with policy_of(dialect, server, monkeypatch) as policy:
            action = await policy.act(START)
    assert (action.thought, action.usage.requests) == ("hi", 2)


@each_dialect
@pytest.mark.parametrize(
    ("step", "kind", "tries", "word"),
    [
        (status(500, "broken"), InfrastructureError, 3, "HTTP 500"),
        (Step(b"[" * 99_999, status=503), InfrastructureError, 3, "HTTP 503"),
        (status(529, "overloaded_error"), InfrastructureError, 3, "HTTP 529"),
        (BROKEN_JSON, InfrastructureError, 3, "no JSON"),
        (Step(b"{}"), InfrastructureError, 3, "no chat completion"),
        (DROP, InfrastructureError, 3, "cannot be reached"),
        (status(401), InfrastructureError, 1, "_API_KEY"),
        (status(404), InfrastructureError, 1, "base_url"),
        (status(400, "Your credit balance is too low"), InfrastructureError, 1, "credit"),
        (status(400, "prompt is too long: 9 tokens"), PolicyError, 1, "longer context"),
        (status(400, "temperature"), PolicyError, 1, "options"),
    ],
)
async def test_lasting_faults_are_typed(
    dialect: Dialect,
    step: Step,
    kind: type[BenchsideError],
    tries: int,
    word: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ChatServer(step) as server:
        async with policy_of(dialect, server, monkeypatch) as policy:
            with pytest.raises(BenchsideError) as caught:
                await policy.act(START)
    assert type(caught.value) is kind
    assert word in str(caught.value) and dialect.url(server) in str(caught.value)
    assert len(server.requests) == tries


@each_dialect
async def test_a_silent_server_meets_the_deadline(
    dialect: Dialect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ChatServer(SILENT) as server:
        async with policy_of(dialect, server, monkeypatch, timeout_s=0.2, max_retries=1) as policy:
            with pytest.raises(InfrastructureError, match=r"did not answer in 0.2 s \(2 tries\)"):
                await policy.act(START)


@each_dialect
@pytest.mark.parametrize("step", [status(401, f"wrong key {KEY}"), Step(KEY.encode()), DROP])
async def test_the_key_appears_nowhere(
    dialect: Dialect,
    step: Step,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with ChatServer(step) as server:
        async with policy_of(dialect, server, monkeypatch) as policy:
            errors = []
            for attempt in (policy.act(START), policy.check()):
                with pytest.raises(BenchsideError) as caught:
                    await attempt
                trace = traceback.TracebackException.from_exception(
                    caught.value, capture_locals=False
                )
                errors.append("".join(trace.format()) + repr(vars(caught.value)))
            kept = [*errors, repr(policy), repr(vars(policy)), json.dumps(policy.config)]
    assert KEY[:8] not in "\n".join([*kept, caplog.text])


@pytest.mark.parametrize("dialect", [ANTHROPIC, GEMINI], ids=lambda one: one.form)
async def test_a_blind_policy_of_any_backend_offers_no_kernel(
    dialect: Dialect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(dialect.variable, KEY)
    with ChatServer(dialect.call(("submit", {"value": 3}))) as server:
        options = PolicyOptions(base_url=dialect.url(server))
        policy = make_policy(f"blind:{dialect.form}:m", options)
        async with contextlib.aclosing(policy):
            assert (await policy.act(START)).code == "submit(3)"
    assert policy.name == f"blind:{dialect.form}:m"
    assert "run_cell" not in json.dumps(server.bodies)


@pytest.mark.parametrize(("form", "word"), [("anthropic", "ANTHROPIC_API_KEY"),
                                            ("gemini", "GEMINI_API_KEY")])  # fmt: skip
def test_their_own_servers_need_a_key(
    form: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (word, "GOOGLE_API_KEY", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match=f"needs an API key(.|\n)*{word}"):
        make_policy(f"{form}:m")


def test_anthropic_takes_no_seed() -> None:
    with pytest.raises(InputError, match="no seed"):
        make_policy("anthropic:m", PolicyOptions(seed=1, base_url="http://h"))


def test_a_client_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anthropic", None)
    monkeypatch.delitem(sys.modules, "benchside.policies.anthropic_chat", raising=False)
    with pytest.raises(InputError, match=r"anthropic(.|\n)*benchside\[anthropic\]"):
        make_policy("anthropic:m", PolicyOptions(base_url="http://h"))


async def test_azure_is_asked_at_its_deployment_with_its_own_header() -> None:
    step = DIALECTS[0].say("hi")
    with ChatServer(step) as server:
        options = PolicyOptions(base_url=server.root, api_version="2024-10-21", max_tokens=5)
        async with contextlib.aclosing(OpenAIPolicy("dep", options, api_key=KEY)) as policy:
            await policy.act(START)
    [request] = server.requests
    assert request.path == "/openai/deployments/dep/chat/completions?api-version=2024-10-21"
    assert request.headers["api-key"] == KEY
    assert request.body["max_completion_tokens"] == 5
    with pytest.raises(InputError, match="api_version"):
        OpenAIPolicy("dep", PolicyOptions(base_url="https://x.openai.azure.com"), api_key=KEY)
