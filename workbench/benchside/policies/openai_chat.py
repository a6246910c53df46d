"""`OpenAIPolicy`: a model behind any server that speaks the OpenAI chat API with tools.

Requests go through the official client with its own retries turned off, so that each try is
counted, limited and reported here. Replies are validated here too: the client builds its models
unchecked, and servers differ in what they leave out. Streaming is left out on purpose.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from openai import APIConnectionError, APIStatusError, AsyncOpenAI, omit
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolUnionParam
from pydantic import JsonValue, SecretStr

from benchside.compaction import compacted
from benchside.completer import Completion
from benchside.errors import BenchsideError, InfrastructureError, InputError, PolicyError
from benchside.manner import Manner
from benchside.policies.chat_reply import ChatReply, read_reply
from benchside.policies.options import PolicyOptions
from benchside.policies.provider import ModelServers, Providers
from benchside.policy import Action, Conversation, Message, Usage
from benchside.protocol import SUBMIT, SUBMIT_TOOL, parse_json
from benchside.protocols import action_form

KEY_VARIABLE = "OPENAI_API_KEY"
URL_VARIABLE = "OPENAI_BASE_URL"
OPENAI_URL = "https://api.openai.com/v1"
NO_KEY = "not-needed"  # the client insists on a key, local servers ignore it
BLIND_PROMPT = (
    f"You cannot see the data and cannot run code. Call {SUBMIT} once with the answer that you "
    "know or think most likely."
)
MAX_BACKOFF_S = 30.0
MAX_RETRY_AFTER_S = 120.0
PASSING_STATUSES = frozenset({408, 409, 425, 429})

# how OpenAI, vLLM, llama.cpp and TGI say that the conversation has grown too long
_CONTEXT_SIGNS = (
    "context length", "context_length", "context size", "context_size", "context window",
    "prompt is too long", "maximum input length",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why one request gave no message.

    Args:
        kind: `unreachable` without any answer, `status` for HTTP errors, `reply` for an answer that
            is no chat completion.
        retry_after_s: how long the server asks to wait.
    """

    kind: Literal["unreachable", "status", "reply"]
    what: str
    status: int | None = None
    passing: bool = True
    retry_after_s: float | None = None

    @property
    def too_long(self) -> bool:
        return self.kind == "status" and any(sign in self.what.lower() for sign in _CONTEXT_SIGNS)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What all tries of one request came to; `answer` is the first reply or the last failure."""

    answer: ChatReply | _Failure
    tries: int


class OpenAIPolicy:
    """Asks a chat model for each action.

    The key is taken from OPENAI_API_KEY unless given; it appears in no message, repr or record.

    Args:
        model: name of the model, as its server knows it.
        api_key: instead of the environment's.
        blind: show the question, but give no kernel: what is solved then was not solved from the
            data. It is the contamination baseline of the same model.
        providers: of the run, so that policies which ask the same server share its limits.

    Raises:
        InputError: the URL or the key cannot be used.
    """

    def __init__(
        self,
        model: str,
        options: PolicyOptions | None = None,
        *,
        api_key: str | None = None,
        blind: bool = False,
        providers: ModelServers | None = None,
    ):
        self.name = f"{'blind' if blind else 'openai'}:{model}"
        self.blind = blind
        self.model = model
        self.options = options or PolicyOptions()
        self.name += self.options.mark
        self.manner = self.options.manner
        self._form = action_form(self.options.protocol, self.options.feedback)
        if blind and self.manner != Manner():
            raise InputError(
                "a blind policy only submits: no protocol can be chosen for it",
                where="protocol", value=self.options.protocol, fix="leave the option out",
            )  # fmt: skip
        key = _usable_key(api_key if api_key is not None else os.environ.get(KEY_VARIABLE, ""))
        self._key = SecretStr(key)
        self.url = _usable_url(self.options.base_url or os.environ.get(URL_VARIABLE) or OPENAI_URL)
        if not key and _is_openai(self.url):
            raise InputError(
                "OpenAI's server needs an API key",
                where=KEY_VARIABLE,
                fix=f"set {KEY_VARIABLE}, or set base_url to a server of your own",
            )
        # no timeout and no retries of the client's own: `_ask` and `_request` see to both
        self._client = AsyncOpenAI(
            api_key=key or NO_KEY, base_url=self.url, timeout=None, max_retries=0
        )
        self._provider = (providers or Providers()).at(self.url)
        self._provider.tighten(self.options)

    def __repr__(self) -> str:
        return f"OpenAIPolicy(model={self.model!r}, url={self.url!r})"

    @property
    def config(self) -> dict[str, JsonValue]:
        """What the run record keeps: model, URL as resolved, and options."""
        options: dict[str, JsonValue] = self.options.model_dump(mode="json")
        policy = self.name.partition(":")[0]
        return {"policy": policy, "model": self.model, **options, "base_url": self.url}

    async def act(self, conversation: Conversation) -> Action:
        """Ask for the next action; `Usage.latency_s` includes retries and waiting for a slot."""
        started = time.monotonic()
        shown, notes = compacted(conversation, self.options.compact_chars)
        messages, tools = shown.messages, conversation.tools
        offered = self._form.tools(tools)
        if self.blind:
            messages = [Message(role="system", content=BLIND_PROMPT), *messages[1:]]
            tools, offered = (), (SUBMIT_TOOL,)
        outcome = await self._ask(messages, self._wait_s, offered, conversation.attempt)
        if isinstance(outcome.answer, _Failure):
            raise self._act_error(outcome.answer, outcome.tries)
        reply = outcome.answer
        usage = self._usage(reply, outcome.tries, started)
        action = self._form.action(
            reply.message, usage, reply.reasoning, cut_off=reply.cut_off, tools=tools
        ).model_copy(update={"compacted": notes})
        calls = reply.message.tool_calls
        if self.blind and calls and calls[0].name != SUBMIT:  # it has seen no such tool
            return action.model_copy(update={"code": None, "problem": BLIND_PROMPT})
        return action

    async def complete(self, messages: Sequence[Message], draw: int = 0) -> Completion:
        """Ask for plain text, without any tools; see `Completer`."""
        started = time.monotonic()
        outcome = await self._ask(messages, self._wait_s, draw=draw)
        if isinstance(outcome.answer, _Failure):
            raise self._act_error(outcome.answer, outcome.tries)
        reply = outcome.answer
        return Completion(reply.message.content or "", self._usage(reply, outcome.tries, started))

    def _usage(self, reply: ChatReply, tries: int, started: float) -> Usage:
        return Usage(
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
            requests=tries,
            latency_s=time.monotonic() - started,
            cost_usd=self.options.cost_usd(reply.input_tokens, reply.output_tokens),
        )

    async def check(self) -> None:
        """Ask for one short reply, so that a wrong URL, key, model or option is found at the start.

        Raises:
            InputError: the server cannot be reached or refuses the request.
            InfrastructureError: the server is there but overloaded or failing.
        """
        outcome = await self._ask(
            [Message(role="user", content="Reply with: ok")], self._check_wait_s,
            (SUBMIT_TOOL,) if self.blind else self._form.tools(()),
        )  # fmt: skip
        failure = outcome.answer
        if not isinstance(failure, _Failure):
            return
        if failure.kind == "status" and failure.passing:
            raise self._act_error(failure, outcome.tries)
        raise InputError(failure.what, where=self.url, value=self.model, fix=_fix(failure))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _act_error(self, failure: _Failure, tries: int) -> BenchsideError:
        what = f"{failure.what} ({tries} {'try' if tries == 1 else 'tries'})"
        if failure.too_long:
            fix = "lower max_turns or max_output_chars, or serve the model with a longer context"
            return PolicyError(what, where=self.url, value=self.model, fix=fix)
        if failure.status in (400, 413, 422):
            return PolicyError(what, where=self.url, value=self.model, fix=_fix(failure))
        return InfrastructureError(what, where=self.url, value=self.model, fix=_fix(failure))

    async def _ask(
        self,
        messages: Sequence[Message],
        wait_s: Callable[[_Failure, int], float | None],
        tools: tuple[dict[str, JsonValue], ...] = (),
        draw: int = 0,
    ) -> _Outcome:
        """Send a conversation until it is answered or `wait_s` gives no time to wait."""
        tries = 0
        while True:
            tries += 1
            answer = await self._request(messages, tools, draw)
            wait = wait_s(answer, tries) if isinstance(answer, _Failure) else None
            if wait is None:
                return _Outcome(answer, tries)
            await asyncio.sleep(wait)

    def _wait_s(self, failure: _Failure, tries: int) -> float | None:
        """Seconds before the next try; None where none is made."""
        if not failure.passing or failure.too_long or tries > self.options.max_retries:
            return None
        asked_s = failure.retry_after_s or 0.0
        if asked_s > MAX_RETRY_AFTER_S:
            return None
        # up to a quarter less, so that episodes that failed together do not return together
        backoff_s = min(self.options.backoff_s * 2.0 ** min(tries - 1, 30), MAX_BACKOFF_S)
        return max(asked_s, backoff_s * random.uniform(0.75, 1.0))

    def _check_wait_s(self, failure: _Failure, tries: int) -> float | None:
        """At the start only a busy server is waited for: a wrong URL does not get better."""
        return self._wait_s(failure, tries) if failure.kind == "status" else None

    async def _request(
        self, messages: Sequence[Message], tools: tuple[dict[str, JsonValue], ...], draw: int
    ) -> ChatReply | _Failure:
        """Send one request, within the limits on rate, number and time."""
        async with self._provider.slot():
            try:
                # over the whole answer: a server that drips bytes passes every timeout per read
                async with asyncio.timeout(self.options.timeout_s):
                    answer = await self._send(messages, tools, draw)
            except TimeoutError:
                return _Failure(
                    "unreachable",
                    f"the model server did not answer in {self.options.timeout_s:g} s",
                )
            self._provider.answered(answer.status if isinstance(answer, _Failure) else None)
            return answer

    async def _send(
        self, messages: Sequence[Message], tools: tuple[dict[str, JsonValue], ...], draw: int
    ) -> ChatReply | _Failure:
        try:
            response = await self._client.chat.completions.with_raw_response.create(
                model=self.model,
                messages=cast(list[ChatCompletionMessageParam], [*map(_wire, messages)]),
                tools=cast(list[ChatCompletionToolUnionParam], list(tools)) if tools else omit,
                extra_body=self._sampling(draw),
            )
        except APIStatusError as error:
            return self._status_failure(error.status_code, error.response.headers, error.body)
        except APIConnectionError as error:
            cause = error.__cause__ or error
            said = self._scrubbed(f"{type(cause).__name__}: {cause}")
            return _Failure("unreachable", f"the model server cannot be reached ({said})")
        try:
            return read_reply(response.text)
        except ValueError as error:
            kind = response.headers.get("content-type", "no content type")
            begins = self._scrubbed(response.text)[:100]  # in this order: no half of a key either
            said = f"{self._scrubbed(str(error))}; {kind}, begins {begins!r}"
            return _Failure("reply", f"the server's answer is no chat completion: {said}")

    def _sampling(self, draw: int) -> dict[str, JsonValue]:
        """The options that are set; OpenAI has renamed max_tokens, other servers have not.

        Args:
            draw: added to the seed, so that equal requests can be answered differently.
        """
        limit = "max_completion_tokens" if _is_openai(self.url) else "max_tokens"
        wanted = {
            "temperature": self.options.temperature,
            limit: self.options.max_tokens,
            "seed": None if self.options.seed is None else self.options.seed + draw,
        }
        return {name: value for name, value in wanted.items() if value is not None}

    def _status_failure(self, status: int, headers: Mapping[str, str], body: object) -> _Failure:
        text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        quota = "insufficient_quota" in text  # a 429 that no waiting cures
        return _Failure(
            "status",
            f"the model server answered HTTP {status}: {self._scrubbed(text)[:500]}",
            status=status,
            passing=(status in PASSING_STATUSES or status >= 500) and not quota,
            retry_after_s=_retry_after_s(headers),
        )

    def _scrubbed(self, text: str) -> str:
        """The text without the key, which some servers repeat, and fit for UTF-8."""
        key = self._key.get_secret_value()
        clean = text.encode(errors="replace").decode()
        return clean.replace(key, "[API key]") if key else clean


def _usable_key(key: str) -> str:
    """The key without the line end that files give it; others would break in an HTTP header."""
    key = key.strip()
    if not all("!" <= character <= "~" for character in key):
        raise InputError(
            "the API key holds blanks or characters outside ASCII",
            where=KEY_VARIABLE,
            fix="copy it again",
        )
    return key


def _usable_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets or port
        usable = False
    if not usable:
        raise InputError(
            "base_url is no http or https URL",
            where="base_url",
            fix='such as "http://host:8000/v1"',
        )
    if parts.username or parts.password or parts.query:
        raise InputError(
            "base_url must not hold a user, password or query: it is saved with each run",
            where="base_url",
            fix=f"put the secret into {KEY_VARIABLE}",
        )
    return url


def _is_openai(url: str) -> bool:
    return urlsplit(url).hostname == "api.openai.com"


def _wire(message: Message) -> dict[str, Any]:
    """The message as JSON for the server."""
    wired: dict[str, Any] = {"role": message.role, "content": message.content or ""}
    if message.tool_call_id is not None:
        wired["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        wired["content"] = message.content
        wired["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _wire_arguments(call.arguments)},
            }
            for call in message.tool_calls
        ]
    return wired


def _wire_arguments(arguments: str) -> str:
    """Arguments as a JSON object: vLLM and llama.cpp refuse a history that holds others.

    Source: github.com/vllm-project/vllm issue 43995 and pull request 48922.
    """
    try:
        if isinstance(parse_json(arguments), dict):
            return arguments
    except ValueError:
        pass  # shown below as text
    return json.dumps({"invalid_arguments": arguments}, ensure_ascii=False)


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait; None where it does not say (RFC 9110, 10.2.3)."""
    value = headers.get("retry-after", "")
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass  # then it is a date
    try:
        return max(email.utils.parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except ValueError:
        return None


def _fix(failure: _Failure) -> str:
    """The next step for a person."""
    match failure.kind, failure.status:
        case "unreachable", _:
            return "check that the server runs and that base_url names it"
        case "reply", _:
            return "check that base_url names an OpenAI-compatible server; most end in /v1"
        case _, 401 | 403:
            return f"check {KEY_VARIABLE} and that the key may use this model"
        case _, 404:
            return "check base_url (most end in /v1) and the name of the model"
        case _, 429:
            return "lower requests_per_minute or max_concurrent_requests, or check the quota"
        case _, status if status is not None and status >= 500:
            return "look into the server's log; unfinished episodes can be resumed"
    return "check the policy's options, and that the server supports tool calls for this model"
