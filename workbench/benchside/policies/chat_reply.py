"""`ChatReply`: one reply of a model; and reading it from an OpenAI chat completion.

Servers are read as they really are: strict where it matters, lenient elsewhere. Content may be
text, parts or missing; tool calls may lack ids, repeat them, or carry arguments as an object
instead of text; reasoning goes by two names; usage may be absent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, Field, JsonValue, ValidationError

from benchside.policy import Message, ToolCall
from benchside.protocol import parse_json

Form = TypeVar("Form", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class ReplyIds:
    """The ids behind a reply, from a server that sends them (see `read_reply`).

    Args:
        prompt_ids: (P) of all that the model was given.
        sampled_ids: (S); logprobs: (S) natural logarithms, as the server defines them.
    """

    prompt_ids: tuple[int, ...]
    sampled_ids: tuple[int, ...]
    logprobs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ChatReply:
    """One reply of a model; token counts are None where the server does not send them.

    Args:
        reasoning: hidden reasoning, where the server shows it.
        input_tokens: all of them, those included that the server had cached.
        cached_tokens: of the input, read from the server's cache.
        written_tokens: of the input, written to the server's cache, where that has its own price.
        cut_off: the model reached its token limit.
        ids: None where the server sends none, or not all of them.
    """

    message: Message
    reasoning: str | None
    input_tokens: int | None
    output_tokens: int | None
    cut_off: bool
    cached_tokens: int | None = None
    written_tokens: int | None = None
    ids: ReplyIds | None = None


INVALID = "invalid_arguments"


class _Function(BaseModel):
    name: str | None = None
    arguments: JsonValue = None


class _ToolCall(BaseModel):
    id: str | None = None
    function: _Function = _Function()


class _Part(BaseModel):
    text: str | None = None


class _Message(BaseModel):
    content: str | list[_Part] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _TokenLogprob(BaseModel):
    logprob: float


class _Logprobs(BaseModel):
    content: list[_TokenLogprob] | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: JsonValue = None
    prompt_token_ids: list[int] | None = None
    token_ids: list[int] | None = None
    logprobs: _Logprobs | None = None


class _PromptDetails(BaseModel):
    cached_tokens: int | None = None


class _Usage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None

    @property
    def cached_tokens(self) -> int | None:
        details = self.prompt_tokens_details
        return None if details is None else details.cached_tokens


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None
    prompt_token_ids: list[int] | None = None


def read_reply(text: str) -> ChatReply:
    """Return the first choice of a chat completion.

    Ids come from requests with `return_token_ids` and `logprobs`: vLLM sends those of the prompt
    beside the choices (github.com/vllm-project/vllm pull request 22587), SGLang in each choice
    (github.com/sgl-project/sglang pull request 30917).

    Raises:
        ValueError: the text is no JSON, or has no choice with a message; says which.
    """
    completion = validated(text, _Completion)
    choice, usage = completion.choices[0], completion.usage or _Usage()
    sent = choice.message
    content = sent.content
    if isinstance(content, list):
        content = "".join(part.text or "" for part in content)
    message = Message(
        role="assistant",
        content=content or sent.refusal,
        tool_calls=_tool_calls(sent.tool_calls or []),
    )
    return ChatReply(
        message=message,
        reasoning=sent.reasoning_content or sent.reasoning,
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cut_off=choice.finish_reason == "length",
        cached_tokens=usage.cached_tokens,
        ids=_ids(completion, choice),
    )


def _ids(completion: _Completion, choice: _Choice) -> ReplyIds | None:
    """The ids of a reply, where prompt, sample and a log-probability for each are there."""
    prompt = completion.prompt_token_ids or choice.prompt_token_ids
    logprobs = choice.logprobs and choice.logprobs.content
    if not prompt or not choice.token_ids or len(logprobs or ()) != len(choice.token_ids):
        return None
    given = tuple(token.logprob for token in logprobs or ())
    return ReplyIds(tuple(prompt), tuple(choice.token_ids), given)


def validated(text: str, form: type[Form]) -> Form:
    """Return a server's JSON as the parts of it that are read.

    Raises:
        ValueError: the text is no JSON, or a part is missing or of another type; says which.
    """
    try:
        # some servers send lone surrogates, which neither a notebook nor pydantic can hold
        clean = json.dumps(json.loads(text), ensure_ascii=False).encode(errors="replace")
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON ({error})") from None
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None
    try:
        return form.model_validate_json(clean)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise ValueError(f"{place}: {first['msg']}") from None


def _tool_calls(sent: list[_ToolCall]) -> tuple[ToolCall, ...]:
    named = [(call.id, call.function.name, call.function.arguments) for call in sent]
    return tool_calls(named)


def tool_calls(sent: Iterable[tuple[str | None, str | None, JsonValue]]) -> tuple[ToolCall, ...]:
    """Return calls, given as id, name and arguments, with ids that tell them apart.

    Each tool reply names its call.
    """
    calls: list[ToolCall] = []
    for index, (given, name, arguments) in enumerate(sent):
        id_ = given or f"call_{index}"
        while id_ in {other.id for other in calls}:
            id_ += "_"
        calls.append(ToolCall(id=id_, name=name or "", arguments=_arguments_text(arguments)))
    return tuple(calls)


def _arguments_text(arguments: JsonValue) -> str:
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    return json.dumps(arguments, ensure_ascii=False)


def object_of(arguments: str) -> dict[str, JsonValue]:
    """Return a call's arguments as an object; those that are none as the text of one field."""
    try:
        parsed = parse_json(arguments)
    except ValueError:
        parsed = None
    return parsed if isinstance(parsed, dict) else {INVALID: arguments}
