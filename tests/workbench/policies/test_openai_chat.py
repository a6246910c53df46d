"""The model policy against a real server on a real socket, in good order and in every fault."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import time
import traceback
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import Any

import pytest

from benchside.errors import BenchsideError, InfrastructureError, InputError, PolicyError
from benchside.policies.model_policy import MAX_RETRY_AFTER_S
from benchside.policies.openai_chat import OpenAIPolicy
from benchside.policies.options import PolicyOptions
from benchside.policy import Action, Conversation, Tokens, Turn
from benchside.protocol import observation_messages, observation_text, opening_messages
from benchside.task import AnswerSchema, GraderRef, TaskSpec
from benchside_kernels.session import KernelSession
from tests.workbench.chat_server import (
    BROKEN_JSON,
    DRIP,
    DROP,
    HTML,
    NO_CHOICES,
    NO_MESSAGE,
    SILENT,
    ChatServer,
    Step,
    call,
    completion,
    say,
    status,
)

KEY = "sk-test-a1b2c3d4e5f6"
TASK = TaskSpec(
    task_id="t1",
    suite="s",
    version="1",
    category="c",
    split="test",
    group="g",
    prompt="How many rows has df?",
    image="i",
    answer=AnswerSchema(kind="integer"),
    grader=GraderRef(name="integer"),
)
START = Conversation(TASK, opening_messages(TASK, "df: a table"), ())


@contextlib.asynccontextmanager
async def policy_for(url: str, **options: Any) -> AsyncIterator[OpenAIPolicy]:
    settings = {"backoff_s": 0.001, "max_retries": 2, "timeout_s": 30, **options}
    policy = OpenAIPolicy("m", PolicyOptions(base_url=url, **settings), api_key=KEY)
    async with contextlib.aclosing(policy):
        yield policy


async def act(server: ChatServer, **options: Any) -> Action:
    async with policy_for(server.url, **options) as policy:
        return await policy.act(START)


async def failure(server: ChatServer, **options: Any) -> BenchsideError:
    with pytest.raises((InfrastructureError, PolicyError)) as caught:
        await act(server, **options)
    return caught.value


async def test_a_tool_call_becomes_an_action_with_usage_and_reasoning() -> None:
    step = call(("run_cell", {"code": "len(df)"}), content="Count.", reasoning_content="hm")
    with ChatServer(step) as server:
        action = await act(server, temperature=0.5, max_tokens=99, seed=3)
    assert (action.code, action.thought, action.reasoning) == ("len(df)", "Count.", "hm")
    usage = action.usage
    assert (usage.input_tokens, usage.output_tokens, usage.requests) == (11, 7, 1)
    assert usage.latency_s is not None and usage.latency_s > 0
    [request] = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    body = request.body
    assert (body["model"], body["temperature"], body["max_tokens"], body["seed"]) == (
        "m", 0.5, 99, 3,
    )  # fmt: skip
    assert [tool["function"]["name"] for tool in body["tools"]] == ["run_cell", "submit"]
    assert [message["role"] for message in body["messages"]] == ["system", "user"]


async def test_options_that_are_not_set_are_not_sent() -> None:
    with ChatServer(say("hi")) as server:
        await act(server)
    assert set(server.bodies[0]) == {"model", "messages", "tools"}


async def test_turns_round_trip_and_each_tool_reply_names_its_call() -> None:
    script = [
        call(("run_cell", {"code": "len(df)"}), ("run_cell", {"code": "1"}), content="Both."),
        say("I think it is 3."),
        call(("run_cell", '{"code": ')),
        call(("submit", {"value": 3})),
    ]
    turns: list[Turn] = []
    with ChatServer(*script) as server:
        async with policy_for(server.url) as policy:
            for _ in script:
                action = await policy.act(Conversation(TASK, START.opening, turns))
                shown = observation_messages(action, action.problem or "3")
                turns.append(Turn(action, None, shown))
    assert turns[-1].action.code == "submit(3)"
    sent = server.bodies[-1]["messages"]
    roles = [message["role"] for message in sent]
    assert roles == ["system", "user", "assistant", "tool", "tool",
                     "assistant", "user", "assistant", "tool"]  # fmt: skip
    both = sent[2]
    assert both["content"] == "Both."
    assert [c["id"] for c in both["tool_calls"]] == [m["tool_call_id"] for m in sent[3:5]]
    assert json.loads(both["tool_calls"][0]["function"]["arguments"]) == {"code": "len(df)"}
    assert sent[3]["content"] == "3"
    assert "Not executed" in sent[4]["content"]
    assert sent[5] == {"role": "assistant", "content": "I think it is 3."}
    assert "no tool call" in sent[6]["content"]
    # a server that parses the history must be able to: vLLM refuses it otherwise
    broken = sent[7]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(broken) == {"invalid_arguments": '{"code": '}
    assert "not valid JSON" in sent[8]["content"]


def ids_step(prompt: list[int], sampled: list[int], *, in_choice: bool, known: int = -1) -> Step:
    """A reply with its ids; `known` log-probabilities of them, by default all."""
    given = {"prompt_token_ids": prompt}
    logprobs = [{"token": "?", "logprob": -0.5 * one} for one in sampled]
    return completion(
        {"content": "Hm."},
        beside={} if in_choice else given,
        **(given if in_choice else {}),
        token_ids=sampled,
        logprobs={"content": logprobs if known < 0 else logprobs[:known]},
    )


@pytest.mark.parametrize("in_choice", [False, True], ids=["vllm", "sglang"])
async def test_ids_that_a_server_sends_are_kept_turn_by_turn(in_choice: bool) -> None:
    script = [
        ids_step([1, 2, 3], [4, 5], in_choice=in_choice),
        ids_step([1, 2, 3, 4, 5, 6, 7], [8], in_choice=in_choice),
        ids_step([1, 2, 9, 8, 7], [5], in_choice=in_choice),  # rendered otherwise than before
        ids_step([1, 2, 9, 8, 7, 5, 6], [3, 4], in_choice=in_choice),
        ids_step([1, 2], [3, 4], in_choice=in_choice, known=1),
        say("no ids"),
    ]
    turns: list[Turn] = []
    asked = {"return_token_ids": True, "logprobs": True}
    with ChatServer(*script) as server:
        async with policy_for(server.url, extra=asked) as policy:
            for _ in script:
                action = await policy.act(Conversation(TASK, START.opening, turns))
                turns.append(Turn(action, None, observation_messages(action, "3")))
    assert asked.items() <= server.bodies[0].items()
    kept = [turn.action.tokens for turn in turns]
    assert kept[:2] == [
        Tokens(context_ids=(1, 2, 3), sampled_ids=(4, 5), logprobs=(-2.0, -2.5), versions=(0, 0)),
        Tokens(context_ids=(6, 7), sampled_ids=(8,), logprobs=(-4.0,), versions=(0,)),
    ]
    again, more = kept[2:4]
    assert again is not None and more is not None
    assert (again.context_ids, again.restarted) == ((1, 2, 9, 8, 7), True)
    assert (more.context_ids, more.sampled_ids, more.restarted) == ((6,), (3, 4), False)
    assert kept[4:] == [None, None]


async def test_a_model_works_in_a_real_kernel_and_submits() -> None:
    script = [
        call(("run_cell", {"code": "rows = [1, 2, 3]\nprint('read')\nlen(rows)"})),
        call(("run_cell", {"code": "rows[9]"})),
        call(("run_cell", {"code": "submit(sum(rows))"})),
    ]
    turns: list[Turn] = []
    with ChatServer(*script) as server:
        async with policy_for(server.url) as policy, KernelSession() as session:
            for _ in script:
                action = await policy.act(Conversation(TASK, START.opening, turns))
                result = await session.run(action.code or "")
                shown = observation_messages(action, observation_text(result, 1000))
                turns.append(Turn(action, result, shown))
    first, second, third = (turn.observations[0].content or "" for turn in turns)
    assert first == "read\n3"
    assert "IndexError: list index out of range" in second and "\x1b" not in second
    assert third == "Submitted: 6"
    assert turns[-1].result is not None and turns[-1].result.submission is not None
    assert turns[-1].result.submission.value == 6
    assert server.bodies[-1]["messages"][3]["content"] == first


@pytest.mark.parametrize(
    ("step", "word"),
    [
        (say("just text"), "no tool call"),
        (call(("python", {"code": "1"})), "python"),
        (call(("run_cell", "{code}")), "not valid JSON"),
        (call(("run_cell", {})), '"code"'),
        (completion({"content": None, "tool_calls": None}), "no tool call"),
        (completion({"content": ""}, finish_reason="length"), "cut off"),
        (completion({"refusal": "I cannot."}), "no tool call"),
        (completion({"tool_calls": [{"type": "custom"}]}), "no tool named"),
    ],
)
async def test_a_message_without_a_proper_call_becomes_a_problem(step: Step, word: str) -> None:
    with ChatServer(step) as server:
        action = await act(server)
    assert action.code is None
    assert action.problem is not None and word in action.problem
    assert len(server.requests) == 1


async def test_servers_that_differ_in_shape_are_understood() -> None:
    message = {
        "content": [
            {"type": "text", "text": "Part one, "},
            {"type": "text", "text": "two \ud800."},
        ],
        "reasoning": "because",
        "tool_calls": [
            {"id": "", "function": {"name": "run_cell", "arguments": {"code": "é = 1"}}},
            {"id": "call_0", "function": {"name": "submit", "arguments": None}},
        ],
    }
    body = json.dumps({"choices": [{"message": message}]}).encode()
    with ChatServer(Step(body, content_type="text/plain")) as server:
        action = await act(server)
    assert (action.code, action.thought) == ("é = 1", "Part one, two ?.")
    assert action.reasoning == "because"
    ids = [made.id for made in action.message.tool_calls]
    assert all(ids) and len(set(ids)) == 2
    assert action.usage.input_tokens is None


@pytest.mark.parametrize(
    "faults",
    [[status(500)] * 2, [status(503)], [status(429)], [status(408)], [DROP], [BROKEN_JSON], [HTML],
     [NO_CHOICES]],
)  # fmt: skip
async def test_passing_faults_are_retried_and_counted(faults: list[Step]) -> None:
    with ChatServer(*faults, say("hi")) as server:
        action = await act(server)
    assert action.thought == "hi"
    assert action.usage.requests == len(server.requests) == len(faults) + 1


@pytest.mark.parametrize(
    ("step", "word"),
    [
        (status(500, "out of memory"), "HTTP 500"),
        (status(429, "slow down"), "HTTP 429"),
        (DROP, "cannot be reached"),
        (BROKEN_JSON, "no JSON"),
        (HTML, "text/html"),
        (NO_CHOICES, "choices"),
        (NO_MESSAGE, "message"),
        (Step(b'"text"'), "no chat completion"),
        (Step(b"[" * 100_000), "nested too deeply"),
        (Step(b"", status=502), "HTTP 502"),
        (Step(b"[" * 100_000, status=500), "HTTP 500"),
        (Step(b'{"error": "\\ud800"}', status=500), "HTTP 500"),
    ],
)
async def test_lasting_faults_are_infrastructure_errors(step: Step, word: str) -> None:
    with ChatServer(step) as server:
        error = await failure(server)
        assert isinstance(error, InfrastructureError)
        str(error).encode()
        for said in (word, "3 tries", server.url, "next:"):
            assert said in str(error)
    assert len(server.requests) == 3


@pytest.mark.parametrize("step", [SILENT, DRIP])
async def test_a_server_that_never_finishes_meets_the_deadline(step: Step) -> None:
    started = time.monotonic()
    with ChatServer(step) as server:
        error = await failure(server, timeout_s=0.15, max_retries=1)
    assert isinstance(error, InfrastructureError)
    assert "did not answer in 0.15 s (2 tries)" in str(error)
    assert time.monotonic() - started >= 0.3


async def test_a_refused_connection_is_an_infrastructure_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
    async with policy_for(url) as policy:
        with pytest.raises(InfrastructureError, match=r"cannot be reached .*\(3 tries\)"):
            await policy.act(START)
        with pytest.raises(InputError, match="check that the server runs"):
            await policy.check()


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_retry_after_is_honoured(form: str) -> None:
    value = "0.3" if form == "seconds" else formatdate(time.time() + 1.4, usegmt=True)
    started = time.monotonic()
    with ChatServer(status(429, retry_after=value), say("hi")) as server:
        assert (await act(server)).usage.requests == 2
    assert time.monotonic() - started >= 0.3


async def test_a_retry_after_that_is_too_long_ends_the_tries() -> None:
    with ChatServer(status(429, retry_after=str(MAX_RETRY_AFTER_S + 1))) as server:
        assert isinstance(await failure(server), InfrastructureError)
    assert len(server.requests) == 1


async def test_the_wait_doubles() -> None:
    started = time.monotonic()
    with ChatServer(status(500)) as server:
        await failure(server, backoff_s=0.04, max_retries=3)
    assert time.monotonic() - started >= 0.75 * (0.04 + 0.08 + 0.16)


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (status(400, "This model's maximum context length is 10 tokens."), PolicyError),
        (status(500, "the request exceeds the available context size"), PolicyError),
        (status(400, "temperature is not supported"), PolicyError),
        (status(401), InfrastructureError),
        (status(404), InfrastructureError),
        (status(429, "insufficient_quota"), InfrastructureError),
    ],
)
async def test_refusals_are_not_retried(step: Step, kind: type[BenchsideError]) -> None:
    with ChatServer(step) as server:
        error = await failure(server)
    assert type(error) is kind
    assert "(1 try)" in str(error)
    assert len(server.requests) == 1


async def test_check_asks_one_short_question_with_the_tools() -> None:
    with ChatServer(status(503), say("ok")) as server:
        async with policy_for(server.url) as policy:
            await policy.check()
    assert len(server.requests) == 2
    assert server.bodies[0]["tools"]


@pytest.mark.parametrize(
    ("step", "word"),
    [
        (status(401, "bad key"), "OPENAI_API_KEY"),
        (status(404, "no such model"), "/v1"),
        (status(400, "tools are not supported"), "tool calls"),
        (HTML, "/v1"),
        (DROP, "base_url"),
    ],
)
async def test_check_tells_what_to_mend(step: Step, word: str) -> None:
    with ChatServer(step) as server:
        async with policy_for(server.url) as policy:
            with pytest.raises(InputError, match=word) as caught:
                await policy.check()
        assert server.url in str(caught.value)
    assert len(server.requests) == 1


async def test_check_of_a_failing_server_is_no_input_error() -> None:
    with ChatServer(status(500)) as server:
        async with policy_for(server.url) as policy:
            with pytest.raises(InfrastructureError, match="3 tries"):
                await policy.check()


async def test_concurrent_requests_are_limited() -> None:
    with ChatServer(completion({"content": "hi"}, delay_s=0.1)) as server:
        async with policy_for(server.url, max_concurrent_requests=2) as policy:
            await asyncio.gather(*(policy.act(START) for _ in range(6)))
    assert len(server.requests) == 6
    assert server.most_at_once == 2


async def test_the_rate_is_limited_evenly_and_retries_count() -> None:
    started = time.monotonic()
    with ChatServer(status(500), say("hi")) as server:
        async with policy_for(server.url, requests_per_minute=600) as policy:
            await asyncio.gather(*(policy.act(START) for _ in range(3)))
    assert len(server.requests) == 4
    assert time.monotonic() - started >= 0.29


async def test_cancelling_ends_the_request() -> None:
    with ChatServer(SILENT) as server:
        async with policy_for(server.url) as policy:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await policy.act(START)


@pytest.mark.parametrize(
    "step", [status(401, f"wrong key {KEY}"), Step(b" " * 90 + KEY.encode()), DROP]
)
async def test_the_key_appears_nowhere(step: Step, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with ChatServer(step) as server:
        async with policy_for(server.url) as policy:
            errors = []
            for attempt in (policy.act(START), policy.check()):
                try:
                    await attempt
                except BenchsideError as error:
                    errors.append("".join(traceback.format_exception(error)) + repr(vars(error)))
            kept = [*errors, repr(policy), repr(vars(policy)), json.dumps(policy.config)]
    assert len(errors) == 2
    assert KEY[:8] not in "\n".join([*kept, caplog.text])


async def test_the_key_is_not_in_the_action() -> None:
    with ChatServer(call(("run_cell", {"code": "1"}))) as server:
        action = await act(server)
    assert KEY not in action.model_dump_json()


async def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "from-environment\n")
    with ChatServer(say("hi")) as server:
        policy = OpenAIPolicy("m", PolicyOptions(base_url=server.url))
        async with contextlib.aclosing(policy):
            await policy.act(START)
    assert server.requests[0].headers["authorization"] == "Bearer from-environment"


async def test_a_local_server_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with ChatServer(say("hi")) as server:
        policy = OpenAIPolicy("m", PolicyOptions(base_url=server.url))
        async with contextlib.aclosing(policy):
            assert (await policy.act(START)).thought == "hi"
    with pytest.raises(InputError, match="needs an API key"):
        OpenAIPolicy("m")


@pytest.mark.parametrize("key", ["two words", "sk-ä", "a\nb"])
def test_a_key_that_breaks_headers_is_refused_unseen(key: str) -> None:
    with pytest.raises(InputError, match="API key") as caught:
        OpenAIPolicy("m", PolicyOptions(base_url="http://localhost/v1"), api_key=key)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["localhost:8000", "ftp://host/v1", "http://", "http://[", "http://host:x/v1",
     "http://user:secret@host/v1", "http://host/v1?key=secret"],
)  # fmt: skip
def test_urls_that_cannot_be_used_or_saved_are_refused(url: str) -> None:
    with pytest.raises(InputError, match="base_url") as caught:
        OpenAIPolicy("m", PolicyOptions(base_url=url), api_key=KEY)
    assert "secret@" not in str(caught.value) and "key=secret" not in str(caught.value)


async def test_config_is_json_and_names_the_resolved_url() -> None:
    async with policy_for("http://localhost:1/v1", temperature=0.2) as policy:
        config = json.loads(json.dumps(policy.config))
    assert policy.name == "openai:m"
    assert config["base_url"] == "http://localhost:1/v1"
    assert (config["policy"], config["model"], config["temperature"]) == ("openai", "m", 0.2)


async def test_a_blind_policy_offers_no_kernel_and_runs_no_cell() -> None:
    options = PolicyOptions(max_retries=0)
    steps = [call(("run_cell", {"code": "len(df)"})), call(("submit", {"value": 3}))]
    with ChatServer(*steps) as server:
        given = options.model_copy(update={"base_url": server.url})
        policy = OpenAIPolicy("m", given, api_key=KEY, blind=True)
        async with contextlib.aclosing(policy):
            refused = await policy.act(START)
            answered = await policy.act(START)
    assert (refused.code, answered.code) == (None, "submit(3)")
    assert "cannot run code" in str(refused.problem)
    for body in server.bodies:
        assert [tool["function"]["name"] for tool in body["tools"]] == ["submit"]
        assert "run_cell" not in body["messages"][0]["content"]
        assert TASK.prompt in body["messages"][1]["content"]
    assert policy.name == "blind:m"
    assert policy.config["policy"] == "blind"
