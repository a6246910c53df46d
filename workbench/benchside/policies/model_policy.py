"""`ModelPolicy`: a model behind a server, asked for each action; one request path of all backends.

Slots, rate, retries, time, circuit breaker, response cache, usage and costs are seen to here. A
backend is a subclass that makes the body of a request, sends it once through its official client
(whose own retries are turned off, so that each try is counted, limited and reported), and reads the
text of the answer. Streaming is left out on purpose.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from pydantic import JsonValue

from benchside.asker import asker
from benchside.compaction import compacted
from benchside.completer import Completion
from benchside.errors import BenchsideError, InfrastructureError, InputError, PolicyError
from benchside.manner import Manner
from benchside.policies.chat_reply import ChatReply, ReplyIds
from benchside.policies.fault import Fault
from benchside.policies.keys import scrubbed
from benchside.policies.options import PolicyOptions
from benchside.policies.pictures import Said, shown_chat
from benchside.policies.provider import ModelServers, Providers
from benchside.policies.response_cache import ResponseCache, request_key
from benchside.policies.server_address import Host, server_key, usable_url
from benchside.policy import Action, Conversation, Message, Tokens, Usage, token_history
from benchside.protocol import SUBMIT, SUBMIT_TOOL
from benchside.protocols import action_form
from benchside_kernels.startup import home_folder

BLIND: Final = "blind"
BLIND_PROMPT = (
    f"You cannot see the data and cannot run code. Call {SUBMIT} once with the answer that you "
    "know or think most likely."
)
NO_KEY = "not-needed"  # clients insist on a key, local servers ignore it
MAX_BACKOFF_S = 30.0
MAX_RETRY_AFTER_S = 120.0

Tool = dict[str, JsonValue]
Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server has sent, of an HTTP status that means success."""

    text: str
    content_type: str


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What all tries of one request came to; `answer` is the first reply or the last fault."""

    answer: ChatReply | Fault
    tries: int


class ModelPolicy(ABC):
    """Asks a chat model for each action; see the subclasses for what each needs.

    The key appears in no message, repr or record.

    Args:
        model: name of the model, as its server knows it; of a deployment at Azure.
        api_key: instead of the environment's.
        blind: show the question, but give no kernel: what is solved then was not solved from the
            data. It is the contamination baseline of the same model.
        providers: of the run, so that policies which ask the same server share its limits.

    Raises:
        InputError: the URL or the key cannot be used, or an option is set that the API lacks.
    """

    form: ClassVar[str]
    """Name of the wire format, as the policy's string has it, such as "openai"."""

    owner: ClassVar[str]
    """Whose API it is, such as "Anthropic", and where: `own_url`. That server asks for a key."""

    own_url: ClassVar[str]
    url_variable: ClassVar[str]
    key_variables: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        model: str,
        options: PolicyOptions | None = None,
        *,
        api_key: str | None = None,
        blind: bool = False,
        providers: ModelServers | None = None,
    ):
        options = options or PolicyOptions()
        variables, url = self.key_variables, options.base_url or os.environ.get(self.url_variable)
        url = usable_url(url or self.own_url, variables[0])
        self._hosted = self._host(url, options)
        needed_at = None
        if self._hosted is not None:
            variables, needed_at = self._hosted.key_variables, self._hosted.name
        key = server_key(variables, api_key, needed_at=needed_at)
        self.name = f"{_blind_name(self.form) if blind else self.form}:{model}"
        self.model, self.url, self.options, self.blind = model, url, options, blind
        self.name += options.mark
        self.manner = options.manner
        self._form = action_form(options.protocol, options.feedback)
        if blind and self.manner != Manner():
            raise InputError(
                "a blind policy only submits: no protocol can be chosen for it",
                where="protocol", value=options.protocol, fix="leave the option out",
            )  # fmt: skip
        self._key = key
        self._connect(key.get_secret_value())
        self._provider = (providers or Providers()).at(url)
        self._provider.tighten(options)
        self._cache = ResponseCache(home_folder() / "responses") if options.cache else None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(model={self.model!r}, url={self.url!r})"

    @property
    def config(self) -> dict[str, JsonValue]:
        """What the run record keeps: model, URL as resolved, and options."""
        # whether answers come from the cache changes none of them
        options: dict[str, JsonValue] = self.options.model_dump(mode="json", exclude={"cache"})
        policy = self.name.partition(":")[0]
        return {"policy": policy, "model": self.model, **options, "base_url": self.url}

    def _host(self, url: str, options: PolicyOptions) -> Host | None:
        """Who runs the server, where that is a company that asks for a key."""
        own = urlsplit(url).hostname == urlsplit(self.own_url).hostname
        return Host(self.owner, self.key_variables) if own else None

    @abstractmethod
    def _connect(self, secret: str) -> None:
        """Make the client of the server at `url`, with no time limit and no retries of its own.

        Args:
            secret: the key; empty where there is none.
        """

    @abstractmethod
    def _body(self, chat: Sequence[Said], tools: Sequence[Tool], draw: int) -> Body:
        """Return a request as JSON, without keys: what the answer depends on.

        Args:
            tools: in the shape of the OpenAI chat API.
            draw: added to the seed, so that equal requests can be answered differently.
        """

    @abstractmethod
    async def _send(self, body: Body) -> Answer | Fault:
        """Send one request, once; what goes wrong on the way is a fault."""

    @abstractmethod
    def _read(self, text: str) -> ChatReply:
        """Return the reply of an answer.

        Raises:
            ValueError: it is none; says why.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Close the connections."""

    async def act(self, conversation: Conversation) -> Action:
        """Ask for the next action; `Usage.latency_s` includes retries and waiting for a slot."""
        started = time.monotonic()
        shown, notes = compacted(conversation, self.options.compact_chars)
        tools = conversation.tools
        chat, images = await asyncio.to_thread(shown_chat, shown, self.options.images)
        offered = self._form.tools(tools)
        if self.blind:
            chat = [Said(Message(role="system", content=BLIND_PROMPT)), *chat[1:]]
            tools, offered = (), (SUBMIT_TOOL,)
        reply, usage = await self._reply(chat, offered, conversation.draw, started)
        action = self._form.action(
            reply.message, usage, reply.reasoning, cut_off=reply.cut_off, tools=tools
        ).model_copy(
            update={
                "compacted": notes, "images": images,
                "tokens": _tokens(conversation, reply.ids),
            }
        )  # fmt: skip
        calls = reply.message.tool_calls
        if self.blind and calls and calls[0].name != SUBMIT:  # it has seen no such tool
            return action.model_copy(update={"code": None, "problem": BLIND_PROMPT})
        return action

    async def complete(self, messages: Sequence[Message], draw: int = 0) -> Completion:
        """Ask for plain text, without any tools; see `Completer`."""
        chat = [Said(message) for message in messages]
        reply, usage = await self._reply(chat, (), draw, time.monotonic())
        return Completion(reply.message.content or "", usage)

    async def _reply(
        self, chat: Sequence[Said], tools: Sequence[Tool], draw: int, started: float
    ) -> tuple[ChatReply, Usage]:
        """Ask until there is a reply; raises what the rollout is to record."""
        outcome = await self._ask(chat, self._wait_s, tools, draw, cache=self._cache)
        if isinstance(outcome.answer, Fault):
            asker().spent.append(Usage(requests=outcome.tries))
            raise self._error(outcome.answer, outcome.tries)
        usage = self._usage(outcome.answer, outcome.tries, started)
        asker().spent.append(usage)
        return outcome.answer, usage

    def _usage(self, reply: ChatReply, tries: int, started: float) -> Usage:
        cost_usd = self.options.cost_usd(
            reply.input_tokens, reply.output_tokens, reply.cached_tokens or 0,
            reply.written_tokens or 0,
        )  # fmt: skip
        return Usage(
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
            cached_tokens=reply.cached_tokens,
            requests=tries,
            latency_s=time.monotonic() - started,
            cost_usd=cost_usd if tries or cost_usd is None else 0.0,
            cache_hits=None if self._cache is None else int(tries == 0),
        )

    async def check(self) -> None:
        """Ask for one short reply, so that a wrong URL, key, model or option is found at the start.

        Raises:
            InputError: the server cannot be reached or refuses the request.
            InfrastructureError: the server is there but overloaded or failing.
        """
        question = Said(Message(role="user", content="Reply with: ok"))
        tools = (SUBMIT_TOOL,) if self.blind else self._form.tools(())
        outcome = await self._ask([question], self._check_wait_s, tools, cache=None)
        fault = outcome.answer
        if not isinstance(fault, Fault):
            return
        if fault.kind == "status" and fault.passing:
            raise self._error(fault, outcome.tries)
        raise InputError(fault.what, where=self.url, value=self.model, fix=self._fix(fault))

    def _error(self, fault: Fault, tries: int) -> BenchsideError:
        what = f"{fault.what} ({tries} {'try' if tries == 1 else 'tries'})"
        if fault.too_long:
            fix = "lower max_turns or max_output_chars, or serve the model with a longer context"
            return PolicyError(what, where=self.url, value=self.model, fix=fix)
        kind = PolicyError if fault.refused else InfrastructureError
        return kind(what, where=self.url, value=self.model, fix=self._fix(fault))

    async def _ask(
        self,
        chat: Sequence[Said],
        wait_s: Callable[[Fault, int], float | None],
        tools: Sequence[Tool],
        draw: int = 0,
        *,
        cache: ResponseCache | None,
    ) -> _Outcome:
        """Send a conversation until it is answered or `wait_s` gives no time to wait.

        The episode's time stands still while the server lets wait, and for tries that fail.

        Args:
            cache: may hold the answer, and is to keep it; None: the server itself has to answer.
        """
        body = self._body(chat, tools, draw)
        place = request_key(self.form, self.url, body, asker().sample, draw)
        if cache is not None and (kept := await self._kept(cache, place)) is not None:
            return _Outcome(kept, 0)
        tries = 0
        while True:
            tries += 1
            answer, text = await self._request(body)
            if cache is not None and text is not None:
                await cache.put(place, text)
            wait = wait_s(answer, tries) if isinstance(answer, Fault) else None
            if wait is None:
                return _Outcome(answer, tries)
            with asker().clock.stopped():
                await asyncio.sleep(wait)

    async def _kept(self, cache: ResponseCache, place: str) -> ChatReply | None:
        """The reply to an equal request; a file that holds none any more is as good as none."""
        text = await cache.get(place)
        try:
            return None if text is None else self._read(text)
        except ValueError:
            return None

    def _wait_s(self, fault: Fault, tries: int) -> float | None:
        """Seconds before the next try; None where none is made."""
        if not fault.passing or tries > self.options.max_retries:
            return None
        asked_s = fault.retry_after_s or 0.0
        if asked_s > MAX_RETRY_AFTER_S:
            return None
        # up to a quarter less, so that episodes that failed together do not return together
        backoff_s = min(self.options.backoff_s * 2.0 ** min(tries - 1, 30), MAX_BACKOFF_S)
        return max(asked_s, backoff_s * random.uniform(0.75, 1.0))

    def _check_wait_s(self, fault: Fault, tries: int) -> float | None:
        """At the start only a busy server is waited for: a wrong URL does not get better."""
        return self._wait_s(fault, tries) if fault.kind == "status" else None

    async def _request(self, body: Body) -> tuple[ChatReply | Fault, str | None]:
        """Send one request, within the limits on rate, number and time.

        Returns:
            What came of it, and the text of a sound answer.
        """
        async with self._provider.slot():
            began = time.monotonic()
            answer = await self._answer(body)
            reply = self._sound(answer) if isinstance(answer, Answer) else answer
            self._provider.answered(reply if isinstance(reply, Fault) else None)
        if isinstance(reply, Fault):
            asker().clock.give_back(began)
            return reply, None
        return reply, answer.text if isinstance(answer, Answer) else None

    async def _answer(self, body: Body) -> Answer | Fault:
        try:
            # over the whole answer: a server that drips bytes passes every timeout per read
            async with asyncio.timeout(self.options.timeout_s):
                answer = await self._send(body)
        except TimeoutError:
            late = f"the model server did not answer in {self.options.timeout_s:g} s"
            return Fault("unreachable", late)
        if isinstance(answer, Fault):
            return answer
        return replace(answer, text=self._scrubbed(answer.text))  # some servers repeat the key

    def _sound(self, answer: Answer) -> ChatReply | Fault:
        """The reply of an answer, or that there is none in it."""
        try:
            return self._read(answer.text)
        except ValueError as error:
            said = f"{error}; {answer.content_type}, begins {answer.text[:100]!r}"
            return Fault("reply", f"the server's answer is no chat completion: {said}")

    def _unreachable(self, error: BaseException) -> Fault:
        """The fault of a connection that failed."""
        said = self._scrubbed(f"{type(error).__name__}: {error}")
        return Fault("unreachable", f"the model server cannot be reached ({said})")

    def _scrubbed(self, text: str) -> str:
        return scrubbed(text, self._key)

    def _fix(self, fault: Fault) -> str:
        """The next step for a person."""
        match fault.kind, fault.status:
            case "unreachable", _:
                return "check that the server runs and that base_url names it"
            case "reply", _:
                return self._url_hint()
            case _, 401 | 403:
                return f"check {self.key_variables[0]} and that the key may use this model"
            case _, 404:
                return f"{self._url_hint()}; check the name of the model, too"
            case _, 429:
                return "lower requests_per_minute or max_concurrent_requests, or check the quota"
            case _, status if status is not None and status >= 500:
                return "look into the server's log; unfinished episodes can be resumed"
        return "check the policy's options, and that the server supports tool calls for this model"

    def _url_hint(self) -> str:
        return f"check that base_url names a server that speaks the API of {self.form}"


def _tokens(conversation: Conversation, ids: ReplyIds | None) -> Tokens | None:
    """What an action's request adds to the ids of the turns before.

    A server renders the messages anew each time: where that does not begin with what the model was
    given and sampled before, the action starts again.
    """
    if ids is None:
        return None
    before = token_history([turn.action.tokens for turn in conversation.turns])
    goes_on = bool(before) and ids.prompt_ids[: len(before)] == tuple(before)
    return Tokens(
        context_ids=ids.prompt_ids[len(before) if goes_on else 0 :],
        sampled_ids=ids.sampled_ids,
        logprobs=ids.logprobs,
        versions=(0,) * len(ids.sampled_ids),
        restarted=bool(conversation.turns) and not goes_on,
    )


def _blind_name(form: str) -> str:
    """What stands before a blind policy's model; OpenAI's has always been the short one."""
    return BLIND if form == "openai" else f"{BLIND}:{form}"
